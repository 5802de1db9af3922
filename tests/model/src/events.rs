//! The events, read as a billing service reads them, tell what the books hold.
//!
//! In: every event, once, in order. Out: what a reader of nothing else believes.
//! Never: a look at the books while reading. Why: what is told is all that others act on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::amount::Credits;
use payments::case::{CaseId, RefundState};
use payments::deposit::{DepositId, State};
use payments::event::{Event, EventKind};
use payments::ledger::{Account, Asset};
use payments::name::{ChainName, OrderId};
use payments::order::Dossier;
use payments::time::Time;

use crate::assertions::{News, Seal};
use crate::invariants::sits;
use crate::transitions::World;

/// What a reader of the events believes.
#[derive(Default)]
pub(crate) struct Told {
    created: BTreeSet<OrderId>,
    expired: BTreeSet<OrderId>,
    cancelled: BTreeSet<OrderId>,
    /// How many grants of an order stand.
    paid: BTreeMap<OrderId, i64>,
    /// Deposits on their chain, and whether each is confirmed.
    deposits: BTreeMap<DepositId, bool>,
    /// Outflows on their chain, and whether each is booked.
    outflows: BTreeMap<String, bool>,
    cases: BTreeSet<CaseId>,
    /// Refunds that were decided and not seen on chain.
    owed: BTreeSet<CaseId>,
    credits: BTreeMap<String, i128>,
    /// Whether an order was just paid, so that the grant that follows is its price.
    sold: bool,
    /// Whether the case that was just resolved was about an excess.
    of_an_excess: bool,
    /// What was taken back, when, and of which order.
    gone: BTreeSet<(Time, DepositId, Option<OrderId>)>,
    /// What a person had credited beside an order's price.
    granted: BTreeSet<(OrderId, DepositId)>,
    /// What the issuer is known to have done.
    noted: BTreeSet<String>,
    paused: BTreeSet<ChainName>,
    stalled: BTreeSet<ChainName>,
}

impl Told {
    /// Reads the events that were not read yet.
    pub(crate) fn read(&mut self, events: &[Arc<Event>]) -> Result<(), String> {
        for event in events {
            let name = event.kind.word();
            follow(self, event).ok_or_else(|| format!("{name} cannot follow: {event:?}"))?;
        }
        Ok(())
    }

    /// What was told is what is, wherever either changed.
    pub(crate) fn compare(&self, world: &World, news: &News, seal: &Seal) -> Result<(), String> {
        let of_events = news.events.iter().filter_map(|event| event.deposit.as_ref());
        let of_books = news.deposits.iter().map(|(_, deposit)| &deposit.id);
        for id in of_events.chain(of_books).collect::<BTreeSet<_>>() {
            self.compare_deposit(world, id)?;
        }
        let on_chain: usize = seal.tallies.values().map(|tally| tally.recorded).sum();
        if on_chain != self.deposits.len() {
            return Err("the deposits are not those that were told".to_owned());
        }
        for case in &news.cases {
            let owed = case.refund().is_some_and(|refund| refund.state != RefundState::Verified);
            if self.cases.contains(&case.id) != case.decision.is_none()
                || self.owed.contains(&case.id) != owed
            {
                return Err(format!("case {} is not what was told", case.id));
            }
        }
        let written: BTreeSet<&CaseId> = news.cases.iter().map(|case| &case.id).collect();
        let mut named = news.events.iter().filter_map(|event| event.case.as_ref());
        if let Some(case) = named.find(|case| !written.contains(case)) {
            return Err(format!("case {case} was told of and not written"));
        }
        if seal.open_cases != self.cases.len() {
            return Err("the open cases are not those that were told".to_owned());
        }
        let of_events = news.events.iter().filter_map(|event| event.order.as_ref());
        for id in of_events.chain(&news.orders).collect::<BTreeSet<_>>() {
            let kept = seal.kept.get(id);
            let kept = kept.ok_or_else(|| format!("order {id} was told and is not"))?;
            self.compare_order(&kept.dossier)?;
        }
        self.compare_sums(world)
    }

