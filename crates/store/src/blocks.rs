//! Blocks that are named by what happened in them.
//!
//! In: a chain and a height. Out: the blocks at or below it that hold recorded deposits.
//! Never: a block that was taken back. Why: headers are kept above the finalized one alone, so
//! these are what is known of the chain below it.

use payments::chain::{BlockHash, BlockId};
use payments::name::ChainName;
use sqlx::Row;

use crate::Store;
use crate::error::Error;
use crate::row::{Fields, signed};

impl Store {
    /// Blocks of `chain` at or below `height` that hold deposits, the highest first, at most so
    /// many.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn paid_blocks(
        &self,
        chain: &ChainName,
        height: u64,
        at_most: u32,
    ) -> Result<Vec<BlockId>, Error> {
        let query = "SELECT DISTINCT height, block_hash FROM deposits \
            WHERE chain = $1 AND height <= $2 AND state NOT IN ('orphaned', 'reversed') \
            ORDER BY height DESC LIMIT $3";
        let height = signed("deposits", "height", chain, height)?;
        let query = sqlx::query(query).bind(chain.to_string()).bind(height);
        let mut connection = self.reader().await?;
        let rows = query.bind(i64::from(at_most)).fetch_all(&mut *connection).await?;
        let block = |row: &sqlx::any::AnyRow| {
            let (height, hash): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            let hash = Fields::new("deposits", &hash).parse("block_hash", BlockHash::parse)?;
            let beyond = |_| Error::beyond("deposits", "height", height);
            Ok(BlockId { height: u64::try_from(height).map_err(beyond)?, hash })
        };
        rows.iter().map(block).collect()
    }
}
