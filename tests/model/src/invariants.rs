//! The twelve invariants: what must be true of any books, each said once and looked at whole.
//!
//! In: the books, and the chains as they are. Out: the first sentence that is not true, by name.
//! Never: something left out because no step touched it; passing over that is for `assertions`.
//! Why: what follows the changes step by step can miss what nobody changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::amount::Usdt;
use payments::case::{Case, CaseKind, RefundState};
use payments::changes::{Changes, Update};
use payments::deposit::{Deposit, DepositId, State};
use payments::event::Event;
use payments::ledger::{Account, Asset, Journal};
use payments::order::Dossier;
use payments::outflow::{Outflow, OutflowState};
use payments::plan;
use payments::time::Time;

use crate::batching;
use crate::memory::Memory;
use crate::reference::{Chain, amount_of};
use crate::shares::own;
use crate::sums::Sums;
use crate::transitions::World;

/// A sentence about the books, and what looks whether it is true.
#[derive(Clone, Copy)]
pub(crate) struct Invariant {
    pub(crate) name: &'static str,
    holds: fn(&Whole<'_>) -> Result<(), String>,
}

macro_rules! invariants {
    ($($name:ident),+ $(,)?) => {
        /// All of them.
        pub(crate) const ALL: [Invariant; 12] =
            [$(Invariant { name: stringify!($name), holds: $name }),+];
    };
}

invariants! {
    value_is_conserved_per_asset,
    accounts_keep_within_their_bounds,
    what_is_written_stays_written,
    nothing_happens_twice,
    each_final_deposit_has_one_disposition,
    custody_is_the_balance_on_chain,
    suspense_is_the_open_cases,
    closed_orders_clear_to_zero,
    the_books_are_the_rules_run_again,
    events_are_gapless_and_tell_all,
    nothing_unfinal_or_uncanonical_is_credited,
    the_order_of_batches_does_not_matter,
}

/// A history as it stands, with what is summed up of it.
pub(crate) struct Whole<'a> {
    world: &'a World,
    memory: &'a Memory,
    sums: &'a Sums,
    /// Whether the history is over.
    over: bool,
}

/// What the books held when all of them was last looked at.
#[derive(Default)]
pub(crate) struct Written {
    journals: Vec<Arc<Journal>>,
    events: Vec<Arc<Event>>,
    deposits: Vec<Arc<Deposit>>,
    cases: Vec<Arc<Case>>,
}

/// What happened since the rules were last run again, and the books they gave then.
#[derive(Default)]
pub(crate) struct Past {
    pub(crate) steps: Vec<Decided>,
    pub(crate) again: Memory,
    /// What was decided and not yet written.
    planned: Option<Changes>,
}

impl From<Memory> for Past {
    fn from(again: Memory) -> Self {
        Self { again, ..Self::default() }
    }
}

/// An update that was written, and when it was decided.
pub(crate) enum Decided {
    /// At that moment, by what was read then.
    Now(Update, Time),
    /// By what is read here, whether or not it is written later.
    Before(Update, Time),
    /// What was decided before is written here, after something else was.
    Then,
}

impl World {
    /// All twelve over all that there is, or one of them alone. What is summed up is summed up
    /// from where the last look ended; at the end of a history, or where it is to be, from the
    /// first row on.
    pub(crate) fn look_at_all(&mut self, only: Option<&str>, over: bool) -> Result<(), String> {
        self.run_again()?;
        let mut sums = std::mem::take(&mut self.sums);
        if over || self.gaze.is_always_whole() {
            sums = Sums::default();
        }
        sums.read(&self.memory);
        let whole = Whole { world: self, memory: &self.memory, sums: &sums, over };
        for invariant in ALL.iter().filter(|one| only.is_none_or(|only| only == one.name)) {
            (invariant.holds)(&whole).map_err(|what| format!("{}: {what}", invariant.name))?;
        }
        self.sums = sums;
        self.written.follow(&self.memory);
        Ok(())
    }

    /// The rules, run again over what happened since this was last looked at, give these books.
    pub(crate) fn decided_again(&mut self) -> Result<(), String> {
        self.run_again()?;
        same_books(&self.memory, &self.past.again)?;
        // What is one value need not be compared again.
        self.past.again.share(&self.memory);
        Ok(())
    }

