//! What belongs together, read from one state of the books: orders with all that is recorded of
//! them, deposits of no order, journals of no cause at hand.
//!
//! In: where the last part ended. Out: the next part. Never: all of it in memory.
//! Why: chain and books are compared group by group.

use std::collections::BTreeMap;

use payments::address::Address;
use payments::case::Case;
use payments::chain::Cursor;
use payments::deposit::Deposit;
use payments::ledger::Journal;
use payments::name::ChainName;
use payments::order::Dossier;
use payments::outflow::Outflow;
use payments::reconcile::Group;
use payments::time::Time;
use sqlx::Row;

use crate::error::Error;
use crate::load::{self, Numbered};
use crate::outflows;
use crate::reading::Reading;
use crate::row::{self, Fields};
use crate::sql::Binds;

/// Rows of a part.
const PART: i64 = 512;

/// A deposit of no order, with what is recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unassigned {
    /// The deposit.
    pub deposit: Deposit,
    /// Its cases.
    pub cases: Vec<Case>,
    /// Its journals, oldest first.
    pub journals: Vec<Journal>,
}

impl<'a> From<&'a Unassigned> for Group<'a> {
    fn from(stored: &'a Unassigned) -> Self {
        let Unassigned { deposit, cases, journals } = stored;
        Self { order: None, deposits: std::slice::from_ref(deposit), cases, journals }
    }
}

impl Reading {
    /// The cursors of these chains, and the number of the last journal.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says; so with every part.
    pub async fn begin(
        &mut self,
        chains: &[ChainName],
    ) -> Result<(BTreeMap<ChainName, Cursor>, u64), Error> {
        let mut cursors = BTreeMap::new();
        for name in chains {
            let cursor = load::cursor(&mut self.link(), name).await?;
            cursors.insert(name.clone(), cursor);
        }
        let query = "SELECT sealed_journals FROM counters";
        let last: i64 = sqlx::query(query).fetch_one(self.connection()).await?.try_get(0)?;
        Ok((cursors, u64::try_from(last).unwrap_or(0)))
    }

