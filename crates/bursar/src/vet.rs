//! What is recorded below the kept headers, held against the nodes before anything is credited.
//!
//! In: blocks that hold deposits. Out: nothing, or why crediting must wait. Never: a node that lags
//! taken for another chain; one endpoint's word where another still has the block.
//! Why: the first look of a scan finds what was replaced among the kept headers, for they are
//! linked; of what is below them the books remember the blocks with deposits alone.

use payments::Update;
use payments::chain::Cursor;
use payments::lookup::Held;
use payments::name::ChainName;

use crate::books::Books;
use crate::error::Error;
use crate::node::Node;

/// How many blocks with deposits are compared, the newest first.
const SAMPLE: u32 = 8;

/// A pause, where the nodes have another block in place of one with a deposit.
pub(crate) async fn vet(
    books: &Books,
    chain: &ChainName,
    node: &Node,
    cursor: &Cursor,
) -> Result<Option<Update>, Error> {
    let first = cursor.kept.first().filter(|_| cursor.paused.is_none());
    let Some(below) = first.and_then(|first| first.id.height.checked_sub(1)) else {
        return Ok(None);
    };
    for block in books.store.paid_blocks(chain, below, SAMPLE).await? {
        let held = node.holds(block).await.map_err(|source| Error::chain(chain, source))?;
        if let Held::Other(found) = held {
            let why = format!(
                "the final block at height {} was {} and is {found} now; a deposit is in it",
                block.height, block.hash
            );
            return Ok(Some(Update::Pause { chain: chain.clone(), why }));
        }
    }
    Ok(None)
}
