//! Why a deposit is what it is, in words.
//!
//! In: an order with all that is recorded of it. Out: one sentence.
//! Never: a decision. Why: support reads these words to a customer.

use payments::case::{Case, CaseKind, Decision, Resolution};
use payments::deposit::{Deposit, State};
use payments::order::Dossier;

/// Why a deposit is what it is, by the rule that decided it, or the person.
pub(super) fn reason(dossier: &Dossier, deposit: &Deposit, confirmations: Option<u64>) -> String {
    match deposit.state {
        State::Pending => format!(
            "seen in block {}, {} confirmations; not final yet",
            deposit.block.height,
            confirmations.unwrap_or(0)
        ),
        State::Confirmed => format!(
            "final and counted; {} of {} have arrived",
            dossier.counted(),
            dossier.order.due.map_or_else(|| "any amount".to_owned(), |due| due.to_string())
        ),
        State::Credited => credited(dossier, deposit),
        State::Dust => {
            format!("below the dust limit of {}; recorded and left", dossier.order.terms.dust)
        }
        State::Suspended(kind) => format!("held, {}", held(dossier, deposit, kind)),
        state => settled(state).unwrap_or(state.word()).to_owned(),
    }
}

/// What became of a deposit that a person decided about or that a reorg took, whoever's it is.
pub(super) const fn settled(state: State) -> Option<&'static str> {
    Some(match state {
        State::Orphaned => "its block is no longer part of the chain; nothing arrived",
        State::Reversed => "credited, then a reorg took it away; the books were reversed",
        State::Granted => "credited by a decision, apart from the order's amount",
        State::Refunding => "to be sent back; not seen on chain yet",
        State::Refunded => "refunded, seen on chain",
        State::Reassigned => "counted for another order by a decision",
        State::Dismissed => "kept by a decision; nothing is credited for it",
        State::Pending | State::Confirmed | State::Credited | State::Dust | State::Suspended(_) => {
            return None;
        }
    })
}

/// By the order's terms, or by whose decision.
fn credited(dossier: &Dossier, deposit: &Deposit) -> String {
    let by = match (&deposit.assigned, by_decision(dossier, deposit)) {
        (Some(case), _) => format!("credited; it counts for this order by a decision about {case}"),
        (None, Some(decision)) => format!("credited by a decision of {}", decision.by),
        (None, None) => "credited".to_owned(),
    };
    if !deposit.late {
        return by;
    }
    let window = dossier.order.terms.late_window;
    let inside = dossier.deadline().is_none_or(|deadline| deposit.time <= deadline.after(window));
    let how = if inside { ", inside the late window" } else { " and the late window" };
    format!("{by}; it came after {}{how}", ending(dossier))
}

/// The decision that had a deposit credited: of the last case about it, and not about an excess.
fn by_decision<'a>(dossier: &'a Dossier, deposit: &Deposit) -> Option<&'a Decision> {
    let about =
        |case: &&Case| case.deposits.contains(&deposit.id) && !case.kind.is_part_of_a_deposit();
    let last = dossier.cases.iter().rfind(about)?;
    last.decision.as_ref().filter(|decision| decision.resolution == Resolution::Credit)
}

/// What ended the order's time.
fn ending(dossier: &Dossier) -> &'static str {
    match was_cancelled(dossier) {
        true => "the order was cancelled",
        false => "the expiry",
    }
}

/// Whether it was taken back before its time was over.
fn was_cancelled(dossier: &Dossier) -> bool {
    let expiry = dossier.order.expires_at;
    dossier.cancelled.is_some_and(|at| expiry.is_none_or(|expiry| at < expiry))
}

fn held(dossier: &Dossier, deposit: &Deposit, kind: CaseKind) -> String {
    let order = &dossier.order;
    match kind {
        CaseKind::WrongNetwork => {
            format!(
                "it arrived on {}; the order is to be paid on {}",
                deposit.id.chain, order.chain
            )
        }
        CaseKind::WrongAsset => "it is another token and has no value here".to_owned(),
        CaseKind::Duplicate => "the order was covered already".to_owned(),
        CaseKind::Late => format!("it came after {} and the late window", ending(dossier)),
        CaseKind::Underpaid => {
            let ended = if was_cancelled(dossier) { "was cancelled" } else { "expired" };
            format!("the order {ended} with {} of what was due", dossier.counted())
        }
        CaseKind::Overpaid
        | CaseKind::Unassigned
        | CaseKind::ReversedAfterCredit
        | CaseKind::UnexplainedOutflow
        | CaseKind::DestroyedFunds => kind.word().replace('_', " "),
    }
}
