//! The WebSocket: a doorbell that reconnects, and a way to read for who has no other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lab::evm::{Fault, Node};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::rig::{Follower, chain, config, node, noise, traffic};

/// Far longer than a ring takes; a ring that does not come fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a ring that a new block causes: the bell also rings once when it is connected, so
/// blocks are mined until rings follow them.
async fn rings(bell: &erc20::Doorbell, node: &Node) {
    timeout(PATIENCE, bell.rung()).await.unwrap();
    let chain = node.chain();
    // A ring that was already on its way may be met here; the second one is the block's.
    for _ in 0..2 {
        chain.mine_empty(1);
        timeout(PATIENCE, bell.rung()).await.unwrap();
    }
}

#[tokio::test]
async fn it_rings_for_new_blocks_and_again_after_a_cut() {
    let chain = chain();
    let node = node(&chain).await;
    let follower = Follower::with(config(&[node.http_url(), node.ws_url()])).await;
    let bell = follower.source.doorbell();
    rings(&bell, &node).await;
    let subscribed = node.requests().count("eth_subscribe");
    node.fault(Fault::CutWebSockets);
    rings(&bell, &node).await;
    assert!(node.requests().count("eth_subscribe") > subscribed);
    node.stop().await;
    node.restart().await.unwrap();
    rings(&bell, &node).await;
}

/// Some providers push the logs of a filter and no heads.
#[tokio::test]
async fn it_rings_for_the_tokens_logs_where_no_heads_are_pushed() {
    let chain = chain();
    let node = node(&chain).await;
    node.fault(Fault::lacks(&["eth_subscribe"], Some(1)));
    let follower = Follower::with(config(&[node.http_url(), node.ws_url()])).await;
    let bell = follower.source.doorbell();
    timeout(PATIENCE, bell.rung()).await.unwrap();
    let requests = node.requests();
    let subscribed = requests.recent.iter().filter(|call| call.method == "eth_subscribe");
    let subscribed: Vec<&str> = subscribed.filter_map(|call| call.params[0].as_str()).collect();
    assert_eq!(subscribed, ["newHeads", "logs"]);
    for tag in 0..3 {
        chain.mine(vec![noise(tag)]);
        timeout(PATIENCE, bell.rung()).await.unwrap();
    }
}

/// A provider that takes every subscription and ends it is asked less and less often.
#[tokio::test]
async fn a_subscription_that_is_not_kept_is_no_success() {
    let chain = chain();
    let node = node(&chain).await;
    let rests = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&rests);
    let mut config = config(&[node.ws_url()]);
    config.rest = Arc::new(move |failures| {
        noted.lock().unwrap().push(failures);
        Duration::ZERO
    });
    let follower = Follower::with(config).await;
    let bell = follower.source.doorbell();
    for _ in 0..5 {
        rings(&bell, &node).await;
        node.fault(Fault::CutWebSockets);
    }
    rings(&bell, &node).await;
    let grown = rests.lock().unwrap().clone();
    assert!(grown.len() >= 5 && grown.is_sorted_by(|one, next| one < next), "{grown:?}");
}

/// Whoever pushes does not decide how often every endpoint is polled.
#[tokio::test]
async fn a_flood_of_heads_rings_at_a_bounded_rate() {
    let chain = chain();
    let node = node(&chain).await;
    let follower = Follower::with(config(&[node.ws_url()])).await;
    let bell = follower.source.doorbell();
    let begun = Instant::now();
    for _ in 0..300 {
        timeout(PATIENCE, bell.rung()).await.unwrap();
        chain.mine_empty(1);
    }
    // 256 at once, 20 a second from then on; one was rung for the connection.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nothing_is_lost_when_it_is_silent() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::with(config(&[node.ws_url()])).await;
    node.fault(Fault::SilentWebSockets);
    let paid = traffic(&chain, 20);
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn a_websocket_alone_is_enough_to_read_through() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::with(config(&[node.ws_url()])).await;
    let mut paid = traffic(&chain, 300);
    chain.finalize(280);
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
    node.fault(Fault::CutWebSockets);
    paid.extend(traffic(&chain, 10));
    follower.catch_up_stubbornly(3).await;
    assert_eq!(follower.seen(), paid);
    follower.assert_at_tip(&chain);
}

/// A way to `node` that can go dead as a firewall lets connections die: they stay open, and
/// nothing comes through any more. Those that are opened later live.
async fn way(node: &Node) -> (String, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let target = node.ws_url().trim_start_matches("ws://").to_owned();
    let dies = Arc::new(Notify::new());
    let death = Arc::clone(&dies);
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let mut to = TcpStream::connect(&target).await.unwrap();
            let death = Arc::clone(&death);
            tokio::spawn(async move {
                let dies = death.notified();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                    () = dies => std::future::pending().await,
                }
            });
        }
    });
    (url, dies)
}

#[tokio::test]
async fn a_socket_that_dies_without_a_word_is_replaced() {
    let chain = chain();
    let node = node(&chain).await;
    let (url, dies) = way(&node).await;
    let mut config = config(&[url]);
    config.deadline = Duration::from_secs(2);
    let mut follower = Follower::with(config).await;
    let mut paid = traffic(&chain, 10);
    follower.catch_up().await;
    dies.notify_waiters();
    paid.extend(traffic(&chain, 10));
    follower.catch_up_stubbornly(2).await;
    assert_eq!(follower.seen(), paid);
    follower.assert_at_tip(&chain);
}
