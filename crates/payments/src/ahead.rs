//! What the books will hold of a chain once a commit that is under way is written.
//!
//! In: `Changes` on their way into the books, and a snapshot for the chain's next scan that was
//! read before they were there. Out: that snapshot as it will be; nothing where they reach into it.
//! Never: a guess: an order that is being written is never foreseen, its next plan waits for it.
//! Why: while the database writes one stretch of a long way, the next is read and decided.

use crate::chain::{Cursor, Scan, TxHash, final_time};
use crate::changes::{Changes, CursorMove, Snapshot};
use crate::deposit::{Deposit, State};
use crate::name::OrderId;

/// A commit under way, as far as the next scan of its chain must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// The cursor once it is written.
    cursor: Cursor,
    /// The generation it was planned from.
    generation: u64,
    /// The orders it writes something of, sorted.
    orders: Vec<OrderId>,
    /// The transactions of the deposits it writes, sorted.
    transactions: Vec<TxHash>,
}

impl Ahead {
    /// What the next scan must know of `changes`; none where they leave behind what any scan reads
    /// again: a reorg, an outflow, a notice, a deposit that no order owns or that can still change.
    #[must_use]
    pub fn of(changes: &Changes) -> Option<Self> {
        let mv = changes.cursor.as_ref()?;
        let plain = mv.orphaned.is_empty() && mv.adopted.is_none();
        let alone =
            changes.created.is_none() && changes.outflows.is_empty() && changes.notices.is_empty();
        let owned = changes.cases.iter().all(|case| case.order.is_some())
            && changes.journals.iter().all(|journal| journal.order.is_some());
        let written = || changes.recorded.iter().chain(&changes.moved);
        if !(plain && alone && owned && written().all(|deposit| is_over(deposit, mv))) {
            return None;
        }
        let mut orders: Vec<OrderId> =
            changes.touched.iter().map(|touched| touched.order.clone()).collect();
        orders.sort_unstable();
        let mut transactions: Vec<TxHash> = written().map(|deposit| deposit.id.tx).collect();
        transactions.sort_unstable();
        Some(Self { cursor: mv.cursor(), generation: mv.generation, orders, transactions })
    }

    /// The cursor as it will be, from which the next scan is read.
    #[must_use]
    pub const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// What the books will remember for `scan`, told from `snapshot`, which was read before or
    /// after the commit; none where the commit writes what the scan is about.
    #[must_use]
    pub fn foresee(&self, scan: &Scan, mut snapshot: Snapshot) -> Option<Snapshot> {
        let read = snapshot.cursor.as_ref()?;
        if *read == self.cursor {
            return Some(snapshot);
        }
        let writes = |order: &OrderId| self.orders.binary_search(order).is_ok();
        let names = |tx: &TxHash| self.transactions.binary_search(tx).is_ok();
        let apart = read.chain == self.cursor.chain
            && read.generation == self.generation
            && final_time(read, scan) == final_time(&self.cursor, scan)
            && !snapshot.dossiers.keys().any(writes)
            && !scan.transfers.iter().any(|transfer| names(&transfer.tx));
        apart.then(|| {
            snapshot.cursor = Some(self.cursor.clone());
            snapshot
        })
    }
}

/// Whether no later scan looks at this deposit again unless it names it.
fn is_over(deposit: &Deposit, mv: &CursorMove) -> bool {
    deposit.state != State::Pending
        && mv.finalized.is_some_and(|finalized| deposit.block.height <= finalized.height)
}
