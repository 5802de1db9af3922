//! The private chain of java-tron 4.8.0, as far as `fixtures/java-tron` holds it.
//!
//! In: the questions of a client. Out: the recorded answers, word for word, up to the tip and the
//! solidified block that a script names. Never: a block, an info or an id that was not recorded.
//! Why: its blocks 65 to 78 follow from each other, so the shipped client can follow them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::post;
use axum::{Json, Router};
use payments::address::{Address, from_hex};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::script::Node;

/// Our contract there, which behaves as USDT does.
const TOKEN: &str = "720b78b919edac8419206a44101b4638aa3e3348";
/// The two accounts that were paid on it, the merchant first.
const RECIPIENTS: [&str; 2] =
    ["57c47dc03f998315b4f494f5ea4ea16daba07aae", "d94f176ccc749f9f3bebbd0fcf5a65c719219b09"];

/// The tip and the solidified block before a script's first line.
const FIRST: (u64, u64) = (70, 66);

/// The files behind a port.
pub(super) struct Files {
    shared: Arc<Shared>,
    port: u16,
    server: JoinHandle<()>,
}

struct Shared {
    /// Blocks by height, and the infos of each, as they came.
    blocks: BTreeMap<u64, Value>,
    infos: BTreeMap<u64, Value>,
    /// The id of block 0, of which nothing else was recorded.
    genesis: String,
    shown: Mutex<Shown>,
}

struct Shown {
    tip: u64,
    solid: u64,
    misses: Vec<String>,
}

/// The token as the config spells it.
pub(super) fn token() -> String {
    address(TOKEN).tron()
}

/// The accounts that orders take there.
pub(super) fn recipients() -> Vec<Address> {
    RECIPIENTS.map(address).to_vec()
}

fn address(hex: &str) -> Address {
    Address(from_hex(hex).expect("twenty bytes"))
}

fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/java-tron").join(name);
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

fn by_height(name: &str) -> BTreeMap<u64, Value> {
    let Value::Object(all) = file(name) else { panic!("{name} is no object") };
    all.into_iter().map(|(height, value)| (height.parse().expect("a height"), value)).collect()
}

impl Files {
    /// Reads the files and serves them on a free port, whichever interface is meant.
    pub(super) async fn start() -> Self {
        let genesis = file("errors.json")["rpc_earliest"]["result"]["hash"].take();
        let genesis = genesis.as_str().expect("an id").trim_start_matches("0x").to_owned();
        let blocks = by_height("getblockbynum.json");
        let infos = by_height("gettransactioninfobyblocknum.json");
        let shown = Mutex::new(Shown { tip: FIRST.0, solid: FIRST.1, misses: Vec::new() });
        let shared = Arc::new(Shared { blocks, infos, genesis, shown });
        let router = Router::new()
            .route("/{interface}/{method}", post(answer))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let serve = async move { axum::serve(listener, router).await.expect("it serves") };
        Self { shared, port, server: tokio::spawn(serve) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Each question that no file answers.
    pub(super) fn misses(&self) -> Vec<String> {
        self.shared.shown().misses.clone()
    }

    pub(super) fn act(&self, step: &Node) {
        let Node::Stands { tip, solid } = *step else { panic!("files do not do this: {step:?}") };
        for height in [tip, solid] {
            assert!(self.shared.blocks.contains_key(&height), "block {height} was not recorded");
        }
        let mut shown = self.shared.shown();
        (shown.tip, shown.solid) = (tip, solid);
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Json(asked): Json<Value>,
) -> (StatusCode, Json<Value>) {
    match shared.said(uri.path(), &asked) {
        Some(said) => (StatusCode::OK, Json(said)),
        None => {
            shared.shown().misses.push(format!("{uri} {asked}"));
            (StatusCode::NOT_FOUND, Json(json!({})))
        }
    }
}

impl Shared {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self, path: &str, asked: &Value) -> Option<Value> {
        let (tip, solid) = {
            let shown = self.shown();
            (shown.tip, shown.solid)
        };
        let block = |height: u64| self.blocks.get(&height).filter(|_| height <= tip);
        let number = |name: &str| asked[name].as_u64();
        match (path, asked["id_or_num"].as_str()) {
            ("/wallet/getblock", Some("0")) => Some(json!({ "blockID": self.genesis })),
            ("/wallet/getblock", Some(height)) => block(height.parse().ok()?).map(header),
            ("/wallet/getblock", None) => block(tip).map(header),
            ("/walletsolidity/getblock", None) => block(solid).map(header),
            ("/wallet/getblockbynum", _) => block(number("num")?).cloned(),
            ("/wallet/getblockbylimitnext", _) => {
                let heights = number("startNum")?..number("endNum")?;
                Some(json!({ "block": heights.map_while(block).collect::<Vec<_>>() }))
            }
            ("/wallet/gettransactioninfobyblocknum", _) => {
                self.infos.get(&number("num")?).filter(|_| number("num") <= Some(tip)).cloned()
            }
            // What the contract and an account that was never used answer; of these nothing was
            // kept at the moments in question.
            ("/wallet/triggerconstantcontract", _) => {
                let decimals = asked["function_selector"] == "decimals()";
                let word = format!("{:064x}", if decimals { 6 } else { 0 });
                Some(json!({ "result": { "result": true }, "constant_result": [word] }))
            }
            ("/wallet/getaccount", _) => Some(json!({})),
            _ => None,
        }
    }
}

/// A block as `getblock` shows it without `detail`.
fn header(block: &Value) -> Value {
    let mut header = block.clone();
    if let Some(fields) = header.as_object_mut() {
        fields.remove("transactions");
    }
    header
}

#[test]
fn a_header_is_what_the_node_showed_as_one() {
    let blocks = by_height("getblockbynum.json");
    for (height, recorded) in by_height("getblock_header.json") {
        assert_eq!(header(&blocks[&height]), recorded);
    }
    assert_eq!(header(&file("solidity_getnowblock.json")), header(&blocks[&69]));
}
