//! What is wrong with a node now, of whichever kind of node.
//!
//! In: faults, switched on and healed by a test. Out: which of them strikes a call. Never: a fault
//! the node chose itself, or a meaning; each kind of node says what its faults do. Why: counting,
//! healing and waiting to be healed are the same for every kind.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// Names a fault that was switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

/// A kind of node's faults.
pub(crate) trait Strikes: Clone {
    /// What a call is, as far as it decides whether a fault strikes.
    type Call<'a>;
    /// What a struck call gets.
    type Strike;

    /// Whether this fault strikes a call; `calls` is how many it has counted, its own to change.
    fn strike(&self, id: FaultId, calls: &mut u32, call: &Self::Call<'_>) -> Option<Self::Strike>;

    /// How much later it makes an answer.
    fn delay(&self) -> Duration;
}

/// The faults of one node.
#[derive(Debug)]
pub(crate) struct Faults<F> {
    active: Mutex<Vec<Active<F>>>,
    /// Counts changes of `active`; also where ids come from.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Active<F> {
    id: FaultId,
    fault: F,
    calls: u32,
}

impl<F> Default for Faults<F> {
    fn default() -> Self {
        Self { active: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

impl<F: Strikes> Faults<F> {
    pub(crate) fn add(&self, fault: F) -> FaultId {
        let mut active = self.lock();
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
        let id = FaultId(*self.changed.borrow());
        active.push(Active { id, fault, calls: 0 });
        id
    }

    /// Heals one fault, or all.
    pub(crate) fn heal(&self, id: Option<FaultId>) {
        self.lock().retain(|active| id.is_some_and(|id| id != active.id));
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// What is wrong now, in the order it was switched on.
    pub(crate) fn now(&self) -> Vec<F> {
        self.lock().iter().map(|active| active.fault.clone()).collect()
    }

    /// Ends when the fault is healed.
    pub(crate) async fn healed(&self, id: FaultId) {
        let mut changed = self.changed.subscribe();
        while self.lock().iter().any(|active| active.id == id) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// How much later every answer comes.
    pub(crate) fn delay(&self) -> Duration {
        let delays = self.lock().iter().map(|active| active.fault.delay()).collect::<Vec<_>>();
        delays.into_iter().fold(Duration::ZERO, Duration::saturating_add)
    }

    /// What strikes a call, if anything: the first fault that does.
    pub(crate) fn strike(&self, call: &F::Call<'_>) -> Option<F::Strike> {
        self.lock().iter_mut().find_map(|active| {
            let Active { id, fault, calls } = active;
            fault.strike(*id, calls, call)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Active<F>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a fault that strikes so many times strikes once more.
pub(crate) fn once_more(calls: &mut u32, times: Option<u32>) -> bool {
    let more = times.is_none_or(|times| *calls < times);
    *calls = calls.saturating_add(u32::from(more));
    more
}
