//! Decisions about cases: what fits, who must agree, what each does to the books.
//!
//! In: a case with its deposits, and what a person says. Out: one decision for ever, its journals.
//! Never: an amount that a person typed, but for a fee; a decision about what a reorg may undo.
//! Why: money that waits for a person leaves suspense by these lines and by no others.
//!
//! Where a person resumes a chain whose final blocks were replaced, what a decision booked for a
//! deposit of theirs is reversed with it, and the decision stays: mined again, the deposit is
//! judged anew and may open a case of its own.

use crate::address::Address;
use crate::amount::Usdt;
use crate::case::{
    Case, CaseId, CaseKind, Decision, ITSELF, Resolution, Step, StepKind, is_same_person,
    is_same_spelling,
};
use crate::chain::Cursor;
use crate::changes::{Changes, CursorMove, Rules, Snapshot};
use crate::deposit::{Deposit, State};
use crate::desk::{Desk, Work};
use crate::event::EventKind;
use crate::keeper::Keeper;
use crate::ledger::{Account, Entry, Journal};
use crate::name::OrderId;
use crate::order::{Order, given};
use crate::plan::{PlanError, rules_of};
use crate::time::Time;

/// Why something cannot be decided about a case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something else was decided.
    #[error("is decided: {} by {}: {}", .0.resolution.word(), .0.by, .0.why)]
    Decided(Box<Decision>),
    /// Something else is proposed and waits for a second person.
    #[error("waits for a second person: {} proposed {}; confirm that, or withdraw it", .0.by, .1)]
    Proposed(Box<Step>, String),
    /// Nothing is proposed.
    #[error("has no proposal to withdraw")]
    NoProposal,
    /// The decision does not fit this kind of case.
    #[error("cannot be resolved by {resolution}: {why}; what fits is {fits}")]
    Unfit {
        /// What was asked for.
        resolution: &'static str,
        /// Why it does not fit.
        why: &'static str,
        /// What does.
        fits: String,
    },
    /// A reorg could still undo it.
    #[error("can be decided once block {height} of {chain} is final; {now}")]
    NotFinal {
        /// The height that must be final.
        height: u64,
        /// On which chain.
        chain: String,
        /// Which is, in words.
        now: String,
    },
    /// Crediting on its chain waits for a person.
    #[error("cannot be credited or reassigned while {chain} is paused: {why}")]
    Paused {
        /// The chain.
        chain: String,
        /// Why.
        why: String,
    },
    /// The fee would leave nothing.
    #[error("holds {held}: a fee of {fee} leaves nothing to send")]
    Fee {
        /// What was asked for.
        fee: Usdt,
        /// What is held.
        held: Usdt,
    },
    /// A refund must leave us.
    #[error("cannot be refunded to {0}: that is {1}")]
    Destination(Address, &'static str),
    /// The deposits cannot count for that order.
    #[error("cannot be reassigned to order `{order}`: {why}")]
    Target {
        /// That order.
        order: OrderId,
        /// Why not.
        why: String,
    },
    /// There is nothing to send.
    #[error("has no refund that was decided")]
    NoRefund,
    /// Another transaction was given and nobody knows yet what became of it.
    #[error("is said to be paid by {0} already; wait for its end, or give that one up first")]
    AlreadySent(String),
    /// It is paid.
    #[error("is refunded: {0} was seen on chain")]
    Refunded(String),
    /// What was to be given back was taken away.
    #[error("has no deposit any more: its block is no longer part of the chain")]
    Gone,
    /// It is recorded as decided, and nobody else had agreed.
    #[error("was decided by {0} alone: a refund to there needs a second person")]
    Alone(String),
}

/// What a person says about a case.
pub(crate) struct Said<'a> {
    pub(crate) resolution: &'a Resolution,
    pub(crate) by: &'a str,
    pub(crate) why: &'a str,
}

/// A deposit of a case, and what of it is held.
pub(crate) struct Part {
    pub(crate) at: usize,
    pub(crate) deposit: Deposit,
    pub(crate) held: Usdt,
}

