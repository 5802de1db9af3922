//! Reconciliations as they are remembered: runs, their evidence, what they found.
//!
//! In: a report's findings, a person's mark. Out: discrepancies with their age over runs.
//! Never: a discrepancy forgotten; one that is no longer found is `gone`, and can come back.
//! Why: "since when do we know?" is the first question of an audit.

use std::collections::BTreeMap;

use payments::reconcile::{Code, Finding, FindingId, Severity};
use payments::time::Time;
use sqlx::any::AnyRow;
use sqlx::pool::PoolConnection;
use sqlx::{Any, Row};

use crate::engine::Engine;
use crate::error::Error;
use crate::index::LOCK;
use crate::{Store, finish, row};

/// Discrepancies read at once.
const MOST: i64 = 1_000_000;

/// What is done about a discrepancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Found, and nobody has said anything.
    Open,
    /// Somebody knows of it, as bad as it was then.
    Acknowledged,
    /// Somebody says that it is settled; found again, it is open again.
    Resolved,
    /// It is no longer found.
    Gone,
}

impl Mark {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Gone => "gone",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Acknowledged, Self::Resolved, Self::Gone]
            .into_iter()
            .find(|mark| mark.word() == word)
    }
}

/// A discrepancy over all runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// Who it is.
    pub id: FindingId,
    /// What it is.
    pub code: Code,
    /// What it is about.
    pub key: String,
    /// Whether that is a case of the books.
    pub of_case: bool,
    /// How bad it was in the last run that found it.
    pub severity: Severity,
    /// What that run said.
    pub what: String,
    /// What is at stake, in millionths.
    pub amount: i128,
    /// The run that found it first, and what that was as of.
    pub first: (u64, Time),
    /// The run that found it last, and what that was as of.
    pub last: (u64, Time),
    /// What is done about it.
    pub mark: Mark,
    /// How bad it was when it was acknowledged.
    pub at_severity: Option<Severity>,
    /// What was at stake then, in millionths.
    pub at_amount: Option<i128>,
    /// Who marked it, and why.
    pub by: Option<(String, String)>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub seq: u64,
    /// When it began, by the machine's clock.
    pub began: Time,
    /// What it was asked.
    pub options: String,
    /// When it ended; none while it is under way, or was killed.
    pub ended: Option<Time>,
    /// What it was as of.
    pub as_of: Option<Time>,
    /// The exit code it ended with.
    pub code: Option<u8>,
    /// What it found, in one line of JSON.
    pub summary: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended<'a> {
    /// When.
    pub at: Time,
    /// What it was as of.
    pub as_of: Option<Time>,
    /// The last journal that was read.
    pub ledger_seq: u64,
    /// The exit code.
    pub code: u8,
    /// What it found, in one line of JSON.
    pub summary: &'a str,
    /// Whether what it did not find is gone: it looked at everything, and missed no evidence.
    pub whole: bool,
}

/// That no other process reconciles these books. It ends with the process, however that ends.
pub struct RunLock {
    _file: Option<std::fs::File>,
    connection: Option<PoolConnection<Any>>,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Returned to the pool it would keep the lock.
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl Store {
    /// Takes the lock of reconciliations; none where another process holds it. On SQLite it is a
    /// lock of the operating system on a file beside the database, on PostgreSQL one of the
    /// session: both are let go of when their process is killed.
    ///
    /// # Errors
    /// What the engine, or the file system, says.
    pub async fn lock_runs(&self) -> Result<Option<RunLock>, Error> {
        let mut connection = self.reader().await?;
        if self.engine == Engine::Postgres {
            // Any number serves that every version of this program uses.
            let query = "SELECT CASE WHEN pg_try_advisory_lock(716411723, \
                hashtext(current_schema())) THEN 1::BIGINT ELSE 0::BIGINT END";
            let query = sqlx::query(query);
            let taken: i64 = query.fetch_one(&mut *connection).await?.try_get(0)?;
            return Ok(
                (taken == 1).then_some(RunLock { _file: None, connection: Some(connection) })
            );
        }
        let query = "SELECT file FROM pragma_database_list WHERE name = 'main'";
        let path: String = sqlx::query(query).fetch_one(&mut *connection).await?.try_get(0)?;
        let wrong = |error: std::io::Error| Error::Database(sqlx::Error::Io(error));
        let open = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(format!("{path}-reconcile"));
        let file = open.map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(RunLock { _file: Some(file), connection: None })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(wrong(error)),
        }
    }

