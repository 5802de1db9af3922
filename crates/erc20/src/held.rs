//! What accounts held after one block, and which block is final.
//!
//! In: accounts, a block by height and hash. Out: base units of the token. Never: a balance of
//! another block than the one that was named. Why: a balance that cannot be pinned proves nothing
//! about books that are.

use alloy::primitives::{Bytes, U256};
use payments::address::Address;
use payments::chain::{BlockId, Header};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::explain::{BALANCE_OF, topic};
use crate::pool::Facts;
use crate::refusal::{Class, Refusal};
use crate::source::Source;
use crate::{verify, view};

impl Source {
    /// The newest block that the endpoints call final, and the height of the newest of all; none
    /// where nothing is final yet.
    ///
    /// # Errors
    /// [`Error`] where no endpoint answers.
    pub async fn newest_final(&self) -> Result<Option<(Header, u64)>, Error> {
        let view = view::look(&self.pool, self.config.finality, None).await?;
        let Some(claim) = view.finalized() else { return Ok(None) };
        let header = self.header(claim.height).await?;
        Ok(header.map(|header| (header, view.tip.header.id.height)))
    }

    /// Base units of the token that each of `accounts` held after the block `at`, in their order;
    /// in batches. A node that does not take a block by its hash (EIP-1898) is asked by height, and
    /// for the hash at that height afterwards. The node learns which accounts are meant.
    ///
    /// # Errors
    /// [`Error::GaveUp`] where every endpoint has forgotten the state of that block.
    pub async fn balances(&self, accounts: &[Address], at: BlockId) -> Result<Vec<U256>, Error> {
        let facts = &self.pool.facts;
        let asked = self.pool.ask(Some(at.height), |endpoint| async move {
            let by_hash = json!({"blockHash": at.hash.to_string(), "requireCanonical": true});
            match held(&endpoint, facts, accounts, &by_hash).await {
                Err(Refusal { class: Class::Unknown | Class::Caller, .. }) => {}
                answer => return answer,
            }
            let by_height = json!(format!("{:#x}", at.height));
            let held = held(&endpoint, facts, accounts, &by_height).await?;
            match endpoint.block_at(at.height, facts).await? {
                Some(block) if block.header.id == at => Ok(held),
                _ => Err(Refusal::behind("the block of the balances is not in its chain now")),
            }
        });
        asked.await.map(|(held, _)| held).map_err(|exhausted| exhausted.error())
    }
}

async fn held(
    endpoint: &Endpoint,
    facts: &Facts,
    accounts: &[Address],
    at: &Value,
) -> Result<Vec<U256>, Refusal> {
    let to = facts.token.address().evm();
    let question = |account: &Address| {
        let data = format!("{BALANCE_OF}{}", topic(*account).trim_start_matches("0x"));
        json!([{ "to": to, "data": data }, at])
    };
    let questions: Vec<Value> = accounts.iter().map(question).collect();
    let read = |answer: &RawValue| {
        let bytes: Bytes = endpoint.read("balanceOf", answer)?;
        verify::word(&bytes).ok_or_else(|| Refusal::lie("balanceOf answers something else"))
    };
    endpoint.calls("eth_call", &questions, read).await
}
