//! A node that cannot show a block: for a moment, which nobody is told, and for longer, which is.
//!
//! In: a scripted node, since no real one fails on demand. Out: the marks in the events.
//! Never: an alarm for what mends itself: a reorg between two requests looks just so.

use alloy::primitives::Address;
use lab::evm::{Fault, Methods, Tx};

use super::daemon::Daemon;
use super::scripted::{BLOCKS, marks, scripted_node, started};
use crate::binary;

/// How a turn that was not recorded is told.
const FAILED: &str = "this turn failed";

#[tokio::test]
async fn a_block_that_is_unreadable_for_a_moment_is_no_stall() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (chain, node) = scripted_node().await;
    let mut daemon = started(folder.path(), &[&node], ["60s", "never"]).await;
    daemon.recorded(BLOCKS).await;
    node.fault(unknown_block(Some(1)));
    let block = chain.mine(vec![transfer()]);
    daemon.said_times(FAILED, 1).await;
    daemon.recorded(block.height).await;
    daemon.stop().await;
    assert_eq!(marks(folder.path()).await, [""; 0]);
}

#[tokio::test]
async fn a_block_that_stays_unreadable_is_a_stall_until_it_is_read() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (chain, node) = scripted_node().await;
    let mut daemon = started(folder.path(), &[&node], ["3s", "never"]).await;
    daemon.recorded(BLOCKS).await;
    node.fault(unknown_block(None));
    let block = chain.mine(vec![transfer()]);
    // The waits between them grow: together they are longer than what is patiently borne.
    daemon.said_times(FAILED, 6).await;
    assert_eq!(marks(folder.path()).await, ["chain.stalled"]);
    node.heal();
    daemon.recorded(block.height).await;
    daemon.stop().await;
    assert_eq!(marks(folder.path()).await, ["chain.stalled", "chain.recovered"]);
}

/// The node answers every question well, and its newest final block is months old.
#[tokio::test]
async fn nodes_that_answer_and_stand_still_are_a_stall() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (_chain, node) = scripted_node().await;
    let mut daemon = started(folder.path(), &[&node], ["60s", "1h"]).await;
    daemon.said_times("chain.stalled", 1).await;
    daemon.stop().await;
    let shown = binary::run(folder.path(), &["chain", "show"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("nothing has become final for more than 60 minutes"), "{shown}");
    assert_eq!(marks(folder.path()).await, ["chain.stalled"]);
}

/// Nobody has failed, and nothing comes: an endpoint that is slow, or a plan of few requests.
#[tokio::test]
async fn a_look_that_takes_long_is_a_stall_until_it_ends() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (chain, node) = scripted_node().await;
    let mut daemon = started(folder.path(), &[&node], ["3s", "never"]).await;
    daemon.recorded(BLOCKS).await;
    node.fault(Fault::Hang { methods: Methods::only(&["eth_getLogs"]), times: None });
    let block = chain.mine(vec![transfer()]);
    daemon.said_times("this look takes long, and goes on", 1).await;
    node.heal();
    daemon.recorded(block.height).await;
    assert_eq!(daemon.said(FAILED), 0);
    daemon.stop().await;
    assert_eq!(marks(folder.path()).await, ["chain.stalled", "chain.recovered"]);
}

/// The schedule asks every endpoint anew: one that is another chain's for a moment is missing
/// evidence, and nothing that stops the watcher.
#[tokio::test]
async fn an_endpoint_that_is_wrong_for_a_moment_does_not_end_the_daemon() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (chain, node) = scripted_node().await;
    let mut daemon = started(folder.path(), &[&node], ["60s", "never"]).await;
    daemon.recorded(BLOCKS).await;
    daemon.stop().await;
    let path = folder.path().join("bursar.toml");
    let config = std::fs::read_to_string(&path).expect("the config");
    let scheduled = format!("{config}\n[reconcile]\nevery = \"100ms\"\n");
    std::fs::write(&path, scheduled).expect("the config");
    let mut daemon = Daemon::start(folder.path());
    daemon.said_times("chain and books agree", 1).await;
    node.fault(Fault::WrongChainId(56));
    daemon.said_times("chain and books do not agree: `bursar reconcile`", 1).await;
    let block = chain.mine(vec![transfer()]);
    daemon.recorded(block.height).await;
    node.heal();
    let agreed = daemon.said("chain and books agree");
    daemon.said_times("chain and books agree", agreed + 1).await;
    daemon.stop().await;
}

/// Nobody answers from the start: what `chain show` says is not `new`.
#[tokio::test]
async fn nodes_that_never_answered_are_a_stall_until_they_do() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (_chain, node) = scripted_node().await;
    node.stop().await;
    let mut daemon = started(folder.path(), &[&node], ["3s", "never"]).await;
    daemon.said_times("no node yet", 6).await;
    assert_eq!(marks(folder.path()).await, ["chain.stalled"]);
    node.restart().await.expect("up");
    daemon.recorded(BLOCKS).await;
    daemon.stop().await;
    assert_eq!(marks(folder.path()).await, ["chain.stalled", "chain.recovered"]);
}

/// What a node says of a block hash that a reorg has just taken out of its chain.
fn unknown_block(times: Option<u32>) -> Fault {
    let error = r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"unknown block"}}"#;
    let methods = Methods::only(&["eth_getLogs", "eth_getBlockReceipts"]);
    Fault::Error { methods, http_status: 200, body: error.to_owned(), times }
}

/// Strangers among themselves: the block has to be read all the same.
fn transfer() -> Tx {
    Tx::transfer(Address::repeat_byte(0xaa), Address::repeat_byte(0xbb), 7_000_000)
}
