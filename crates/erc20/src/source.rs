//! A chain as it is read: one scan per poll.
//!
//! In: the cursor, and a way to refresh the watched addresses. Out: a contiguous stretch of
//! verified blocks with our Transfers in it. Never: a filter that is older than the bytes it
//! filters (an address shown to somebody meanwhile would be missed for good); a gap.
//! Why: this is the one loop of the crate; everything below it answers a single question.

use std::sync::Arc;

use payments::chain::{BlockHash, BlockId, Cursor, Header, Scan};
use payments::watch::WatchSet;
use serde_json::json;
use tokio::sync::Mutex;

use crate::config::{Config, Start};
use crate::doorbell::{Doorbell, Ringer};
use crate::endpoint::Endpoint;
use crate::error::{BoxError, Error};
use crate::far::{Far, JOINED_BLOCKS, Wanted};
use crate::near::{self, Ground, Lost, Standing};
use crate::pool::{Exhausted, Pool};
use crate::read::{self, Stretch};
use crate::refusal::Refusal;
use crate::settle;
use crate::view::{self, View};

/// Transfers of ours that one scan is meant to hold at most. The more, the more often a page of the
/// books is written once for several of them; its commit keeps everybody else who writes waiting.
const OURS: usize = 24_576;

/// How far below the newest block a rival is one that will not go away: near the tip honest nodes
/// may differ for a moment, and a header proves that it is whole, not that it is the chain's.
const SETTLED: u64 = 6;

/// A chain, read through its endpoints.
pub struct Source {
    pub(crate) config: Config,
    pub(crate) pool: Arc<Pool>,
    progress: Mutex<Progress>,
    ringer: Ringer,
}

/// What is kept from one poll to the next; losing it costs time only.
#[derive(Default)]
struct Progress {
    far: Far,
    view: Option<View>,
    /// The last finalized block that was compared between endpoints because no other one had
    /// called it final, and the last one that lay deep enough.
    compared: Option<BlockId>,
    settled: Option<BlockId>,
    /// How many blocks held [`OURS`], by the last scan; none where it held nothing of ours.
    dense: Option<usize>,
}

