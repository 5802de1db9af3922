//! Refunds: from the decision to the block in which the money left.
//!
//! In: a decided refund and what became known of it. Out: its next step, and its journals.
//! Never: a transfer that pays two refunds; a refund believed because somebody says so.
//! Why: what is promised back is owed until the chain says that it was sent.

use crate::case::{Case, CaseId, ITSELF, Refund, RefundState, Step, StepKind};
use crate::chain::{Cursor, TxHash};
use crate::changes::{ChainRules, Changes, CursorMove, RefundFact, Rules, Snapshot};
use crate::deposit::State;
use crate::desk::{Desk, is_round_of};
use crate::event::EventKind;
use crate::keeper::Keeper;
use crate::ledger::{Account, Asset, Entry, Journal};
use crate::lookup::{Mined, Transaction};
use crate::plan::{PlanError, rules_of};
use crate::resolve::{Refusal, find, key_of};
use crate::time::Time;

/// What the chain says of a transaction that is to pay a refund.
enum Answer {
    /// Not yet.
    Wait,
    /// Its transfer with this number pays the refund.
    Paid(u32),
    /// It never will.
    Wrong(String),
}

/// Writes down what became known of a refund. What was known already changes nothing.
pub(crate) fn follow(
    rules: &Rules,
    snapshot: &Snapshot,
    id: &CaseId,
    by: &str,
    fact: &RefundFact,
    now: Time,
) -> Result<Changes, PlanError> {
    let case = find(snapshot, id)?;
    let refuse = |why| PlanError::Undecidable { case: id.clone(), why };
    let refund = case.refund().ok_or_else(|| refuse(Refusal::NoRefund))?;
    let known = refund.tx.map(|tx| tx.to_string()).unwrap_or_default();
    let step = |kind, why: &str| Step { kind, by: by.to_owned(), why: why.to_owned(), at: now };
    match (fact, refund.state) {
        (RefundFact::Sent(tx), RefundState::Sent | RefundState::Verified)
            if refund.tx == Some(*tx) =>
        {
            Ok(Changes::default())
        }
        (RefundFact::Sent(_), RefundState::Sent) => Err(refuse(Refusal::AlreadySent(known))),
        (RefundFact::Sent(_), RefundState::Verified) => Err(refuse(Refusal::Refunded(known))),
        (RefundFact::Sent(tx), RefundState::Requested | RefundState::Failed) => {
            still_owed(snapshot, case).map_err(refuse)?;
            let step = step(StepKind::Sent(*tx), "");
            sent(rules, snapshot, case, (&refund, *tx), step, now)
        }
        (RefundFact::GivenUp(tx, why), RefundState::Sent) if refund.tx == Some(*tx) => {
            let step = step(StepKind::Failed(*tx), why);
            add(snapshot, case, &refund, EventKind::RefundFailed, step, now)
        }
        (RefundFact::Seen(tx, seen), RefundState::Sent) if refund.tx == Some(*tx) => {
            let rules = rules_of(rules, &case.chain)?;
            match judge(rules, snapshot, case, &refund, seen) {
                Answer::Wait => Ok(Changes::default()),
                Answer::Wrong(why) => {
                    let step = step(StepKind::Failed(*tx), &why);
                    add(snapshot, case, &refund, EventKind::RefundFailed, step, now)
                }
                Answer::Paid(_) if still_owed(snapshot, case).is_err() => {
                    let why = for_nothing(&refund);
                    let step = step(StepKind::Failed(*tx), &why);
                    add(snapshot, case, &refund, EventKind::RefundFailed, step, now)
                }
                Answer::Paid(n) => verified(snapshot, case, &refund, (*tx, n), seen, now),
            }
        }
        (RefundFact::GivenUp(..) | RefundFact::Seen(..), _) => Ok(Changes::default()),
    }
}

