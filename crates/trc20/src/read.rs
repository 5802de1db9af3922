//! Blocks read whole: headers that link, transactions that hash, the infos of each.
//!
//! In: heights, or verified blocks. Out: their headers and Transfers. Never: a block whose infos
//! are not of exactly its transactions. Why: a node that is behind, or keeps no infos, answers
//! `[]` and looks healthy; that is how deposits get lost.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use payments::address::Address;
use payments::chain::{BlockId, Header, Transfer};
use payments::notice::Notice;
use payments::watch::WatchSet;

use crate::decode::{self, Asked, Block, Row};
use crate::error::Error;
use crate::far::JOINED_ROWS;
use crate::node::Node;
use crate::pool::Pool;
use crate::refusal::{Class, Refusal};

/// Contiguous blocks and the Transfers in them, ours and everybody's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stretch {
    pub(crate) headers: Vec<Header>,
    pub(crate) rows: Vec<Row>,
}

impl Stretch {
    /// The Transfers with an address of `watch` at either end; of other tokens, those that reach
    /// one.
    pub(crate) fn matching(&self, token: Address, watch: &WatchSet) -> Vec<Transfer> {
        let sent = |row: &Row| row.other.is_none() && watch.contains(&row.from);
        let ours = self.rows.iter().filter(|row| watch.contains(&row.to) || sent(row));
        ours.filter_map(|row| {
            let header = self.headers.get(usize::try_from(row.at).ok()?)?;
            row.transfer(header, token)
        })
        .collect()
    }

    /// What the token's issuer says about everybody, or about an address of `watch`.
    pub(crate) fn notices(&self, watch: &WatchSet) -> Vec<Notice> {
        let ours =
            |notice: &Notice| notice.what.account().is_none_or(|account| watch.contains(&account));
        let notice = |row: &Row| {
            let header = self.headers.get(usize::try_from(row.at).ok()?)?;
            row.said(header)
        };
        self.rows.iter().filter_map(notice).filter(ours).collect()
    }

    /// Puts `next` behind this stretch; false, and nothing is done, where it does not follow.
    pub(crate) fn join(&mut self, next: &Self) -> bool {
        if let (Some(last), Some(first)) = (self.headers.last(), next.headers.first())
            && last.id.hash != first.parent
        {
            return false;
        }
        let shift = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        self.headers.extend_from_slice(&next.headers);
        let shifted = |row: &Row| Row { at: row.at.saturating_add(shift), ..*row };
        self.rows.extend(next.rows.iter().map(shifted));
        true
    }
}

/// The blocks `from..=to` below the solidified height, read whole; fewer where one above the first
/// cannot be read now.
pub(crate) async fn window(pool: &Pool, from: u64, to: u64) -> Result<Stretch, Error> {
    let asked = pool.ask(Some(to), |node| async move {
        let blocks = node.blocks(from, to).await?;
        linked(&blocks)?;
        match blocks.last() {
            Some(last) if last.header.id.height == to => Ok(blocks),
            _ => Err(Refusal::behind(format!("it does not have height {to}"))),
        }
    });
    let (blocks, node) = asked.await.map_err(|exhausted| exhausted.unread(from))?;
    if let Some(last) = blocks.last() {
        second_opinion(pool, &node, last.header.id).await?;
    }
    whole(pool, &node, blocks).await
}

/// The Transfers of linked blocks of `whose` chain: of all of them, or of those below the first
/// that cannot be read, or so many that more are not held at once.
pub(crate) async fn whole(
    pool: &Pool,
    whose: &Arc<Node>,
    blocks: Vec<Block>,
) -> Result<Stretch, Error> {
    let mut stretch = Stretch::default();
    let asked: Vec<_> =
        blocks.iter().zip(0u32..).map(|(block, at)| infos(pool, whose, block, at)).collect();
    let mut read = stream::iter(asked).buffered(pool.in_flight);
    for block in &blocks {
        match read.next().await {
            Some(Ok(rows)) => {
                stretch.headers.push(block.header);
                stretch.rows.extend(rows);
                if stretch.rows.len() >= JOINED_ROWS {
                    break;
                }
            }
            Some(Err(error)) if stretch.headers.is_empty() => return Err(error),
            Some(Err(error)) => {
                tracing::info!(
                    chain = pool.facts.chain,
                    blocks = stretch.headers.len(),
                    why = %error,
                    "a scan ends early: a block above could not be read yet"
                );
                break;
            }
            None => break,
        }
    }
    Ok(stretch)
}

