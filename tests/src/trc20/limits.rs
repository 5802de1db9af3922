//! Plans, keys and suspensions: throttled is not down, and a key goes nowhere else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::tron::{Asker, Fault, Limit, Paths};
use payments::time::Time;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use trc20::{Account, Config, EndpointConfig, Error, Habits, Key, Source, Way};

use super::rig::{Follower, chain, config, endpoint, grid, keyed, node, ours, pay, seen, traffic};
use crate::refuser::refusing;

fn suspended(asker: Asker, words: Limit, status: u16) -> Fault {
    Fault::Suspended {
        paths: Paths::all(),
        status,
        words,
        seconds: 30,
        answered: 0,
        refused: None,
        asker,
    }
}

#[tokio::test]
async fn a_suspended_key_is_left_alone_and_another_takes_over() {
    let chain = chain();
    let node = grid(&chain).await;
    let endpoints = vec![keyed("first", &node, "key-one"), keyed("second", &node, "key-two")];
    let mut follower = Follower::with(Config { endpoints, ..config(&[]) }).await;
    let mut paid = traffic(&chain, 40);
    follower.catch_up().await;
    node.fault(suspended(Asker::Key("key-one".to_owned()), Limit::Key, 429));
    node.forget_requests();
    paid.extend(traffic(&chain, 40));
    follower.catch_up_stubbornly(5).await;
    assert_eq!(follower.seen(), paid);
    let asked = node.requests();
    // Whatever was under way when the first refusal came, and nothing after it.
    assert!(asked.by_key["key-one"] <= 4, "{:?}", asked.by_key);
    assert_eq!(asked.by_key.get(""), None);
    let health = follower.source.health();
    assert!(health[0].is_throttled && health[0].throttled > 0, "{health:?}");
    assert_eq!((health[0].failed, health[0].failures), (0, 0), "throttled is not failed");
    let left = health[0].resting_for.unwrap();
    assert!(left > Duration::from_secs(20) && left <= Duration::from_secs(30), "{left:?}");
    assert!(!format!("{health:?}").contains("key-one"));
}

#[tokio::test]
async fn all_suspended_is_rate_limited_and_says_for_how_long() {
    for (words, status) in [
        (Limit::Key, 429),
        (Limit::KeyWithoutSpace, 403),
        (Limit::NoKey, 429),
        (Limit::Documented, 429),
        (Limit::Bare, 429),
    ] {
        let chain = chain();
        let node = grid(&chain).await;
        let mut follower = Follower::new(&[&node]).await;
        traffic(&chain, 3);
        node.fault(suspended(Asker::Anyone, words.clone(), status));
        for _ in 0..3 {
            let error = follower.step().await.unwrap_err();
            let Error::RateLimited { retry_after, .. } = error else { panic!("{words:?} {error}") };
            assert!(retry_after > Duration::from_secs(25), "{words:?} {retry_after:?}");
        }
        let count = node.requests().total();
        let _ = follower.step().await;
        assert_eq!(node.requests().total(), count, "a suspended endpoint is not asked");
    }
}

#[tokio::test]
async fn a_pause_in_the_headers_is_kept() {
    for (headers, seconds) in [
        ("retry-after: 120\r\n", 118..=120),
        (
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:51:37 GMT\r\n",
            118..=120,
        ),
        ("retry-after: 86400\r\n", 298..=300),
    ] {
        let throttled = EndpointConfig::one_host("throttled", &refusing(headers).await, None);
        let endpoints = vec![throttled.expect("a URL")];
        let error = Source::connect(Config { endpoints, ..config(&[]) }).await;
        let error = error.err().expect("nobody answers");
        let Error::RateLimited { retry_after, .. } = error else { panic!("{error}") };
        assert!(seconds.contains(&retry_after.as_secs()), "{retry_after:?}");
    }
}

#[tokio::test]
async fn a_days_budget_is_kept() {
    let chain = chain();
    let node = grid(&chain).await;
    traffic(&chain, 100);
    let mut limited = endpoint("first", &node);
    limited.requests_per_day = 40;
    let mut follower =
        Follower::with(Config { endpoints: vec![limited], ..config(&[&node]) }).await;
    let error = loop {
        if let Err(error) = follower.step().await {
            break error;
        }
    };
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");
    assert!(node.requests().total() <= 40);
    assert_eq!(follower.source.health()[0].requests_today, 40);
}

