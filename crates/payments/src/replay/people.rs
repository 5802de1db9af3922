//! What people did about an order and its cases, done again.
//!
//! In: an order as its facts left it, and a recorded act. Out: the order after it, and what a
//! decision gave to another one. Never: an act that its own rules refuse.
//! Why: a decision is a fact like any other; what it does to the books is a rule.

use super::{Fact, Given, What, alone};
use crate::amount::Usdt;
use crate::case::{Case, CaseId, CaseKind, Decision, Resolution, Step, StepKind};
use crate::changes::Snapshot;
use crate::deposit::Deposit;
use crate::desk::Desk;
use crate::event::EventKind;
use crate::order::Dossier;
use crate::plan::PlanError;
use crate::refund;
use crate::resolve::{self, Part, Refusal, Said, could_be_taken, find};
use crate::time::Time;

/// What is left of an order by an act; `crediting` where nothing held crediting up.
pub(super) fn act(
    dossier: Dossier,
    fact: &Fact,
    crediting: bool,
    given: &mut Vec<Given>,
) -> Result<Dossier, PlanError> {
    let id = dossier.order.id.clone();
    let snapshot = alone(dossier);
    let mut desk = Desk::new(&snapshot, fact.at);
    match &fact.what {
        What::Cancelled => desk.work(&id)?.cancel(crediting)?,
        What::Decided(case, decision) => {
            given.extend(decide(&snapshot, &mut desk, case, decision)?);
        }
        What::Step(case, step, mined) => advance(&snapshot, &mut desk, case, step, *mined)?,
        What::Brought(case, deposits) => {
            let parts: Vec<Part> = deposits.iter().map(part).collect();
            desk.work(&id)?.take_over(&brought(case, deposits)?, &parts)?;
        }
        What::Orphaned(_) | What::Seen(_) | What::Final(_) | What::Expired => {}
    }
    Ok(Dossier::clone(&desk.work(&id)?.dossier))
}

fn decide(
    snapshot: &Snapshot,
    desk: &mut Desk,
    id: &CaseId,
    decision: &Decision,
) -> Result<Option<Given>, PlanError> {
    let case = find(snapshot, id)?;
    let Decision { resolution, by, why, .. } = decision;
    let said = Said { resolution, by, why };
    let order = case.order.as_ref().and_then(|id| snapshot.dossiers.get(id));
    could_be_taken(order.map(|dossier| &dossier.order), case, &said)
        .map_err(|why| PlanError::Undecidable { case: id.clone(), why })?;
    let held = resolve::take(desk, case, &said)?;
    let Resolution::Reassign(to) = resolution else { return Ok(None) };
    let deposits = held.into_iter().map(|part| (part.deposit.id, part.held)).collect();
    Ok(Some(Given { case: id.clone(), to: to.clone(), deposits }))
}

/// What was proposed, taken back, or became known of a refund.
fn advance(
    snapshot: &Snapshot,
    desk: &mut Desk,
    id: &CaseId,
    step: &Step,
    mined: Option<(u64, Time)>,
) -> Result<(), PlanError> {
    let case = find(snapshot, id)?;
    let refuse = |why| PlanError::Undecidable { case: id.clone(), why };
    let (by, why, now) = (&step.by, &step.why, desk.now);
    let refund = || case.refund().ok_or_else(|| refuse(Refusal::NoRefund));
    let keeper = desk.keeper(case)?;
    match &step.kind {
        StepKind::Proposed(resolution) => {
            resolve::put_forward(keeper, case, &Said { resolution, by, why }, now);
        }
        StepKind::Withdrawn => resolve::take_back(keeper, case, (by, why), now),
        StepKind::Sent(_) => {
            refund::note(keeper, case, &refund()?, EventKind::RefundSent, step.clone());
        }
        StepKind::Failed(_) => {
            refund::note(keeper, case, &refund()?, EventKind::RefundFailed, step.clone());
        }
        StepKind::Verified { tx, n } => {
            let (height, time) = mined.ok_or_else(|| refuse(Refusal::Gone))?;
            refund::pay(keeper, case, &refund()?, ((*tx, *n), height, time), now);
        }
    }
    Ok(())
}

/// A deposit that a decision about a case brought, as it was held there.
fn part(deposit: &Deposit) -> Part {
    let held = deposit.amount;
    Part { at: 0, deposit: Deposit { assigned: None, ..deposit.clone() }, held }
}

/// The case that deposits came from: its kind is in its id.
fn brought(id: &CaseId, deposits: &[Deposit]) -> Result<Case, PlanError> {
    let kind = id.0.split(':').next().and_then(CaseKind::parse);
    let (Some(kind), Some(first)) = (kind, deposits.first()) else {
        return Err(PlanError::UnknownCase(id.clone()));
    };
    Ok(Case {
        id: id.clone(),
        kind,
        order: None,
        deposits: deposits.iter().map(|deposit| deposit.id.clone()).collect(),
        chain: first.id.chain.clone(),
        amount: Usdt::ZERO,
        opened_at: Time(0),
        decision: None,
        steps: Vec::new(),
    })
}
