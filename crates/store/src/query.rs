//! What commands ask of the books.
//!
//! In: an id, a filter, a page. Out: values, or `None` where there is nothing.
//! Never: a list without a limit. Why: a support question must not stop the watcher.

use std::collections::BTreeMap;

use payments::address::Address;
use payments::case::{Case, CaseId};
use payments::chain::{Cursor, TxHash};
use payments::deposit::{Deposit, DepositId};
use payments::ledger::{Account, Asset, Balances, Entry, Journal, Sides};
use payments::name::{ChainName, CustomerId, OrderId};
use payments::order::Dossier;

use crate::error::Error;
use crate::load::{self, Numbered};
use crate::point;
use crate::row::{self, Fields, hex};
use crate::sql::{Binds, Link, PACKED_END, packed};
use crate::{Store, finish};

/// Which facts an order has. A status is computed from more than these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Neither paid nor expired nor cancelled.
    Open,
    /// Covered at some time.
    Paid,
    /// Found expired, and not paid.
    Expired,
    /// Taken back, and not paid.
    Cancelled,
}

/// Which orders to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only those of this customer.
    pub customer: Option<CustomerId>,
    /// Only those of this chain.
    pub chain: Option<ChainName>,
    /// Only those with these facts.
    pub standing: Option<Standing>,
}

/// What a chain was found to be when it was first connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// The chain.
    pub chain: ChainName,
    /// The chain id that the node told.
    pub chain_id: String,
    /// The hash of its genesis block.
    pub genesis: String,
    /// The configured token contract.
    pub token: Address,
    /// The decimals that the contract told.
    pub decimals: u8,
}

/// A line of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLine {
    /// The number of its journal.
    pub journal: u64,
    /// Its place in the journal, from 0.
    pub line: u64,
    /// The natural key of the journal.
    pub key: String,
    /// When the journal took effect.
    pub effective: payments::time::Time,
    /// The movement.
    pub entry: Entry,
}

/// What a search term names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An order.
    Order(OrderId),
    /// A deposit.
    Deposit(DepositId),
    /// An address of ours and the order that owns it, if one does.
    Address(Address, Option<OrderId>),
    /// A case.
    Case(CaseId),
}

impl Store {
    /// An order with everything recorded about it.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says; so with every
    /// query here.
    pub async fn order(&self, id: &OrderId) -> Result<Option<Dossier>, Error> {
        let mut transaction = self.reading().await?;
        let mut link = self.link(&mut transaction);
        let mut dossiers = BTreeMap::new();
        load::orders(&mut link, std::slice::from_ref(id), |dossier, _| {
            dossiers.insert(dossier.order.id.clone(), dossier);
        })
        .await?;
        load::fill(&mut link, &mut dossiers).await?;
        finish(transaction).await?;
        Ok(dossiers.remove(id))
    }

