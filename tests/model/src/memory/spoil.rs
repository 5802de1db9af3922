//! Ways to spoil the books that no commit has, for tests of what looks at them.
//!
//! In: what a bad disk, a bad hand or a bad statement would do. Out: books that are wrong.
//! Never: called by anything that keeps books. Why: what a database refuses can still be true of a
//! database some day, and must be seen then.

use std::sync::Arc;

use payments::event::Event;
use payments::ledger::Journal;

use super::Memory;

impl Memory {
    /// A millionth less on the debit side of the first account that has one.
    pub(crate) fn spoil_balance(&mut self) -> bool {
        let Some(sides) = self.balances.0.values_mut().find(|sides| sides.debits > 0) else {
            return false;
        };
        sides.debits -= 1;
        true
    }

    /// Writes a journal that nothing looked at, and keeps the balances with it.
    pub(crate) fn force_journal(&mut self, journal: Journal) {
        self.balances.add(&journal);
        self.journals.push(Arc::new(journal));
    }

    /// Writes another journal in the place of one.
    pub(crate) fn edit_journal(&mut self, at: usize, edit: impl FnOnce(&mut Journal)) -> bool {
        let Some(journal) = self.journals.get_mut(at) else { return false };
        edit(Arc::make_mut(journal));
        true
    }

    /// Forgets the last event.
    pub(crate) fn lose_event(&mut self) -> Option<Arc<Event>> {
        self.events.pop()
    }

    /// Opens a case again that was decided.
    pub(crate) fn reopen_case(&mut self) -> bool {
        let decided = self.cases.iter_mut().find(|case| case.decision.is_some());
        let Some(case) = decided else { return false };
        Arc::make_mut(case).decision = None;
        true
    }
}
