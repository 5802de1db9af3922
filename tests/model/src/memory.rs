//! The books in memory: a third engine beside SQLite and PostgreSQL.
//!
//! In: `Changes`. Out: `Snapshot`s, and a dump to compare with another engine's.
//! Never: accepts what a database refuses, nor keeps a part of what it refused.
//! Why: the rules run through it a million steps a minute, and the databases must agree with it.

mod check;
mod dump;
mod remember;
mod spoil;

pub use dump::changes_text;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use payments::address::Address;
use payments::case::{Case, CaseId};
use payments::chain::Cursor;
use payments::changes::{Changes, CursorMove, Touched};
use payments::deposit::{Deposit, DepositId};
use payments::event::Event;
use payments::ledger::{Account, Asset, Balances, Journal, Sides};
use payments::name::{ChainName, OrderId};
use payments::notice::{Noted, NoticeId};
use payments::order::{Dossier, Order};
use payments::outflow::{Outflow, OutflowId};

/// Why a commit is refused. Nothing of it was written then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The chain's cursor has moved since it was read.
    Generation { chain: ChainName, read: u64, found: u64 },
    /// The order was touched since it was read.
    Version { order: OrderId, read: u64, found: u64 },
    /// No such order.
    UnknownOrder(OrderId),
    /// An order of that id is there already.
    OrderExists(OrderId),
    /// The address belongs to another order.
    AddressTaken(Address),
    /// Something of an order is to be written although its version was not read.
    Unread(OrderId),
    /// The deposit is recorded already.
    DepositKnown(DepositId),
    /// What is recorded of the outflow does not become this.
    Outflow(OutflowId),
    /// What is recorded of the notice does not become this.
    Notice(NoticeId),
    /// The deposit is not recorded, or is another order's.
    DepositUnknown(DepositId),
    /// The case is decided, or is not what it was.
    CaseClosed(CaseId),
    /// A journal with this key is there already.
    KeyTaken(String),
    /// A journal without entries.
    Hollow(String),
    /// An entry that moves nothing, or less.
    Amount(String),
    /// An account that does not hold the asset.
    AssetOf(String, Account, Asset),
    /// An account would go below zero.
    Bound(String, Account, i128),
    /// Credits are taken from a customer by something other than a reversal.
    CustomerDebited(String),
}

/// What a commit wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The chain's generation from now on, where its cursor was written.
    pub generation: Option<u64>,
    /// The sequence numbers of the new events.
    pub events: Range<u64>,
}

/// The books.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    cursors: BTreeMap<ChainName, Cursor>,
    owners: BTreeMap<Address, Option<OrderId>>,
    orders: BTreeMap<OrderId, Filed>,
    deposits: Vec<Arc<Deposit>>,
    deposit_at: BTreeMap<(DepositId, Option<OrderId>), usize>,
    outflows: Vec<Arc<Outflow>>,
    outflow_at: BTreeMap<OutflowId, usize>,
    notices: Vec<Arc<Noted>>,
    notice_at: BTreeMap<NoticeId, usize>,
    cases: Vec<Arc<Case>>,
    case_at: BTreeMap<CaseId, usize>,
    journals: Vec<Arc<Journal>>,
    journal_at: BTreeMap<Arc<str>, usize>,
    events: Vec<Arc<Event>>,
    /// Where the cases and journals that concern no order stand.
    nobodys: (Vec<usize>, Vec<usize>),
    balances: Balances,
    empty_transfers: u64,
}

/// An order and where what belongs to it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filed {
    order: Order,
    version: u64,
    facts: Touched,
    deposits: Vec<usize>,
    cases: Vec<usize>,
    journals: Vec<usize>,
    /// All of it put together, whenever it was written to.
    dossier: Arc<Dossier>,
}

impl Memory {
    /// Empty books.
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches addresses that belong to no order yet. One that is known stays as it is.
    pub fn import(&mut self, addresses: &[Address]) {
        for address in addresses {
            self.owners.entry(*address).or_insert(None);
        }
    }

