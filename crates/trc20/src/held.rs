//! What is solidified: the newest such block, and what accounts hold by then.
//!
//! In: the endpoints, accounts. Out: a header and the newest height; base units, and between which
//! blocks they are true. Never: one endpoint's word where another could confirm it; a balance
//! without the blocks it is told between. Why: whoever compares the chain with something needs one
//! block to stop at.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use payments::address::Address;
use payments::chain::Header;
use ruint::aliases::U256;

use crate::error::Error;
use crate::node::Side;
use crate::source::Source;
use crate::verify;
use crate::view;

/// What an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Token base units.
    pub raw: U256,
    /// The balance is that after some block from this height on,
    pub from: u64,
    /// up to this one. TRON's nodes answer only for now, and now moves.
    pub to: u64,
}

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

    /// How many base units of the token each of `accounts` holds in the solidified state, in their
    /// order: one request for each, and two for all of them. The node learns that somebody asked
    /// about these accounts.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers for all of them.
    pub async fn balances(&self, accounts: &[Address]) -> Result<Vec<Balance>, Error> {
        let (facts, in_flight) = (&self.pool.facts, self.pool.in_flight);
        let asked = self.pool.ask(None, |node| async move {
            let node = &node;
            let from = verify::solidified(node).await?.id.height;
            let held = accounts.iter();
            let held = held.map(|account| verify::balance(node, facts, Side::Solidity, *account));
            let held: Vec<_> = held.collect();
            let held: Vec<U256> = stream::iter(held).buffered(in_flight).try_collect().await?;
            let to = verify::solidified(node).await?.id.height;
            // Two nodes behind one name may answer in any order.
            let (from, to) = (from.min(to), from.max(to));
            // The chain goes on while it is asked, and those blocks may be asked for next.
            let mut state = node.state();
            state.tip = state.tip.map(|tip| tip.max(to));
            drop(state);
            Ok(held.into_iter().map(|raw| Balance { raw, from, to }).collect())
        });
        asked.await.map(|(balances, _)| balances).map_err(|exhausted| exhausted.error())
    }
}