/// Decides, or proposes where a second person must agree. The same again changes nothing.
pub(crate) fn resolve(
    rules: &Rules,
    snapshot: &Snapshot,
    id: &CaseId,
    said: &Said<'_>,
    now: Time,
) -> Result<Changes, PlanError> {
    let case = find(snapshot, id)?;
    let refuse = |why| PlanError::Undecidable { case: id.clone(), why };
    if let Some(decision) = &case.decision {
        if decision.resolution == *said.resolution {
            return Ok(Changes::default());
        }
        return Err(refuse(Refusal::Decided(Box::new(decision.clone()))));
    }
    let rules = rules_of(rules, &case.chain)?;
    if let Some((proposed, step)) = case.proposal() {
        if proposed != said.resolution {
            let why = Refusal::Proposed(Box::new(step.clone()), proposed.terms());
            return Err(refuse(why));
        }
        if is_same_person(&step.by, said.by) {
            return Ok(Changes::default());
        }
    }
    fits(snapshot, case, said.resolution).map_err(refuse)?;
    if let Resolution::Refund { to, .. } = said.resolution
        && *to == rules.token
    {
        return Err(refuse(Refusal::Destination(*to, "the token's own contract")));
    }
    let alone = case.proposal().is_none();
    if alone && needs_two(snapshot, case, said.resolution, rules.bounds.two_person_above) {
        return propose(snapshot, case, said, now);
    }
    decide(snapshot, case, said, now)
}

/// Takes back what waits for a second person.
pub(crate) fn withdraw(
    snapshot: &Snapshot,
    id: &CaseId,
    by: &str,
    why: &str,
    now: Time,
) -> Result<Changes, PlanError> {
    let case = find(snapshot, id)?;
    let refuse = |why| PlanError::Undecidable { case: id.clone(), why };
    if let Some(decision) = &case.decision {
        return Err(refuse(Refusal::Decided(Box::new(decision.clone()))));
    }
    let last = case.steps.last().map(|step| &step.kind);
    if last == Some(&StepKind::Withdrawn) {
        return Ok(Changes::default());
    }
    if case.proposal().is_none() {
        return Err(refuse(Refusal::NoProposal));
    }
    let mut desk = Desk::new(snapshot, now);
    take_back(desk.keeper(case)?, case, (by, why), now);
    Ok(guarded(snapshot, case, desk.finish()))
}

/// Writes down that a proposal was taken back.
pub(crate) fn take_back(keeper: &mut dyn Keeper, case: &Case, (by, why): (&str, &str), now: Time) {
    let kind = StepKind::Withdrawn;
    keeper.add_step(&case.id, Step { kind, by: by.to_owned(), why: why.to_owned(), at: now });
    let data = vec![("by", by.to_owned()), ("why", why.to_owned())];
    keeper.say(EventKind::CaseWithdrawn, case, data);
}

/// Takes back what waits for a second person about a case that was `before`, where the case is
/// about something else by now: who confirms it now would agree to what nobody has proposed. When
/// that was is told, so that the rules that are run again take it back by what was told.
pub(crate) fn outdate(work: &mut Work, before: &Case) {
    let found = work.dossier.cases.iter().find(|case| case.id == before.id);
    let Some(now) = found.filter(|case| case.proposal().is_some()).cloned() else { return };
    let (held, holds) = (before.amount, now.amount);
    let why = if held != holds {
        format!("the case holds {holds} now, and held {held} when this was proposed")
    } else if before.deposits != now.deposits {
        "the case is about other deposits than when this was proposed".to_owned()
    } else {
        return;
    };
    let at = work.now;
    take_back(work, &now, (ITSELF, &why), at);
}

/// The case of an id, wherever it is kept.
pub(crate) fn find<'a>(snapshot: &'a Snapshot, id: &CaseId) -> Result<&'a Case, PlanError> {
    let of_orders = snapshot.dossiers.values().flat_map(|dossier| &dossier.cases);
    let mut cases = of_orders.chain(&snapshot.unassigned_cases);
    cases.find(|case| case.id == *id).ok_or_else(|| PlanError::UnknownCase(id.clone()))
}

/// A case of no order has no version: the cursor of its chain stands for it.
pub(crate) fn guarded(snapshot: &Snapshot, case: &Case, mut changes: Changes) -> Changes {
    if case.order.is_none() && !changes.is_empty() {
        let cursor = snapshot.cursor.clone();
        let cursor = cursor.unwrap_or_else(|| Cursor::new(case.chain.clone()));
        changes.cursor = Some(CursorMove::still(&cursor));
    }
    changes
}

