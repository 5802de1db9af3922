//! The feed of events, in the order in which they were committed.
//!
//! In: the sequence number last seen. Out: what comes after it, without a gap.
//! Never: an event of a commit that is not durable.
//! Why: a reader that remembers one number misses nothing and needs no other memory.

use payments::case::CaseId;
use payments::deposit::DepositId;
use payments::event::EventKind;
use payments::merkle::{TreeHash, TreeHead};
use payments::name::{ChainName, OrderId};
use payments::time::Time;
use sha2::{Digest, Sha256};

use crate::Store;
use crate::error::Error;
use crate::row::{self, Fields};
use crate::sql::{Binds, PACKED_END, packed};

/// A committed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Gapless, from 1.
    pub seq: u64,
    /// `evt_<seq>_<digest of the event>`. The digest tells an event from the one that had its
    /// number before a backup was restored.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// When it was recorded.
    pub at: Time,
    /// The chain it concerns.
    pub chain: Option<ChainName>,
    /// The order it concerns.
    pub order: Option<OrderId>,
    /// The deposit it concerns.
    pub deposit: Option<DepositId>,
    /// The case it concerns.
    pub case: Option<CaseId>,
    /// Further facts, a JSON object of texts.
    pub data: String,
    /// With the last event of a commit that wrote journals: the head of their log after it. Who
    /// keeps the newest of these is a witness of every journal before.
    pub head: Option<TreeHead>,
}

const COLUMNS: [&str; 10] = [
    "v.seq",
    "v.kind",
    "v.at",
    "v.chain",
    "v.order_id",
    "d.id",
    "v.case_id",
    "v.data",
    "h.size",
    "h.root",
];

impl Store {
    /// At most `limit` events after number `after`, in order.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn events(&self, after: u64, limit: u32) -> Result<Vec<Told>, Error> {
        let mut binds = Binds::default();
        binds.int(i64::try_from(after).unwrap_or(i64::MAX))?;
        binds.int(i64::from(limit))?;
        self.told("SELECT * FROM events WHERE seq > $1 ORDER BY seq LIMIT $2", binds).await
    }

    /// The newest events about an order, at most `limit`, in order.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub async fn events_of(&self, order: &OrderId, limit: u32) -> Result<Vec<Told>, Error> {
        let mut binds = Binds::default();
        binds.text(order.to_string())?;
        binds.int(i64::from(limit))?;
        let newest = "SELECT * FROM (\
            SELECT * FROM events WHERE order_id = $1 AND deposit IS NULL \
            UNION ALL SELECT * FROM events WHERE order_id = $1 AND deposit IN \
                (SELECT seq FROM deposits WHERE order_id = $1)) AS e \
            ORDER BY seq DESC LIMIT $2";
        self.told(newest, binds).await
    }

    /// What was told when the deposits of an order were found final, for it or for whom they first
    /// came to: one event a deposit, and one more for each reorg that it outlived.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub async fn finals_of(&self, order: &OrderId) -> Result<Vec<Told>, Error> {
        let mut binds = Binds::default();
        binds.text(order.to_string())?;
        binds.text(EventKind::DepositConfirmed.word().to_owned())?;
        let finals = "SELECT * FROM events WHERE kind = $2 AND deposit IN (\
            SELECT seq FROM deposits WHERE order_id = $1 UNION \
            SELECT j.deposit FROM deposits AS d JOIN journals AS j ON j.key = 'deposit:' || d.id \
            WHERE d.order_id = $1 AND d.assigned_by IS NOT NULL)";
        self.told(finals, binds).await
    }

    /// The newest events about a deposit that no order owns, at most `limit`, in order.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub async fn events_of_nobody(&self, id: &DepositId, limit: u32) -> Result<Vec<Told>, Error> {
        let mut binds = Binds::default();
        binds.text(id.to_string())?;
        binds.int(i64::from(limit))?;
        let newest = "SELECT * FROM events WHERE order_id IS NULL AND deposit IN \
            (SELECT seq FROM deposits WHERE order_id IS NULL AND id = $1) \
            ORDER BY seq DESC LIMIT $2";
        self.told(newest, binds).await
    }

    async fn told(&self, select: &str, binds: Binds) -> Result<Vec<Told>, Error> {
        let from = format!(
            "FROM ({select}) AS v LEFT JOIN deposits AS d ON d.seq = v.deposit \
             LEFT JOIN tree_heads AS h ON h.event = v.seq"
        );
        let mut events = Vec::new();
        let mut connection = self.reader().await?;
        self.link(&mut connection)
            .select(packed(&COLUMNS, &from) + PACKED_END, binds, |line| {
                events.push(told(line)?);
                Ok(())
            })
            .await?;
        events.sort_unstable_by_key(|event| event.seq);
        Ok(events)
    }

    /// The number of the last committed event, 0 before the first.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn last_event(&self) -> Result<u64, Error> {
        let mut last = 0;
        let mut connection = self.reader().await?;
        let text = packed(&["c.sealed_events"], "FROM counters AS c") + PACKED_END;
        self.link(&mut connection)
            .select(text, Binds::default(), |line| {
                last = Fields::new("counters", line)
                    .parse("sealed_events", |text| text.parse().ok())?;
                Ok(())
            })
            .await?;
        Ok(last)
    }
}

fn told(line: &str) -> Result<Told, Error> {
    let digest = Sha256::digest(line.as_bytes());
    let digest = payments::address::lower_hex(digest.get(..8).unwrap_or_default());
    let mut fields = Fields::new("events", line);
    let seq = fields.parse("seq", |text| text.parse().ok())?;
    Ok(Told {
        seq,
        id: format!("evt_{seq}_{digest}"),
        kind: fields.parse("kind", EventKind::parse)?,
        at: fields.parse("at", row::time)?,
        chain: fields.maybe("chain", row::chain)?,
        order: fields.maybe("order_id", row::order_id)?,
        deposit: fields.maybe("deposit", DepositId::parse)?,
        case: fields.maybe("case_id", |text| Some(CaseId(text.to_owned())))?,
        data: fields.text("data")?.to_owned(),
        head: head(&mut fields)?,
    })
}

/// A head of the log, of which both columns are NULL or neither.
pub(crate) fn head(fields: &mut Fields<'_>) -> Result<Option<TreeHead>, Error> {
    let size = fields.maybe("size", |text| text.parse().ok())?;
    let root = fields.maybe("root", TreeHash::parse)?;
    Ok(size.zip(root).map(|(size, root)| TreeHead { size, root }))
}