    /// At most `limit` orders made after the one with number `after` (0: from the first), with
    /// their numbers, in the order in which they were made.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Dossier)>, Error> {
        let facts = match filter.standing {
            None => "",
            Some(Standing::Open) => " AND paid IS NULL AND expired IS NULL AND cancelled IS NULL",
            Some(Standing::Paid) => " AND paid IS NOT NULL",
            Some(Standing::Expired) => " AND paid IS NULL AND expired IS NOT NULL",
            Some(Standing::Cancelled) => " AND paid IS NULL AND cancelled IS NOT NULL",
        };
        let customer = if filter.customer.is_some() { " AND customer = $3" } else { "" };
        let chain = if filter.chain.is_some() { " AND chain = $4" } else { "" };
        // The casts give the parameters a type where the conditions that use them are left out.
        let from = format!(
            "FROM (SELECT * FROM orders WHERE number > $1 \
             AND (CAST($3 AS TEXT) IS NULL OR CAST($4 AS TEXT) IS NULL OR TRUE){customer}{chain}\
             {facts} ORDER BY number LIMIT $2) AS o"
        );
        let mut binds = page(after, limit)?;
        binds.text_or_null(filter.customer.as_ref().map(ToString::to_string))?;
        binds.text_or_null(filter.chain.as_ref().map(ToString::to_string))?;
        let mut transaction = self.reading().await?;
        let mut link = self.link(&mut transaction);
        let found = load::page_of_orders(&mut link, &from, binds).await?;
        finish(transaction).await?;
        Ok(found)
    }

    /// The newest orders of a customer, at most `limit`, the newest first.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn newest_orders(
        &self,
        customer: &CustomerId,
        limit: u32,
    ) -> Result<Vec<Dossier>, Error> {
        let from = "FROM (SELECT * FROM orders WHERE customer = $1 \
            ORDER BY number DESC LIMIT $2) AS o";
        let mut binds = Binds::default();
        binds.text(customer.to_string())?;
        binds.int(i64::from(limit))?;
        let mut transaction = self.reading().await?;
        let found = load::page_of_orders(&mut self.link(&mut transaction), from, binds).await?;
        finish(transaction).await?;
        Ok(found.into_iter().rev().map(|(_, dossier)| dossier).collect())
    }

    /// The recorded deposits of a transaction, on whatever chain it is.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn deposits_of_tx(&self, tx: &TxHash) -> Result<Vec<Deposit>, Error> {
        let from = "FROM deposits AS d WHERE d.seq IN (SELECT j.deposit FROM chains AS c \
            JOIN journals AS j ON j.key > 'deposit:' || c.name || ':' || $1 || ':' \
            AND j.key < 'deposit:' || c.name || ':' || $1 || ';' UNION \
            SELECT p.seq FROM chains AS c JOIN deposits AS p \
            ON p.id > c.name || ':' || $1 || ':' AND p.id < c.name || ':' || $1 || ';' \
            AND (p.state NOT IN ('confirmed', 'credited') OR p.amount = 0) UNION \
            SELECT p.seq FROM chains AS c JOIN deposits AS p \
            ON p.id > c.name || ':' || $1 || ':' AND p.id < c.name || ':' || $1 || ';' \
            AND p.assigned_by IS NOT NULL)";
        let mut binds = Binds::default();
        binds.text(tx.to_string())?;
        self.deposits(from, binds).await
    }

    /// The recorded deposits to an address.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn deposits_to(&self, address: &Address) -> Result<Vec<Deposit>, Error> {
        let from = "FROM (SELECT p.* FROM addresses AS a JOIN deposits AS p \
            ON p.order_id = a.order_id WHERE a.address = $1 UNION \
            SELECT * FROM deposits WHERE order_id IS NULL AND receiver = $1) AS d";
        let mut binds = Binds::default();
        binds.text(hex(&address.0))?;
        self.deposits(from, binds).await
    }

    async fn deposits(&self, from: &str, binds: Binds) -> Result<Vec<Deposit>, Error> {
        let mut connection = self.reader().await?;
        let read = (row::DEPOSIT.as_slice(), from);
        let mut link = self.link(&mut connection);
        Ok(load::numbered(&mut link, read, binds, row::deposit).await?.into_values().collect())
    }

    /// A case with its number.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn case(&self, id: &CaseId) -> Result<Option<(u64, Case)>, Error> {
        let mut binds = Binds::default();
        binds.text(id.0.clone())?;
        Ok(self.cases_where("FROM cases AS c WHERE c.id = $1", binds).await?.pop())
    }

    pub(crate) async fn cases_where(
        &self,
        from: &str,
        binds: Binds,
    ) -> Result<Vec<(u64, Case)>, Error> {
        let mut transaction = self.reading().await?;
        let found = load::cases_from(&mut self.link(&mut transaction), from, binds).await?;
        finish(transaction).await?;
        Ok(numbered(found))
    }

    /// The journal with this natural key, with its number.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn journal(&self, key: &str) -> Result<Option<(u64, Journal)>, Error> {
        let mut binds = Binds::default();
        binds.text(key.to_owned())?;
        Ok(self.journals_where("WHERE j.key = $1", "", binds).await?.pop())
    }

    /// At most `limit` journals after number `after`, with their numbers.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn journals(&self, after: u64, limit: u32) -> Result<Vec<(u64, Journal)>, Error> {
        let binds = page(after, limit)?;
        self.journals_where("WHERE j.seq > $1", "ORDER BY j.seq LIMIT $2", binds).await
    }

    async fn journals_where(
        &self,
        condition: &str,
        end: &str,
        binds: Binds,
    ) -> Result<Vec<(u64, Journal)>, Error> {
        let mut transaction = self.reading().await?;
        let mut link = self.link(&mut transaction);
        let found = load::journals_where(&mut link, condition, end, binds).await?;
        finish(transaction).await?;
        Ok(numbered(found))
    }

    /// The balances of all accounts whose text begins with `prefix`, at most `limit` of them, in
    /// the order of their texts, after the account `after`; of each account all its assets.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn balances(&self, prefix: &str, after: &str, limit: u32) -> Result<Balances, Error> {
        let from = "FROM balances AS b WHERE b.account IN (SELECT DISTINCT account FROM balances \
            WHERE account >= $1 AND account < $2 AND account > $3 ORDER BY account LIMIT $4)";
        let mut binds = Binds::default();
        binds.text(row::printable(prefix))?;
        binds.text(format!("{}\u{10ffff}", row::printable(prefix)))?;
        binds.text(row::printable(after))?;
        binds.int(i64::from(limit))?;
        let mut balances = Balances::default();
        let mut connection = self.reader().await?;
        let columns = ["b.account", "b.asset", "b.debits", "b.credits"];
        self.link(&mut connection)
            .select(packed(&columns, from) + PACKED_END, binds, |line| {
                let mut fields = Fields::new("balances", line);
                let account = fields.parse("account", Account::parse)?;
                let asset = fields.parse("asset", Asset::parse)?;
                let debits = i128::from(fields.int("debits")?);
                let credits = i128::from(fields.int("credits")?);
                balances.0.insert((asset, account), Sides { debits, credits });
                Ok(())
            })
            .await?;
        Ok(balances)
    }

    /// At most `limit` lines of an account after the line at `after` (journal and line; none:
    /// from the first), in the order of the ledger.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn entries(
        &self,
        account: &Account,
        after: Option<(u64, u64)>,
        limit: u32,
    ) -> Result<Vec<EntryLine>, Error> {
        let from = format!(
            "FROM (SELECT entries.*, journals.key, journals.effective FROM entries \
             JOIN journals ON journals.seq = entries.journal \
             WHERE (entries.debit = $1 OR entries.credit = $1) \
             AND (entries.journal, entries.line) > ($2, $3) {} \
             ORDER BY entries.journal, entries.line LIMIT $4) AS e",
            narrowed(account)
        );
        let (journal, line) = match after {
            None => (0, 0),
            Some((journal, line)) => (
                row::signed("entries", "journal", journal, journal)?,
                row::signed("entries", "line", journal, line)?,
            ),
        };
        let mut binds = Binds::default();
        binds.text(account.to_string())?;
        binds.int(journal)?;
        binds.int(line)?;
        binds.int(i64::from(limit))?;
        let columns: Vec<&str> = row::ENTRY.into_iter().chain(["e.effective", "e.key"]).collect();
        let mut lines = Vec::new();
        let mut connection = self.reader().await?;
        self.link(&mut connection)
            .select(packed(&columns, &from) + PACKED_END, binds, |text| {
                let (journal, line, entry) = row::entry(text)?;
                let mut fields = Fields::new("entries", text);
                row::ENTRY.iter().try_for_each(|_| fields.text("entry").map(|_| ()))?;
                let effective = fields.parse("effective", row::time)?;
                let key = fields.text("key")?.to_owned();
                let (journal, line) = (number(journal), number(line));
                lines.push(EntryLine { journal, line, key, effective, entry });
                Ok(())
            })
            .await?;
        lines.sort_unstable_by_key(|line| (line.journal, line.line));
        Ok(lines)
    }

    /// How far every chain is recorded.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn cursors(&self) -> Result<Vec<Cursor>, Error> {
        let mut transaction = self.reading().await?;
        let mut link = self.link(&mut transaction);
        let cursors = load::cursors(&mut link).await?;
        finish(transaction).await?;
        Ok(cursors)
    }

    /// Keeps what a chain was found to be, once for ever. What is kept: these facts, or the ones
    /// that were kept before, for the caller to compare.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn pin(&self, pins: &Pins) -> Result<Pins, Error> {
        let insert = "INSERT INTO pins (chain, chain_id, genesis, token, decimals) \
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (chain) DO NOTHING";
        let mut binds = Binds::default();
        binds.text(pins.chain.to_string())?;
        binds.text(row::printable(&pins.chain_id))?;
        binds.text(row::printable(&pins.genesis))?;
        binds.text(hex(&pins.token.0))?;
        binds.int(i64::from(pins.decimals))?;
        let mut transaction = self.writing().await?;
        let mut link = self.link(&mut transaction);
        link.run(insert, binds).await?;
        let kept = read_pins(&mut link, &pins.chain).await?;
        finish(transaction).await?;
        point!("pins.written");
        Ok(kept.unwrap_or_else(|| pins.clone()))
    }

    /// What a chain was found to be when it was first connected to.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn pins(&self, chain: &ChainName) -> Result<Option<Pins>, Error> {
        let mut connection = self.reader().await?;
        read_pins(&mut self.link(&mut connection), chain).await
    }

    /// What a term names: an order, a case, an address in either spelling, a transaction on any
    /// chain with or without `0x`, a deposit.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn find(&self, term: &str) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        if let Ok(id) = OrderId::new(term)
            && let Some(dossier) = self.order(&id).await?
        {
            found.push(Found::Order(dossier.order.id));
        }
        if let Some((_, case)) = self.case(&CaseId(row::printable(term))).await? {
            found.push(Found::Case(case.id));
        }
        if let Ok(address) = Address::parse(term) {
            let mut connection = self.reader().await?;
            load::owners(&mut self.link(&mut connection), &[address], |owned| {
                found.push(Found::Address(address, owned.order.map(|dossier| dossier.order.id)));
            })
            .await?;
        }
        let deposits = match (TxHash::parse(term), DepositId::parse(term)) {
            (Some(tx), _) | (None, Some(DepositId { tx, .. })) => self.deposits_of_tx(&tx).await?,
            (None, None) => Vec::new(),
        };
        let named =
            |deposit: &Deposit| TxHash::parse(term).is_some() || deposit.id.to_string() == term;
        found.extend(deposits.into_iter().filter(named).map(|deposit| Found::Deposit(deposit.id)));
        Ok(found)
    }
}

