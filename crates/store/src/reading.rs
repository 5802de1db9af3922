//! One state of the books, read from end to end a page at a time.
//!
//! In: where the last page ended. Out: the next page, of the same state as the first.
//! Never: more than a page in memory; a row of a later commit.
//! Why: a statement of the books must be of one moment, while the daemon goes on.

use payments::chain::Cursor;
use payments::ledger::{Account, Asset, Journal, Sides};
use payments::merkle::{TreeHash, TreeHead};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Transaction};

use crate::engine::Engine;
use crate::error::Error;
use crate::load;
use crate::query::{numbered, page};
use crate::row::Fields;
use crate::sql::{Binds, Link, PACKED_END, packed};
use crate::{Store, finish, outbox};

/// One state of the books. Others write meanwhile; what they write is not seen.
pub struct Reading {
    store: Store,
    transaction: Transaction<'static, Any>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Reading({:?})", self.store)
    }
}

/// How far the books are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The number of journals.
    pub journals: u64,
    /// The number of events.
    pub events: u64,
    /// The peaks of the log of journals, as `payments::merkle::Frontier` writes them.
    pub log_peaks: String,
    /// The root of the log of journals.
    pub log_root: TreeHash,
}

/// A line of a balance: an account and one asset of it.
pub type Balance = (Account, Asset, Sides);

impl Store {
    /// The books as they are now, to be read whole.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn read(&self) -> Result<Reading, Error> {
        let transaction = self.reading().await?;
        Ok(Reading { store: self.clone(), transaction })
    }
}

impl Reading {
    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    pub(crate) fn link(&mut self) -> Link<'_> {
        self.store.link(&mut self.transaction)
    }

    /// Asks a query that goes over whole tables, and reads them from end to end. A page is found
    /// by an index instead: of tables that are new nothing is known, and then a list of keys looks
    /// as if it named every row.
    pub(crate) async fn over_all(&mut self, query: &'static str) -> Result<Vec<AnyRow>, Error> {
        self.set("SET LOCAL enable_seqscan = on").await?;
        let rows = sqlx::query(query).fetch_all(&mut *self.transaction).await?;
        self.set("SET LOCAL enable_seqscan = off").await?;
        Ok(rows)
    }

    async fn set(&mut self, setting: &'static str) -> Result<(), Error> {
        if self.store.engine == Engine::Postgres {
            sqlx::raw_sql(setting).execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn end(self) -> Result<(), Error> {
        finish(self.transaction).await
    }

    /// How far the books are sealed.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says; so with every
    /// question here.
    pub async fn sealed(&mut self) -> Result<Sealed, Error> {
        let columns = ["c.sealed_journals", "c.sealed_events", "c.log_peaks", "c.log_root"];
        let mut sealed = None;
        let text = packed(&columns, "FROM counters AS c") + PACKED_END;
        self.link()
            .select(text, Binds::default(), |line| {
                let mut fields = Fields::new("counters", line);
                sealed = Some(Sealed {
                    journals: fields.parse("sealed_journals", |text| text.parse().ok())?,
                    events: fields.parse("sealed_events", |text| text.parse().ok())?,
                    log_peaks: fields.text("log_peaks")?.to_owned(),
                    log_root: fields.parse("log_root", TreeHash::parse)?,
                });
                Ok(())
            })
            .await?;
        sealed.ok_or_else(|| Error::Broken {
            table: "counters",
            column: "one",
            row: "1".to_owned(),
            why: "is not there".to_owned(),
        })
    }

    /// At most `limit` journals after number `after`, with their numbers.
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub async fn journals(&mut self, after: u64, limit: u32) -> Result<Vec<(u64, Journal)>, Error> {
        let binds = page(after, limit)?;
        let (condition, end) = ("WHERE j.seq > $1", "ORDER BY j.seq LIMIT $2");
        let found = load::journals_where(&mut self.link(), condition, end, binds).await?;
        Ok(numbered(found))
    }

    /// How far every chain is recorded, by name.
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub async fn cursors(&mut self) -> Result<Vec<Cursor>, Error> {
        load::cursors(&mut self.link()).await
    }

    /// At most `limit` recorded heads of the log of more than `after` journals, smallest first,
    /// each with the number of the event that tells it.
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub async fn heads(&mut self, after: u64, limit: u32) -> Result<Vec<(TreeHead, u64)>, Error> {
        let from = "FROM (SELECT * FROM tree_heads WHERE size > $1 ORDER BY size LIMIT $2) AS h";
        let mut heads = Vec::new();
        let text = packed(&["h.size", "h.root", "h.event"], from) + PACKED_END;
        self.link()
            .select(text, page(after, limit)?, |line| {
                let mut fields = Fields::new("tree_heads", line);
                let head = outbox::head(&mut fields)?;
                let event = fields.parse("event", |text| text.parse().ok())?;
                heads.extend(head.map(|head| (head, event)));
                Ok(())
            })
            .await?;
        heads.sort_unstable_by_key(|(head, _)| head.size);
        Ok(heads)
    }

    /// At most `limit` balances after `after`, in the order of the texts of account and asset.
    ///
    /// # Errors
    /// As [`Self::sealed`].
    pub async fn balances(
        &mut self,
        after: Option<&Balance>,
        limit: u32,
    ) -> Result<Vec<Balance>, Error> {
        let from = "FROM (SELECT * FROM balances WHERE (account, asset) > ($1, $2) \
            ORDER BY account, asset LIMIT $3) AS b";
        let text_of = |part: Option<String>| part.unwrap_or_default();
        let mut binds = Binds::default();
        binds.text(text_of(after.map(|(account, ..)| account.to_string())))?;
        binds.text(text_of(after.map(|(_, asset, _)| asset.to_string())))?;
        binds.int(i64::from(limit))?;
        let columns = ["b.account", "b.asset", "b.debits", "b.credits"];
        let mut balances = Vec::new();
        self.link()
            .select(packed(&columns, from) + PACKED_END, binds, |line| {
                let mut fields = Fields::new("balances", line);
                balances.push((
                    fields.parse("account", Account::parse)?,
                    fields.parse("asset", Asset::parse)?,
                    Sides {
                        debits: fields.int("debits")?.into(),
                        credits: fields.int("credits")?.into(),
                    },
                ));
                Ok(())
            })
            .await?;
        balances.sort_by_cached_key(|(account, asset, _)| (account.to_string(), asset.to_string()));
        Ok(balances)
    }
}
