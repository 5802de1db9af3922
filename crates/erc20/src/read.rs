//! Blocks read whole: headers that link, every Transfer in them, silence questioned.
//!
//! In: heights, or a verified block. Out: their blocks and Transfers. Never: a block with a
//! Transfer missing that its bloom, a second answer or its receipts can show.
//! Why: a node that is behind answers `[]` and looks healthy; that is how deposits get lost.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use payments::chain::{BlockHash, BlockId, Transfer};
use payments::watch::WatchSet;
use serde_json::json;

use crate::decode::{self, Block, BloomSays, Row};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pool::{Exhausted, Facts, Pool};
use crate::proof;
use crate::refusal::{Class, Refusal};
use crate::token::Token;

/// How many silent blocks of a window are questioned at once.
const QUESTIONED: usize = 4;

/// Contiguous blocks and the Transfers in them, ours and everybody's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stretch {
    pub(crate) blocks: Vec<Block>,
    pub(crate) rows: Vec<Row>,
}

impl Stretch {
    /// The Transfers with an address of `watch` at either end.
    pub(crate) fn matching(&self, token: &Token, watch: &WatchSet) -> Vec<Transfer> {
        let ours =
            self.rows.iter().filter(|row| watch.contains(&row.to) || watch.contains(&row.from));
        ours.filter_map(|row| {
            let block = self.blocks.get(usize::try_from(row.at).ok()?)?;
            Some(row.transfer(&block.header, token.address()))
        })
        .collect()
    }

    /// Puts `next` behind this stretch; false, and nothing is done, where it does not follow.
    pub(crate) fn join(&mut self, next: &Self) -> bool {
        if let (Some(last), Some(first)) = (self.blocks.last(), next.blocks.first())
            && last.header.id.hash != first.header.parent
        {
            return false;
        }
        let shift = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        self.blocks.extend_from_slice(&next.blocks);
        let shifted = |row: &Row| Row { at: row.at.saturating_add(shift), ..*row };
        self.rows.extend(next.rows.iter().map(shifted));
        true
    }
}

/// The blocks `from..=to` below the finalized height, read whole.
pub(crate) async fn window(pool: &Pool, from: u64, to: u64) -> Result<Stretch, Error> {
    let facts = &pool.facts;
    let headers = pool.ask(Some(to), |endpoint| async move {
        let blocks = endpoint.blocks(from, to, &facts.token, facts.check).await?;
        linked(&blocks)?;
        match blocks.last() {
            Some(last) if last.header.id.height == to => Ok(blocks),
            _ => Err(Refusal::behind(format!("it does not have height {to}"))),
        }
    });
    let (blocks, endpoint) = headers.await.map_err(|exhausted| exhausted.unread(from))?;
    if let Some(last) = blocks.last() {
        second_opinion(pool, &endpoint, last.header.id).await?;
    }
    let read = pool.ask(Some(to), |endpoint| {
        let blocks = &blocks;
        async move { logs(&endpoint, facts, blocks).await }
    });
    let ((mut rows, silent), _) = read.await.map_err(|exhausted| exhausted.unread(from))?;
    if !silent.is_empty() {
        let settled = stream::iter(silent)
            .map(|at| settle(pool, &blocks, at))
            .buffered(QUESTIONED)
            .try_collect::<Vec<_>>()
            .await?;
        rows.extend(settled.into_iter().flatten());
        rows.sort_by_key(|row| (row.at, row.log_index));
    }
    Ok(Stretch { blocks, rows })
}

/// The Transfers of `blocks[at]`, asked for by its hash.
pub(crate) async fn block(pool: &Pool, blocks: &[Block], at: usize) -> Result<Vec<Row>, Error> {
    let Some(block) = blocks.get(at) else { return Ok(Vec::new()) };
    if block.bloom == BloomSays::None {
        return Ok(Vec::new());
    }
    let height = block.header.id.height;
    let asked = pool.ask(Some(height), |endpoint| async move {
        by_hash(&endpoint, &pool.facts, block, at).await
    });
    let (rows, _) = asked.await.map_err(|exhausted| exhausted.unread(height))?;
    if rows.is_empty() && block.bloom == BloomSays::Perhaps {
        return settle(pool, blocks, at).await;
    }
    Ok(rows)
}

