//! A chain as it is read: one scan per poll.
//!
//! In: the cursor, and a way to refresh the watched addresses. Out: a contiguous stretch of
//! verified blocks with our Transfers in it. Never: a filter that is older than the bytes it
//! filters (an address shown to somebody meanwhile would be missed for good); a gap.
//! Why: this is the one loop of the crate; everything below it answers a single question.

use std::collections::BTreeMap;
use std::sync::Arc;

use payments::chain::{BlockHash, BlockId, Cursor, Header, Scan, Transfer, TxHash};
use payments::watch::WatchSet;
use tokio::sync::Mutex;

use crate::config::{Config, Start};
use crate::error::{BoxError, Error};
use crate::far::{Far, Wanted};
use crate::near::{self, Ground, Lost, NEAR_LIMIT};
use crate::node::{Node, Side};
use crate::pool::{Exhausted, Pool};
use crate::read::{self, Stretch};
use crate::refusal::Refusal;
use crate::view::{self, View};

/// A chain, read through its endpoints.
pub struct Source {
    pub(crate) config: Config,
    pub(crate) pool: Arc<Pool>,
    pub(crate) progress: Mutex<Progress>,
}

/// What is kept from one poll to the next; losing it costs time only.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) far: Far,
    view: Option<View>,
    /// The last solidified block above the scanned stretch that was compared between endpoints.
    compared: Option<BlockId>,
    /// What solidified transactions were found to hold: it does not change any more.
    pub(crate) settled: BTreeMap<TxHash, Vec<Transfer>>,
}

/// Blocks that stand on recorded ground.
#[derive(Default)]
struct Standing {
    base: Option<BlockId>,
    stretch: Stretch,
}

