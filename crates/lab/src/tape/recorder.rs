//! A node's stand-in that passes everything on and keeps it.
//!
//! In: requests meant for the node behind it. Out: its answers, byte for byte, and a tape.
//! Never: an answer of its own, except that the node cannot be reached; a part of the node's URL
//! that may be a key, also where an answer repeats it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::WebSocket;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Asked, Entry, FORMAT, Header, Tape, json_or_text, packet};
use crate::Error;
use crate::jsonrpc::{Call, Packet};
use crate::server::{Incoming, JSON, Kind, Line, Reply, Serve, Server};

/// Shorter parts of a URL are words such as `v3`, longer ones may be keys.
const KEY_LENGTH: usize = 12;
/// The header a key of TronGrid comes in.
const KEY_HEADER: &str = "tron-pro-api-key";

/// Records a node through a loopback port. It has no WebSocket.
pub struct Recorder {
    shared: Arc<Shared>,
    server: Server,
    out: PathBuf,
}

struct Shared {
    upstream: String,
    /// Where `/walletsolidity/` is, if not there.
    solidity: Option<String>,
    /// What no answer may repeat.
    keys: Vec<String>,
    client: reqwest::Client,
    tape: Mutex<Recording>,
}

struct Recording {
    tape: Tape,
    frame: u64,
}

impl Recorder {
    /// Begins at frame 0 with the node at `upstream`; [`Recorder::finish`] writes `out`.
    ///
    /// # Errors
    /// [`Error::Upstream`] or [`Error::NotANode`] if the node does not say who it is,
    /// [`Error::Listen`] if there is no port.
    pub async fn start(upstream: &str, out: impl AsRef<Path>) -> Result<Self, Error> {
        let client = reqwest::Client::builder().no_proxy().build().map_err(Error::Upstream)?;
        let chain_id = said(&client, upstream, "eth_chainId").await?;
        let number = chain_id.as_str().and_then(|text| text.strip_prefix("0x"));
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let said_instead = || hidden(&keys(&[upstream]), &chain_id.to_string());
        let chain_id = number.ok_or_else(|| Error::NotANode { said: said_instead() })?;
        let version = said(&client, upstream, "web3_clientVersion").await?;
        let recorded_from = version.as_str().unwrap_or("a node without a name").to_owned();
        let header = Header { tape: FORMAT, chain_id, recorded_from, note: String::new() };
        Self::open(client, header, upstream, None, out.as_ref()).await
    }

    /// Begins at frame 0 with a TRON node, or TronGrid, at `upstream`, whose solidity interface may
    /// be elsewhere; the tape has both. [`Recorder::finish`] writes `out`.
    ///
    /// # Errors
    /// [`Error::Upstream`] or [`Error::NotANode`] if the node has no genesis block,
    /// [`Error::Listen`] if there is no port.
    pub async fn start_tron(
        upstream: &str,
        solidity: Option<&str>,
        out: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        let client = reqwest::Client::builder().no_proxy().build().map_err(Error::Upstream)?;
        let genesis = tron_said(&client, upstream, "getblockbynum").await?;
        let id = genesis.get("blockID").and_then(Value::as_str);
        let last = id.and_then(|id| id.get(56..)).map(|last| u64::from_str_radix(last, 16));
        let Some(Ok(chain_id)) = last else {
            let said = hidden(&keys(&[upstream]), &genesis.to_string());
            return Err(Error::NotANode { said });
        };
        let info = tron_said(&client, upstream, "getnodeinfo").await?;
        let version = info.pointer("/configNodeInfo/codeVersion").and_then(Value::as_str);
        let recorded_from = version.map_or_else(
            || "a TRON node without a name".to_owned(),
            |version| format!("java-tron {version}"),
        );
        let header = Header { tape: FORMAT, chain_id, recorded_from, note: String::new() };
        Self::open(client, header, upstream, solidity, out.as_ref()).await
    }

