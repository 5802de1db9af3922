//! The token's contract, asked how things stand: at the start, after an adoption, and by
//! `bursar check`.
//!
//! In: a chain's nodes, the addresses that hold money or wait for some. Out: what it answers, in
//! words; what the books do not know of it, recorded. Never: an answer that it does not give
//! counted for anything; a start that waits for one. Why: a token that was paused, taxed, replaced
//! or frozen before the first block of the books is so without a log that will be read.

use std::time::Duration;

use payments::address::Address;
use payments::contract::Answers;
use payments::name::ChainName;
use payments::{Changes, Update};
use ruint::aliases::U256;
use store::Store;
use tokio::time::Instant;

use crate::books::Books;
use crate::error::Error;
use crate::node::Node;
use crate::notices;

/// About how many addresses an EVM node is asked, a hundred in a request.
const MOST_EVM: u32 = 1_000;
/// About how many one of TRON is asked, a request each.
const MOST_TRON: u32 = 100;
/// How long after a question that got no answer it is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// What the contract answered.
pub(crate) struct Heard {
    pub(crate) answers: Answers,
    /// How many addresses of ours hold money on the chain, or wait for some.
    exposed: u64,
}

/// Asks the contract after a block that is final now; none where nothing is. Without books it is
/// asked about no address.
///
/// # Errors
/// Where the database or the nodes do not answer.
pub(crate) async fn ask(
    store: Option<&Store>,
    chain: &ChainName,
    node: &Node,
) -> Result<Option<Heard>, Error> {
    let most = match node {
        Node::Evm(_) => MOST_EVM,
        Node::Tron(_) => MOST_TRON,
    };
    let (accounts, exposed) = match store {
        Some(store) => store.exposed(chain, most).await?,
        None => (Vec::new(), 0),
    };
    let answers = node.answers(&accounts).await;
    let answers = answers.map_err(|source| Error::chain(chain, source))?;
    Ok(answers.map(|answers| Heard { answers, exposed }))
}

impl Heard {
    /// Whether money can be moved freely, as far as the contract says.
    fn is_free(&self) -> bool {
        let Answers { paused, deprecated, fee, .. } = &self.answers;
        *paused != Some(true)
            && !matches!(deprecated, Some(Some(_)))
            && fee.is_none_or(|(points, _)| points == 0)
            && self.listed().next().is_none()
    }

    /// Whether another contract goes on in its place.
    pub(crate) const fn is_deprecated(&self) -> bool {
        matches!(self.answers.deprecated, Some(Some(_)))
    }

    fn listed(&self) -> impl Iterator<Item = &Address> {
        let asked = self.answers.blacklisted.iter().flatten();
        asked.filter(|(_, listed)| **listed).map(|(account, _)| account)
    }

    /// What it says, in a few words.
    pub(crate) fn words(&self, decimals: u8, spelled: impl Fn(&Address) -> String) -> String {
        let Answers { block, paused, deprecated, fee, blacklisted, .. } = &self.answers;
        let (mut says, mut unknown) = (Vec::new(), Vec::new());
        match paused {
            Some(true) => says.push("the token is paused".to_owned()),
            Some(false) => says.push("not paused".to_owned()),
            None => unknown.push("a pause"),
        }
        match deprecated {
            Some(Some(to)) => says.push(format!("deprecated in favour of {}", spelled(to))),
            Some(None) => says.push("not deprecated".to_owned()),
            None => unknown.push("a deprecation"),
        }
        match fee {
            Some((0, _)) => says.push("no fee".to_owned()),
            Some((points, most)) => says.push(kept(*points, *most, decimals)),
            None => unknown.push("a fee"),
        }
        match blacklisted {
            Some(asked) => says.push(self.of_addresses(asked.len(), spelled)),
            None => unknown.push("a blacklist"),
        }
        let mut words = format!("the contract itself, after block {}: ", block.height);
        words.push_str(&says.join(", "));
        if !unknown.is_empty() {
            let gap = if says.is_empty() { "" } else { "; " };
            words.push_str(&format!("{gap}unknown, since it has no such method: "));
            words.push_str(&unknown.join(", "));
        }
        words
    }

    fn of_addresses(&self, asked: usize, spelled: impl Fn(&Address) -> String) -> String {
        let listed: Vec<&Address> = self.listed().collect();
        let all = if u64::try_from(asked) == Ok(self.exposed) {
            format!("{asked} addresses")
        } else {
            format!("{asked} addresses (of {} that hold money or wait for some)", self.exposed)
        };
        match listed.as_slice() {
            [] => format!("none of {all} blacklisted"),
            [one] => format!("{} blacklisted, of {all}", spelled(one)),
            several => format!("{} of {all} blacklisted", several.len()),
        }
    }
}

fn kept(points: u32, most: U256, decimals: u8) -> String {
    format!("a fee of {}", notices::rate(points, most, decimals))
}

/// When the contract is asked next.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    /// How many adoptions the chain had seen when its contract answered.
    heard: Option<u64>,
    not_before: Option<Instant>,
}

impl Hearing {
    /// Asks once, again after every adoption, which takes back what was answered on the lost
    /// branch, and later where there was no answer; what was recorded of it.
    pub(crate) async fn turn(
        &mut self,
        books: &Books,
        chain: &ChainName,
        node: &Node,
    ) -> Option<Changes> {
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return None;
        }
        let heard = match books.store.adoptions(chain).await {
            Ok(adoptions) if self.heard == Some(adoptions) => return None,
            Ok(adoptions) => hear(books, chain, node).await.map(|changes| (adoptions, changes)),
            Err(error) => Err(error.into()),
        };
        match heard {
            Ok((adoptions, Some(changes))) => {
                *self = Self { heard: Some(adoptions), not_before: None };
                return Some(changes);
            }
            Ok((_, None)) => {}
            Err(error) => {
                let error = error.line();
                tracing::warn!(chain = %chain, error, "the token's contract does not answer");
            }
        }
        self.not_before = Instant::now().checked_add(AGAIN);
        None
    }
}

async fn hear(books: &Books, chain: &ChainName, node: &Node) -> Result<Option<Changes>, Error> {
    let Some(heard) = ask(Some(&books.store), chain, node).await? else { return Ok(None) };
    let decimals = books.rules.get(chain).map_or(6, |rules| rules.decimals);
    let said = heard.words(decimals, ToString::to_string);
    if heard.is_free() {
        tracing::info!(chain = %chain, said, "the token's contract was asked");
    } else {
        tracing::warn!(chain = %chain, said, "money cannot be moved freely on this chain");
    }
    let update = Update::Asked { chain: chain.clone(), answers: heard.answers };
    books.record(&update).await.map(Some)
}
