//! How an endpoint is spoken to: HTTP, or a WebSocket that is opened when it is needed.
//!
//! In: calls. Out: their answers as JSON, not yet read. Never: a connection that repairs itself
//! in silence; a broken one ends, and whoever needs it opens another.
//! Why: alloy's reconnecting socket re-sends what was under way and hides the gap, while health
//! and rest are decided one level up.

use std::time::Duration;

use alloy::pubsub::{ConnectionHandle, PubSubConnect};
use alloy::rpc::client::{ClientBuilder, RpcClient};
use alloy::transports::ws::{WebSocketConfig, WsConnect};
use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use bytes::Bytes;
use endpoint::{BODY_LIMIT, Fault, Location};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use crate::wire::Wire;

/// A way to an endpoint.
pub(crate) enum Link {
    /// One POST per call or batch.
    Http { wire: Wire, client: RpcClient },
    /// One socket for everything, while it lasts.
    Socket { location: Location, client: Mutex<Option<RpcClient>> },
}

impl Link {
    pub(crate) fn new(location: &Location, deadline: Duration) -> Result<Self, Fault> {
        if location.is_websocket() {
            return Ok(Self::Socket { location: location.clone(), client: Mutex::new(None) });
        }
        let wire = Wire::new(location, deadline)?;
        // Not local: alloy only uses the flag to poll faster, and nothing here polls through it.
        Ok(Self::Http { client: RpcClient::new(wire.clone(), false), wire })
    }

    /// The JSON of one call's result.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        params: &Value,
    ) -> Result<Box<RawValue>, TransportError> {
        let client = self.client().await?;
        let answer = client.request::<_, Box<RawValue>>(method, params.clone()).await;
        self.kept(answer).await.and_then(shallow)
    }

    /// The JSON of each result, in the order of `params`.
    pub(crate) async fn batch(
        &self,
        method: &'static str,
        params: &[Value],
    ) -> Result<Vec<Box<RawValue>>, TransportError> {
        let client = self.client().await?;
        let mut batch = client.new_batch();
        let mut waiting = Vec::with_capacity(params.len());
        for params in params {
            waiting.push(batch.add_call::<_, Box<RawValue>>(method, params)?);
        }
        self.kept(batch.send().await).await?;
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(shallow(answer.await?)?);
        }
        Ok(answers)
    }

    /// One call's answer as it came: a JSON-RPC answer or its bare result.
    pub(crate) async fn body(
        &self,
        method: &'static str,
        params: &Value,
    ) -> Result<Bytes, TransportError> {
        match self {
            Self::Http { wire, .. } => {
                let call = serde_json::json!({
                    "jsonrpc": "2.0", "id": 1, "method": method, "params": params,
                });
                wire.post(call.to_string().into_bytes()).await
            }
            Self::Socket { .. } => {
                let json = self.call(method, params).await?;
                Ok(Bytes::from(Box::<str>::from(json).into_string()))
            }
        }
    }

    async fn client(&self) -> Result<RpcClient, TransportError> {
        match self {
            Self::Http { client, .. } => Ok(client.clone()),
            Self::Socket { location, client } => {
                let mut client = client.lock().await;
                if let Some(open) = client.as_ref() {
                    return Ok(open.clone());
                }
                // Fifty thousand bytes of a handshake would be part of every question to a
                // node, and a dozen of those on one stack.
                let opened = Box::pin(open(location)).await?;
                *client = Some(opened.clone());
                Ok(opened)
            }
        }
    }

    /// Lets go of a socket that no longer answers: it may have ended without a word.
    pub(crate) fn let_go(&self) {
        // Who holds the lock is opening another one.
        if let Self::Socket { client, .. } = self
            && let Ok(mut client) = client.try_lock()
        {
            *client = None;
        }
    }

    /// Lets go of a socket that has ended.
    async fn kept<T>(&self, answer: Result<T, TransportError>) -> Result<T, TransportError> {
        if let (Self::Socket { client, .. }, Err(RpcError::Transport(_))) = (self, &answer) {
            *client.lock().await = None;
        }
        answer
    }
}

/// An answer that can be parsed. Over HTTP this was asked of the whole body.
fn shallow(json: Box<RawValue>) -> Result<Box<RawValue>, TransportError> {
    if endpoint::is_shallow(json.get().as_bytes()) {
        return Ok(json);
    }
    Err(TransportErrorKind::custom(Fault::TooDeep))
}

/// Opens a WebSocket that ends when it breaks.
pub(crate) async fn open(location: &Location) -> Result<RpcClient, TransportError> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(BODY_LIMIT))
        .max_frame_size(Some(BODY_LIMIT));
    let connect = WsConnect::new(location.secret().as_str()).with_config(config);
    ClientBuilder::default().pubsub(Once(connect)).await
}

/// A connector that connects once.
struct Once(WsConnect);

impl PubSubConnect for Once {
    fn is_local(&self) -> bool {
        false
    }

    async fn connect(&self) -> Result<ConnectionHandle, TransportError> {
        self.0.connect().await
    }

    async fn try_reconnect(&self) -> Result<ConnectionHandle, TransportError> {
        Err(TransportErrorKind::non_retryable_str("the connection has ended"))
    }
}
