//! The events a scripted transaction leaves, as USDT's contract on TRON logs them.
//!
//! In: events by name. Out: topics and data, and back: what an index makes of a log. Never: an
//! address of 21 bytes inside a log; TRON logs hold twenty. Why: unlike on Ethereum the
//! black-list events are indexed here, as recorded events of the contract show.

use alloy::primitives::{Address, B256, Bytes, Log, LogData, U256, hex, keccak256};

/// `Transfer(address,address,uint256)`.
pub(crate) const TRANSFER: B256 =
    alloy::primitives::b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// One log of a transaction. `contract: None` is the chain's own token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LogSpec {
    /// `Transfer`, by the token or by a look-alike.
    Transfer {
        /// The emitting contract.
        contract: Option<Address>,
        /// Who pays.
        from: Address,
        /// Who is paid.
        to: Address,
        /// In base units.
        value: U256,
    },
    /// `Approval`, which moves nothing.
    Approval {
        /// Whose tokens.
        owner: Address,
        /// Who may take them.
        spender: Address,
        /// In base units.
        value: U256,
    },
    /// `Pause()`: no transfer succeeds any more.
    Pause,
    /// `Unpause()`.
    Unpause,
    /// `Params(uint256,uint256)`: a fee is switched on, or off with zeros.
    Params {
        /// Of the value, in hundredths of a percent.
        basis_points: U256,
        /// The fee's ceiling, in base units.
        max_fee: U256,
    },
    /// `Deprecate(address)`: the token lives on elsewhere.
    Deprecate {
        /// The contract that takes over.
        successor: Address,
    },
    /// `AddedBlackList(address indexed)`.
    AddedBlackList {
        /// Who may not pay any more.
        account: Address,
    },
    /// `DestroyedBlackFunds(address indexed,uint256)`: a balance goes away without a Transfer.
    DestroyedBlackFunds {
        /// Whose balance.
        account: Address,
        /// In base units.
        value: U256,
    },
    /// Anything else, word for word.
    Raw {
        /// The emitting contract.
        contract: Option<Address>,
        /// At most four.
        topics: Vec<B256>,
        /// As it is.
        data: Bytes,
    },
}

impl LogSpec {
    pub(crate) fn log(&self, token: Address) -> Log {
        let contract = match self {
            Self::Transfer { contract, .. } | Self::Raw { contract, .. } => contract,
            _ => &None,
        };
        let (topics, data) = self.topics_and_data();
        Log { address: contract.unwrap_or(token), data: LogData::new_unchecked(topics, data) }
    }

    fn topics_and_data(&self) -> (Vec<B256>, Bytes) {
        match self {
            Self::Transfer { from, to, value, .. } => {
                (vec![TRANSFER, from.into_word(), to.into_word()], words(&[(*value).into()]))
            }
            Self::Approval { owner, spender, value } => (
                vec![topic(&EVENTS[1]), owner.into_word(), spender.into_word()],
                words(&[(*value).into()]),
            ),
            Self::Pause => (vec![topic(&EVENTS[2])], Bytes::new()),
            Self::Unpause => (vec![topic(&EVENTS[3])], Bytes::new()),
            Self::Params { basis_points, max_fee } => {
                (vec![topic(&EVENTS[4])], words(&[(*basis_points).into(), (*max_fee).into()]))
            }
            Self::Deprecate { successor } => {
                (vec![topic(&EVENTS[5])], words(&[successor.into_word()]))
            }
            Self::AddedBlackList { account } => {
                (vec![topic(&EVENTS[6]), account.into_word()], Bytes::new())
            }
            Self::DestroyedBlackFunds { account, value } => {
                (vec![topic(&EVENTS[7]), account.into_word()], words(&[(*value).into()]))
            }
            // A log with a fifth topic cannot exist.
            Self::Raw { topics, data, .. } => {
                (topics.iter().take(4).copied().collect(), data.clone())
            }
        }
    }
}

/// An event an index knows the meaning of.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [Argument],
}

/// One argument of an event.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) indexed: bool,
}

const fn indexed(name: &'static str) -> Argument {
    Argument { name, kind: "address", indexed: true }
}

