//! The books in memory: a third engine beside SQLite and PostgreSQL.
//!
//! In: `Changes`. Out: `Snapshot`s, and a dump to compare with another engine's.
//! Never: accepts what a database refuses, nor keeps a part of what it refused.
//! Why: the rules run through it a million steps a minute, and the databases must agree with it.

mod check;
mod dump;
mod places;
mod remember;
mod spoil;

pub use dump::changes_text;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use payments::address::Address;
use payments::case::{Case, CaseId};
use payments::chain::{Cursor, TxHash};
use payments::changes::{Changes, CursorMove, Touched};
use payments::deposit::{Deposit, DepositId};
use payments::event::Event;
use payments::ledger::{Account, Asset, Balances, Journal, Sides};
use payments::name::{ChainName, OrderId};
use payments::notice::{Noted, NoticeId};
use payments::order::{Dossier, Order};
use payments::outflow::{Outflow, OutflowId};

use self::places::Places;

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
    outflows: Vec<Arc<Outflow>>,
    notices: Vec<Arc<Noted>>,
    cases: Vec<Arc<Case>>,
    journals: Vec<Arc<Journal>>,
    events: Vec<Arc<Event>>,
    places: Places,
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

    /// Keeps one value where both books have the same, so that it is not compared again.
    pub(crate) fn share(&mut self, other: &Self) {
        share(&mut self.deposits, &other.deposits);
        share(&mut self.outflows, &other.outflows);
        share(&mut self.notices, &other.notices);
        share(&mut self.cases, &other.cases);
        share(&mut self.journals, &other.journals);
        share(&mut self.events, &other.events);
        for (id, filed) in &mut self.orders {
            if let Some(of) = other.orders.get(id).filter(|of| of.dossier == filed.dossier) {
                filed.dossier = Arc::clone(&of.dossier);
            }
        }
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
            self.places.deposits.insert((deposit.id.clone(), deposit.order.clone()), at);
            if let Some(filed) = deposit.order.as_ref().and_then(|id| self.orders.get_mut(id)) {
                filed.deposits.push(at);
            }
            self.places.deposit(at, None, deposit);
            self.deposits.push(Arc::new(deposit.clone()));
        }
        for deposit in &changes.moved {
            let place = (deposit.id.clone(), deposit.order.clone());
            if let Some(at) = self.places.deposits.get(&place).copied() {
                self.places.deposit(at, Some(&self.deposits[at]), deposit);
                self.deposits[at] = Arc::new(deposit.clone());
            }
        }
    }

    fn write_outflows(&mut self, changes: &Changes) {
        for outflow in &changes.outflows {
            let fresh = self.outflows.len();
            let at = *self.places.outflows.entry(outflow.id.clone()).or_insert(fresh);
            self.places.outflow(at, self.outflows.get(at).map(AsRef::as_ref), outflow);
            match self.outflows.get_mut(at) {
                Some(known) => *known = Arc::new(outflow.clone()),
                None => self.outflows.push(Arc::new(outflow.clone())),
            }
        }
    }

    fn write_notices(&mut self, changes: &Changes) {
        for noted in &changes.notices {
            let fresh = self.notices.len();
            let at = *self.places.notices.entry(noted.id()).or_insert(fresh);
            self.places.notice(at, self.notices.get(at).map(AsRef::as_ref), noted);
            match self.notices.get_mut(at) {
                Some(known) => *known = Arc::new(noted.clone()),
                None => self.notices.push(Arc::new(noted.clone())),
            }
        }
    }

    fn write_cases(&mut self, changes: &Changes) {
        for case in &changes.cases {
            if let Some(at) = self.places.cases.get(&case.id).copied() {
                self.places.case(at, case);
                self.cases[at] = Arc::new(case.clone());
                continue;
            }
            let at = self.cases.len();
            self.places.cases.insert(case.id.clone(), at);
            if let Some(filed) = case.order.as_ref().and_then(|id| self.orders.get_mut(id)) {
                filed.cases.push(at);
            }
            self.places.case(at, case);
            self.cases.push(Arc::new(case.clone()));
        }
    }

    fn write_journals(&mut self, changes: &Changes) {
        for journal in &changes.journals {
            let at = self.journals.len();
            self.places.journals.insert(journal.key.as_str().into(), at);
            if let Some(filed) = journal.order.as_ref().and_then(|id| self.orders.get_mut(id)) {
                filed.journals.push(at);
            }
            self.places.journal(at, journal);
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
        let deposits = || filed.deposits.iter().map(|at| self.deposits[*at].as_ref());
        let cases = || filed.cases.iter().map(|at| self.cases[*at].as_ref());
        let journals = || filed.journals.iter().map(|at| self.journals[*at].as_ref());
        // What nobody else looks at is written over.
        if let Some(dossier) = Arc::get_mut(&mut filed.dossier) {
            (dossier.version, dossier.paid) = (filed.version, filed.facts.paid);
            (dossier.expired, dossier.cancelled) = (filed.facts.expired, filed.facts.cancelled);
            follow(&mut dossier.deposits, deposits());
            follow(&mut dossier.cases, cases());
            let known = dossier.journals.len();
            dossier.journals.extend(journals().skip(known).cloned());
            return;
        }
        filed.dossier = Arc::new(Dossier {
            order: filed.order.clone(),
            version: filed.version,
            paid: filed.facts.paid,
            expired: filed.facts.expired,
            cancelled: filed.facts.cancelled,
            deposits: deposits().cloned().collect(),
            cases: cases().cloned().collect(),
            journals: journals().cloned().collect(),
        });
    }

    /// All deposits in the order they were first recorded. One that is written again is another
    /// value.
    pub fn deposits(&self) -> &[Arc<Deposit>] {
        &self.deposits
    }

    /// A recorded deposit.
    pub fn deposit(&self, id: &DepositId) -> Option<&Deposit> {
        let places = self.places.deposits.range((id.clone(), None)..);
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

    /// The deposits that one transaction made, on whatever chain.
    pub fn deposits_by(&self, tx: &TxHash) -> impl Iterator<Item = &Deposit> {
        let places = self.places.by_tx.get(tx).into_iter().flatten();
        places.filter_map(|at| self.deposits.get(*at)).map(AsRef::as_ref)
    }

    /// A recorded outflow.
    pub fn outflow(&self, id: &OutflowId) -> Option<&Outflow> {
        self.places.outflows.get(id).and_then(|at| self.outflows.get(*at)).map(AsRef::as_ref)
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

fn share<T: Eq>(list: &mut [Arc<T>], other: &[Arc<T>]) {
    for (one, other) in list.iter_mut().zip(other) {
        if !Arc::ptr_eq(one, other) && one == other {
            *one = Arc::clone(other);
        }
    }
}

/// Makes a list what it should be, and copies only what is another.
fn follow<'a, T: Clone + PartialEq + 'a>(list: &mut Vec<T>, wanted: impl Iterator<Item = &'a T>) {
    for (at, wanted) in wanted.enumerate() {
        match list.get_mut(at) {
            Some(known) if known == wanted => {}
            Some(known) => known.clone_from(wanted),
            None => list.push(wanted.clone()),
        }
    }
}
