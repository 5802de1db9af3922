//! What is to be done about an order, in words.
//!
//! In: an order with all that is recorded of it, and how far its chain is known. Out: what is next.
//! Never: an advice to resume a chain, or to send money, that leaves out what must be known first.
//! Why: what stands here is done, by people who have a queue behind them.

use payments::case::{Case, CaseKind, RefundState};
use payments::chain::Cursor;
use payments::deposit::{Deposit, State};
use payments::order::{Dossier, Status};

use crate::clock::rfc3339;
use crate::view::View;

/// Nothing of what is recorded pays it.
const NOTHING: &str = "nothing has arrived";

/// What arrived buys more than an account can hold, so no rule can judge it.
const BEYOND: &str = "a person has to settle it with the customer: at the price of this order, what \
    arrived may buy more credits than the books can hold, so it stays as it was seen. Make no \
    further order at that price.";

/// What is to be done about an order; `cursors` are those of all chains.
pub(super) fn next_step(view: &View, dossier: &Dossier, cursors: &[Cursor]) -> String {
    if let Some(asked) = to_decide(dossier) {
        return asked;
    }
    let mut said = refunds(dossier);
    let rest = waits_for(view, dossier, cursors);
    if said.is_empty() || !rest.starts_with("nothing") {
        said.push(rest);
    }
    said.join(" ")
}

/// What waits for a person. What left the address says nothing about what arrived there.
fn to_decide(dossier: &Dossier) -> Option<String> {
    let open = dossier.open_cases();
    let (left, held): (Vec<&Case>, Vec<&Case>) =
        open.partition(|case| case.kind.is_about_an_outflow());
    let (asked, cases) = if !held.is_empty() {
        let kinds: Vec<&str> = held.iter().map(|case| case.kind.word()).collect();
        let kinds = kinds.join(", ");
        let asked = "Nothing of it is credited until then.";
        (format!("a person decides about: {kinds}. {asked}"), held)
    } else if left.iter().any(|case| case.kind == CaseKind::DestroyedFunds) {
        let asked = "a person asks the token's issuer why it destroyed what was at the address.";
        (asked.to_owned(), left)
    } else if left.is_empty() {
        return None;
    } else {
        ("a person says what took the money from its address.".to_owned(), left)
    };
    let proposed = cases.iter().filter_map(|case| {
        let (resolution, step) = case.proposal()?;
        let (word, by, id) = (resolution.word(), &step.by, &case.id);
        Some(format!(
            " {by} has proposed `{word}`: another person than {by} confirms it, `bursar case show \
             {id}` says how."
        ))
    });
    Some(format!("{asked}{}", proposed.collect::<String>()))
}

/// The refunds that were decided and that the chain does not show yet.
fn refunds(dossier: &Dossier) -> Vec<String> {
    let each = dossier.cases.iter().filter_map(|case| {
        let refund = case.refund()?;
        let (net, id) = (refund.net, &case.id);
        let record = format!("`bursar refund sent {id} --tx TXID --by NAME`");
        match refund.state {
            RefundState::Requested => Some(format!(
                "a refund of {net} USDT is to be sent; {record} then says in which transaction."
            )),
            RefundState::Sent => Some(format!(
                "wait; a refund of {net} USDT was sent, and the chain is asked until that is final."
            )),
            RefundState::Failed => Some(format!(
                "a refund of {net} USDT has failed: what was given as its transaction does not pay \
                 it, or was given up. Make sure that nothing else has paid it, send it, and record \
                 that: {record}."
            )),
            RefundState::Verified => None,
        }
    });
    each.collect()
}

/// What an order without an open case waits for, and how far what it waits for was looked for.
fn waits_for(view: &View, dossier: &Dossier, cursors: &[Cursor]) -> String {
    let said = on_its_chain(dossier, cursors);
    let chain = &dossier.order.chain;
    let home = cursors.iter().find(|cursor| cursor.chain == *chain);
    // A closed order waits as well: what comes late counts, or asks a person.
    let waits = dossier.paid.is_none()
        || dossier.order.due.is_none()
        || dossier.deposits.iter().any(|deposit| deposit.state == State::Pending);
    let silence = home.and_then(|cursor| view.silence(cursor)).filter(|_| waits);
    if let Some(silence) = silence {
        let words = silence.words();
        return format!(
            "{said} On {chain} {words} `bursar status` says whether the chain has newer blocks."
        );
    }
    let awaits = dossier.status() == Status::AwaitingPayment;
    match home.and_then(Cursor::last).filter(|_| awaits && said.starts_with(NOTHING)) {
        Some(last) => format!("{said} Blocks up to {} are recorded.", rfc3339(last.time)),
        None => said,
    }
}

