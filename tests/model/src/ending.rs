//! How a history ends: the books, and what is true of each chain.
//!
//! In: a seed, and whether everything calms down first. Out: books and chains for a second look.
//! Never: what the watcher was shown; the chains are told as they are.
//! Why: a reconciliation is right only if it finds nothing here, and everything that is planted.

use payments::Update;
use payments::chain::{BlockId, Transfer};
use payments::changes::Rules;
use payments::name::ChainName;
use payments::time::Time;

use crate::memory::Memory;
use crate::transitions::World;

/// The end of a history.
pub struct Ending {
    /// The rules of its chains.
    pub rules: Rules,
    /// The books.
    pub memory: Memory,
    /// The chains as they are.
    pub truths: Vec<Truth>,
}

/// A chain as it is.
pub struct Truth {
    /// Its name.
    pub chain: ChainName,
    /// The newest block that is final, for the chain and in the books.
    pub cut: BlockId,
    /// Its time.
    pub time: Time,
    /// The height of its newest block.
    pub tip: u64,
    /// Every transfer up to the final block.
    pub transfers: Vec<Transfer>,
}

/// Plays a history of so many steps. `calm`: everything is resumed, read and final at its end;
/// otherwise the chains are read once more, whole, and left as they are. `decides`: people decide
/// cases.
///
/// # Panics
/// Where the history breaks an invariant.
#[must_use]
pub fn ending(seed: u64, steps: u64, calm: bool, decides: bool) -> Ending {
    let mut world = World::new(seed);
    world.decides = decides;
    for _ in 0..steps {
        world.step().expect("a history that keeps the invariants");
    }
    if calm {
        world.calm_down().expect("a history that calms down");
    } else {
        for at in 0..world.chains.len() {
            world.chains[at].polled = false;
            let scan = world.scan_of(at, None);
            world.apply(&Update::Scan(scan)).expect("a last look");
            let chain = &world.chains[at];
            let read = chain.path.iter().flat_map(|at| &chain.blocks[*at].transfers);
            let (transfers, chain) = (read.cloned().collect(), chain.name.clone());
            let again = Update::Rescan { chain, transfers, notices: Vec::new() };
            world.apply(&again).expect("all of it read again");
        }
    }
    let truths = world.chains.iter().filter_map(|chain| {
        let known = world.memory.cursor(&chain.name)?.finalized?;
        let cut = chain.finalized.min(known.height);
        let final_blocks = chain.truth.iter().take(usize::try_from(cut).ok()?.checked_add(1)?);
        let blocks: Vec<_> = final_blocks.map(|at| &chain.blocks[*at]).collect();
        let last = blocks.last()?.header;
        Some(Truth {
            chain: chain.name.clone(),
            cut: last.id,
            time: last.time,
            tip: chain.height(chain.tip()),
            transfers: blocks.iter().flat_map(|block| &block.transfers).cloned().collect(),
        })
    });
    let truths = truths.collect();
    Ending { rules: world.rules, memory: world.memory, truths }
}
