//! Accounts and witnesses, as far as a watcher or a wallet library asks for them.
//!
//! In: an address. Out: what `getaccount` and `listwitnesses` answer. Never: permissions other
//! than the account's own key. Why: an account that was only ever sent tokens is `{}`, so it is no
//! proof that nothing was paid.

use std::collections::BTreeMap;

use alloy::primitives::{Address, hex};
use serde_json::{Value, json};

use super::address::{Spelling, with_prefix};
use super::block::{Block, Mined};
use super::params::Params;
use super::raw::Contract;
use super::render::Fields;
use super::tx::Ending;
use super::view::{Side, View};
use super::wallet::owner;

/// What every account that acts is taken to have had before this chain begins, in sun.
const START_SUN: u64 = 1_000_000_000;
/// What an account's own key may do.
const OPERATIONS: &str = "7fff1fc0033ec30f000000000000000000000000000000000000000000000000";

/// `getaccount`: `{}` for an account that never acted and was never sent TRX.
pub(crate) fn account(view: &View<'_>, side: Side, params: &Params) -> Value {
    let Some(account) = params.address("address") else { return json!({}) };
    let spelling = params.spelling();
    if let Some(token) = view.state.tokens.get(&account) {
        let name = hex::encode(&token.name);
        let account = spelling.address(account);
        return json!({ "address": account, "account_name": name, "type": "Contract" });
    }
    let Some(life) = Life::of(view, side, account) else { return json!({}) };
    let key = json!([{ "address": spelling.address(account), "weight": 1 }]);
    let mut fields = Fields::default();
    fields.text("address", spelling.address(account));
    fields.number("balance", life.sun);
    fields.number("create_time", life.since);
    let json = |fields: &mut Fields, name: &str, value| {
        fields.0.insert(name.to_owned(), value);
    };
    json(&mut fields, "net_window_size", json!(28_800_000));
    json(&mut fields, "net_window_optimized", json!(true));
    json(
        &mut fields,
        "account_resource",
        json!({
            "energy_window_size": 28_800_000,
            "energy_window_optimized": true,
        }),
    );
    let owner = json!({ "permission_name": "owner", "threshold": 1, "keys": key });
    json(&mut fields, "owner_permission", owner);
    json(
        &mut fields,
        "active_permission",
        json!([{
            "type": "Active",
            "id": 2,
            "permission_name": "active",
            "threshold": 1,
            "operations": OPERATIONS,
            "keys": key,
        }]),
    );
    let frozen = json!([{}, { "type": "ENERGY" }, { "type": "TRON_POWER" }]);
    json(&mut fields, "frozenV2", frozen);
    json(&mut fields, "asset_optimized", json!(true));
    fields.done()
}

/// What TRX did with an account.
struct Life {
    sun: u64,
    since: u64,
}

impl Life {
    fn of(view: &View<'_>, side: Side, account: Address) -> Option<Self> {
        let own = with_prefix(account);
        let mut life: Option<Self> = None;
        let blocks: Vec<_> = view.state.down_from(view.top(side)).collect();
        let txs = |block: &'_ Block| (0..block.txs.len()).collect::<Vec<_>>();
        for (block, place) in
            blocks.iter().rev().flat_map(|b| txs(b).into_iter().map(move |p| (b, p)))
        {
            let Some(tx) = block.txs.get(place) else { continue };
            let (paid, received) = sun(tx, &own);
            let acts = owner(tx) == Some(account);
            if acts || received.is_some() {
                let new = || Self {
                    sun: if acts { START_SUN } else { 0 },
                    since: block.header.timestamp,
                };
                let life = life.get_or_insert_with(new);
                let sun = life.sun.saturating_add(received.unwrap_or(0));
                life.sun = sun.saturating_sub(paid.unwrap_or(0));
            }
        }
        life
    }
}

/// What a transaction took from and gave to an account, in sun.
fn sun(tx: &Mined, account: &[u8]) -> (Option<u64>, Option<u64>) {
    let ended = tx.outcome.as_ref().is_none_or(|outcome| outcome.ending == Ending::Success);
    match &tx.raw.contract {
        Contract::Transfer { owner, to, amount } if ended => {
            let of = |bytes: &[u8]| (bytes == account).then_some(*amount);
            (of(owner), of(to))
        }
        _ => (None, None),
    }
}

/// `listwitnesses`: who makes blocks, and the last one each has made.
pub(crate) fn witnesses(view: &View<'_>, side: Side, spelling: Spelling) -> Value {
    let mut made: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
    let above = view.state.down_from(view.top(side)).filter(|block| block.header.number > 0);
    for block in above {
        let (count, last) = made.entry(block.header.witness.to_vec()).or_default();
        *count = count.saturating_add(1);
        *last = block.header.number.max(*last);
    }
    let one = |(witness, (count, last)): (&Vec<u8>, &(u64, u64))| {
        let mut fields = Fields::default();
        fields.text("address", spelling.bytes41(witness));
        fields.number("voteCount", 100_000_000);
        fields.number("totalProduced", *count);
        fields.number("latestBlockNum", *last);
        fields.0.insert("isJobs".to_owned(), json!(true));
        fields.done()
    };
    json!({ "witnesses": made.iter().map(one).collect::<Value>() })
}
