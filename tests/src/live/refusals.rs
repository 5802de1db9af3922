//! Nodes that are not what the config says: exit 2 and one line, before anything is recorded.

use super::daemon::Daemon;
use super::scripted::{BLOCKS, answer, scripted_node, scripted_nodes, started};
use super::shop::{Engine, Shop, on_both_engines};

on_both_engines!(a_node_that_is_not_what_the_config_says_is_refused);

const ORDER: [&str; 10] =
    ["order", "create", "--id", "A", "--customer", "A", "--chain", "ethereum", "--amount", "1"];

async fn a_node_that_is_not_what_the_config_says_is_refused(engine: Engine) {
    let shop = Shop::open(engine).await;
    // With one endpoint, since whichever answers first is named.
    let good = shop.config(&[shop.anvil.ws_url()]);
    let token = shop.token.address.to_string();
    let nobody = shop.anvil.account(5).to_string();
    for (from, to, says) in [
        ("decimals = 6", "decimals = 18", "the token has 6 decimals"),
        ("chain_id = 31337", "chain_id = 1", "31337"),
        (token.as_str(), nobody.as_str(), "no contract"),
    ] {
        shop.write_config(&good.replace(from, to));
        assert_refused(&shop, says).await;
        assert_eq!(shop.events().await, []);
    }
    // The books are begun with this chain and this token.
    shop.write_config(&good);
    let daemon = shop.watching().await;
    daemon.stop().await;
    shop.write_config(&good.replace("decimals = 6", "decimals = 18"));
    assert_refused(&shop, "chains.ethereum.decimals: is 18, the books were begun with 6").await;
    let other = format!("chain_id = 31337\ngenesis = \"0x{:064}\"", 1);
    shop.write_config(&good.replace("chain_id = 31337", &other));
    assert_refused(&shop, "genesis").await;
}

/// Same chain id, same token, same decimals; no genesis in the config, so the books alone know.
#[tokio::test]
async fn a_chain_that_begins_otherwise_than_the_books_did_is_refused() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (_chain, node) = scripted_node().await;
    let (_other_chain, [other, _]) = scripted_nodes().await;
    let mut daemon = started(folder.path(), &[&node], ["60s", "never"]).await;
    daemon.recorded(BLOCKS).await;
    daemon.stop().await;
    let before = answer(folder.path(), &["chain", "show"]).await;
    let path = folder.path().join("bursar.toml");
    let config = std::fs::read_to_string(&path).expect("the config");
    let elsewhere = config.replace(&node.http_url(), &other.http_url());
    std::fs::write(&path, elsewhere).expect("the config");
    let (code, heard) = Daemon::start(folder.path()).ended().await;
    let last = heard.last().map(ToString::to_string).unwrap_or_default();
    assert!(code == Some(2) && last.contains("genesis"), "{code:?} {last}");
    assert_eq!(answer(folder.path(), &["chain", "show"]).await, before);
}

/// The daemon and a command end alike.
async fn assert_refused(shop: &Shop, says: &str) {
    let line = shop.refused(&ORDER).await;
    assert!(line.starts_with("bursar: ") && line.contains(says), "{line}");
    let (code, heard) = shop.daemon().ended().await;
    let last = heard.last().map(ToString::to_string).unwrap_or_default();
    assert_eq!((code, last.as_str()), (Some(2), line.as_str()));
    let lines = heard.iter().filter(|line| line.level() == "none").count();
    assert_eq!(lines, 1, "{heard:?}");
}
