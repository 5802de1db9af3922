//! Rows to values, and values to columns.
//!
//! In: a packed row. Out: the value it holds, or the table, column and row that does not parse.
//! Never: a default for what does not parse. Why: guessing about money is worse than stopping.

use std::str::Split;

pub(crate) use payments::address::prefixed_hex as hex;
use payments::address::{Address, from_hex};
use payments::amount::{Credits, Usdt};
use payments::case::{Case, CaseId, CaseKind, Decision, Resolution, Step, StepKind};
use payments::chain::{BlockHash, BlockId, Header, TxHash};
use payments::deposit::{Deposit, DepositId, State};
use payments::ledger::{Account, Asset, Entry, Journal};
use payments::name::{ChainName, CustomerId, OrderId};
use payments::order::{Dossier, Order, Policy, Price, Terms};
use payments::time::Time;

use crate::error::Error;
use crate::sql::{FIELD, ROW};

/// The fields of one packed row, taken in the order of its columns.
pub(crate) struct Fields<'a> {
    table: &'static str,
    row: &'a str,
    rest: Split<'a, char>,
}

impl<'a> Fields<'a> {
    /// The first field names the row in errors.
    pub(crate) fn new(table: &'static str, line: &'a str) -> Self {
        let row = line.split(FIELD).next().unwrap_or_default();
        Self { table, row, rest: line.split(FIELD) }
    }

    /// The text of a field; empty where the column is NULL.
    pub(crate) fn text(&mut self, column: &'static str) -> Result<&'a str, Error> {
        let next = self.rest.next();
        next.ok_or_else(|| self.broken(column, "is not there".to_owned()))
    }

    /// Parses a field; a column that is NULL does not parse.
    pub(crate) fn parse<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let text = self.text(column)?;
        parse(text).ok_or_else(|| self.unread(column, text))
    }

    /// Parses a field of a column that may be NULL.
    pub(crate) fn maybe<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let text = self.text(column)?;
        if text.is_empty() {
            return Ok(None);
        }
        parse(text).map(Some).ok_or_else(|| self.unread(column, text))
    }

    pub(crate) fn int(&mut self, column: &'static str) -> Result<i64, Error> {
        self.parse(column, |text| text.parse().ok())
    }

    /// Whether the next field is empty.
    pub(crate) fn is_at_empty(&self) -> bool {
        self.rest.clone().next().is_none_or(str::is_empty)
    }

    fn unread(&self, column: &'static str, text: &str) -> Error {
        let shown: String = text.chars().take(80).collect();
        self.broken(column, format!("is `{shown}`, which does not parse"))
    }

    pub(crate) fn broken(&self, column: &'static str, why: String) -> Error {
        Error::Broken { table: self.table, column, row: self.row.to_owned(), why }
    }
}

/// Text behind the `=` that tells an empty text from a NULL.
pub(crate) fn marked(text: &str) -> Option<String> {
    text.strip_prefix('=').map(str::to_owned)
}

/// Text without the two characters that part packed rows, and without the one that PostgreSQL has
/// no place for in a text.
pub(crate) fn printable(text: &str) -> String {
    text.replace([FIELD, ROW, '\0'], "\u{fffd}")
}

pub(crate) fn address(text: &str) -> Option<Address> {
    from_hex(text.strip_prefix("0x")?).map(Address)
}

pub(crate) fn hash(text: &str) -> Option<BlockHash> {
    text.starts_with("0x").then(|| BlockHash::parse(text)).flatten()
}

pub(crate) fn time(text: &str) -> Option<Time> {
    text.parse().ok().map(Time)
}

pub(crate) fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

pub(crate) fn chain(text: &str) -> Option<ChainName> {
    ChainName::new(text).ok()
}

pub(crate) fn order_id(text: &str) -> Option<OrderId> {
    OrderId::new(text).ok()
}

pub(crate) fn usdt(text: &str) -> Option<Usdt> {
    Usdt::from_micro(text.parse().ok()?)
}

/// An integer column of a number that the rules count without a sign.
pub(crate) fn signed(
    table: &'static str,
    column: &'static str,
    row: impl ToString,
    value: u64,
) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::beyond(table, column, row))
}

