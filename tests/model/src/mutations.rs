//! Broken rules: each breaks what was decided in one way, and each must be caught.
//!
//! In: the changes of a plan. Out: the same, with one thing wrong.
//! Why: an assertion that no mistake can trip proves nothing.

use payments::amount::Usdt;
use payments::case::{CaseKind, Decision, Resolution};
use payments::chain::Scan;
use payments::changes::{Changes, Rules};
use payments::deposit::{Deposit, State};
use payments::event::{Event, EventKind};
use payments::ledger::{Account, Asset, Entry, Journal};
use payments::name::CustomerId;
use payments::time::Time;

use crate::breaking::{
    a_deprecated_token_stops_nothing, a_notice_is_forgotten, a_notice_is_not_told,
    a_notice_stays_without_its_block, an_adoption_leaves_finality,
    an_adoption_leaves_what_a_person_decided, an_adoption_leaves_what_left,
    an_adoption_leaves_what_was_final, what_is_destroyed_is_not_booked,
    what_the_contract_says_is_not_heeded,
};
use crate::memory::Memory;
use crate::random::Random;

/// One way to break what the rules decided, or what the books hold.
#[derive(Clone, Copy)]
pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    /// The invariant that must find it, alone; or the books themselves, which refuse it.
    pub(crate) breaks: &'static str,
}

/// What is broken, where there is something to break.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// What the rules decided.
    Plan(fn(&mut Changes, &Memory, &mut Random) -> bool),
    /// What is written already.
    Books(fn(&mut Memory, &mut Random) -> bool),
    /// What the rules decide by.
    Terms(fn(&mut Rules)),
    /// What the rules decided about a chain that is read in large portions.
    Portion(fn(&mut Changes, &Scan)),
}

/// The books refuse to write it.
pub(crate) const REFUSED: &str = "the_books_refuse_it";

macro_rules! mutations {
    ($($breaks:ident: $($act:ident $name:ident),+;)+) => {
        /// All of them.
        pub(crate) const ALL: &[Mutation] = &[$($(Mutation {
            name: stringify!($name),
            act: Act::$act($name),
            breaks: stringify!($breaks),
        }),+),+];
    };
}

mutations! {
    value_is_conserved_per_asset: Books a_balance_loses_a_side;
    accounts_keep_within_their_bounds:
        Books an_order_is_overdrawn,
        Terms the_ceiling_is_not_kept;
    what_is_written_stays_written:
        Books a_journal_is_edited,
        Books a_decided_case_is_opened_again;
    nothing_happens_twice:
        Plan a_grant_is_doubled,
        Plan a_reassigned_deposit_counts_for_both,
        Books a_journal_is_written_again;
    each_final_deposit_has_one_disposition:
        Plan a_journal_is_dropped,
        Plan a_deposit_is_forgotten,
        Plan a_deposit_is_recorded_twice,
        Plan an_orphan_is_forgotten;
    custody_is_the_balance_on_chain:
        Plan a_reversal_is_dropped,
        Plan a_deposit_is_booked_at_another_address,
        Plan a_deposit_is_booked_a_millionth_short,
        Plan an_adoption_leaves_what_left,
        Plan what_is_destroyed_is_not_booked;
    suspense_is_the_open_cases:
        Plan a_refund_leaves_suspense_twice,
        Plan an_adoption_leaves_what_a_person_decided,
        Plan a_refund_is_verified_and_not_booked,
        Plan a_suspended_deposit_is_of_another_kind,
        Plan a_case_is_forgotten,
        Plan a_case_is_closed_by_nobody,
        Plan a_case_holds_too_little;
    closed_orders_clear_to_zero: Plan an_order_keeps_a_millionth;
    the_books_are_the_rules_run_again:
        Terms one_person_is_enough,
        Plan a_remainder_is_lost,
        Plan a_final_deposit_stays_pending,
        Plan an_order_expires_too_early,
        Plan an_expiry_is_forgotten,
        Plan the_cursor_leaves_a_block_out,
        Plan the_cursor_is_ahead_of_what_is_final,
        Plan the_cursor_does_not_move,
        Plan an_adoption_leaves_finality;
    events_are_gapless_and_tell_all:
        Plan a_dismissed_case_credits,
        Plan a_grant_goes_to_another_customer,
        Plan a_grant_is_a_millionth_too_large,
        Plan an_orphan_keeps_its_credits,
        Plan a_payment_is_not_noted,
        Plan an_event_is_skipped,
        Plan an_event_is_told_twice,
        Plan credits_are_told_wrongly,
        Plan a_pause_is_lost,
        Plan a_notice_is_forgotten,
        Plan a_notice_is_not_told,
        Plan a_notice_stays_without_its_block,
        Plan what_the_contract_says_is_not_heeded,
        Plan a_deprecated_token_stops_nothing,
        Books the_last_event_is_lost;
    nothing_unfinal_or_uncanonical_is_credited:
        Plan a_pending_deposit_is_credited,
        Plan a_reorg_leaves_what_is_booked,
        Plan an_adoption_leaves_what_was_final;
    the_order_of_batches_does_not_matter: Portion a_portion_is_judged_by_its_last_block;
    the_books_refuse_it: Plan an_order_is_written_without_its_version;
}

