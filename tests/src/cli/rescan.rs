//! `bursar rescan`: what was missed is found, once, and nothing above the cursor is touched.

use alloy::primitives::Address as Account;

use super::counter::{Counter, pay};

#[tokio::test]
async fn what_cannot_be_read_again_is_refused() {
    let counter = Counter::open().await;
    let never = counter.refused(&["rescan", "--chain=ethereum", "--from=1", "--to=2"]).await;
    assert_eq!(never, "--chain: ethereum was never scanned");
    counter.order("A-1").await;
    counter.watch().await;
    for (more, why) in [
        (vec!["--from=1", "--to=21"], "--to: 21 is above 20, the last scanned height"),
        (vec!["--from=9", "--to=3"], "--from: 9 is above --to 3"),
        (vec!["--tx=0x12"], "--tx: `0x12` is not 64 hex digits"),
        (vec!["--address=0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"], "is not one of ours"),
        (vec!["--address=0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee"], "look at character 42"),
    ] {
        let said = counter.refused(&[&["rescan", "--chain=ethereum"], &more[..]].concat()).await;
        assert!(said.contains(why), "{more:?}: {said}");
    }
    let unknown = format!("--tx=0x{}", "ab".repeat(32));
    let said = counter.refused(&["rescan", "--chain=ethereum", &unknown]).await;
    assert_eq!(said, "--tx: no endpoint of ethereum knows it");
    let said = counter.refused(&["rescan", "--chain=tron", "--from=1", "--to=2"]).await;
    assert_eq!(said, "--chain: `tron` is not configured; there is ethereum");
}

/// An address that is imported after it was paid: the payment is in a block that was read.
#[tokio::test]
async fn a_payment_that_was_missed_is_called_so_and_found_once() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    let address = Account::repeat_byte(0x5a);
    let block = counter.chain.mine(vec![pay(address, 8_000_000)]);
    counter.chain.mine_empty(2);
    counter.watch().await;
    let tx = counter.tx(block.height, 0);
    let told = counter.good(&["explain", &tx]).await;
    assert!(told.contains("8.00 USDT to") && told.contains("not an address of ours"), "{told}");
    std::fs::write(counter.path("list"), format!("{address}\n")).expect("written");
    counter.json(&["address", "import", "list"]).await;
    let told = counter.good(&["explain", &tx]).await;
    let advice = format!("OURS AND MISSED: bursar rescan --chain ethereum --tx {tx}");
    assert!(told.contains(&advice), "{told}");
    let again = counter.json(&["rescan", "--chain=ethereum", "--tx", &tx]).await;
    assert_eq!((&again["from"], &again["found"]), (&block.height.into(), &1.into()));
    let before = counter.contents().await;
    let again = counter.json(&["rescan", "--chain=ethereum", "--from=13", "--to=23"]).await;
    assert_eq!(again["found"], 0);
    assert_eq!(counter.contents().await, before);
    assert_eq!(counter.json(&["explain", &tx]).await["kind"], "transaction");
}

/// A log left out among others: where the addresses are many, no bloom shows it. A transaction is
/// asked about because somebody misses it, so its block is proved.
#[tokio::test]
async fn a_payment_that_the_node_leaves_out_is_found_by_its_transaction() {
    let counter = Counter::open().await;
    let (_, tx) = counter.omitted("A-1").await;
    let height = (counter.chain.tip().height - 2).to_string();
    let tx = tx.to_string();
    let again = ["rescan", "--chain=ethereum", "--from", &height, "--to", &height];
    assert_eq!(counter.json(&again).await["found"], 0, "the node says the same again");
    let asked = ["rescan", "--chain=ethereum", "--tx", &tx];
    assert_eq!(counter.json(&asked).await["found"], 1);
    assert_eq!(counter.json(&["order", "show", "A-1"]).await["status"], "paid");
    assert_eq!(counter.json(&[&again[..], &["--prove"]].concat()).await["found"], 0);
}