/// A refund to an address that the order does not name, and anything above the bound.
fn needs_two(
    snapshot: &Snapshot,
    case: &Case,
    resolution: &Resolution,
    above: Option<Usdt>,
) -> bool {
    let order = case.order.as_ref().and_then(|id| snapshot.dossiers.get(id)).map(|d| &d.order);
    // A case about an outflow holds nothing, and who says what it was may be who took it.
    let at_stake = case.at_stake(snapshot.left);
    goes_elsewhere(order, case, resolution) || above.is_some_and(|above| at_stake > above)
}

/// Whether money is to be sent where the order does not say.
fn goes_elsewhere(order: Option<&Order>, case: &Case, resolution: &Resolution) -> bool {
    match resolution {
        // What is the customer's on one chain need not be on another.
        Resolution::Refund { to, .. } => {
            order.is_none_or(|order| order.refund_to != Some(*to) || order.chain != case.chain)
        }
        _ => false,
    }
}

/// Whether a decision fits the kind of its case, and what the case holds.
fn fits_kind(case: &Case, resolution: &Resolution) -> Result<(), Refusal> {
    let word = resolution.word();
    let kinds = case.kind.resolutions();
    let nothing = case.amount.is_zero() && word != "dismiss";
    if nothing || !kinds.contains(&word) {
        let (why, fits) = if nothing && kinds.len() > 1 {
            ("it holds nothing", "dismiss".to_owned())
        } else {
            (case.kind.unfit(), kinds.join(", "))
        };
        return Err(Refusal::Unfit { resolution: word, why, fits });
    }
    match resolution {
        Resolution::Refund { fee, .. } if *fee >= case.amount => {
            Err(Refusal::Fee { fee: *fee, held: case.amount })
        }
        Resolution::Refund { to, .. } if to.0 == [0; 20] => {
            Err(Refusal::Destination(*to, "nobody's"))
        }
        _ => Ok(()),
    }
}

/// Whether a recorded decision could be taken: what was final then, what was paused and what the
/// config said above which amount two must agree is not recorded.
pub(crate) fn could_be_taken(
    order: Option<&Order>,
    case: &Case,
    said: &Said<'_>,
) -> Result<(), Refusal> {
    if let Some(decision) = &case.decision {
        return Err(Refusal::Decided(Box::new(decision.clone())));
    }
    fits_kind(case, said.resolution)?;
    match case.proposal() {
        Some((proposed, step)) if proposed != said.resolution => {
            Err(Refusal::Proposed(Box::new(step.clone()), proposed.terms()))
        }
        Some((_, step)) if is_same_spelling(&step.by, said.by) => Err(alone(said)),
        None if goes_elsewhere(order, case, said.resolution) => Err(alone(said)),
        _ => Ok(()),
    }
}

fn alone(said: &Said<'_>) -> Refusal {
    Refusal::Alone(said.by.to_owned())
}

fn fits(snapshot: &Snapshot, case: &Case, resolution: &Resolution) -> Result<(), Refusal> {
    fits_kind(case, resolution)?;
    let paused = snapshot.cursor.as_ref().and_then(|cursor| cursor.paused.clone());
    if let (Some(why), Resolution::Credit | Resolution::Reassign(_)) = (paused, resolution) {
        return Err(Refusal::Paused { chain: case.chain.to_string(), why });
    }
    is_final(snapshot, case)?;
    match resolution {
        Resolution::Refund { to, .. } if snapshot.owners.contains_key(to) => {
            Err(Refusal::Destination(*to, "a deposit address of ours"))
        }
        Resolution::Reassign(order) => target_fits(snapshot, case, order)
            .map_err(|why| Refusal::Target { order: order.clone(), why }),
        _ => Ok(()),
    }
}

/// That no ordinary reorg can undo what is decided about: the deposits of the case and, where an
/// excess is decided about, all that made it one.
fn is_final(snapshot: &Snapshot, case: &Case) -> Result<(), Refusal> {
    if case.kind == CaseKind::ReversedAfterCredit {
        return Ok(());
    }
    let dossier = case.order.as_ref().and_then(|id| snapshot.dossiers.get(id));
    let deposits = dossier.map_or(&snapshot.unassigned, |dossier| &dossier.deposits);
    let about = |deposit: &&Deposit| {
        let made = case.kind.is_part_of_a_deposit() && deposit.state == State::Credited;
        deposit.id.chain == case.chain && (made || case.deposits.contains(&deposit.id))
    };
    let height = deposits.iter().filter(about).map(|deposit| deposit.block.height).max();
    let finalized = snapshot.cursor.as_ref().and_then(|cursor| cursor.finalized);
    let finalized = finalized.map(|block| block.height);
    match height {
        Some(height) if finalized.is_none_or(|finalized| height > finalized) => {
            let now = finalized.map_or_else(
                || "none is yet".to_owned(),
                |finalized| format!("up to {finalized} is now"),
            );
            Err(Refusal::NotFinal { height, chain: case.chain.to_string(), now })
        }
        _ => Ok(()),
    }
}

