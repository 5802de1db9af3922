//! Writes how far a chain is recorded.
//!
//! In: the move of a cursor. Out: rows. Never: a cursor that somebody else moved since it was read.
//! Why: a block counts as read only where what it holds is written in the same transaction.

use std::sync::LazyLock;

use payments::changes::CursorMove;

use crate::error::Error;
use crate::row::{self, hex, signed};
use crate::sql::{Binds, Bulk, Link};

/// Moves the cursor of a chain from the generation it was read at, with the headers that are kept.
pub(crate) async fn move_cursor(link: &mut Link<'_>, mv: &CursorMove) -> Result<(), Error> {
    let chain = mv.chain.as_str();
    if mv.generation == 0 {
        let mut binds = Binds::default();
        binds.text(chain.to_owned())?;
        let insert = "INSERT INTO chains (name, generation) VALUES ($1, 0) ON CONFLICT DO NOTHING";
        link.run(insert, binds).await?;
    }
    let height = |column, value| signed("chains", column, chain, value);
    let mut binds = Binds::default();
    binds.text(chain.to_owned())?;
    binds.int(height("generation", mv.generation)?)?;
    let finalized = mv.finalized.map(|block| height("finalized_height", block.height));
    binds.int_or_null(finalized.transpose()?)?;
    binds.text_or_null(mv.finalized.map(|block| hex(&block.hash.0)))?;
    binds.int_or_null(mv.safe.map(|safe| height("safe_height", safe)).transpose()?)?;
    binds.text_or_null(mv.paused.as_deref().map(row::printable))?;
    binds.text_or_null(mv.stalled.as_deref().map(row::printable))?;
    binds.text(mv.recent.to_string())?;
    let update = "UPDATE chains SET generation = generation + 1, finalized_height = $3, \
        finalized_hash = $4, safe_height = $5, paused = $6, stalled = $7, recent = $8 \
        WHERE name = $1 AND generation = $2";
    if link.run(update, binds).await? != 1 {
        return Err(Error::Conflict(format!("the cursor of {chain}")));
    }
    let mut binds = Binds::default();
    binds.text(chain.to_owned())?;
    link.run("DELETE FROM headers WHERE chain = $1", binds).await?;
    link.write(&HEADERS, &mv.kept, |binds, header| {
        binds.text(chain.to_owned())?;
        binds.int(signed("headers", "height", chain, header.id.height)?)?;
        binds.text(hex(&header.id.hash.0))?;
        binds.text(hex(&header.parent.0))?;
        binds.int(header.time.0)
    })
    .await?;
    Ok(())
}

/// Records the choice of a person by which finality may fall, and lets the blocks above the base be
/// read again behind an index too.
pub(crate) async fn adopt(link: &mut Link<'_>, mv: &CursorMove) -> Result<(), Error> {
    let (Some(adopted), Some(base)) = (&mv.adopted, mv.kept.last()) else { return Ok(()) };
    let chain = mv.chain.as_str();
    let height = |column, value| signed("adoptions", column, chain, value);
    let generation = height("generation", mv.generation)?;
    let mut binds = Binds::default();
    binds.text(chain.to_owned())?;
    binds.int(generation)?;
    let read = "SELECT name FROM chains WHERE name = $1 AND generation = $2";
    if link.text(read, binds).await?.is_none() {
        return Err(Error::Conflict(format!("the cursor of {chain}")));
    }
    let mut binds = Binds::default();
    binds.text(chain.to_owned())?;
    binds.int(generation)?;
    binds.int(height("base_height", base.id.height)?)?;
    binds.text(hex(&base.id.hash.0))?;
    binds.int(height("named_height", adopted.named.height)?)?;
    binds.text(hex(&adopted.named.hash.0))?;
    binds.int_or_null(adopted.lost.map(|lost| height("lost_height", lost.height)).transpose()?)?;
    binds.text_or_null(adopted.lost.map(|lost| hex(&lost.hash.0)))?;
    binds.text(row::printable(&adopted.by))?;
    binds.text(row::printable(&adopted.why))?;
    binds.int(adopted.at.0)?;
    let insert = "INSERT INTO adoptions (chain, generation, base_height, base_hash, named_height, \
        named_hash, lost_height, lost_hash, decided_by, why, at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    link.run(insert, binds).await?;
    let mut binds = Binds::default();
    binds.text(chain.to_owned())?;
    binds.int(height("base_height", base.id.height)?)?;
    link.run("UPDATE rereads SET height = $2 WHERE chain = $1 AND height > $2", binds).await?;
    Ok(())
}

static HEADERS: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "headers",
    head: "INSERT INTO headers (chain, height, hash, parent, time) VALUES".to_owned(),
    columns: 5,
    tail: "",
});