    async fn open(
        client: reqwest::Client,
        header: Header,
        upstream: &str,
        solidity: Option<&str>,
        out: &Path,
    ) -> Result<Self, Error> {
        let tape = Recording { tape: Tape { header, entries: Vec::new() }, frame: 0 };
        let keys = keys(&[upstream, solidity.unwrap_or_default()]);
        let (upstream, solidity) = (upstream.to_owned(), solidity.map(str::to_owned));
        let shared = Shared { upstream, solidity, keys, client, tape: Mutex::new(tape) };
        let shared = Arc::new(shared);
        let server = Server::start(Arc::clone(&shared), 0).await?;
        Ok(Self { shared, server, out: out.to_owned() })
    }

    /// Where the client to be recorded sends to, whichever interface it means.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Says in words what the tape shows.
    pub fn note(&self, note: &str) {
        note.clone_into(&mut self.shared.lock().tape.header.note);
    }

    /// Something has changed at the node: answers from now on belong to a new frame, whose number
    /// comes back.
    pub fn next_frame(&self) -> u64 {
        let mut recording = self.shared.lock();
        recording.frame = recording.frame.saturating_add(1);
        recording.frame
    }

    /// Stops and writes the file.
    ///
    /// # Errors
    /// [`Error::TapeFile`] if it cannot be written.
    pub async fn finish(self) -> Result<Tape, Error> {
        self.server.stop().await;
        let tape = self.shared.lock().tape.clone();
        tape.write(&self.out)?;
        Ok(tape)
    }
}

/// What the node answers to a method without parameters.
async fn said(client: &reqwest::Client, upstream: &str, method: &str) -> Result<Value, Error> {
    let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] });
    let request = client.post(upstream).header("content-type", "application/json");
    let answer = request.body(asked.to_string()).send().await.map_err(Error::Upstream)?;
    let body = answer.bytes().await.map_err(Error::Upstream)?;
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(body.get_mut("result").map_or(Value::Null, Value::take))
}

/// The parts of these URLs that may be keys: of the path, the query, the user.
fn keys(urls: &[&str]) -> Vec<String> {
    let urls = urls.iter().filter_map(|url| reqwest::Url::parse(url).ok());
    let mut keys: Vec<String> = Vec::new();
    for url in urls {
        let path = url.path_segments().into_iter().flatten();
        let query = url.query().into_iter().flat_map(|query| query.split(['&', '=']));
        let user = [url.username(), url.password().unwrap_or_default()];
        let parts = path.chain(query).chain(user).filter(|part| part.len() >= KEY_LENGTH);
        keys.extend(parts.map(str::to_owned));
    }
    keys
}

fn hidden(keys: &[String], text: &str) -> String {
    keys.iter().fold(text.to_owned(), |text, key| text.replace(key, "…"))
}

fn without_keys(keys: &[String], said: Bytes) -> Bytes {
    let holds = |key: &String| said.windows(key.len()).any(|part| part == key.as_bytes());
    if !keys.iter().any(holds) {
        return said;
    }
    Bytes::from(hidden(keys, &String::from_utf8_lossy(&said)))
}

fn is_same_server(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|url| reqwest::Url::parse(url).ok());
    one.zip(other).is_some_and(|(one, other)| one.origin() == other.origin())
}

