//! The bench node: rendered bytes behind a port.
//!
//! In: JSON-RPC posts, single or batch. Out: bodies put together from slices of the chain's JSON.
//! Never: a copy of a large slice, a subscription. Why: see the module above.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy::primitives::{Address, B256, U256};
use axum::extract::ws::WebSocket;
use axum::http::Method;
use bytes::Bytes;
use serde_json::Value;

use super::build::{GAS, push_hex, push_quantity};
use super::{BenchChain, Data};
use crate::Error;
use crate::evm::abi::{self, Question};
use crate::evm::dialect::Span;
use crate::evm::filter::{Filter, Named, Place, Tag};
use crate::evm::methods::{TOKEN_CODE, VERSION, required};
use crate::evm::render;
use crate::jsonrpc::{self, Answer, Call, Packet, RpcError};
use crate::requests::{Register, Requests};
use crate::server::{Incoming, Line, Reply, Serve, Server};

/// From this many bytes on a slice is sent as it is; below it, copying is cheaper than a piece.
const WORTH_A_PIECE: usize = 128 * 1024;

/// A node onto a bench chain. It has no WebSocket.
pub struct BenchNode {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    data: Arc<Data>,
    tip: AtomicU64,
    register: Register,
}

/// The result of one call.
enum Found {
    /// Put together or computed.
    Told(Answer),
    /// JSON as it is, in pieces.
    Rendered(Vec<Bytes>),
}

impl BenchNode {
    /// Serves a chain on a free port.
    ///
    /// # Errors
    /// [`Error::Listen`] if there is none.
    pub async fn start(chain: &BenchChain) -> Result<Self, Error> {
        let data = Arc::clone(&chain.data);
        let tip = AtomicU64::new(data.spec.blocks);
        let shared = Arc::new(Shared { data, tip, register: Register::default() });
        let server = Server::start(Arc::clone(&shared), 0).await?;
        Ok(Self { shared, server })
    }

    /// Where it takes HTTP posts. Any path does.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Shows the chain only up to this height, to let it grow under a benchmark.
    pub fn show(&self, tip: u64) {
        self.shared.tip.store(tip.min(self.shared.data.spec.blocks), Ordering::Release);
    }

    /// What it was asked; the calls themselves are not remembered.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.register.read()
    }
}

impl Serve for Shared {
    async fn answer(self: Arc<Self>, incoming: Incoming) -> Reply {
        let Incoming { method: Method::POST, body, .. } = incoming else {
            return Reply::only_posts();
        };
        self.register.post();
        let mut out = Pieces::default();
        match jsonrpc::parse(&body) {
            Err(refusal) => return Reply::json(refusal),
            Ok(Packet::One(call)) => self.put(&call, &mut out),
            Ok(Packet::Many(calls)) => {
                let mut before = b"[";
                for call in &calls {
                    out.copy(before);
                    self.put(call, &mut out);
                    before = b",";
                }
                out.copy(b"]");
            }
        }
        Reply::whole(200, out.done())
    }

    async fn socket(self: Arc<Self>, _socket: WebSocket, line: Line) {
        line.cut();
    }
}

