//! What the endpoints say about the chain's end: tips, and what is solidified.
//!
//! In: each endpoint's newest and newest solidified block. Out: whom to follow, and the highest
//! block that two of them call solidified. Never: one endpoint's word for a finality that a second
//! one could confirm; a distance to the tip assumed (it grows when witnesses miss).
//! Why: solidified is what turns a deposit into credit, and a load-balanced host answers each
//! question from another node.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use payments::chain::{BlockId, Header};
use tokio::time::Instant;

use crate::error::Error;
use crate::node::{Node, Side};
use crate::pool::{Exhausted, Pool};
use crate::refusal::Refusal;
use crate::verify;

/// How many blocks a preferred endpoint may be behind the best one and still be followed.
const LAG: u64 = 3;
/// How long a view serves while blocks far below it are read.
const FRESH: Duration = Duration::from_secs(5);

/// The end of the chain.
#[derive(Clone)]
pub(crate) struct View {
    /// The endpoint that is followed.
    pub(crate) leader: Arc<Node>,
    /// Its newest block.
    pub(crate) tip: Header,
    /// What each endpoint calls solidified, the highest first.
    pub(crate) claims: Vec<Claim>,
    seen: Instant,
}

/// A block that an endpoint calls solidified.
#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) node: Arc<Node>,
    pub(crate) id: BlockId,
}

/// What one endpoint says.
struct Look {
    node: Arc<Node>,
    tip: Header,
    solidified: BlockId,
}

impl View {
    /// The claim to follow: the highest that is of another server than the highest of all, so that
    /// none alone makes a block final; where there is only one, its own.
    pub(crate) fn finalized(&self) -> Option<&Claim> {
        let first = self.claims.first()?;
        let other = |claim: &&Claim| !claim.node.has_the_voice_of(&first.node);
        self.claims.iter().find(other).or(Some(first))
    }

    /// Whether another server than `first` has named a solidified block that is at this height or
    /// above and within the scanned chain, where it was held against ours.
    pub(crate) fn is_seconded(
        &self,
        first: &Node,
        height: u64,
        within: impl Fn(u64) -> bool,
    ) -> bool {
        self.claims.iter().any(|claim| {
            claim.id.height >= height
                && !claim.node.has_the_voice_of(first)
                && within(claim.id.height)
        })
    }

    /// Whether this view is too old for blocks near the tip, or for anything.
    pub(crate) fn is_stale(&self) -> bool {
        self.seen.elapsed() > FRESH || self.leader.rests_for().is_some()
    }
}

/// Looks at the chain's end through every endpoint. `last` is the last recorded height: an
/// endpoint that is below it is not followed while another is not.
pub(crate) async fn look(pool: &Pool, last: Option<u64>) -> Result<View, Error> {
    let mut exhausted = Exhausted::default();
    let usable = pool.usable().await;
    if usable.is_empty() {
        // Every endpoint rests: `ask` knows for how long.
        let nobody = pool.ask(None, |_| async { Err::<(), _>(Refusal::behind("it rests")) });
        return Err(nobody.await.err().unwrap_or(exhausted).error());
    }
    let looks = join_all(usable.iter().map(one)).await;
    let mut seen = Vec::with_capacity(looks.len());
    for (node, look) in usable.iter().zip(looks) {
        match look {
            Ok(look) => {
                node.answered();
                let mut state = node.state();
                state.tip = Some(look.tip.id.height);
                state.solidified = Some(look.solidified.height);
                drop(state);
                seen.push(look);
            }
            Err(refusal) => {
                pool.strike(node, &refusal);
                exhausted.failed(node, refusal);
            }
        }
    }
    for node in pool.nodes.iter().filter(|node| !usable.iter().any(|one| one.name == node.name)) {
        exhausted.rests(node);
    }
    choose(seen, last).ok_or_else(|| exhausted.error())
}

fn choose(looks: Vec<Look>, last: Option<u64>) -> Option<View> {
    let best = looks.iter().map(|look| look.tip.id.height).max()?;
    let least = best.saturating_sub(LAG).max(last.unwrap_or(0).min(best));
    let (leader, tip) = looks
        .iter()
        .find(|look| look.tip.id.height >= least)
        .map(|look| (Arc::clone(&look.node), look.tip))?;
    let mut claims: Vec<Claim> =
        looks.into_iter().map(|look| Claim { node: look.node, id: look.solidified }).collect();
    claims.sort_by_key(|claim| std::cmp::Reverse(claim.id.height));
    Some(View { leader, tip, claims, seen: Instant::now() })
}

/// The solidified block first, the tip after it, so that the one is never above the other on the
/// same node.
async fn one(node: &Arc<Node>) -> Result<Look, Refusal> {
    let solidified = verify::solidified(node).await?.id;
    let tip = node.newest(Side::Full).await?;
    Ok(Look { node: Arc::clone(node), tip, solidified })
}