/// Whether the deposits of a case can count for another order.
fn target_fits(snapshot: &Snapshot, case: &Case, order: &OrderId) -> Result<(), String> {
    let no = |why: &str| Err(why.to_owned());
    let Some(target) = snapshot.dossiers.get(order) else {
        return no("it does not exist");
    };
    if case.order.as_ref() == Some(order) {
        return no("it is that order's already; credit it");
    }
    if target.order.chain != case.chain {
        let (here, there) = (&case.chain, &target.order.chain);
        return Err(format!("the money is on {here}, that order is to be paid on {there}"));
    }
    if target.cancelled.is_some() {
        return no("it is cancelled");
    }
    if target.order.due.is_some() && target.paid.is_some() {
        return no("it is paid");
    }
    if target.deposits.iter().any(|deposit| case.deposits.contains(&deposit.id)) {
        return no("it has had this deposit before");
    }
    let small = |part: &Part| part.held < target.order.terms.dust;
    if parts(recorded(snapshot, case), case).iter().any(small) {
        return Err(format!("it counts nothing below {}", target.order.terms.dust));
    }
    Ok(())
}

fn recorded<'a>(snapshot: &'a Snapshot, case: &Case) -> (&'a [Deposit], &'a [Journal]) {
    let dossier = case.order.as_ref().and_then(|id| snapshot.dossiers.get(id));
    dossier.map_or((&snapshot.unassigned, &snapshot.unassigned_journals), |dossier| {
        (&dossier.deposits, &dossier.journals)
    })
}

/// What is held of each deposit of a case.
pub(crate) fn parts((deposits, journals): (&[Deposit], &[Journal]), case: &Case) -> Vec<Part> {
    let mut parts = Vec::new();
    // What was taken back holds nothing, though its deposits may have come again.
    if case.kind == CaseKind::ReversedAfterCredit {
        return parts;
    }
    for (at, deposit) in deposits.iter().enumerate() {
        if case.deposits.contains(&deposit.id) {
            let whole = !case.kind.is_part_of_a_deposit();
            let apart = match case.kind {
                CaseKind::Underpaid | CaseKind::Duplicate => given(journals, &deposit.id),
                _ => 0,
            };
            let apart = Usdt::from_micro(apart).unwrap_or_default();
            let held = if whole { deposit.amount.minus_or_zero(apart) } else { case.amount };
            parts.push(Part { at, deposit: deposit.clone(), held });
        }
    }
    parts
}

fn propose(
    snapshot: &Snapshot,
    case: &Case,
    said: &Said<'_>,
    now: Time,
) -> Result<Changes, PlanError> {
    let mut desk = Desk::new(snapshot, now);
    put_forward(desk.keeper(case)?, case, said, now);
    Ok(guarded(snapshot, case, desk.finish()))
}

/// Writes down what one person proposes.
pub(crate) fn put_forward(keeper: &mut dyn Keeper, case: &Case, said: &Said<'_>, now: Time) {
    let kind = StepKind::Proposed(said.resolution.clone());
    let (by, why) = (said.by.to_owned(), said.why.to_owned());
    keeper.add_step(&case.id, Step { kind, by, why, at: now });
    keeper.say(EventKind::CaseProposed, case, facts(case, said));
}

/// What is told of a decision, or of one to be confirmed.
fn facts(case: &Case, said: &Said<'_>) -> Vec<(&'static str, String)> {
    let mut data = vec![
        ("kind", case.kind.word().to_owned()),
        ("resolution", said.resolution.word().to_owned()),
        ("amount", case.amount.to_string()),
        ("by", said.by.to_owned()),
        ("why", said.why.to_owned()),
    ];
    match said.resolution {
        Resolution::Refund { to, fee } => {
            data.push(("to", to.to_string()));
            data.push(("fee", fee.to_string()));
        }
        Resolution::Reassign(order) => data.push(("order", order.to_string())),
        Resolution::Credit | Resolution::Dismiss | Resolution::Itself => {}
    }
    data
}

