//! Deposit addresses from an account-level extended public key.
//!
//! In: an xpub (BIP32, depth 3, as `m/44'/60'/0'`). Out: the address at `0/i`.
//! Never: a private key: an `xprv` or a seed phrase is refused and not repeated.
//! Why: watch-only. Whoever takes this machine can count the money and cannot move it.

use std::str::FromStr as _;

use bip32::{ChildNumber, XPub};
use payments::address::{Address, lower_hex};
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

use crate::phrase;

/// The largest non-hardened index (BIP32: indices from 2^31 are hardened).
pub const LAST_INDEX: u32 = 0x7fff_ffff;
/// An extended key has 111 characters; so many of one are enough to search for the rest.
const NEARLY_A_KEY: usize = 50;

/// Why a text is not a usable key. No variant repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A private extended key.
    #[error("this is a private key (xprv): Bursar must never see one; give the account's xpub")]
    Private,
    /// Words of a seed phrase.
    #[error("this is a seed phrase: Bursar must never see one; give the account's xpub")]
    SeedPhrase,
    /// A raw private key.
    #[error(
        "this looks like a raw private key: Bursar must never see one; give the account's xpub"
    )]
    RawPrivate,
    /// A key for another use (ypub, zpub, tpub …).
    #[error("this is a `{0}` key; an `xpub` of an account is wanted")]
    OtherKind(String),
    /// Not an extended key at all.
    #[error("this is not an extended public key (xpub)")]
    NotAKey,
    /// Another depth than an account's.
    #[error("this xpub has depth {0}; the account level has depth 3, as in m/44'/60'/0'")]
    Depth(u8),
    /// An account key that is not hardened cannot be one.
    #[error("this xpub is not at a hardened account, as in m/44'/60'/0'")]
    NotAccount,
    /// There is no such non-hardened child.
    #[error("no address can be derived at index {0}")]
    Index(u32),
}

/// An account whose addresses can be derived and not spent from.
#[derive(Clone)]
pub struct Account {
    external: Box<XPub>,
    fingerprint: String,
    number: u32,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Account({})", self.fingerprint)
    }
}

impl Account {
    /// Reads an account-level xpub.
    ///
    /// # Errors
    /// [`KeyError`], without the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        refuse_secrets(text)?;
        let key = XPub::from_str(text).map_err(|_| KeyError::NotAKey)?;
        if key.attrs().depth != 3 {
            return Err(KeyError::Depth(key.attrs().depth));
        }
        if !key.attrs().child_number.is_hardened() {
            return Err(KeyError::NotAccount);
        }
        let external = key.derive_child(ChildNumber(0)).map_err(|_| KeyError::Index(0))?;
        // Long enough to tell accounts apart, too short to be worth anything.
        let fingerprint = lower_hex(&Sha256::digest(text.as_bytes())).chars().take(16).collect();
        let number = key.attrs().child_number.index();
        Ok(Self { external: Box::new(external), fingerprint, number })
    }

    /// A short name of the account, safe to show and to store.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Which account of its coin it is (BIP-44), counted from 0.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The address at `0/index`: the last 20 bytes of keccak256 of the public key.
    ///
    /// # Errors
    /// [`KeyError::Index`] for a hardened index, and with odds below 2^-127 for any other (BIP32).
    pub fn address(&self, index: u32) -> Result<Address, KeyError> {
        let number = ChildNumber::new(index, false).map_err(|_| KeyError::Index(index))?;
        let child = self.external.derive_child(number).map_err(|_| KeyError::Index(index))?;
        let point = child.public_key().to_sec1_point(false);
        let bytes = point.as_bytes().get(1..).ok_or(KeyError::Index(index))?;
        let hash = Keccak256::digest(bytes);
        let tail = hash.get(12..).and_then(|tail| tail.try_into().ok());
        tail.map(Address).ok_or(KeyError::Index(index))
    }
}

/// What a text must never be or hold: a private extended key, whole or nearly, or a seed phrase.
#[must_use]
pub fn private(text: &str) -> Option<KeyError> {
    let mut parts = text.split(|c: char| !c.is_ascii_alphanumeric());
    if parts.any(|part| part.len() >= NEARLY_A_KEY && part.get(1..4) == Some("prv")) {
        return Some(KeyError::Private);
    }
    phrase::is_among(text.split_whitespace()).then_some(KeyError::SeedPhrase)
}

