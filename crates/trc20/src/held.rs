//! Which block is solidified.
//!
//! In: the endpoints. Out: a header and the newest height. Never: one endpoint's word where another
//! could confirm it. Why: whoever compares the chain with something needs one block to stop at.

use payments::chain::Header;

use crate::error::Error;
use crate::source::Source;
use crate::view;

impl Source {
    /// The newest block that the endpoints call solidified, and the height of the newest of all.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn newest_final(&self) -> Result<Option<(Header, u64)>, Error> {
        let view = view::look(&self.pool, None).await?;
        let Some(claim) = view.finalized() else { return Ok(None) };
        let header = self.header(claim.id.height).await?;
        Ok(header.map(|header| (header, view.tip.id.height)))
    }
}