/// What leads to the lines of an account without reading the ledger from end to end.
fn narrowed(account: &Account) -> String {
    let indexed = "SELECT journal FROM entries WHERE credit = $1 \
        AND NOT (credit > 'order:' AND credit < 'order;') AND credit <> 'sales' AND credit <> 'issued'";
    match account {
        // In nearly every journal.
        Account::Sales | Account::Issued => String::new(),
        Account::Order(_) => "AND journals.order_id = substr($1, 7)".to_owned(),
        Account::Custody(_, address) => {
            let address = hex(&address.0);
            format!(
                "AND entries.journal IN (SELECT j.seq FROM addresses AS a JOIN journals AS j \
                 ON j.order_id = a.order_id WHERE a.address = '{address}' UNION SELECT j.seq \
                 FROM deposits AS d JOIN journals AS j ON j.deposit = d.seq AND j.order_id IS NULL \
                 WHERE d.order_id IS NULL AND d.receiver = '{address}' UNION {indexed})"
            )
        }
        _ => format!(
            "AND entries.journal IN (SELECT journal FROM entries WHERE debit = $1 \
             AND NOT (debit > 'order:' AND debit < 'order;') \
             AND NOT (debit > 'custody:' AND debit < 'custody;') \
             AND debit <> 'sales' AND debit <> 'issued' UNION {indexed})"
        ),
    }
}

