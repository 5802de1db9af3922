//! One endpoint onto a chain.
//!
//! In: JSON-RPC over HTTP, single or batch, and WebSocket, on one loopback port. Out: answers in
//! geth's shapes, spoiled by the faults that are switched on. Never: a fault of its own making.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::WebSocket;
use axum::http::Method;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Mutex;

use super::chain::{Chain, State};
use super::fault::{Fault, Strike};
use super::view::View;
use super::{methods, socket};
use crate::Error;
use crate::faults::{FaultId, Faults};
use crate::jsonrpc::{self, Answer, Call, Packet, RpcError};
use crate::requests::{Register, Requests};
use crate::server::{Incoming, JSON, Line, Lines, Place, Reply, Serve, Server};

/// A node listening on 127.0.0.1. Clones are the same node; it stops with the last of them.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    place: Arc<Place>,
    server: Arc<Mutex<Option<Server>>>,
}

/// What the node's connections share.
pub(crate) struct Shared {
    pub(crate) chain: Chain,
    faults: Faults<Fault>,
    register: Register,
    log_times: AtomicBool,
    sockets: Lines,
}

/// What is said to one call, or to a whole packet.
pub(crate) struct Told {
    pub(crate) status: u16,
    retry_after: Option<u64>,
    pub(crate) body: String,
    /// The body stands for the whole HTTP answer, whatever else was asked.
    whole: bool,
    truncated: bool,
}

impl Node {
    /// A node on a free port.
    ///
    /// # Errors
    /// [`Error::Listen`] if there is none.
    pub async fn start(chain: Chain) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            chain,
            faults: Faults::default(),
            register: Register::default(),
            log_times: AtomicBool::new(false),
            sockets: Lines::default(),
        });
        let place = Arc::new(Place::new()?);
        let server = Server::start(Arc::clone(&shared), place.port()).await?;
        Ok(Self { shared, place, server: Arc::new(Mutex::new(Some(server))) })
    }

    /// Where it takes HTTP posts. Any path does.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.place.port())
    }

    /// Where it takes WebSockets. Any path does.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.place.port())
    }

    /// The chain it serves.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.shared.chain.clone()
    }

    /// Makes something wrong, until it is healed.
    pub fn fault(&self, fault: Fault) -> FaultId {
        if fault == Fault::CutWebSockets {
            self.shared.sockets.cut_all();
        }
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

    /// Whether logs carry `blockTimestamp`; at first they do not.
    pub fn log_times(&self, on: bool) {
        self.shared.log_times.store(on, Ordering::Relaxed);
    }

    /// What it was asked since it started, or since [`Node::forget_requests`].
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
        if let Some(server) = self.server.lock().await.take() {
            server.stop().await;
        }
    }

    /// Listens again on the same port; stops first if it is running.
    ///
    /// # Errors
    /// [`Error::Listen`] if the operating system does not let it.
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await;
        let server = Server::start(Arc::clone(&self.shared), self.place.port()).await?;
        *self.server.lock().await = Some(server);
        Ok(())
    }
}

impl Serve for Shared {
    async fn answer(self: Arc<Self>, incoming: Incoming) -> Reply {
        let Incoming { method: Method::POST, body, .. } = incoming else {
            return Reply::only_posts();
        };
        let _under_way = self.register.begins();
        self.register.post();
        match jsonrpc::parse(&body) {
            Err(refusal) => Reply::json(refusal),
            Ok(packet) => match self.packet(packet).await {
                Some(told) => told.reply(),
                None => Reply::Cut,
            },
        }
    }

    async fn socket(self: Arc<Self>, socket: WebSocket, line: Line) {
        self.sockets.add(&line);
        socket::talk(self, socket, line).await;
    }
}

impl Shared {
    /// What is said to a packet; `None` hangs up.
    pub(crate) async fn packet(&self, packet: Packet) -> Option<Told> {
        match packet {
            Packet::One(call) => self.told(&call).await,
            Packet::Many(calls) if self.faults.now().iter().any(|f| f.refuses(calls.len())) => {
                // One answer in a list, to the first call.
                let first = calls.first().map_or(&Value::Null, |call| &call.id);
                let refusal = Err(RpcError::new(-32600, "batch too large"));
                Some(Told::new(200, format!("[{}]", jsonrpc::render(first, &refusal))))
            }
            Packet::Many(calls) => {
                let mut items = Vec::with_capacity(calls.len());
                for call in &calls {
                    items.push(self.told(call).await?);
                }
                Some(Told::batch(items))
            }
        }
    }

    async fn told(&self, call: &Call) -> Option<Told> {
        match self.struck(call).await {
            Some(struck) => struck,
            None => Some(self.honest(call)),
        }
    }

    /// What a fault does with a call; `Some(None)` hangs up.
    pub(crate) async fn struck(&self, call: &Call) -> Option<Option<Told>> {
        self.register.call(&call.method, &call.params);
        let delay = self.faults.delay();
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
        match self.faults.strike(&call.method.as_str())? {
            Strike::Cut => Some(None),
            Strike::Say { http_status, body } => {
                let body = body.replace("$ID", &call.id.to_string());
                let item = serde_json::from_str::<Value>(&body).is_ok_and(|v| v.is_object());
                let whole = http_status != 200 || !item;
                Some(Some(Told { whole, ..Told::new(http_status, body) }))
            }
            Strike::TooMany { status, retry_after } => {
                let code = if status == 200 { -32029 } else { i64::from(status) };
                let refusal = Err(RpcError::new(code, "Too Many Requests"));
                let told = Told::new(status, jsonrpc::render(&call.id, &refusal));
                Some(Some(Told { retry_after, whole: status != 200, ..told }))
            }
            Strike::Truncate => Some(Some(Told { truncated: true, ..self.honest(call) })),
            Strike::Hang(fault) => {
                self.faults.healed(fault).await;
                None
            }
        }
    }

    /// Looks at the chain as this node sees it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&View<'_>, &State) -> T) -> T {
        let state = self.chain.lock();
        let view = View::new(&state, self.faults.now(), self.log_times.load(Ordering::Relaxed));
        look(&view, &state)
    }

    fn honest(&self, call: &Call) -> Told {
        let answer: Answer = match call.method.as_str() {
            "eth_subscribe" | "eth_unsubscribe" => {
                Err(RpcError::new(-32601, "notifications not supported"))
            }
            method => self.look(|view, _| methods::answer(view, method, &call.params)),
        };
        let status = answer.as_ref().map_or_else(|error| error.http_status, |_| 200);
        Told { whole: status != 200, ..Told::new(status, jsonrpc::render(&call.id, &answer)) }
    }
}

impl Told {
    fn new(status: u16, body: String) -> Self {
        Self { status, retry_after: None, body, whole: false, truncated: false }
    }

    fn batch(mut items: Vec<Self>) -> Self {
        if let Some(place) = items.iter().position(|told| told.whole) {
            return items.swap_remove(place);
        }
        let truncated = items.iter().any(|told| told.truncated);
        let bodies: Vec<&str> = items.iter().map(|told| told.body.as_str()).collect();
        Self { truncated, ..Self::new(200, format!("[{}]", bodies.join(","))) }
    }

    /// The text as it goes out.
    pub(crate) fn text(mut self) -> String {
        if self.truncated {
            let half = self.body.len().div_euclid(2);
            self.body.truncate(self.body.floor_char_boundary(half));
        }
        self.body
    }

    fn reply(self) -> Reply {
        let (status, retry_after) = (self.status, self.retry_after);
        Reply::Send { status, kind: JSON, retry_after, pieces: vec![Bytes::from(self.text())] }
    }
}
