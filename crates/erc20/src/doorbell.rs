//! New heads over WebSocket, as a doorbell.
//!
//! In: subscriptions. Out: a ring. Never: data; a message lost here costs one sleep, since every
//! scan starts from the cursor. Why: polling alone is either late or wasteful.

use std::sync::Arc;
use std::time::Duration;

use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::pubsub::RawSubscription;
use alloy::rpc::types::Filter;
use alloy::transports::TransportError;
use endpoint::{Bucket, Rest};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::config::{Config, EndpointConfig};
use crate::link;
use crate::refusal::Refusal;
use crate::token::{TRANSFER, Token};

/// How often a subscription rings in the long run, and how often at once: whoever pushes decides
/// how much comes, and every ring is a poll of every endpoint.
const RINGS_A_SECOND: u32 = 20;
const RINGS_AT_ONCE: u32 = 256;
/// How long a subscription is kept before it counts for one that works.
const KEPT: Duration = Duration::from_secs(60);

/// Ends the sleep between two polls when the chain has moved. Without a WebSocket endpoint it
/// never rings.
#[derive(Clone, Default)]
pub struct Doorbell(Arc<Notify>);

impl Doorbell {
    /// Ends at the next ring, or at once where it rang since the last time.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Keeps a subscription open on every WebSocket endpoint.
pub(crate) struct Ringer {
    doorbell: Doorbell,
    listening: Vec<JoinHandle<()>>,
}

impl Drop for Ringer {
    fn drop(&mut self) {
        for listener in &self.listening {
            listener.abort();
        }
    }
}

impl Ringer {
    pub(crate) fn start(config: &Config, token: Token) -> Self {
        let doorbell = Doorbell::default();
        let sockets = config.endpoints.iter().filter(|each| each.location.is_websocket());
        let listening = sockets
            .map(|endpoint| {
                let listener = Listener {
                    chain: config.chain.as_str().to_owned(),
                    endpoint: endpoint.clone(),
                    token: token.clone(),
                    deadline: config.deadline,
                    rest: Arc::clone(&config.rest),
                    doorbell: doorbell.clone(),
                };
                tokio::spawn(listener.listen())
            })
            .collect();
        Self { doorbell, listening }
    }

    pub(crate) fn doorbell(&self) -> Doorbell {
        self.doorbell.clone()
    }
}

struct Listener {
    chain: String,
    endpoint: EndpointConfig,
    token: Token,
    deadline: Duration,
    rest: Rest,
    doorbell: Doorbell,
}

impl Listener {
    /// Subscribes, rings, and subscribes again whenever the connection ends.
    async fn listen(self) {
        let mut failures = 0u32;
        let pace = Bucket::new(RINGS_A_SECOND, RINGS_AT_ONCE);
        loop {
            let why = match timeout(self.deadline, subscribe(&self.endpoint, &self.token)).await {
                Ok(Ok((provider, mut heads))) => {
                    let opened = Instant::now();
                    // Whatever came while nobody listened is found by the next poll.
                    self.ring(&mut heads, &pace).await;
                    drop(provider);
                    if opened.elapsed() >= KEPT {
                        failures = 0;
                    }
                    "the connection ended".to_owned()
                }
                Ok(Err(error)) => self.endpoint.location.hide_in(&Refusal::from(error).why),
                Err(_) => "no answer in time".to_owned(),
            };
            failures = failures.saturating_add(1);
            let rest = (self.rest)(failures);
            tracing::info!(
                chain = self.chain,
                endpoint = self.endpoint.name,
                at = %self.endpoint.location,
                why,
                rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX),
                "a subscription ended and is opened again"
            );
            sleep(rest).await;
        }
    }

    /// Rings at once, and for each head until the connection ends.
    async fn ring(&self, heads: &mut RawSubscription, pace: &Bucket) {
        loop {
            pace.take(1).await;
            self.doorbell.0.notify_one();
            // A receiver that lags has missed rings, not blocks.
            let (Ok(_) | Err(RecvError::Lagged(_))) = heads.recv().await else { return };
        }
    }
}

/// New heads, or where a node has none the token's logs.
async fn subscribe(
    endpoint: &EndpointConfig,
    token: &Token,
) -> Result<(RootProvider<Ethereum>, RawSubscription), TransportError> {
    let provider = RootProvider::<Ethereum>::new(link::open(&endpoint.location).await?);
    match provider.subscribe_blocks().await {
        Ok(heads) => Ok((provider, heads.into_raw())),
        Err(TransportError::ErrorResp(_)) => {
            let filter = Filter::new().address(alloy::primitives::Address::from(token.address().0));
            let logs = provider.subscribe_logs(&filter.event_signature(TRANSFER)).await?;
            Ok((provider, logs.into_raw()))
        }
        Err(error) => Err(error),
    }
}

/// Whether the endpoint offers a subscription; none where it is not a WebSocket.
pub(crate) async fn offered(
    endpoint: &EndpointConfig,
    token: &Token,
    deadline: Duration,
) -> Option<Result<(), String>> {
    endpoint.location.is_websocket().then_some(())?;
    Some(match timeout(deadline, subscribe(endpoint, token)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(endpoint.location.hide_in(&Refusal::from(error).why)),
        Err(_) => Err("no answer in time".to_owned()),
    })
}
