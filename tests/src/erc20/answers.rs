//! Answers that are no answers: cut off, refused, late, or not there at all.

use std::sync::Arc;
use std::time::Duration;

use erc20::{Error, Source};
use lab::evm::{Fault, Methods};

use super::rig::{Follower, chain, config, node, traffic};
use crate::refuser::refusing;

#[tokio::test]
async fn truncated_answers_are_asked_again_elsewhere() {
    for methods in [Methods::only(&["eth_getLogs"]), Methods::all()] {
        for finalized in [0, 40] {
            let chain = chain();
            let (bad, good) = (node(&chain).await, node(&chain).await);
            let mut follower = Follower::new(&[&bad, &good]).await;
            let paid = traffic(&chain, 40);
            chain.finalize(finalized);
            bad.fault(Fault::Truncate { methods: methods.clone(), times: None });
            follower.catch_up().await;
            assert_eq!(follower.seen(), paid);
            assert!(follower.source.health()[0].failed > 0);
        }
    }
}

#[tokio::test]
async fn a_passing_failure_costs_one_poll() {
    for fault in [
        Fault::Truncate { methods: Methods::all(), times: Some(1) },
        Fault::Drop { methods: Methods::all(), times: Some(1) },
        Fault::Error {
            methods: Methods::all(),
            http_status: 502,
            body: "<html>Bad Gateway</html>".to_owned(),
            times: Some(1),
        },
        Fault::Error {
            methods: Methods::only(&["eth_getLogs"]),
            http_status: 200,
            body: r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32000,"message":"oh no"}}"#
                .to_owned(),
            times: Some(1),
        },
    ] {
        let chain = chain();
        let node = node(&chain).await;
        let mut follower = Follower::new(&[&node]).await;
        let paid = traffic(&chain, 40);
        node.fault(fault.clone());
        follower.catch_up_stubbornly(1).await;
        assert_eq!(follower.seen(), paid, "{fault:?}");
        follower.assert_at_tip(&chain);
    }
}

#[tokio::test]
async fn an_answer_of_brackets_alone_ends_nothing_but_the_question() {
    let (open, close) = ("[".repeat(500_000), "]".repeat(500_000));
    for body in [
        format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":[],"x":{open}{close}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{{"hash":{open}{close}}}}}"#),
        open.clone(),
    ] {
        for methods in [Methods::only(&["eth_getLogs"]), Methods::all()] {
            for socket in [false, true] {
                let chain = chain();
                let node = node(&chain).await;
                let url = if socket { node.ws_url() } else { node.http_url() };
                let mut follower = Follower::with(config(&[url])).await;
                let paid = traffic(&chain, 5);
                let (methods, body) = (methods.clone(), body.clone());
                node.fault(Fault::Error { methods, http_status: 200, body, times: Some(2) });
                follower.catch_up_stubbornly(4).await;
                assert_eq!(follower.seen(), paid);
                follower.assert_at_tip(&chain);
            }
        }
    }
}

#[tokio::test]
async fn a_rate_limit_is_honoured_for_as_long_as_it_says() {
    let chain = chain();
    let (limited, other) = (node(&chain).await, node(&chain).await);
    let mut alone = Follower::new(&[&limited]).await;
    let mut both = Follower::new(&[&limited, &other]).await;
    let paid = traffic(&chain, 10);
    limited.fault(Fault::RateLimit { status: 429, retry_after: Some(120), answered: 0 });
    let error = alone.step().await.unwrap_err();
    let Error::RateLimited { retry_after, .. } = error else { panic!("{error}") };
    assert!((110..=120).contains(&retry_after.as_secs()), "{retry_after:?}");
    // It is left alone meanwhile.
    let asked = limited.requests().total();
    let error = alone.step().await.unwrap_err();
    let Error::AllEndpointsDown { retry_after, .. } = error else { panic!("{error}") };
    assert!((110..=120).contains(&retry_after.as_secs()), "{retry_after:?}");
    assert_eq!(limited.requests().total(), asked);
    assert!(alone.source.health()[0].resting_for.is_some());

    both.catch_up_stubbornly(1).await;
    assert_eq!(both.seen(), paid);
}

#[tokio::test]
async fn a_rate_limit_inside_json_rpc_rests_by_the_callers_policy() {
    let chain = chain();
    let node = node(&chain).await;
    let mut config = config(&[node.http_url()]);
    config.rest = Arc::new(|failures| Duration::from_secs(u64::from(failures) * 1000));
    let mut follower = Follower::with(config).await;
    node.fault(Fault::RateLimit { status: 200, retry_after: None, answered: 0 });
    let error = follower.step().await.unwrap_err();
    let Error::RateLimited { retry_after, .. } = error else { panic!("{error}") };
    assert!((990..=1000).contains(&retry_after.as_secs()), "{retry_after:?}");
}