    /// Lets the rules decide again what was decided since this was last done.
    pub(crate) fn run_again(&mut self) -> Result<(), String> {
        let Past { steps, again, planned } = &mut self.past;
        for step in steps.drain(..) {
            let decided = match &step {
                Decided::Now(update, now) | Decided::Before(update, now) => {
                    plan(&self.rules, &again.snapshot(update), update, *now).ok()
                }
                Decided::Then => planned.take(),
            };
            if let Decided::Before(..) = step {
                *planned = decided;
                continue;
            }
            let changes = decided.ok_or("what was decided is refused")?;
            let written = again.commit(&changes);
            written.map_err(|refused| format!("decided again: {refused:?}"))?;
        }
        Ok(())
    }
}

impl Written {
    fn follow(&mut self, memory: &Memory) {
        follow(&mut self.journals, memory.journals());
        follow(&mut self.events, memory.events());
        follow(&mut self.deposits, memory.deposits());
        follow(&mut self.cases, memory.cases());
    }
}

fn follow<T>(was: &mut Vec<Arc<T>>, is: &[Arc<T>]) {
    was.truncate(is.len());
    let same = was.iter_mut().zip(is);
    same.filter(|(was, is)| !Arc::ptr_eq(was, is)).for_each(|(was, is)| was.clone_from(is));
    was.extend_from_slice(&is[was.len()..]);
}

impl Whole<'_> {
    /// What is owed by refunds that no chain has shown: not those whose deposit is gone since.
    fn owed(&self, chain: &Chain) -> i128 {
        let stands = |case: &Case| {
            let decided = case.decision.as_ref().map(|decision| decision.at);
            decided.is_some_and(|at| self.sums.stands(&format!("resolve:{}", case.id), at))
        };
        let of_chain = self.memory.cases().iter().filter(|case| case.chain == chain.name);
        let unpaid = of_chain.filter(|case| {
            case.refund().is_some_and(|refund| refund.state != RefundState::Verified)
        });
        let unpaid = unpaid.filter(|case| stands(case));
        unpaid.filter_map(|case| case.refund()).map(|refund| i128::from(refund.net.micro())).sum()
    }

    fn dossiers(&self) -> impl Iterator<Item = &Arc<Dossier>> {
        self.memory.orders().filter_map(|id| self.memory.dossier(id))
    }
}

/// Whether a deposit is on its chain, as what arrived: what a decision counts for another order,
/// whole or in part, is another deposit of the same id.
pub(crate) fn sits(deposit: &Deposit) -> bool {
    deposit.state.is_on_chain() && deposit.assigned.is_none()
}

/// Of every asset as much is debited as is credited, and each balance is the sum of its journals.
fn value_is_conserved_per_asset(whole: &Whole<'_>) -> Result<(), String> {
    let mut totals: BTreeMap<&Asset, i128> = BTreeMap::new();
    for (at, sides) in &whole.memory.balances().0 {
        let (asset, account) = at;
        *totals.entry(asset).or_default() += sides.credits - sides.debits;
        let (kept, summed) = (sides.net(), whole.sums.nets.get(at).copied().unwrap_or(0));
        if kept != summed {
            return Err(format!("{asset} {account} is kept as {kept} and adds up to {summed}"));
        }
    }
    if let Some((asset, left)) = totals.iter().find(|(_, left)| **left != 0) {
        return Err(format!("of {asset} {left} come from nowhere"));
    }
    let kept = |at: &(Asset, Account)| whole.memory.balances().0.contains_key(at);
    match whole.sums.nets.keys().find(|at| !kept(at)) {
        Some((asset, account)) => Err(format!("{asset} {account} has no balance")),
        None => Ok(()),
    }
}

/// No entry takes an account past its bound, not even for a moment, but where a commit takes back
/// what several orders had; credits are taken back from a customer by a reversal alone. No chain
/// credits more in an hour than its ceiling.
fn accounts_keep_within_their_bounds(whole: &Whole<'_>) -> Result<(), String> {
    whole.sums.within_bounds()?;
    whole.world.overshot.clone().map_or(Ok(()), Err)
}

