//! One endpoint onto a TRON chain.
//!
//! In: HTTP by GET or POST on loopback ports. Out: a plain node, whose full and solidity
//! interfaces are two ports that do not know each other's paths, or TronGrid, where one port has
//! everything. Never: a fault of its own making, or a secret: a key is any text. Why: a client
//! that mixes the two up works against one and fails against the other.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use axum::http::Method;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::chain::Chain;
use super::fault::{Fault, Strike, Struck};
use super::params::{Params, Refusal, query};
use super::view::{Side, View};
use super::{grid, wallet};
use crate::Error;
use crate::faults::{FaultId, Faults};
use crate::jsonrpc;
use crate::requests::{Register, Requests};
use crate::server::{Incoming, JSON, Kind, Line, Place, Reply, Serve, Server};

/// The header a key comes in.
const KEY: &str = "tron-pro-api-key";

/// A node listening on 127.0.0.1. Clones are the same node; it stops with the last of them.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    /// The full node's port and the solidity interface's, or one for all.
    places: Vec<(Door, Arc<Place>)>,
    servers: Arc<Mutex<Vec<Server>>>,
}

struct Shared {
    chain: Chain,
    faults: Faults<Fault>,
    register: Register,
}

/// What a port knows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Door {
    Full,
    Solidity,
    Grid,
}

/// One port of a node.
struct Port {
    shared: Arc<Shared>,
    door: Door,
    /// Where it listens, for the links it gives.
    origin: std::sync::OnceLock<String>,
}

/// What is said to one request.
struct Told {
    status: u16,
    kind: Kind,
    body: String,
}

impl Node {
    /// A java-tron node: the full interface on one port, the solidity interface on another.
    ///
    /// # Errors
    /// [`Error::Listen`] if there is no port.
    pub async fn start(chain: Chain) -> Result<Self, Error> {
        Self::open(chain, &[Door::Full, Door::Solidity]).await
    }

    /// TronGrid: `/wallet`, `/walletsolidity` and `/v1` on one port.
    ///
    /// # Errors
    /// [`Error::Listen`] if there is no port.
    pub async fn start_grid(chain: Chain) -> Result<Self, Error> {
        Self::open(chain, &[Door::Grid]).await
    }

    async fn open(chain: Chain, doors: &[Door]) -> Result<Self, Error> {
        let (faults, register) = (Faults::default(), Register::default());
        let shared = Arc::new(Shared { chain, faults, register });
        let places = doors.iter().map(|door| Ok((*door, Arc::new(Place::new()?))));
        let places = places.collect::<Result<_, Error>>()?;
        let node = Self { shared, places, servers: Arc::default() };
        let servers = node.listen().await?;
        *node.servers.lock().await = servers;
        Ok(node)
    }

    async fn listen(&self) -> Result<Vec<Server>, Error> {
        let mut servers = Vec::new();
        for (door, place) in &self.places {
            let (shared, door) = (Arc::clone(&self.shared), *door);
            let service = Arc::new(Port { shared, door, origin: std::sync::OnceLock::new() });
            let server = Server::start(Arc::clone(&service), place.port()).await?;
            let _first = service.origin.set(url(server.port()));
            servers.push(server);
        }
        Ok(servers)
    }

    /// Where the full node is; on TronGrid, where everything is.
    #[must_use]
    pub fn url(&self) -> String {
        self.places.first().map_or_else(String::new, |(_, place)| url(place.port()))
    }

    /// Where the solidity interface is.
    #[must_use]
    pub fn solidity_url(&self) -> String {
        self.places.last().map_or_else(String::new, |(_, place)| url(place.port()))
    }

    /// The chain it serves.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.shared.chain.clone()
    }

    /// Makes something wrong, until it is healed.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.shared.faults.add(fault)
    }

    /// Makes everything right.
    pub fn heal(&self) {
        self.shared.faults.heal(None);
    }

    /// Makes one thing right.
    pub fn heal_one(&self, fault: FaultId) {
        self.shared.faults.heal(Some(fault));
    }

    /// What it was asked since it started, or since [`Node::forget_requests`]: by path, with an
    /// address or an id in a path of `/v1` written as `{address}` or `{id}`, and by key.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.register.read()
    }

    /// Counts from zero again.
    pub fn forget_requests(&self) {
        self.shared.register.clear();
    }

    /// Listens no more and cuts every connection. What the node was asked, and what is wrong with
    /// it, stays.
    pub async fn stop(&self) {
        for server in self.servers.lock().await.drain(..) {
            server.stop().await;
        }
    }

    /// Listens again on the same ports; stops first if it is running.
    ///
    /// # Errors
    /// [`Error::Listen`] if the operating system does not let it.
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await;
        let servers = self.listen().await?;
        *self.servers.lock().await = servers;
        Ok(())
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Serve for Port {
    async fn answer(self: Arc<Self>, incoming: Incoming) -> Reply {
        let _under_way = self.shared.register.begins();
        let key = incoming.headers.get(KEY).and_then(|key| key.to_str().ok());
        let path = incoming.uri.path();
        let params = Params::read(&incoming.method, &incoming.uri, &incoming.body);
        let asked = params.as_ref().map_or(Value::Null, |params| params.value().clone());
        let (named, asked) = grid::named(path, asked);
        self.shared.register.request(&named, &asked, key);
        let delay = self.shared.faults.delay();
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
        let strike = self.shared.faults.strike(&Struck { path, key });
        match strike {
            None => self.told(&incoming, params).reply(),
            Some(Strike::Cut) => Reply::Cut,
            Some(Strike::Say { status, kind, body }) => Told { status, kind, body }.reply(),
            Some(Strike::Truncate) => self.told(&incoming, params).halved().reply(),
            Some(Strike::Hang(fault)) => {
                self.shared.faults.healed(fault).await;
                self.told(&incoming, params).reply()
            }
        }
    }

    async fn socket(self: Arc<Self>, _socket: WebSocket, line: Line) {
        line.cut();
    }
}

