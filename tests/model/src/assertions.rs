//! What holds after every step, whatever happened.
//!
//! In: the books, and the reference. Out: the first sentence that is not true.
//! Never: a sum taken from `payments`; balances, cases and facts are all derived from the chain.
//! Why: each of these, broken once, has cost somebody money. What neither side of a sentence
//! touched since it was last found true is not read again: a step costs what it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::address::Address;
use payments::case::Case;
use payments::changes::{Changes, Update};
use payments::deposit::Deposit;
use payments::event::Event;
use payments::ledger::{Balances, Journal};
use payments::name::{ChainName, OrderId};
use payments::order::Dossier;
use payments::outflow::Outflow;

use crate::deposits::Tally;
use crate::events::Told;
use crate::facts::check_turn;
use crate::reference::Chain;
use crate::shares::{Nets, Open, Share, open_case, share_of};
use crate::transitions::World;

/// What the books were when they were last looked at.
#[derive(Default)]
pub(crate) struct Seal {
    /// Whether there is anything to compare with.
    begun: bool,
    journals: Vec<Arc<Journal>>,
    pub(crate) events: Vec<Arc<Event>>,
    deposits: Vec<Arc<Deposit>>,
    outflows: Vec<Arc<Outflow>>,
    cases: Vec<Arc<Case>>,
    balances: Balances,
    pub(crate) kept: BTreeMap<OrderId, Kept>,
    /// Those of them that are neither paid nor over.
    expiring: BTreeSet<OrderId>,
    /// What the deposits ask for less what the journals say: nothing, where all is right.
    nets: Nets,
    /// The cases that the deposits ask for less those that are open: none, where all is right.
    wanted: BTreeMap<Open, i64>,
    pub(crate) open_cases: usize,
    pub(crate) tallies: BTreeMap<ChainName, Tally>,
    told: Told,
}

/// An order as it was last seen, and what its deposits make of the books.
pub(crate) struct Kept {
    pub(crate) dossier: Arc<Dossier>,
    share: Share,
}

/// What is new since the last look.
#[derive(Default)]
pub(crate) struct News {
    /// Everything is.
    pub(crate) all: bool,
    pub(crate) orders: BTreeSet<OrderId>,
    pub(crate) deposits: Vec<(Option<Arc<Deposit>>, Arc<Deposit>)>,
    pub(crate) outflows: Vec<(Option<Arc<Outflow>>, Arc<Outflow>)>,
    pub(crate) cases: Vec<Arc<Case>>,
    pub(crate) events: Vec<Arc<Event>>,
}

impl World {
    /// All that `changes` touched when they were written because of `update`.
    pub(crate) fn check_news(&mut self, update: &Update, changes: &Changes) -> Result<(), String> {
        let looked = match update {
            Update::Scan(scan) => Some(&scan.chain),
            _ => None,
        };
        let mut seal = std::mem::take(&mut self.seal);
        let anew = changes.created.as_ref().is_some_and(|order| self.was_sent_to(&order.address));
        let news = self.refresh(&mut seal, anew)?;
        for chain in &self.chains {
            let looked = looked == Some(&chain.name);
            self.check_cursor(chain)?;
            if looked || !changes.notices.is_empty() {
                self.check_notices(chain)?;
            }
            let of_chain = |(_, deposit): &(_, Arc<Deposit>)| deposit.id.chain == chain.name;
            let about = looked
                || news.all
                || !chain.shown.news.is_empty()
                || matches!(update, Update::Rescan { chain: of, .. } if *of == chain.name)
                || news.deposits.iter().any(of_chain);
            if about {
                self.check_deposits(chain, looked, &news, &mut seal)?;
            }
            if about || news.outflows.iter().any(|(_, outflow)| outflow.id.chain == chain.name) {
                self.check_outflows(chain, &news)?;
            }
        }
        for id in if news.all {
            seal.kept.keys().collect()
        } else {
            news.orders.iter().collect::<Vec<_>>()
        } {
            let kept = seal.kept.get(id).ok_or("an order is gone")?;
            self.check_facts(&kept.dossier)?;
        }
        for id in &seal.expiring {
            let kept = seal.kept.get(id).ok_or("an order is gone")?;
            if looked == Some(&kept.dossier.order.chain) {
                self.check_expiry(&kept.dossier)?;
            }
        }
        if !changes.is_empty() || news.all {
            self.check_sums(&seal)?;
            seal.told.read(&news.events)?;
            seal.told.compare(self, &news, &seal)?;
        }
        for chain in &mut self.chains {
            chain.shown.news.clear();
        }
        self.seal = seal;
        Ok(())
    }

    /// Whether money went to an address before it was an order's: it is somebody's now.
    fn was_sent_to(&self, address: &Address) -> bool {
        let of = |chain: &Chain| chain.shown().any(|seen| chain.transfer(seen).to == *address);
        self.chains.iter().any(of)
    }

