//! Start-up and `check`: the wrong network, token or place is told before anything is read.

use lab::tron::{Chain, ChainSpec, Fault, Genesis, Paths};
use payments::address::Address;
use payments::chain::BlockHash;
use trc20::{Config, EndpointConfig, Error, Source};

use super::rig::{Follower, at, chain, config, grid, node};

/// Mainnet's block 0.
const MAINNET: &str = "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc";

#[tokio::test]
async fn an_endpoint_that_is_not_what_the_config_says_is_refused() {
    let chain = chain();
    let node = node(&chain).await;
    let connect = async |config| Source::connect(config).await.err().unwrap();
    let pinned = Config { genesis: Some(BlockHash([1; 32])), ..config(&[&node]) };
    assert!(matches!(connect(pinned).await, Error::WrongGenesis { .. }));
    let decimals = Config { decimals: 18, ..config(&[&node]) };
    assert!(matches!(connect(decimals).await, Error::WrongDecimals { .. }));
    let token = Config { token: Address([9; 20]), ..config(&[&node]) };
    assert!(matches!(connect(token).await, Error::NoContract { .. }));
    // A plain node does not answer /walletsolidity on its full node's port.
    let alone = EndpointConfig::one_host("first", &node.url(), None).unwrap();
    let error = connect(Config { endpoints: vec![alone], ..config(&[]) }).await;
    assert!(matches!(error, Error::NoSolidity { .. }), "{error}");
    assert!(error.to_string().contains("405"), "{error}");
    assert!(matches!(connect(config(&[])).await, Error::GaveUp { .. }));
    node.fault(Fault::Drop { paths: Paths::all(), times: None });
    assert!(matches!(connect(config(&[&node])).await, Error::AllEndpointsDown { .. }));
}

/// One endpoint that lacks something for now holds up no chain that another one shows.
#[tokio::test]
async fn a_spare_that_has_no_solidity_node_for_now_is_not_needed() {
    let chain = chain();
    let (first, spare) = (node(&chain).await, node(&chain).await);
    let alone = EndpointConfig::one_host("spare", &spare.url(), None).unwrap();
    let mut both = config(&[&first]);
    both.endpoints.insert(0, alone);
    let mut follower = Follower::with(both).await;
    chain.mine_empty(40);
    follower.catch_up().await;
    let health = follower.source.health();
    assert!(!health[0].verified && health[1].verified, "{health:?}");
    assert!(health[0].last_error.as_ref().unwrap().contains("no solidity node"), "{health:?}");
}

/// What may pass does not hide what stays: that one endpoint is of another network is told.
#[tokio::test]
async fn what_stays_is_told_before_what_may_pass() {
    let chain = chain();
    let (first, spare) = (node(&chain).await, node(&chain).await);
    let other = Chain::new(ChainSpec { genesis: Genesis::Own(3), ..ChainSpec::tron() });
    let stranger = node(&other).await;
    let own = Some(at(&chain, 0).hash);
    let mut all = Config { genesis: own, ..config(&[&stranger, &first]) };
    // It answers last: of the two that are wrong, the one that may pass is heard first.
    stranger.fault(Fault::Delay { ms: 300 });
    let alone = EndpointConfig::one_host("spare", &spare.url(), None).unwrap();
    all.endpoints.insert(0, alone);
    let error = Source::connect(all).await.err().unwrap();
    assert!(matches!(error, Error::WrongGenesis { .. }), "{error}");
}

#[tokio::test]
async fn the_network_is_known_by_its_genesis() {
    let chain = chain();
    let node = node(&chain).await;
    let pinned = Config { genesis: BlockHash::parse(MAINNET), ..config(&[&node]) };
    let follower = Follower::with(pinned).await;
    assert_eq!(follower.source.genesis(), BlockHash::parse(MAINNET));
    let other = Chain::new(ChainSpec { genesis: Genesis::Own(3), ..ChainSpec::tron() });
    let stranger = self::node(&other).await;
    let error = Source::connect(config(&[&node, &stranger])).await.err().unwrap();
    assert!(matches!(error, Error::WrongGenesis { .. }), "{error}");
}

#[tokio::test]
async fn a_check_tells_everything_at_once() {
    let chain = chain();
    chain.mine(vec![]);
    chain.mine_empty(40);
    let (first, second) = (grid(&chain).await, node(&chain).await);
    second.fault(Fault::Lag { blocks: 5 });
    let reports = Source::inspect(&config(&[&first, &second])).await.unwrap();
    let [good, behind] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!(good.failures, [], "{good:?}");
    assert!(good.reachable && good.solidity && good.infos);
    assert_eq!((good.tip, good.solidified, good.solidified_lag), (Some(41), Some(23), Some(18)));
    assert_eq!((good.lag, behind.lag), (Some(0), Some(5)));
    assert_eq!((good.index, behind.index), (Some(true), None));
    assert_eq!(good.genesis, Some(at(&chain, 0).hash));
    assert_eq!(good.decimals.as_deref(), Some("6"));
    assert_eq!(good.symbol.as_deref(), Some("USDT"));
    assert_eq!(good.has_contract, Some(true));
    assert!(!good.has_key);

    // A full node's port twice, another token, a host that is not there.
    let lost = EndpointConfig::one_host("lost", &second.url(), None).unwrap();
    let token = Address([9; 20]);
    let wrong = Config { endpoints: vec![lost], token, ..config(&[]) };
    let reports = Source::inspect(&wrong).await.unwrap();
    assert!(reports[0].reachable && !reports[0].solidity, "{reports:?}");
    assert_eq!((reports[0].has_contract, reports[0].index), (Some(false), Some(false)));
    let told: Vec<_> = reports[0].failures.iter().map(|failure| failure.what).collect();
    assert_eq!(told, ["solidity", "contract"]);
}
