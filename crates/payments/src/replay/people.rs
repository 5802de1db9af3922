//! What people did about an order and its cases, or about what nobody owns, done again.
//!
//! In: what the facts left, and a recorded act. Out: what it does on the desk, and what a decision
//! gave to an order. Never: an act that its own rules refuse.
//! Why: a decision is a fact like any other; what it does to the books is a rule.

use super::{Fact, Given, What};
use crate::amount::Usdt;
use crate::case::{Case, CaseId, Decision, Resolution, Step, StepKind};
use crate::changes::Snapshot;
use crate::deposit::Deposit;
use crate::desk::Desk;
use crate::event::EventKind;
use crate::plan::PlanError;
use crate::refund;
use crate::resolve::{self, Part, Refusal, Said, could_be_taken, find};
use crate::time::Time;

/// Does an act; `crediting` where nothing held crediting up.
pub(super) fn act(
    snapshot: &Snapshot,
    desk: &mut Desk,
    fact: &Fact,
    crediting: bool,
) -> Result<Option<Given>, PlanError> {
    match &fact.what {
        What::Cancelled => desk.each(|work| work.cancel(crediting))?,
        What::Decided(case, decision) => return decide(snapshot, desk, case, decision),
        What::Step(case, step, mined) => advance(snapshot, desk, case, step, *mined)?,
        What::Asked(id) => {
            let kind = id.kind().ok_or_else(|| PlanError::UnknownCase(id.clone()))?;
            let case = Case::bare(id.clone(), kind, None, fact.chain.clone(), fact.at);
            desk.loose.open_bare_case(case);
        }
        What::Settled(id, why) => {
            let case = desk.loose.touch_case(id);
            let case = case.ok_or_else(|| PlanError::UnknownCase(id.clone()))?;
            case.decision.get_or_insert_with(|| Decision::itself(why, fact.at));
        }
        What::Brought(id, deposits) => {
            let (case, parts) = (brought(id, deposits)?, deposits.iter().map(part));
            let parts: Vec<Part> = parts.collect();
            desk.each(|work| work.take_over(&case, &parts))?;
        }
        What::Orphaned(_) | What::Seen(_) | What::Final(_) | What::Expired => {}
    }
    Ok(None)
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
    Part { at: 0, deposit: deposit.clone(), held: deposit.amount }
}

/// The case that deposits came from: its kind is in its id.
fn brought(id: &CaseId, deposits: &[Deposit]) -> Result<Case, PlanError> {
    let (Some(kind), Some(first)) = (id.kind(), deposits.first()) else {
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
