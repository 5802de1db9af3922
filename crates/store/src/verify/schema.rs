//! Whether the schema is, word for word, what the migrations make.
//!
//! In: the catalog of the books, and that of a schema made beside them and thrown away.
//! Out: what is missing, changed, or a trigger too many. Never: a change of the books.
//! Why: whoever takes a trigger away and puts a tamer one there leaves the names as they were.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use super::Finding;
use crate::engine::Engine;
use crate::error::Error;
use crate::{Store, migrate, whole};

/// What a thing of the schema is called, and its definition.
type Catalog = BTreeMap<(String, String), String>;

/// `insufficient_privilege` of PostgreSQL.
const FORBIDDEN: &str = "42501";

/// Compares the schema of `connection` with the newest one.
pub(super) async fn check(
    store: &Store,
    connection: &mut AnyConnection,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let (expected, found) = match store.engine {
        Engine::Sqlite => {
            let mut fresh = AnyConnection::connect("sqlite::memory:").await?;
            migrate::make(Engine::Sqlite, &mut fresh).await?;
            let expected = of_sqlite(&mut fresh).await?;
            fresh.close().await?;
            (Some(expected), of_sqlite(connection).await?)
        }
        Engine::Postgres => {
            let query = "SELECT quote_ident(current_schema())";
            let schema: String =
                sqlx::query(query).fetch_one(&mut *connection).await?.try_get(0)?;
            (made_in_postgres(store).await?, of_postgres(connection, &schema).await?)
        }
    };
    match expected {
        Some(expected) => compare(&expected, &found, findings),
        None => names(store.engine, &found, findings),
    }
    Ok(())
}

/// Where no second schema may be made, the triggers are known by their names alone.
fn names(engine: Engine, found: &Catalog, findings: &mut Vec<Finding>) {
    for trigger in migrate::triggers(engine) {
        if !found.contains_key(&("trigger".to_owned(), trigger.to_owned())) {
            findings.push(Finding { name: "trigger_missing", detail: trigger.to_owned() });
        }
    }
}

fn compare(expected: &Catalog, found: &Catalog, findings: &mut Vec<Finding>) {
    for ((kind, name), definition) in expected {
        let found = found.get(&(kind.clone(), name.clone()));
        match (found, kind.as_str()) {
            (None, "trigger") => {
                findings.push(Finding { name: "trigger_missing", detail: name.clone() });
            }
            (None, kind) => {
                let detail = format!("{kind} {name} is not there");
                findings.push(Finding { name: "schema_differs", detail });
            }
            (Some(found), kind) if found != definition => {
                let detail = format!("{kind} {name} is not what the migrations make");
                findings.push(Finding { name: "schema_differs", detail });
            }
            (Some(_), _) => {}
        }
    }
    // An index or a table more is harmless; a trigger and a rule may change what is written, and a
    // policy what is read.
    for (kind, name) in found.keys().filter(|thing| !expected.contains_key(*thing)) {
        if matches!(kind.as_str(), "trigger" | "rule" | "policy") {
            let detail = format!("{kind} {name} is not ours");
            findings.push(Finding { name: "schema_differs", detail });
        }
    }
}

async fn of_sqlite(connection: &mut AnyConnection) -> Result<Catalog, Error> {
    let query = "SELECT type, name, sql FROM sqlite_master \
        WHERE sql IS NOT NULL AND name <> 'migrations' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'";
    let mut catalog = Catalog::new();
    for row in sqlx::query(query).fetch_all(connection).await? {
        catalog.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
    }
    Ok(catalog)
}

