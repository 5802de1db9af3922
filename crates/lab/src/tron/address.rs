//! TRON's spellings of twenty bytes.
//!
//! In: text or bytes. Out: the other. Never: a guess; a wrong checksum is no address. Why: full
//! nodes spell an account `41…` in hex, TronGrid in base58check, logs as twenty bytes without
//! either, and a client has to keep them apart.

use alloy::primitives::{Address, hex};
use sha2::{Digest, Sha256};

/// The byte in front of every address.
pub(crate) const PREFIX: u8 = 0x41;

/// How a full node spells addresses and texts in one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Spelling {
    /// Hex, the default.
    #[default]
    Hex,
    /// Base58check and plain text, with `visible: true`.
    Visible,
}

impl Spelling {
    pub(crate) fn address(self, address: Address) -> String {
        self.bytes41(&with_prefix(address))
    }

    /// Address bytes as a contract holds them.
    pub(crate) fn bytes41(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Visible => base58check(bytes),
        }
    }

    /// Twenty bytes as a log holds them.
    pub(crate) fn bare(self, address: Address) -> String {
        match self {
            Self::Hex => hex::encode(address),
            Self::Visible => base58(address),
        }
    }

    /// Bytes that are meant as text: memos and messages.
    pub(crate) fn text(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Visible => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// The 21 bytes of an address.
pub(crate) fn with_prefix(address: Address) -> [u8; 21] {
    let mut bytes = [PREFIX; 21];
    if let Some(last) = bytes.last_chunk_mut() {
        *last = address.0.0;
    }
    bytes
}

/// An address as people write it, `T…`.
#[must_use]
pub fn base58(address: Address) -> String {
    base58check(&with_prefix(address))
}

/// Reads an address in base58check, as `41…`, as `0x…` or as twenty bytes in hex.
#[must_use]
pub fn parse(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if let Ok(bytes) = hex::decode(digits) {
        return from_bytes(&bytes);
    }
    let bytes = bs58::decode(text).into_vec().ok()?;
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    (checksum(body) == *sum).then(|| from_bytes(body)).flatten()
}

fn from_bytes(bytes: &[u8]) -> Option<Address> {
    match bytes {
        [PREFIX, rest @ ..] if rest.len() == 20 => Some(Address::from_slice(rest)),
        rest if rest.len() == 20 => Some(Address::from_slice(rest)),
        _ => None,
    }
}

fn base58check(bytes: &[u8]) -> String {
    bs58::encode([bytes, &checksum(bytes)].concat()).into_string()
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&sha256(bytes));
    [a, b, c, d]
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_the_same_address() {
        let usdt = Address::from_slice(&hex!("a614f803b6fd780986a42c78ec9c7f77e6ded13c"));
        assert_eq!(base58(usdt), "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t");
        for spelling in [
            "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
            "41a614f803b6fd780986a42c78ec9c7f77e6ded13c",
            "a614f803b6fd780986a42c78ec9c7f77e6ded13c",
            "0xa614f803b6fd780986a42c78ec9c7f77e6ded13c",
        ] {
            assert_eq!(parse(spelling), Some(usdt), "{spelling}");
        }
        for wrong in ["TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6T", "", "T", "42a614f8"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
