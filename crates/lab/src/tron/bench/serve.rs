//! The bench node: rendered bytes behind a port, all of TRON's interfaces on it.
//!
//! In: HTTP by GET or POST under `/wallet` and `/walletsolidity`. Out: blocks put together from
//! slices, infos from a copy with two numbers changed. Never: a refusal, `visible`, `/v1`. Why:
//! see the module above. What is not about blocks is answered as an empty scripted chain would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy::primitives::{B256, hex};
use axum::extract::ws::WebSocket;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{BenchChain, Data};
use crate::Error;
use crate::requests::{Register, Requests};
use crate::server::{Incoming, Line, Reply, Serve, Server};
use crate::tron::address::Spelling;
use crate::tron::block::{Block, Header, Mined};
use crate::tron::chain::Chain;
use crate::tron::params::{Params, Refusal};
use crate::tron::tx::signature;
use crate::tron::view::{Side, View};
use crate::tron::{render, wallet};

/// The most blocks `getblockbylimitnext` gives.
const MOST_BLOCKS: u64 = 100;

/// A node onto a bench chain.
pub struct BenchNode {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    data: Arc<Data>,
    tip: AtomicU64,
    register: Register,
    /// Answers what is not about blocks.
    rest: Chain,
}

impl BenchNode {
    /// Serves a chain on a free port.
    ///
    /// # Errors
    /// [`Error::Listen`] if there is none.
    pub async fn start(chain: &BenchChain) -> Result<Self, Error> {
        let data = Arc::clone(&chain.data);
        let (tip, register) = (AtomicU64::new(data.last()), Register::default());
        let rest = Chain::new(data.spec.chain.clone());
        let shared = Arc::new(Shared { data, tip, register, rest });
        let server = Server::start(Arc::clone(&shared), 0).await?;
        Ok(Self { shared, server })
    }

    /// Where everything is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Shows the chain only up to this height, to let it grow under a benchmark.
    pub fn show(&self, tip: u64) {
        self.shared.tip.store(tip.min(self.shared.data.last()), Ordering::Release);
    }

    /// What it was asked; the requests themselves are not remembered.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.register.read()
    }
}

impl Serve for Shared {
    async fn answer(self: Arc<Self>, incoming: Incoming) -> Reply {
        let _under_way = self.register.begins();
        let path = incoming.uri.path();
        self.register.count(path);
        let sides = [(Side::Full, "/wallet/"), (Side::Solid, "/walletsolidity/")];
        let found = sides.iter().find_map(|(side, start)| Some((*side, path.strip_prefix(start)?)));
        let Some((side, name)) = found else { return Reply::whole(404, Vec::new()) };
        let params = Params::read(&incoming.method, &incoming.uri, &incoming.body);
        let pieces = params.and_then(|params| self.pieces(side, name, &params));
        match pieces {
            Ok(pieces) => Reply::whole(200, pieces),
            Err(Refusal(error)) => Reply::json(json!({ "Error": error }).to_string()),
        }
    }

    async fn socket(self: Arc<Self>, _socket: WebSocket, line: Line) {
        line.cut();
    }
}

impl Shared {
    fn top(&self, side: Side) -> u64 {
        let tip = self.tip.load(Ordering::Acquire);
        match side {
            Side::Full => tip,
            Side::Solid => tip.saturating_sub(self.data.spec.solidity_lag),
        }
    }

    fn pieces(&self, side: Side, name: &str, params: &Params) -> Result<Vec<Bytes>, Refusal> {
        let number = |name: &str| {
            let number = params.number(name)?;
            Ok::<u64, Refusal>(u64::try_from(number).unwrap_or(u64::MAX))
        };
        let whole = || params.flag("detail").unwrap_or(false);
        Ok(match name {
            "getnowblock" => self.block(side, self.top(side), true),
            "getblock" if !params.has("id_or_num") => self.block(side, self.top(side), whole()),
            "getblock" => self.block(side, number("id_or_num")?, whole()),
            "getblockbynum" => self.block(side, number("num")?, true),
            "getblockbylimitnext" => self.blocks(side, number("startNum")?, number("endNum")?),
            "gettransactioninfobyblocknum" => self.infos(side, number("num")?),
            "gettransactioninfobyid" | "gettransactionbyid" => {
                self.payment(side, params.hash("value")?, name == "gettransactionbyid")
            }
            _ => {
                let state = self.rest.lock();
                let view = View::new(&state, Vec::new());
                let answer = wallet::answer(&view, side, name, params);
                vec![text(answer.unwrap_or_else(|| Ok(json!({})))?)]
            }
        })
    }