/// What a TRON node answers to a question without parameters: zero is left out.
async fn tron_said(client: &reqwest::Client, base: &str, name: &str) -> Result<Value, Error> {
    let url = format!("{}/wallet/{name}", base.trim_end_matches('/'));
    let request = client.post(url).header("content-type", "application/json").body("{}");
    let answer = request.send().await.map_err(Error::Upstream)?;
    let body = answer.bytes().await.map_err(Error::Upstream)?;
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

impl Serve for Shared {
    async fn answer(self: Arc<Self>, incoming: Incoming) -> Reply {
        let Ok((status, kind, said)) = self.forward(&incoming).await else { return unreachable() };
        match packet(&incoming) {
            Some(packet) => self.lock().keep(packet, status, &said),
            None => {
                let kind = Some(kind.to_string()).filter(|_| !kind.starts_with(&*JSON));
                self.lock().keep_plain(Asked::plain(&incoming), status, kind, &said);
            }
        }
        Reply::Send { status, kind, retry_after: None, pieces: vec![said] }
    }

    async fn socket(self: Arc<Self>, _socket: WebSocket, line: Line) {
        line.cut();
    }
}

fn unreachable() -> Reply {
    let text = Bytes::from_static(b"the node to be recorded does not answer");
    Reply::whole(502, vec![text])
}

impl Shared {
    /// The node's status, content type and body.
    async fn forward(&self, incoming: &Incoming) -> Result<(u16, Kind, Bytes), reqwest::Error> {
        let path = incoming.uri.path_and_query().map_or("/", |path| path.as_str());
        let solidity = self.solidity.as_ref().filter(|_| path.starts_with("/walletsolidity/"));
        let base = solidity.unwrap_or(&self.upstream);
        // An upstream for JSON-RPC alone is a whole address, its path included.
        let url = match path {
            "/" => base.clone(),
            path => format!("{}{path}", base.trim_end_matches('/')),
        };
        let mut request = self.client.request(incoming.method.clone(), url);
        let key = incoming.headers.get(KEY_HEADER);
        // A key is the upstream's own: another server may be anybody's.
        let elsewhere = solidity.is_some_and(|url| !is_same_server(url, &self.upstream));
        let kind = incoming.headers.get("content-type");
        let headers = [("content-type", kind), (KEY_HEADER, key.filter(|_| !elsewhere))];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = request.body(incoming.body.clone()).send().await?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.map_or(JSON, |kind| kind.to_owned().into());
        let key = key.and_then(|key| key.to_str().ok()).filter(|key| key.len() >= KEY_LENGTH);
        let keys = [self.keys.as_slice(), key.map(str::to_owned).as_slice()].concat();
        Ok((status, kind, without_keys(&keys, answer.bytes().await?)))
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    fn keep(&mut self, packet: Packet, status: u16, said: &[u8]) {
        let read = serde_json::from_slice::<Value>(said).ok();
        let text = || Value::from(String::from_utf8_lossy(said));
        match (packet, read) {
            (Packet::Many(calls), Some(Value::Array(items))) => {
                for call in calls {
                    let own = items.iter().find(|item| item.get("id") == Some(&call.id));
                    if let Some(own) = own {
                        self.keep_one(&call, status, own.clone());
                    }
                }
            }
            (Packet::Many(calls), whole) => {
                let whole = whole.unwrap_or_else(text);
                calls.iter().for_each(|call| self.keep_one(call, status, whole.clone()));
            }
            (Packet::One(call), whole) => {
                self.keep_one(&call, status, whole.unwrap_or_else(text));
            }
        }
    }

    /// Keeps an answer unless the tape already gives it. Of two answers in one frame the first
    /// stands.
    fn keep_one(&mut self, call: &Call, status: u16, mut response: Value) {
        if let Some(fields) = response.as_object_mut() {
            fields.remove("id");
        } else {
            response = Value::from(response.as_str().map_or(response.to_string(), str::to_owned));
        }
        self.add(Asked::of(call), status, None, response);
    }

    /// The same for a request that is not JSON-RPC.
    fn keep_plain(&mut self, asked: Asked, status: u16, kind: Option<String>, said: &[u8]) {
        self.add(asked, status, kind, json_or_text(said));
    }

    fn add(&mut self, request: Asked, status: u16, kind: Option<String>, response: Value) {
        let frame = self.frame;
        let known = self.tape.answer(&request, frame);
        let same = |entry: &Entry| entry.status == status && entry.response == response;
        if known.is_none_or(|entry| entry.frame < frame && !same(entry)) {
            self.tape.entries.push(Entry { frame, request, status, kind, response });
        }
    }
}
