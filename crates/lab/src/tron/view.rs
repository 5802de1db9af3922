//! What one TRON node sees of the chain at one moment, through its faults.
//!
//! In: the chain's state and what is wrong with the node. Out: blocks as the node knows them, all
//! of them or the final ones. Never: a change. Why: a node that is behind is behind on every path
//! alike, so both heights are decided here once.

use std::sync::Arc;

use alloy::primitives::B256;

use super::block::Block;
use super::chain::State;
use super::fault::{Fault, Spoil};

/// Which of a node's two interfaces is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Side {
    /// `/wallet`: everything up to the tip.
    Full,
    /// `/walletsolidity`: what is final.
    Solid,
}

/// A node's sight of the chain.
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    faults: Vec<Fault>,
    tip: u64,
    solid: u64,
}

impl<'a> View<'a> {
    pub(crate) fn new(state: &'a State, faults: Vec<Fault>) -> Self {
        let sum = |of: fn(&Fault) -> u64| faults.iter().map(of).fold(0, u64::saturating_add);
        let behind = sum(|fault| match fault {
            Fault::Lag { blocks } => *blocks,
            _ => 0,
        });
        let further = sum(|fault| match fault {
            Fault::SolidityLag { blocks } => *blocks,
            _ => 0,
        });
        let tip = state.tip().header.number.saturating_sub(behind);
        let solid = state.solid(tip).saturating_sub(further);
        Self { state, faults, tip, solid }
    }

    /// The newest height one side shows.
    pub(crate) fn top(&self, side: Side) -> u64 {
        match side {
            Side::Full => self.tip,
            Side::Solid => self.solid,
        }
    }

    /// The block at a height, if the side shows it.
    pub(crate) fn at(&self, side: Side, height: u64) -> Option<&'a Arc<Block>> {
        self.state.canonical(height).filter(|_| height <= self.top(side))
    }

    /// The newest block one side shows.
    pub(crate) fn newest(&self, side: Side) -> &'a Arc<Block> {
        self.at(side, self.top(side)).unwrap_or_else(|| self.state.tip())
    }

    /// The block and the place of a transaction, if the side shows it.
    pub(crate) fn transaction(&self, side: Side, id: B256) -> Option<(&'a Arc<Block>, usize)> {
        let found = self.state.transaction(id)?;
        (found.0.header.number <= self.top(side)).then_some(found)
    }

    /// The first fault that says something to the question.
    pub(crate) fn fault<T>(&self, ask: impl FnMut(&Fault) -> Option<T>) -> Option<T> {
        self.faults.iter().find_map(ask)
    }

    /// Whether any fault is of this kind.
    pub(crate) fn is(&self, ask: impl FnMut(&Fault) -> bool) -> bool {
        self.faults.iter().any(ask)
    }

    /// Whether a block is spoilt in this way.
    pub(crate) fn spoilt(&self, height: u64, by: Spoil) -> bool {
        self.is(|fault| match fault {
            Fault::Spoilt { heights, how } => *how == by && heights.contains(&height),
            _ => false,
        })
    }
}
