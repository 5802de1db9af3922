//! A node that says `[]` of a block that holds our payment, and proves nothing.
//!
//! In: that node beside an honest one, and alone. Out: the payment, credited once.
//! Never: a block that is passed over because nobody speaks of what is in it.
//! Why: an answer without a log looks like a block without a payment.

use std::path::Path;

use alloy::primitives::Address;
use lab::evm::{Chain, Fault, Node, Tx};
use serde_json::{Value, json};

use super::daemon::Daemon;
use super::scripted::{BLOCKS, answer, marks, scripted_nodes, started};
use super::shop::{deposits, text};

/// What is paid, in millionths.
const DUE: u64 = 100_000_000;
/// How a turn that was not recorded is told.
const FAILED: &str = "this turn failed";

/// When the block comes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Comes {
    /// While the daemon watches the tip.
    Now,
    /// While it is down; it is read by ranges then.
    Before,
}

#[tokio::test]
async fn a_payment_that_one_node_is_silent_about_is_credited_by_the_word_of_another() {
    for comes in [Comes::Now, Comes::Before] {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (chain, [liar, honest]) = scripted_nodes().await;
        let daemon = started(folder.path(), &[&liar, &honest], ["60s", "never"]).await;
        let (mut daemon, height) = paid(folder.path(), daemon, (&chain, &liar), comes).await;
        daemon.recorded(height + 2).await;
        daemon.stop().await;
        assert_eq!(marks(folder.path()).await, [""; 0], "{comes:?}");
        credited_once(folder.path()).await;
    }
}

#[tokio::test]
async fn a_payment_that_the_only_node_is_silent_about_is_waited_for_at_its_height() {
    for comes in [Comes::Now, Comes::Before] {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (chain, [liar, _]) = scripted_nodes().await;
        let daemon = started(folder.path(), &[&liar], ["3s", "never"]).await;
        let (mut daemon, height) = paid(folder.path(), daemon, (&chain, &liar), comes).await;
        // The waits between them grow: together they are longer than what is patiently borne.
        daemon.said_times(FAILED, 6).await;
        let shown = answer(folder.path(), &["chain", "show"]).await;
        let waits = &shown["chains"][0];
        assert!(text(&waits["stalled"]).contains(&format!("at height {height} ")), "{waits}");
        assert_eq!(waits["height"], json!(height - 1), "{waits}");
        assert_eq!(
            answer(folder.path(), &["order", "show", "A"]).await["status"],
            "awaiting_payment"
        );
        assert_eq!(marks(folder.path()).await, ["chain.stalled"], "{comes:?}");
        liar.heal();
        daemon.recorded(height + 2).await;
        daemon.stop().await;
        assert_eq!(marks(folder.path()).await, ["chain.stalled", "chain.recovered"], "{comes:?}");
        credited_once(folder.path()).await;
    }
}

/// An order, and its payment two blocks below the tip, which `liar` is silent about; the daemon
/// that reads on, and the payment's height.
async fn paid(
    folder: &Path,
    mut daemon: Daemon,
    (chain, liar): (&Chain, &Node),
    comes: Comes,
) -> (Daemon, u64) {
    daemon.recorded(BLOCKS).await;
    let order = ["order", "create", "--id", "A", "--customer", "C", "--chain", "ethereum"];
    let made = answer(folder, &[&order[..], &["--amount", "100"]].concat()).await;
    let address: Address = text(&made["address"]).parse().expect("an address");
    let height = BLOCKS + 1;
    liar.fault(Fault::EmptyLogs { heights: height..=height });
    liar.fault(Fault::lacks(&["eth_getBlockReceipts", "eth_getTransactionReceipt"], None));
    let pay = vec![Tx::transfer(Address::repeat_byte(0xaa), address, DUE)];
    if comes == Comes::Now {
        assert_eq!(chain.mine(pay).height, height);
        chain.mine_empty(2);
        return (daemon, height);
    }
    daemon.stop().await;
    assert_eq!(chain.mine(pay).height, height);
    chain.mine_empty(20);
    (Daemon::start(folder), height)
}

/// What was paid is in the books once.
async fn credited_once(folder: &Path) {
    let order = answer(folder, &["order", "show", "A"]).await;
    assert_eq!(text(&order["status"]), "paid", "{order}");
    assert_eq!(deposits(&order).len(), 1, "{order}");
    let answered = answer(folder, &["ledger", "balance", "customer:C"]).await;
    assert_eq!(answered["balances"][0]["balance"], "10000.00", "{answered}");
    let none: [Value; 0] = [];
    assert_eq!(answer(folder, &["ledger", "verify"]).await["findings"], json!(none));
}
