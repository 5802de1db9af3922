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

#[cfg(test)]
mod tests {
    use alloy::primitives::LogData;

    use super::*;

    const TOKEN: Address = Address::repeat_byte(0xda);
    const ANN: Address = Address::repeat_byte(0xaa);
    const BOB: Address = Address::repeat_byte(0xbb);
    /// Longer than an address: a signature, or a very large amount.
    const LONG: B256 = B256::repeat_byte(0x11);

    /// What goes from an account to another: one is indexed, the other is in the data.
    fn paid(from: Address, to: Address, amount: u64) -> Log {
        let amount = B256::from(U256::from(amount));
        let data = [to.into_word(), amount, LONG].concat();
        let topics = vec![LONG, from.into_word()];
        Log { address: TOKEN, data: LogData::new_unchecked(topics, data.into()) }
    }

    fn moved(log: &Log, token: Address, account: Address) -> (U256, U256) {
        let (to, amount) = (&log.data.data[..32], &log.data.data[32..64]);
        let whose = |word: B256| log.address == token && Address::from_word(word) == account;
        let side = |is: bool| if is { U256::from_be_slice(amount) } else { U256::ZERO };
        (side(whose(log.topics()[1])), side(whose(B256::from_slice(to))))
    }

    fn held(sums: &Sums, block: u8, token: Address, account: Address, logs: &[Log]) -> u64 {
        let block = B256::repeat_byte(block);
        sums.of((block, token, account), logs.iter(), moved).to()
    }

    #[test]
    fn an_account_holds_what_it_received_less_what_it_paid() {
        let sums = Sums::default();
        let logs = [paid(BOB, ANN, 10), paid(ANN, BOB, 3), paid(ANN, ANN, 5)];
        assert_eq!(held(&sums, 1, TOKEN, ANN, &logs), 7);
        // Who paid more than came to him holds nothing, as who is named nowhere.
        assert_eq!(held(&sums, 1, TOKEN, BOB, &logs), 0);
        assert_eq!(held(&sums, 1, TOKEN, TOKEN, &logs), 0);
    }

    #[test]
    fn it_is_added_up_once_for_a_block_and_a_token_and_anew_for_another() {
        let sums = Sums::default();
        assert_eq!(held(&sums, 1, TOKEN, ANN, &[paid(BOB, ANN, 10)]), 10);
        // Kept: the logs are not looked at again, whoever is asked about.
        assert_eq!(held(&sums, 1, TOKEN, ANN, &[]), 10);
        assert_eq!(held(&sums, 1, TOKEN, BOB, &[paid(ANN, BOB, 9)]), 0);
        let more = [paid(BOB, ANN, 10), paid(BOB, ANN, 1)];
        assert_eq!(held(&sums, 2, TOKEN, ANN, &more), 11);
        assert_eq!(held(&sums, 2, BOB, ANN, &more), 0);
        // What was asked before is forgotten.
        assert_eq!(held(&sums, 2, TOKEN, ANN, &more[..1]), 10);
    }

    #[test]
    fn a_log_names_each_account_once_and_no_long_word() {
        let amount = Address::from_word(B256::from(U256::from(7)));
        assert_eq!(named(&paid(BOB, ANN, 7)), [amount, ANN, BOB]);
        assert_eq!(named(&paid(ANN, ANN, 7)), [amount, ANN]);
    }
}
