//! A chain's nodes, of whichever kind they are.
//!
//! In: one chain's config. Out: scans, headers and transactions in the words of the rules.
//! Never: a rule, a retry, a wait. Why: everything above this line is the same for every chain.

mod error;

use std::sync::Arc;

use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Cursor, Header, Scan, Transfer, TxHash};
use payments::contract::Answers;
use payments::lookup::{Held, Told, Transaction};
use payments::watch::WatchSet;

pub use error::{Meaning, NodeError};

use crate::config;

/// An error of the caller's own, carried through.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The nodes of one chain, connected.
pub enum Node {
    /// An EVM chain's.
    Evm(Box<erc20::Source>),
    /// A TRON chain's.
    Tron(Box<trc20::Source>),
}

/// What one look at a chain found.
#[derive(Debug)]
pub struct Look {
    /// What is new.
    pub scan: Scan,
    /// Transfers of blocks that were recorded before, which only an index can show late.
    pub earlier: Vec<Transfer>,
}

/// What ends the sleep between two looks.
pub enum Bell {
    /// A subscription rings it.
    Rings(erc20::Doorbell),
    /// The chain offers none.
    Silent,
}

impl Bell {
    /// Ends at the next ring; never, where nothing rings.
    pub async fn rung(&self) {
        match self {
            Self::Rings(bell) => bell.rung().await,
            Self::Silent => std::future::pending().await,
        }
    }
}

impl Node {
    /// Connects to the nodes a config names and checks that they are what it says.
    ///
    /// # Errors
    /// What contradicts the config, or that none can be reached.
    pub async fn connect(config: config::Node) -> Result<Self, NodeError> {
        Ok(match config {
            config::Node::Evm(config) => {
                Self::Evm(Box::new(erc20::Source::connect(*config).await?))
            }
            config::Node::Tron(tron) => {
                Self::Tron(Box::new(trc20::Source::connect(tron.source).await?))
            }
        })
    }

    /// What block 0 is, for the caller to pin.
    #[must_use]
    pub fn genesis(&self) -> Option<BlockHash> {
        match self {
            Self::Evm(source) => source.genesis(),
            Self::Tron(source) => source.genesis(),
        }
    }

    /// What ends the sleep between two looks.
    #[must_use]
    pub fn doorbell(&self) -> Bell {
        match self {
            Self::Evm(source) => Bell::Rings(source.doorbell()),
            Self::Tron(_) => Bell::Silent,
        }
    }

    /// What is new since `cursor`, every block read. `refresh` is called after the bytes were
    /// fetched and before they are filtered.
    ///
    /// # Errors
    /// Any; none of them loses anything.
    pub async fn poll<Watched>(
        &self,
        cursor: &Cursor,
        refresh: impl Fn() -> Watched,
    ) -> Result<Look, NodeError>
    where
        Watched: Future<Output = Result<Arc<WatchSet>, BoxError>>,
    {
        let scan = match self {
            Self::Evm(source) => source.poll(cursor, refresh).await?,
            Self::Tron(source) => source.poll(cursor, refresh).await?,
        };
        Ok(Look { scan, earlier: Vec::new() })
    }

    /// What an index knows to be new for `accounts` since `cursor`, each transfer read from its
    /// solidified block; where there is no such way, `None`.
    ///
    /// # Errors
    /// Any; none of them loses anything.
    pub async fn poll_accounts(
        &self,
        cursor: &Cursor,
        accounts: &[trc20::Account],
    ) -> Result<Option<Look>, NodeError> {
        match self {
            Self::Evm(_) => Ok(None),
            Self::Tron(source) => {
                let trc20::Found { scan, earlier } = source.poll_accounts(cursor, accounts).await?;
                Ok(Some(Look { scan, earlier }))
            }
        }
    }

    /// The verified header at `height`; none above the tip.
    ///
    /// # Errors
    /// Where no endpoint answers.
    pub async fn header(&self, height: u64) -> Result<Option<Header>, NodeError> {
        Ok(match self {
            Self::Evm(source) => source.header(height).await?,
            Self::Tron(source) => source.header(height).await?,
        })
    }

    /// Whether any endpoint has `block`.
    ///
    /// # Errors
    /// Where no endpoint answers.
    pub async fn holds(&self, block: BlockId) -> Result<Held, NodeError> {
        Ok(match self {
            Self::Evm(source) => source.holds(block).await?,
            Self::Tron(source) => source.holds(block).await?,
        })
    }

