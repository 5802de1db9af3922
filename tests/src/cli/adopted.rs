//! `bursar chain resume --adopt`: what is said of refunds that were seen on the branch given up.

use serde_json::json;

use super::counter::{Counter, create, pay};

/// An account of a stranger.
const THERE: &str = "0x00000000219ab540356cBB839Cbe05303d7705Fa";
const WHO: [&str; 4] = ["--by", "ann", "--why", "three explorers show it"];

#[tokio::test]
async fn a_refund_of_the_lost_branch_is_asked_about_on_the_new_one() {
    let counter = Counter::open().await;
    let asked = create("A-1", &["--amount", "100", "--refund-to", THERE]);
    let made = counter.json(&asked).await;
    let to = made["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
    counter.chain.mine(vec![pay(to, 100_000_000)]);
    counter.chain.mine(vec![pay(to, 100_000_000).tagged(2)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    let listed = counter.json(&["case", "list"]).await;
    let id = listed["cases"][0]["id"].as_str().expect("a case").to_owned();
    let decide = ["case", "resolve", &id, "refund", "--fee=0"];
    counter.good(&[&decide[..], &WHO].concat()).await;
    let back = counter.chain.mine(vec![pay(THERE.parse().expect("one"), 100_000_000)]);
    counter.chain.mine_empty(12);
    counter.watch().await;
    let tx = counter.tx(back.height, 0);
    counter.good(&["refund", "sent", &id, "--tx", &tx, "--by", "ann"]).await;
    let checked = counter.json(&["refund", "check"]).await;
    assert_eq!(checked["judged"][0]["refund"]["state"], "verified");
    counter.good(&[&["chain", "pause", "ethereum"], &WHO[..]].concat()).await;
    let depth = counter.chain.tip().height - back.height + 1;
    let tip = counter.chain.reorg(depth, vec![vec![]; 20]);
    let named = format!("{}:{}", tip.height, tip.hash);
    let resume = [&["chain", "resume", "ethereum", "--adopt", &named], &WHO[..]].concat();
    let adopted = counter.json(&resume).await;
    let refund = &adopted["refunds"][0];
    assert_eq!((&refund["case"], &refund["tx"]), (&json!(id), &json!(tx)), "{adopted}");
    assert_eq!((&refund["seen_at"], &adopted["orphaned"]), (&json!(back.height), &json!(0)));
    assert_eq!(refund["now"], "is not known on this branch");
}
