//! The real `bursar run` beside scripted nodes, which can be made to lie and to fail.
//!
//! In: nodes, and how patient the daemon is. Out: the daemon over fresh books, and their marks.
//! Never: a node of a real network. Why: no real one fails on demand.

use std::fmt::Write as _;
use std::path::Path;

use bursar::clock::Clock;
use lab::evm::{Chain, ChainSpec, Node};
use serde_json::Value;
use store::{OpenMode, Store};

use super::daemon::Daemon;
use super::shop::{FRESH, run};
use crate::binary;

/// Blocks that are there before anything happens.
pub(crate) const BLOCKS: u64 = 12;

/// A chain whose blocks are years old, and a node that reads it.
pub(crate) async fn scripted_node() -> (Chain, Node) {
    let chain = begun(ChainSpec::ethereum());
    let node = node(&chain).await;
    (chain, node)
}

/// A chain whose time is the machine's, by which commands make orders, and two nodes that read it.
pub(crate) async fn scripted_nodes() -> (Chain, [Node; 2]) {
    let spec = ChainSpec::ethereum();
    let now = u64::try_from(Clock::System.now().0 / 1000).expect("after 1970");
    let start_time = now - BLOCKS * spec.block_time_s;
    let chain = begun(ChainSpec { start_time, ..spec });
    let nodes = [node(&chain).await, node(&chain).await];
    (chain, nodes)
}

/// A chain of [`BLOCKS`] blocks, all but four of them final.
fn begun(spec: ChainSpec) -> Chain {
    let chain = Chain::new(spec);
    chain.finality_lag(4);
    chain.mine_empty(BLOCKS);
    chain
}

async fn node(chain: &Chain) -> Node {
    Node::start(chain.clone()).await.expect("a node on loopback")
}

/// The daemon over fresh books, as patient as that with what is unreadable and with silence.
pub(crate) async fn started(folder: &Path, nodes: &[&Node], patience: [&str; 2]) -> Daemon {
    let [stalled_after, silent_after] = patience;
    let ChainSpec { chain_id, token, .. } = ChainSpec::ethereum();
    let (address, decimals) = (token.address, token.decimals);
    let mut config = format!(
        r#"
[pricing]
credits_per_usdt = "100"

[chains.ethereum]
kind = "evm"
chain_id = {chain_id}
token = "{address}"
decimals = {decimals}
confirmations = [{{ blocks = 2 }}]
poll_interval = "100ms"
stalled_after = "{stalled_after}"
silent_after = "{silent_after}"

[chains.ethereum.addresses]
xpub = "{FRESH}"
"#
    );
    for node in nodes {
        let url = node.http_url();
        let _ = write!(config, "\n[[chains.ethereum.endpoints]]\nurl = \"{url}\"\n");
    }
    std::fs::write(folder.join("bursar.toml"), config).expect("the config");
    let migrated = binary::run(folder, &["migrate"]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    Daemon::start(folder)
}

/// What a command answers with `--json`.
pub(crate) async fn answer(folder: &Path, arguments: &[&str]) -> Value {
    let (code, out, err) = run(folder, arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {err}");
    serde_json::from_str(&out).expect("JSON")
}

/// The events about the chain itself.
pub(crate) async fn marks(folder: &Path) -> Vec<&'static str> {
    let url = format!("sqlite:{}/bursar.db", folder.display());
    let store = Store::open(&url, OpenMode::Use).await.expect("the books");
    let events = store.events(0, 1_000).await.expect("events");
    store.close().await;
    events.iter().map(|event| event.kind.word()).filter(|kind| kind.starts_with("chain.")).collect()
}
