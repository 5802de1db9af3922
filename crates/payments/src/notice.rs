//! What a token's issuer says in its contract's logs: paused, a fee, an upgrade, a blacklist.
//!
//! In: the topics and the data of a log of the token's own contract. Out: what it says, or nothing.
//! Never: a Transfer; another contract's log. Why: each of these makes money of ours unmovable,
//! smaller or gone, and no Transfer tells it.

use std::fmt;

use ruint::aliases::U256;

use crate::address::Address;
use crate::chain::{BlockId, TxHash};
use crate::name::{ChainName, OrderId};
use crate::time::Time;

/// What the issuer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Nothing can be transferred.
    Paused,
    /// Transfers go on.
    Unpaused,
    /// Another contract goes on in this one's place; Transfers are logged there from now on.
    Deprecated(Address),
    /// What is kept of each transfer; zero points: nothing.
    Fee {
        /// In parts of 10,000; the largest number there is where it is larger.
        points: u32,
        /// At most so many base units.
        most: U256,
    },
    /// The account can receive and cannot send.
    Blacklisted(Address),
    /// It can send again.
    Released(Address),
    /// What the account held is gone.
    Destroyed {
        /// The account.
        from: Address,
        /// What it held, in base units.
        raw: U256,
    },
}

/// The first topics of these logs, each with what its log says: the hash of a signature whose
/// arguments some tokens index and others do not. TetherToken has these on Ethereum and on TRON;
/// the last three are how USDT0 spells the blacklist.
pub const TOPICS: [[u8; 32]; 10] = [
    // Pause()
    hex("6985a02210a168e66602d3235cb6db0e70f92b3ba4d376a33c0f3d9434bff625"),
    // Unpause()
    hex("7805862f689e2f13df9f062ff482ad3ad112aca9e0847911ed832e158c525b33"),
    // Deprecate(address)
    hex("cc358699805e9a8b7f77b522628c7cb9abd07d9efb86b6fb616af1609036a99e"),
    // Params(uint256,uint256)
    hex("b044a1e409eac5c48e5af22d4af52670dd1a99059537a78b31b48c6500a6354e"),
    // AddedBlackList(address)
    hex("42e160154868087d6bfdc0ca23d96a1c1cfa32f1b72ba9ba27b69b98a0d819dc"),
    // RemovedBlackList(address)
    hex("d7e9ec6e6ecd65492dce6bf513cd6867560d49544421d0783ddf06e76c24470c"),
    // DestroyedBlackFunds(address,uint256)
    hex("61e6e66b0d6339b2980aecc6ccc0039736791f0ccde9ed512e789a7fbdd698c6"),
    // BlockPlaced(address)
    hex("406bbf2d8d145125adf1198d2cf8a67c66cc4bb0ab01c37dccd4f7c0aae1e7c7"),
    // BlockReleased(address)
    hex("665918c9e02eb2fd85acca3969cb054fc84c138e60ec4af22ab6ef2fd4c93c27"),
    // DestroyedBlockedFunds(address,uint256)
    hex("6a2859ae7902313752498feb80a014e6e7275fe964c79aa965db815db1c7f1e9"),
];