/// Final, successful, exactly so much of the token to exactly there, after the deposit, and not
/// the payment of another refund.
fn judge(
    rules: &ChainRules,
    snapshot: &Snapshot,
    case: &Case,
    refund: &Refund,
    seen: &Transaction,
) -> Answer {
    let Transaction::Mined(mined) = seen else { return Answer::Wait };
    let cursor = snapshot.cursor.as_ref();
    let is_final = cursor.is_some_and(|cursor| {
        cursor.finalized.is_some_and(|last| mined.block.height <= last.height)
            && cursor.holds(mined.block).is_ok()
    });
    if !is_final {
        return Answer::Wait;
    }
    if !mined.succeeded {
        return Answer::Wrong("the transaction failed: nothing was sent".to_owned());
    }
    if newest_of(snapshot, case).is_some_and(|height| height >= mined.block.height) {
        return Answer::Wrong("it was mined before the deposit it is to give back".to_owned());
    }
    pays(rules, snapshot, refund, mined)
}

/// The height of the newest deposit that a case is about.
fn newest_of(snapshot: &Snapshot, case: &Case) -> Option<u64> {
    let kept = snapshot.dossiers.values().flat_map(|dossier| &dossier.deposits);
    let about = kept.chain(&snapshot.unassigned).filter(|d| case.deposits.contains(&d.id));
    about.map(|deposit| deposit.block.height).max()
}

fn pays(rules: &ChainRules, snapshot: &Snapshot, refund: &Refund, mined: &Mined) -> Answer {
    let ours = mined.transfers.iter().filter(|t| t.token == rules.token && t.to == refund.to);
    let (mut other, mut spent) = (None, false);
    for transfer in ours {
        if Some(transfer.raw) != refund.net.to_raw(rules.decimals) {
            other = Some(transfer.raw);
        } else if snapshot.spent.contains(&transfer.n) {
            spent = true;
        } else {
            return Answer::Paid(transfer.n);
        }
    }
    let Refund { to, net, .. } = refund;
    Answer::Wrong(match other {
        _ if spent => format!("its {net} USDT to {to} pay another refund"),
        Some(raw) => {
            let sent = crate::amount::Usdt::from_raw(raw, rules.decimals);
            let sent = sent.map_or_else(|_| raw.to_string(), |amount| amount.to_string());
            format!("{sent} reached {to}, not {net}: a token that takes a fee sends less")
        }
        None => format!("it sends no USDT to {to}"),
    })
}

/// That what the decision booked still stands: no final block was replaced since.
fn still_owed(snapshot: &Snapshot, case: &Case) -> Result<(), Refusal> {
    let dossier = case.order.as_ref().and_then(|id| snapshot.dossiers.get(id));
    let journals = dossier.map_or(&snapshot.unassigned_journals, |dossier| &dossier.journals);
    if owed(journals, case).is_empty() { Err(Refusal::Gone) } else { Ok(()) }
}

/// What a person is told of money that was sent back for a deposit that is gone.
fn for_nothing(Refund { to, net, .. }: &Refund) -> String {
    format!(
        "{net} USDT reached {to}, and nothing was owed any more: the deposit's block is no longer \
         part of the chain. Send nothing again; where the deposit is mined again, what was sent \
         is to be set against it"
    )
}

/// The journals by which a refund was decided that no reorg has reversed. A later case of the same
/// subject is called as a round of this one would be: when it was decided tells them apart.
fn owed<'a>(journals: &'a [Journal], case: &Case) -> Vec<&'a Journal> {
    let base = format!("resolve:{}", case.id);
    let decided = case.decision.as_ref().map(|decision| decision.at);
    let of_case = |journal: &&Journal| {
        let key = journal.key.as_str();
        Some(journal.recorded) == decided
            && (is_round_of(key, &base)
                || key.strip_prefix(&base).is_some_and(|at| at.starts_with(':')))
    };
    let stands = |journal: &&Journal| {
        let reversal = format!("reverse:{}", journal.key);
        !journals.iter().any(|other| other.key == reversal)
    };
    journals.iter().filter(of_case).filter(stands).collect()
}

fn add(
    snapshot: &Snapshot,
    case: &Case,
    refund: &Refund,
    kind: EventKind,
    step: Step,
    now: Time,
) -> Result<Changes, PlanError> {
    let mut desk = Desk::new(snapshot, now);
    note(desk.keeper(case)?, case, refund, kind, step);
    Ok(in_turn(snapshot, case, desk.finish()))
}