/// Journals and events stand as they were written, deposits stay who they are, decided cases stay
/// decided, and what was proposed or became of a refund is only added to.
fn what_is_written_stays_written(whole: &Whole<'_>) -> Result<(), String> {
    let (was, is) = (&whole.world.written, whole.memory);
    let wrong = |what: String| Err(format!("{what} is not what was written"));
    if let Some(at) = changed(&was.journals, is.journals(), PartialEq::eq) {
        return wrong(format!("journal {at}"));
    }
    if let Some(at) = changed(&was.events, is.events(), PartialEq::eq) {
        return wrong(format!("event {at}"));
    }
    let who = |a: &Deposit, b: &Deposit| (&a.id, &a.order) == (&b.id, &b.order);
    if let Some(at) = changed(&was.deposits, is.deposits(), who) {
        return wrong(format!("deposit {at}"));
    }
    let stays = |a: &Case, b: &Case| {
        (&a.id, a.kind, &a.order, a.opened_at) == (&b.id, b.kind, &b.order, b.opened_at)
            && (a.decision.is_none() || a.decision == b.decision)
            && b.steps.starts_with(&a.steps)
    };
    match changed(&was.cases, is.cases(), stays) {
        Some(at) => wrong(format!("case {at}")),
        None => Ok(()),
    }
}

/// The first place at which something is gone, or another.
fn changed<T>(was: &[Arc<T>], is: &[Arc<T>], same: impl Fn(&T, &T) -> bool) -> Option<usize> {
    let stands =
        |at: usize| is.get(at).is_some_and(|is| Arc::ptr_eq(&was[at], is) || same(&was[at], is));
    (0..was.len()).find(|at| !stands(*at))
}

/// A key is used once; of the rounds of one cause one stands; a reversal undoes exactly what it
/// names; a deposit sits on its chain once, and where a decision counts it for one other order, it
/// counts no more where it came from.
fn nothing_happens_twice(whole: &Whole<'_>) -> Result<(), String> {
    whole.sums.only_once()?;
    let mut once = BTreeSet::new();
    let mut on_chain = whole.memory.deposits().iter().filter(|d| d.state.is_on_chain());
    if let Some(twice) = on_chain.find(|d| !once.insert((&d.id, &d.assigned))) {
        return Err(format!("deposit {} is on its chain twice", twice.id));
    }
    let by_id = |case: &'_ Arc<Case>| (case.id.clone(), Arc::clone(case));
    let decided = whole.memory.cases().iter().filter(|case| case.decision.is_some());
    let decided: BTreeMap<_, _> = decided.map(by_id).collect();
    let counted = whole.memory.deposits().iter().filter(|d| d.state.is_on_chain());
    for deposit in counted {
        let Some(case) = deposit.assigned.as_ref().and_then(|case| decided.get(case)) else {
            continue;
        };
        // Of an excess the rest still counts where it came from.
        let left = |d: &&Deposit| (&d.id, &d.order) == (&deposit.id, &case.order);
        let mut left = whole.memory.deposits_by(&deposit.id.tx).filter(left);
        if case.kind != CaseKind::Overpaid && left.any(|d| d.state != State::Reassigned) {
            return Err(format!("deposit {} counts for two orders", deposit.id));
        }
    }
    Ok(())
}