#[tokio::test]
async fn no_more_requests_a_second_than_the_plan_allows() {
    let chain = chain();
    let node = node(&chain).await;
    traffic(&chain, 200);
    let mut first = endpoint("first", &node);
    first.requests_per_second = 200;
    first.burst = 1;
    let limited = Config { endpoints: vec![first], ..config(&[&node]) };
    let mut follower = Follower::with(limited).await;
    node.forget_requests();
    let began = Instant::now();
    follower.catch_up().await;
    let (took, asked) = (began.elapsed(), node.requests().total());
    let least = Duration::from_millis((asked - 1) * 5);
    assert!(took >= least, "{asked} requests in {took:?}");
}

/// Whatever is read, and however many endpoints it is read through.
#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    for in_flight in [1, 3] {
        let chain = chain();
        let node = grid(&chain).await;
        let paid = traffic(&chain, 300);
        // An answer that takes its time lets as many requests gather as ever will.
        node.fault(Fault::Delay { ms: 2 });
        let endpoints = ["first", "second", "third"].map(|name| endpoint(name, &node)).to_vec();
        let mut follower = Follower::with(Config { endpoints, in_flight, ..config(&[]) }).await;
        follower.catch_up().await;
        assert_eq!(follower.seen(), paid);
        traffic(&chain, 20);
        let waiting = [1, 2, 3].map(|n| Account { address: ours(n), since: Time(0) });
        let looked = follower.source.poll_accounts(&follower.cursor, &waiting).await.unwrap();
        assert!(!looked.scan.blocks.is_empty());
        assert_eq!(node.requests().most_at_once, u64::try_from(in_flight).unwrap());
    }
}

#[tokio::test]
async fn a_busy_node_is_throttled_and_a_broken_one_is_down() {
    let chain = chain();
    let node = node(&chain).await;
    let rest = Arc::new(|_| Duration::from_secs(9));
    let mut follower = Follower::with(Config { rest, ..config(&[&node]) }).await;
    chain.mine(vec![pay(1, 5)]);
    node.fault(Fault::busy(Paths::all(), None));
    let error = follower.step().await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");
    let follower_of = async |fault| {
        let node = self::node(&chain).await;
        let rest = Arc::new(|_| Duration::from_secs(9));
        let mut follower = Follower::with(Config { rest, ..config(&[&node]) }).await;
        node.fault(fault);
        follower.step().await.unwrap_err()
    };
    for fault in [
        Fault::Drop { paths: Paths::all(), times: None },
        Fault::Say { paths: Paths::all(), status: 502, body: String::new(), times: None },
        Fault::Say {
            paths: Paths::all(),
            status: 200,
            body: r#"{"Error":"class java.lang.NullPointerException : null"}"#.to_owned(),
            times: None,
        },
    ] {
        let error = follower_of(fault.clone()).await;
        assert!(matches!(error, Error::AllEndpointsDown { .. }), "{fault:?} {error}");
    }
}

/// A host that sends everybody elsewhere.
async fn redirecting(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0u8; 4_096];
            let _ = stream.read(&mut request).await;
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}/wallet/getblock\r\n\
                 content-length: 10\r\nconnection: close\r\n\r\nsecret-key"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_stays() {
    let chain = chain();
    chain.mine(vec![pay(1, 5)]);
    let (honest, elsewhere) = (grid(&chain).await, grid(&chain).await);
    let url = redirecting(elsewhere.url()).await;
    let key = Some(Key::new("secret-key"));
    let moved = EndpointConfig::one_host("moved", &url, key).unwrap();
    let alone = Config { endpoints: vec![moved.clone()], ..config(&[]) };
    let error = Source::connect(alone).await.err().unwrap();
    assert!(error.to_string().contains("307"), "{error}");
    assert!(!format!("{error} {error:?} {moved:?}").contains("secret-key"), "{error}");
    let endpoints = vec![moved, endpoint("honest", &honest)];
    let mut follower = Follower::with(Config { endpoints, ..config(&[]) }).await;
    follower.catch_up().await;
    assert_eq!(follower.seen(), [seen(1, 1, 5)]);
    assert_eq!(elsewhere.requests().total(), 0);
}