pub(crate) fn drop_one<T>(
    list: &mut Vec<T>,
    random: &mut Random,
    fits: impl Fn(&T) -> bool,
) -> Option<T> {
    let places: Vec<usize> = (0..list.len()).filter(|at| fits(&list[*at])).collect();
    if places.is_empty() {
        return None;
    }
    Some(list.remove(*random.pick(&places)))
}

fn one<'a, T>(
    list: &'a mut [T],
    random: &mut Random,
    fits: impl Fn(&T) -> bool,
) -> Option<&'a mut T> {
    let places: Vec<usize> = (0..list.len()).filter(|at| fits(&list[*at])).collect();
    if places.is_empty() {
        return None;
    }
    list.get_mut(*random.pick(&places))
}

fn is_grant(journal: &Journal) -> bool {
    journal.key.starts_with("paid:")
}

fn is_receipt(journal: &Journal) -> bool {
    journal.key.starts_with("deposit:")
}

fn grants(journal: &Journal) -> bool {
    is_grant(journal) && journal.entries.len() == 2
}

fn a_journal_is_dropped(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    drop_one(&mut changes.journals, random, |_| true).is_some()
}

fn a_reversal_is_dropped(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let reversal = |journal: &Journal| journal.key.starts_with("reverse:");
    drop_one(&mut changes.journals, random, reversal).is_some()
}

fn a_grant_is_doubled(changes: &mut Changes, _: &Memory, _: &mut Random) -> bool {
    let grant = changes.journals.iter().find(|journal| grants(journal)).cloned();
    let Some(mut again) = grant else { return false };
    again.key.push_str("#9");
    // Only the credits: the order has nothing left to sell.
    again.entries.remove(0);
    changes.journals.push(again);
    true
}

fn a_grant_goes_to_another_customer(c: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let Some(journal) = one(&mut c.journals, random, grants) else { return false };
    journal.entries[1].credit = Account::Customer(CustomerId::new("mallory").unwrap());
    true
}

fn a_grant_is_a_millionth_too_large(c: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let Some(journal) = one(&mut c.journals, random, grants) else { return false };
    journal.entries[1].amount += 1;
    true
}

fn a_remainder_is_lost(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let rounded = |journal: &Journal| is_grant(journal) && journal.remainder > 0;
    let Some(journal) = one(&mut changes.journals, random, rounded) else { return false };
    journal.remainder = 0;
    true
}

fn a_deposit_is_booked_at_another_address(
    changes: &mut Changes,
    memory: &Memory,
    random: &mut Random,
) -> bool {
    let Some(journal) = one(&mut changes.journals, random, is_receipt) else { return false };
    let Account::Custody(chain, address) = &journal.entries[0].debit else { return false };
    let other = memory.owners().keys().find(|other| *other != address);
    let Some(other) = other else { return false };
    journal.entries[0].debit = Account::Custody(chain.clone(), *other);
    true
}

fn a_deposit_is_booked_a_millionth_short(c: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let more = |journal: &Journal| is_receipt(journal) && journal.entries[0].amount > 1;
    let Some(journal) = one(&mut c.journals, random, more) else { return false };
    journal.entries[0].amount -= 1;
    true
}

