//! The rules of being paid: pure functions over values.
//!
//! In: a snapshot of the books and one update. Out: the changes to write, or a named refusal.
//! Never: async, a clock, randomness, a float, serde, logging, hash-map iteration.
//! Why: a rule that is a function can be tested by giving it values, a thousand histories a
//! second, and run again over recorded facts to prove the books.

pub mod address;
pub mod adopt;
pub mod ahead;
pub mod amount;
pub mod case;
mod ceiling;
pub mod chain;
pub mod changes;
pub mod contract;
mod credit;
mod custody;
pub mod deposit;
mod desk;
pub mod event;
mod issuer;
mod keeper;
pub mod leaf;
pub mod ledger;
pub mod lookup;
mod loose;
pub mod merkle;
pub mod name;
pub mod notice;
pub mod order;
mod orphan;
mod others;
pub mod outflow;
mod outflows;
pub mod plan;
pub mod recent;
pub mod reconcile;
mod refund;
pub mod replay;
mod resolve;
mod settle;
mod sheet;
mod silence;
pub mod time;
mod view;
pub mod watch;

pub use changes::{Changes, Snapshot, Update};
pub use plan::{PlanError, plan};
pub use resolve::Refusal;