/// Whether a text is as long as a raw private key, and as a transaction's hash.
pub(crate) fn is_raw(text: &str) -> bool {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Refuses what must never be typed here, before anything else looks at it.
fn refuse_secrets(text: &str) -> Result<(), KeyError> {
    if let Some(error) = private(text) {
        return Err(error);
    }
    let prefix: String = text.chars().take(4).collect();
    let is_key = text.len() > 100 && text.chars().all(|c| c.is_ascii_alphanumeric());
    let words: Vec<&str> = text.split_whitespace().collect();
    let wordy = words.iter().all(|word| word.chars().all(|c| c.is_alphabetic()));
    if words.len() >= 3 && wordy {
        return Err(KeyError::SeedPhrase);
    }
    if is_raw(text) {
        return Err(KeyError::RawPrivate);
    }
    if is_key && prefix.ends_with("pub") && prefix != "xpub" {
        return Err(KeyError::OtherKind(prefix));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use payments::address::Spelling;

    use super::*;

    // BIP44 account keys of the public test phrases; computed facts.
    const ETHEREUM: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
    const TRON: &str = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr";

    #[test]
    fn the_first_addresses_of_known_accounts() {
        let account = Account::parse(ETHEREUM).unwrap();
        let first = account.address(0).unwrap();
        assert_eq!(first.evm(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        let account = Account::parse(TRON).unwrap();
        assert_eq!(account.address(0).unwrap().tron(), "TWer2Ygk5TEheHp3TPuYeqxmB6SsGZmaL6");
        assert_eq!(account.address(LAST_INDEX + 1), Err(KeyError::Index(LAST_INDEX + 1)));
    }

    /// The recordings are not part of the repository.
    #[test]
    fn recorded_accounts_and_addresses_are_as_recorded() {
        let Some(folder) = std::env::var_os("BURSAR_RECORDINGS") else { return };
        let read = |name: &str| -> serde_json::Value {
            let path = std::path::Path::new(&folder).join("vectors").join(name);
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        let texts = |value: &serde_json::Value| -> Vec<String> {
            let list = value.as_array().unwrap().iter();
            list.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let accounts = read("bip44_watch_only.json");
        let mut derived = 0;
        for (of, spelling) in [("eth", Spelling::Evm), ("tron", Spelling::Tron)] {
            for recorded in accounts.as_object().unwrap().values().filter_map(|all| all.get(of)) {
                let account = Account::parse(recorded["account_xpub"].as_str().unwrap()).unwrap();
                let wanted = texts(&recorded["addresses_external_0_9"]);
                let address = |index| account.address(index).unwrap().spell(spelling);
                assert_eq!((0..10).map(address).collect::<Vec<_>>(), wanted, "{of}");
                derived += wanted.len();
            }
        }
        assert!(derived >= 40, "{derived} addresses");
        let addresses = read("addresses.json");
        for text in texts(&addresses["eip55_valid"]) {
            assert_eq!(Address::parse(&text).unwrap().evm(), text);
        }
        for pair in addresses["tron_base58check"].as_array().unwrap() {
            let address = Address::parse(pair["base58"].as_str().unwrap()).unwrap();
            assert_eq!(format!("41{}", lower_hex(&address.0)), pair["hex41"].as_str().unwrap());
        }
        for text in texts(&addresses["tron_invalid_checksum"]) {
            assert!(Address::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn private_material_is_refused_and_not_repeated() {
        let xprv = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
        let phrase = "test test test test test test test test test test test junk";
        let raw = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        for (text, error) in
            [(xprv, KeyError::Private), (phrase, KeyError::SeedPhrase), (raw, KeyError::RawPrivate)]
        {
            let found = Account::parse(text).unwrap_err();
            assert_eq!(found, error);
            let shown = format!("{found} {found:?}");
            assert!(!shown.contains("junk") && !shown.contains("3QTDL") && !shown.contains("ac09"));
        }
        assert_eq!(Account::parse("hello").unwrap_err(), KeyError::NotAKey);
        let root = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";
        assert_eq!(Account::parse(root).unwrap_err(), KeyError::Depth(0));
        let typo = ETHEREUM.replace("qP", "qQ");
        assert_eq!(Account::parse(&typo).unwrap_err(), KeyError::NotAKey);
    }
}