    /// What was told is what is, all of it.
    pub(crate) fn is_all_of(&self, world: &World) -> Result<(), String> {
        let mut on_chain = 0;
        for deposit in world.memory.deposits() {
            self.compare_deposit(world, &deposit.id)?;
            on_chain += usize::from(sits(deposit));
        }
        if on_chain != self.deposits.len() {
            return Err("the deposits are not those that were told".to_owned());
        }
        let cases = world.memory.cases().iter();
        let open = cases.filter(|case| case.decision.is_none()).map(|case| &case.id);
        if open.collect::<BTreeSet<_>>() != self.cases.iter().collect() {
            return Err("the open cases are not those that were told".to_owned());
        }
        if !world.memory.orders().eq(&self.created) {
            return Err("the orders are not those that were told".to_owned());
        }
        for dossier in world.memory.orders().filter_map(|id| world.memory.dossier(id)) {
            self.compare_order(dossier)?;
        }
        if world.all_said().collect::<BTreeSet<_>>() != self.noted {
            return Err("what the issuer did is not what was told".to_owned());
        }
        self.compare_sums(world)
    }

    /// The marks of the chains and the credits of the customers.
    fn compare_sums(&self, world: &World) -> Result<(), String> {
        for chain in &world.chains {
            let marks = (self.paused.contains(&chain.name), self.stalled.contains(&chain.name));
            if marks != (chain.paused, chain.stalled) {
                return Err(format!("the marks of {} are not those that were told", chain.name));
            }
        }
        let said: usize = world.chains.iter().map(|chain| chain.heard.said.len()).sum();
        if said != self.noted.len() {
            return Err("what the issuer did is not what was told".to_owned());
        }
        for customer in &world.customers {
            let account = Account::Customer(customer.clone());
            let credits = world.memory.net(&Asset::Credit, &account);
            if self.credits.get(customer.as_str()).copied().unwrap_or(0) != credits {
                return Err(format!("{customer} was told of other credits than {credits}"));
            }
        }
        Ok(())
    }

    fn compare_deposit(&self, world: &World, id: &DepositId) -> Result<(), String> {
        let deposit = world.memory.deposit(id);
        let is = deposit
            .filter(|deposit| deposit.state.is_on_chain())
            .map(|deposit| deposit.state != State::Pending);
        if self.deposits.get(id).copied() == is {
            return Ok(());
        }
        Err(format!("deposit {id} is not what was told"))
    }

    fn compare_order(&self, dossier: &Dossier) -> Result<(), String> {
        let id = &dossier.order.id;
        let credited = dossier.deposits.iter().filter(|d| d.state == State::Credited).count();
        let grants = match dossier.order.due {
            Some(_) => i64::from(dossier.paid.is_some()),
            None => i64::try_from(credited).unwrap(),
        };
        let facts = (dossier.expired.is_some(), dossier.cancelled.is_some(), grants);
        let paid = self.paid.get(id).copied().unwrap_or(0);
        let said = (self.expired.contains(id), self.cancelled.contains(id), paid);
        if facts == said && self.created.contains(id) {
            return Ok(());
        }
        Err(format!("order {id} is {facts:?} and was told to be {said:?}"))
    }
}