/// The Transfers of one block, from whichever endpoint has its infos. Nothing binds which
/// transactions a block has, nor their infos: where another node than the one that showed the block
/// tells infos that do not fit it, one of the two leaves something out or makes something up, and
/// which one it is cannot be told from here.
async fn infos(pool: &Pool, whose: &Arc<Node>, block: &Block, at: u32) -> Result<Vec<Row>, Error> {
    if block.transactions.is_empty() {
        return Ok(Vec::new());
    }
    let height = block.header.id.height;
    let asked = pool.ask(Some(height), |node| async move {
        match of(&node, pool, block, at).await {
            Err(refusal) if refusal.class == Class::Lie && !Arc::ptr_eq(&node, whose) => {
                contradicts(&node, block, refusal).await.map(Err)
            }
            answer => answer.map(Ok),
        }
    });
    let (told, node) = asked.await.map_err(|exhausted| exhausted.unread(height))?;
    told.map_err(|why: String| {
        let why = format!("{} and {} tell it differently: {why}", whose.name, node.name);
        Error::Unread { height, why }
    })
}

/// Whether `node` has another content for this very block, where its infos do not fit it; refused
/// where it is on another fork, or its infos do not fit its own block either.
async fn contradicts(node: &Node, block: &Block, refusal: Refusal) -> Result<String, Refusal> {
    let height = block.header.id.height;
    match node.blocks(height, height).await?.first() {
        Some(own) if own.header.id != block.header.id => {
            Err(Refusal::behind(format!("it has another block at height {height}")))
        }
        Some(own) if own.transactions != block.transactions => Ok(refusal.why),
        Some(_) => Err(refusal),
        None => Err(Refusal::behind(format!("it does not have height {height}"))),
    }
}

/// The Transfers of one block, as one endpoint tells them.
pub(crate) async fn of(
    node: &Node,
    pool: &Pool,
    block: &Block,
    at: u32,
) -> Result<Vec<Row>, Refusal> {
    if block.transactions.is_empty() {
        return Ok(Vec::new());
    }
    let body = node.infos(block.header.id.height).await?;
    let asked = Asked { token: pool.facts.token, others: pool.facts.others };
    Ok(decode::infos(&body, asked, block, at)?)
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
pub(crate) async fn second_opinion(pool: &Pool, first: &Node, id: BlockId) -> Result<(), Error> {
    if pool.nodes.len() < 2 {
        return Ok(());
    }
    for node in pool.usable().await {
        let knows = node.state().tip.is_none_or(|tip| tip >= id.height);
        if node.is_same_server(first) || !knows {
            continue;
        }
        match node.header(id.height).await {
            Ok(Some(header)) if header.id == id => return Ok(()),
            Ok(Some(header)) => return Err(disagree(first, id, &node, header.id)),
            Ok(None) => {}
            Err(refusal) => pool.strike(&node, &refusal),
        }
    }
    Ok(())
}

/// Two endpoints have different blocks where there can be only one.
pub(crate) fn disagree(one: &Node, id: BlockId, other: &Node, found: BlockId) -> Error {
    Error::Disagree {
        height: id.height,
        one: (one.name.clone(), id.hash),
        other: (other.name.clone(), found.hash),
    }
}

/// One block and its Transfers, read whole by one endpoint.
pub(crate) async fn alone(
    pool: &Pool,
    node: &Node,
    height: u64,
) -> Result<(Block, Vec<Row>), Refusal> {
    let block = node.blocks(height, height).await?.into_iter().next();
    let block =
        block.ok_or_else(|| Refusal::behind(format!("it does not have height {height}")))?;
    let rows = of(node, pool, &block, 0).await?;
    Ok((block, rows))
}