/// The columns of an order, as [`order`] reads them.
pub(crate) const ORDER: [&str; 17] = [
    "o.id",
    "o.number",
    "o.customer",
    "o.chain",
    "o.due",
    "o.price",
    "o.created_at",
    "o.expires_at",
    "o.address",
    "o.address_index",
    "o.refund_to",
    "o.terms",
    "o.version",
    "o.paid",
    "o.expired",
    "o.cancelled",
    "'=' || o.metadata",
];

/// An order with its facts, and its number.
pub(crate) fn order(fields: &mut Fields<'_>) -> Result<(Dossier, u64), Error> {
    let id = fields.parse("id", order_id)?;
    let number = fields.parse("number", |text| text.parse().ok())?;
    let mut order = Order {
        id,
        customer: fields.parse("customer", |text| CustomerId::new(text).ok())?,
        chain: fields.parse("chain", chain)?,
        due: fields.maybe("due", usdt)?,
        price: fields.parse("price", price)?,
        created_at: fields.parse("created_at", time)?,
        expires_at: fields.maybe("expires_at", time)?,
        address: fields.parse("address", address)?,
        address_index: fields.maybe("address_index", |text| text.parse().ok())?,
        refund_to: fields.maybe("refund_to", address)?,
        terms: fields.parse("terms", terms)?,
        metadata: None,
    };
    let version = fields.parse("version", |text| text.parse().ok())?;
    let paid = fields.maybe("paid", time)?;
    let expired = fields.maybe("expired", time)?;
    let cancelled = fields.maybe("cancelled", time)?;
    order.metadata = fields.maybe("metadata", marked)?;
    let dossier = Dossier { version, paid, expired, cancelled, ..Dossier::new(order) };
    Ok((dossier, number))
}

/// `fixed <millionths>` or `rate <num>/<den>`.
pub(crate) fn price_text(price: Price) -> String {
    match price {
        Price::Fixed(credits) => format!("fixed {}", credits.micro()),
        Price::Rate { num, den } => format!("rate {num}/{den}"),
    }
}

fn price(text: &str) -> Option<Price> {
    if let Some(micro) = text.strip_prefix("fixed ") {
        return Credits::from_micro(micro.parse().ok()?).map(Price::Fixed);
    }
    let (num, den) = text.strip_prefix("rate ")?.split_once('/')?;
    Some(Price::Rate { num: num.parse().ok()?, den: den.parse().ok()? })
}

/// The frozen terms as words, each `name=value`.
pub(crate) fn terms_text(terms: &Terms) -> String {
    let word = |policy| match policy {
        Policy::Hold => "hold",
        Policy::Credit => "credit",
    };
    format!(
        "tolerance={} dust={} late_window={} underpaid={} overpaid={} late={}",
        terms.tolerance.micro(),
        terms.dust.micro(),
        terms.late_window,
        word(terms.underpaid),
        word(terms.overpaid),
        word(terms.late),
    )
}

fn terms(text: &str) -> Option<Terms> {
    let mut words = text.split(' ');
    let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
    let policy = |word: &str| match word {
        "hold" => Some(Policy::Hold),
        "credit" => Some(Policy::Credit),
        _ => None,
    };
    let terms = Terms {
        tolerance: usdt(value("tolerance")?)?,
        dust: usdt(value("dust")?)?,
        late_window: value("late_window")?.parse().ok()?,
        underpaid: policy(value("underpaid")?)?,
        overpaid: policy(value("overpaid")?)?,
        late: policy(value("late")?)?,
    };
    words.next().is_none().then_some(terms)
}

/// The columns of a deposit, as [`deposit`] reads them.
pub(crate) const DEPOSIT: [&str; 15] = [
    "d.id",
    "d.seq",
    "d.order_id",
    "d.sender",
    "d.receiver",
    "d.raw",
    "d.amount",
    "d.height",
    "d.block_hash",
    "d.time",
    "d.log_index",
    "d.state",
    "d.kind",
    "d.late",
    "d.assigned_by",
];