    /// Begins a run and gives it its number.
    ///
    /// # Errors
    /// What the engine says; so with everything here.
    pub async fn begin_run(&self, options: &str, now: Time) -> Result<u64, Error> {
        let mut transaction = self.writing().await?;
        let next = "SELECT coalesce(max(seq), 0) + 1 FROM runs";
        let seq: i64 = sqlx::query(next).fetch_one(&mut *transaction).await?.try_get(0)?;
        let insert = "INSERT INTO runs (seq, began, options, state) VALUES ($1, $2, $3, 'running')";
        let insert = sqlx::query(insert).bind(seq).bind(now.0).bind(options.to_owned());
        insert.execute(&mut *transaction).await?;
        finish(transaction).await?;
        Ok(u64::try_from(seq).unwrap_or(0))
    }

    /// A run; `None` where there is no such one.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn run_of(&self, seq: u64) -> Result<Option<Run>, Error> {
        let mut connection = self.reader().await?;
        let query = format!("{RUN} WHERE seq = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(whole(seq));
        query.fetch_optional(&mut *connection).await?.as_ref().map(run).transpose()
    }

    /// The last run that ended.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn last_run(&self) -> Result<Option<Run>, Error> {
        let mut connection = self.reader().await?;
        let query = format!("{RUN} WHERE state = 'done' ORDER BY seq DESC LIMIT 1");
        let query = sqlx::query(sqlx::AssertSqlSafe(query));
        query.fetch_optional(&mut *connection).await?.as_ref().map(run).transpose()
    }

    /// The last run that ended and was begun with these options.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn last_run_of(&self, options: &str) -> Result<Option<Run>, Error> {
        let mut connection = self.reader().await?;
        let only = "WHERE state = 'done' AND options = $1 ORDER BY seq DESC LIMIT 1";
        let query = sqlx::query(sqlx::AssertSqlSafe(format!("{RUN} {only}")));
        let query = query.bind(options.to_owned());
        query.fetch_optional(&mut *connection).await?.as_ref().map(run).transpose()
    }

    /// The last run that ended, was begun with these options and missed nothing of `chain`,
    /// whatever it found there, or could not read elsewhere. Where endpoints tell different things,
    /// what the first left out of its blocks is missed, until a person has said which is right.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn last_without_gap(&self, options: &str, chain: &str) -> Result<Option<Run>, Error> {
        let mut connection = self.reader().await?;
        let only = "WHERE state = 'done' AND options = $1 AND NOT EXISTS (SELECT 1 \
            FROM sightings AS s JOIN discrepancies AS d ON d.id = s.id \
            WHERE s.run = runs.seq AND d.chain = $3 \
            AND (d.code = $2 OR (d.code = $4 AND d.state = 'open' \
            AND d.key NOT LIKE $3 || ':balance:%'))) ORDER BY seq DESC LIMIT 1";
        let query = sqlx::query(sqlx::AssertSqlSafe(format!("{RUN} {only}")));
        let query = query.bind(options.to_owned()).bind(Code::CoverageGap.word());
        let query = query.bind(chain.to_owned()).bind(Code::EndpointsDisagree.word());
        query.fetch_optional(&mut *connection).await?.as_ref().map(run).transpose()
    }

    /// Keeps a piece of evidence of a run.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn keep_evidence(
        &self,
        seq: u64,
        chain: &str,
        piece: &str,
        body: &str,
    ) -> Result<(), Error> {
        let mut transaction = self.writing().await?;
        let insert = "INSERT INTO evidence (run, chain, piece, body) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (run, chain, piece) DO NOTHING";
        let insert = sqlx::query(insert).bind(whole(seq)).bind(chain.to_owned());
        let insert = insert.bind(piece.to_owned()).bind(body.to_owned());
        insert.execute(&mut *transaction).await?;
        finish(transaction).await?;
        Ok(())
    }

    /// The evidence that a run has kept of a chain, by piece.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn evidence(&self, seq: u64, chain: &str) -> Result<BTreeMap<String, String>, Error> {
        let mut connection = self.reader().await?;
        let query = "SELECT piece, body FROM evidence WHERE run = $1 AND chain = $2";
        let query = sqlx::query(query).bind(whole(seq)).bind(chain.to_owned());
        let rows = query.fetch_all(&mut *connection).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Ends a run: what it found is remembered, its evidence is let go of.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn end_run(
        &self,
        seq: u64,
        findings: &[Finding],
        ended: &Ended<'_>,
    ) -> Result<(), Error> {
        let as_of = ended.as_of.unwrap_or(ended.at);
        let mut transaction = self.writing().await?;
        for finding in findings {
            let query = sqlx::query(FOUND)
                .bind(finding.id.to_string())
                .bind(finding.code.word())
                .bind(finding.key.clone())
                .bind(finding.chain.as_ref().map(ToString::to_string))
                .bind(finding.order.as_ref().map(ToString::to_string))
                .bind(finding.deposit.as_ref().map(ToString::to_string))
                .bind(finding.case.as_ref().map(ToString::to_string))
                .bind(finding.amount.to_string())
                .bind(finding.since.map(|since| since.0))
                .bind(finding.severity.word())
                .bind(row::printable(&finding.what))
                .bind(whole(seq))
                .bind(as_of.0);
            query.execute(&mut *transaction).await?;
            let sighting = sqlx::query(SIGHTING)
                .bind(finding.id.to_string())
                .bind(whole(seq))
                .bind(finding.severity.word())
                .bind(finding.amount.to_string())
                .bind(row::printable(&finding.what));
            sighting.execute(&mut *transaction).await?;
        }
        if ended.whole {
            let gone = "UPDATE discrepancies SET state = 'gone' \
                WHERE last_run < $1 AND state IN ('open', 'acknowledged')";
            sqlx::query(gone).bind(whole(seq)).execute(&mut *transaction).await?;
        }
        let done = "UPDATE runs SET state = 'done', ended = $2, as_of = $3, ledger_seq = $4, \
            code = $5, summary = $6 WHERE seq = $1";
        let done = sqlx::query(done)
            .bind(whole(seq))
            .bind(ended.at.0)
            .bind(ended.as_of.map(|as_of| as_of.0))
            .bind(whole(ended.ledger_seq))
            .bind(i64::from(ended.code))
            .bind(ended.summary.to_owned());
        done.execute(&mut *transaction).await?;
        // One of everything makes those needless that were killed before.
        let needless = match ended.whole {
            true => "DELETE FROM evidence WHERE run <= $1",
            false => "DELETE FROM evidence WHERE run = $1",
        };
        sqlx::query(needless).bind(whole(seq)).execute(&mut *transaction).await?;
        finish(transaction).await?;
        Ok(())
    }

    /// The discrepancies of all runs, by code and key; only those that are not over where `open`.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn discrepancies(&self, open: bool) -> Result<Vec<Discrepancy>, Error> {
        let mut connection = self.reader().await?;
        let only = if open { "WHERE state IN ('open', 'acknowledged')" } else { "" };
        let query = format!("{DISCREPANCY} {only} ORDER BY code, key LIMIT $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(MOST);
        query.fetch_all(&mut *connection).await?.iter().map(discrepancy).collect()
    }

    /// Marks a discrepancy; false where there is no such one.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn mark(
        &self,
        id: &FindingId,
        mark: Mark,
        by: &str,
        why: &str,
        now: Time,
    ) -> Result<bool, Error> {
        let mut transaction = self.writing().await?;
        // Two persons at once do not give their words one number.
        sqlx::query(LOCK).bind(0i64).fetch_one(&mut *transaction).await?;
        let update = "UPDATE discrepancies SET state = $2, at_severity = severity, \
            at_amount = amount, marked_by = $3, why = $4, marked_at = $5 WHERE id = $1";
        let update = sqlx::query(update)
            .bind(id.to_string())
            .bind(mark.word())
            .bind(by.to_owned())
            .bind(why.to_owned())
            .bind(now.0);
        let changed = update.execute(&mut *transaction).await?.rows_affected();
        let said = "INSERT INTO marks (seq, id, state, severity, marked_by, why, at) \
            SELECT (SELECT coalesce(max(seq), 0) + 1 FROM marks), id, state, severity, marked_by, \
            why, marked_at FROM discrepancies WHERE id = $1";
        sqlx::query(said).bind(id.to_string()).execute(&mut *transaction).await?;
        finish(transaction).await?;
        Ok(changed > 0)
    }

    /// The billing service has acknowledged every event through number `through`, and with them the
    /// head of the log that the newest of them told. How far it is acknowledged now: it does not go
    /// back.
    ///
    /// # Errors
    /// As [`Self::begin_run`].
    pub async fn acknowledge(&self, through: u64) -> Result<u64, Error> {
        let mut transaction = self.writing().await?;
        let update = "UPDATE acknowledged SET through = $1, \
            size = (SELECT size FROM tree_heads WHERE event <= $1 ORDER BY event DESC LIMIT 1), \
            root = (SELECT root FROM tree_heads WHERE event <= $1 ORDER BY event DESC LIMIT 1) \
            WHERE through < $1";
        sqlx::query(update).bind(whole(through)).execute(&mut *transaction).await?;
        let query = "SELECT through FROM acknowledged";
        let through: i64 = sqlx::query(query).fetch_one(&mut *transaction).await?.try_get(0)?;
        finish(transaction).await?;
        Ok(u64::try_from(through).unwrap_or(0))
    }
}

