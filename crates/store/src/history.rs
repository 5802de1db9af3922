//! What is remembered of reconciliations: runs, what each found, what people said.
//!
//! In: a run, a discrepancy. Out: its sightings and marks, in their order.
//! Never: a change. Why: "what is new since yesterday, and who said that this is fine?"

use payments::merkle::{TreeHash, TreeHead};
use payments::reconcile::{Code, FindingId, Severity};
use payments::time::Time;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::Store;
use crate::error::Error;
use crate::runs::{Mark, RUN, Run, run, whole};

/// A discrepancy as one run found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The run.
    pub run: u64,
    /// What that run was as of.
    pub as_of: Option<Time>,
    /// Who it is.
    pub id: FindingId,
    /// What it is.
    pub code: Code,
    /// What it is about.
    pub key: String,
    /// How bad it was.
    pub severity: Severity,
    /// What was at stake, in millionths.
    pub amount: i128,
    /// What the run said.
    pub what: String,
}

/// What a person said of a discrepancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What is done about it.
    pub mark: Mark,
    /// How bad it was then.
    pub severity: Severity,
    /// Who said so.
    pub by: String,
    /// Why, in words.
    pub why: String,
    /// When.
    pub at: Time,
}

const SIGHTINGS: &str = "SELECT s.run, r.as_of, s.id, d.code, d.key, s.severity, s.amount, s.what \
    FROM sightings AS s JOIN runs AS r ON r.seq = s.run JOIN discrepancies AS d ON d.id = s.id";

impl Store {
    /// The newest runs, at most `limit`, the newest first.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says; so with everything
    /// here.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>, Error> {
        let query = format!("{RUN} ORDER BY seq DESC LIMIT $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(i64::from(limit));
        let mut connection = self.reader().await?;
        query.fetch_all(&mut *connection).await?.iter().map(run).collect()
    }

    /// What a run found, by code and key.
    ///
    /// # Errors
    /// As [`Self::runs`].
    pub async fn found_by(&self, run: u64) -> Result<Vec<Sighting>, Error> {
        let query = format!("{SIGHTINGS} WHERE s.run = $1 ORDER BY d.code, d.key");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(whole(run));
        let mut connection = self.reader().await?;
        query.fetch_all(&mut *connection).await?.iter().map(sighting).collect()
    }

    /// The newest runs that found a discrepancy, at most `limit`, the newest first.
    ///
    /// # Errors
    /// As [`Self::runs`].
    pub async fn sightings(&self, id: &FindingId, limit: u32) -> Result<Vec<Sighting>, Error> {
        let query = format!("{SIGHTINGS} WHERE s.id = $1 ORDER BY s.run DESC LIMIT $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(query));
        let query = query.bind(id.to_string()).bind(i64::from(limit));
        let mut connection = self.reader().await?;
        query.fetch_all(&mut *connection).await?.iter().map(sighting).collect()
    }

    /// What people said of a discrepancy, the first first.
    ///
    /// # Errors
    /// As [`Self::runs`].
    pub async fn said_of(&self, id: &FindingId) -> Result<Vec<Said>, Error> {
        let query = "SELECT state, severity, marked_by, why, at FROM marks WHERE id = $1 \
            ORDER BY seq";
        let query = sqlx::query(query).bind(id.to_string());
        let mut connection = self.reader().await?;
        let said = |row: &AnyRow| {
            let (mark, severity): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Said {
                mark: Mark::parse(&mark).ok_or_else(|| broken("marks", "state", id))?,
                severity: Severity::parse(&severity)
                    .ok_or_else(|| broken("marks", "severity", id))?,
                by: row.try_get(2)?,
                why: row.try_get(3)?,
                at: Time(row.try_get(4)?),
            })
        };
        query.fetch_all(&mut *connection).await?.iter().map(said).collect()
    }

    /// The newest head of the log that was told by event `through` or before it; none where no
    /// journal was written until then.
    ///
    /// # Errors
    /// As [`Self::runs`].
    pub async fn head_told(&self, through: u64) -> Result<Option<TreeHead>, Error> {
        let query = "SELECT size, root FROM tree_heads WHERE event <= $1 \
            ORDER BY event DESC LIMIT 1";
        let query = sqlx::query(query).bind(whole(through));
        let mut connection = self.reader().await?;
        query.fetch_optional(&mut *connection).await?.as_ref().map(head).transpose()
    }

    /// Through which event the billing service has acknowledged what it was told, and the head of
    /// the log that it was told with them.
    ///
    /// # Errors
    /// As [`Self::runs`].
    pub async fn acknowledged(&self) -> Result<(u64, Option<TreeHead>), Error> {
        acknowledged(&mut *self.reader().await?).await
    }
}

/// As [`Store::acknowledged`], of the books that `connection` sees.
pub(crate) async fn acknowledged(
    connection: &mut AnyConnection,
) -> Result<(u64, Option<TreeHead>), Error> {
    let query = "SELECT size, root, through FROM acknowledged";
    let row = sqlx::query(query).fetch_one(connection).await?;
    let size: Option<i64> = row.try_get(0)?;
    let head = size.map(|_| head(&row)).transpose()?;
    let through: i64 = row.try_get(2)?;
    Ok((u64::try_from(through).unwrap_or(0), head))
}

fn head(row: &AnyRow) -> Result<TreeHead, Error> {
    let (size, root): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let root = TreeHash::parse(&root).ok_or_else(|| broken("tree_heads", "root", size))?;
    Ok(TreeHead { size: u64::try_from(size).unwrap_or(0), root })
}

fn sighting(row: &AnyRow) -> Result<Sighting, Error> {
    let id: String = row.try_get(2)?;
    let wrong = |column| broken("sightings", column, &id);
    let text = |at: usize| -> Result<String, Error> { Ok(row.try_get(at)?) };
    let (seq, as_of): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Sighting {
        run: u64::try_from(seq).unwrap_or(0),
        as_of: as_of.map(Time),
        id: FindingId::parse(&id).ok_or_else(|| wrong("id"))?,
        code: Code::parse(&text(3)?).ok_or_else(|| wrong("code"))?,
        key: text(4)?,
        severity: Severity::parse(&text(5)?).ok_or_else(|| wrong("severity"))?,
        amount: text(6)?.parse().map_err(|_| wrong("amount"))?,
        what: text(7)?,
    })
}

fn broken(table: &'static str, column: &'static str, row: impl ToString) -> Error {
    Error::Broken { table, column, row: row.to_string(), why: "does not parse".to_owned() }
}
