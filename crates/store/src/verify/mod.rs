//! Whether the books still say what they must.
//!
//! In: the whole of the books. Out: named findings, none where all is well.
//! Never: a repair. Why: what was changed behind the engine's back has to be seen by a person.

mod facts;
mod left;
mod log;
mod replay;
mod schema;
mod sums;
mod told;

use payments::merkle::TreeHead;
use payments::reconcile::Code;
use sqlx::Row;

pub use replay::Replayed;

use crate::Store;
use crate::engine::{self, Engine};
use crate::error::Error;
use crate::history;
use crate::reading::{Reading, Sealed};
use sums::Sums;

/// Rows that one check names at most.
const SHOWN: usize = 20;

/// Something in the books that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is, one word for ever.
    pub name: &'static str,
    /// Where.
    pub detail: String,
}

/// What a verification found, and what it went over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// What is wrong; empty where nothing is.
    pub findings: Vec<Finding>,
    /// The orders that the rules were run over again.
    pub replayed: Replayed,
    /// How far the books went that this is about; none where that cannot be read.
    pub sealed: Option<Sealed>,
}

/// Of [`Verified`], what the books show.
type OfBooks = (Vec<Finding>, Vec<Finding>, Replayed, Option<Sealed>);

/// A row that does not parse is a finding; nothing behind it was looked at.
fn readable<T: Default>(done: Result<T, Error>, findings: &mut Vec<Finding>) -> Result<T, Error> {
    match done {
        Err(error @ Error::Broken { .. }) => {
            findings.push(Finding { name: "row_broken", detail: error.to_string() });
            Ok(T::default())
        }
        done => done,
    }
}

/// Asks one query for one text a row.
async fn ask(
    reading: &mut Reading,
    (name, query): (&'static str, &'static str),
) -> Result<Vec<Finding>, Error> {
    let rows = reading.over_all(query).await?;
    let details = rows.iter().take(SHOWN).map(|row| row.try_get(0));
    details.map(|detail| Ok(Finding { name, detail: detail? })).collect()
}

impl Finding {
    /// What an auditor files it under.
    #[must_use]
    pub fn code(&self) -> Code {
        match self.name {
            "asset_unbalanced" => Code::AssetUnbalanced,
            "journal_gap" | "log_broken" | "log_truncated" => Code::LogBroken,
            "event_gap" | "not_sealed" => Code::EventGap,
            "setting" | "trigger_missing" | "schema_differs" | "integrity" => Code::EngineSettings,
            _ => Code::ProjectionDiffers,
        }
    }
}