fn decide(
    snapshot: &Snapshot,
    case: &Case,
    said: &Said<'_>,
    now: Time,
) -> Result<Changes, PlanError> {
    let mut desk = Desk::new(snapshot, now);
    let held = take(&mut desk, case, said)?;
    if let Resolution::Reassign(order) = said.resolution {
        desk.work(order)?.take_over(case, &held)?;
    }
    Ok(guarded(snapshot, case, desk.finish()))
}

/// Writes a decision down where its case is kept, with what it does there: everything but what a
/// reassignment does to the other order. What was held of each deposit.
pub(crate) fn take(desk: &mut Desk, case: &Case, said: &Said<'_>) -> Result<Vec<Part>, PlanError> {
    let now = desk.now;
    let keeper = desk.keeper(case)?;
    let held = parts((keeper.deposits(), keeper.journals()), case);
    if let Some(open) = keeper.case_mut(&case.id) {
        open.decision = Some(Decision {
            resolution: said.resolution.clone(),
            by: said.by.to_owned(),
            why: said.why.to_owned(),
            at: now,
        });
    }
    keeper.say(EventKind::CaseResolved, case, facts(case, said));
    match said.resolution {
        Resolution::Credit => {
            if let Some(order) = &case.order {
                desk.work(order)?.credit_case(case, &held)?;
            }
        }
        Resolution::Refund { to, fee } => refund(keeper, case, &held, (*to, *fee), now),
        Resolution::Reassign(_) => settle_parts(keeper, case, &held, State::Reassigned),
        Resolution::Dismiss => {
            for part in &held {
                let entry = leave(case, part, Account::Kept, part.held);
                keeper.book(&key(case, part), &part.deposit, now, entry.into_iter().collect());
            }
            settle_parts(keeper, case, &held, State::Dismissed);
        }
        Resolution::Itself => {}
    }
    Ok(held)
}

/// What is held goes to those who send it, less what is kept of it.
fn refund(
    keeper: &mut dyn Keeper,
    case: &Case,
    held: &[Part],
    (to, fee): (Address, Usdt),
    now: Time,
) {
    let mut left = fee;
    for part in held {
        let kept = left.min(part.held);
        left = left.minus_or_zero(kept);
        let sent = part.held.minus_or_zero(kept);
        let entries = [
            leave(case, part, Account::RefundsPayable, sent),
            leave(case, part, Account::Fees, kept),
        ];
        let entries = entries.into_iter().flatten().collect();
        keeper.book(&key(case, part), &part.deposit, now, entries);
    }
    settle_parts(keeper, case, held, State::Refunding);
    let net = case.amount.minus_or_zero(fee);
    let data = vec![("to", to.to_string()), ("amount", net.to_string()), ("fee", fee.to_string())];
    keeper.say(EventKind::RefundRequested, case, data);
}

/// Money of a case leaves suspense.
pub(crate) fn leave(case: &Case, part: &Part, to: Account, amount: Usdt) -> Option<Entry> {
    Entry::usdt(&part.deposit.id.chain, Account::Suspense(case.kind), to, amount)
}

pub(crate) fn settle_parts(keeper: &mut dyn Keeper, case: &Case, held: &[Part], state: State) {
    if case.kind.is_part_of_a_deposit() {
        return;
    }
    for part in held {
        keeper.mark(part.at, state);
    }
}

/// The key of what a decision books: `resolve:<case>`, and the deposit where there are several. It
/// does not say whose the deposit was before: to whom it goes that is not known.
pub(crate) fn key_of(word: &str, case: &Case, deposit: &Deposit) -> String {
    match case.deposits.len() {
        1 => format!("{word}:{}", case.id),
        _ => format!("{word}:{}:{}", case.id, deposit.id),
    }
}

pub(crate) fn key(case: &Case, part: &Part) -> String {
    key_of("resolve", case, &part.deposit)
}

impl Resolution {
    /// The decision with its terms, in words.
    #[must_use]
    pub fn terms(&self) -> String {
        match self {
            Self::Refund { to, fee } => format!("refund to {to} less a fee of {fee}"),
            Self::Reassign(order) => format!("reassign to order {order}"),
            Self::Credit | Self::Dismiss | Self::Itself => self.word().to_owned(),
        }
    }
}