/// Each transfer that was shown on the recorded chain is one deposit; each that is booked was
/// received once, for what it is, and its value is where its state says; none that is pending or
/// gone was received.
fn each_final_deposit_has_one_disposition(whole: &Whole<'_>) -> Result<(), String> {
    let mut received: BTreeMap<&DepositId, Vec<&Journal>> = BTreeMap::new();
    for journal in whole.sums.standing("deposit:") {
        received
            .entry(journal.deposit.as_ref().ok_or("a receipt of nothing")?)
            .or_default()
            .push(journal);
    }
    let mut recorded: BTreeMap<&DepositId, &Deposit> = BTreeMap::new();
    for deposit in whole.memory.deposits().iter().filter(|deposit| sits(deposit)) {
        recorded.insert(&deposit.id, deposit);
        let mut receipts = received.remove(&deposit.id).unwrap_or_default();
        let booked = deposit.state != State::Pending && deposit.amount != Usdt::ZERO;
        let receipt = receipts.pop();
        if receipt.is_some() != booked || !receipts.is_empty() {
            return Err(format!(
                "deposit {} is {:?}, and was not received so",
                deposit.id, deposit.state
            ));
        }
        if let Some(receipt) = receipt {
            let dust = deposit.state == State::Dust;
            let (first, only) = (&receipt.entries[0], receipt.entries.len() == 1);
            let where_to =
                if dust { first.credit == Account::Dust } else { first.credit != Account::Dust };
            if first.amount != deposit.amount.micro() || !only || !where_to {
                return Err(format!("deposit {} was received as another", deposit.id));
            }
        }
        if deposit.state == State::Pending && whole.over {
            return Err(format!("deposit {} waits for ever", deposit.id));
        }
    }
    if let Some(gone) = received.keys().next() {
        return Err(format!("deposit {gone} is not on its chain, and received"));
    }
    let mut shown = 0;
    for chain in &whole.world.chains {
        for seen in chain.shown().filter(|seen| whole.world.is_ours(chain, seen)) {
            shown += 1;
            let id = whole.world.id_of(chain, chain.transfer(seen));
            if !recorded.contains_key(&id) {
                return Err(format!("deposit {id} is missing"));
            }
        }
    }
    if shown == recorded.len() {
        return Ok(());
    }
    Err(format!("{} deposits are recorded of {shown} transfers", recorded.len()))
}

/// What the books hold of an address, and what of it is not booked yet, is what the token says.
fn custody_is_the_balance_on_chain(whole: &Whole<'_>) -> Result<(), String> {
    for chain in &whole.world.chains {
        let mut books: BTreeMap<_, i128> = BTreeMap::new();
        for ((asset, account), net) in &whole.sums.nets {
            if let Account::Custody(of, address) = account
                && *of == chain.name
            {
                if *asset != Asset::Usdt(of.clone()) {
                    return Err(format!("{account} holds {asset}"));
                }
                *books.entry(*address).or_default() -= net;
            }
        }
        let pending = |deposit: &&Arc<Deposit>| {
            deposit.id.chain == chain.name && deposit.state == State::Pending
        };
        for deposit in whole.memory.deposits().iter().filter(pending) {
            *books.entry(deposit.to).or_default() += i128::from(deposit.amount.micro());
        }
        for seen in chain.shown().filter(|seen| whole.world.is_ours(chain, seen)) {
            let transfer = chain.transfer(seen);
            let amount = amount_of(transfer, &whole.world.rules[&chain.name]);
            *books.entry(transfer.to).or_default() -= amount;
        }
        let left = |outflow: &&Arc<Outflow>| {
            outflow.id.chain == chain.name && outflow.state == OutflowState::Booked
        };
        for outflow in whole.memory.outflows().iter().filter(left) {
            *books.entry(outflow.from).or_default() += i128::from(outflow.amount.micro());
        }
        if let Some((address, by)) = books.iter().find(|(_, by)| **by != 0) {
            return Err(format!("{address} on {} is booked with {by} too much", chain.name));
        }
        whole.world.check_all_outflows(chain)?;
    }
    Ok(())
}

/// What waits for a person is what the open cases say, kind by kind and chain by chain; what is
/// payable is the refunds that no chain has shown.
fn suspense_is_the_open_cases(whole: &Whole<'_>) -> Result<(), String> {
    let mut held: BTreeMap<(Asset, CaseKind), i128> = BTreeMap::new();
    for case in whole.memory.cases().iter().filter(|case| case.decision.is_none()) {
        let at = (Asset::Usdt(case.chain.clone()), case.kind);
        *held.entry(at).or_default() += i128::from(case.amount.micro());
    }
    for ((asset, account), net) in &whole.sums.nets {
        if let Account::Suspense(kind) = account {
            *held.entry((asset.clone(), *kind)).or_default() -= net;
        }
    }
    if let Some(((asset, kind), by)) = held.iter().find(|(_, by)| **by != 0) {
        return Err(format!("the cases {} of {asset} ask for {by} more", kind.word()));
    }
    for chain in &whole.world.chains {
        let owed = whole.owed(chain);
        let asset = Asset::Usdt(chain.name.clone());
        let payable = whole.sums.net(asset, Account::RefundsPayable);
        if payable != owed {
            return Err(format!("{payable} are payable on {} and {owed} owed", chain.name));
        }
    }
    Ok(())
}