/// Queries for one text a row; every row is a finding.
const CHECKS: [(&str, &str); 15] = [
    (
        "asset_unbalanced",
        "SELECT asset FROM balances GROUP BY asset HAVING sum(debits) <> sum(credits)",
    ),
    (
        "balance_below_zero",
        "SELECT account || ' ' || asset FROM balances WHERE CASE \
         WHEN account > 'custody:' AND account < 'custody;' THEN debits < credits \
         WHEN account > 'order:' AND account < 'order;' THEN credits < debits \
         WHEN account > 'suspense:' AND account < 'suspense;' THEN credits < debits \
         WHEN account = 'refunds_payable' OR account = 'dust' THEN credits < debits \
         ELSE FALSE END",
    ),
    (
        "journal_incomplete",
        "SELECT j.key FROM journals AS j \
         WHERE j.lines <> (SELECT count(*) FROM entries AS e WHERE e.journal = j.seq)",
    ),
    (
        "entry_without_journal",
        "SELECT CAST(e.journal AS TEXT) || ':' || CAST(e.line AS TEXT) FROM entries AS e \
         LEFT JOIN journals AS j ON j.seq = e.journal WHERE j.seq IS NULL",
    ),
    (
        "entry_of_another_order",
        "SELECT j.key FROM entries AS e JOIN journals AS j ON j.seq = e.journal WHERE \
         (e.debit > 'order:' AND e.debit < 'order;' AND e.debit <> 'order:' || \
         coalesce(j.order_id, '')) OR (e.credit > 'order:' AND e.credit < 'order;' \
         AND e.credit <> 'order:' || coalesce(j.order_id, ''))",
    ),
    (
        "journal_gap",
        "SELECT CAST(count(*) AS TEXT) || ' of ' || CAST(c.sealed_journals AS TEXT) \
         FROM counters AS c LEFT JOIN journals AS j ON j.seq BETWEEN 1 AND c.sealed_journals \
         GROUP BY c.sealed_journals HAVING count(j.seq) <> c.sealed_journals",
    ),
    (
        "event_gap",
        "SELECT CAST(count(*) AS TEXT) || ' of ' || CAST(c.sealed_events AS TEXT) \
         FROM counters AS c LEFT JOIN events AS v ON v.seq BETWEEN 1 AND c.sealed_events \
         GROUP BY c.sealed_events HAVING count(v.seq) <> c.sealed_events",
    ),
    (
        "not_sealed",
        "SELECT 'journals ' || CAST((SELECT coalesce(max(seq), 0) FROM journals) AS TEXT) || \
         ', events ' || CAST((SELECT coalesce(max(seq), 0) FROM events) AS TEXT) \
         FROM counters AS c WHERE c.journals <> c.sealed_journals OR c.events <> c.sealed_events \
         OR c.sealed_journals <> (SELECT coalesce(max(seq), 0) FROM journals) \
         OR c.sealed_events <> (SELECT coalesce(max(seq), 0) FROM events)",
    ),
    (
        "log_truncated",
        "SELECT 'event ' || CAST(a.through AS TEXT) || ' was acknowledged, ' || \
         CAST(c.sealed_events AS TEXT) || ' are left' FROM acknowledged AS a \
         CROSS JOIN counters AS c WHERE a.through > c.sealed_events",
    ),
    (
        "event_without_deposit",
        "SELECT 'event ' || CAST(min(v.seq) AS TEXT) FROM events AS v LEFT JOIN deposits AS d \
         ON d.seq = v.deposit WHERE v.deposit IS NOT NULL AND d.seq IS NULL GROUP BY v.deposit",
    ),
    (
        "deposit_without_order",
        "SELECT d.id FROM deposits AS d LEFT JOIN orders AS o ON o.id = d.order_id \
         WHERE d.order_id IS NOT NULL AND o.id IS NULL",
    ),
    (
        "address_without_owner",
        "SELECT o.id FROM orders AS o LEFT JOIN addresses AS a ON a.address = o.address \
         WHERE coalesce(a.order_id, '') <> o.id",
    ),
    (
        "outflow_unasked",
        "SELECT w.id FROM outflows AS w LEFT JOIN cases AS c ON c.id = \
         CASE WHEN w.explained IS NULL THEN 'unexplained_outflow:' ELSE 'destroyed_funds:' END || \
         w.id || CASE WHEN w.round > 1 THEN '#' || CAST(w.round AS TEXT) ELSE '' END \
         WHERE w.state IN ('waiting', 'booked') \
         AND coalesce(w.explained, 'destroyed') = 'destroyed' \
         AND (c.id IS NULL OR c.resolution = 'itself')",
    ),
    (
        "outflow_asked",
        "SELECT w.id FROM outflows AS w JOIN cases AS c ON c.id = 'unexplained_outflow:' || \
         w.id || CASE WHEN w.round > 1 THEN '#' || CAST(w.round AS TEXT) ELSE '' END \
         WHERE w.state = 'pending' OR w.explained IN ('treasury', 'fee') \
         OR ((w.state = 'orphaned' OR w.explained = 'refund') AND c.resolution IS NULL)",
    ),
    (
        "case_missing",
        "SELECT DISTINCT v.case_id FROM events AS v LEFT JOIN cases AS c ON c.id = v.case_id \
         WHERE v.kind = 'case.opened' AND c.id IS NULL",
    ),
];

/// On PostgreSQL what may expire is a table of its own: an order that is not in it would never
/// expire, and one that is over would be read again and again.
const EXPIRY_DIFFERS: (&str, &str) = (
    "expiry_differs",
    "SELECT coalesce(o.id, 'order number ' || CAST(e.number AS TEXT)) FROM \
     (SELECT * FROM orders WHERE paid IS NULL AND expired IS NULL AND cancelled IS NULL \
     AND expires_at IS NOT NULL) AS o FULL JOIN expiries AS e ON e.number = o.number \
     AND e.chain = o.chain AND e.expires_at = o.expires_at \
     WHERE o.number IS NULL OR e.number IS NULL",
);

