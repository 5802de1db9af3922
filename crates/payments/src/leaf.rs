//! What the log of journals holds of each of them.
//!
//! In: a journal and its number. Out: its canonical bytes, and the hash of that leaf.
//! Never: a byte that depends on the engine, or on the program that reads it.
//! Why: whoever has the same journal must come to the same hash, with any tool.

use std::fmt::Write as _;

use crate::ledger::Journal;
use crate::merkle::TreeHash;

/// The canonical text of journal number `seq` (from 1): a line for each fact in this order, each
/// ended by a line feed. No fact holds a line feed: they are made of names, hex digits and numbers.
/// Times are milliseconds since 1970, amounts are millionths; a fact that is not there is `-`.
#[must_use]
pub fn canonical(seq: u64, journal: &Journal) -> String {
    let mut text = String::with_capacity(512);
    let order = journal.order.as_ref().map_or("-", |order| order.as_str());
    // Writing to a text cannot fail.
    let _ = write!(text, "bursar journal 1\nseq {seq}\nkey {}\norder {order}\n", journal.key);
    let _ = match &journal.deposit {
        Some(deposit) => writeln!(text, "deposit {deposit}"),
        None => writeln!(text, "deposit -"),
    };
    let (effective, recorded) = (journal.effective.0, journal.recorded.0);
    let _ = write!(text, "effective {effective}\nrecorded {recorded}\n");
    let _ = writeln!(text, "remainder {}", journal.remainder);
    for entry in &journal.entries {
        let _ = write!(text, "entry {} {} ", entry.asset, entry.debit);
        let _ = writeln!(text, "{} {}", entry.credit, entry.amount);
    }
    text
}

/// The hash of journal number `seq` as a leaf of the log; it is leaf `seq - 1`.
#[must_use]
pub fn leaf(seq: u64, journal: &Journal) -> TreeHash {
    TreeHash::of_leaf(canonical(seq, journal).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::amount::Usdt;
    use crate::deposit::DepositId;
    use crate::ledger::{Account, Entry};
    use crate::name::{ChainName, OrderId};
    use crate::time::Time;

    fn journal() -> Journal {
        let chain = ChainName::new("ethereum").unwrap();
        let order = OrderId::new("A-1").unwrap();
        let tx = format!("ethereum:0x{}:0", "ab".repeat(32));
        let custody = Account::Custody(chain.clone(), Address([7; 20]));
        let amount = Usdt::parse("100").unwrap();
        let entry = Entry::usdt(&chain, custody, Account::Order(order.clone()), amount).unwrap();
        Journal {
            key: format!("deposit:{tx}"),
            order: Some(order),
            deposit: DepositId::parse(&tx),
            effective: Time(1_000),
            recorded: Time(2_000),
            remainder: 0,
            entries: vec![entry],
        }
    }

    #[test]
    fn the_text_is_for_ever() {
        let tx = format!("ethereum:0x{}:0", "ab".repeat(32));
        let address = "07".repeat(20);
        let expected = format!(
            "bursar journal 1\nseq 7\nkey deposit:{tx}\norder A-1\ndeposit {tx}\n\
             effective 1000\nrecorded 2000\nremainder 0\n\
             entry USDT.ethereum custody:ethereum:0x{address} order:A-1 100000000\n"
        );
        assert_eq!(canonical(7, &journal()), expected);
        let mut bare = journal();
        (bare.order, bare.deposit) = (None, None);
        assert!(canonical(7, &bare).contains("\norder -\ndeposit -\n"));
    }

    #[test]
    fn every_fact_is_in_the_hash() {
        let known = leaf(7, &journal());
        assert_ne!(leaf(8, &journal()), known);
        let changes: [fn(&mut Journal); 8] = [
            |journal| journal.key.push('x'),
            |journal| journal.order = None,
            |journal| journal.deposit = None,
            |journal| journal.effective = Time(1_001),
            |journal| journal.recorded = Time(2_001),
            |journal| journal.remainder = 1,
            |journal| journal.entries[0].amount += 1,
            |journal| journal.entries.clear(),
        ];
        for change in changes {
            let mut changed = journal();
            change(&mut changed);
            assert_ne!(leaf(7, &changed), known, "{changed:?}");
        }
    }
}
