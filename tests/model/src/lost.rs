//! A branch that was final is lost, and a person says which one is followed.
//!
//! In: a chain on its way. Out: a fork below what was final, a pause, the choice of a base.
//! Never: a base of neither branch below what the books keep: there a person's word is taken.
//! Why: it is the one way in which what was decided, sent and told is taken back.

use std::sync::Arc;

use payments::Update;
use payments::adopt::Adoption;
use payments::case::{Case, Resolution};
use payments::chain::BlockId;
use payments::changes::ChainRules;

use crate::reference::{Chain, wide};
use crate::transitions::World;

impl World {
    /// The chain leaves blocks that were final, or more of them than its bound lets a reorg take.
    pub(crate) fn lose(&mut self, at: usize) {
        let chain = &self.chains[at];
        let Some(known) = chain.known_final.and_then(|known| usize::try_from(known).ok()) else {
            return;
        };
        let deep = usize::try_from(chain.habit.bound()).unwrap() + 2;
        let fork = match self.random.below(4) {
            0 => chain.path.len().checked_sub(deep).filter(|fork| *fork >= known),
            1 => known.checked_sub(1 + self.random.place(6)),
            _ => self.below_a_decision(at).filter(|fork| *fork < known),
        };
        let Some(fork) = fork.filter(|_| !self.is_lost(at)) else { return };
        let chain = &mut self.chains[at];
        if chain.truth.len() <= fork + 1 || chain.truth[fork] != chain.path[fork] {
            return;
        }
        let left = chain.truth.split_off(fork + 1);
        chain.forgotten = None;
        chain.finalized = chain.finalized.min(wide(fork));
        chain.safe = chain.safe.min(wide(fork));
        let name = chain.name.clone();
        self.leave_outside(at, fork + 1, &left);
        self.stale.retain(|scan| scan.chain != name);
        for _ in 0..self.random.between(1, 8) {
            self.mine(at);
        }
    }

    /// The height below a deposit that a person has decided about.
    fn below_a_decision(&mut self, at: usize) -> Option<usize> {
        let by_person = |case: &&Arc<Case>| {
            let resolution = case.decision.as_ref().map(|decision| &decision.resolution);
            case.chain == self.chains[at].name
                && resolution.is_some_and(|of| *of != Resolution::Itself)
        };
        let cases = self.memory.cases().iter().rev().filter(by_person);
        let deposits = cases.filter_map(|case| self.memory.deposit(case.deposits.first()?));
        let heights: Vec<u64> = deposits.map(|deposit| deposit.block.height).take(8).collect();
        let height = heights.get(self.random.place(heights.len()))?.checked_sub(1)?;
        usize::try_from(height).ok()
    }

    /// Whether the recorded blocks are on a branch from which no scan leads to the chain.
    pub(crate) fn is_lost(&self, at: usize) -> bool {
        let chain = &self.chains[at];
        let (shared, _) = chain.leave(chain.tip(), &chain.path);
        let left = chain.path.len() - shared;
        let final_too = chain.known_final.is_some_and(|known| wide(shared) <= known);
        left > 0 && (final_too || wide(left) > chain.habit.bound())
    }

    /// A person pauses a chain that cannot go on, then chooses; until it can.
    pub(crate) fn rescue(&mut self, at: usize) -> Result<(), String> {
        let update = if self.chains[at].paused {
            let Some(update) = self.choice(at) else { return Ok(()) };
            update
        } else {
            let (chain, why) = (self.chains[at].name.clone(), "below what was final".to_owned());
            Update::Pause { chain, why }
        };
        if matches!(update, Update::Adopt(_)) && self.chains[at].paused && self.is_lost(at) {
            self.marks.insert("another branch is followed");
        }
        self.apply(&update)
    }

    /// Mostly the highest block that both branches share; or one below it, or none of them.
    fn choice(&mut self, at: usize) -> Option<Update> {
        let chain = &self.chains[at];
        let (shared, _) = chain.leave(chain.tip(), &chain.path);
        let top = shared.checked_sub(1)?;
        let kept = usize::try_from(chain.known_final.unwrap_or(0)).unwrap();
        let base = match self.random.below(10) {
            0 | 1 => top.saturating_sub(self.random.place(5)),
            // A block that is recorded otherwise, or not at all.
            2 if shared >= kept && shared < chain.truth.len() => shared,
            _ => top,
        };
        let beyond = self.random.place(4);
        let chain = &self.chains[at];
        let named = (base + beyond).min(chain.truth.len() - 1);
        Some(Update::Adopt(Adoption {
            chain: chain.name.clone(),
            base: chain.blocks[chain.truth[base]].header,
            named: chain.id(chain.truth[named]),
            by: "maria".to_owned(),
            why: "three explorers show it".to_owned(),
            refunds: Vec::new(),
        }))
    }
}

impl Chain {
    /// Whether a person may choose this.
    pub(crate) fn may_adopt(&self, adoption: &Adoption) -> bool {
        let base = adoption.base.id;
        let Some(last) = self.path.len().checked_sub(1) else { return false };
        let below = base.height < wide(last) && base.height < adoption.named.height;
        self.paused && below && self.may_hold(base)
    }

    /// Whether nothing that the books keep says that this is not a block of the chain.
    pub(crate) fn may_hold(&self, block: BlockId) -> bool {
        let kept = self.known_final.is_none_or(|known| block.height >= known);
        let known = self.path.get(usize::try_from(block.height).unwrap());
        !kept || known.is_none_or(|at| self.id(*at) == block)
    }

    /// Everything above a block is given up, and the chain goes on.
    pub(crate) fn give_up(&mut self, adoption: &Adoption, rules: &ChainRules) {
        let base = adoption.base.id.height;
        let above = usize::try_from(base).unwrap() + 1;
        self.drop_from(above);
        self.known_final = self.known_final.map(|known| known.min(base));
        self.known_safe = self.known_safe.map(|safe| safe.min(base));
        self.forget_answers(base);
        (self.paused, self.stalled) = (false, false);
        self.feed(&[], rules);
    }
}
