//! Balances of a token at one block, added up once.
//!
//! In: the logs up to the block, each with how it moves an account. Out: what each account holds.
//! Never: kept for another block or token. Why: who asks for a thousand balances at one block asks
//! for all of them in turn, and every log is looked at for each otherwise.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use alloy::primitives::{Address, B256, Log, U256};

/// What was paid and received, by account.
type Held = BTreeMap<Address, (U256, U256)>;

/// The balances that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Sums(Mutex<Option<(B256, Address, Held)>>);

impl Sums {
    /// What `account` holds of `token` after the block with this hash: `logs` are all up to it,
    /// `moved` says what one takes from and gives to an account.
    pub(crate) fn of<'a>(
        &self,
        (block, token, account): (B256, Address, Address),
        logs: impl Iterator<Item = &'a Log>,
        moved: impl Fn(&Log, Address, Address) -> (U256, U256),
    ) -> U256 {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |kept: &(B256, Address, Held)| (kept.0, kept.1) == (block, token);
        if !kept.as_ref().is_some_and(fits) {
            let mut held = Held::new();
            for log in logs {
                for account in named(log) {
                    let (out, into) = moved(log, token, account);
                    let (paid, received) = held.entry(account).or_default();
                    *paid = paid.saturating_add(out);
                    *received = received.saturating_add(into);
                }
            }
            *kept = Some((block, token, held));
        }
        let found = kept.as_ref().and_then(|(_, _, held)| held.get(&account));
        found.map_or(U256::ZERO, |(paid, received)| received.saturating_sub(*paid))
    }
}

/// The accounts that a log may name, each once: words that are no longer than an address.
fn named(log: &Log) -> Vec<Address> {
    let words = log.data.data.chunks_exact(32).filter_map(|word| word.try_into().ok());
    let words = log.topics().iter().copied().skip(1).chain(words.map(B256::new));
    let short = words.filter(|word| word.iter().take(12).all(|byte| *byte == 0));
    let mut named: Vec<Address> = short.map(Address::from_word).collect();
    named.sort_unstable();
    named.dedup();
    named
}
