//! The 20 bytes of an account and their two spellings.
//!
//! In: text an operator or a shop typed. Out: an `Address`, parsed once, compared as bytes.
//! Never: an address accepted whose checksum is wrong.
//! Why: EIP-55 (mixed-case hex) and TRON's base58check spell the same 20 bytes, so a payment on
//! the wrong chain reaches the same `Address`.

use std::fmt;

use sha2::{Digest, Sha256};
use sha3::Keccak256;

/// The byte TRON puts in front of the 20 bytes.
const TRON_PREFIX: u8 = 0x41;
/// `0x` and 40 hex digits.
const LONGEST: usize = 42;
const BASE58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// An account on any chain, as its 20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 20]);

/// How a chain's people write an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `0x` and 40 hex digits, mixed case as checksum (EIP-55).
    Evm,
    /// base58check of `0x41` and the 20 bytes, beginning with `T`.
    Tron,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `0x` with 40 hex digits nor a TRON address.
    #[error("`{0}` is neither 0x and 40 hex digits nor a TRON address of 34 characters")]
    Unrecognised(String),
    /// Longer than any address: the text may be a secret and is not repeated.
    #[error("a text of {0} characters is no address; one has 42, or 34 on TRON")]
    TooLong(usize),
    /// A character that this spelling does not have.
    #[error("character {position} of `{text}`, `{found}`, does not belong in such an address")]
    BadCharacter {
        /// The text as given.
        text: String,
        /// Counted from 1.
        position: usize,
        /// What stands there.
        found: char,
    },
    /// The checksum does not fit; where one changed character explains it, which.
    #[error("the checksum of `{text}` does not fit{}", hint(.position, .found))]
    Checksum {
        /// The text as given.
        text: String,
        /// The only position at which a single other character makes the checksum fit, from 1.
        position: Option<usize>,
        /// What stands there.
        found: Option<char>,
    },
    /// An address of the other family where this one was expected.
    #[error("`{0}` is an address of another kind of chain")]
    OtherSpelling(String),
}

fn hint(position: &Option<usize>, found: &Option<char>) -> String {
    match (position, found) {
        (Some(position), Some(found)) => {
            format!(": look at character {position}, `{found}`")
        }
        _ => ": which character is wrong cannot be told".to_owned(),
    }
}

impl Address {
    /// Where a contract sends what it burns; nobody has its key.
    pub const NOBODY: Self = Self([0; 20]);

    /// Parses either spelling.
    ///
    /// # Errors
    /// [`AddressError`] says what is wrong, and at which character where one explains it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let length = text.chars().count();
        if length > LONGEST {
            return Err(AddressError::TooLong(length));
        }
        if text.starts_with("0x") || text.starts_with("0X") {
            Self::parse_evm(text)
        } else if text.starts_with('T') && text.len() == 34 {
            Self::parse_tron(text)
        } else {
            Err(AddressError::Unrecognised(text.to_owned()))
        }
    }

    /// Parses `text` and insists on one spelling.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`AddressError::OtherSpelling`].
    pub fn parse_as(text: &str, spelling: Spelling) -> Result<Self, AddressError> {
        let address = Self::parse(text)?;
        let tron = text.starts_with('T');
        if tron == (spelling == Spelling::Tron) {
            Ok(address)
        } else {
            Err(AddressError::OtherSpelling(text.to_owned()))
        }
    }

    /// The text of this address in `spelling`.
    #[must_use]
    pub fn spell(&self, spelling: Spelling) -> String {
        match spelling {
            Spelling::Evm => self.evm(),
            Spelling::Tron => self.tron(),
        }
    }

    /// `0x` and 40 hex digits with the EIP-55 checksum.
    #[must_use]
    pub fn evm(&self) -> String {
        let lower = lower_hex(&self.0);
        format!("0x{}", eip55(&lower))
    }

    /// TRON's base58check.
    #[must_use]
    pub fn tron(&self) -> String {
        let mut bytes = Vec::with_capacity(25);
        bytes.push(TRON_PREFIX);
        bytes.extend_from_slice(&self.0);
        let check = double_sha256(&bytes);
        bytes.extend(check.iter().take(4));
        bs58::encode(bytes).into_string()
    }

    fn parse_evm(text: &str) -> Result<Self, AddressError> {
        let digits = text.get(2..).unwrap_or_default();
        bad_character(text, 2, |c| c.is_ascii_hexdigit())?;
        let bytes = from_hex(digits).ok_or_else(|| AddressError::Unrecognised(text.to_owned()))?;
        let lower = digits.to_ascii_lowercase();
        // All one case carries no checksum (EIP-55).
        if digits == lower || digits == digits.to_ascii_uppercase() || eip55(&lower) == digits {
            return Ok(Self(bytes));
        }
        let found = single_change(digits, "0123456789abcdefABCDEF", |candidate| {
            eip55(&candidate.to_ascii_lowercase()) == candidate
        });
        Err(checksum(text, found, 2))
    }

    fn parse_tron(text: &str) -> Result<Self, AddressError> {
        bad_character(text, 0, |c| BASE58.contains(c))?;
        if let Some(bytes) = base58check(text) {
            return Ok(Self(bytes));
        }
        let found = single_change(text, BASE58, |candidate| base58check(candidate).is_some());
        Err(checksum(text, found, 0))
    }
}

