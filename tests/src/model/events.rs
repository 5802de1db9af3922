//! The events, read as a billing service reads them, tell what the books hold.
//!
//! In: every event, once, in order. Out: what a reader of nothing else believes.
//! Never: a look at the books while reading. Why: what is told is all that others act on.

use std::collections::{BTreeMap, BTreeSet};

use payments::amount::Credits;
use payments::case::CaseId;
use payments::deposit::{DepositId, State};
use payments::event::{Event, EventKind};
use payments::ledger::{Account, Asset};
use payments::name::{ChainName, OrderId};

use super::transitions::World;
use crate::memory::Memory;

/// What a reader of the events believes.
#[derive(Default)]
pub(super) struct Told {
    read: usize,
    created: BTreeSet<OrderId>,
    expired: BTreeSet<OrderId>,
    cancelled: BTreeSet<OrderId>,
    /// How many grants of an order stand.
    paid: BTreeMap<OrderId, i64>,
    /// Deposits on their chain, and whether each is confirmed.
    deposits: BTreeMap<DepositId, bool>,
    cases: BTreeSet<CaseId>,
    credits: BTreeMap<String, i128>,
    paused: BTreeSet<ChainName>,
    stalled: BTreeSet<ChainName>,
}

impl Told {
    /// Reads the events that were not read yet.
    pub(super) fn fold(&mut self, memory: &Memory) -> Result<(), String> {
        for event in &memory.events()[self.read..] {
            let name = event.kind.word();
            follow(self, event).ok_or_else(|| format!("{name} cannot follow: {event:?}"))?;
            self.read += 1;
        }
        Ok(())
    }

    /// What was told is what is.
    pub(super) fn compare(&self, world: &World) -> Result<(), String> {
        compare(self, world)
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
            true
        }
        EventKind::OrderExpired => told.expired.insert(event.order.clone()?),
        EventKind::OrderCancelled => told.cancelled.insert(event.order.clone()?),
        EventKind::DepositDetected => told.deposits.insert(event.deposit.clone()?, false).is_none(),
        EventKind::DepositConfirmed => {
            told.deposits.insert(event.deposit.clone()?, true) == Some(false)
        }
        EventKind::DepositOrphaned => told.deposits.remove(event.deposit.as_ref()?).is_some(),
        EventKind::CaseOpened => told.cases.insert(event.case.clone()?),
        EventKind::CaseResolved => told.cases.remove(event.case.as_ref()?),
        EventKind::CreditsGranted => {
            *told.credits.entry(word(event, "customer")?).or_default() += credits(event)?;
            true
        }
        EventKind::CreditsReversed => {
            *told.credits.entry(word(event, "customer")?).or_default() -= credits(event)?;
            *told.paid.entry(event.order.clone()?).or_default() -= 1;
            true
        }
        EventKind::ChainPaused => told.paused.insert(event.chain.clone()?),
        EventKind::ChainStalled => told.stalled.insert(event.chain.clone()?),
        // A person lets it go on and says why, or a block was read.
        EventKind::ChainRecovered if word(event, "why").is_some() => {
            told.paused.remove(event.chain.as_ref()?)
        }
        EventKind::ChainRecovered => told.stalled.remove(event.chain.as_ref()?),
        EventKind::RefundVerified => false,
    };
    fresh.then_some(())
}

fn word(event: &Event, name: &str) -> Option<String> {
    event.data.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone())
}

fn credits(event: &Event) -> Option<i128> {
    Some(i128::from(Credits::parse(&word(event, "credits")?).ok()?.micro()))
}

/// What was told is what is.
fn compare(told: &Told, world: &World) -> Result<(), String> {
    let mut on_chain = 0;
    for deposit in world.memory.deposits() {
        let is = deposit.state.is_on_chain().then_some(deposit.state != State::Pending);
        on_chain += usize::from(is.is_some());
        if told.deposits.get(&deposit.id).copied() != is {
            return Err(format!("deposit {} is not what was told", deposit.id));
        }
    }
    let open = world.memory.cases().iter().filter(|case| case.decision.is_none());
    let open: BTreeSet<&CaseId> = open.map(|case| &case.id).collect();
    if on_chain != told.deposits.len() || !open.iter().copied().eq(&told.cases) {
        return Err("the deposits or the open cases are not those that were told".to_owned());
    }
    compare_orders(told, world)?;
    for chain in &world.chains {
        let marks = (told.paused.contains(&chain.name), told.stalled.contains(&chain.name));
        if marks != (chain.paused, chain.stalled) {
            return Err(format!("the marks of {} are not those that were told", chain.name));
        }
    }
    Ok(())
}

fn compare_orders(told: &Told, world: &World) -> Result<(), String> {
    for (id, dossier) in world.memory.facts() {
        let grants = match dossier.order.due {
            Some(_) => i64::from(dossier.paid.is_some()),
            None => i64::try_from(dossier.credited).unwrap(),
        };
        let facts = (dossier.expired.is_some(), dossier.cancelled.is_some(), grants);
        let paid = told.paid.get(id).copied().unwrap_or(0);
        let said = (told.expired.contains(id), told.cancelled.contains(id), paid);
        if facts != said || !told.created.contains(id) {
            return Err(format!("order {id} is {facts:?} and was told to be {said:?}"));
        }
        let customer = &dossier.order.customer;
        let account = Account::Customer(customer.clone());
        let credits = world.memory.net(&Asset::Credit, &account);
        if told.credits.get(customer.as_str()).copied().unwrap_or(0) != credits {
            return Err(format!("customer {customer} was told of other credits than {credits}"));
        }
    }
    Ok(())
}