/// What one event changes; nothing where it contradicts what was told.
fn follow(told: &mut Told, event: &Event) -> Option<()> {
    let fresh = match event.kind {
        EventKind::OrderCreated => told.created.insert(event.order.clone()?),
        EventKind::OrderConfirming | EventKind::OrderPartiallyPaid => {
            told.created.contains(event.order.as_ref()?)
        }
        EventKind::OrderPaid => {
            *told.paid.entry(event.order.clone()?).or_default() += 1;
            told.sold = true;
            true
        }
        EventKind::OrderExpired => told.expired.insert(event.order.clone()?),
        EventKind::OrderCancelled => told.cancelled.insert(event.order.clone()?),
        EventKind::DepositDetected => told.deposits.insert(event.deposit.clone()?, false).is_none(),
        EventKind::DepositConfirmed => {
            told.deposits.insert(event.deposit.clone()?, true) == Some(false)
        }
        EventKind::DepositOrphaned => {
            let id = event.deposit.clone()?;
            // What counts for another order is gone there too.
            let there = told.gone.insert((event.at, id.clone(), event.order.clone()));
            let at_once = told.gone.iter().filter(|(at, of, _)| (*at, of) == (event.at, &id));
            there && (told.deposits.remove(&id).is_some() || at_once.count() > 1)
        }
        EventKind::OutflowDetected => {
            told.outflows.insert(word(event, "outflow")?, false).is_none()
        }
        EventKind::OutflowWaiting => told.outflows.get(&word(event, "outflow")?) == Some(&false),
        EventKind::OutflowBooked => {
            told.outflows.insert(word(event, "outflow")?, true) == Some(false)
        }
        EventKind::OutflowOrphaned => told.outflows.remove(&word(event, "outflow")?).is_some(),
        EventKind::CaseOpened => told.cases.insert(event.case.clone()?),
        EventKind::CaseResolved => {
            told.of_an_excess = word(event, "kind")? == "overpaid";
            told.cases.remove(event.case.as_ref()?)
        }
        EventKind::CreditsGranted => {
            *told.credits.entry(word(event, "customer")?).or_default() += credits(event)?;
            if !std::mem::take(&mut told.sold) && !told.of_an_excess {
                told.granted.insert((event.order.clone()?, event.deposit.clone()?));
            }
            true
        }
        EventKind::CreditsReversed => {
            *told.credits.entry(word(event, "customer")?).or_default() -= credits(event)?;
            let of = (event.order.clone()?, event.deposit.clone()?);
            if !told.granted.remove(&of) {
                *told.paid.entry(of.0).or_default() -= 1;
            }
            true
        }
        EventKind::ChainFlooded => true,
        EventKind::NoticeOrphaned => told.noted.remove(&word(event, "notice")?),
        EventKind::TokenPaused
        | EventKind::TokenUnpaused
        | EventKind::TokenDeprecated
        | EventKind::TokenFeeSet
        | EventKind::AddressBlacklisted
        | EventKind::AddressReleased
        | EventKind::AddressEmptied => told.noted.insert(word(event, "notice")?),
        // What the issuer gives for a reason is told beside one that stands.
        EventKind::ChainPaused => {
            let fresh = told.paused.insert(event.chain.clone()?);
            fresh || word(event, "why")?.contains("deprecated")
        }
        EventKind::ChainStalled => told.stalled.insert(event.chain.clone()?),
        // A person has it follow another branch, lets it go on and says why, or a block was read.
        EventKind::ChainRecovered if word(event, "adopted").is_some() => {
            let chain = event.chain.as_ref()?;
            told.stalled.remove(chain);
            told.paused.remove(chain)
        }
        EventKind::ChainRecovered if word(event, "why").is_some() => {
            told.paused.remove(event.chain.as_ref()?)
        }
        EventKind::ChainRecovered => told.stalled.remove(event.chain.as_ref()?),
        EventKind::CaseProposed | EventKind::CaseWithdrawn => {
            told.cases.contains(event.case.as_ref()?)
        }
        EventKind::RefundRequested => told.owed.insert(event.case.clone()?),
        EventKind::RefundSent | EventKind::RefundFailed => told.owed.contains(event.case.as_ref()?),
        EventKind::RefundVerified => told.owed.remove(event.case.as_ref()?),
        EventKind::ReconcileFailed => false,
    };
    fresh.then_some(())
}

fn word(event: &Event, name: &str) -> Option<String> {
    event.data.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone())
}

fn credits(event: &Event) -> Option<i128> {
    Some(i128::from(Credits::parse(&word(event, "credits")?).ok()?.micro()))
}