const SIGHTING: &str = "INSERT INTO sightings (id, run, severity, amount, what) \
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id, run) DO NOTHING";
pub(crate) const RUN: &str = "SELECT seq, began, options, ended, as_of, code, summary FROM runs";
const DISCREPANCY: &str = "SELECT id, code, key, severity, what, amount, first_run, first_as_of, \
    last_run, last_as_of, state, at_severity, marked_by, why, \
    at_amount, case_id FROM discrepancies";
const FOUND: &str = "INSERT INTO discrepancies (id, code, key, chain, order_id, deposit, case_id, \
    amount, since, severity, what, first_run, first_as_of, last_run, last_as_of, state) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $12, $13, 'open') \
    ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, since = excluded.since, \
    severity = excluded.severity, what = excluded.what, last_run = excluded.last_run, \
    last_as_of = excluded.last_as_of, state = CASE WHEN discrepancies.state = 'acknowledged' \
    THEN 'acknowledged' ELSE 'open' END \
    WHERE excluded.last_run > discrepancies.last_run";

pub(crate) fn run(row: &AnyRow) -> Result<Run, Error> {
    let (code, seq): (Option<i64>, i64) = (row.try_get(5)?, row.try_get(0)?);
    let (ended, as_of): (Option<i64>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Run {
        seq: u64::try_from(seq).unwrap_or(0),
        began: Time(row.try_get(1)?),
        options: row.try_get(2)?,
        ended: ended.map(Time),
        as_of: as_of.map(Time),
        code: code.and_then(|code| u8::try_from(code).ok()),
        summary: row.try_get(6)?,
    })
}