/// The newest schema, made in a transaction that is taken back; `None` where that is forbidden.
async fn made_in_postgres(store: &Store) -> Result<Option<Catalog>, Error> {
    let mut transaction = store.writing().await?;
    let query = "SELECT 'bursar_expected_' || CAST(pg_backend_pid() AS TEXT)";
    let schema: String = sqlx::query(query).fetch_one(&mut *transaction).await?.try_get(0)?;
    let create = format!("CREATE SCHEMA {schema}; SET LOCAL search_path TO {schema}");
    match sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *transaction).await {
        Err(sqlx::Error::Database(why)) if why.code().as_deref() == Some(FORBIDDEN) => {
            return Ok(None);
        }
        made => made?,
    };
    migrate::make(Engine::Postgres, &mut transaction).await?;
    let catalog = of_postgres(&mut transaction, &schema).await?;
    whole(transaction.rollback()).await?;
    Ok(Some(catalog))
}

/// What PostgreSQL itself says of each thing in `schema`, without the schema's name.
async fn of_postgres(connection: &mut AnyConnection, schema: &str) -> Result<Catalog, Error> {
    let query = "WITH ours AS (SELECT CAST($1 AS TEXT)::regnamespace::oid AS space) \
        SELECT 'column', c.relname || '.' || a.attname, \
            format_type(a.atttypid, a.atttypmod) || ' ' || CAST(a.attnotnull AS TEXT) || ' ' || \
            coalesce(pg_get_expr(d.adbin, d.adrelid), '') || ' ' || CAST(a.attcollation AS TEXT) \
        FROM pg_class AS c JOIN ours ON c.relnamespace = space JOIN pg_attribute AS a \
            ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
            LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
        WHERE c.relkind = 'r' AND c.relname <> 'migrations' \
        UNION ALL SELECT 'constraint', c.relname || '.' || k.conname, pg_get_constraintdef(k.oid) \
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid \
            JOIN ours ON c.relnamespace = space \
        WHERE c.relname <> 'migrations' AND k.contype <> 't' \
        UNION ALL SELECT 'index', CAST(c.relname AS TEXT), pg_get_indexdef(c.oid) \
        FROM pg_class AS c JOIN ours ON c.relnamespace = space \
        WHERE c.relkind = 'i' AND c.relname NOT LIKE 'migrations%' \
        UNION ALL SELECT 'trigger', CAST(t.tgname AS TEXT), \
            pg_get_triggerdef(t.oid) || ' ' || CAST(t.tgenabled AS TEXT) \
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid \
            JOIN ours ON c.relnamespace = space WHERE NOT t.tgisinternal \
        UNION ALL SELECT 'rule', c.relname || '.' || r.rulename, pg_get_ruledef(r.oid) \
        FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class \
            JOIN ours ON c.relnamespace = space WHERE c.relkind = 'r' \
        UNION ALL SELECT 'policy', CAST(c.relname AS TEXT), 'rows are told by their looks' \
        FROM pg_class AS c JOIN ours ON c.relnamespace = space \
        WHERE c.relkind = 'r' AND c.relrowsecurity \
        UNION ALL SELECT 'function', CAST(p.proname AS TEXT), \
            p.prosrc || ' ' || coalesce(array_to_string(p.proconfig, ' '), '') || \
            coalesce(' ' || CAST(CAST(g.aggtransfn AS oid) AS TEXT) || ' ' || \
                CAST(g.aggfinalfn AS TEXT) || ' ' || coalesce(g.agginitval, ''), '') \
        FROM pg_proc AS p JOIN ours ON p.pronamespace = space \
            LEFT JOIN pg_aggregate AS g ON g.aggfnoid = p.oid";
    let mut catalog = Catalog::new();
    let (qualified, looked_in) = (format!("{schema}."), format!("search_path={schema}, "));
    for row in sqlx::query(query).bind(schema.to_owned()).fetch_all(connection).await? {
        let (kind, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let definition: String = row.try_get(2)?;
        let is_off = kind == "trigger" && definition.ends_with(" D");
        // In a function it would hide one that has the name of one of the engine's.
        let definition = match kind.as_str() {
            "function" => definition.replace(&looked_in, "search_path="),
            _ => definition.replace(&qualified, ""),
        };
        if !is_off {
            catalog.insert((kind, name), definition);
        }
    }
    Ok(catalog)
}
