//! One WebSocket: calls, and subscriptions to heads and logs.
//!
//! In: packets of the client, changes of the chain. Out: answers, and what the changes mean to
//! each subscription: new heads, new logs, and logs again with `removed` when a reorg took them.
//! Never: a replay; what happened while nobody was subscribed is gone, as with real nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use super::block::Block;
use super::chain::{Change, State};
use super::fault::Fault;
use super::filter::Filter;
use super::node::Shared;
use super::view::View;
use super::{logs, render};
use crate::jsonrpc::{self, Call, Packet, RpcError};
use crate::server::Line;

/// The first subscription's name; those of a connection count up from here.
const FIRST_NAME: u128 = 0x9cef_4789_23ff_08bf_67fd_e6c6_4013_158d;

struct Subscription {
    wants: Wants,
    /// The newest block it was told of.
    told: Arc<Block>,
    /// The latest change it knows.
    change: u64,
}

enum Wants {
    Heads,
    Logs(Filter),
}

/// What became of a packet.
enum Done {
    Say(String),
    HangUp,
    Subscription(Call),
}

/// Talks until either side hangs up.
pub(crate) async fn talk(shared: Arc<Shared>, mut socket: WebSocket, line: Line) {
    let mut bell = shared.chain.bell();
    let mut desk = Desk { shared: Arc::clone(&shared), open: BTreeMap::new(), names: FIRST_NAME };
    let mut waiting = FuturesUnordered::new();
    loop {
        let texts = tokio::select! {
            message = socket.recv() => {
                match message {
                    Some(Ok(Message::Text(text))) => {
                        waiting.push(done(Arc::clone(&shared), text.as_bytes().to_vec()));
                    }
                    Some(Ok(Message::Binary(bytes))) => {
                        waiting.push(done(Arc::clone(&shared), bytes.to_vec()));
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                }
                Vec::new()
            }
            Some(done) = waiting.next(), if !waiting.is_empty() => match done {
                Done::Say(text) => vec![text],
                Done::HangUp => return line.cut(),
                Done::Subscription(call) => vec![desk.answer(&call)],
            },
            change = bell.recv() => match change {
                Ok(change) => desk.hear(&change),
                Err(RecvError::Lagged(_)) => Vec::new(),
                Err(RecvError::Closed) => return,
            },
        };
        for text in texts {
            if socket.send(Message::Text(text.into())).await.is_err() {
                return;
            }
        }
    }
}

async fn done(shared: Arc<Shared>, bytes: Vec<u8>) -> Done {
    let told = match jsonrpc::parse(&bytes) {
        Err(refusal) => return Done::Say(refusal),
        Ok(Packet::One(call)) if ["eth_subscribe", "eth_unsubscribe"].contains(&&*call.method) => {
            match shared.struck(&call).await {
                None => return Done::Subscription(call),
                Some(struck) => struck,
            }
        }
        Ok(packet) => shared.packet(packet).await,
    };
    told.map_or(Done::HangUp, |told| Done::Say(told.text()))
}

/// The subscriptions of one connection.
struct Desk {
    shared: Arc<Shared>,
    open: BTreeMap<String, Subscription>,
    names: u128,
}

impl Desk {
    fn answer(&mut self, call: &Call) -> String {
        let answer = match call.method.as_str() {
            "eth_subscribe" => self.subscribe(&call.params),
            _ => {
                let name = call.params.get(0).and_then(Value::as_str).unwrap_or_default();
                match self.open.remove(name) {
                    Some(_) => Ok(Value::Bool(true)),
                    None => Err(RpcError::new(-32000, "subscription not found")),
                }
            }
        };
        jsonrpc::render(&call.id, &answer)
    }

    fn subscribe(&mut self, params: &Value) -> Result<Value, RpcError> {
        let wants = match params.get(0).and_then(Value::as_str).unwrap_or_default() {
            "newHeads" => Wants::Heads,
            "logs" => {
                let empty = Value::Object(Default::default());
                Wants::Logs(Filter::read(params.get(1).unwrap_or(&empty))?)
            }
            other => {
                let message = format!("no {other:?} subscription in eth namespace");
                return Err(RpcError::new(-32601, message));
            }
        };
        let name = format!("{:#x}", self.names);
        self.names = self.names.wrapping_add(1);
        let subscription = self.shared.look(|view, state| {
            let told = view.at(view.tip()).unwrap_or_else(|| state.tip());
            Subscription { wants, told: Arc::clone(told), change: state.changes }
        });
        self.open.insert(name.clone(), subscription);
        Ok(Value::String(name))
    }

    /// What a change of the chain means to each subscription.
    fn hear(&mut self, change: &Change) -> Vec<String> {
        let Self { shared, open, .. } = self;
        shared.look(|view, state| {
            let silent = view.is(|fault| *fault == Fault::SilentWebSockets);
            let tip = behind(state, &change.tip, super::view::lag(view.faults()));
            let mut texts = Vec::new();
            for (name, subscription) in open.iter_mut() {
                if change.number <= subscription.change {
                    continue;
                }
                subscription.change = change.number;
                let told = std::mem::replace(&mut subscription.told, Arc::clone(&tip));
                if !silent {
                    let news = subscription.wants.news(view, state, &told, &tip);
                    texts.extend(news.iter().map(|item| jsonrpc::notification(name, item)));
                }
            }
            texts
        })
    }
}

impl Wants {
    fn news(
        &self,
        view: &View<'_>,
        state: &State,
        told: &Arc<Block>,
        tip: &Arc<Block>,
    ) -> Vec<Value> {
        let (removed, added) = way(state, told, tip);
        match self {
            Self::Heads => added.iter().map(|block| render::header(block)).collect(),
            Self::Logs(filter) => {
                let gone = removed.iter().flat_map(|block| {
                    let mut logs = logs::in_block(view, block, filter);
                    for log in &mut logs {
                        if let Some(removed) = log.get_mut("removed") {
                            *removed = Value::Bool(true);
                        }
                    }
                    logs
                });
                let come = added.iter().flat_map(|block| logs::in_block(view, block, filter));
                gone.chain(come).collect()
            }
        }
    }
}

/// The block some blocks below another.
fn behind(state: &State, tip: &Arc<Block>, blocks: u64) -> Arc<Block> {
    let mut block = tip;
    for _ in 0..blocks {
        match state.known.get(&block.header.parent_hash) {
            Some(parent) => block = parent,
            None => break,
        }
    }
    Arc::clone(block)
}

/// The way from one block to another: what is left, newest first, and what is entered, oldest
/// first.
fn way(state: &State, from: &Arc<Block>, to: &Arc<Block>) -> (Vec<Arc<Block>>, Vec<Arc<Block>>) {
    let (mut from, mut to) = (Arc::clone(from), Arc::clone(to));
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    while from.hash != to.hash {
        // Both ends come down in turn, the higher one first, until they meet.
        let (side, end) = match from.header.number > to.header.number {
            true => (&mut removed, &mut from),
            false => (&mut added, &mut to),
        };
        let Some(parent) = state.known.get(&end.header.parent_hash) else { break };
        side.push(std::mem::replace(end, Arc::clone(parent)));
    }
    added.reverse();
    (removed, added)
}