fn on_its_chain(dossier: &Dossier, cursors: &[Cursor]) -> String {
    let order = &dossier.order;
    let chain = &order.chain;
    let home = cursors.iter().find(|cursor| cursor.chain == *chain);
    let paused = home.and_then(|cursor| cursor.paused.as_deref());
    let arriving = dossier.deposits.iter().any(|deposit| is_coming(dossier, deposit));
    if let Some(why) = paused.filter(|_| arriving) {
        return format!(
            "crediting on {chain} is paused: {why}. Nothing is lost; a person has to find out why, \
             and then lets it go on with `bursar chain resume {chain} --by NAME --why TEXT`."
        );
    }
    let may_come = dossier.paid.is_none() || order.due.is_none() || arriving;
    let stalled = home.and_then(|cursor| cursor.stalled.as_deref());
    if let Some(why) = stalled.filter(|_| may_come) {
        return format!("{chain} does not go on: {why}. Nothing is lost; it is tried again.");
    }
    let finalized = home.and_then(|cursor| cursor.finalized).map(|block| block.height);
    let is_held =
        |deposit: &Deposit| is_coming(dossier, deposit) && Some(deposit.block.height) <= finalized;
    if dossier.may_exceed_the_books() && dossier.deposits.iter().any(is_held) {
        return BEYOND.to_owned();
    }
    let said = by_status(dossier, arriving);
    let open = dossier.paid.is_none() && !dossier.is_closed();
    match paused.filter(|_| open) {
        Some(why) => format!("{said} Crediting on {chain} is paused meanwhile: {why}."),
        None => said,
    }
}

fn by_status(dossier: &Dossier, arriving: bool) -> String {
    let elsewhere = elsewhere(dossier);
    let with = |said: &str| match &elsewhere {
        Some(elsewhere) => format!("{said} Besides, {elsewhere}"),
        None => said.to_owned(),
    };
    match dossier.status() {
        Status::Paid => match (arriving, dossier.order.due, &elsewhere) {
            (true, None, _) => with("wait; what arrived last becomes final by itself."),
            (true, Some(_), _) => with(
                "wait; the credits are granted, and more has arrived: once that is final, a person \
                 decides about it.",
            ),
            (false, _, Some(elsewhere)) => elsewhere.clone(),
            (false, _, None) => "nothing; the credits are granted.".to_owned(),
        },
        Status::Confirming => with("wait; it becomes final by itself."),
        Status::PartiallyPaid => with(&rest_to_come(dossier)),
        Status::AwaitingPayment | Status::Expired | Status::Cancelled if arriving => with(
            "wait; what arrived last becomes final by itself, and then counts or waits for a \
             person.",
        ),
        Status::AwaitingPayment => elsewhere
            .or_else(|| uncounted(dossier))
            .unwrap_or_else(|| format!("{NOTHING}; ask for the transaction id and explain that.")),
        status => elsewhere.or_else(|| uncounted(dossier)).unwrap_or_else(|| {
            match status {
                Status::Cancelled => {
                    "nothing; a payment inside the late window still counts, a later one waits for \
                     a person."
                }
                _ => "nothing arrived in time; a late payment is still seen.",
            }
            .to_owned()
        }),
    }
}

/// What a payment that lacks something waits for.
fn rest_to_come(dossier: &Dossier) -> String {
    let (order, dust) = (&dossier.order, dossier.order.terms.dust);
    if dossier.has_come_too_late() {
        let said = "wait; what arrived last came too late to count: once that is final, a person \
            decides about it.";
        return said.to_owned();
    }
    let seen = dossier.counted().plus(dossier.pending());
    let missing = order.due.zip(seen).map(|(due, seen)| due.minus_or_zero(seen));
    match missing.filter(|missing| *missing < dust) {
        Some(missing) => format!(
            "the rest, {missing} USDT, has to arrive before the order expires, in a payment of at \
             least {dust}: less does not count, and what is then too much is an excess."
        ),
        None => "the rest has to arrive before the order expires.".to_owned(),
    }
}

/// Whether it is pending, and will count or wait for a person when it is final.
fn is_coming(dossier: &Dossier, deposit: &Deposit) -> bool {
    let order = &dossier.order;
    deposit.state == State::Pending
        && deposit.id.chain == order.chain
        && deposit.id.other_token.is_none()
        && deposit.reached(order)
        && !is_dust(dossier, deposit)
}

fn is_dust(dossier: &Dossier, deposit: &Deposit) -> bool {
    deposit.amount.is_zero() || deposit.amount < dossier.order.terms.dust
}

/// What is pending and cannot count: on another chain, or of another token.
fn elsewhere(dossier: &Dossier) -> Option<String> {
    let home = &dossier.order.chain;
    let pending = |deposit: &&Deposit| deposit.state == State::Pending;
    let mut pending = dossier.deposits.iter().rev().filter(pending);
    pending.find_map(|deposit| {
        let (amount, chain) = (deposit.amount, &deposit.id.chain);
        let then = "once that is final, a person decides about it.";
        if deposit.id.other_token.is_some() {
            Some(format!("another token than USDT arrived on {chain}: {then}"))
        } else if chain != home {
            Some(format!("{amount} USDT arrived on {chain} instead of {home}: {then}"))
        } else {
            None
        }
    })
}

/// What has arrived and does not count, where nothing does.
fn uncounted(dossier: &Dossier) -> Option<String> {
    let mut newest = dossier.deposits.iter().rev();
    newest.find_map(|deposit| {
        let amount = deposit.amount;
        match deposit.state {
            State::Pending | State::Dust if is_dust(dossier, deposit) => Some(format!(
                "{amount} USDT arrived, below the dust limit of {}: it does not count, and the \
                 payment is still to come.",
                dossier.order.terms.dust
            )),
            State::Orphaned | State::Reversed => Some(format!(
                "{amount} USDT was seen in a block that is no longer part of the chain. Unless its \
                 transaction is mined again, it has to be paid once more."
            )),
            State::Granted
            | State::Refunding
            | State::Refunded
            | State::Reassigned
            | State::Dismissed => {
                Some("nothing is left that counts; what arrived was decided about.".to_owned())
            }
            _ => None,
        }
    })
}
