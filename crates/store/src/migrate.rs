//! The schema: which one the books have, and how they come to the newest.
//!
//! In: the migrations, part of the program. Out: books of the newest schema, or a refusal.
//! Never: two processes migrating at once, half a migration, a migration whose text was changed.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Executor, Row};

use crate::engine::Engine;
use crate::error::Error;
use crate::point;

struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../../migrations/postgres/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_books"),
    migration!(2, "0002_rereads"),
    migration!(3, "0003_log"),
    migration!(4, "0004_outflows"),
    migration!(5, "0005_reconcile"),
    migration!(6, "0006_notices"),
    migration!(7, "0007_seal"),
    migration!(8, "0008_by_statement"),
    migration!(9, "0009_by_name"),
];

impl Migration {
    const fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    fn checksum(&self, engine: Engine) -> String {
        payments::address::lower_hex(&Sha256::digest(self.text(engine).as_bytes()))
    }
}

/// The newest schema this program knows.
#[must_use]
pub fn newest() -> u64 {
    MIGRATIONS.last().and_then(|last| u64::try_from(last.version).ok()).unwrap_or(0)
}

/// The names of all triggers that the migrations make.
pub(crate) fn triggers(engine: Engine) -> BTreeSet<&'static str> {
    let made = |text: &'static str| text.split("CREATE TRIGGER ").skip(1);
    let named = |rest: &'static str| rest.split_whitespace().next();
    MIGRATIONS.iter().flat_map(|migration| made(migration.text(engine))).filter_map(named).collect()
}

/// Makes the newest schema where there is nothing yet.
pub(crate) async fn make(engine: Engine, connection: &mut AnyConnection) -> Result<(), Error> {
    for migration in MIGRATIONS {
        sqlx::raw_sql(migration.text(engine)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Checks that the books have the newest schema.
pub(crate) async fn check(engine: Engine, connection: &mut AnyConnection) -> Result<(), Error> {
    let known = newest();
    let found =
        if has_books(engine, connection).await? { verified(engine, connection).await? } else { 0 };
    if found < known { Err(Error::NeedsMigration { found, known }) } else { Ok(()) }
}

/// Brings the books to the newest schema: all missing migrations in one transaction, under a lock
/// that a second process waits for.
pub(crate) async fn migrate(engine: Engine, connection: &mut AnyConnection) -> Result<(), Error> {
    if has_books(engine, connection).await? && verified(engine, connection).await? == newest() {
        return Ok(());
    }
    let mut transaction = sqlx::Connection::begin_with(connection, engine.begin()).await?;
    if engine == Engine::Postgres {
        // Any number serves that every version of this program uses.
        transaction.execute("SELECT pg_advisory_xact_lock(7164117230)").await?;
    }
    let strict = if engine == Engine::Sqlite { " STRICT" } else { "" };
    let table = format!(
        "CREATE TABLE IF NOT EXISTS migrations (version BIGINT NOT NULL PRIMARY KEY, \
         name TEXT NOT NULL, checksum TEXT NOT NULL){strict}"
    )
    .replace("BIGINT", if engine == Engine::Sqlite { "INTEGER" } else { "BIGINT" });
    point!("migrate.begun");
    sqlx::raw_sql(sqlx::AssertSqlSafe(table)).execute(&mut *transaction).await?;
    point!("migrate.listed");
    let found = verified(engine, &mut transaction).await?;
    if engine == Engine::Postgres && found > 0 {
        // The lock of every commit: what one has begun is there before anything is changed.
        transaction.execute("SELECT one FROM counters FOR UPDATE").await?;
    }
    for migration in MIGRATIONS {
        if u64::try_from(migration.version).is_ok_and(|version| version > found) {
            sqlx::raw_sql(migration.text(engine)).execute(&mut *transaction).await?;
            point!("migrate.made");
            sqlx::query("INSERT INTO migrations (version, name, checksum) VALUES ($1, $2, $3)")
                .bind(migration.version)
                .bind(migration.name)
                .bind(migration.checksum(engine))
                .execute(&mut *transaction)
                .await?;
        }
    }
    point!("migrate.noted");
    transaction.commit().await?;
    point!("migrate.written");
    Ok(())
}

async fn has_books(engine: Engine, connection: &mut AnyConnection) -> Result<bool, Error> {
    let query = match engine {
        Engine::Sqlite => {
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'"
        }
        Engine::Postgres => {
            "SELECT CASE WHEN to_regclass('migrations') IS NULL THEN 0::BIGINT ELSE 1::BIGINT END"
        }
    };
    let found: i64 = sqlx::query(query).fetch_one(&mut *connection).await?.try_get(0)?;
    Ok(found > 0)
}

/// The schema of the books, each applied migration being the one this program knows.
async fn verified(engine: Engine, connection: &mut AnyConnection) -> Result<u64, Error> {
    let query = "SELECT version, name, checksum FROM migrations ORDER BY version";
    let rows = sqlx::query(query).fetch_all(&mut *connection).await?;
    let mut found = 0;
    for row in &rows {
        let version: i64 = row.try_get(0)?;
        let name: String = row.try_get(1)?;
        let checksum: String = row.try_get(2)?;
        found = u64::try_from(version).unwrap_or(u64::MAX);
        if found > newest() {
            continue;
        }
        let known = MIGRATIONS.iter().find(|migration| migration.version == version);
        if known.is_none_or(|known| known.checksum(engine) != checksum || known.name != name) {
            return Err(Error::Checksum(name));
        }
    }
    if found > newest() { Err(Error::NewerSchema { found, known: newest() }) } else { Ok(found) }
}