fn a_pending_deposit_is_credited(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let pending = |deposit: &Deposit| {
        deposit.state == State::Pending && deposit.order.is_some() && !deposit.amount.is_zero()
    };
    let Some(deposit) = one(&mut changes.recorded, random, pending) else { return false };
    deposit.state = State::Confirmed;
    let (id, order) = (deposit.id.clone(), deposit.order.clone().unwrap());
    let custody = Account::Custody(id.chain.clone(), deposit.to);
    let entry = Entry::usdt(&id.chain, custody, Account::Order(order.clone()), deposit.amount);
    changes.journals.push(Journal {
        key: format!("deposit:{id}"),
        order: Some(order.clone()),
        deposit: Some(id.clone()),
        effective: deposit.time,
        recorded: deposit.time,
        remainder: 0,
        entries: entry.into_iter().collect(),
    });
    changes.events.push(Event {
        kind: EventKind::DepositConfirmed,
        at: Time(0),
        chain: Some(id.chain.clone()),
        order: Some(order),
        deposit: Some(id),
        case: None,
        data: Vec::new(),
    });
    true
}

fn a_deposit_is_forgotten(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let pending = |deposit: &Deposit| deposit.state == State::Pending;
    let Some(gone) = drop_one(&mut changes.recorded, random, pending) else { return false };
    changes.events.retain(|event| event.deposit.as_ref() != Some(&gone.id));
    true
}

fn a_deposit_is_recorded_twice(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let Some(deposit) = one(&mut changes.recorded, random, |_| true).cloned() else { return false };
    let mut again = deposit;
    again.id.n += 90;
    again.state = State::Pending;
    changes.recorded.push(again);
    true
}

fn a_final_deposit_stays_pending(c: &mut Changes, memory: &Memory, random: &mut Random) -> bool {
    // Everything that was decided about dust goes.
    let dust = |deposit: &Deposit| {
        let known = memory.deposit(&deposit.id);
        deposit.state == State::Dust && known.is_some_and(|known| known.state == State::Pending)
    };
    let Some(deposit) = drop_one(&mut c.moved, random, dust) else { return false };
    c.journals.retain(|journal| journal.deposit.as_ref() != Some(&deposit.id));
    c.events.retain(|event| event.deposit.as_ref() != Some(&deposit.id));
    true
}

fn an_orphan_is_forgotten(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let orphaned = |deposit: &Deposit| deposit.state == State::Orphaned;
    let Some(deposit) = drop_one(&mut changes.moved, random, orphaned) else { return false };
    changes.journals.retain(|journal| journal.deposit.as_ref() != Some(&deposit.id));
    changes.events.retain(|event| event.deposit.as_ref() != Some(&deposit.id));
    true
}

fn an_orphan_keeps_its_credits(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let taken_back = |journal: &Journal| journal.key.starts_with("reverse:paid:");
    let Some(journal) = one(&mut changes.journals, random, taken_back) else { return false };
    let before = journal.entries.len();
    journal.entries.retain(|entry| !matches!(entry.debit, Account::Customer(_)));
    before != journal.entries.len()
}

fn a_suspended_deposit_is_of_another_kind(
    changes: &mut Changes,
    _: &Memory,
    random: &mut Random,
) -> bool {
    let held = |journal: &Journal| {
        let to = |kind| move |entry: &Entry| entry.credit == Account::Suspense(kind);
        journal.entries.iter().any(to(CaseKind::Duplicate))
    };
    let Some(journal) = one(&mut changes.journals, random, held) else { return false };
    journal.entries[0].credit = Account::Suspense(CaseKind::Late);
    true
}

fn a_case_is_forgotten(changes: &mut Changes, memory: &Memory, random: &mut Random) -> bool {
    let known = |id| memory.cases().iter().any(|case| case.id == id);
    let new = |case: &payments::case::Case| !known(case.id.clone());
    let Some(case) = drop_one(&mut changes.cases, random, new) else { return false };
    changes.events.retain(|event| event.case.as_ref() != Some(&case.id));
    true
}

fn a_case_is_closed_by_nobody(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let open = |case: &payments::case::Case| case.decision.is_none();
    let Some(case) = one(&mut changes.cases, random, open) else { return false };
    case.decision = Some(Decision {
        resolution: Resolution::Dismiss,
        by: "nobody".to_owned(),
        why: String::new(),
        at: Time(0),
    });
    true
}

fn a_case_holds_too_little(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let holds = |case: &payments::case::Case| case.decision.is_none() && !case.amount.is_zero();
    let Some(case) = one(&mut changes.cases, random, holds) else { return false };
    case.amount = Usdt::ZERO;
    true
}

fn a_payment_is_not_noted(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let paid = |touched: &payments::changes::Touched| touched.paid.is_some();
    let Some(touched) = one(&mut changes.touched, random, paid) else { return false };
    touched.paid = None;
    true
}