    /// The oldest event that is not acknowledged with its time, and the number of the newest.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn unacknowledged(&mut self) -> Result<Option<(u64, Time, u64)>, Error> {
        let query = "SELECT v.seq, v.at, c.sealed_events FROM acknowledged AS a \
            JOIN events AS v ON v.seq = a.through + 1 CROSS JOIN counters AS c";
        let row = sqlx::query(query).fetch_optional(self.connection()).await?;
        let Some(row) = row else { return Ok(None) };
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Some((whole(row.try_get(0)?), Time(row.try_get(1)?), whole(row.try_get(2)?))))
    }

    /// The orders after the one with number `after`, as many as a part holds, and the number of
    /// the last; none at the end.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn orders(&mut self, after: u64) -> Result<Option<(Vec<Dossier>, u64)>, Error> {
        let from = "FROM (SELECT * FROM orders WHERE number > $1 ORDER BY number LIMIT $2) AS o";
        let found = load::page_of_orders(&mut self.link(), from, part(after)?).await?;
        let Some(last) = found.last().map(|(number, _)| *number) else { return Ok(None) };
        Ok(Some((found.into_iter().map(|(_, dossier)| dossier).collect(), last)))
    }

    /// The deposits of no order after number `after`, and the number of the last; none at the end.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn unassigned(
        &mut self,
        after: u64,
    ) -> Result<Option<(Vec<Unassigned>, u64)>, Error> {
        let from = "FROM (SELECT * FROM deposits WHERE order_id IS NULL AND seq > $1 \
            ORDER BY seq LIMIT $2) AS d";
        let mut link = self.link();
        let read = (row::DEPOSIT.as_slice(), from);
        let found = load::numbered(&mut link, read, part(after)?, row::deposit).await?;
        let Some(last) = found.keys().next_back().copied() else { return Ok(None) };
        let seqs: Vec<i64> = found.keys().copied().collect();
        let (cases, journals) = load::of_deposits(&mut link, &seqs).await?;
        let each = found.into_values().map(|deposit| {
            let of_case = |case: &&Case| case.deposits.contains(&deposit.id);
            let of_journal = |journal: &&Journal| journal.deposit.as_ref() == Some(&deposit.id);
            Unassigned {
                cases: cases.iter().filter(of_case).cloned().collect(),
                journals: journals.iter().filter(of_journal).cloned().collect(),
                deposit,
            }
        });
        Ok(Some((each.collect(), u64::try_from(last).unwrap_or(0))))
    }

    /// The cases after number `after` that no order and no deposit leads to: what left an address
    /// of nobody's.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn bare_cases(&mut self, after: u64) -> Result<Option<(Vec<Case>, u64)>, Error> {
        let from = "FROM (SELECT * FROM cases WHERE order_id IS NULL AND seq > $1 AND NOT EXISTS \
            (SELECT 1 FROM case_deposits AS x WHERE x.case_seq = cases.seq) \
            ORDER BY seq LIMIT $2) AS c";
        Ok(paged(load::cases_from(&mut self.link(), from, part(after)?).await?))
    }

    /// The outflows after number `after` whose blocks are part of their chain.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn outflows(&mut self, after: u64) -> Result<Option<(Vec<Outflow>, u64)>, Error> {
        let from = "FROM (SELECT * FROM outflows WHERE seq > $1 AND state <> 'orphaned' \
            ORDER BY seq LIMIT $2) AS w";
        Ok(paged(outflows::page(&mut self.link(), from, part(after)?).await?))
    }

    /// The journals after number `after` that are with neither: of no order and no deposit of
    /// nobody, of an order that is not there, or of one that nothing was ever recorded of.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn strays(&mut self, after: u64) -> Result<Option<(Vec<Journal>, u64)>, Error> {
        let from = "FROM (SELECT s.* FROM journals AS s LEFT JOIN orders AS o ON o.id = s.order_id \
            LEFT JOIN deposits AS x ON x.seq = s.deposit WHERE s.seq > $1 AND ( \
            (s.order_id IS NULL AND (x.seq IS NULL OR x.order_id IS NOT NULL)) \
            OR (s.order_id IS NOT NULL AND (o.id IS NULL OR o.version = 0))) \
            ORDER BY s.seq LIMIT $2) AS j LEFT JOIN deposits AS d ON d.seq = j.deposit";
        Ok(paged(load::journals_from(&mut self.link(), from, part(after)?).await?))
    }

    /// Our addresses that may hold something on a chain: those that were imported, whose past is
    /// not known, those with a deposit on it, and those with a custody account.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn holders(&mut self, chain: &ChainName) -> Result<Vec<Address>, Error> {
        let query = "SELECT address FROM addresses WHERE derivation_index IS NULL \
            UNION SELECT receiver FROM deposits WHERE chain = $1 \
            UNION SELECT substr(account, length(account) - 41) FROM balances \
            WHERE account > 'custody:' || $1 || ':' AND account < 'custody:' || $1 || ';'";
        let query = sqlx::query(query).bind(chain.to_string());
        let mut holders = Vec::new();
        for row in query.fetch_all(self.connection()).await? {
            let text: String = row.try_get(0)?;
            holders.push(Fields::new("addresses", &text).parse("address", row::address)?);
        }
        holders.sort_unstable();
        Ok(holders)
    }

    /// When the first order of all was made; none where there is none.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn first_order(&mut self) -> Result<Option<Time>, Error> {
        let query = "SELECT created_at FROM orders ORDER BY number LIMIT 1";
        let row = sqlx::query(query).fetch_optional(self.connection()).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(Time))
    }

    /// The height of the lowest deposit of a chain; none where there is none.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn lowest_deposit(&mut self, chain: &ChainName) -> Result<Option<u64>, Error> {
        let query = "SELECT height FROM deposits WHERE chain = $1 ORDER BY height LIMIT 1";
        let query = sqlx::query(query).bind(chain.to_string());
        let row = query.fetch_optional(self.connection()).await?;
        let height: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(height.and_then(|height| u64::try_from(height).ok()))
    }
}

/// What a page holds, and the number of its last; none where it is empty.
fn paged<T>(found: Numbered<T>) -> Option<(Vec<T>, u64)> {
    let last = found.keys().next_back().copied()?;
    Some((found.into_values().collect(), u64::try_from(last).unwrap_or(0)))
}

fn part(after: u64) -> Result<Binds, Error> {
    let mut binds = Binds::default();
    binds.int(i64::try_from(after).unwrap_or(i64::MAX))?;
    binds.int(PART)?;
    Ok(binds)
}
