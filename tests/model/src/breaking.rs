//! Broken rules of what takes back what was final, and of what a token's issuer does.
//!
//! In: the changes of a plan. Out: the same, with one thing wrong. Never: one that is not in the
//! list of `mutations`. Why: what happens once in a chain's life is broken without anybody seeing.

use payments::changes::Changes;
use payments::deposit::{Deposit, State};
use payments::event::EventKind;
use payments::ledger::{Account, Journal};
use payments::notice::What;

use crate::memory::Memory;
use crate::mutations::drop_one;
use crate::random::Random;

fn adopts(changes: &Changes) -> bool {
    changes.cursor.as_ref().is_some_and(|mv| mv.adopted.is_some())
}

pub(crate) fn an_adoption_leaves_what_was_final(
    c: &mut Changes,
    memory: &Memory,
    random: &mut Random,
) -> bool {
    let booked = |deposit: &Deposit| {
        let known = memory.deposit(&deposit.id).map(|known| known.state);
        deposit.state == State::Orphaned && known.is_some_and(|known| known != State::Pending)
    };
    if !adopts(c) {
        return false;
    }
    let Some(deposit) = drop_one(&mut c.moved, random, booked) else { return false };
    c.journals.retain(|journal| journal.deposit.as_ref() != Some(&deposit.id));
    c.events.retain(|event| event.deposit.as_ref() != Some(&deposit.id));
    true
}

pub(crate) fn an_adoption_leaves_finality(
    c: &mut Changes,
    memory: &Memory,
    _: &mut Random,
) -> bool {
    let Some(mv) = c.cursor.as_mut().filter(|mv| mv.adopted.is_some()) else { return false };
    let before = memory.cursor(&mv.chain).and_then(|cursor| cursor.finalized);
    let falls = mv.finalized != before;
    mv.finalized = before;
    falls
}

pub(crate) fn an_adoption_leaves_what_a_person_decided(
    c: &mut Changes,
    _: &Memory,
    random: &mut Random,
) -> bool {
    let held = |account: &Account| matches!(account, Account::Suspense(_));
    let decided = |journal: &Journal| {
        let back = journal.entries.iter().any(|entry| held(&entry.credit));
        journal.key.starts_with("reverse:resolve:") && back
    };
    drop_one(&mut c.journals, random, decided).is_some()
}

pub(crate) fn an_adoption_leaves_what_left(
    c: &mut Changes,
    _: &Memory,
    random: &mut Random,
) -> bool {
    let left = |journal: &Journal| journal.key.starts_with("reverse:sweep:");
    adopts(c) && drop_one(&mut c.journals, random, left).is_some()
}

pub(crate) fn a_notice_is_forgotten(c: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let Some(gone) = drop_one(&mut c.notices, random, |noted| !noted.orphaned) else {
        return false;
    };
    let id = gone.id().to_string();
    c.events.retain(|event| !event.data.iter().any(|(name, of)| *name == "notice" && *of == id));
    true
}

pub(crate) fn a_notice_is_not_told(c: &mut Changes, _: &Memory, random: &mut Random) -> bool {
    let of_notice =
        |event: &payments::event::Event| event.data.iter().any(|(name, _)| *name == "notice");
    drop_one(&mut c.events, random, of_notice).is_some()
}

pub(crate) fn a_notice_stays_without_its_block(
    c: &mut Changes,
    _: &Memory,
    random: &mut Random,
) -> bool {
    let Some(gone) = drop_one(&mut c.notices, random, |noted| noted.orphaned) else {
        return false;
    };
    let id = gone.id().to_string();
    c.events.retain(|event| !event.data.iter().any(|(name, of)| *name == "notice" && *of == id));
    true
}

pub(crate) fn what_the_contract_says_is_not_heeded(
    c: &mut Changes,
    _: &Memory,
    _: &mut Random,
) -> bool {
    let asked = c.notices.iter().any(|noted| noted.notice.is_asked() && !noted.orphaned);
    if asked {
        *c = Changes::default();
    }
    asked
}

pub(crate) fn a_deprecated_token_stops_nothing(
    c: &mut Changes,
    _: &Memory,
    _: &mut Random,
) -> bool {
    let replaced = |what| matches!(what, What::Deprecated(_));
    let replaced = c.notices.iter().any(|noted| replaced(noted.notice.what) && !noted.orphaned);
    let told = c.events.iter().any(|event| event.kind == EventKind::ChainPaused);
    let Some(mv) = c.cursor.as_mut().filter(|_| replaced && told) else { return false };
    mv.paused = None;
    c.events.retain(|event| event.kind != EventKind::ChainPaused);
    true
}

pub(crate) fn what_is_destroyed_is_not_booked(
    c: &mut Changes,
    _: &Memory,
    random: &mut Random,
) -> bool {
    let lost = |journal: &Journal| {
        let lost = journal.entries.iter().any(|entry| entry.debit == Account::Lost);
        lost && journal.key.starts_with("sweep:") && journal.key.contains("destroyed")
    };
    drop_one(&mut c.journals, random, lost).is_some()
}