/// Every block follows from the one before.
fn linked(blocks: &[Block]) -> Result<(), Refusal> {
    let pairs = blocks.iter().zip(blocks.iter().skip(1));
    for (below, above) in pairs {
        if above.header.parent != below.header.id.hash {
            let height = above.header.id.height;
            return Err(Refusal::lie(format!("its block at height {height} has another parent")));
        }
    }
    Ok(())
}

/// Compares a block that can have no rival with what another endpoint has at its height. Where
/// no other endpoint answers there is nothing to compare with.
pub(crate) async fn second_opinion(
    pool: &Pool,
    first: &Endpoint,
    id: BlockId,
) -> Result<(), Error> {
    for endpoint in pool.usable().await {
        let knows = endpoint.state().tip.is_none_or(|tip| tip >= id.height);
        if endpoint.name == first.name || !knows {
            continue;
        }
        match hash_at(&endpoint, &pool.facts, id.height).await {
            Ok(Some(hash)) if hash == id.hash => return Ok(()),
            Ok(Some(hash)) => {
                return Err(Error::Disagree {
                    height: id.height,
                    one: (first.name.clone(), id.hash),
                    other: (endpoint.name.clone(), hash),
                });
            }
            Ok(None) => {}
            Err(refusal) => pool.strike(&endpoint, &refusal),
        }
    }
    Ok(())
}

/// What an endpoint has at a height.
pub(crate) async fn hash_at(
    endpoint: &Endpoint,
    facts: &Facts,
    height: u64,
) -> Result<Option<BlockHash>, Refusal> {
    let block = endpoint.block(json!(format!("{height:#x}")), &facts.token, facts.check).await?;
    match block {
        Some(block) if block.header.id.height != height => {
            Err(Refusal::lie(format!("asked for height {height}, got another")))
        }
        block => Ok(block.map(|block| block.header.id.hash)),
    }
}

/// The Transfers of contiguous blocks by ranges, and which blocks were silent although their
/// bloom was not.
async fn logs(
    endpoint: &Endpoint,
    facts: &Facts,
    blocks: &[Block],
) -> Result<(Vec<Row>, Vec<usize>), Refusal> {
    let (mut rows, mut silent) = (Vec::new(), Vec::new());
    let mut done = 0usize;
    while let Some(left) = blocks.get(done..).filter(|left| !left.is_empty()) {
        let span = usize::try_from(endpoint.span().blocks()).unwrap_or(usize::MAX);
        let part = left.get(..span).unwrap_or(left);
        // Blocks at both ends whose bloom excludes the token need no question.
        let Some(first) = part.iter().position(|block| block.bloom != BloomSays::None) else {
            done = done.saturating_add(part.len());
            continue;
        };
        let after = part.iter().rposition(|block| block.bloom != BloomSays::None);
        let after = after.map_or(part.len(), |last| last.saturating_add(1));
        let asked = part.get(first..after).unwrap_or(part);
        let start = done.saturating_add(first);
        let length = u64::try_from(asked.len()).unwrap_or(u64::MAX);
        match range(endpoint, facts, asked, start, &mut rows).await {
            Ok(counts) => {
                endpoint.span().answered(length);
                silent.extend(unheard(asked, &counts).map(|at| start.saturating_add(at)));
                done = done.saturating_add(part.len());
            }
            Err(Refusal { class: Class::Shrink { hints }, .. }) if length > 1 => {
                endpoint.span().refused(length, &hints);
            }
            // "Batch" is how some call a range.
            Err(Refusal { class: Class::Batch, .. }) if length > 1 => {
                endpoint.span().refused(length, &[]);
            }
            // One block is too much for it: its receipts hold the same logs.
            Err(Refusal { class: Class::Shrink { .. }, .. }) => {
                if let Some(block) = asked.first() {
                    rows.extend(proof::transfers(endpoint, &facts.token, block, start).await?);
                }
                done = done.saturating_add(part.len());
            }
            Err(Refusal { class: Class::Unknown, .. }) if length > 1 => endpoint.span().unknown(),
            Err(refusal) => {
                if refusal.class == Class::Timeout {
                    endpoint.span().refused(length, &[]);
                }
                return Err(refusal);
            }
        }
    }
    Ok((rows, silent))
}