/// A deposit, and its place in the order of recording.
pub(crate) fn deposit(line: &str) -> Result<(i64, Deposit), Error> {
    let mut fields = Fields::new("deposits", line);
    let id = fields.parse("id", DepositId::parse)?;
    let seq = fields.int("seq")?;
    let order = fields.maybe("order_id", order_id)?;
    let from = fields.parse("sender", address)?;
    let to = fields.parse("receiver", address)?;
    let raw = fields.parse("raw", |text| text.parse().ok())?;
    let amount = fields.parse("amount", usdt)?;
    let height = fields.parse("height", |text| text.parse().ok())?;
    let block = BlockId { height, hash: fields.parse("block_hash", hash)? };
    let time = fields.parse("time", time)?;
    let log_index = fields.parse("log_index", |text| text.parse().ok())?;
    let word = fields.text("state")?;
    let kind = fields.maybe("kind", CaseKind::parse)?;
    let state = State::parse(word, kind).ok_or_else(|| fields.unread("state", word))?;
    let late = fields.parse("late", flag)?;
    let assigned = fields.maybe("assigned_by", |text| Some(CaseId(text.to_owned())))?;
    let deposit =
        Deposit { id, order, from, to, raw, amount, block, time, log_index, state, late, assigned };
    Ok((seq, deposit))
}

/// The case kind of a suspended deposit.
pub(crate) const fn kind_of(state: State) -> Option<CaseKind> {
    match state {
        State::Suspended(kind) => Some(kind),
        _ => None,
    }
}

/// The columns of a case, as [`case`] reads them; its deposits are joined with spaces.
pub(crate) const CASE: [&str; 14] = [
    "c.id",
    "c.seq",
    "c.kind",
    "c.order_id",
    "c.chain",
    "c.amount",
    "c.opened_at",
    "c.resolution",
    "c.refund_to",
    "c.fee",
    "c.reassigned_to",
    "c.decided_by",
    "c.why",
    "c.decided_at",
];

/// A case without its deposits, and its place in the order of opening.
pub(crate) fn case(line: &str) -> Result<(i64, Case), Error> {
    let mut fields = Fields::new("cases", line);
    let id = CaseId(fields.text("id")?.to_owned());
    let seq = fields.int("seq")?;
    let kind = fields.parse("kind", CaseKind::parse)?;
    let order = fields.maybe("order_id", order_id)?;
    let chain = fields.parse("chain", chain)?;
    let amount = fields.parse("amount", usdt)?;
    let opened_at = fields.parse("opened_at", time)?;
    let word = fields.text("resolution")?;
    let to = fields.maybe("refund_to", address)?;
    let fee = fields.maybe("fee", usdt)?;
    let reassigned = fields.maybe("reassigned_to", order_id)?;
    let by = fields.text("decided_by")?.to_owned();
    let why = fields.text("why")?.to_owned();
    let at = fields.maybe("decided_at", time)?;
    let resolution = resolution(word, (to, fee, reassigned));
    let resolution = resolution.ok_or_else(|| fields.unread("resolution", word))?;
    let decision = match (resolution, at) {
        (None, None) => None,
        (Some(resolution), Some(at)) => Some(Decision { resolution, by, why, at }),
        _ => return Err(fields.broken("decided_at", "does not fit the resolution".to_owned())),
    };
    let (deposits, steps) = (Vec::new(), Vec::new());
    Ok((seq, Case { id, kind, order, deposits, chain, amount, opened_at, decision, steps }))
}

/// Where a refund goes, what is kept of it, and which order something is reassigned to.
type Terms3 = (Option<Address>, Option<Usdt>, Option<OrderId>);

/// A decision by its word and terms: none for no word; `None` where they do not fit.
#[expect(clippy::option_option, reason = "no decision is not one that does not parse")]
fn resolution(word: &str, terms: Terms3) -> Option<Option<Resolution>> {
    Some(match (word, terms) {
        ("", (None, None, None)) => None,
        ("credit", (None, None, None)) => Some(Resolution::Credit),
        ("refund", (Some(to), Some(fee), None)) => Some(Resolution::Refund { to, fee }),
        ("reassign", (None, None, Some(order))) => Some(Resolution::Reassign(order)),
        ("dismiss", (None, None, None)) => Some(Resolution::Dismiss),
        ("itself", (None, None, None)) => Some(Resolution::Itself),
        _ => return None,
    })
}

/// The columns of a step, as [`step`] reads them.
pub(crate) const STEP: [&str; 11] = [
    "s.case_seq",
    "s.place",
    "s.word",
    "s.step_by",
    "s.why",
    "s.step_at",
    "s.resolution",
    "s.refund_to",
    "s.fee",
    "s.reassigned_to",
    "coalesce(s.paid_by, s.tx)",
];

