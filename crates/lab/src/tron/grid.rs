//! TronGrid's version 1 interface: lists of token transfers and of events, page by page.
//!
//! In: a path below `/v1/` and its query. Out: a page, its fingerprint and `links.next`. Never: a
//! filter TronGrid has not; unknown parameters are ignored without a word. Why: there is no open
//! TronGrid, so this follows recordings and its documentation, faults included.

use alloy::primitives::{B256, keccak256};
use serde_json::{Value, json};

use super::address::parse;
use super::fault::Fault;
use super::rows::{Place, Seen};
use super::view::{Side, View};

/// Rows of a page if the request does not say, and the most it may say.
const LIMIT: usize = 20;
const MOST: usize = 200;

/// A path as requests are counted by, and its parameters with what was in the path.
pub(crate) fn named(path: &str, asked: Value) -> (String, Value) {
    let mut asked = asked;
    let mut parts: Vec<&str> = path.split('/').collect();
    if let ["", "v1", what, part, ..] = parts.as_mut_slice() {
        let name = match *what {
            "accounts" | "contracts" => "address",
            "transactions" => "id",
            "blocks" => "height",
            _ => return (path.to_owned(), asked),
        };
        if let Some(fields) = asked.as_object_mut() {
            fields.insert(name.to_owned(), json!(*part));
        }
        *part = match name {
            "address" => "{address}",
            "id" => "{id}",
            _ => "{height}",
        };
    }
    (parts.join("/"), asked)
}

/// Answers a path below `/v1/`: an HTTP status and a body, if any. `None` where there is no such
/// path.
pub(crate) fn answer(
    view: &View<'_>,
    rest: &str,
    asked: &Value,
    origin: &str,
) -> Option<(u16, Option<Value>)> {
    let parts: Vec<&str> = rest.split('/').collect();
    let subject = match *parts.as_slice() {
        ["accounts", account, "transactions", "trc20"] => Subject::Account(parse(account)?),
        ["contracts", contract, "events"] => Subject::Contract(parse(contract)?),
        ["transactions", id, "events"] => Subject::Transaction(id.parse().ok()?),
        ["blocks", "latest", "events"] => Subject::Block(view.top(Side::Full)),
        ["blocks", height, "events"] => Subject::Block(height.parse().ok()?),
        _ => return None,
    };
    let query = Query { view, subject, asked, path: rest };
    let Some(limit) = query.limit() else { return Some((400, None)) };
    let start = match query.start() {
        Ok(start) => start,
        Err(why) => {
            let body = json!({ "Success": false, "Error": why, "StatusCode": 400 });
            return Some((400, Some(body)));
        }
    };
    Some((200, Some(query.page(limit, start, origin))))
}

/// Whose rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Subject {
    Account(alloy::primitives::Address),
    Contract(alloy::primitives::Address),
    Transaction(B256),
    Block(u64),
}

/// One request.
struct Query<'a> {
    view: &'a View<'a>,
    subject: Subject,
    asked: &'a Value,
    path: &'a str,
}

