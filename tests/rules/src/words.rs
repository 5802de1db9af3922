//! Words that the books are written in: each is read back as what was written.
//!
//! In: every state, kind, account and name. Out: its word, once. Never: another word for the same.
//! Why: the database holds words; one that is not read back is a row that nobody can read.

use std::collections::BTreeSet;

use payments::case::{CaseKind, RefundState, Resolution, StepKind, is_same_person, is_unseen};
use payments::deposit::State;
use payments::ledger::{Account, Asset};
use payments::name::CustomerId;
use payments::notice::{TOPICS, What};
use payments::outflow::{OutflowId, Way};
use ruint::aliases::U256;

use super::world::{address, chain, id, tx};

fn all_states() -> Vec<State> {
    let mut states = vec![
        State::Pending,
        State::Confirmed,
        State::Credited,
        State::Dust,
        State::Orphaned,
        State::Reversed,
        State::Granted,
        State::Refunding,
        State::Refunded,
        State::Reassigned,
        State::Dismissed,
    ];
    states.extend(CaseKind::ALL.iter().copied().map(State::Suspended));
    states
}

#[test]
fn every_state_of_a_deposit_is_read_back() {
    for state in all_states() {
        let kind = if let State::Suspended(kind) = state { Some(kind) } else { None };
        assert_eq!(State::parse(state.word(), kind), Some(state));
        // A case kind beside any other state, or none beside a suspended one, is no state.
        let wrong = if kind.is_some() { None } else { Some(CaseKind::Late) };
        assert_eq!(State::parse(state.word(), wrong), None, "{state:?}");
    }
    assert_eq!(State::parse("paid", None), None);
}

#[test]
fn every_account_is_read_back() {
    let mut accounts = vec![
        Account::Custody(chain("tron"), address("A")),
        Account::Order(id("A")),
        Account::Sales,
        Account::Dust,
        Account::RefundsPayable,
        Account::Fees,
        Account::Kept,
        Account::Treasury(chain("bsc")),
        Account::Lost,
        Account::Issued,
        Account::Customer(CustomerId::new("acme").unwrap()),
    ];
    accounts.extend(CaseKind::ALL.iter().copied().map(Account::Suspense));
    let words: BTreeSet<String> = accounts.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), accounts.len());
    for account in accounts {
        assert_eq!(Account::parse(&account.to_string()), Some(account));
    }
    for text in ["sales:", "sale", "dust:x", "suspense:", "custody:tron", "order:", "treasury:"] {
        assert_ne!(
            Account::parse(text).map(|account| account.to_string()).as_deref(),
            Some(text),
            "{text} is no account"
        );
    }
    for asset in [Asset::Credit, Asset::Usdt(chain("ethereum"))] {
        assert_eq!(Asset::parse(&asset.to_string()), Some(asset));
    }
    for text in ["", "USDT", "USDT.", "CREDITS", "EUR.tron"] {
        assert_eq!(Asset::parse(text), None, "{text}");
    }
}

/// These accounts hold somebody's money, and no more than there is.
#[test]
fn the_accounts_that_cannot_be_overdrawn() {
    let custody = Account::Custody(chain("tron"), address("A"));
    assert!(custody.is_bounded_by_debits() && !custody.is_bounded_by_credits());
    let holding = [Account::Order(id("A")), Account::RefundsPayable, Account::Dust];
    for account in holding.into_iter().chain(CaseKind::ALL.iter().copied().map(Account::Suspense)) {
        assert!(account.is_bounded_by_credits() && !account.is_bounded_by_debits(), "{account}");
    }
    // A customer may have spent what a reorg takes back; the treasury is somebody else's to count.
    let customer = Account::Customer(CustomerId::new("acme").unwrap());
    for account in [customer, Account::Issued, Account::Sales, Account::Treasury(chain("tron"))] {
        assert!(!account.is_bounded_by_credits() && !account.is_bounded_by_debits(), "{account}");
    }
}

#[test]
fn the_name_of_an_outflow_is_read_back() {
    for way in [Way::Transfer, Way::Destroyed] {
        let name = OutflowId { chain: chain("tron"), tx: tx("t1"), n: 3, way };
        let text = name.to_string();
        assert_eq!(text.ends_with(":destroyed"), way == Way::Destroyed);
        assert_eq!(OutflowId::parse(&text), Some(name));
        assert_eq!(OutflowId::parse(&format!("{text}:x")), None);
        assert_eq!(OutflowId::parse(&text.replace(":3", "")), None);
    }
}

#[test]
fn every_step_and_state_of_a_refund_has_its_word() {
    let words = RefundState::ALL.map(RefundState::word);
    assert_eq!(words, ["requested", "sent", "verified", "failed"]);
    for state in RefundState::ALL {
        assert_eq!(RefundState::parse(state.word()), Some(state));
    }
    assert_eq!(RefundState::parse("paid"), None);
    let steps = [
        StepKind::Proposed(Resolution::Dismiss),
        StepKind::Withdrawn,
        StepKind::Sent(tx("t1")),
        StepKind::Verified { tx: tx("t1"), n: 0 },
        StepKind::Failed(tx("t1")),
    ];
    let words = ["proposed", "withdrawn", "sent", "verified", "failed"];
    assert_eq!(steps.map(|step| step.word()), words);
}

/// What the issuer does is told by the first topic of a log; of some there are two spellings.
#[test]
fn every_topic_of_an_issuer_is_of_one_kind() {
    let to = address("A");
    let raw = U256::from(7);
    let [account, number] = [U256::from_be_slice(&to.0), raw].map(|word| word.to_be_bytes::<32>());
    let mut places = Vec::new();
    for (what, words) in [
        (What::Paused, vec![]),
        (What::Unpaused, vec![]),
        (What::Deprecated(to), vec![account]),
        (What::Fee { points: 7, most: raw }, vec![number, number]),
        (What::Blacklisted(to), vec![account]),
        (What::Released(to), vec![account]),
        (What::Destroyed { from: to, raw }, vec![account, number]),
    ] {
        for place in what.kinds() {
            assert_eq!(What::read(&TOPICS[*place], &words), Some(what));
            places.push(*place);
        }
    }
    places.sort_unstable();
    assert_eq!(places, (0..TOPICS.len()).collect::<Vec<_>>());
}

#[test]
fn one_person_has_one_name_however_it_is_written() {
    for same in ["ANN LEE", " ann  lee ", "ann\u{a0}\u{2003}lee", "a\u{200b}nn l\u{ad}ee\u{feff}"] {
        assert!(is_same_person("Ann Lee", same), "{same:?}");
    }
    assert!(is_same_person("Stra\u{df}e", "STRASSE"));
    for other in ["annlee", "ann le", "bob"] {
        assert!(!is_same_person("Ann Lee", other), "{other:?}");
    }
    for letter in ['\u{ad}', '\u{200b}', '\u{200f}', '\u{2069}', '\u{2800}', '\u{e01ef}', '\n'] {
        assert!(is_unseen(letter), "{letter:?}");
    }
    for letter in ['a', ' ', '-', '\u{e9}', '\u{4e2d}', '\u{1f600}'] {
        assert!(!is_unseen(letter), "{letter:?}");
    }
}
