//! What a chain's nodes said, and what it means for the loop.
//!
//! In: an error of either client. Out: the same, and one of a few meanings.
//! Never: a meaning that depends on words. Why: the loop waits, stalls, pauses or ends by it.

use std::time::Duration;

/// Why a question about a chain has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Of an EVM chain.
    #[error(transparent)]
    Evm(#[from] erc20::Error),
    /// Of a TRON chain.
    #[error(transparent)]
    Tron(#[from] trc20::Error),
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The config and the node contradict each other: waiting cannot help.
    Misconfigured,
    /// The node's chain leaves the recorded one where that cannot be: crediting must wait for a
    /// person.
    Replaced,
    /// Endpoints contradict each other: told at once, tried again.
    Disagreement,
    /// The endpoints want to be left alone for so long; they are not down.
    Throttled(Duration),
    /// Tried again; told once it has lasted.
    Passing,
}

impl NodeError {
    /// What is to be done about it.
    #[must_use]
    pub const fn meaning(&self) -> Meaning {
        match self {
            Self::Evm(error) => evm(error),
            Self::Tron(error) => tron(error),
        }
    }

    /// Whether an endpoint of which this is true may be the right one all the same.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Evm(error) => error.may_pass(),
            Self::Tron(error) => error.may_pass(),
        }
    }
}

const fn evm(error: &erc20::Error) -> Meaning {
    use erc20::Error as E;
    match error {
        E::WrongChain { .. }
        | E::WrongGenesis { .. }
        | E::WrongDecimals { .. }
        | E::NoCode { .. } => Meaning::Misconfigured,
        E::BelowFinalized { .. } => Meaning::Replaced,
        E::Disagree { .. } => Meaning::Disagreement,
        E::RateLimited { retry_after, .. } => Meaning::Throttled(*retry_after),
        _ => Meaning::Passing,
    }
}

const fn tron(error: &trc20::Error) -> Meaning {
    use trc20::Error as E;
    match error {
        E::WrongGenesis { .. }
        | E::WrongDecimals { .. }
        | E::NoContract { .. }
        | E::NoSolidity { .. } => Meaning::Misconfigured,
        E::BelowFinalized { .. } => Meaning::Replaced,
        E::Disagree { .. } | E::OtherTransfers { .. } => Meaning::Disagreement,
        E::RateLimited { retry_after, .. } => Meaning::Throttled(*retry_after),
        _ => Meaning::Passing,
    }
}
