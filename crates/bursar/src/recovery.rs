//! Money that reached an address of ours on another chain than the order's: can it be had back?
//!
//! In: an order, and the chain its money is on. Out: whether, by which key, for what fee.
//! Never: a key, or a promise: who holds the key decides.
//! Why: it is the first thing a customer who chose the wrong network asks.

use payments::address::Spelling;
use payments::amount::Usdt;
use payments::name::ChainName;
use payments::order::Order;
use serde_json::{Value, json};

use crate::config::{AddressSource, Chain};

/// What a chain's config says about keys and fees.
#[derive(Debug, Clone)]
pub(crate) struct Custody {
    spelling: Spelling,
    /// The number of the account that addresses are derived from; none where they are imported.
    account: Option<u32>,
    fee: Usdt,
}

impl Custody {
    pub(crate) fn of(chain: &Chain) -> Self {
        let account = match &chain.addresses {
            Some(AddressSource::Account { account, .. }) => Some(account.number()),
            Some(AddressSource::Imported { .. }) | None => None,
        };
        Self { spelling: chain.node.spelling(), account, fee: chain.recovery_fee }
    }

    pub(crate) const fn spelling(&self) -> Spelling {
        self.spelling
    }
}

/// How money on the wrong chain is had back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The path of the one key that moves it; none where the address was imported.
    pub path: Option<String>,
    /// What is kept for it, by the config of the chain it is on.
    pub fee: Usdt,
    /// The same in words.
    pub words: String,
}

impl Recovery {
    /// Of money of `order` that is on the chain `on`, whose config is `found`; `home` is that of
    /// the order's own chain.
    pub(crate) fn of(
        order: &Order,
        on: &ChainName,
        home: Option<&Custody>,
        found: Option<&Custody>,
    ) -> Self {
        let fee = found.map_or(Usdt::ZERO, |found| found.fee);
        let account = home.and_then(|home| Some((coin(home.spelling), home.account?)));
        // BIP-44: purpose, coin type (SLIP-44), account; the external chain, the address.
        let path = account.zip(order.address_index);
        let path = path.map(|((coin, account), i)| format!("m/44'/{coin}'/{account}'/0/{i}"));
        let key = path.as_ref().map_or_else(
            || "whoever holds the key of this imported address can move it".to_owned(),
            |path| format!("recoverable: the key at {path} controls the same address on {on}"),
        );
        let fee_words = if fee.is_zero() {
            format!("no recovery fee is set for {on}")
        } else {
            format!("the recovery fee on {on} is {fee} USDT")
        };
        let words = format!("{key}; to move it, the address needs {on}'s own coin; {fee_words}");
        Self { path, fee, words }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            // An imported address may have been made by a key that is held elsewhere.
            "recoverable": self.path.as_ref().map(|_| true),
            "path": self.path,
            "fee": self.fee.to_string(),
            "words": self.words,
        })
    }
}

/// The coin types of SLIP-44: Ether's serves every EVM chain.
const fn coin(spelling: Spelling) -> u32 {
    match spelling {
        Spelling::Evm => 60,
        Spelling::Tron => 195,
    }
}
