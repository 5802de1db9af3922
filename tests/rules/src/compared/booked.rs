//! What may be booked: what was final by some rule, what is of the token, what a price makes.
//!
//! In: one alteration of a side. Out: whether a deposit's state and the ledger fit.

use payments::changes::{Finality, FinalityRule};
use payments::deposit::State;
use payments::outflow::{Outflow, OutflowState};
use payments::reconcile::{Code, Report};
use ruint::aliases::U256;

use super::Sides;
use crate::world::{LOOKALIKE, chain, id};

/// Whether this was found about an order.
fn finds(report: &Report, code: Code, order: &str) -> bool {
    let about = |finding: &&payments::reconcile::Finding| {
        finding.code == code && finding.order == Some(id(order))
    };
    report.findings.iter().any(|finding| about(&finding))
}

/// A deposit at height 1 was booked, and nothing above genesis is final: was it final by this rule
/// on the longest chain that there can have been?
#[test]
fn a_rule_that_counts_is_asked_about_the_longest_chain() {
    let is_doubted = |finality: Finality, max_reorg: u64, last: u64| {
        let mut sides = Sides::new();
        let rules = sides.books.frame.rules.get_mut(&chain("ethereum")).unwrap();
        rules.finality = vec![FinalityRule { up_to: None, finality }];
        rules.max_reorg = max_reorg;
        let cursor = sides.books.frame.cursors.get_mut(&chain("ethereum")).unwrap();
        if let Some(finalized) = &mut cursor.finalized {
            finalized.height = 0;
        }
        cursor.kept.clear();
        let seen = sides.seen("ethereum");
        (seen.cut.height, seen.tip) = (0, last);
        finds(&sides.report(), Code::PostedNotFinal, "A")
    };
    assert!(is_doubted(Finality::Finalized, 8, 100), "tags alone make it final");
    // Blocks 1 to 5, and three more that a reorg may have taken away.
    assert!(!is_doubted(Finality::Confirmations(8), 3, 5));
    assert!(is_doubted(Finality::Confirmations(9), 3, 5));
    assert!(!is_doubted(Finality::Safe, 1, 0));
    assert!(is_doubted(Finality::Safe, 0, 0), "no chain ever reached its block");
    // What is final for the node needs no rule.
    let mut sides = Sides::new();
    let rules = sides.books.frame.rules.get_mut(&chain("ethereum")).unwrap();
    rules.finality = vec![FinalityRule { up_to: None, finality: Finality::Finalized }];
    assert!(!finds(&sides.report(), Code::PostedNotFinal, "A"));
}

/// B's part of its due is of another token: its state and its journal are each enough to tell.
#[test]
fn another_token_is_never_booked() {
    let is_money = |state: State, posted: bool| {
        let mut sides = Sides::new();
        let deposit = &mut sides.order("B").deposits[0];
        deposit.id.other_token = Some(LOOKALIKE);
        deposit.state = state;
        let key = format!("deposit:{}", deposit.id);
        if posted {
            sides.journal("B", "deposit:").key = key;
        }
        finds(&sides.report(), Code::TokenNotAllowed, "B")
    };
    let held = State::Suspended(payments::case::CaseKind::WrongAsset);
    assert!(!is_money(held, false));
    assert!(is_money(held, true), "the ledger has it");
    assert!(is_money(State::Credited, false), "it was credited");
}

/// With 18 decimals less than a millionth may leave: nothing is booked of it, and it is recorded.
#[test]
fn less_than_a_millionth_that_is_recorded_is_explained() {
    let leaves = |recorded: Option<OutflowState>| {
        let mut sides = Sides::new();
        let (raw, to) = (U256::from(999_999_999_999u64), crate::world::address("thief"));
        let seen = sides.seen("bsc");
        let from = seen.transfers[0].to;
        let log_index = seen.transfers[0].log_index + 1;
        let left =
            payments::chain::Transfer { raw, from, to, log_index, ..seen.transfers[0].clone() };
        let left = payments::chain::Transfer { tx: payments::chain::TxHash([8; 32]), ..left };
        seen.transfers.push(left.clone());
        *seen.balances.get_mut(&from).unwrap() -= raw;
        if let Some(state) = recorded {
            let known = sides.books.outflows[0].clone();
            let mut id = known.id.clone();
            (id.chain, id.tx, id.n) = (chain("bsc"), left.tx, left.n);
            let amount = payments::amount::Usdt::ZERO;
            let block = left.block;
            let outflow = Outflow { id, from, to, raw, amount, block, log_index, state, ..known };
            sides.books.outflows.push(outflow);
        }
        let report = sides.report();
        report.findings.iter().filter(|finding| finding.code == Code::DustOutflow).count()
    };
    assert_eq!(leaves(None), 1);
    assert_eq!(leaves(Some(OutflowState::Booked)), 0);
    assert_eq!(leaves(Some(OutflowState::Orphaned)), 1, "its block is no longer the chain's");
}