fn discrepancy(row: &AnyRow) -> Result<Discrepancy, Error> {
    let id: String = row.try_get(0)?;
    let broken = |column| Error::Broken {
        table: "discrepancies",
        column,
        row: id.clone(),
        why: "does not parse".to_owned(),
    };
    let text = |at: usize| -> Result<String, Error> { Ok(row.try_get(at)?) };
    let number = |at: usize| -> Result<i64, Error> { Ok(row.try_get(at)?) };
    let seq = |at: usize| -> Result<u64, Error> { Ok(u64::try_from(number(at)?).unwrap_or(0)) };
    let at_severity: Option<String> = row.try_get(11)?;
    let at_amount: Option<String> = row.try_get(14)?;
    let (by, why): (Option<String>, Option<String>) = (row.try_get(12)?, row.try_get(13)?);
    Ok(Discrepancy {
        id: FindingId::parse(&id).ok_or_else(|| broken("id"))?,
        code: Code::parse(&text(1)?).ok_or_else(|| broken("code"))?,
        key: text(2)?,
        of_case: row.try_get::<Option<String>, _>(15)?.is_some(),
        severity: Severity::parse(&text(3)?).ok_or_else(|| broken("severity"))?,
        what: text(4)?,
        amount: text(5)?.parse().map_err(|_| broken("amount"))?,
        first: (seq(6)?, Time(number(7)?)),
        last: (seq(8)?, Time(number(9)?)),
        mark: Mark::parse(&text(10)?).ok_or_else(|| broken("state"))?,
        at_severity: at_severity.and_then(|word| Severity::parse(&word)),
        at_amount: at_amount.and_then(|text| text.parse().ok()),
        by: by.zip(why),
    })
}

pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