/// Some providers repeat the key they refuse, and a reader of JSON what it could not read.
#[tokio::test]
async fn a_key_that_an_endpoint_repeats_is_not_told() {
    let chain = chain();
    let node = grid(&chain).await;
    let endpoints = vec![keyed("first", &node, "secret-key")];
    let mut follower = Follower::with(Config { endpoints, ..config(&[]) }).await;
    chain.mine(vec![pay(1, 5)]);
    for (status, body) in [
        (401, r#"{"Error":"ApiKey not exists: secret-key"}"#),
        (403, r#"{"Error":"secret-key is suspended for 0 s"}"#),
        (200, r#"{"blockID":"secret-key","block_header":{"raw_data":{"number":"secret-key"}}}"#),
        (200, r#"{"blockID":secret-key}"#),
    ] {
        let body = body.to_owned();
        let fault = node.fault(Fault::Say { paths: Paths::all(), status, body, times: None });
        let error = follower.step().await.unwrap_err();
        assert!(!format!("{error:?}").contains("secret-key"), "{error:?}");
        let health = format!("{:?}", follower.source.health());
        assert!(!health.contains("secret-key"), "{health}");
        let report = format!("{:?}", follower.source.check().await);
        assert!(!report.contains("secret-key"), "{report}");
        node.heal_one(fault);
    }
    follower.catch_up_stubbornly(3).await;
    assert_eq!(follower.seen(), [seen(1, 1, 5)]);
}

#[tokio::test]
async fn the_budget_is_what_is_really_asked() {
    let chain = chain();
    let node = grid(&chain).await;
    let mut first = endpoint("first", &node);
    first.requests_per_second = 15;
    first.requests_per_day = 100_000;
    let plan = Config { endpoints: vec![first], window: 20, ..config(&[&node]) };
    let habits = |poll, way, compared: &[&str]| {
        let compared = compared.iter().map(|name| (*name).to_owned()).collect();
        Habits { poll: Duration::from_secs(poll), way, compared }
    };
    let (alone, compared) = (&[][..], &["first"][..]);
    for (poll, way, also, total, fits) in [
        (3, Way::Blocks, alone, 115_200, false),
        (6, Way::Blocks, alone, 72_000, true),
        (6, Way::Blocks, compared, 72_000 + 30_240, false),
        (7, Way::Blocks, compared, 65_829 + 30_240, true),
        (60, Way::Blocks, alone, 33_120, true),
        (60, Way::Blocks, &["second"], 33_120, true),
        (30, Way::Accounts(5), alone, 28_800 + 2_880 * 7, true),
        (30, Way::Accounts(20), alone, 28_800 + 2_880 * 22, true),
        (30, Way::Accounts(20), compared, 28_800 + 2_880 * 22 + 30_240, false),
        (30, Way::Accounts(30), alone, 28_800 + 2_880 * 32, false),
        (60, Way::AccountsAndBlocks(20), alone, 28_800 + 1_440 * 22 + 30_240, true),
        (60, Way::AccountsAndBlocks(20), compared, 28_800 + 1_440 * 22 + 60_480, false),
        (180, Way::AccountsAndBlocks(20), compared, 28_800 + 480 * 22 + 60_480, true),
    ] {
        let budget = &plan.budget(&habits(poll, way, also))[0];
        assert_eq!((budget.total(), budget.fits()), (total, fits), "{poll} {way:?} {also:?}");
        assert_eq!(budget.catch_up, Some(42));
    }

    // A poll of twenty blocks costs what the arithmetic says.
    let mut follower = Follower::with(plan).await;
    chain.mine_empty(30);
    follower.catch_up().await;
    for tag in 0..20 {
        chain.mine(vec![pay(1, 1).tagged(tag)]);
    }
    node.forget_requests();
    assert_eq!(follower.step().await.unwrap(), 20);
    assert_eq!(node.requests().total(), 33_120 / 1_440);
}
