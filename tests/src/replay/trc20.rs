//! The scenarios on TRON: the twins of the others, and those that only TRON has.
//!
//! In: `fixtures/trc20/<scenario>`. Out: as for its neighbours. Never: java-tron itself; the tapes
//! are of `lab`'s node, and one scenario reads what a java-tron was recorded saying.
//! Why: what a chain does differently shows where the same story is told of both.

use super::behind::Kind;
use super::{assert_all_played, assert_recorded_the_same, scenarios};

scenarios!(
    Kind::Tron;
    exact,
    together,
    fee,
    nothing,
    underpaid,
    over,
    duplicate,
    cancelled,
    top_up,
    large,
    strangers,
    reorg_before,
    reorg_gone,
    reorg_below_final,
    tip_back,
    restart,
    down,
    first_order,
    crash,
    lookalike,
    lookalike_flood,
    ceiling,
    split,
    dust,
    late,
    hidden_reorg,
    adopted,
    too_deep,
    sweep,
    outflow_unexplained,
    token_paused,
    token_deprecated,
    fee_switched_on,
    blacklisted,
    wrong_network,
    accounts,
    index_lost,
    index_crash,
);

#[test]
fn every_fixture_is_played() {
    assert_all_played(Kind::Tron, &[SCENARIOS, &["java_tron"]].concat());
}

/// Money that is credited can be taken back by no fork switch on TRON, so that story is not told.
#[test]
fn every_story_is_told_of_both_chains() {
    let untold: Vec<_> = super::SCENARIOS.iter().filter(|name| !SCENARIOS.contains(name)).collect();
    assert_eq!(untold, [&"reorg_after_credit"]);
}

/// The blocks of a real java-tron, followed by the shipped watcher.
#[tokio::test]
async fn java_tron() {
    super::scenario(Kind::JavaTron, "java_tron").await;
}

#[tokio::test]
async fn a_fresh_recording_tells_the_same() {
    assert_recorded_the_same(Kind::Tron, "exact").await;
}
