//! Why something is what it is, and what to do next, in words.
//!
//! In: an order with all that is recorded of it. Out: one sentence.
//! Never: a decision. Why: support reads these words to a customer.

use payments::case::CaseKind;
use payments::chain::Cursor;
use payments::deposit::{Deposit, State};
use payments::order::{Dossier, Status};

/// Why a deposit is what it is, by the rule that decided it.
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
        State::Credited if deposit.late => {
            "credited; it came after the expiry, inside the late window".to_owned()
        }
        State::Credited => "credited".to_owned(),
        State::Dust => {
            format!("below the dust limit of {}; recorded and left", dossier.order.terms.dust)
        }
        State::Orphaned => "its block is no longer part of the chain; nothing arrived".to_owned(),
        State::Reversed => {
            "credited, then a reorg took it away; the books were reversed".to_owned()
        }
        State::Granted => "credited by a decision, apart from the order's amount".to_owned(),
        State::Refunding => "to be sent back; not seen on chain yet".to_owned(),
        State::Refunded => "refunded, seen on chain".to_owned(),
        State::Reassigned => "counted for another order by a decision".to_owned(),
        State::Dismissed => "kept by a decision; nothing is credited for it".to_owned(),
        State::Suspended(kind) => format!("held, {}", held(dossier, deposit, kind)),
    }
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
        CaseKind::Late => "it came after the expiry and the late window".to_owned(),
        CaseKind::Underpaid => {
            format!("the order expired with {} of what was due", dossier.counted())
        }
        CaseKind::Overpaid
        | CaseKind::Unassigned
        | CaseKind::ReversedAfterCredit
        | CaseKind::UnexplainedOutflow
        | CaseKind::DestroyedFunds => kind.word().replace('_', " "),
    }
}

/// What is to be done about an order, in a sentence; `cursors` are those of all chains.
pub(super) fn next_step(dossier: &Dossier, cursors: &[Cursor]) -> String {
    // What left the address says nothing about what arrived there.
    let held = dossier.open_cases().filter(|case| !case.kind.is_about_an_outflow());
    let kinds: Vec<&str> = held.map(|case| case.kind.word()).collect();
    if !kinds.is_empty() {
        return format!(
            "a person decides about: {}. Nothing of it is credited until then.",
            kinds.join(", ")
        );
    }
    if dossier.open_cases().next().is_some() {
        let destroyed = dossier.open_cases().any(|case| case.kind == CaseKind::DestroyedFunds);
        return match destroyed {
            true => "a person asks the token's issuer why it destroyed what was at the address.",
            false => "a person says what took the money from its address.",
        }
        .to_owned();
    }
    let home = cursors.iter().find(|cursor| cursor.chain == dossier.order.chain);
    if let Some(why) = home.and_then(|cursor| cursor.paused.as_deref()) {
        let chain = &dossier.order.chain;
        let resume = format!("`bursar chain resume {chain}` lets it go on");
        return format!("crediting on {chain} is paused: {why}. {resume}.");
    }
    if let Some(why) = home.and_then(|cursor| cursor.stalled.as_deref()) {
        return format!(
            "{} cannot be read on: {why}. Nothing is lost; it is tried again.",
            dossier.order.chain
        );
    }
    match dossier.status() {
        Status::Paid => "nothing; the credits are granted.".to_owned(),
        Status::Confirming => "wait; it becomes final by itself.".to_owned(),
        Status::PartiallyPaid => "the rest has to arrive before the order expires.".to_owned(),
        Status::AwaitingPayment => {
            "nothing has arrived; ask for the transaction id and explain that.".to_owned()
        }
        Status::Expired => "nothing arrived in time; a late payment is still seen.".to_owned(),
        Status::Cancelled => {
            "nothing; a payment inside the late window still counts, a later one waits for a person."
                .to_owned()
        }
    }
}