/// A step, the number of its case, and its place.
pub(crate) fn step(line: &str) -> Result<(i64, i64, Step), Error> {
    let mut fields = Fields::new("case_steps", line);
    let seq = fields.int("case_seq")?;
    let place = fields.int("place")?;
    let word = fields.text("word")?;
    let by = fields.text("step_by")?.to_owned();
    let why = fields.text("why")?.to_owned();
    let at = fields.parse("step_at", time)?;
    let proposed = fields.text("resolution")?;
    let to = fields.maybe("refund_to", address)?;
    let fee = fields.maybe("fee", usdt)?;
    let reassigned = fields.maybe("reassigned_to", order_id)?;
    let paid = fields.text("tx")?;
    let proposed = resolution(proposed, (to, fee, reassigned)).flatten();
    let kind = match (word, proposed, TxHash::parse(paid), DepositId::parse(paid)) {
        ("proposed", Some(resolution), None, None) => StepKind::Proposed(resolution),
        ("withdrawn", None, None, None) => StepKind::Withdrawn,
        ("sent", None, Some(tx), None) => StepKind::Sent(tx),
        ("failed", None, Some(tx), None) => StepKind::Failed(tx),
        ("verified", None, None, Some(id)) => StepKind::Verified { tx: id.tx, n: id.n },
        _ => return Err(fields.unread("word", word)),
    };
    Ok((seq, place, Step { kind, by, why, at }))
}

/// The columns of a journal and the deposit it names, as [`journal`] reads them.
pub(crate) const JOURNAL: [&str; 7] =
    ["j.key", "j.seq", "j.order_id", "d.id", "j.effective", "j.recorded", "j.remainder"];

/// A journal without its entries, and its place in the ledger.
pub(crate) fn journal(line: &str) -> Result<(i64, Journal), Error> {
    let mut fields = Fields::new("journals", line);
    let key = fields.text("key")?.to_owned();
    let seq = fields.int("seq")?;
    let journal = Journal {
        key,
        order: fields.maybe("order_id", order_id)?,
        deposit: fields.maybe("deposit", DepositId::parse)?,
        effective: fields.parse("effective", time)?,
        recorded: fields.parse("recorded", time)?,
        remainder: fields.parse("remainder", |text| text.parse().ok())?,
        entries: Vec::new(),
    };
    Ok((seq, journal))
}

/// The columns of an entry, as [`entry`] reads them.
pub(crate) const ENTRY: [&str; 6] =
    ["e.journal", "e.line", "e.asset", "e.debit", "e.credit", "e.amount"];

/// An entry, its journal and its line.
pub(crate) fn entry(line: &str) -> Result<(i64, i64, Entry), Error> {
    let mut fields = Fields::new("entries", line);
    let journal = fields.int("journal")?;
    let line = fields.int("line")?;
    let entry = Entry {
        asset: fields.parse("asset", Asset::parse)?,
        debit: fields.parse("debit", Account::parse)?,
        credit: fields.parse("credit", Account::parse)?,
        amount: fields.int("amount")?,
    };
    Ok((journal, line, entry))
}

/// The columns of a kept header, as [`header`] reads them.
pub(crate) const HEADER: [&str; 4] = ["h.height", "h.hash", "h.parent", "h.time"];

/// A kept header.
pub(crate) fn header(line: &str) -> Result<Header, Error> {
    let mut fields = Fields::new("headers", line);
    let height = fields.parse("height", |text| text.parse().ok())?;
    let id = BlockId { height, hash: fields.parse("hash", hash)? };
    Ok(Header { id, parent: fields.parse("parent", hash)?, time: fields.parse("time", time)? })
}

/// The finalized block of a cursor, of which both columns are NULL or neither.
pub(crate) fn finalized(fields: &mut Fields<'_>) -> Result<Option<BlockId>, Error> {
    let height = fields.maybe("finalized_height", |text| text.parse().ok())?;
    let hash = fields.maybe("finalized_hash", hash)?;
    match (height, hash) {
        (Some(height), Some(hash)) => Ok(Some(BlockId { height, hash })),
        (None, None) => Ok(None),
        _ => Err(fields.broken("finalized_hash", "does not fit its height".to_owned())),
    }
}
