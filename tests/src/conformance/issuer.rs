//! A token's issuer who speaks in the histories of the model, which know of none.
//!
//! In: a history. Out: the same one, with notices in its blocks: about everybody, about our
//! addresses, about strangers. Never: two tales of one block; what is said follows from its hash.
//! Why: notices meet reorgs, looks that are repeated and blocks that are read again.

use std::collections::BTreeMap;

use payments::Update;
use payments::address::Address;
use payments::chain::{BlockId, TxHash};
use payments::contract::Answers;
use payments::notice::{Notice, What};
use payments::time::Time;
use ruint::aliases::U256;

/// Lets the issuer speak in every scan and in what is read again.
pub(super) fn speaks(pool: &[Address], diary: &mut [(Update, Time)]) {
    let ordered = diary.iter().filter_map(|(update, _)| match update {
        Update::Create(order) => Some(order.address),
        _ => None,
    });
    let addresses: Vec<Address> = pool.iter().copied().chain(ordered).collect();
    let late = diary.len() * 3 / 4;
    for (step, (update, _)) in diary.iter_mut().enumerate() {
        match update {
            Update::Scan(scan) => {
                let blocks = scan.blocks.iter().map(|header| (header.id, header.time));
                // Some of it is not shown at first.
                let shown = blocks.filter(|(block, _)| !place(*block).is_multiple_of(4));
                let said = shown.flat_map(|(block, time)| said(block, time, &addresses));
                // A deprecated token stops the chain, and with it what the history would do.
                let stops = |notice: &Notice| matches!(notice.what, What::Deprecated(_));
                scan.notices = said.filter(|notice| step > late || !stops(notice)).collect();
            }
            Update::Rescan { transfers, notices, .. } => {
                let blocks: BTreeMap<BlockId, Time> =
                    transfers.iter().map(|transfer| (transfer.block, transfer.time)).collect();
                let said = blocks.iter().flat_map(|(block, time)| said(*block, *time, &addresses));
                let stops = |notice: &Notice| matches!(notice.what, What::Deprecated(_));
                *notices = said.filter(|notice| step > late || !stops(notice)).collect();
            }
            _ => {}
        }
    }
}

/// And lets its contract be asked now and then, after a block that is final by then.
pub(super) fn is_asked(diary: Vec<(Update, Time)>) -> Vec<(Update, Time)> {
    let mut asked = Vec::with_capacity(diary.len());
    let mut accounts: Vec<Address> = Vec::new();
    for (step, (update, now)) in diary.into_iter().enumerate() {
        if let Update::Create(order) = &update {
            accounts.push(order.address);
        }
        let about = match &update {
            Update::Scan(scan) if step.is_multiple_of(3) => {
                scan.finalized.map(|block| (scan, block))
            }
            _ => None,
        };
        let about = about.map(|(scan, block)| {
            let answers = answers(block, now, &accounts);
            Update::Asked { chain: scan.chain.clone(), answers }
        });
        asked.push((update, now));
        asked.extend(about.map(|about| (about, now)));
    }
    asked
}

fn answers(block: BlockId, time: Time, accounts: &[Address]) -> Answers {
    let spice = place(block);
    let listed = |(at, account): (usize, &Address)| (*account, (at + spice).is_multiple_of(5));
    Answers {
        block,
        time,
        paused: (!spice.is_multiple_of(4)).then_some(spice % 4 == 1),
        // A deprecated token stops the chain, and with it what the history would do.
        deprecated: Some(None),
        fee: (!spice.is_multiple_of(3)).then(|| (u32::from(spice % 3 == 1), U256::from(spice))),
        blacklisted: (!spice.is_multiple_of(7))
            .then(|| accounts.iter().enumerate().map(listed).collect()),
    }
}

/// Where the model made the block: the hash begins with it.
fn place(block: BlockId) -> usize {
    let (place, _) = block.hash.0.split_first_chunk::<8>().unwrap();
    usize::try_from(u64::from_be_bytes(*place)).unwrap()
}

/// What is said in one block. Another block at its height says something else in the same
/// transactions, as if they had been mined again.
fn said(block: BlockId, time: Time, addresses: &[Address]) -> Vec<Notice> {
    let mut tx = [0xad; 32];
    tx[..8].copy_from_slice(&block.height.to_be_bytes());
    let spice = place(block);
    let about = addresses.get(spice % (addresses.len() + 2)).copied();
    let about = about.unwrap_or(Address([0x5a; 20]));
    let one = |n: u32, what: What| Notice {
        tx: TxHash(tx),
        n,
        log_index: 1000 + u64::from(n),
        block,
        time,
        what,
    };
    let raw = U256::from(spice) * U256::from(100_000);
    match spice % 11 {
        0 => vec![one(0, What::Paused), one(1, What::Blacklisted(about))],
        1 => vec![one(0, What::Unpaused), one(1, What::Released(about))],
        2 => vec![one(0, What::Fee { points: 10, most: raw })],
        3 => vec![one(0, What::Destroyed { from: about, raw })],
        4 => vec![one(0, What::Blacklisted(about)), one(1, What::Destroyed { from: about, raw })],
        5 if spice.is_multiple_of(2) => vec![one(0, What::Deprecated(about))],
        _ => Vec::new(),
    }
}