/// Somebody says which transaction pays it, and what that moved may have been judged already.
fn sent(
    rules: &Rules,
    snapshot: &Snapshot,
    case: &Case,
    (refund, tx): (&Refund, TxHash),
    step: Step,
    now: Time,
) -> Result<Changes, PlanError> {
    let mut desk = Desk::new(snapshot, now);
    note(desk.keeper(case)?, case, refund, EventKind::RefundSent, step);
    let mut refunds = snapshot.refunds.clone();
    let one = refunds.entry((tx, refund.to, refund.net)).or_default();
    *one = one.saturating_add(1);
    // Of a chain that the config has no more nothing is explained.
    if let Some(rules) = rules.get(&case.chain) {
        desk.explain_refund(rules, &refunds, (case, newest_of(snapshot, case)));
    }
    Ok(in_turn(snapshot, case, desk.finish()))
}

/// In turn with the scans of the chain, whoever's case it is: what a scan judges at this moment may
/// be explained by this, and an adoption may take back the block that this was seen in.
fn in_turn(snapshot: &Snapshot, case: &Case, mut changes: Changes) -> Changes {
    if !changes.is_empty() {
        let cursor = snapshot.cursor.clone();
        let cursor = cursor.unwrap_or_else(|| Cursor::new(case.chain.clone()));
        changes.cursor = Some(CursorMove::still(&cursor));
    }
    changes
}

/// Writes down that a refund is said to be sent, or that it was not.
pub(crate) fn note(
    keeper: &mut dyn Keeper,
    case: &Case,
    refund: &Refund,
    kind: EventKind,
    step: Step,
) {
    let (StepKind::Sent(tx) | StepKind::Failed(tx)) = step.kind else { return };
    let mut data = told(refund, tx);
    data.push(("by", step.by.clone()));
    if kind == EventKind::RefundFailed {
        data.push(("why", step.why.clone()));
    }
    keeper.add_step(&case.id, step);
    keeper.say(kind, case, data);
}

fn told(refund: &Refund, tx: TxHash) -> Vec<(&'static str, String)> {
    vec![
        ("tx", tx.to_string()),
        ("to", refund.to.to_string()),
        ("amount", refund.net.to_string()),
        ("fee", refund.fee.to_string()),
    ]
}

/// The chain says that it was sent: `refund:<case>`.
fn verified(
    snapshot: &Snapshot,
    case: &Case,
    refund: &Refund,
    (tx, n): (TxHash, u32),
    seen: &Transaction,
    now: Time,
) -> Result<Changes, PlanError> {
    let Transaction::Mined(mined) = seen else { return Ok(Changes::default()) };
    let mut desk = Desk::new(snapshot, now);
    pay(desk.keeper(case)?, case, refund, ((tx, n), mined.block.height, mined.time), now);
    Ok(in_turn(snapshot, case, desk.finish()))
}

/// Writes down that transfer `n` of a transaction pays a refund, mined at a height and a time.
pub(crate) fn pay(
    keeper: &mut dyn Keeper,
    case: &Case,
    refund: &Refund,
    ((tx, n), height, time): ((TxHash, u32), u64, Time),
    now: Time,
) {
    let owing: Vec<Journal> = owed(keeper.journals(), case).into_iter().cloned().collect();
    for journal in owing {
        let is_it = |d: &crate::deposit::Deposit| Some(&d.id) == journal.deposit.as_ref();
        let at = keeper.deposits().iter().position(is_it);
        let Some(deposit) = at.and_then(|at| keeper.deposits().get(at).cloned()) else { continue };
        let payable = journal.entries.iter().filter(|e| e.credit == Account::RefundsPayable);
        let entries = payable.map(|entry| Entry {
            asset: Asset::Usdt(case.chain.clone()),
            debit: Account::RefundsPayable,
            credit: Account::Treasury(case.chain.clone()),
            amount: entry.amount,
        });
        let entries = entries.collect();
        keeper.book(&key_of("refund", case, &deposit), &deposit, time, entries);
        if let Some(at) = at.filter(|_| deposit.state == State::Refunding) {
            keeper.mark(at, State::Refunded);
        }
    }
    let why = format!("final in block {height}");
    let kind = StepKind::Verified { tx, n };
    keeper.add_step(&case.id, Step { kind, by: ITSELF.to_owned(), why, at: now });
    let mut data = told(refund, tx);
    data.push(("height", height.to_string()));
    keeper.say(EventKind::RefundVerified, case, data);
}
