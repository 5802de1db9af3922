//! The real node proof: anvil, the real `bursar` as processes, both engines.
//!
//! In: real transactions, reorgs, cuts, kills. Out: what `--json` and the ledger say, asserted.
//! Never: a sleep; every wait is for something the daemon says, with a deadline.
//! Why: each scenario has lost somebody money somewhere.

mod addresses;
mod again;
mod audit;
mod contract;
mod crash;
mod daemon;
mod decisions;
mod dice;
mod disk;
mod examples;
mod guard;
mod latency;
mod lines;
mod paying;
mod points;
pub(crate) mod proxy;
mod reconcile;
mod refusals;
mod reorgs;
mod scripted;
pub(crate) mod shop;
mod silence;
mod stalls;
mod token;
mod tron;