impl Source {
    /// Connects, and checks every endpoint that can be reached: chain id, genesis block, contract
    /// and decimals. One that cannot be reached is checked when it can. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Error::WrongChain`], [`Error::WrongGenesis`], [`Error::NoCode`] and
    /// [`Error::WrongDecimals`] where an endpoint is not what the config says;
    /// [`Error::AllEndpointsDown`] where none can be reached.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let pool = Arc::new(Pool::new(&config)?);
        pool.verify_all().await?;
        let any = pool.ask(None, |_| async { Ok(()) }).await;
        any.map_err(|exhausted| exhausted.error())?;
        let ringer = Ringer::start(&config, pool.facts.token.clone());
        Ok(Self { config, pool, progress: Mutex::default(), ringer })
    }

    /// The hash of block 0: the pinned one, or the endpoints', for the caller to pin.
    #[must_use]
    pub fn genesis(&self) -> Option<BlockHash> {
        self.pool.facts.genesis.get().copied()
    }

    /// What ends the sleep between two polls.
    #[must_use]
    pub fn doorbell(&self) -> Doorbell {
        self.ringer.doorbell()
    }

    /// What is new since `cursor`: far below the finalized height whole windows, near the tip a
    /// bounded number of blocks. `refresh` is called after the bytes were fetched and before they
    /// are filtered.
    ///
    /// # Errors
    /// Any [`Error`]; none of them loses anything, the next poll goes on from the cursor.
    pub async fn poll<Watched>(
        &self,
        cursor: &Cursor,
        refresh: impl Fn() -> Watched,
    ) -> Result<Scan, Error>
    where
        Watched: Future<Output = Result<Arc<WatchSet>, BoxError>>,
    {
        let mut progress = self.progress.lock().await;
        let view = self.view(&mut progress, cursor).await?;
        let ground = self.ground(cursor, &view).await?;
        let (standing, whose) = match &ground {
            Some(ground) => self.stretch(&mut progress, ground, &view).await?,
            None => {
                let nothing = Standing { base: None, stretch: Stretch::default() };
                (nothing, Arc::clone(&view.leader))
            }
        };
        let chain = Chain { ground: ground.as_ref(), stretch: &standing.stretch, whose: &whose };
        let finalized = self.finalized(&mut progress, cursor, &chain, &view).await?;
        drop(progress);
        // Above the stretch it is known by its height alone.
        let safe = view
            .safe(|claim| chain.at(claim.height).is_none_or(|ours| claim.hash == Some(ours.hash)));
        let watch = refresh().await.map_err(Error::Watch)?;
        let Standing { base, stretch } = standing;
        let stretch = settle::believed(&self.pool, stretch, &watch).await?;
        let dense = stretch.blocks.len().saturating_mul(OURS).checked_div(stretch.rows.len());
        self.progress.lock().await.dense = dense;
        let top = stretch.blocks.last().map_or(0, |top| top.header.id.height);
        Ok(Scan {
            chain: self.config.chain.clone(),
            base,
            blocks: stretch.blocks.iter().map(|block| block.header).collect(),
            transfers: stretch.transfers(&self.pool.facts.token),
            notices: stretch.notices(),
            finalized,
            safe,
            tip: view.tip.header.id.height.max(top),
        })
    }

    /// The chain's end; while reading far below it, as it was a moment ago.
    async fn view(&self, progress: &mut Progress, cursor: &Cursor) -> Result<View, Error> {
        let last = cursor.last().map(|header| header.id.height);
        if let Some(view) = progress.view.as_ref().filter(|view| !view.is_stale())
            && view.finalized().is_some_and(|claim| last.is_some_and(|last| last < claim.height))
        {
            return Ok(view.clone());
        }
        let view = view::look(&self.pool, self.config.finality, last).await?;
        progress.view = Some(view.clone());
        Ok(view)
    }

    /// What the scan may stand on; none where the configured start is still above the tip.
    async fn ground(&self, cursor: &Cursor, view: &View) -> Result<Option<Ground>, Error> {
        if let Some(ground) = Ground::recorded(cursor) {
            return Ok(Some(ground));
        }
        let tip = view.tip.header.id.height;
        let near = tip.saturating_sub(self.config.max_reorg);
        let finalized = view.finalized().map(|claim| claim.height);
        let next = match self.config.start {
            Start::Finalized => finalized.unwrap_or(near),
            Start::Tip => near.max(finalized.unwrap_or_default()),
            Start::Height(height) => height,
        };
        let Some(below) = next.checked_sub(1) else {
            return Ok(Some(Ground::fresh(None, next)));
        };
        if below > tip {
            return Ok(None);
        }
        // Of the endpoint that is followed: another one may be on another branch.
        let base = view.leader.block_at(below, &self.pool.facts).await;
        let base = base.and_then(|base| {
            base.ok_or_else(|| Refusal::behind("it does not have the block below the start"))
        });
        match base {
            Ok(base) => Ok(Some(Ground::fresh(Some(base.header), next))),
            Err(refusal) => {
                self.pool.strike(&view.leader, &refusal);
                let mut exhausted = Exhausted::default();
                exhausted.failed(&view.leader, refusal);
                Err(exhausted.unread(below))
            }
        }
    }

    /// The stretch above `ground`, and whose chain it is.
    async fn stretch(
        &self,
        progress: &mut Progress,
        ground: &Ground,
        view: &View,
    ) -> Result<(Standing, Arc<Endpoint>), Error> {
        let final_height = view.finalized().map(|claim| claim.height);
        if let Some(to) = final_height.filter(|height| *height >= ground.next) {
            let span = view.leader.span().blocks();
            let in_flight = self.config.in_flight;
            let joined = progress.dense.unwrap_or(JOINED_BLOCKS).min(JOINED_BLOCKS);
            let wanted = Wanted { from: ground.next, to, span, in_flight, joined };
            let stretch = progress.far.next(&self.pool, wanted).await?;
            let first = stretch.blocks.first();
            let follows = first.is_some_and(|first| {
                ground.last().is_none_or(|last| last.hash == first.header.parent)
            });
            if follows {
                let standing = Standing { base: ground.last(), stretch };
                return Ok((standing, Arc::clone(&view.leader)));
            }
            // Recorded blocks above the finalized height were replaced while nobody looked.
            progress.far.clear();
            let (standing, endpoint) = self.near(ground, view).await?;
            let Some(top) = standing.stretch.blocks.last().map(|block| block.header.id) else {
                // To say that nothing is new would make final what is recorded.
                let why = "what is final does not follow from what is recorded".to_owned();
                return Err(Error::Unread { height: ground.next, why });
            };
            if top.height <= to {
                read::second_opinion(&self.pool, &endpoint, top).await?;
            }
            return Ok((standing, endpoint));
        }
        let (standing, endpoint) = self.near(ground, view).await?;
        let chain = Chain { ground: Some(ground), stretch: &standing.stretch, whose: &endpoint };
        let deep = chain.top().and_then(|top| chain.at(top.height.checked_sub(SETTLED)?));
        if let Some(deep) = deep.filter(|_| !standing.stretch.blocks.is_empty()) {
            self.seconded(&mut progress.settled, &endpoint, deep).await?;
        }
        Ok((standing, endpoint))
    }

    /// Compares a block with what another node has at its height, once.
    async fn seconded(
        &self,
        compared: &mut Option<BlockId>,
        endpoint: &Endpoint,
        id: BlockId,
    ) -> Result<(), Error> {
        if *compared != Some(id) {
            read::second_opinion(&self.pool, endpoint, id).await?;
            *compared = Some(id);
        }
        Ok(())
    }

    /// The stretch near the tip, as the leader has it, or another endpoint where the leader's
    /// chain leaves the recorded one too deep; and whose it is.
    async fn near(&self, ground: &Ground, view: &View) -> Result<(Standing, Arc<Endpoint>), Error> {
        let facts = &self.pool.facts;
        let mut lost: Option<(Lost, Arc<Endpoint>)> = None;
        let others = if ground.recorded { self.pool.usable().await } else { Vec::new() };
        let others = others.iter().filter(|endpoint| !Arc::ptr_eq(endpoint, &view.leader));
        for endpoint in std::iter::once(&view.leader).chain(others) {
            let path = if Arc::ptr_eq(endpoint, &view.leader) {
                near::path(endpoint, facts, ground, &view.tip).await
            } else {
                match endpoint.block(json!("latest"), &facts.token, facts.check).await {
                    // Its branch may have ended long ago.
                    Ok(Some(tip)) if tip.header.id.height.saturating_add(1) < ground.next => {
                        Err(Refusal::behind("it is below what is recorded").into())
                    }
                    Ok(Some(tip)) => near::path(endpoint, facts, ground, &tip).await,
                    Ok(None) => Err(Refusal::lie("it has no newest block").into()),
                    Err(refusal) => Err(refusal.into()),
                }
            };
            match path {
                Ok((base, path)) => {
                    if let Some((Lost::Below { height, .. }, outlier)) = &lost {
                        let why = format!("its chain leaves the recorded one below {height}");
                        self.pool.strike(outlier, &Refusal::lie(why));
                    }
                    let in_flight = self.config.in_flight;
                    let stretch = near::climb(&self.pool, path, in_flight).await?;
                    return Ok((Standing { base, stretch }, Arc::clone(endpoint)));
                }
                Err(new) => {
                    if let Lost::Refused(refusal) = &new {
                        self.pool.strike(endpoint, refusal);
                    }
                    if !matches!(lost, Some((Lost::Below { .. }, _))) {
                        lost = Some((new, Arc::clone(endpoint)));
                    }
                }
            }
        }
        let nobody = || Error::Unread { height: ground.next, why: "nobody was asked".to_owned() };
        Err(lost.map_or_else(nobody, |(lost, endpoint)| lost.error(&endpoint, ground)))
    }

    /// The finalized block of this scan: never below the recorded one, and in the scanned chain
    /// where it lies within it.
    async fn finalized(
        &self,
        progress: &mut Progress,
        cursor: &Cursor,
        chain: &Chain<'_>,
        view: &View,
    ) -> Result<Option<BlockId>, Error> {
        let known = cursor.finalized;
        let Some(claim) = view.finalized() else { return Ok(known) };
        if known.is_some_and(|known| claim.height <= known.height) {
            return Ok(known);
        }
        if chain.top().is_some_and(|top| claim.height <= top.height) {
            let within = self.within(cursor, chain, view, claim.height)?;
            if let Some(id) = within.filter(|id| cursor.finalized != Some(*id))
                && !view.is_seconded(chain.whose, id.height, |at| chain.at(at).is_some())
            {
                self.seconded(&mut progress.compared, chain.whose, id).await?;
            }
            return Ok(within);
        }
        let leader = &view.leader;
        let hash = match claim.hash.filter(|_| Arc::ptr_eq(&claim.endpoint, leader)) {
            Some(hash) => hash,
            None => match leader.block_at(claim.height, &self.pool.facts).await {
                Ok(Some(block)) => block.header.id.hash,
                Ok(None) => return Ok(known),
                Err(refusal) => {
                    self.pool.strike(leader, &refusal);
                    return Ok(known);
                }
            },
        };
        let id = BlockId { height: claim.height, hash };
        if let Some(claimed) = claim.hash.filter(|claimed| *claimed != hash) {
            return Err(disagree(leader, id, &claim.endpoint, claimed));
        }
        self.seconded(&mut progress.compared, leader, id).await?;
        Ok(Some(id))
    }

    /// The finalized block inside the scanned chain, held against every endpoint's claim.
    fn within(
        &self,
        cursor: &Cursor,
        chain: &Chain<'_>,
        view: &View,
        height: u64,
    ) -> Result<Option<BlockId>, Error> {
        for claim in &view.claims {
            let (Some(hash), Some(ours)) = (claim.hash, chain.at(claim.height)) else { continue };
            if hash == ours.hash {
                continue;
            }
            if !Arc::ptr_eq(&claim.endpoint, &view.leader) {
                return Err(disagree(&view.leader, ours, &claim.endpoint, hash));
            }
            // Its own chain does not hold the block it calls final.
            let why = format!("it calls {hash} final, which is not in its chain");
            self.pool.strike(&view.leader, &Refusal::lie(why));
            return Ok(cursor.finalized);
        }
        Ok(chain.at(height).or(cursor.finalized))
    }
}

/// The recorded chain with a stretch on it, as one endpoint has it.
struct Chain<'a> {
    ground: Option<&'a Ground>,
    stretch: &'a Stretch,
    whose: &'a Arc<Endpoint>,
}

impl Chain<'_> {
    fn top(&self) -> Option<BlockId> {
        let stretch = self.stretch.blocks.last().map(|block| block.header.id);
        stretch.or_else(|| self.ground?.last())
    }

    fn at(&self, height: u64) -> Option<BlockId> {
        let first = self.stretch.blocks.first().map(|block| block.header.id.height);
        let header: &Header = match first.and_then(|first| height.checked_sub(first)) {
            Some(at) => &self.stretch.blocks.get(usize::try_from(at).ok()?)?.header,
            None => self.ground?.at(height)?,
        };
        Some(header.id)
    }
}

fn disagree(one: &Endpoint, id: BlockId, other: &Endpoint, hash: BlockHash) -> Error {
    Error::Disagree {
        height: id.height,
        one: (one.name.clone(), id.hash),
        other: (other.name.clone(), hash),
    }
}