async fn read_pins(link: &mut Link<'_>, chain: &ChainName) -> Result<Option<Pins>, Error> {
    let columns = ["p.chain", "p.chain_id", "p.genesis", "p.token", "p.decimals"];
    let text = packed(&columns, "FROM pins AS p WHERE p.chain = $1") + PACKED_END;
    let mut binds = Binds::default();
    binds.text(chain.to_string())?;
    let mut kept = None;
    link.select(text, binds, |line| {
        let mut fields = Fields::new("pins", line);
        kept = Some(Pins {
            chain: fields.parse("chain", row::chain)?,
            chain_id: fields.text("chain_id")?.to_owned(),
            genesis: fields.text("genesis")?.to_owned(),
            token: fields.parse("token", row::address)?,
            decimals: fields.parse("decimals", |text| text.parse().ok())?,
        });
        Ok(())
    })
    .await?;
    Ok(kept)
}

pub(crate) fn page(after: u64, limit: u32) -> Result<Binds, Error> {
    let mut binds = Binds::default();
    binds.int(i64::try_from(after).unwrap_or(i64::MAX))?;
    binds.int(i64::from(limit))?;
    Ok(binds)
}

/// Numbers in the books are above zero.
fn number(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}

pub(crate) fn numbered<T>(found: Numbered<T>) -> Vec<(u64, T)> {
    found.into_iter().map(|(seq, value)| (number(seq), value)).collect()
}