#[tokio::test]
async fn a_pause_may_be_told_as_a_date() {
    for (headers, seconds) in [
        (
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:51:37 GMT\r\n",
            118..=120,
        ),
        (
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Tue, 08 Nov 1994 08:49:37 GMT\r\n",
            298..=300,
        ),
    ] {
        let url = refusing(headers).await;
        let error = Source::connect(config(&[url])).await.err().expect("nobody answers");
        let Error::AllEndpointsDown { retry_after, .. } = error else { panic!("{error}") };
        assert!(seconds.contains(&retry_after.as_secs()), "{retry_after:?}");
    }
}

#[tokio::test]
async fn a_pause_longer_than_five_minutes_is_cut() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    node.fault(Fault::RateLimit { status: 429, retry_after: Some(86_400), answered: 0 });
    let error = follower.step().await.unwrap_err();
    let Error::RateLimited { retry_after, .. } = error else { panic!("{error}") };
    assert!(retry_after <= Duration::from_secs(300), "{retry_after:?}");
}

#[tokio::test]
async fn a_node_that_hangs_is_left_at_the_deadline() {
    let chain = chain();
    let (hanging, good) = (node(&chain).await, node(&chain).await);
    let mut config = config(&[hanging.http_url(), good.http_url()]);
    config.deadline = Duration::from_secs(2);
    config.rest = Arc::new(|_| Duration::from_secs(3600));
    let mut follower = Follower::with(config).await;
    let paid = traffic(&chain, 10);
    hanging.fault(Fault::Hang { methods: Methods::only(&["eth_getLogs"]), times: None });
    follower.catch_up_stubbornly(1).await;
    assert_eq!(follower.seen(), paid);
    let health = follower.source.health();
    assert!(health[0].last_error.as_ref().unwrap().contains("no answer within"));
    assert!(health[0].resting_for.is_some() && health[1].resting_for.is_none());
    hanging.heal();
}

/// Most polls of a long failure find the endpoint resting: what is wrong with it is told then too.
#[tokio::test]
async fn an_endpoint_that_rests_says_why() {
    let chain = chain();
    let node = node(&chain).await;
    let mut config = config(&[node.http_url()]);
    config.rest = Arc::new(|_| Duration::from_secs(3_600));
    let mut follower = Follower::with(config).await;
    node.fault(Fault::Error {
        methods: Methods::all(),
        http_status: 401,
        body: "this key is no longer paid for".to_owned(),
        times: None,
    });
    follower.step().await.unwrap_err();
    let error = follower.step().await.unwrap_err().to_string();
    assert!(error.contains("first rests: "), "{error}");
    assert!(error.contains("this key is no longer paid for"), "{error}");
}

#[tokio::test]
async fn a_stopped_node_is_down_and_comes_back() {
    let chain = chain();
    let node = node(&chain).await;
    let mut follower = Follower::new(&[&node]).await;
    let mut paid = traffic(&chain, 10);
    follower.catch_up().await;
    node.stop().await;
    let error = follower.step().await.unwrap_err();
    assert!(matches!(error, Error::AllEndpointsDown { .. }), "{error}");
    paid.extend(traffic(&chain, 10));
    node.restart().await.unwrap();
    follower.catch_up().await;
    assert_eq!(follower.seen(), paid);
}

#[tokio::test]
async fn a_plans_requests_per_second_are_kept() {
    let chain = chain();
    let node = node(&chain).await;
    let mut config = config(&[node.http_url()]);
    config.endpoints[0].requests_per_second = 200;
    config.endpoints[0].burst = 10;
    let begun = tokio::time::Instant::now();
    let mut follower = Follower::with(config).await;
    traffic(&chain, 60);
    follower.catch_up().await;
    let asked = node.requests().total();
    let least = Duration::from_millis((asked - 10) * 5);
    assert!(begun.elapsed() >= least, "{asked} requests in {:?}", begun.elapsed());
}

/// A node that refuses every call has said nothing of the contract, and reads blocks as any other.
#[tokio::test]
async fn a_node_that_refuses_calls_is_not_taken_for_a_contract_without_methods() {
    let chain = chain();
    chain.mine_empty(1);
    let node = node(&chain).await;
    let follower = Follower::new(&[&node]).await;
    let at = follower.source.header(1).await.unwrap().unwrap();
    let refuse = |code: i64, message: &str, times| Fault::Error {
        methods: Methods::only(&["eth_call"]),
        http_status: 200,
        body: format!(
            r#"{{"jsonrpc":"2.0","id":$ID,"error":{{"code":{code},"message":"{message}"}}}}"#
        ),
        times,
    };
    for (code, message) in [
        (-32602, "invalid params"),
        (-32000, "only the newest state is here"),
        (-32000, "blockHash is not supported"),
    ] {
        // Of the block by its hash alone.
        node.fault(refuse(code, message, Some(1)));
        let answers = follower.source.answers(&[], at).await.unwrap();
        assert_eq!(answers.block, at.id, "{message}");
        // And of its height as well.
        let refused = node.fault(refuse(code, message, None));
        let error = follower.source.answers(&[], at).await.unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(follower.source.health()[0].failed, 0, "{message}");
        node.heal_one(refused);
    }
}