impl Source {
    /// Connects, and checks every endpoint that can be reached: genesis block, solidity node,
    /// contract and decimals. One that cannot be reached is checked when it can. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`Error::WrongGenesis`], [`Error::NoSolidity`], [`Error::NoContract`] and
    /// [`Error::WrongDecimals`] where an endpoint is not what the config says;
    /// [`Error::AllEndpointsDown`] and [`Error::RateLimited`] where none can be reached.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let pool = Arc::new(Pool::new(&config)?);
        pool.verify_all().await?;
        let any = pool.ask(None, |_| async { Ok(()) }).await;
        any.map_err(|exhausted| exhausted.error())?;
        Ok(Self { config, pool, progress: Mutex::default() })
    }

    /// The id of block 0: the pinned one, or the endpoints', for the caller to pin.
    #[must_use]
    pub fn genesis(&self) -> Option<BlockHash> {
        self.pool.facts.genesis.get().copied()
    }

    /// What is new since `cursor`: far below the solidified height whole windows, near the tip a
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
            None => (Standing::default(), Arc::clone(&view.leader)),
        };
        let chain = Chain { ground: ground.as_ref(), stretch: &standing.stretch, whose: &whose };
        let finalized = self.finalized(&mut progress, cursor, &chain, &view).await?;
        drop(progress);
        let watch = refresh().await.map_err(Error::Watch)?;
        let top = standing.stretch.headers.last().map_or(0, |header| header.id.height);
        Ok(Scan {
            chain: self.config.chain.clone(),
            base: standing.base,
            transfers: standing.stretch.matching(self.pool.facts.token, &watch),
            notices: standing.stretch.notices(&watch),
            blocks: standing.stretch.headers,
            finalized,
            safe: None,
            tip: view.tip.id.height.max(top),
        })
    }

    /// The chain's end; while reading far below it, as it was a moment ago.
    pub(crate) async fn view(
        &self,
        progress: &mut Progress,
        cursor: &Cursor,
    ) -> Result<View, Error> {
        let last = cursor.last().map(|header| header.id.height);
        if let Some(view) = progress.view.as_ref().filter(|view| !view.is_stale())
            && view.finalized().is_some_and(|claim| last.is_some_and(|last| last < claim.id.height))
        {
            return Ok(view.clone());
        }
        let view = view::look(&self.pool, last).await?;
        progress.view = Some(view.clone());
        Ok(view)
    }

    /// What the scan may stand on; none where the configured start is still above the tip.
    pub(crate) async fn ground(
        &self,
        cursor: &Cursor,
        view: &View,
    ) -> Result<Option<Ground>, Error> {
        if let Some(ground) = Ground::recorded(cursor) {
            return Ok(Some(ground));
        }
        let tip = view.tip.id.height;
        let near = tip.saturating_sub(self.config.max_reorg);
        let solidified = view.finalized().map(|claim| claim.id.height);
        let next = match self.config.start {
            Start::Finalized => solidified.unwrap_or(near),
            Start::Tip => near.max(solidified.unwrap_or_default()),
            Start::Height(height) => height,
        };
        // Block 0 holds what the network began with, and no infos.
        let Some(below) = next.max(1).checked_sub(1).filter(|below| *below <= tip) else {
            return Ok(None);
        };
        let next = below.saturating_add(1);
        if below == 0 {
            return Ok(Some(Ground::fresh(self.block_zero(), next)));
        }
        // Of the endpoint that is followed: another one may be on another fork.
        let base = view.leader.header(below).await.and_then(|base| {
            base.ok_or_else(|| Refusal::behind("it does not have the block below the start"))
        });
        match base {
            Ok(base) => Ok(Some(Ground::fresh(Some(base), next))),
            Err(refusal) => {
                self.pool.strike(&view.leader, &refusal);
                let mut exhausted = Exhausted::default();
                exhausted.failed(&view.leader, refusal);
                Err(exhausted.unread(below))
            }
        }
    }

    /// Block 0 as a base to stand on: its id was compared with the pinned one.
    fn block_zero(&self) -> Option<Header> {
        let id = BlockId { height: 0, hash: self.genesis()? };
        Some(Header { id, parent: BlockHash([0; 32]), time: payments::time::Time(0) })
    }

    /// The stretch above `ground`, and whose chain it is.
    async fn stretch(
        &self,
        progress: &mut Progress,
        ground: &Ground,
        view: &View,
    ) -> Result<(Standing, Arc<Node>), Error> {
        let tip = view.tip.id.height;
        let solidified = view.finalized().map(|claim| claim.id.height.min(tip));
        let Some(to) = solidified.filter(|height| *height >= ground.next) else {
            return self.near(ground, view).await;
        };
        // What one poll reads near the tip is linked down to the recorded chain and holds the
        // solidified block itself, so a short gap needs no windows.
        let long = tip.saturating_sub(ground.next) >= NEAR_LIMIT;
        if long || progress.far.goes_on_at(ground.next) {
            let wanted = Wanted { from: ground.next, to, span: self.config.window };
            let stretch = progress.far.next(&self.pool, wanted).await?;
            let follows = stretch
                .headers
                .first()
                .is_some_and(|first| ground.last().is_none_or(|last| last.hash == first.parent));
            if follows {
                let standing = Standing { base: ground.last(), stretch };
                return Ok((standing, Arc::clone(&view.leader)));
            }
            // Recorded blocks above the solidified height were replaced while nobody looked.
            progress.far.clear();
        }
        let (standing, node) = self.near(ground, view).await?;
        let Some(top) = standing.stretch.headers.last().map(|header| header.id) else {
            // To say that nothing is new would make final what is recorded.
            let why = "what is solidified does not follow from what is recorded".to_owned();
            return Err(Error::Unread { height: ground.next, why });
        };
        if top.height <= to {
            // It ends below the solidified block, and nothing shows that it leads there.
            read::second_opinion(&self.pool, &node, top).await?;
        }
        Ok((standing, node))
    }

    /// The stretch near the tip, as the leader has it, or another endpoint where the leader's
    /// chain leaves the recorded one too deep; and whose it is.
    async fn near(&self, ground: &Ground, view: &View) -> Result<(Standing, Arc<Node>), Error> {
        let mut lost: Option<(Lost, Arc<Node>)> = None;
        let others = if ground.recorded { self.pool.usable().await } else { Vec::new() };
        let others = others.iter().filter(|node| !Arc::ptr_eq(node, &view.leader));
        for node in std::iter::once(&view.leader).chain(others) {
            let path = if Arc::ptr_eq(node, &view.leader) {
                near::path(node, ground, &view.tip).await
            } else {
                match node.newest(Side::Full).await {
                    // Its fork may have ended long ago.
                    Ok(tip) if tip.id.height.saturating_add(1) < ground.next => {
                        Err(Refusal::behind("it is below what is recorded").into())
                    }
                    Ok(tip) => near::path(node, ground, &tip).await,
                    Err(refusal) => Err(refusal.into()),
                }
            };
            match path {
                Ok((base, path)) => {
                    if let Some((Lost::Below { height, .. }, outlier)) = &lost {
                        let why = format!("its chain leaves the recorded one below {height}");
                        self.pool.strike(outlier, &Refusal::lie(why));
                    }
                    let stretch = read::whole(&self.pool, node, path).await?;
                    return Ok((Standing { base, stretch }, Arc::clone(node)));
                }
                Err(new) => {
                    if let Lost::Refused(refusal) = &new {
                        self.pool.strike(node, refusal);
                    }
                    if !matches!(lost, Some((Lost::Below { .. }, _))) {
                        lost = Some((new, Arc::clone(node)));
                    }
                }
            }
        }
        let nobody = || Error::Unread { height: ground.next, why: "nobody was asked".to_owned() };
        Err(lost.map_or_else(nobody, |(lost, node)| lost.error(&node, ground)))
    }

    /// The solidified block of this scan: never below the recorded one, and in the scanned chain
    /// where it lies within it.
    pub(crate) async fn finalized(
        &self,
        progress: &mut Progress,
        cursor: &Cursor,
        chain: &Chain<'_>,
        view: &View,
    ) -> Result<Option<BlockId>, Error> {
        let known = cursor.finalized;
        let Some(claim) = view.finalized() else { return Ok(known) };
        if known.is_some_and(|known| claim.id.height <= known.height) {
            return Ok(known);
        }
        if chain.top().is_some_and(|top| claim.id.height <= top.height) {
            let within = self.within(cursor, chain, view, claim.id.height)?;
            if let Some(id) = within.filter(|id| cursor.finalized != Some(*id))
                && !view.is_seconded(chain.whose, id.height, |at| chain.at(at).is_some())
            {
                self.seconded(progress, chain.whose, id).await?;
            }
            return Ok(within);
        }
        let leader = &view.leader;
        if !Arc::ptr_eq(&claim.node, leader) {
            match leader.header(claim.id.height).await {
                Ok(Some(header)) if header.id == claim.id => {}
                Ok(Some(header)) => {
                    return Err(read::disagree(leader, header.id, &claim.node, claim.id));
                }
                Ok(None) => return Ok(known),
                Err(refusal) => {
                    self.pool.strike(leader, &refusal);
                    return Ok(known);
                }
            }
        }
        self.seconded(progress, &claim.node, claim.id).await?;
        Ok(Some(claim.id))
    }

    /// Compares a solidified block with what another server has at its height, once.
    async fn seconded(
        &self,
        progress: &mut Progress,
        node: &Node,
        id: BlockId,
    ) -> Result<(), Error> {
        if progress.compared != Some(id) {
            read::second_opinion(&self.pool, node, id).await?;
            progress.compared = Some(id);
        }
        Ok(())
    }

    /// The solidified block inside the scanned chain, held against every endpoint's claim.
    fn within(
        &self,
        cursor: &Cursor,
        chain: &Chain<'_>,
        view: &View,
        height: u64,
    ) -> Result<Option<BlockId>, Error> {
        for claim in &view.claims {
            let Some(ours) = chain.at(claim.id.height).filter(|ours| *ours != claim.id) else {
                continue;
            };
            if !claim.node.is_same_server(&view.leader) {
                return Err(read::disagree(&view.leader, ours, &claim.node, claim.id));
            }
            // Its own chain does not hold the block it calls solidified.
            let why = format!("it calls {} solidified, which is not in its chain", claim.id.hash);
            self.pool.strike(&view.leader, &Refusal::lie(why));
            return Ok(cursor.finalized);
        }
        Ok(chain.at(height).or(cursor.finalized))
    }
}

