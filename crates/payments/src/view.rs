//! How far a chain is known, as a look at it left it.
//!
//! In: a cursor, the rules of a chain. Out: what is final, and what has passed.
//! Never: a deposit called final whose block is not recorded.
//! Why: what is judged, and what is judged again, must be asked in one place.

use std::collections::BTreeSet;

use crate::chain::Cursor;
use crate::changes::{ChainRules, CursorMove, Finality};
use crate::deposit::{Deposit, DepositId};
use crate::name::ChainName;
use crate::order::Dossier;
use crate::time::Time;

/// How far a chain is known: what decides whether a deposit is final.
pub(crate) struct View<'a> {
    pub(crate) chain: ChainName,
    pub(crate) rules: &'a ChainRules,
    last: u64,
    finalized: Option<u64>,
    safe: Option<u64>,
    paused: bool,
    /// Only what sits below this place of the chain, height and log, is judged.
    below: Option<(u64, u64)>,
    /// Exactly these are final, where that was told and is not to be found out.
    told: Option<BTreeSet<DepositId>>,
    /// The time of the newest final block; what expires, expires by it.
    pub(crate) final_time: Option<Time>,
}

impl<'a> View<'a> {
    pub(crate) fn of_cursor(rules: &'a ChainRules, cursor: &Cursor) -> Self {
        Self {
            chain: cursor.chain.clone(),
            rules,
            last: cursor.last().map_or(0, |header| header.id.height),
            finalized: cursor.finalized.map(|block| block.height),
            safe: cursor.safe,
            paused: cursor.paused.is_some(),
            below: None,
            told: None,
            final_time: None,
        }
    }

    pub(crate) fn of_move(
        rules: &'a ChainRules,
        mv: &CursorMove,
        final_time: Option<Time>,
    ) -> Self {
        Self {
            chain: mv.chain.clone(),
            rules,
            last: mv.kept.last().map_or(0, |header| header.id.height),
            finalized: mv.finalized.map(|block| block.height),
            safe: mv.safe,
            paused: mv.paused.is_some(),
            below: None,
            told: None,
            final_time,
        }
    }

    /// Whether a deposit can be credited: its block is recorded as canonical, and the chain can no
    /// longer take it back by the rule for its amount.
    pub(crate) fn is_final(&self, deposit: &Deposit) -> bool {
        if self.paused || deposit.id.chain != self.chain || deposit.block.height > self.last {
            return false;
        }
        if let Some(told) = &self.told {
            return told.contains(&deposit.id);
        }
        let height = deposit.block.height;
        if self.below.is_some_and(|below| (height, deposit.log_index) >= below) {
            return false;
        }
        if self.finalized.is_some_and(|finalized| height <= finalized) {
            return true;
        }
        let rule = self.rules.finality_of(deposit.amount);
        match rule.map_or(Finality::Finalized, |rule| rule.finality) {
            Finality::Finalized => false,
            Finality::Safe => self.safe.is_some_and(|safe| height <= safe),
            Finality::Confirmations(wanted) => {
                let confirmations = self.last.saturating_sub(height).saturating_add(1);
                confirmations >= wanted
            }
        }
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.paused
    }

    pub(crate) const fn pause(&mut self) {
        self.paused = true;
    }

    /// Judges only what sits below `place`, or everything.
    pub(crate) const fn settle_below(&mut self, place: Option<(u64, u64)>) {
        self.below = place;
    }

    /// Takes what is final as it was told.
    pub(crate) fn as_told(&mut self, told: BTreeSet<DepositId>) {
        self.told = Some(told);
    }

    /// Whether a block at this height can no longer be undone, and the books follow the chain.
    pub(crate) fn is_finalized(&self, height: u64) -> bool {
        let final_up_to = self.finalized.map(|finalized| finalized.min(self.last));
        !self.paused && final_up_to.is_some_and(|finalized| height <= finalized)
    }

    /// Whether this order's own chain is the one looked at, and crediting on it goes on.
    pub(crate) fn is_crediting(&self, dossier: &Dossier) -> bool {
        !self.paused && dossier.order.chain == self.chain
    }

    /// Whether a final block of the order's chain is past `moment`. One at that very moment is not
    /// enough: on some chains several blocks share a second.
    pub(crate) fn has_passed(&self, dossier: &Dossier, moment: Time) -> bool {
        self.is_crediting(dossier) && self.final_time.is_some_and(|time| time > moment)
    }
}
