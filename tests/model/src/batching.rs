//! The same history, read in other portions, gives the same books.
//!
//! In: a history without reorgs, and what shops asked for in between. Out: two books to compare.
//! Why: a daemon that was down for a day must credit what one that was not has credited.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use payments::chain::Scan;
use payments::changes::Update;
use payments::plan;
use payments::time::Time;

use crate::memory::Memory;
use crate::mutations::{Act, Mutation};
use crate::random::Random;
use crate::reference::Chain;
use crate::transitions::World;

/// Reads one history block by block and in portions of any size.
pub(crate) fn compare(seed: u64, mutation: Option<Mutation>) -> Result<(), String> {
    let mut world = World::new(seed);
    let mut portions = Random::new(seed ^ 0x5eed);
    let mut other = Memory::new();
    other.import(&world.pool.iter().copied().collect::<Vec<_>>());
    for round in 1..=24 {
        for _ in 0..portions.below(4) {
            let update = request(&mut world, &mut portions);
            let refused = write(&world, &mut other, &update, None)?;
            let before = world.memory.events().len();
            world.apply(&update)?;
            if refused && before != world.memory.events().len() {
                return Err(format!("only one of them refused {update:?}"));
            }
        }
        for at in 0..world.chains.len() {
            for _ in 0..portions.below(8) {
                world.mine(at);
            }
            world.finalize(at);
            let from = world.chains[at].path.len();
            for scan in cut(&world.chains[at], from, 1, &mut portions) {
                world.apply(&Update::Scan(scan))?;
            }
        }
        for at in 0..world.chains.len() {
            let most = portions.place(9) + 1;
            let chain = &world.chains[at];
            let last = other.cursor(&chain.name).and_then(|cursor| cursor.last().copied());
            let from = last.map_or(0, |last| usize::try_from(last.id.height).unwrap() + 1);
            for scan in cut(chain, from, most, &mut portions) {
                write(&world, &mut other, &Update::Scan(scan), mutation)?;
            }
        }
        if round % 6 != 0 {
            continue;
        }
        let (one, two) = (facts(&world.memory), facts(&other));
        if let Some(line) = one.symmetric_difference(&two).next() {
            let whose = if one.contains(line) { "block by block" } else { "in portions" };
            return Err(format!("only {whose}: {line}"));
        }
    }
    Ok(())
}

/// An order, or the end of one; never of something that both are not at the same point of.
fn request(world: &mut World, random: &mut Random) -> Update {
    let orders: Vec<_> = world.orders.keys().cloned().collect();
    if orders.is_empty() || random.chance(75) {
        Update::Create(world.new_order())
    } else {
        Update::Cancel(random.pick(&orders).clone())
    }
}

/// Decides and writes without the reference; whether it was refused.
fn write(
    world: &World,
    memory: &mut Memory,
    update: &Update,
    mutation: Option<Mutation>,
) -> Result<bool, String> {
    let planned = plan(&world.rules, &memory.snapshot(update), update, Time(world.now + 1));
    let Ok(mut changes) = planned else { return Ok(true) };
    if let (Some(Act::Portion(act)), Update::Scan(scan)) = (mutation.map(|m| m.act), update) {
        act(&mut changes, scan);
    }
    let written = memory.commit(&changes);
    written.map_err(|refused| format!("the books refuse {refused:?}"))?;
    Ok(false)
}

/// The unrecorded part of a chain, in scans of at most so many blocks. What the node calls final
/// grows from one to the next, up to what it is now.
fn cut(chain: &Chain, from: usize, most: usize, random: &mut Random) -> Vec<Scan> {
    let line = &chain.truth;
    let mut scans = Vec::new();
    let (mut from, mut claim, mut safe) = (from, 0, 0);
    loop {
        let to = line.len().min(from + most);
        let end = to == line.len();
        claim = if end { chain.finalized } else { random.between(claim, chain.finalized) };
        safe = if end { chain.safe } else { random.between(safe, chain.safe) };
        let blocks = line[from..to].iter().map(|at| &chain.blocks[*at]);
        scans.push(Scan {
            chain: chain.name.clone(),
            base: from.checked_sub(1).map(|below| chain.id(line[below])),
            blocks: blocks.clone().map(|block| block.header).collect(),
            transfers: blocks.flat_map(|block| &block.transfers).cloned().collect(),
            notices: Vec::new(),
            finalized: Some(chain.id(line[usize::try_from(claim).unwrap()])),
            safe: Some(safe),
            tip: chain.height(chain.tip()),
        });
        if end {
            return scans;
        }
        from = to;
    }
}

/// What must not depend on how a chain was read: all but when it was recorded.
fn facts(memory: &Memory) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for dossier in memory.orders().filter_map(|id| memory.dossier(id)) {
        let times = (dossier.paid, dossier.expired, dossier.cancelled);
        facts.insert(format!("{} {:?} {times:?}", dossier.order.id, dossier.status()));
    }
    for deposit in memory.deposits() {
        facts.insert(format!("{deposit:?}"));
    }
    for case in memory.cases() {
        let (open, about) = (case.decision.is_none(), &case.deposits);
        facts.insert(format!("{} {} {about:?} open {open}", case.id, case.amount));
    }
    for journal in memory.journals() {
        let mut line = format!("{} {:?}", journal.key, journal.effective);
        let _ = write!(line, " {} {:?}", journal.remainder, journal.entries);
        facts.insert(line);
    }
    facts.extend(memory.dump_balances().lines().map(str::to_owned));
    facts
}
