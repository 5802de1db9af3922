//! Blocks read whole: headers that link, every Transfer in them, silence questioned.
//!
//! In: heights, or a verified block. Out: their blocks, Transfers and notices, and on whose word.
//! Never: a silent block whose bloom speaks; a rival where there can be none.
//! Why: a node that is behind answers `[]` and looks healthy; that is how deposits get lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::chain::{BlockId, Transfer};
use payments::notice::Notice;
use payments::watch::WatchSet;

use crate::config::Prove;
use crate::decode::{self, Block, BloomSays, Row};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pool::{Facts, Pool};
use crate::proof;
use crate::refusal::{Class, Refusal};
use crate::settle;
use crate::token::Token;

/// Contiguous blocks and the Transfers in them, ours and everybody's.
#[derive(Clone, Default)]
pub(crate) struct Stretch {
    pub(crate) blocks: Vec<Block>,
    /// In chain order.
    pub(crate) rows: Vec<Row>,
    /// On whose word each block's rows are taken; nobody's where its receipts prove them.
    pub(crate) words: Vec<Option<Arc<Endpoint>>>,
}

/// The Transfers of one block.
pub(crate) struct Read {
    pub(crate) rows: Vec<Row>,
    /// On whose word; nobody's where the receipts prove them.
    pub(crate) word: Option<Arc<Endpoint>>,
}

/// Whether no Transfer of the token itself is among these.
pub(crate) fn are_silent(rows: &[Row]) -> bool {
    !rows.iter().any(Row::is_of_token)
}

impl Stretch {
    /// The rows with an address of `watch` at either end; of other tokens, those that reach one;
    /// and what the issuer says about everybody, or about such an address.
    pub(crate) fn ours(&self, watch: &WatchSet) -> Vec<Row> {
        let sent = |row: &Row| row.other.is_none() && watch.contains(&row.from);
        let ours = |row: &&Row| match &row.notice {
            Some(notice) => notice.account().is_none_or(|account| watch.contains(&account)),
            None => watch.contains(&row.to) || sent(row),
        };
        self.rows.iter().filter(ours).copied().collect()
    }

    /// Its rows as Transfers.
    pub(crate) fn transfers(&self, token: &Token) -> Vec<Transfer> {
        let transfer = |row: &Row| {
            let block = self.blocks.get(usize::try_from(row.at).ok()?)?;
            row.transfer(&block.header, token.address())
        };
        self.rows.iter().filter_map(transfer).collect()
    }

    /// Its rows as notices.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let notice = |row: &Row| {
            let block = self.blocks.get(usize::try_from(row.at).ok()?)?;
            row.said(&block.header)
        };
        self.rows.iter().filter_map(notice).collect()
    }

    /// Puts `next` behind this stretch; false, and nothing is done, where it does not follow.
    pub(crate) fn join(&mut self, next: &Self) -> bool {
        if let (Some(last), Some(first)) = (self.blocks.last(), next.blocks.first())
            && last.header.id.hash != first.header.parent
        {
            return false;
        }
        let shift = place(self.blocks.len());
        self.blocks.extend_from_slice(&next.blocks);
        let shifted = |row: &Row| Row { at: row.at.saturating_add(shift), ..*row };
        self.rows.extend(next.rows.iter().map(shifted));
        self.words.extend_from_slice(&next.words);
        true
    }

    /// Puts one block behind this stretch.
    pub(crate) fn push(&mut self, block: Block, read: Read) {
        self.blocks.push(block);
        self.rows.extend(read.rows);
        self.words.push(read.word);
    }

    /// Leaves the first `length` blocks.
    pub(crate) fn cut(&mut self, length: usize) {
        self.blocks.truncate(length);
        self.words.truncate(length);
        self.rows.retain(|row| row.at < place(length));
    }

    /// Puts what was found out about some blocks, by their place, where an endpoint's word was.
    pub(crate) fn replace(&mut self, found: BTreeMap<usize, Read>) {
        let places: BTreeSet<u32> = found.keys().map(|at| place(*at)).collect();
        self.rows.retain(|row| !places.contains(&row.at));
        for (at, read) in found {
            self.rows.extend(read.rows);
            if let Some(word) = self.words.get_mut(at) {
                *word = read.word;
            }
        }
        self.rows.sort_unstable_by_key(|row| (row.at, row.log_index));
    }
}

