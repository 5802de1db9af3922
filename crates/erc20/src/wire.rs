//! JSON-RPC over HTTP: one POST, one bounded body.
//!
//! In: a body to send. Out: the body that came back, or why not. Never: a redirect followed, a
//! body without a limit, a URL in an error or a span.
//! Why: alloy's own HTTP transport reads bodies of any size and puts the whole URL, key
//! included, into its tracing spans; as an alloy transport this one serves typed calls as well.

use std::task::{Context, Poll};
use std::time::Duration;

use alloy::rpc::json_rpc::{
    RequestPacket, Response as RpcResponse, ResponsePacket, ResponsePayload,
};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use bytes::Bytes;
use endpoint::{BODY_LIMIT, Fault, Location};
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use tower_service::Service;

/// The longest body of a failure that is kept, in bytes.
const FAILURE_LIMIT: usize = 16 << 10;

/// An HTTP endpoint.
#[derive(Clone)]
pub(crate) struct Wire {
    client: Client,
    location: Location,
}

impl Wire {
    /// `deadline` bounds connecting; whole requests are bounded by whoever asks.
    pub(crate) fn new(location: &Location, deadline: Duration) -> Result<Self, Fault> {
        let client = endpoint::client(deadline)?;
        Ok(Self { client, location: location.clone() })
    }

    /// Sends `body` and reads what comes back, if it came with a 2xx status.
    pub(crate) async fn post(&self, body: Vec<u8>) -> Result<Bytes, TransportError> {
        let url = self.location.secret().clone();
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").body(body);
        let mut response = request.send().await.map_err(|error| fault(error.into()))?;
        let status = response.status();
        if status.is_success() {
            return endpoint::read(&mut response, BODY_LIMIT).await.map_err(fault);
        }
        let after = endpoint::pause(response.headers());
        let body = endpoint::read(&mut response, FAILURE_LIMIT).await.unwrap_or_default();
        Err(TransportErrorKind::http_error_with_retry_after(
            status.as_u16(),
            String::from_utf8_lossy(&body).into_owned(),
            after,
        ))
    }

    async fn answer(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let is_batch = matches!(packet, RequestPacket::Batch(_));
        let body = serde_json::to_vec(&packet).map_err(TransportError::ser_err)?;
        let body = self.post(body).await?;
        let answer = serde_json::from_slice(&body)
            .map_err(|error| TransportError::deser_err(error, beginning(&body)))?;
        match answer {
            // A batch refused as a whole: its id is nobody's, so alloy would drop the reason.
            ResponsePacket::Single(RpcResponse {
                payload: ResponsePayload::Failure(error),
                ..
            }) if is_batch => Err(TransportError::ErrorResp(error)),
            answer => Ok(answer),
        }
    }
}

impl Service<RequestPacket> for Wire {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().answer(packet))
    }
}

/// The beginning of a body, enough to hold any refusal.
fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..FAILURE_LIMIT).unwrap_or(body)).into_owned()
}

fn fault(fault: Fault) -> TransportError {
    TransportErrorKind::custom(fault)
}