/// 64 hex digits as bytes.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler alone, which refuses what is out of range"
)]
const fn hex(text: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte - b'a' + 10,
        }
    }
    let (text, mut bytes, mut at) = (text.as_bytes(), [0; 32], 0);
    while at < 32 {
        bytes[at] = digit(text[2 * at]) * 16 + digit(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

impl What {
    /// What a log says whose first topic is `topic`: `words` are its arguments, those that are
    /// indexed first. `None` where it is no such log, or its arguments are not its signature's.
    #[must_use]
    pub fn read(topic: &[u8; 32], words: &[[u8; 32]]) -> Option<Self> {
        let kind = TOPICS.iter().position(|known| known == topic)?;
        // As `kinds` has them.
        Some(match (kind, words) {
            (0, []) => Self::Paused,
            (1, []) => Self::Unpaused,
            (2, [to]) => Self::Deprecated(account(to)?),
            (3, [points, most]) => {
                let points = u32::try_from(U256::from_be_bytes(*points)).unwrap_or(u32::MAX);
                Self::Fee { points, most: U256::from_be_bytes(*most) }
            }
            (4 | 7, [of]) => Self::Blacklisted(account(of)?),
            (5 | 8, [of]) => Self::Released(account(of)?),
            (6 | 9, [from, raw]) => {
                Self::Destroyed { from: account(from)?, raw: U256::from_be_bytes(*raw) }
            }
            _ => return None,
        })
    }

    /// The places of its signatures among [`TOPICS`].
    #[must_use]
    pub const fn kinds(&self) -> &'static [usize] {
        match self {
            Self::Paused => &[0],
            Self::Unpaused => &[1],
            Self::Deprecated(_) => &[2],
            Self::Fee { .. } => &[3],
            Self::Blacklisted(_) => &[4, 7],
            Self::Released(_) => &[5, 8],
            Self::Destroyed { .. } => &[6, 9],
        }
    }

    /// The account that it concerns; none where it concerns everybody.
    #[must_use]
    pub const fn account(&self) -> Option<Address> {
        match self {
            Self::Blacklisted(of) | Self::Released(of) | Self::Destroyed { from: of, .. } => {
                Some(*of)
            }
            Self::Paused | Self::Unpaused | Self::Deprecated(_) | Self::Fee { .. } => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Unpaused => "unpaused",
            Self::Deprecated(_) => "deprecated",
            Self::Fee { .. } => "fee",
            Self::Blacklisted(_) => "blacklisted",
            Self::Released(_) => "released",
            Self::Destroyed { .. } => "destroyed",
        }
    }

    /// From the word for it, the address that it names and its two numbers, as they are kept.
    #[must_use]
    pub fn parse(word: &str, named: Option<Address>, points: u32, raw: U256) -> Option<Self> {
        let what = match (word, named) {
            ("paused", None) => Self::Paused,
            ("unpaused", None) => Self::Unpaused,
            ("deprecated", Some(to)) => Self::Deprecated(to),
            ("fee", None) => Self::Fee { points, most: raw },
            ("blacklisted", Some(of)) => Self::Blacklisted(of),
            ("released", Some(of)) => Self::Released(of),
            ("destroyed", Some(from)) => Self::Destroyed { from, raw },
            _ => return None,
        };
        (what.kept() == (named, points, raw)).then_some(what)
    }

    /// The address that it names and its two numbers; zero where it has none.
    #[must_use]
    pub const fn kept(&self) -> (Option<Address>, u32, U256) {
        match self {
            Self::Paused | Self::Unpaused => (None, 0, U256::ZERO),
            Self::Deprecated(named) | Self::Blacklisted(named) | Self::Released(named) => {
                (Some(*named), 0, U256::ZERO)
            }
            Self::Fee { points, most } => (None, *points, *most),
            Self::Destroyed { from, raw } => (Some(*from), 0, *raw),
        }
    }
}

/// The account in a word: its first twelve bytes are zero.
fn account(word: &[u8; 32]) -> Option<Address> {
    let (zero, account) = word.split_first_chunk::<12>()?;
    Some(Address(account.try_into().ok()?)).filter(|_| *zero == [0; 12])
}

/// A notice as a chain shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The transaction. Where no log says it, since the contract was asked: the block's own hash.
    pub tx: TxHash,
    /// Its place among the token's notices inside the transaction, from 0. With the transaction
    /// this is its identity.
    pub n: u32,
    /// Its place among all logs of the block; behind them where the contract was asked.
    pub log_index: u64,
    /// The block it sits in.
    pub block: BlockId,
    /// The block's time.
    pub time: Time,
    /// What it says.
    pub what: What,
}

impl Notice {
    /// Whether the contract was asked after this block, and no log that was read says it.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.tx.0 == self.block.hash.0
    }

    /// Whether a transfer of the token is how it burnt what is destroyed here: some contracts log
    /// both.
    #[must_use]
    pub fn is_burnt_by(&self, tx: TxHash, [from, to]: [Address; 2], raw: U256) -> bool {
        to == Address::NOBODY && self.tx == tx && self.what == What::Destroyed { from, raw }
    }
}

/// Who a notice is. Written `chain:txhash:n`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId {
    /// The chain.
    pub chain: ChainName,
    /// The transaction.
    pub tx: TxHash,
    /// The place among the token's notices, from 0.
    pub n: u32,
}

impl fmt::Display for NoticeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&format!("{}:{}:{}", self.chain, self.tx, self.n))
    }
}

/// A notice as it is recorded: of those about an account, the ones about an address of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The chain.
    pub chain: ChainName,
    /// What was seen, where it sits now (or last sat).
    pub notice: Notice,
    /// The order that owned the address when this was first recorded; none where nobody did.
    pub order: Option<OrderId>,
    /// Whether its block is no longer part of the chain.
    pub orphaned: bool,
    /// How often it was mined, from 1.
    pub round: u32,
}

impl Noted {
    /// Who it is.
    #[must_use]
    pub fn id(&self) -> NoticeId {
        NoticeId { chain: self.chain.clone(), tx: self.notice.tx, n: self.notice.n }
    }
}

/// What of an issuer's notices holds now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Since when nothing can be transferred.
    pub paused: Option<Noted>,
    /// By what the contract was replaced.
    pub deprecated: Option<Noted>,
    /// A fee above zero.
    pub fee: Option<Noted>,
    /// Which accounts of ours cannot send, in the order of the chain.
    pub blacklisted: Vec<Noted>,
}