fn an_order_expires_too_early(changes: &mut Changes, memory: &Memory, random: &mut Random) -> bool {
    let open = |touched: &payments::changes::Touched| {
        let dossier = memory.dossier(&touched.order);
        let expires = dossier.is_some_and(|dossier| dossier.order.expires_at.is_some());
        touched.expired.is_none()
            && touched.cancelled.is_none()
            && touched.paid.is_none()
            && expires
    };
    let Some(touched) = one(&mut changes.touched, random, open) else { return false };
    touched.expired = memory.dossier(&touched.order).and_then(|dossier| dossier.order.expires_at);
    let order = Some(touched.order.clone());
    let (kind, at) = (EventKind::OrderExpired, Time(0));
    let nothing = (None, None, None, Vec::new());
    let (chain, deposit, case, data) = nothing;
    changes.events.push(Event { kind, at, chain, order, deposit, case, data });
    true
}

fn an_expiry_is_forgotten(changes: &mut Changes, memory: &Memory, random: &mut Random) -> bool {
    let fresh = |touched: &payments::changes::Touched| {
        let known = memory.dossier(&touched.order).and_then(|dossier| dossier.expired);
        touched.expired.is_some() && known.is_none()
    };
    let Some(touched) = one(&mut changes.touched, random, fresh) else { return false };
    touched.expired = None;
    let order = touched.order.clone();
    let expired = |event: &Event| event.kind == EventKind::OrderExpired;
    changes.events.retain(|event| !expired(event) || event.order.as_ref() != Some(&order));
    true
}

fn an_event_is_skipped(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let progress = [EventKind::OrderConfirming, EventKind::OrderPartiallyPaid];
    drop_one(&mut changes.events, random, |event| !progress.contains(&event.kind)).is_some()
}

fn an_event_is_told_twice(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let progress = [EventKind::OrderConfirming, EventKind::OrderPartiallyPaid];
    let told = one(&mut changes.events, random, |event| !progress.contains(&event.kind));
    let Some(event) = told.cloned() else { return false };
    changes.events.push(event);
    true
}

fn credits_are_told_wrongly(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let granted = |event: &Event| event.kind == EventKind::CreditsGranted;
    let Some(event) = one(&mut changes.events, random, granted) else { return false };
    for (name, value) in &mut event.data {
        if *name == "credits" {
            "0.000001".clone_into(value);
        }
    }
    true
}

fn the_cursor_leaves_a_block_out(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let Some(mv) = &mut changes.cursor else { return false };
    drop_one(&mut mv.kept, random, |_| true).is_some()
}

fn the_cursor_is_ahead_of_what_is_final(c: &mut Changes, _: &Memory, _: &mut Random) -> bool {
    let Some(mv) = &mut c.cursor else { return false };
    let last = mv.kept.last().map(|header| header.id);
    let ahead = last != mv.finalized;
    mv.finalized = last;
    ahead
}

fn the_cursor_does_not_move(changes: &mut Changes, memory: &Memory, _: &mut Random) -> bool {
    let Some(mv) = &mut changes.cursor else { return false };
    let before = memory.cursor(&mv.chain).map(|cursor| &cursor.kept);
    if before == Some(&mv.kept) || mv.kept.is_empty() {
        return false;
    }
    mv.kept = before.cloned().unwrap_or_default();
    true
}

fn an_order_is_written_without_its_version(
    changes: &mut Changes,
    _: &Memory,
    random: &mut Random,
) -> bool {
    let written = |touched: &payments::changes::Touched| {
        changes.journals.iter().any(|journal| journal.order.as_ref() == Some(&touched.order))
    };
    let places: Vec<usize> =
        (0..changes.touched.len()).filter(|at| written(&changes.touched[*at])).collect();
    if places.is_empty() {
        return false;
    }
    changes.touched.remove(*random.pick(&places));
    true
}

fn a_pause_is_lost(changes: &mut Changes, _: &Memory, _: &mut Random) -> bool {
    changes.cursor.as_mut().is_some_and(|mv| mv.paused.take().is_some())
}

fn a_reorg_leaves_what_is_booked(c: &mut Changes, memory: &Memory, random: &mut Random) -> bool {
    let booked = |deposit: &Deposit| {
        let known = memory.deposit(&deposit.id).map(|known| known.state);
        deposit.state == State::Orphaned && known.is_some_and(|known| known != State::Pending)
    };
    let Some(deposit) = drop_one(&mut c.moved, random, booked) else { return false };
    c.journals.retain(|journal| journal.deposit.as_ref() != Some(&deposit.id));
    c.events.retain(|event| event.deposit.as_ref() != Some(&deposit.id));
    true
}

