//! Evidence as text: what is kept of a run, so that it can be resumed.
//!
//! In: transfers, balances, a cut-off. Out: lines, and the same again.
//! Never: a line that does not parse taken for nothing. Why: a run that was killed goes on from
//! what it had read, and ends with the same bytes.

use std::str::Split;

use payments::address::{Address, from_hex, lower_hex};
use payments::chain::{BlockHash, BlockId, Transfer, TxHash};
use payments::notice::{Notice, What};
use payments::time::Time;
use ruint::aliases::U256;

/// Where a run stops on a chain, chosen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) from: u64,
    pub(super) block: BlockId,
    pub(super) time: Time,
    pub(super) tip: u64,
}

impl Pin {
    pub(super) fn write(&self) -> String {
        let Self { from, block, time, tip } = self;
        format!("{from} {} {} {} {tip}", block.height, block.hash, time.0)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let from = words.next()?.parse().ok()?;
        let height = words.next()?.parse().ok()?;
        let hash = BlockHash::parse(words.next()?)?;
        let time = Time(words.next()?.parse().ok()?);
        let tip = words.next()?.parse().ok()?;
        Some(Self { from, block: BlockId { height, hash }, time, tip })
    }
}

/// A stretch of blocks that was read: what is below it, its last block, its transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) below: Option<BlockHash>,
    pub(super) last: BlockHash,
    pub(super) transfers: Vec<Transfer>,
    /// What the token's issuer did in them.
    pub(super) notices: Vec<Notice>,
}

impl Stretch {
    pub(super) fn write(&self) -> String {
        let below = self.below.map_or_else(|| "-".to_owned(), |hash| hash.to_string());
        let mut text = format!("{below} {}", self.last);
        for t in &self.transfers {
            let accounts = [t.token, t.from, t.to].map(|address| lower_hex(&address.0)).join(" ");
            let place = Place::of_transfer(t).write();
            text.push_str(&format!("\n{place} {accounts} {}", t.raw));
        }
        for notice in &self.notices {
            let (named, points, raw) = notice.what.kept();
            let (place, word) = (Place::of_notice(notice).write(), notice.what.word());
            let named = named.map_or_else(|| "-".to_owned(), |address| lower_hex(&address.0));
            text.push_str(&format!("\n{NOTICE} {place} {word} {named} {points} {raw}"));
        }
        text
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (below, last) = lines.next()?.split_once(' ')?;
        let below = if below == "-" { None } else { Some(BlockHash::parse(below)?) };
        let last = BlockHash::parse(last)?;
        let (mut transfers, mut notices) = (Vec::new(), Vec::new());
        for line in lines {
            match line.strip_prefix(NOTICE) {
                Some(rest) => notices.push(notice(rest.trim_start())?),
                None => transfers.push(transfer(line)?),
            }
        }
        Some(Self { below, last, transfers, notices })
    }
}

/// How the line of a notice begins; that of a transfer begins with its transaction.
const NOTICE: &str = "notice";

/// Where a log sits: the words that every line begins with.
struct Place {
    tx: TxHash,
    n: u32,
    log_index: u64,
    block: BlockId,
    time: Time,
}

impl Place {
    const fn of_transfer(of: &Transfer) -> Self {
        Self { tx: of.tx, n: of.n, log_index: of.log_index, block: of.block, time: of.time }
    }

    const fn of_notice(of: &Notice) -> Self {
        Self { tx: of.tx, n: of.n, log_index: of.log_index, block: of.block, time: of.time }
    }

    fn write(&self) -> String {
        let Self { tx, n, log_index, block, time } = self;
        format!("{tx} {n} {log_index} {} {} {}", block.height, block.hash, time.0)
    }

    fn read(words: &mut Split<'_, char>) -> Option<Self> {
        let tx = TxHash::parse(words.next()?)?;
        let n = words.next()?.parse().ok()?;
        let log_index = words.next()?.parse().ok()?;
        let height = words.next()?.parse().ok()?;
        let hash = BlockHash::parse(words.next()?)?;
        let time = Time(words.next()?.parse().ok()?);
        Some(Self { tx, n, log_index, block: BlockId { height, hash }, time })
    }
}

fn notice(line: &str) -> Option<Notice> {
    let mut words = line.split(' ');
    let Place { tx, n, log_index, block, time } = Place::read(&mut words)?;
    let word = words.next()?;
    let named = match words.next()? {
        "-" => None,
        address => Some(Address(from_hex(address)?)),
    };
    let (points, raw) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let what = What::parse(word, named, points, raw)?;
    Some(Notice { tx, n, log_index, block, time, what })
}

fn transfer(line: &str) -> Option<Transfer> {
    let mut words = line.split(' ');
    let Place { tx, n, log_index, block, time } = Place::read(&mut words)?;
    let mut address = || Some(Address(from_hex(words.next()?)?));
    let (token, from, to) = (address()?, address()?, address()?);
    let raw: U256 = words.next()?.parse().ok()?;
    Some(Transfer { tx, n, log_index, block, time, token, from, to, raw })
}

/// Balances, each with the heights between which it was told.
pub(super) type Held = Vec<(Address, trc20::Balance)>;

pub(super) fn write_held(held: &Held) -> String {
    let line = |(address, at): &(Address, trc20::Balance)| {
        format!("{} {} {} {}", lower_hex(&address.0), at.raw, at.from, at.to)
    };
    held.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn read_held(text: &str) -> Option<Held> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let address = Address(from_hex(words.next()?)?);
        let raw: U256 = words.next()?.parse().ok()?;
        let (from, to) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((address, trc20::Balance { raw, from, to }))
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let block = BlockId { height: 7, hash: BlockHash([7; 32]) };
        let pin = Pin { from: 1, block, time: Time(5), tip: 9 };
        assert_eq!(Pin::read(&pin.write()), Some(pin));
        let transfer = Transfer {
            tx: TxHash([1; 32]),
            n: 2,
            log_index: 3,
            block,
            time: Time(4),
            token: Address([5; 20]),
            from: Address([6; 20]),
            to: Address([7; 20]),
            raw: U256::MAX,
        };
        let transfers = vec![transfer.clone(), transfer];
        let notice = |what| {
            let (tx, time) = (TxHash([1; 32]), Time(4));
            Notice { tx, n: 2, log_index: 3, block, time, what }
        };
        let emptied = What::Destroyed { from: Address([6; 20]), raw: U256::MAX };
        let notices = vec![notice(What::Paused), notice(emptied)];
        for below in [None, Some(BlockHash([8; 32]))] {
            let (transfers, notices) = (transfers.clone(), notices.clone());
            let stretch = Stretch { below, last: block.hash, transfers, notices };
            assert_eq!(Stretch::read(&stretch.write()), Some(stretch));
        }
        let held = vec![(Address([9; 20]), trc20::Balance { raw: U256::ONE, from: 1, to: 2 })];
        assert_eq!(read_held(&write_held(&held)), Some(held));
        assert_eq!(Stretch::read("x"), None);
    }
}