impl Shared {
    fn put(&self, call: &Call, out: &mut Pieces) {
        self.register.count(&call.method);
        match self.found(call).unwrap_or_else(|refusal| Found::Told(Err(refusal))) {
            Found::Told(answer) => out.copy(jsonrpc::render(&call.id, &answer).as_bytes()),
            Found::Rendered(pieces) => {
                let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":", call.id);
                out.copy(head.as_bytes());
                pieces.into_iter().for_each(|piece| out.add(piece));
                out.copy(b"}");
            }
        }
    }

    fn found(&self, call: &Call) -> Result<Found, RpcError> {
        let params = &call.params;
        let told = |value: Value| Ok(Found::Told(Ok(value)));
        match call.method.as_str() {
            "eth_chainId" => told(render::quantity(self.data.spec.chain.chain_id)),
            "net_version" => told(Value::String(self.data.spec.chain.chain_id.to_string())),
            "web3_clientVersion" => told(Value::from(VERSION)),
            "eth_syncing" => told(Value::Bool(false)),
            "eth_blockNumber" => told(render::quantity(self.tip())),
            "eth_getBlockByNumber" | "eth_getBlockByHash" => {
                if params.get(1).and_then(Value::as_bool).unwrap_or(false) {
                    return Err(RpcError::new(-32000, "the bench node has no transactions"));
                }
                let text = self.named(params, 0)?.and_then(|height| self.data.block_text(height));
                Ok(text.map_or(Found::Told(Ok(Value::Null)), |text| Found::Rendered(vec![text])))
            }
            "eth_getLogs" => {
                let filter = Filter::read(params.get(0).unwrap_or(&Value::Null))?;
                self.logs(&filter).map(Found::Rendered)
            }
            "eth_getBlockReceipts" => match self.named(params, 0)? {
                Some(height) => Ok(Found::Rendered(vec![self.receipts(height)])),
                None => told(Value::Null),
            },
            "eth_call" => self.call(params).map(|value| Found::Told(Ok(value))),
            "eth_getCode" => {
                let token = required::<Address>(params, 0)? == self.data.spec.chain.token.address;
                told(Value::from(if token { TOKEN_CODE } else { "0x" }))
            }
            method => Err(RpcError::no_such_method(method)),
        }
    }

    fn tip(&self) -> u64 {
        self.tip.load(Ordering::Acquire)
    }

    fn height(&self, tag: Tag) -> u64 {
        let (tip, lag) = (self.tip(), self.data.spec.finality_lag);
        match tag {
            Tag::Height(height) => height,
            Tag::Earliest => 0,
            Tag::Latest | Tag::Pending => tip,
            Tag::Safe => tip.saturating_sub(lag.div_euclid(2)),
            Tag::Finalized => tip.saturating_sub(lag),
        }
    }

    /// The height a parameter names, if it is on the chain as far as it is shown.
    fn named(&self, params: &Value, place: usize) -> Result<Option<u64>, RpcError> {
        let named = Named::read(params.get(place));
        let height = match named.map_err(|why| RpcError::invalid_argument(place, &why))? {
            Named::Hash(hash) => self.data.height(hash),
            Named::Tag(tag) => Some(self.height(tag)),
        };
        Ok(height.filter(|height| *height <= self.tip()))
    }

    fn logs(&self, filter: &Filter) -> Result<Vec<Bytes>, RpcError> {
        let Span { from, to } = match filter.place {
            Place::Block(hash) => {
                let height = self.data.height(hash).filter(|height| *height <= self.tip());
                let height = height.ok_or_else(|| RpcError::new(-32000, "unknown block"))?;
                Span { from: height, to: height }
            }
            Place::Range { from, to } => Span { from: self.height(from), to: self.height(to) },
        };
        if from > to {
            return Err(RpcError::new(-32602, "invalid block range params"));
        }
        if to > self.tip() {
            let message = "block range extends beyond current head block";
            return Err(RpcError::new(-32602, message));
        }
        let token = self.data.spec.chain.token.address;
        let any = self.data.spec.transfer(0).topics();
        let pieces = if !filter.asks_for_any_account() {
            self.wanted(filter, from, to)
        } else if filter.wants(token, &any) {
            self.data.log_texts(from, to)
        } else {
            Vec::new()
        };
        Ok(joined(pieces))
    }

    /// Log by log, for filters that name accounts.
    fn wanted(&self, filter: &Filter, from: u64, to: u64) -> Vec<Bytes> {
        let (data, spec) = (&self.data, &self.data.spec);
        let token = spec.chain.token.address;
        let of_block = |height: u64| {
            let wanted = spec
                .numbers(height)
                .filter(|number| filter.wants(token, &spec.transfer(*number).topics()));
            wanted.filter_map(move |number| data.log_text(height, number))
        };
        (from..=to).flat_map(of_block).collect()
    }

    fn receipts(&self, height: u64) -> Bytes {
        let (data, spec) = (&self.data, &self.data.spec);
        let token = spec.chain.token.address;
        let hash = data.hash(height).unwrap_or(B256::ZERO);
        let shared = format!(
            "{{\"blockHash\":\"{hash}\",\"blockNumber\":\"{height:#x}\",\"contractAddress\":null,\
             \"effectiveGasPrice\":\"0x77359400\",\"gasUsed\":\"{GAS:#x}\",\"status\":\"0x1\",\
             \"type\":\"0x2\",\"to\":\"{token:#x}\",\"from\":\"0x"
        );
        let mut out = vec![b'['];
        for (index, number) in (0_u64..).zip(spec.numbers(height)) {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(shared.as_bytes());
            push_hex(&mut out, spec.transfer(number).from.as_slice());
            out.extend_from_slice(b"\",\"cumulativeGasUsed\":\"");
            push_quantity(&mut out, GAS.saturating_mul(index.saturating_add(1)));
            out.extend_from_slice(b"\",\"transactionIndex\":\"");
            push_quantity(&mut out, index);
            out.extend_from_slice(b"\",\"transactionHash\":\"0x");
            push_hex(&mut out, spec.tx_hash(number).as_slice());
            out.extend_from_slice(b"\",\"logsBloom\":\"0x");
            push_hex(&mut out, data.receipt_bloom(number).as_slice());
            out.extend_from_slice(b"\",\"logs\":[");
            out.extend_from_slice(&data.log_text(height, number).unwrap_or_default());
            out.extend_from_slice(b"]}");
        }
        out.push(b']');
        Bytes::from(out)
    }

    fn call(&self, params: &Value) -> Answer {
        let (to, question) = Question::read(params)?;
        let missing = || RpcError::new(-32000, "header not found");
        let at = self.named(params, 1)?.ok_or_else(missing)?;
        let token = &self.data.spec.chain.token;
        match question {
            _ if to != Some(token.address) => Ok(abi::nothing()),
            Question::Decimals => Ok(abi::number(U256::from(token.decimals))),
            Question::Symbol => Ok(abi::text(&token.symbol)),
            Question::BalanceOf(account) => Ok(abi::number(self.balance(account, at))),
            Question::Other => Err(abi::reverted()),
        }
    }

    /// What an account received less what it paid, in base units; zero if that is negative.
    fn balance(&self, account: Address, at: u64) -> U256 {
        let spec = &self.data.spec;
        let (mut received, mut paid) = (U256::ZERO, U256::ZERO);
        for number in 0..spec.numbers(at).end {
            let transfer = spec.transfer(number);
            if transfer.to == account {
                received = received.saturating_add(U256::from(transfer.value));
            }
            if transfer.from == account {
                paid = paid.saturating_add(U256::from(transfer.value));
            }
        }
        received.saturating_sub(paid)
    }
}

/// A JSON list of pieces that are lists' insides.
fn joined(pieces: Vec<Bytes>) -> Vec<Bytes> {
    let mut list = vec![Bytes::from_static(b"[")];
    for (place, piece) in pieces.into_iter().enumerate() {
        if place > 0 {
            list.push(Bytes::from_static(b","));
        }
        list.push(piece);
    }
    list.push(Bytes::from_static(b"]"));
    list
}

/// A body under way: small pieces are copied together, large ones kept.
#[derive(Default)]
struct Pieces {
    whole: Vec<Bytes>,
    open: Vec<u8>,
}

impl Pieces {
    fn copy(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
    }

    fn add(&mut self, piece: Bytes) {
        if piece.len() < WORTH_A_PIECE {
            return self.copy(&piece);
        }
        let open = std::mem::take(&mut self.open);
        self.whole.extend([Bytes::from(open), piece]);
    }

    fn done(mut self) -> Vec<Bytes> {
        self.whole.push(Bytes::from(self.open));
        self.whole
    }
}