impl Standing {
    /// Whether this holds.
    #[must_use]
    pub fn says(&self, what: &What) -> bool {
        let same = |noted: &Option<Noted>| noted.as_ref().is_some_and(|n| n.notice.what == *what);
        let listed = |account| {
            self.blacklisted.iter().any(|noted| noted.notice.what.account() == Some(account))
        };
        match *what {
            What::Paused => self.paused.is_some(),
            What::Unpaused => self.paused.is_none(),
            What::Deprecated(_) => same(&self.deprecated),
            What::Fee { points: 0, .. } => self.fee.is_none(),
            What::Fee { .. } => same(&self.fee),
            What::Blacklisted(account) => listed(account),
            What::Released(account) => !listed(account),
            What::Destroyed { .. } => false,
        }
    }

    /// What holds after all of these, whatever their order.
    #[must_use]
    pub fn of(mut noted: Vec<Noted>) -> Self {
        noted.sort_by_key(|noted| (noted.notice.block.height, noted.notice.log_index));
        let mut standing = Self::default();
        for noted in noted.into_iter().filter(|noted| !noted.orphaned) {
            if noted.notice.is_asked() && standing.says(&noted.notice.what) {
                // A log that was read since says when it began.
                continue;
            }
            let about = noted.notice.what.account();
            let others = |known: &Noted| known.notice.what.account() != about;
            match noted.notice.what {
                What::Paused => standing.paused = Some(noted),
                What::Unpaused => standing.paused = None,
                What::Deprecated(_) => standing.deprecated = Some(noted),
                What::Fee { points: 0, .. } => standing.fee = None,
                What::Fee { .. } => standing.fee = Some(noted),
                What::Blacklisted(_) => {
                    standing.blacklisted.retain(others);
                    standing.blacklisted.push(noted);
                }
                What::Released(_) => standing.blacklisted.retain(others),
                // The account stays blacklisted.
                What::Destroyed { .. } => {}
            }
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha3::{Digest, Keccak256};

    fn word(byte: u8) -> [u8; 32] {
        let mut word = [0; 32];
        word[31] = byte;
        word
    }

    #[test]
    fn a_topic_is_the_hash_of_its_signature() {
        let signatures = [
            "Pause()",
            "Unpause()",
            "Deprecate(address)",
            "Params(uint256,uint256)",
            "AddedBlackList(address)",
            "RemovedBlackList(address)",
            "DestroyedBlackFunds(address,uint256)",
            "BlockPlaced(address)",
            "BlockReleased(address)",
            "DestroyedBlockedFunds(address,uint256)",
        ];
        let hash = |signature: &str| <[u8; 32]>::from(Keccak256::digest(signature));
        assert_eq!(TOPICS, signatures.map(hash));
    }

    #[test]
    fn a_log_says_what_its_signature_says_wherever_its_arguments_stand() {
        let account = |byte| {
            let mut bytes = [0; 20];
            bytes[19] = byte;
            Address(bytes)
        };
        let (one, two) = (word(1), word(2));
        let read = |kind: usize, words: &[[u8; 32]]| What::read(&TOPICS[kind], words);
        let fee = What::Fee { points: 1, most: U256::from(2) };
        let gone = What::Destroyed { from: account(1), raw: U256::from(2) };
        assert_eq!(read(0, &[]), Some(What::Paused));
        assert_eq!(read(1, &[]), Some(What::Unpaused));
        assert_eq!(read(2, &[one]), Some(What::Deprecated(account(1))));
        assert_eq!(read(3, &[one, two]), Some(fee));
        for (added, removed, destroyed) in [(4, 5, 6), (7, 8, 9)] {
            assert_eq!(read(added, &[one]), Some(What::Blacklisted(account(1))));
            assert_eq!(read(removed, &[one]), Some(What::Released(account(1))));
            assert_eq!(read(destroyed, &[one, two]), Some(gone));
        }
    }

    #[test]
    fn what_is_not_its_signatures_is_nothing() {
        let long = [0xff; 32];
        for (kind, words) in [
            (0, &[word(1)][..]),
            (2, &[]),
            (2, &[long]),
            (3, &[word(1)]),
            (4, &[long]),
            (4, &[word(1), word(2)]),
            (6, &[word(1)]),
            (6, &[long, word(2)]),
        ] {
            assert_eq!(What::read(&TOPICS[kind], words), None, "{kind}");
        }
        assert_eq!(What::read(&[0; 32], &[]), None);
        let huge = What::read(&TOPICS[3], &[long, long]);
        assert_eq!(huge, Some(What::Fee { points: u32::MAX, most: U256::MAX }));
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let of = Address([7; 20]);
        for what in [
            What::Paused,
            What::Unpaused,
            What::Deprecated(of),
            What::Fee { points: 10, most: U256::from(5) },
            What::Blacklisted(of),
            What::Released(of),
            What::Destroyed { from: of, raw: U256::MAX },
        ] {
            let (named, points, raw) = what.kept();
            assert_eq!(What::parse(what.word(), named, points, raw), Some(what));
            // Nothing that it does not have is passed over.
            assert_eq!(What::parse(what.word(), Some(of), 1, U256::from(1)), None);
        }
        assert_eq!(What::parse("moved", None, 0, U256::ZERO), None);
    }
}
