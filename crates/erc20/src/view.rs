//! What the endpoints say about the chain's end: tips, and what is final.
//!
//! In: each endpoint's newest, finalized and safe block. Out: whom to follow, and the highest
//! block that two of them call final. Never: one endpoint's word for a finality that a second
//! one could confirm; a finalized height that goes back.
//! Why: `finalized` is what turns a deposit into credit, and a load-balanced node contradicts
//! itself about it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use payments::chain::BlockHash;
use serde_json::json;
use tokio::time::Instant;

use crate::config::Finality;
use crate::decode::Block;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pool::{Exhausted, Facts, Pool};
use crate::refusal::{Class, Refusal};

/// How many blocks a preferred endpoint may be behind the best one and still be followed.
const LAG: u64 = 2;
/// How long a view serves while blocks far below it are read.
const FRESH: Duration = Duration::from_secs(5);

/// The end of the chain.
#[derive(Clone)]
pub(crate) struct View {
    /// The endpoint that is followed.
    pub(crate) leader: Arc<Endpoint>,
    /// Its newest block.
    pub(crate) tip: Block,
    /// What each endpoint calls final, the highest first.
    pub(crate) claims: Vec<Claim>,
    /// What each endpoint calls safe, the highest first.
    safe: Vec<Claim>,
    seen: Instant,
}

/// A block that an endpoint calls final, or safe. Its hash is unknown where finality is counted in
/// blocks.
#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) height: u64,
    pub(crate) hash: Option<BlockHash>,
}

/// What one endpoint says.
struct Look {
    endpoint: Arc<Endpoint>,
    tip: Block,
    finalized: Option<Claim>,
    safe: Option<Claim>,
}

impl View {
    /// The claim to follow: of several nodes' the second highest, so that no node alone makes a
    /// block final.
    pub(crate) fn finalized(&self) -> Option<&Claim> {
        second(&self.claims)
    }

    /// Whether another node than `first` has named a block by its hash that is at this height or
    /// above and within the scanned chain, where it was held against ours.
    pub(crate) fn is_seconded(
        &self,
        first: &Endpoint,
        height: u64,
        within: impl Fn(u64) -> bool,
    ) -> bool {
        self.claims.iter().any(|claim| {
            claim.height >= height
                && claim.hash.is_some()
                && !claim.endpoint.is_same_node(first)
                && within(claim.height)
        })
    }

    /// The height that is safe by the same rule; none where a node calls a block safe that `ours`
    /// does not hold.
    pub(crate) fn safe(&self, ours: impl Fn(&Claim) -> bool) -> Option<u64> {
        let claim = second(&self.safe).filter(|_| self.safe.iter().all(ours))?;
        Some(claim.height)
    }

    /// Whether this view is too old for blocks near the tip, or for anything.
    pub(crate) fn is_stale(&self) -> bool {
        self.seen.elapsed() > FRESH || self.leader.rests_for().is_some()
    }
}

/// Looks at the chain's end through every endpoint. `last` is the last recorded height: an
/// endpoint that is below it is not followed while another is not.
pub(crate) async fn look(
    pool: &Pool,
    finality: Finality,
    last: Option<u64>,
) -> Result<View, Error> {
    let mut exhausted = Exhausted::default();
    let usable = pool.usable().await;
    if usable.is_empty() {
        // Every endpoint rests: `ask` knows for how long.
        let nobody = pool.ask(None, |_| async { Err::<(), _>(Refusal::behind("it rests")) });
        return Err(nobody.await.err().unwrap_or(exhausted).error());
    }
    let looks = join_all(usable.iter().map(|endpoint| one(endpoint, &pool.facts, finality))).await;
    let mut seen = Vec::with_capacity(looks.len());
    for (endpoint, look) in usable.iter().zip(looks) {
        match look {
            Ok(look) => {
                endpoint.answered();
                let mut state = endpoint.state();
                state.tip = Some(look.tip.header.id.height);
                state.finalized = look.finalized.as_ref().map(|claim| claim.height);
                drop(state);
                seen.push(look);
            }
            Err(refusal) => {
                pool.strike(endpoint, &refusal);
                exhausted.failed(endpoint, refusal);
            }
        }
    }
    choose(seen, last).ok_or_else(|| exhausted.error())
}

fn choose(looks: Vec<Look>, last: Option<u64>) -> Option<View> {
    let best = looks.iter().map(|look| look.tip.header.id.height).max()?;
    let least = best.saturating_sub(LAG).max(last.unwrap_or(0).min(best));
    let (leader, tip) = looks
        .iter()
        .find(|look| look.tip.header.id.height >= least)
        .map(|look| (Arc::clone(&look.endpoint), look.tip))?;
    let (mut claims, mut safe) = (Vec::new(), Vec::new());
    for look in looks {
        claims.extend(look.finalized);
        safe.extend(look.safe);
    }
    claims.sort_by_key(|claim| std::cmp::Reverse(claim.height));
    safe.sort_by_key(|claim| std::cmp::Reverse(claim.height));
    Some(View { leader, tip, claims, safe, seen: Instant::now() })
}

/// The highest claim that is not of the node with the highest one, or the only node's.
fn second(claims: &[Claim]) -> Option<&Claim> {
    let first = claims.first()?;
    let other = |claim: &&Claim| !claim.endpoint.is_same_node(&first.endpoint);
    claims.iter().find(other).or(Some(first))
}

async fn one(endpoint: &Arc<Endpoint>, facts: &Facts, finality: Finality) -> Result<Look, Refusal> {
    let block = |tag: &'static str| endpoint.block(json!(tag), &facts.token, facts.check);
    let Finality::Blocks(below) = finality else {
        let (tip, finalized, safe) =
            tokio::join!(block("latest"), block("finalized"), block("safe"));
        let tip = tip?.ok_or_else(|| Refusal::lie("it has no newest block"))?;
        // A finalized block above the tip: two nodes behind one name have answered.
        let within = |block: &Block| block.header.id.height <= tip.header.id.height;
        let claim = |block: Block| Claim {
            endpoint: Arc::clone(endpoint),
            height: block.header.id.height,
            hash: Some(block.header.id.hash),
        };
        let finalized = known(finalized)?.filter(within).map(claim);
        let safe = known(safe)?.filter(within).map(claim);
        return Ok(Look { endpoint: Arc::clone(endpoint), tip, finalized, safe });
    };
    let tip = block("latest").await?.ok_or_else(|| Refusal::lie("it has no newest block"))?;
    let height = tip.header.id.height.checked_sub(below);
    let claim = |height| Claim { endpoint: Arc::clone(endpoint), height, hash: None };
    let finalized = height.map(claim);
    Ok(Look { endpoint: Arc::clone(endpoint), tip, finalized, safe: None })
}

/// The block behind a tag. geth answers an error until it knows one, and some nodes do not know
/// the tag at all: neither is a failure.
fn known(answer: Result<Option<Block>, Refusal>) -> Result<Option<Block>, Refusal> {
    match answer {
        Err(refusal) if refusal.class == Class::Behind || refusal.is_of_the_question() => Ok(None),
        answer => answer,
    }
}
