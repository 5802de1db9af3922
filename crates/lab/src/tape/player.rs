//! A node that says what a tape holds.
//!
//! In: JSON-RPC posts, and any other HTTP. Out: what the recorded node answered by the current
//! frame. Never: a guess; what is not on the tape is refused and remembered, for the test to fail
//! on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::WebSocket;
use axum::http::Method;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Asked, Plain, Tape, packet};
use crate::Error;
use crate::jsonrpc::{self, Call, Packet, RpcError};
use crate::requests::{Register, Requests};
use crate::server::{Incoming, JSON, Kind, Line, Reply, Serve, Server};

/// A tape behind a loopback port, at frame 0 to begin with. It has no WebSocket.
pub struct Player {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    playing: Mutex<Playing>,
    register: Register,
}

struct Playing {
    tape: Tape,
    frame: u64,
    misses: Vec<String>,
}

/// An answer: the status of the whole HTTP answer if it is not 200, and the body.
struct Said {
    status: u16,
    body: String,
    /// The body was no JSON object, and stands for the whole HTTP answer.
    whole: bool,
}

impl Player {
    /// Plays a tape on a free port.
    ///
    /// # Errors
    /// [`Error::Listen`] if there is none.
    pub async fn start(tape: Tape) -> Result<Self, Error> {
        let playing = Mutex::new(Playing { tape, frame: 0, misses: Vec::new() });
        let shared = Arc::new(Shared { playing, register: Register::default() });
        let server = Server::start(Arc::clone(&shared), 0).await?;
        Ok(Self { shared, server })
    }

    /// Where it takes HTTP. For JSON-RPC any path does; for the rest the path is the question.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Goes on to the next frame, whose number comes back; stays at the last one.
    pub fn play(&self) -> u64 {
        let mut playing = self.shared.lock();
        let last = playing.tape.last_frame().max(playing.frame);
        playing.frame = playing.frame.saturating_add(1).min(last);
        playing.frame
    }

    /// Goes to a frame, forward or back.
    pub fn frame(&self, frame: u64) {
        self.shared.lock().frame = frame;
    }

    /// Plays another tape from now on, in the frame it is in.
    pub fn switch(&self, tape: Tape) {
        self.shared.lock().tape = tape;
    }

    /// Each request that was not on the tape, with the frame it came in.
    #[must_use]
    pub fn misses(&self) -> Vec<String> {
        self.shared.lock().misses.clone()
    }

    /// What it was asked.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared.register.read()
    }
}

impl Serve for Shared {
    async fn answer(self: Arc<Self>, incoming: Incoming) -> Reply {
        if incoming.method == Method::POST {
            self.register.post();
        }
        let calls = match packet(&incoming) {
            None => return self.plain(&incoming),
            Some(Packet::One(call)) => return self.said(&call).reply(),
            Some(Packet::Many(calls)) => calls,
        };
        let mut items: Vec<Said> = calls.iter().map(|call| self.said(call)).collect();
        if let Some(place) = items.iter().position(|said| said.whole || said.status != 200) {
            return items.swap_remove(place).reply();
        }
        let bodies: Vec<String> = items.into_iter().map(|said| said.body).collect();
        Reply::json(format!("[{}]", bodies.join(",")))
    }

    async fn socket(self: Arc<Self>, _socket: WebSocket, line: Line) {
        line.cut();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Playing> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is said to a request that is not JSON-RPC.
    fn plain(&self, incoming: &Incoming) -> Reply {
        let asked = Asked::plain(incoming);
        let Asked::Http { http: Plain { path, body, .. } } = &asked else { return Reply::Cut };
        self.register.request(path, body, None);
        let mut playing = self.lock();
        let frame = playing.frame;
        let Some(entry) = playing.tape.answer(&asked, frame) else {
            let miss = format!("frame {frame}: {asked}");
            let body = json!({ "Error": format!("not on the tape in {miss}") });
            playing.misses.push(miss);
            return Reply::whole(404, vec![Bytes::from(body.to_string())]);
        };
        let kind = entry.kind.clone().map_or(JSON, Kind::from);
        let body = match &entry.response {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            response => response.to_string(),
        };
        let pieces = vec![Bytes::from(body)];
        Reply::Send { status: entry.status, kind, retry_after: None, pieces }
    }

    fn said(&self, call: &Call) -> Said {
        self.register.call(&call.method, &call.params);
        let asked = Asked::of(call);
        let mut playing = self.lock();
        let frame = playing.frame;
        let Some(entry) = playing.tape.answer(&asked, frame) else {
            let miss = format!("frame {frame}: {asked}");
            let error = RpcError::new(-32099, format!("not on the tape in {miss}"));
            playing.misses.push(miss);
            let body = jsonrpc::render(&call.id, &Err(error));
            return Said { status: 200, body, whole: false };
        };
        let mut response = entry.response.clone();
        let whole = match response.as_object_mut() {
            Some(fields) => {
                fields.insert("id".to_owned(), call.id.clone());
                false
            }
            None => true,
        };
        let body = match response {
            Value::String(text) => text,
            response => response.to_string(),
        };
        Said { status: entry.status, body, whole }
    }
}

impl Said {
    fn reply(self) -> Reply {
        Reply::whole(self.status, vec![Bytes::from(self.body)])
    }
}