fn an_order_keeps_a_millionth(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let sells = |journal: &Journal| is_grant(journal) && journal.entries[0].amount > 1;
    let Some(journal) = one(&mut changes.journals, random, sells) else { return false };
    journal.entries[0].amount -= 1;
    true
}

fn a_balance_loses_a_side(memory: &mut Memory, _: &mut Random) -> bool {
    memory.spoil_balance()
}

fn an_order_is_overdrawn(memory: &mut Memory, random: &mut Random) -> bool {
    let grants: Vec<_> = memory.journals().iter().filter(|journal| is_grant(journal)).collect();
    if grants.is_empty() {
        return false;
    }
    let mut again = (***random.pick(&grants)).clone();
    again.key = format!("forced:{}", memory.journals().len());
    memory.force_journal(again);
    true
}

fn a_journal_is_edited(memory: &mut Memory, random: &mut Random) -> bool {
    // Not one of the last, at which every step looks.
    let Some(old) = memory.journals().len().checked_sub(40) else { return false };
    memory.edit_journal(random.place(old + 1), |journal| journal.effective.0 += 1)
}

fn a_decided_case_is_opened_again(memory: &mut Memory, _: &mut Random) -> bool {
    memory.reopen_case()
}

fn a_journal_is_written_again(memory: &mut Memory, random: &mut Random) -> bool {
    if memory.journals().is_empty() {
        return false;
    }
    let again = (**random.pick(memory.journals())).clone();
    memory.force_journal(again);
    true
}

fn the_last_event_is_lost(memory: &mut Memory, _: &mut Random) -> bool {
    memory.lose_event().is_some()
}

/// As if the time of a portion's last block were that of all its payments.
fn a_portion_is_judged_by_its_last_block(changes: &mut Changes, scan: &Scan) {
    let Some(last) = scan.blocks.last() else { return };
    for journal in &mut changes.journals {
        journal.effective = last.time;
    }
}

fn one_person_is_enough(rules: &mut Rules) {
    for of_chain in rules.values_mut() {
        of_chain.bounds.two_person_above = None;
    }
}

fn the_ceiling_is_not_kept(rules: &mut Rules) {
    for of_chain in rules.values_mut() {
        of_chain.bounds.hourly_credits = None;
    }
}

fn a_refund_leaves_suspense_twice(changes: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let sends = |journal: &Journal| {
        journal.entries.iter().any(|entry| entry.credit == Account::RefundsPayable)
    };
    let Some(mut again) = one(&mut changes.journals, random, sends).cloned() else { return false };
    again.key.push_str("#9");
    changes.journals.push(again);
    true
}

/// The order that it came to keeps it.
fn a_reassigned_deposit_counts_for_both(
    changes: &mut Changes,
    _: &Memory,
    random: &mut Random,
) -> bool {
    let gone = |deposit: &Deposit| deposit.state == State::Reassigned;
    let Some(deposit) = one(&mut changes.moved, random, gone) else { return false };
    deposit.state = State::Credited;
    true
}

fn a_refund_is_verified_and_not_booked(
    changes: &mut Changes,
    _: &Memory,
    random: &mut Random,
) -> bool {
    let paid = |journal: &Journal| journal.key.starts_with("refund:");
    drop_one(&mut changes.journals, random, paid).is_some()
}

/// What a person decided to keep is sold all the same.
fn a_dismissed_case_credits(changes: &mut Changes, memory: &Memory, random: &mut Random) -> bool {
    let keeps = |journal: &Journal| journal.entries.iter().any(|of| of.credit == Account::Kept);
    let Some(journal) = one(&mut changes.journals, random, keeps) else { return false };
    let Some(dossier) = journal.order.as_ref().and_then(|id| memory.dossier(id)) else {
        return false;
    };
    let Some(kept) = journal.entries.iter_mut().find(|of| of.credit == Account::Kept) else {
        return false;
    };
    kept.credit = Account::Sales;
    let sold = Entry {
        asset: Asset::Credit,
        debit: Account::Issued,
        credit: Account::Customer(dossier.order.customer.clone()),
        amount: kept.amount,
    };
    journal.entries.push(sold);
    true
}