const fn number(name: &'static str) -> Argument {
    Argument { name, kind: "uint256", indexed: false }
}

/// The events of USDT's contract on TRON that its holders see, with the names of its source.
pub(crate) const EVENTS: [Event; 8] = [
    Event { name: "Transfer", arguments: &[indexed("from"), indexed("to"), number("value")] },
    Event { name: "Approval", arguments: &[indexed("owner"), indexed("spender"), number("value")] },
    Event { name: "Pause", arguments: &[] },
    Event { name: "Unpause", arguments: &[] },
    Event { name: "Params", arguments: &[number("feeBasisPoints"), number("maxFee")] },
    Event {
        name: "Deprecate",
        arguments: &[Argument { name: "newAddress", kind: "address", indexed: false }],
    },
    Event { name: "AddedBlackList", arguments: &[indexed("_user")] },
    Event {
        name: "DestroyedBlackFunds",
        arguments: &[indexed("_blackListedUser"), number("_balance")],
    },
];

impl Event {
    /// The event a log is, if it is a known one.
    pub(crate) fn of(log: &Log) -> Option<&'static Self> {
        let first = log.topics().first()?;
        EVENTS.iter().find(|event| topic(event) == *first)
    }

    /// `Transfer(address indexed from, address indexed to, uint256 value)`.
    pub(crate) fn declaration(&self) -> String {
        let one = |argument: &Argument| {
            let indexed = if argument.indexed { "indexed " } else { "" };
            format!("{} {indexed}{}", argument.kind, argument.name)
        };
        let arguments: Vec<_> = self.arguments.iter().map(one).collect();
        format!("{}({})", self.name, arguments.join(", "))
    }

    /// Each argument's value in a log, as an index shows it.
    pub(crate) fn values(&self, log: &Log) -> Vec<String> {
        let mut topics = log.topics().iter().skip(1).copied();
        let mut data = log.data.data.chunks_exact(32).map(B256::from_slice);
        let value = |argument: &Argument| {
            let word = if argument.indexed { topics.next() } else { data.next() };
            let word = word.unwrap_or_default();
            match argument.kind {
                "address" => format!("0x{}", hex::encode(Address::from_word(word))),
                _ => U256::from_be_bytes(word.0).to_string(),
            }
        };
        self.arguments.iter().map(value).collect()
    }
}

/// The first topic of an event's logs.
pub(crate) fn topic(event: &Event) -> B256 {
    let kinds: Vec<_> = event.arguments.iter().map(|argument| argument.kind).collect();
    keccak256(format!("{}({})", event.name, kinds.join(",")))
}

/// What a log took from and gave to an account of a token, in base units.
pub(crate) fn moved(log: &Log, token: Address, account: Address) -> (U256, U256) {
    let Some(event) = Event::of(log).filter(|_| log.address == token) else {
        return (U256::ZERO, U256::ZERO);
    };
    let amount = |yes: bool, value: &[u8]| {
        if yes { U256::try_from_be_slice(value).unwrap_or(U256::MAX) } else { U256::ZERO }
    };
    let value = log.data.data.get(..32).unwrap_or_default();
    match (event.name, log.topics()) {
        ("Transfer", [_, from, to]) => {
            (amount(*from == account.into_word(), value), amount(*to == account.into_word(), value))
        }
        ("DestroyedBlackFunds", [_, of]) => (amount(*of == account.into_word(), value), U256::ZERO),
        _ => (U256::ZERO, U256::ZERO),
    }
}

pub(crate) fn words(words: &[B256]) -> Bytes {
    words.iter().flat_map(|word| word.0).collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_those_of_the_contract() {
        assert_eq!(topic(&EVENTS[0]), TRANSFER);
        let told = [
            ("Approval", "8c5be1e5"),
            ("Pause", "6985a022"),
            ("Unpause", "7805862f"),
            ("Params", "b044a1e4"),
            ("Deprecate", "cc358699"),
            ("AddedBlackList", "42e16015"),
            ("DestroyedBlackFunds", "61e6e66b"),
        ];
        for (event, (name, start)) in EVENTS.iter().skip(1).zip(told) {
            assert_eq!((event.name, &hex::encode(topic(event))[..8]), (name, start));
        }
    }
}
