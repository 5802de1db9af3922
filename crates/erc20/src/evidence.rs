//! A block, or a transaction, in the strongest way there is.
//!
//! In: a height, or a transaction. Out: its Transfers, proved by the root in a header that a
//! second node has too. Never: a header on one node's word where another can be asked. Why: below
//! the kept headers the books take any block for the recorded one, so whoever makes up an old
//! block with a root of its own would be believed, and what is believed here is money.

use std::sync::Arc;

use payments::chain::TxHash;
use payments::lookup::{Mined, Told, Transaction};
use payments::watch::WatchSet;

use crate::decode::Block;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::explain;
use crate::pool::{Exhausted, Facts, Pool};
use crate::proof;
use crate::read::{self, Stretch};
use crate::refusal::Refusal;
use crate::source::Source;

impl Source {
    /// The Transfers of the block at `height` with an address of `watch` at either end, and the
    /// notices that concern us, from its receipts and proved by the root in its header, which a
    /// second node has too where one answers: all of them, whatever `eth_getLogs` said. A log left
    /// out among others of its block is seen in no other way.
    ///
    /// # Errors
    /// [`Error::Unread`] where no endpoint proves it, [`Error::Disagree`] where another node has
    /// another block, [`Error`] where none answers.
    pub async fn prove(&self, height: u64, watch: &WatchSet) -> Result<Told, Error> {
        let facts = &self.pool.facts;
        let asked = self.pool.ask(Some(height), |endpoint| async move {
            let block = endpoint.block_at(height, facts).await?;
            let block = block.ok_or_else(|| Refusal::behind("it does not have the block"))?;
            let rows = proof::transfers(&endpoint, &facts.token, &block, 0).await?;
            Ok((block, rows))
        });
        let ((block, rows), endpoint) =
            asked.await.map_err(|exhausted| exhausted.unread(height))?;
        read::second_opinion(&self.pool, &endpoint, block.header.id).await?;
        let stretch = Stretch { blocks: vec![block], rows, words: vec![None] };
        let ours = Stretch { rows: stretch.ours(watch), ..stretch };
        Ok(Told { transfers: ours.transfers(&facts.token), notices: ours.notices() })
    }

    /// A transaction as the receipts of its block prove it: its outcome, and every Transfer of the
    /// token in it. Where another node answers it has to show the same: no root binds whose receipt
    /// is whose.
    ///
    /// # Errors
    /// [`Error::Disagree`] and [`Error::Unread`] where another node shows something else, [`Error`]
    /// where no endpoint proves it and one that might know it did not answer.
    pub async fn prove_transaction(&self, tx: TxHash) -> Result<Transaction, Error> {
        let mut exhausted = Exhausted::default();
        let mut best = None;
        for endpoint in self.pool.usable().await {
            match proved(&endpoint, &self.pool.facts, tx).await {
                Ok(Transaction::NotFound) => {
                    best.get_or_insert(Transaction::NotFound);
                }
                Ok(Transaction::Pending) => best = Some(Transaction::Pending),
                Ok(Transaction::Mined(mined)) => {
                    agreed(&self.pool, &endpoint, tx, &mined).await?;
                    return Ok(Transaction::Mined(mined));
                }
                Err(refusal) => {
                    self.pool.strike(&endpoint, &refusal);
                    exhausted.failed(&endpoint, refusal);
                }
            }
        }
        best.filter(|_| exhausted.is_empty()).ok_or_else(|| exhausted.error())
    }
}

/// What one endpoint knows of a transaction, proved where it is in a block.
async fn proved(
    endpoint: &Arc<Endpoint>,
    facts: &Facts,
    tx: TxHash,
) -> Result<Transaction, Refusal> {
    let Some((_, block)) = explain::mined(endpoint, facts, tx).await? else {
        return explain::unmined(endpoint, tx).await;
    };
    match outcome(endpoint, facts, block, tx).await? {
        Some(mined) => Ok(Transaction::Mined(mined)),
        None => Err(Refusal::lie("its block has no receipt of the transaction")),
    }
}

/// What the receipts of `block` prove of a transaction; none where none is of it.
async fn outcome(
    endpoint: &Endpoint,
    facts: &Facts,
    block: Block,
    tx: TxHash,
) -> Result<Option<Mined>, Refusal> {
    let Some((succeeded, rows)) = proof::outcome(endpoint, &facts.token, &block, tx).await? else {
        return Ok(None);
    };
    let stretch = Stretch { blocks: vec![block], rows, words: vec![None] };
    let (transfers, others) = stretch
        .transfers(&facts.token)
        .into_iter()
        .partition(|transfer| transfer.token == facts.token.address());
    let (id, time) = (block.header.id, block.header.time);
    Ok(Some(Mined { succeeded, block: id, time, transfers, others }))
}

/// Compares what one endpoint proves of a transaction with what another node does. Where no other
/// node answers there is nothing to compare with.
async fn agreed(pool: &Pool, first: &Endpoint, tx: TxHash, mined: &Mined) -> Result<(), Error> {
    let height = mined.block.height;
    for endpoint in pool.usable().await {
        let knows = endpoint.state().tip.is_none_or(|tip| tip >= height);
        if endpoint.is_same_node(first) || !knows {
            continue;
        }
        let told = match endpoint.block_at(height, &pool.facts).await {
            Ok(Some(block)) if block.header.id == mined.block => {
                outcome(&endpoint, &pool.facts, block, tx).await
            }
            Ok(Some(block)) => {
                return Err(Error::Disagree {
                    height,
                    one: (first.name.clone(), mined.block.hash),
                    other: (endpoint.name.clone(), block.header.id.hash),
                });
            }
            Ok(None) => continue,
            Err(refusal) => Err(refusal),
        };
        match told {
            Ok(told) if told.as_ref() == Some(mined) => return Ok(()),
            Ok(_) => {
                let (one, other) = (&first.name, &endpoint.name);
                let why = format!("{one} and {other} do not name one transaction {tx} in it");
                return Err(Error::Unread { height, why });
            }
            Err(refusal) => pool.strike(&endpoint, &refusal),
        }
    }
    Ok(())
}
