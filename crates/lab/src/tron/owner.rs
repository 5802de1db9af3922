//! What the token's contract remembers of what its owner did.
//!
//! In: the logs of the chain up to a block, a call. Out: what Tether's contract answers. Never: a
//! state that no log made: a chain whose token was paused before anybody looked is one that mined
//! the log then. Why: a watcher asks the contract how things stand.

use alloy::primitives::{Address, B256, Log, U256, keccak256};

/// How things stand after a block.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    paused: bool,
    successor: Option<Address>,
    fee: (U256, U256),
    blacklisted: Vec<Address>,
}

impl Owner {
    /// After these logs of the token `token`, the oldest first.
    pub(crate) fn after<'a>(token: Address, logs: impl Iterator<Item = &'a Log>) -> Self {
        let mut owner = Self::default();
        for log in logs.filter(|log| log.address == token) {
            owner.heed(log);
        }
        owner
    }

    fn heed(&mut self, log: &Log) {
        let Some((topic, indexed)) = log.topics().split_first() else { return };
        let is = |signature: &str| *topic == keccak256(signature);
        let data = log.data.data.chunks_exact(32).filter_map(|word| B256::try_from(word).ok());
        let mut words = indexed.iter().copied().chain(data);
        let mut next = || words.next().unwrap_or_default();
        if is("Pause()") || is("Unpause()") {
            self.paused = is("Pause()");
        } else if is("Deprecate(address)") {
            self.successor = Some(Address::from_word(next()));
        } else if is("Params(uint256,uint256)") {
            self.fee = (next().into(), next().into());
        } else if is("AddedBlackList(address)") {
            self.blacklisted.push(Address::from_word(next()));
        } else if is("RemovedBlackList(address)") {
            let released = Address::from_word(next());
            self.blacklisted.retain(|account| *account != released);
        }
    }

    /// What the contract answers to a call; `None` where it has no such method.
    pub(crate) fn answer(&self, selector: &[u8], arguments: &[u8]) -> Option<U256> {
        let is = |signature: &str| keccak256(signature).get(..4) == Some(selector);
        let account = |bytes: &[u8]| bytes.get(12..32).map(Address::from_slice);
        if is("paused()") {
            return Some(U256::from(self.paused));
        }
        if is("deprecated()") {
            return Some(U256::from(self.successor.is_some()));
        }
        if is("upgradedAddress()") {
            return Some(self.successor.unwrap_or_default().into_word().into());
        }
        if is("basisPointsRate()") {
            return Some(self.fee.0);
        }
        if is("maximumFee()") {
            return Some(self.fee.1);
        }
        if is("isBlackListed(address)") || is("getBlackListStatus(address)") {
            return Some(U256::from(self.blacklisted.contains(&account(arguments)?)));
        }
        None
    }
}
