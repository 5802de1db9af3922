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
use crate::derive::Account;

/// What a chain's config says about keys and fees.
#[derive(Debug, Clone)]
pub(crate) struct Custody {
    spelling: Spelling,
    /// The account that addresses are derived from; none where they are imported.
    account: Option<Account>,
    /// Whether chains of another kind derive from the same account.
    is_shared: bool,
    fee: Usdt,
}

impl Custody {
    pub(crate) fn of(chain: &Chain) -> Self {
        let account = match &chain.addresses {
            Some(AddressSource::Account { account, .. }) => Some(account.clone()),
            Some(AddressSource::Imported { .. }) | None => None,
        };
        Self { spelling: chain.node.spelling(), account, is_shared: false, fee: chain.recovery_fee }
    }

    pub(crate) const fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// Whether the same account serves chains of another kind: its path is then not known.
    pub(crate) fn shares(&self, other: &Self) -> bool {
        let accounts = self.account.as_ref().zip(other.account.as_ref());
        let is_one = accounts.is_some_and(|(one, two)| one.fingerprint() == two.fingerprint());
        self.spelling != other.spelling && is_one
    }

    /// Forgets which coin's account it is.
    pub(crate) const fn of_unknown_coin(&mut self) {
        self.is_shared = true;
    }

    /// BIP-44: purpose, coin type (SLIP-44), account; the external chain, the address.
    fn path(&self, index: u32) -> Option<String> {
        let account = self.account.as_ref()?;
        let (coin, number) = (coin(self.spelling), account.number());
        Some(if self.is_shared {
            format!("0/{index} below the account {}", account.fingerprint())
        } else {
            format!("m/44'/{coin}'/{number}'/0/{index}")
        })
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
        let path = home.zip(order.address_index).and_then(|(home, index)| home.path(index));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const XPUB: &str = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr";

    fn custody(tron_xpub: &str) -> (Custody, Custody) {
        let config = format!(
            r#"
[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
addresses = {{ xpub = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP" }}
endpoints = [{{ url = "http://node.example" }}]
[chains.tron]
kind = "tron"
token = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
decimals = 6
addresses = {{ xpub = "{tron_xpub}" }}
endpoints = [{{ url = "http://node.example" }}]
"#
        );
        let config = Config::parse(&config, std::path::Path::new(".")).unwrap();
        let of = |name| Custody::of(config.chain(name).unwrap().1);
        (of("ethereum"), of("tron"))
    }

    #[test]
    fn a_path_is_told_where_it_is_known() {
        let (ethereum, mut tron) = custody(XPUB);
        assert!(!ethereum.shares(&tron));
        assert_eq!(ethereum.path(7).as_deref(), Some("m/44'/60'/0'/0/7"));
        assert_eq!(tron.path(7).as_deref(), Some("m/44'/195'/0'/0/7"));
        tron.of_unknown_coin();
        assert!(tron.path(7).is_some_and(|path| path.starts_with("0/7 below the account ")));
    }

    #[test]
    fn an_account_of_both_kinds_of_chain_has_no_known_coin() {
        let (_, tron) = custody(XPUB);
        let ethereum = Custody { spelling: Spelling::Evm, ..tron.clone() };
        assert!(tron.shares(&ethereum) && ethereum.shares(&tron) && !tron.shares(&tron.clone()));
    }
}