/// One range of logs, appended to `rows`; the first of `blocks` is the `start`-th of its stretch.
async fn range(
    endpoint: &Endpoint,
    facts: &Facts,
    blocks: &[Block],
    start: usize,
    rows: &mut Vec<Row>,
) -> Result<Vec<u32>, Refusal> {
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(Vec::new()) };
    let filter = facts.token.in_range(first.header.id.height, last.header.id.height);
    let body = endpoint.logs(&filter).await?;
    let before = rows.len();
    let shift = u32::try_from(start).unwrap_or(u32::MAX);
    let read = decode::logs(&body, &facts.token, blocks, |log| {
        let row = log.row()?;
        rows.push(Row { at: row.at.saturating_add(shift), ..row });
        Ok(())
    });
    if read.is_err() {
        rows.truncate(before);
    }
    Ok(read?)
}

/// The blocks that had no log although their bloom says that there may be one.
fn unheard<'a>(blocks: &'a [Block], counts: &'a [u32]) -> impl Iterator<Item = usize> + 'a {
    let pairs = blocks.iter().zip(counts).enumerate();
    pairs
        .filter(|(_, (block, count))| **count == 0 && block.bloom == BloomSays::Perhaps)
        .map(|(at, _)| at)
}

async fn by_hash(
    endpoint: &Endpoint,
    facts: &Facts,
    block: &Block,
    at: usize,
) -> Result<Vec<Row>, Refusal> {
    let body = endpoint.logs(&facts.token.in_block(&block.header.id.hash)).await?;
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    let mut rows = Vec::new();
    decode::logs(&body, &facts.token, std::slice::from_ref(block), |log| {
        rows.push(Row { at, ..log.row()? });
        Ok(())
    })?;
    Ok(rows)
}

/// Settles whether a silent block is empty: the same question again, for a node that has caught
/// up meanwhile; then the receipts of whoever can prove them; and where nobody can, another
/// endpoint's logs. Receipts come before the other endpoint's word because they decide for good,
/// and an honestly empty block costs one question less.
async fn settle(pool: &Pool, blocks: &[Block], at: usize) -> Result<Vec<Row>, Error> {
    let Some(block) = blocks.get(at) else { return Ok(Vec::new()) };
    let height = block.header.id.height;
    let mut said = Exhausted::default();
    let usable = pool.usable().await;
    let mut silent: Vec<&Arc<Endpoint>> = Vec::new();
    if let Some(endpoint) = usable.first() {
        match by_hash(endpoint, &pool.facts, block, at).await {
            Ok(rows) if rows.is_empty() => silent.push(endpoint),
            Ok(rows) => return Ok(rows),
            Err(refusal) => blame(pool, &mut said, endpoint, refusal),
        }
    }
    for endpoint in &usable {
        match proof::transfers(endpoint, &pool.facts.token, block, at).await {
            Ok(rows) => {
                if !rows.is_empty() {
                    accuse(pool, &silent, height);
                }
                return Ok(rows);
            }
            Err(refusal) => blame(pool, &mut said, endpoint, refusal),
        }
    }
    for endpoint in usable.iter().skip(1) {
        match by_hash(endpoint, &pool.facts, block, at).await {
            Ok(rows) if rows.is_empty() => silent.push(endpoint),
            Ok(rows) => {
                accuse(pool, &silent, height);
                return Ok(rows);
            }
            Err(refusal) => blame(pool, &mut said, endpoint, refusal),
        }
    }
    let names: Vec<&str> = silent.iter().map(|endpoint| endpoint.name.as_str()).collect();
    let why = format!(
        "its bloom speaks of a transfer, no log came from {}, and nobody proves its receipts: {}",
        if names.is_empty() { "anybody".to_owned() } else { names.join(", ") },
        said.why()
    );
    Err(Error::Unread { height, why })
}

fn blame(pool: &Pool, said: &mut Exhausted, endpoint: &Endpoint, refusal: Refusal) {
    pool.strike(endpoint, &refusal);
    said.failed(endpoint, refusal);
}

fn accuse(pool: &Pool, silent: &[&Arc<Endpoint>], height: u64) {
    for endpoint in silent {
        pool.strike(endpoint, &Refusal::lie(format!("it left out the logs of height {height}")));
    }
}