impl fmt::Display for Address {
    /// The EVM spelling.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.evm())
    }
}

fn bad_character(
    text: &str,
    skip: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<(), AddressError> {
    match text.chars().enumerate().skip(skip).find(|(_, c)| !allowed(*c)) {
        None => Ok(()),
        Some((at, found)) => Err(AddressError::BadCharacter {
            text: text.to_owned(),
            position: at.saturating_add(1),
            found,
        }),
    }
}

fn checksum(text: &str, found: Option<(usize, char)>, offset: usize) -> AddressError {
    AddressError::Checksum {
        text: text.to_owned(),
        position: found.map(|(at, _)| at.saturating_add(offset).saturating_add(1)),
        found: found.map(|(_, c)| c),
    }
}

/// The one position at which another character satisfies `fits`, if there is exactly one such.
fn single_change(text: &str, alphabet: &str, fits: impl Fn(&str) -> bool) -> Option<(usize, char)> {
    let mut hit = None;
    for (at, original) in text.char_indices() {
        let (before, rest) = text.split_at(at);
        let after = rest.get(original.len_utf8()..).unwrap_or_default();
        let fixed = alphabet
            .chars()
            .filter(|c| *c != original)
            .any(|c| fits(&format!("{before}{c}{after}")));
        if fixed {
            if hit.is_some() {
                return None;
            }
            hit = Some((at, original));
        }
    }
    hit
}

/// Applies the EIP-55 checksum to 40 lower-case hex digits.
fn eip55(lower: &str) -> String {
    let hash = Keccak256::digest(lower.as_bytes());
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    lower
        .chars()
        .zip(nibbles)
        .map(|(c, nibble)| if nibble >= 8 { c.to_ascii_uppercase() } else { c })
        .collect()
}

fn base58check(text: &str) -> Option<[u8; 20]> {
    let bytes = bs58::decode(text).into_vec().ok()?;
    let (body, check) = bytes.split_at_checked(21)?;
    let expected = double_sha256(body);
    if check.len() != 4 || !expected.starts_with(check) {
        return None;
    }
    let (prefix, address) = body.split_first()?;
    if *prefix != TRON_PREFIX {
        return None;
    }
    address.try_into().ok()
}

fn double_sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(bytes)).into()
}

/// Lower-case hex digits of `bytes`, without a prefix.
#[must_use]
pub fn lower_hex(bytes: &[u8]) -> String {
    digits("", bytes)
}

/// `0x` and the lower-case hex digits of `bytes`.
#[must_use]
pub fn prefixed_hex(bytes: &[u8]) -> String {
    digits("0x", bytes)
}