impl Query<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.asked.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    fn rising(&self) -> bool {
        self.text("order_by").is_some_and(|order| order.ends_with(",asc"))
    }

    /// Rows of a page; `None` where more are asked for than there may be.
    fn limit(&self) -> Option<usize> {
        let asked = self.text("limit").map_or(Some(LIMIT), |text| text.parse().ok());
        asked.filter(|limit| (1..=MOST).contains(limit))
    }

    /// Stands for everything asked but the place in the list.
    fn digest(&self) -> [u8; 4] {
        let mut asked = self.asked.clone();
        if let Some(fields) = asked.as_object_mut() {
            fields.remove("fingerprint");
        }
        let hash = keccak256(format!("{} {asked}", self.path));
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// The last place of the page before, which a fingerprint is. One that was given to another
    /// question is refused.
    fn start(&self) -> Result<Option<Place>, &'static str> {
        let Some(text) = self.text("fingerprint") else { return Ok(None) };
        let wrong = "An invalid fingerprint; parameters must not change between pages";
        let bytes = bs58::decode(text).into_vec().map_err(|_| wrong)?;
        let (digest, rest) = bytes.split_first_chunk::<4>().ok_or(wrong)?;
        if *digest != self.digest() {
            return Err(wrong);
        }
        let mut numbers = rest
            .chunks_exact(8)
            .map(|chunk| u64::from_be_bytes(chunk.first_chunk().copied().unwrap_or_default()));
        let mut next = || numbers.next().ok_or(wrong);
        Ok(Some(Place { height: next()?, tx: next()?, log: next()? }))
    }

    fn fingerprint(&self, place: Place) -> String {
        let numbers = [place.height, place.tx, place.log].map(u64::to_be_bytes);
        bs58::encode([&self.digest()[..], &numbers.concat()].concat()).into_string()
    }

    fn page(&self, limit: usize, start: Option<Place>, origin: &str) -> Value {
        let mut seen = self.seen();
        if !self.rising() {
            seen.reverse();
        }
        let after = |row: &Seen<'_>| {
            start.is_none_or(|last| if self.rising() { row.place > last } else { row.place < last })
        };
        let (mut rows, mut last, mut cut) = (Vec::new(), None, false);
        for row in seen.iter().filter(|row| after(row)) {
            let shown = self.shown(row);
            cut = rows.len().saturating_add(shown.len()) > limit && !rows.is_empty();
            if cut {
                break;
            }
            rows.extend(shown);
            last = Some(row.place);
        }
        let empty = self.view.is(|fault| *fault == Fault::EmptyPages);
        if empty {
            rows.clear();
            last = last.or(start).or(Some(Place { height: 0, tx: 0, log: 0 }));
        }
        let full = cut || rows.len() >= limit;
        let fingerprint = last
            .filter(|_| empty || (full && !self.view.is(|fault| *fault == Fault::NoFingerprint)));
        let at = self.view.newest(Side::Full).header.timestamp;
        let mut meta = json!({ "at": at, "page_size": rows.len() });
        if let (Some(place), Some(fields)) = (fingerprint, meta.as_object_mut()) {
            let fingerprint = self.fingerprint(place);
            let next = self.next(&fingerprint, origin);
            fields.insert("fingerprint".to_owned(), json!(fingerprint));
            fields.insert("links".to_owned(), json!({ "next": next }));
        }
        json!({ "data": rows, "success": true, "meta": meta })
    }

    /// Where the next page is; never with a key.
    fn next(&self, fingerprint: &str, origin: &str) -> String {
        let foreign = self.view.fault(|fault| match fault {
            Fault::ForeignNext { origin } => Some(origin.clone()),
            _ => None,
        });
        let origin = foreign.as_deref().unwrap_or(origin);
        let asked = self.asked.as_object().into_iter().flatten();
        let kept = asked.filter(|(name, _)| *name != "fingerprint");
        let pair = |(name, value): (&String, &Value)| {
            format!("{name}={}&", value.as_str().unwrap_or_default())
        };
        let query: String = kept.map(pair).collect();
        format!("{origin}/v1/{}?{query}fingerprint={fingerprint}", self.path)
    }

    /// Every log that is asked for, in rising order.
    fn seen(&self) -> Vec<Seen<'_>> {
        let solid = self.view.top(Side::Solid);
        let blocks: Vec<_> = self.view.state.down_from(self.view.top(Side::Full)).collect();
        let seen = blocks.into_iter().rev().flat_map(|block| Seen::of(block, solid));
        seen.filter(|seen| self.wants(seen)).collect()
    }

    fn wants(&self, seen: &Seen<'_>) -> bool {
        let unwanted = if seen.unconfirmed { "only_confirmed" } else { "only_unconfirmed" };
        let confirmed = !self.flag(unwanted);
        let time = seen.block.header.timestamp;
        let (least, most) = match self.subject {
            Subject::Account(_) => ("min_timestamp", "max_timestamp"),
            _ => ("min_block_timestamp", "max_block_timestamp"),
        };
        let timely = self.number(least).is_none_or(|least| time >= least)
            && self.number(most).is_none_or(|most| time <= most);
        let lost = self.view.is(|fault| *fault == Fault::LostRows { tx: seen.tx.id });
        confirmed && timely && !lost && self.is_about(seen)
    }

    fn is_about(&self, seen: &Seen<'_>) -> bool {
        match self.subject {
            Subject::Account(account) => {
                let Some((from, to)) = seen.parties() else { return false };
                let known = self.view.state.tokens.contains_key(&seen.log.address);
                let kind = seen.event.name == "Transfer"
                    || self.view.is(|fault| *fault == Fault::ApprovalRows);
                let whose = match (self.flag("only_to"), self.flag("only_from")) {
                    (true, false) => to == account,
                    (false, true) => from == account,
                    _ => from == account || to == account,
                };
                let contract = self.text("contract_address").and_then(parse);
                let token = contract.is_none_or(|contract| contract == seen.log.address);
                known && kind && whose && token
            }
            Subject::Contract(contract) => {
                let name = self.text("event_name").is_none_or(|name| name == seen.event.name);
                let height = self.number("block_number");
                seen.log.address == contract
                    && name
                    && height.is_none_or(|height| height == seen.place.height)
            }
            Subject::Transaction(id) => seen.tx.id == id,
            Subject::Block(height) => seen.place.height == height,
        }
    }

    /// The row of a log, or two.
    fn shown(&self, seen: &Seen<'_>) -> Vec<Value> {
        let row = |unconfirmed: bool| match self.subject {
            Subject::Account(_) => {
                let token = self.view.state.tokens.get(&seen.log.address);
                let bare = self.view.is(|fault| *fault == Fault::NoTokenInfo);
                seen.transfer(token.filter(|_| !bare), unconfirmed)
            }
            _ => seen.event(unconfirmed),
        };
        let twice = !seen.unconfirmed && self.view.is(|fault| *fault == Fault::DoubledRows);
        let mut rows = vec![row(seen.unconfirmed)];
        if twice {
            rows.insert(0, row(true));
        }
        rows
    }
}