/// The recorded chain with a stretch on it.
pub(crate) struct Chain<'a> {
    pub(crate) ground: Option<&'a Ground>,
    pub(crate) stretch: &'a Stretch,
    /// Who showed it.
    pub(crate) whose: &'a Arc<Node>,
}

impl Chain<'_> {
    fn top(&self) -> Option<BlockId> {
        let stretch = self.stretch.headers.last().map(|header| header.id);
        stretch.or_else(|| self.ground?.last())
    }

    /// Whether a block is this chain's, as far as its height is known here.
    pub(crate) fn may_hold(&self, cursor: &Cursor, block: BlockId) -> bool {
        let new = self.at(block.height).is_none_or(|ours| ours == block);
        let recorded = cursor.at(block.height).is_none_or(|ours| ours.id == block);
        let replaced = self.stretch.headers.first().is_some_and(|h| h.id.height <= block.height);
        new && (recorded || replaced)
    }

    fn at(&self, height: u64) -> Option<BlockId> {
        let first = self.stretch.headers.first().map(|header| header.id.height);
        let header: &Header = match first.and_then(|first| height.checked_sub(first)) {
            Some(at) => self.stretch.headers.get(usize::try_from(at).ok()?)?,
            None => self.ground?.at(height)?,
        };
        Some(header.id)
    }
}