/// Every deposit has a dozen of these, so its digits come from a table, into one allocation.
fn digits(prefix: &str, bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let length = bytes.len().saturating_mul(2).saturating_add(prefix.len());
    let mut text = Vec::with_capacity(length);
    text.extend_from_slice(prefix.as_bytes());
    for byte in bytes {
        text.extend_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Exactly `N` bytes from hex digits without a prefix; `None` for anything else.
#[must_use]
pub fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != N.checked_mul(2)? {
        return None;
    }
    let digit = |digit: &u8| u8::try_from(char::from(*digit).to_digit(16)?).ok();
    let mut out = [0u8; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Vectors: EIP-55's own test cases, and TRON's USDT contract.
    const EIP55: [&str; 6] = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn both_spellings_of_the_same_bytes() {
        for text in EIP55 {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.evm(), text);
            assert_eq!(Address::parse(&address.tron()).unwrap(), address);
            assert_eq!(Address::parse(&text.to_ascii_lowercase()).unwrap(), address);
        }
        let usdt = Address::parse("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t").unwrap();
        assert_eq!(lower_hex(&usdt.0), "a614f803b6fd780986a42c78ec9c7f77e6ded13c");
        assert_eq!(Address([0; 20]).tron(), "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb");
        assert_eq!(Address([255; 20]).tron(), "TZJozAg1ruapycCicgz31GxvYJ1FraLjZa");
    }

    #[test]
    fn a_typo_is_refused_and_located() {
        let error = Address::parse("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD").unwrap_err();
        assert!(error.to_string().contains("character 42, `D`"), "{error}");
        let error = Address::parse("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6u").unwrap_err();
        assert!(error.to_string().contains("character 34, `u`"), "{error}");
        let error = Address::parse("0x5aAeb6053F3E94C9b9A09g33669435E7Ef1BeAed").unwrap_err();
        assert!(matches!(error, AddressError::BadCharacter { position: 24, found: 'g', .. }));
        let raw = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let error = Address::parse(raw).unwrap_err();
        assert!(matches!(error, AddressError::TooLong(66)) && !error.to_string().contains("ac09"));
        for text in ["", "T", "0x", "0x12", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "T€"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    /// `good` with one character of `alphabet` at one place from `from` on, and that place, from 1.
    fn typos(good: &str, from: usize, alphabet: &str) -> Vec<(String, usize)> {
        let changed = |at: usize, c: char| {
            let mut text = good.to_owned();
            text.replace_range(at..=at, &c.to_string());
            (text, at.saturating_add(1))
        };
        let all = (from..good.len()).flat_map(|at| alphabet.chars().map(move |c| (at, c)));
        all.map(|(at, c)| changed(at, c)).filter(|(text, _)| text != good).collect()
    }

    /// Where a single typo can be told from every other, it is; no other place is ever named.
    #[test]
    fn a_typo_anywhere_is_located_there() {
        let places = |good, from, alphabet| {
            let (mut located, mut missed) = (0, 0);
            for (text, at) in typos(good, from, alphabet) {
                match Address::parse(&text) {
                    Err(AddressError::Checksum { position: Some(position), .. }) => {
                        assert_eq!(position, at, "{text}");
                        located += 1;
                    }
                    Err(AddressError::Checksum { position: None, .. }) => missed += 1,
                    // A first letter that is another family's, which is named as such.
                    Err(AddressError::Unrecognised(_)) => assert_eq!(at, 1, "{text}"),
                    other => panic!("{text}: {other:?}"),
                }
            }
            (located, missed)
        };
        assert_eq!(places("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", 0, BASE58), (33 * 57, 0));
        let digits = "0123456789abcdefABCDEF";
        let mixed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let (located, missed) = places(mixed, 2, digits);
        assert!(located > 40 * missed, "{located} located, {missed} not");
    }

    /// Without the search for the letter that is meant, which makes a refusal slow.
    #[test]
    fn every_single_letter_change_of_a_thousand_addresses_is_refused() {
        let mut refused = 0;
        for n in 0..1_000u32 {
            let hash: [u8; 32] = Sha256::digest(n.to_be_bytes()).into();
            let good = Address(hash[..20].try_into().unwrap()).tron();
            for (at, c) in (0..good.len()).flat_map(|at| BASE58.chars().map(move |c| (at, c))) {
                let mut text = good.clone();
                text.replace_range(at..=at, &c.to_string());
                assert_eq!(base58check(&text).is_some(), text == good, "{text}");
                refused += usize::from(text != good);
            }
        }
        assert_eq!(refused, 1_000 * 34 * 57);
    }

    #[test]
    fn each_spelling_is_what_it_is_asked_for() {
        let address = Address::parse(EIP55[2]).unwrap();
        for spelling in [Spelling::Evm, Spelling::Tron] {
            let text = address.spell(spelling);
            assert_eq!(Address::parse_as(&text, spelling).unwrap(), address);
        }
        assert_eq!(address.spell(Spelling::Evm), EIP55[2]);
        assert_eq!(address.to_string(), EIP55[2]);
        let long = |length: usize| Address::parse(&"1".repeat(length)).unwrap_err();
        assert!(matches!(long(LONGEST + 1), AddressError::TooLong(_)));
        assert!(matches!(long(LONGEST), AddressError::Unrecognised(_)));
        let upper = EIP55[2].replacen("0x", "0X", 1);
        assert_eq!(Address::parse(&upper).unwrap(), address);
        let short = |digits: usize| format!("0x{}", "1".repeat(digits));
        for text in ["1".repeat(34), "T".repeat(33), short(39), short(40) + "1"] {
            let error = Address::parse(&text).unwrap_err();
            let (long, other) = (text.len() > LONGEST, error.to_string());
            assert_eq!(matches!(error, AddressError::Unrecognised(_)), !long, "{other}");
        }
    }

    #[test]
    fn hex_digits_are_counted_and_read() {
        assert_eq!(from_hex::<2>("01fe"), Some([1, 0xfe]));
        for text in ["", "0", "01f", "01fe0", "01fe00", "0g00", "+1fe", "01f€"] {
            assert_eq!(from_hex::<2>(text), None, "{text}");
        }
    }

    #[test]
    fn the_other_kind_is_named() {
        let error = Address::parse_as(EIP55[2], Spelling::Tron).unwrap_err();
        assert!(matches!(error, AddressError::OtherSpelling(_)));
    }
}
