//! The shape of `bursar.toml`, as it is written.
//!
//! In: TOML text. Out: the same in types, unknown keys refused.
//! Never: a meaning; that is `config`'s work. Why: what may be written is read off one page.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) database: Database,
    #[serde(default)]
    pub(super) orders: Orders,
    #[serde(default)]
    pub(super) pricing: Pricing,
    #[serde(default)]
    pub(super) cases: Cases,
    #[serde(default)]
    pub(super) reconcile: Reconcile,
    #[serde(default)]
    pub(super) chains: BTreeMap<String, Chain>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reconcile {
    pub(super) every: Option<String>,
    pub(super) acknowledged_within: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    pub(super) url: Option<String>,
    pub(super) url_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Orders {
    pub(super) expires_after: Option<String>,
    pub(super) late_window: Option<String>,
    pub(super) tolerance: Option<String>,
    pub(super) tolerance_percent: Option<String>,
    pub(super) dust: Option<String>,
    pub(super) underpaid: Option<PolicyWord>,
    pub(super) overpaid: Option<PolicyWord>,
    pub(super) late: Option<PolicyWord>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    pub(super) two_person_above: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PolicyWord {
    Hold,
    Credit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pricing {
    pub(super) credits_per_usdt: Option<String>,
    #[serde(default)]
    pub(super) plans: BTreeMap<String, Plan>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) amount: String,
    pub(super) credits: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chain {
    pub(super) kind: Kind,
    pub(super) chain_id: Option<u64>,
    pub(super) token: String,
    pub(super) decimals: u8,
    pub(super) genesis: Option<String>,
    pub(super) start: Option<Start>,
    pub(super) finality: Option<Finality>,
    #[serde(default)]
    pub(super) confirmations: Vec<Confirmations>,
    #[serde(default)]
    pub(super) treasury: Vec<String>,
    pub(super) max_reorg: Option<u64>,
    pub(super) poll_interval: Option<String>,
    pub(super) deadline: Option<String>,
    pub(super) window: Option<u64>,
    pub(super) in_flight: Option<usize>,
    pub(super) check_header_hash: Option<bool>,
    pub(super) prove: Option<ProveWord>,
    pub(super) stalled_after: Option<String>,
    pub(super) silent_after: Option<String>,
    pub(super) recovery_fee: Option<String>,
    pub(super) hourly_credit_ceiling: Option<String>,
    pub(super) other_tokens: Option<OthersWord>,
    pub(super) other_tokens_per_order: Option<u32>,
    pub(super) other_tokens_per_hour: Option<u32>,
    pub(super) orders: Option<Orders>,
    pub(super) refund_fee: Option<String>,
    pub(super) read: Option<ReadWord>,
    pub(super) accounts: Option<Accounts>,
    #[serde(default)]
    pub(super) addresses: Addresses,
    #[serde(default)]
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Evm,
    Tron,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReadWord {
    Blocks,
    Accounts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OthersWord {
    Watch,
    Ignore,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accounts {
    pub(super) at_most: Option<u32>,
    pub(super) linger: Option<String>,
    pub(super) blocks_behind: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Start {
    Height(u64),
    Word(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Finality {
    Blocks(u64),
    Word(String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProveWord {
    Suspicious,
    Payments,
    Always,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmations {
    pub(super) up_to: Option<String>,
    pub(super) blocks: Option<u64>,
    pub(super) at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Addresses {
    pub(super) xpub: Option<String>,
    pub(super) xpub_file: Option<String>,
    pub(super) imported: Option<bool>,
    pub(super) key_pairs: Option<bool>,
    pub(super) high_water: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    pub(super) name: Option<String>,
    pub(super) url: Option<String>,
    pub(super) url_file: Option<String>,
    pub(super) solidity_url: Option<String>,
    pub(super) solidity_url_file: Option<String>,
    pub(super) index_url: Option<String>,
    pub(super) index_url_file: Option<String>,
    pub(super) key: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) requests_per_second: Option<u32>,
    pub(super) burst: Option<u32>,
    pub(super) requests_per_day: Option<u64>,
}