    /// Writes all of `changes`, or nothing.
    ///
    /// # Errors
    /// [`Refused`] names the first thing a database would refuse.
    pub fn commit(&mut self, changes: &Changes) -> Result<Committed, Refused> {
        let balances = self.check(changes)?;
        let first = self.sequence();
        for ((asset, account), sides) in balances {
            self.balances.0.insert((asset, account), sides);
        }
        let generation = changes.cursor.as_ref().map(|mv| self.move_cursor(mv));
        if let Some(order) = &changes.created {
            self.file(order);
        }
        for touched in &changes.touched {
            if let Some(filed) = self.orders.get_mut(&touched.order) {
                filed.version += 1;
                filed.facts = touched.clone();
            }
        }
        self.write_deposits(changes);
        self.write_outflows(changes);
        self.write_notices(changes);
        self.write_cases(changes);
        self.write_journals(changes);
        self.events.extend(changes.events.iter().cloned().map(Arc::new));
        self.empty_transfers += changes.empty_transfers;
        for touched in &changes.touched {
            self.put_together(&touched.order);
        }
        Ok(Committed { generation, events: first..self.sequence() })
    }

    fn sequence(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    fn move_cursor(&mut self, mv: &CursorMove) -> u64 {
        let cursor = mv.cursor();
        let generation = cursor.generation;
        self.cursors.insert(mv.chain.clone(), cursor);
        generation
    }

    fn file(&mut self, order: &Order) {
        self.owners.insert(order.address, Some(order.id.clone()));
        let facts = Touched {
            order: order.id.clone(),
            version: 0,
            paid: None,
            expired: None,
            cancelled: None,
        };
        let filed = Filed {
            order: order.clone(),
            version: 0,
            facts,
            deposits: Vec::new(),
            cases: Vec::new(),
            journals: Vec::new(),
            dossier: Arc::new(Dossier::new(order.clone())),
        };
        self.orders.insert(order.id.clone(), filed);
    }

    fn write_deposits(&mut self, changes: &Changes) {
        for deposit in &changes.recorded {
            let at = self.deposits.len();
            self.deposit_at.insert((deposit.id.clone(), deposit.order.clone()), at);
            if let Some(filed) = deposit.order.as_ref().and_then(|id| self.orders.get_mut(id)) {
                filed.deposits.push(at);
            }
            self.deposits.push(Arc::new(deposit.clone()));
        }
        for deposit in &changes.moved {
            let place = (deposit.id.clone(), deposit.order.clone());
            if let Some(at) = self.deposit_at.get(&place) {
                self.deposits[*at] = Arc::new(deposit.clone());
            }
        }
    }

    fn write_outflows(&mut self, changes: &Changes) {
        for outflow in &changes.outflows {
            let fresh = self.outflows.len();
            let at = *self.outflow_at.entry(outflow.id.clone()).or_insert(fresh);
            match self.outflows.get_mut(at) {
                Some(known) => *known = Arc::new(outflow.clone()),
                None => self.outflows.push(Arc::new(outflow.clone())),
            }
        }
    }

    fn write_notices(&mut self, changes: &Changes) {
        for noted in &changes.notices {
            let fresh = self.notices.len();
            let at = *self.notice_at.entry(noted.id()).or_insert(fresh);
            match self.notices.get_mut(at) {
                Some(known) => *known = Arc::new(noted.clone()),
                None => self.notices.push(Arc::new(noted.clone())),
            }
        }
    }

    fn write_cases(&mut self, changes: &Changes) {
        for case in &changes.cases {
            if let Some(at) = self.case_at.get(&case.id) {
                self.cases[*at] = Arc::new(case.clone());
                continue;
            }
            let at = self.cases.len();
            self.case_at.insert(case.id.clone(), at);
            match case.order.as_ref().and_then(|id| self.orders.get_mut(id)) {
                Some(filed) => filed.cases.push(at),
                None => self.nobodys.0.push(at),
            }
            self.cases.push(Arc::new(case.clone()));
        }
    }

    fn write_journals(&mut self, changes: &Changes) {
        for journal in &changes.journals {
            let at = self.journals.len();
            self.journal_at.insert(journal.key.as_str().into(), at);
            match journal.order.as_ref().and_then(|id| self.orders.get_mut(id)) {
                Some(filed) => filed.journals.push(at),
                None => self.nobodys.1.push(at),
            }
            self.journals.push(Arc::new(journal.clone()));
        }
    }

    /// How far a chain is recorded.
    pub fn cursor(&self, chain: &ChainName) -> Option<&Cursor> {
        self.cursors.get(chain)
    }

    /// Who owns our addresses.
    pub const fn owners(&self) -> &BTreeMap<Address, Option<OrderId>> {
        &self.owners
    }

    /// The ids of all orders, ascending.
    pub fn orders(&self) -> impl Iterator<Item = &OrderId> {
        self.orders.keys()
    }

    /// The version of every order, in the order of their ids.
    pub fn versions(&self) -> impl Iterator<Item = (&OrderId, u64)> {
        self.orders.iter().map(|(id, filed)| (id, filed.version))
    }

    /// An order with everything recorded about it.
    pub fn dossier(&self, order: &OrderId) -> Option<&Arc<Dossier>> {
        self.orders.get(order).map(|filed| &filed.dossier)
    }

    fn put_together(&mut self, order: &OrderId) {
        let Some(filed) = self.orders.get_mut(order) else { return };
        filed.dossier = Arc::new(Dossier {
            order: filed.order.clone(),
            version: filed.version,
            paid: filed.facts.paid,
            expired: filed.facts.expired,
            cancelled: filed.facts.cancelled,
            deposits: filed.deposits.iter().map(|at| (*self.deposits[*at]).clone()).collect(),
            cases: filed.cases.iter().map(|at| (*self.cases[*at]).clone()).collect(),
            journals: filed.journals.iter().map(|at| (*self.journals[*at]).clone()).collect(),
        });
    }

    /// All deposits in the order they were first recorded. One that is written again is another
    /// value.
    pub fn deposits(&self) -> &[Arc<Deposit>] {
        &self.deposits
    }

    /// A recorded deposit.
    pub fn deposit(&self, id: &DepositId) -> Option<&Deposit> {
        let places = self.deposit_at.range((id.clone(), None)..);
        let places = places.take_while(|((known, _), _)| known == id);
        let arrived = places.filter_map(|(_, at)| self.deposits.get(*at));
        // What a decision counts for another order arrived once.
        let arrived = arrived.filter(|deposit| deposit.assigned.is_none());
        let mut found = arrived.map(AsRef::as_ref);
        let first = found.next()?;
        // Of one that is recorded for two orders, the one whose block is on the chain.
        if first.state.is_on_chain() {
            return Some(first);
        }
        found.find(|deposit| deposit.state.is_on_chain()).or(Some(first))
    }

    /// A recorded outflow.
    pub fn outflow(&self, id: &OutflowId) -> Option<&Outflow> {
        self.outflow_at.get(id).and_then(|at| self.outflows.get(*at)).map(AsRef::as_ref)
    }

    /// All outflows in the order they were first recorded. One that is written again is another
    /// value.
    pub fn outflows(&self) -> &[Arc<Outflow>] {
        &self.outflows
    }

    /// All notices in the order they were first recorded. One that is written again is another
    /// value.
    pub fn notices(&self) -> &[Arc<Noted>] {
        &self.notices
    }

    /// All cases in the order they were opened. One that is written again is another value.
    pub fn cases(&self) -> &[Arc<Case>] {
        &self.cases
    }

    /// All journals in the order they were written.
    pub fn journals(&self) -> &[Arc<Journal>] {
        &self.journals
    }

    /// All events; the first has sequence number 0.
    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The sides of every account, kept up with each commit.
    pub const fn balances(&self) -> &Balances {
        &self.balances
    }

    /// Transfers to our addresses that carried nothing.
    pub const fn empty_transfers(&self) -> u64 {
        self.empty_transfers
    }

    /// Credits less debits of an account.
    pub fn net(&self, asset: &Asset, account: &Account) -> i128 {
        let sides = self.balances.0.get(&(asset.clone(), account.clone()));
        sides.copied().unwrap_or_default().net()
    }

    fn sides(&self, asset: &Asset, account: &Account) -> Sides {
        self.balances.0.get(&(asset.clone(), account.clone())).copied().unwrap_or_default()
    }
}