    /// Looks at what is new, and that the last of what was written stays written; that all of it
    /// does is an invariant.
    fn refresh(&self, seal: &mut Seal, anew: bool) -> Result<News, String> {
        let (journals, events) = (self.memory.journals(), self.memory.events());
        if !ends_as_before(&seal.journals, journals) || !ends_as_before(&seal.events, events) {
            return Err("what was written has changed".to_owned());
        }
        let mut news = News { all: anew || !seal.begun, ..News::default() };
        seal.begun = true;
        for journal in &journals[seal.journals.len()..] {
            seal.balances.add(journal);
            for entry in &journal.entries {
                let amount = i128::from(entry.amount);
                shift(&mut seal.nets, (entry.asset.clone(), entry.debit.clone()), amount);
                shift(&mut seal.nets, (entry.asset.clone(), entry.credit.clone()), -amount);
            }
            seal.journals.push(Arc::clone(journal));
        }
        news.events.extend_from_slice(&events[seal.events.len()..]);
        seal.events.extend_from_slice(&news.events);
        self.refresh_deposits(seal, &mut news)?;
        self.refresh_outflows(seal, &mut news)?;
        self.refresh_cases(seal, &mut news)?;
        self.refresh_orders(seal, &mut news)?;
        Ok(news)
    }

    fn refresh_deposits(&self, seal: &mut Seal, news: &mut News) -> Result<(), String> {
        let deposits = self.memory.deposits();
        if deposits.len() < seal.deposits.len() {
            return Err("a deposit is gone".to_owned());
        }
        for (at, deposit) in deposits.iter().enumerate() {
            let before = seal.deposits.get(at);
            if before.is_some_and(|before| Arc::ptr_eq(before, deposit)) {
                continue;
            }
            if before
                .is_some_and(|before| (&before.id, &before.order) != (&deposit.id, &deposit.order))
            {
                return Err(format!("deposit {} has become another", deposit.id));
            }
            news.deposits.push((before.cloned(), Arc::clone(deposit)));
            put(&mut seal.deposits, at, deposit);
        }
        for (before, after) in &news.deposits {
            for (deposit, sign) in [(before.as_deref(), -1), (Some(after.as_ref()), 1)] {
                // Those of an order are in its share.
                let Some(deposit) = deposit.filter(|deposit| deposit.order.is_none()) else {
                    continue;
                };
                let mut share = Share::default();
                let of_case =
                    |case: &&Arc<Case>| case.order.is_none() && case.deposits.contains(&deposit.id);
                let cases = self.memory.cases().iter().rev();
                let refund = cases.filter(of_case).find_map(|case| case.refund());
                let fee = refund.map_or(0, |refund| i128::from(refund.fee.micro()));
                share.add_deposit(deposit, i128::from(deposit.amount.micro()), fee);
                seal.count(&share, sign);
            }
        }
        // Of all that is there, everything is new.
        if news.all {
            news.deposits = deposits.iter().map(|deposit| (None, Arc::clone(deposit))).collect();
        }
        Ok(())
    }