impl Port {
    fn told(&self, incoming: &Incoming, params: Result<Params, Refusal>) -> Told {
        let path = incoming.uri.path();
        if let Some(rest) = path.strip_prefix("/v1/").filter(|_| self.door == Door::Grid) {
            let origin = self.origin.get().cloned().unwrap_or_default();
            let asked = query(&incoming.uri);
            let answer = self.look(|view| grid::answer(view, rest, &asked, &origin));
            return answer.map_or_else(|| Told::no_such_path(incoming), Told::grid);
        }
        if path == "/jsonrpc" && self.door != Door::Solidity {
            return self.json_rpc(&incoming.body);
        }
        let sides = [(Side::Full, "/wallet/"), (Side::Solid, "/walletsolidity/")];
        let found = sides.iter().find_map(|(side, start)| Some((*side, path.strip_prefix(start)?)));
        let known = found.filter(|(side, _)| match self.door {
            Door::Full => *side == Side::Full,
            Door::Solidity => *side == Side::Solid,
            Door::Grid => true,
        });
        let Some((side, name)) = known else { return Told::no_such_path(incoming) };
        let answer = match params {
            Err(refusal) => Some(Err(refusal)),
            Ok(params) => self.look(|view| wallet::answer(view, side, name, &params)),
        };
        answer.map_or_else(|| Told::no_such_path(incoming), Told::wallet)
    }

    fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let state = self.shared.chain.lock();
        look(&View::new(&state, self.shared.faults.now()))
    }

    /// The little of the Ethereum interface that says where one is.
    fn json_rpc(&self, body: &[u8]) -> Told {
        let packet = match jsonrpc::parse(body) {
            Ok(jsonrpc::Packet::One(call)) => call,
            Ok(jsonrpc::Packet::Many(_)) => return Told::json(json!([]).to_string()),
            Err(refusal) => return Told::json(refusal),
        };
        let answer = self.look(|view| {
            let genesis = wallet::genesis_id(view);
            // The last four bytes of the genesis block's id.
            let last = genesis.last_chunk::<4>().copied().unwrap_or_default();
            let chain_id = || format!("{:#x}", u32::from_be_bytes(last));
            match packet.method.as_str() {
                "eth_chainId" | "net_version" => Ok(Value::String(chain_id())),
                "eth_blockNumber" => Ok(json!(format!("{:#x}", view.top(Side::Full)))),
                "web3_clientVersion" => {
                    Ok(json!(format!("TRON/v{}/Linux/Java1.8", wallet::VERSION)))
                }
                _ => Err(jsonrpc::RpcError::new(-32601, "method not found")),
            }
        });
        Told::json(jsonrpc::render(&packet.id, &answer))
    }
}

impl Told {
    fn json(body: String) -> Self {
        Self { status: 200, kind: JSON, body }
    }

    /// A line of JSON, refusals included, under 200.
    fn wallet(answer: Result<Value, Refusal>) -> Self {
        let body = answer.unwrap_or_else(|Refusal(error)| json!({ "Error": error }));
        Self::json(format!("{body}\n"))
    }

    fn grid((status, body): (u16, Option<Value>)) -> Self {
        let body = body.map_or_else(String::new, |body| body.to_string());
        Self { status, kind: JSON, body }
    }

    /// Jetty's page for a path it does not have, as java-tron 4.8.0 sends it.
    fn no_such_path(incoming: &Incoming) -> Self {
        let (status, why) = match incoming.method {
            Method::GET => (404, "Not Found".to_owned()),
            _ => (405, format!("HTTP method {} is not supported by this URL", incoming.method)),
        };
        let path = incoming.uri.path();
        let body = format!(
            "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=\
             ISO-8859-1\"/>\n<title>Error {status} {why}</title>\n</head>\n<body><h2>HTTP ERROR \
             {status} {why}</h2>\n<table>\n<tr><th>URI:</th><td>{path}</td></tr>\n<tr><th>STATUS:\
             </th><td>{status}</td></tr>\n<tr><th>MESSAGE:</th><td>{why}</td></tr>\n<tr><th>\
             SERVLET:</th><td>org.eclipse.jetty.servlet.ServletHandler$Default404Servlet-73bb1337\
             </td></tr>\n</table>\n<hr/><a href=\"https://jetty.org/\">Powered by Jetty:// \
             9.4.57.v20241219</a><hr/>\n\n</body>\n</html>\n"
        );
        Self { status, kind: "text/html;charset=iso-8859-1".into(), body }
    }

    fn halved(mut self) -> Self {
        let half = self.body.len().div_euclid(2);
        self.body.truncate(self.body.floor_char_boundary(half));
        self
    }

    fn reply(self) -> Reply {
        let pieces = vec![Bytes::from(self.body)];
        Reply::Send { status: self.status, kind: self.kind, retry_after: None, pieces }
    }
}