    /// Reads the blocks from `from` on again, to `to` or as far as one window reaches.
    ///
    /// # Errors
    /// As a poll.
    pub async fn rescan(&self, from: u64, to: u64, watch: &WatchSet) -> Result<Scan, NodeError> {
        Ok(match self {
            Self::Evm(source) => source.rescan(from, to, watch).await?,
            Self::Tron(source) => source.rescan(from, to, watch).await?,
        })
    }

    /// The error of a block that this chain's nodes do not tell as they should.
    pub(crate) fn unread(&self, height: u64, why: &str) -> NodeError {
        let why = why.to_owned();
        match self {
            Self::Evm(_) => erc20::Error::Unread { height, why }.into(),
            Self::Tron(_) => trc20::Error::Unread { height, why }.into(),
        }
    }

    /// Our Transfers and notices of one block in the strongest way there is: proved by the header
    /// on an EVM chain; on TRON, whose headers bind no log, as two servers agree on it. Where there
    /// is only one server of TRON, its word, unless `insist` is set.
    ///
    /// # Errors
    /// Where the block cannot be proved, or the servers do not agree.
    pub async fn prove(
        &self,
        height: u64,
        watch: &WatchSet,
        insist: bool,
    ) -> Result<Told, NodeError> {
        match self {
            Self::Evm(source) => Ok(source.prove(height, watch).await?),
            Self::Tron(source) => match source.corroborate(height, watch).await {
                Err(trc20::Error::GaveUp { .. }) if !insist => {
                    let scan = source.rescan(height, height, watch).await?;
                    Ok(Told { transfers: scan.transfers, notices: scan.notices })
                }
                corroborated => Ok(corroborated?),
            },
        }
    }

    /// The newest final block and the height of the newest of all; none where nothing is final.
    ///
    /// # Errors
    /// Where no endpoint answers.
    pub async fn newest_final(&self) -> Result<Option<(Header, u64)>, NodeError> {
        Ok(match self {
            Self::Evm(source) => source.newest_final().await?,
            Self::Tron(source) => source.newest_final().await?,
        })
    }

    /// What `accounts` held of the token after the block `at`, in their order. On TRON, whose nodes
    /// answer for now alone, after some final block that each answer names.
    ///
    /// # Errors
    /// Where no endpoint answers, or all have forgotten that block's state.
    pub async fn balances(
        &self,
        accounts: &[Address],
        at: BlockId,
    ) -> Result<Vec<trc20::Balance>, NodeError> {
        match self {
            Self::Evm(source) => {
                let held = source.balances(accounts, at).await?.into_iter();
                let (from, to) = (at.height, at.height);
                Ok(held.map(|raw| trc20::Balance { raw, from, to }).collect())
            }
            Self::Tron(source) => Ok(source.balances(accounts).await?),
        }
    }

    /// What the token's contract answers, after a block that is final now; none where nothing is.
    /// The node learns which accounts are meant.
    ///
    /// # Errors
    /// Where no endpoint answers.
    pub async fn answers(&self, accounts: &[Address]) -> Result<Option<Answers>, NodeError> {
        Ok(match self {
            Self::Evm(source) => match source.newest_final().await? {
                Some((header, _)) => Some(source.answers(accounts, header).await?),
                None => None,
            },
            Self::Tron(source) => Some(source.answers(accounts).await?),
        })
    }

    /// A transaction in the strongest way there is: proved by the header of its block on an EVM
    /// chain; on TRON as two servers agree on it, or as the only one tells it.
    ///
    /// # Errors
    /// Where it cannot be proved, the servers do not agree, or one that might know it did not
    /// answer.
    pub async fn prove_transaction(&self, tx: TxHash) -> Result<Transaction, NodeError> {
        Ok(match self {
            Self::Evm(source) => source.prove_transaction(tx).await?,
            Self::Tron(source) => source.corroborate_transaction(tx).await?,
        })
    }

    /// What is known of a transaction, on one endpoint's word.
    ///
    /// # Errors
    /// Where an endpoint that might know it did not answer.
    pub async fn transaction(&self, tx: TxHash) -> Result<Transaction, NodeError> {
        Ok(match self {
            Self::Evm(source) => source.transaction(tx).await?,
            Self::Tron(source) => source.transaction(tx).await?,
        })
    }

    /// Whether the chain knows an address already.
    ///
    /// # Errors
    /// Where no endpoint answers.
    pub async fn is_used(&self, address: Address) -> Result<bool, NodeError> {
        Ok(match self {
            Self::Evm(source) => source.used(address).await?.any(),
            Self::Tron(source) => source.used(address).await?.any(),
        })
    }
}