    fn refresh_outflows(&self, seal: &mut Seal, news: &mut News) -> Result<(), String> {
        let outflows = self.memory.outflows();
        if outflows.len() < seal.outflows.len() {
            return Err("an outflow is gone".to_owned());
        }
        for (at, outflow) in outflows.iter().enumerate() {
            let before = seal.outflows.get(at).cloned();
            if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, outflow)) {
                continue;
            }
            if before.as_ref().is_some_and(|before| before.id != outflow.id) {
                return Err(format!("outflow {} has become another", outflow.id));
            }
            for (outflow, sign) in [(before.clone(), -1), (Some(Arc::clone(outflow)), 1)] {
                let mut share = Share::default();
                if let Some(outflow) = outflow {
                    share.add_outflow(&outflow);
                }
                seal.count(&share, sign);
            }
            news.outflows.push((before, Arc::clone(outflow)));
            put(&mut seal.outflows, at, outflow);
        }
        if news.all {
            news.outflows = outflows.iter().map(|outflow| (None, Arc::clone(outflow))).collect();
        }
        Ok(())
    }

    fn refresh_cases(&self, seal: &mut Seal, news: &mut News) -> Result<(), String> {
        let cases = self.memory.cases();
        if cases.len() < seal.cases.len() {
            return Err("a case is gone".to_owned());
        }
        for (at, case) in cases.iter().enumerate() {
            let before = seal.cases.get(at);
            if before.is_some_and(|before| Arc::ptr_eq(before, case)) {
                continue;
            }
            if let Some(open) = before.map(|before| open_case(before)).transpose()?.flatten() {
                shift(&mut seal.wanted, open, 1);
            }
            if let Some(open) = open_case(case)? {
                shift(&mut seal.wanted, open, -1);
            }
            let was_open = before.is_some_and(|case| case.decision.is_none());
            seal.open_cases -= usize::from(was_open);
            seal.open_cases += usize::from(case.decision.is_none());
            news.cases.push(Arc::clone(case));
            put(&mut seal.cases, at, case);
        }
        Ok(())
    }

    fn refresh_orders(&self, seal: &mut Seal, news: &mut News) -> Result<(), String> {
        if self.memory.orders().count() != self.orders.len() {
            return Err("there are other orders than were asked for".to_owned());
        }
        let mut changed = Vec::new();
        let mut known = seal.kept.values().peekable();
        for ((id, order), (found, version)) in self.orders.iter().zip(self.memory.versions()) {
            if id != found {
                return Err("an order is gone".to_owned());
            }
            let same = known.next_if(|kept| kept.dossier.order.id == *id);
            if same.is_none_or(|kept| kept.dossier.version != version) {
                changed.push((id, order));
            }
        }
        for (id, order) in changed {
            let dossier = self.memory.dossier(id).ok_or("an order is gone")?;
            if let Some(before) = seal.kept.get(id) {
                let chain = self.chain(&order.chain);
                check_turn(&before.dossier, dossier, chain.paused && !chain.stopped)?;
            }
            let over = dossier.paid.or(dossier.expired).or(dossier.cancelled);
            if order.expires_at.is_some() && over.is_none() {
                seal.expiring.insert(id.clone());
            } else {
                seal.expiring.remove(id);
            }
            let share = share_of(dossier, order)?;
            seal.count(&share, 1);
            let kept = Kept { dossier: Arc::clone(dossier), share };
            if let Some(old) = seal.kept.insert(id.clone(), kept) {
                seal.count(&old.share, -1);
            }
            news.orders.insert(id.clone());
        }
        Ok(())
    }

    /// The cursor stands where the reference does, on the recorded chain.
    fn check_cursor(&self, chain: &Chain) -> Result<(), String> {
        let Some(cursor) = self.memory.cursor(&chain.name) else {
            return if chain.path.is_empty() { Ok(()) } else { Err("no cursor".to_owned()) };
        };
        let finalized = cursor.finalized.map(|block| block.height);
        let marks = (cursor.paused.is_some(), cursor.stalled.is_some());
        if (finalized, cursor.safe, marks)
            != (chain.known_final, chain.known_safe, (chain.paused, chain.stalled))
        {
            return Err(format!("the cursor of {} is not where it should be", chain.name));
        }
        let from = usize::try_from(chain.known_final.unwrap_or(0)).unwrap();
        let line = chain.path.get(from..).unwrap_or_default();
        let kept = cursor.kept.iter().copied();
        if !kept.eq(line.iter().map(|at| chain.blocks[*at].header)) {
            return Err(format!("the kept headers of {} are not its last blocks", chain.name));
        }
        Ok(())
    }

    /// The open cases, and the balance of every account, are those that the deposits ask for.
    fn check_sums(&self, seal: &Seal) -> Result<(), String> {
        if let Some(what) = &self.overshot {
            return Err(what.clone());
        }
        if let Some((case, by)) = seal.wanted.first_key_value() {
            let what = if *by > 0 { "missing" } else { "asked for by nothing" };
            return Err(format!("an open case is {what}: {case:?}"));
        }
        if let Some(((asset, account), by)) = seal.nets.first_key_value() {
            return Err(format!("{asset} {account} should be {by} more"));
        }
        if seal.balances != *self.memory.balances() {
            return Err("the kept balances are not those of the journals".to_owned());
        }
        Ok(())
    }
}

impl Seal {
    /// Adds what a share asks for, or takes it away.
    fn count(&mut self, share: &Share, sign: i64) {
        for (at, net) in &share.nets {
            shift(&mut self.nets, at.clone(), net * i128::from(sign));
        }
        for case in &share.cases {
            shift(&mut self.wanted, case.clone(), sign);
        }
    }
}

/// How many of the last rows are compared after every step.
const LAST: usize = 32;

/// Whether the last of what was written stands where it stood.
fn ends_as_before<T: PartialEq>(before: &[Arc<T>], now: &[Arc<T>]) -> bool {
    let from = before.len().saturating_sub(LAST);
    let stands = |(a, b): (&Arc<T>, &Arc<T>)| Arc::ptr_eq(a, b) || a == b;
    before.len() <= now.len() && before[from..].iter().zip(&now[from..]).all(stands)
}

/// Puts a value where an older one was, or behind the last.
fn put<T>(list: &mut Vec<Arc<T>>, at: usize, value: &Arc<T>) {
    match list.get_mut(at) {
        Some(old) => *old = Arc::clone(value),
        None => list.push(Arc::clone(value)),
    }
}

/// Adds to a sum; one that is nothing is not kept.
fn shift<K: Ord, V>(sums: &mut BTreeMap<K, V>, key: K, by: V)
where
    V: Copy + Default + PartialEq + std::ops::Add<Output = V>,
{
    use std::collections::btree_map::Entry;
    match sums.entry(key) {
        Entry::Vacant(free) => {
            if by != V::default() {
                free.insert(by);
            }
        }
        Entry::Occupied(mut sum) => {
            let new = *sum.get() + by;
            if new == V::default() {
                sum.remove();
            } else {
                sum.insert(new);
            }
        }
    }
}