    fn block(&self, side: Side, height: u64, whole: bool) -> Vec<Bytes> {
        let data = &self.data;
        if height == 0 {
            return vec![text(render::block(&data.genesis, whole, Spelling::Hex))];
        }
        let header = data.header(height).filter(|_| height <= self.top(side));
        let Some(header) = header else { return vec![text(json!({}))] };
        let head = head(header, data.id(height).unwrap_or_default());
        let filling = data.filling(height).filter(|_| whole);
        let Some(filling) = filling else { return vec![Bytes::from(head)] };
        // The head is an object; the transactions go before its last brace.
        let open = head.strip_suffix('}').unwrap_or(&head);
        let mut tail = String::new();
        if let Some((tx, _)) = data.paid.get(&height) {
            tail = format!(",{}", render::transaction(tx, Spelling::Hex));
        }
        vec![
            Bytes::from(format!("{open},\"transactions\":[")),
            filling.txs.clone(),
            Bytes::from(format!("{tail}]}}\n")),
        ]
    }

    fn blocks(&self, side: Side, start: u64, end: u64) -> Vec<Bytes> {
        let count = end.saturating_sub(start);
        if !(1..=MOST_BLOCKS).contains(&count) {
            return vec![text(json!({}))];
        }
        let mut pieces = vec![Bytes::from_static(b"{\"block\":[")];
        let last = end.saturating_sub(1).min(self.top(side));
        for height in start..=last {
            if height > start {
                pieces.push(Bytes::from_static(b","));
            }
            pieces.extend(self.block(side, height, true));
        }
        pieces.push(Bytes::from_static(b"]}\n"));
        pieces
    }

    fn infos(&self, side: Side, height: u64) -> Vec<Bytes> {
        let data = &self.data;
        let found = data.filling(height).zip(data.header(height));
        let Some((filling, header)) = found.filter(|_| height <= self.top(side)) else {
            return vec![text(json!([]))];
        };
        let mut infos = vec![b'['];
        infos.extend(filling.infos(height, header.timestamp));
        if let Some((tx, _)) = data.paid.get(&height) {
            infos.push(b',');
            infos.extend(info(header, tx).to_string().into_bytes());
        }
        infos.extend_from_slice(b"]\n");
        vec![Bytes::from(infos)]
    }

    /// A payment by id, or its info; the transactions of strangers are in no index.
    fn payment(&self, side: Side, id: Option<B256>, transaction: bool) -> Vec<Bytes> {
        let data = &self.data;
        let height = id.and_then(|id| data.heights.get(&id).copied());
        let height = height.filter(|height| *height <= self.top(side));
        let found = height.and_then(|height| Some((data.header(height)?, data.paid.get(&height)?)));
        vec![text(match found {
            None => json!({}),
            Some((_, (tx, _))) if transaction => render::transaction(tx, Spelling::Hex),
            Some((header, (tx, _))) => info(header, tx),
        })]
    }
}

fn head(header: Header, id: B256) -> String {
    json!({
        "blockID": hex::encode(id),
        "block_header": {
            "raw_data": render::header(&header, Spelling::Hex),
            "witness_signature": hex::encode(signature(&header.encode())),
        },
    })
    .to_string()
}

fn info(header: Header, tx: &Mined) -> Value {
    let block = Block { id: B256::ZERO, header, signature: None, txs: Vec::new() };
    render::info(&block, tx, true, Spelling::Hex)
}

fn text(value: Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}