/// Which balances are not the sums of their entries: a sort of all entries, so it is asked where
/// `sums` says that some are not, or where not all of it could be read.
const BALANCE_DIFFERS: (&str, &str) = (
    "balance_differs",
    "SELECT account || ' ' || asset FROM (SELECT account, asset, debits, credits FROM balances \
     UNION ALL SELECT debit, asset, -amount, 0 FROM entries \
     UNION ALL SELECT credit, asset, 0, -amount FROM entries) AS sides \
     GROUP BY account, asset HAVING sum(debits) <> 0 OR sum(credits) <> 0",
);

impl Store {
    /// Reads the whole of the books and says what is wrong with them; empty where nothing is. Of
    /// each kind of finding at most twenty are named.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn verify(&self) -> Result<Vec<Finding>, Error> {
        Ok(self.verify_against(&[]).await?.findings)
    }

    /// As [`Self::verify`]; the log must also have had these heads, which somebody kept outside of
    /// the books. They show what nothing inside can: that an older state was put back whole. What
    /// the billing service has acknowledged is asked for in any case.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn verify_against(&self, kept: &[TreeHead]) -> Result<Verified, Error> {
        // The engine goes over its own pages beside us, on a connection of its own.
        let (engine, books) = tokio::join!(self.engine_findings(), self.book_findings(kept));
        let (mut findings, logged, replayed, sealed) = books?;
        findings.extend(engine?);
        findings.extend(logged);
        Ok(Verified { findings, replayed, sealed })
    }

    /// What is wrong with the rows, what with the log and with what the rules make of the facts,
    /// how many orders these were run over, and how far the books went then.
    async fn book_findings(&self, kept: &[TreeHead]) -> Result<OfBooks, Error> {
        let (mut findings, mut logged, mut sums) = (Vec::new(), Vec::new(), Sums::new());
        let mut reading = self.read().await?;
        for check in CHECKS {
            findings.extend(ask(&mut reading, check).await?);
        }
        if self.engine == Engine::Postgres {
            findings.extend(ask(&mut reading, EXPIRY_DIFFERS).await?);
        }
        let mut kept = kept.to_vec();
        // Of the same moment as the log: what is acknowledged meanwhile is beyond its end.
        kept.extend(history::acknowledged(reading.connection()).await?.1);
        let whole = log::check(&mut reading, &kept, &mut sums, &mut logged).await;
        let whole = readable(whole, &mut logged)?;
        if whole {
            sums.take_balances(&mut reading).await?;
        }
        if !whole || !sums.agree() || !findings.is_empty() {
            let unbalanced = findings.iter().filter(|found| found.name == "asset_unbalanced");
            let at = unbalanced.count();
            let differ = ask(&mut reading, BALANCE_DIFFERS).await?;
            findings.splice(at..at, differ);
        }
        let replayed = replay::check(&mut reading, &mut logged).await;
        let replayed = readable(replayed, &mut logged)?;
        let left = left::check(&mut reading, &mut logged).await;
        readable(left, &mut logged)?;
        let strays = left::strays(&mut reading, &mut logged).await;
        readable(strays, &mut logged)?;
        let sealed = reading.sealed().await;
        let sealed = readable(sealed.map(Some), &mut logged)?;
        reading.end().await?;
        Ok((findings, logged, replayed, sealed))
    }

    async fn engine_findings(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        let connection = &mut *self.reader().await?;
        match engine::check(&mut self.link(connection)).await {
            Ok(()) => {}
            Err(error @ Error::Setting { .. }) => {
                findings.push(Finding { name: "setting", detail: error.to_string() });
            }
            Err(error) => return Err(error),
        }
        schema::check(self, connection, &mut findings).await?;
        let query = match self.engine {
            Engine::Sqlite => "SELECT * FROM pragma_integrity_check",
            Engine::Postgres => "SELECT 'fsync is off' WHERE current_setting('fsync') = 'off'",
        };
        for row in sqlx::query(query).fetch_all(&mut *connection).await? {
            let detail: String = row.try_get(0)?;
            if detail != "ok" {
                findings.push(Finding { name: "integrity", detail });
            }
        }
        Ok(findings)
    }
}
