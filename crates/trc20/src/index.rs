//! `TronGrid`'s index of one account's token transfers, as a hint where to look.
//!
//! In: an account. Out: the ids of transactions that may have paid it. Never: an amount, a
//! receiver or a place taken from a row; `links.next` followed (it may lead to another host, and
//! the key with it); pages without end. Why: rows come twice, in any order, late or not at all,
//! and name neither block nor place.

use std::borrow::Cow;
use std::collections::BTreeSet;

use payments::address::Address;
use payments::chain::TxHash;
use payments::time::Time;
use serde::Deserialize;

use crate::decode;
use crate::error::Error;
use crate::node::Node;
use crate::pool::Facts;
use crate::refusal::{Class, Refusal};
use crate::source::Source;
use crate::wire::Question;

/// The most rows of a page: with more the answer is 400 and empty.
const PAGE: usize = 200;
/// The most pages of one account and one call.
const PAGES: usize = 10;

/// What the index says of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints {
    /// Transactions that may have paid it, each once. None of them is known to be true.
    pub transactions: BTreeSet<TxHash>,
    /// Where there was more than one call reads: the time to ask from next.
    pub more_from: Option<Time>,
}

/// A page of rows.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<Row<'a>>,
    #[serde(borrow, default)]
    meta: Meta<'a>,
}

#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    fingerprint: Option<Cow<'a, str>>,
}

/// A row, as far as it is of use.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, default)]
    transaction_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    token_info: Option<TokenInfo<'a>>,
    #[serde(default)]
    block_timestamp: i64,
    #[serde(borrow, default)]
    to: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct TokenInfo<'a> {
    #[serde(borrow, default)]
    address: Option<Cow<'a, str>>,
}

impl Row<'_> {
    /// The transaction of a row that may be a Transfer of the token to the account. A row without
    /// a token is one such: the index is known to leave it out.
    fn hint(&self, token: Address, account: Address) -> Option<TxHash> {
        let is = |text: &str, address| Address::parse(text) == Ok(address);
        let named = self.token_info.as_ref().and_then(|info| info.address.as_ref());
        let fits = self.kind.as_ref().is_some_and(|kind| kind == "Transfer")
            && named.is_none_or(|text| is(text, token))
            && self.to.as_ref().is_some_and(|text| is(text, account));
        TxHash::parse(self.transaction_id.as_ref()?).filter(|_| fits)
    }
}

impl Source {
    /// What the index says was paid to `account` from `since` on, both counted, as far as it is
    /// solidified. One request as long as the account has fewer than 200 rows.
    ///
    /// # Errors
    /// [`Error::GaveUp`] where no endpoint has an index, [`Error`] where none answers.
    pub async fn hints(&self, account: Address, since: Time) -> Result<Hints, Error> {
        let facts = &self.pool.facts;
        let asked =
            self.pool.ask(None, |node| async move { walk(&node, facts, account, since).await });
        asked.await.map(|(hints, _)| hints).map_err(|exhausted| exhausted.error())
    }
}

/// Whether the index has any Transfer of the token to an account; none where there is no index.
pub(crate) async fn received(
    node: &Node,
    facts: &Facts,
    account: Address,
) -> Result<Option<bool>, Refusal> {
    if node.index.is_none() {
        return Ok(None);
    }
    match walk(node, facts, account, Time(0)).await {
        Ok(hints) => Ok(Some(!hints.transactions.is_empty())),
        Err(Refusal { class: Class::Unsupported, .. }) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Reads the pages of one account, the oldest row first.
async fn walk(node: &Node, facts: &Facts, account: Address, since: Time) -> Result<Hints, Refusal> {
    let mut hints = Hints::default();
    let mut from = since;
    let mut fingerprint: Option<String> = None;
    for _ in 0..PAGES {
        let body = page(node, facts, account, from, fingerprint.as_deref()).await?;
        let page: Page<'_> = decode::read(&body)?;
        if page.data.len() > PAGE {
            let given = page.data.len();
            return Err(Refusal::lie(format!("asked for {PAGE} rows of the index, got {given}")));
        }
        // An empty page may point to a next one, for ever.
        let Some(newest) = page.data.iter().map(|row| row.block_timestamp).max().map(Time) else {
            return Ok(Hints { more_from: None, ..hints });
        };
        hints
            .transactions
            .extend(page.data.iter().filter_map(|row| row.hint(facts.token, account)));
        fingerprint = match page.meta.fingerprint {
            Some(next) if !next.is_empty() => Some(next.into_owned()),
            // A full page without one: there may be more, from the last row's time on.
            _ if page.data.len() >= PAGE && newest > from => {
                from = newest;
                None
            }
            _ => return Ok(Hints { more_from: None, ..hints }),
        };
        hints.more_from = Some(newest);
    }
    Ok(hints)
}

/// One page. While paging every parameter stays the same: the index refuses anything else.
async fn page(
    node: &Node,
    facts: &Facts,
    account: Address,
    from: Time,
    fingerprint: Option<&str>,
) -> Result<bytes::Bytes, Refusal> {
    let Some(place) = &node.index else {
        return Err(Refusal::new(Class::Unsupported, "it has no index"));
    };
    let (limit, from, token) = (PAGE.to_string(), from.0.to_string(), facts.token.tron());
    let mut query = vec![
        ("limit", limit.as_str()),
        ("only_to", "true"),
        ("only_confirmed", "true"),
        ("order_by", "block_timestamp,asc"),
        ("min_timestamp", from.as_str()),
        ("contract_address", token.as_str()),
    ];
    query.extend(fingerprint.map(|fingerprint| ("fingerprint", fingerprint)));
    let path = format!("/v1/accounts/{}/transactions/trc20", account.tron());
    node.ask(place, &path, Question::Get(&query)).await
}

/// What a page hints at.
#[cfg(test)]
pub(crate) fn hinted(
    body: &[u8],
    token: Address,
    account: Address,
) -> Result<BTreeSet<TxHash>, decode::DecodeError> {
    let page: Page<'_> = decode::read(body)?;
    Ok(page.data.iter().filter_map(|row| row.hint(token, account)).collect())
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