/// A block's place in its stretch, as rows have it.
pub(crate) fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
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
    if facts.prove == Prove::Always {
        let unread = 0..blocks.len();
        let words = vec![None; blocks.len()];
        let mut stretch = Stretch { blocks, rows: Vec::new(), words };
        let found = settle::each(unread, |at| block(pool, &stretch.blocks, at)).await?;
        stretch.replace(found);
        return Ok(stretch);
    }
    let read = pool.ask(Some(to), |endpoint| {
        let blocks = &blocks;
        async move { logs(&endpoint, facts, blocks).await }
    });
    let (told, endpoint) = read.await.map_err(|exhausted| exhausted.unread(from))?;
    let words = vec![Some(endpoint); blocks.len()];
    let mut stretch = Stretch { blocks, rows: told.rows, words };
    for at in told.proved {
        if let Some(word) = stretch.words.get_mut(at) {
            *word = None;
        }
    }
    if !told.silent.is_empty() {
        let found = settle::silence(pool, &stretch, told.silent).await?;
        stretch.replace(found);
    }
    Ok(stretch)
}

/// The Transfers of `blocks[at]`, asked for by its hash.
pub(crate) async fn block(pool: &Pool, blocks: &[Block], at: usize) -> Result<Read, Error> {
    let none = || Read { rows: Vec::new(), word: None };
    let Some(block) = blocks.get(at) else { return Ok(none()) };
    if block.bloom == BloomSays::None {
        return Ok(none());
    }
    if pool.facts.prove == Prove::Always {
        return settle::proved(pool, blocks, at).await;
    }
    let height = block.header.id.height;
    let asked = pool.ask(Some(height), |endpoint| async move {
        by_hash(&endpoint, &pool.facts, block, at).await
    });
    let (rows, endpoint) = asked.await.map_err(|exhausted| exhausted.unread(height))?;
    if are_silent(&rows) && matches!(block.bloom, BloomSays::Perhaps(_)) {
        return settle::silent(pool, blocks, at).await;
    }
    Ok(Read { rows, word: Some(endpoint) })
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

/// Compares a block that can have no rival with what another node has at its height. Where no
/// other node answers there is nothing to compare with.
pub(crate) async fn second_opinion(
    pool: &Pool,
    first: &Endpoint,
    id: BlockId,
) -> Result<(), Error> {
    for endpoint in pool.usable().await {
        let knows = endpoint.state().tip.is_none_or(|tip| tip >= id.height);
        if endpoint.is_same_node(first) || !knows {
            continue;
        }
        match endpoint.block_at(id.height, &pool.facts).await {
            Ok(Some(block)) if block.header.id == id => return Ok(()),
            Ok(Some(block)) => {
                return Err(Error::Disagree {
                    height: id.height,
                    one: (first.name.clone(), id.hash),
                    other: (endpoint.name.clone(), block.header.id.hash),
                });
            }
            Ok(None) => {}
            Err(refusal) => pool.strike(&endpoint, &refusal),
        }
    }
    Ok(())
}

/// What one endpoint says of contiguous blocks.
#[derive(Default)]
struct Told {
    rows: Vec<Row>,
    /// The blocks that were silent although their bloom was not.
    silent: Vec<usize>,
    /// The blocks that were proved, because their logs were too many for an answer.
    proved: Vec<usize>,
}

/// The Transfers of contiguous blocks by ranges.
async fn logs(endpoint: &Endpoint, facts: &Facts, blocks: &[Block]) -> Result<Told, Refusal> {
    let mut told = Told::default();
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
        match range(endpoint, facts, asked, start, &mut told.rows).await {
            Ok(counts) => {
                endpoint.span().answered(length);
                let silent = unheard(asked, &counts).map(|at| start.saturating_add(at));
                told.silent.extend(silent);
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
                    let rows = proof::transfers(endpoint, &facts.token, block, start).await?;
                    told.rows.extend(rows);
                    told.proved.push(start);
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
    Ok(told)
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
    let shift = place(start);
    let read = decode::logs(&body, &facts.token, blocks, |log| {
        let row = log.row()?;
        rows.push(Row { at: row.at.saturating_add(shift), ..row });
        Ok(())
    });
    if read.is_err() {
        rows.truncate(before);
    }
    read.map_err(|error| endpoint.refusal(error))
}

/// The blocks that had no log although their bloom says that there may be one.
fn unheard<'a>(blocks: &'a [Block], counts: &'a [u32]) -> impl Iterator<Item = usize> + 'a {
    let pairs = blocks.iter().zip(counts).enumerate();
    pairs
        .filter(|(_, (block, count))| **count == 0 && matches!(block.bloom, BloomSays::Perhaps(_)))
        .map(|(at, _)| at)
}

/// What one endpoint says of `block`, which is the `at`-th of its stretch.
pub(crate) async fn by_hash(
    endpoint: &Endpoint,
    facts: &Facts,
    block: &Block,
    at: usize,
) -> Result<Vec<Row>, Refusal> {
    let body = endpoint.logs(&facts.token.in_block(&block.header.id.hash)).await?;
    let at = place(at);
    let mut rows = Vec::new();
    decode::logs(&body, &facts.token, std::slice::from_ref(block), |log| {
        rows.push(Row { at, ..log.row()? });
        Ok(())
    })
    .map_err(|error| endpoint.refusal(error))?;
    Ok(rows)
}