/// Of an order that is over nothing is left on its account; of one that is open, what it waits
/// with.
fn closed_orders_clear_to_zero(whole: &Whole<'_>) -> Result<(), String> {
    for dossier in whole.dossiers() {
        let order = &dossier.order;
        let over = dossier.paid.or(dossier.expired).or(dossier.cancelled).is_some();
        let waits = dossier.deposits.iter().filter(|d| d.state == State::Confirmed);
        let waits: i128 = waits.map(|deposit| own(dossier, deposit)).sum();
        for chain in &whole.world.chains {
            let asset = Asset::Usdt(chain.name.clone());
            let left = whole.sums.net(asset, Account::Order(order.id.clone()));
            let wanted = if over || order.chain != chain.name { 0 } else { waits };
            if left != wanted {
                return Err(format!("order {} is left with {left}, not {wanted}", order.id));
            }
        }
    }
    Ok(())
}

/// The same updates, decided once more from the first on, give the same books.
fn the_books_are_the_rules_run_again(whole: &Whole<'_>) -> Result<(), String> {
    same_books(whole.memory, &whole.world.past.again)
}

fn same_books(is: &Memory, wanted: &Memory) -> Result<(), String> {
    if is == wanted {
        return Ok(());
    }
    let (is, wanted) = (is.dump(), wanted.dump());
    let differs = is.lines().zip(wanted.lines()).find(|(is, wanted)| is != wanted);
    Err(format!("decided again they are others: {differs:?}"))
}

/// Who reads all events and nothing else knows what the books hold.
fn events_are_gapless_and_tell_all(whole: &Whole<'_>) -> Result<(), String> {
    if whole.world.told_through != whole.memory.events().len() {
        return Err("the numbers of the events have a gap".to_owned());
    }
    whole.sums.follows()?;
    whole.sums.told.is_all_of(whole.world)
}

/// What is booked is in a recorded block that was final for it, and each grant has something that
/// it was granted for.
fn nothing_unfinal_or_uncanonical_is_credited(whole: &Whole<'_>) -> Result<(), String> {
    let chain = |deposit: &Deposit| -> &Chain { whole.world.chain(&deposit.id.chain) };
    let booked = |d: &&Arc<Deposit>| d.state.is_on_chain() && d.state != State::Pending;
    for deposit in whole.memory.deposits().iter().filter(booked) {
        let chain = chain(deposit);
        let at = whole.world.place(chain, deposit);
        if !at.is_some_and(|seen| chain.is_recorded(seen.0) && chain.shown.is_settled(&seen)) {
            return Err(format!("deposit {} is booked and is not final", deposit.id));
        }
    }
    let mut granted: BTreeMap<_, i128> = BTreeMap::new();
    for journal in whole.sums.standing("paid:") {
        let sold = journal.entries.iter().filter(|entry| entry.credit == Account::Sales);
        let sold: i128 = sold.map(|entry| i128::from(entry.amount)).sum();
        *granted.entry(journal.order.clone()).or_default() += sold;
    }
    for dossier in whole.dossiers() {
        let credited = dossier.deposits.iter().filter(|d| d.state == State::Credited);
        let credited: i128 = credited.map(|d| i128::from(d.amount.micro())).sum();
        let sold = granted.remove(&Some(dossier.order.id.clone())).unwrap_or(0);
        if sold > credited {
            return Err(format!("order {} was granted {sold} for {credited}", dossier.order.id));
        }
    }
    match granted.keys().next() {
        Some(order) => Err(format!("{order:?} was granted something and is not")),
        None => Ok(()),
    }
}

/// A history without reorgs, read in other portions, gives the same books. It is another history,
/// looked at where the first is over.
fn the_order_of_batches_does_not_matter(whole: &Whole<'_>) -> Result<(), String> {
    let (seed, mutation) = (whole.world.seed, whole.world.mutation);
    if whole.over && seed.is_multiple_of(4) { batching::compare(seed, mutation) } else { Ok(()) }
}
