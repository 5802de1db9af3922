//! What booking an outflow writes, written again.
//!
//! In: an outflow as it is stored, and the journals of its last rounds. Out: the one that is not
//! what its state leads to, in words. Never: why it needs nobody: that is the config's word.
//! Why: the ledger says where money went by this rule alone.

use std::collections::BTreeMap;

use crate::ledger::Journal;
use crate::outflow::{Outflow, OutflowId, OutflowState};

/// Rounds that are looked at: how often a transaction was mined is for the chain to say, and how
/// much is read here is not. A journal of an older one has nothing that leads to it.
const ROUNDS: usize = 64;

/// The keys of the journals that the last rounds of an outflow may have, the newest first.
#[must_use]
pub fn keys_of(outflow: &Outflow) -> Vec<String> {
    let rounds = (1..=outflow.round).rev().take(ROUNDS);
    let keys = rounds.map(|round| Outflow { round, ..outflow.clone() }.key());
    keys.flat_map(|key| [key.clone(), reverse(&key)]).collect()
}

/// The outflow that a journal's key may be of, which [`keys_of`] decides: an id has more than one
/// spelling that can be read. `None` of any other key.
#[must_use]
pub fn outflow_of(key: &str) -> Option<OutflowId> {
    let booked = key.strip_prefix("reverse:").unwrap_or(key).strip_prefix("sweep:")?;
    OutflowId::parse(booked.split('#').next()?)
}

fn reverse(key: &str) -> String {
    format!("reverse:{key}")
}

/// The first journal of an outflow that is not what its state leads to; `journals` are those of
/// [`keys_of`] that there are.
#[must_use]
pub fn left_difference(stored: &Outflow, journals: &BTreeMap<String, Journal>) -> Option<String> {
    let wrong =
        |key: &str| Some(format!("journal {key}: its outflow leads to another one, or none"));
    for (at, keys) in keys_of(stored).chunks(2).enumerate() {
        let [key, undone] = keys else { continue };
        let (known, undone) = (journals.get(key), journals.get(undone));
        let is_reversed = match (known, undone) {
            (None, None) => true,
            (Some(known), Some(undone)) => known.reversed(undone.recorded) == *undone,
            _ => false,
        };
        // What was booked of an earlier round is taken back.
        let state = if at == 0 { stored.state } else { OutflowState::Orphaned };
        let fits = match state {
            OutflowState::Orphaned => is_reversed,
            OutflowState::Pending | OutflowState::Waiting => known.is_none() && undone.is_none(),
            OutflowState::Booked => {
                let recorded = known.map_or(stored.time, |journal| journal.recorded);
                known.cloned() == stored.journal(recorded) && undone.is_none()
            }
        };
        if !fits {
            return wrong(key);
        }
    }
    None
}
