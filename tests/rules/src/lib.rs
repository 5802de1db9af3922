//! The rules of being paid, example by example, through the real `plan` and the books in memory.
//!
//! In: blocks, orders and decisions, by name. Out: every journal, case and event, as prose.
//! Never: a look inside `plan`. Why: a change of a rule shows as a change of a sentence here.
#![cfg(test)]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "an overflow in a test is a failure of the test, and says where"
)]

mod adopt;
mod again;
mod ahead;
mod bounds;
mod compared;
mod contract;
mod examples;
mod explained;
mod holes;
mod issuer;
mod leaving;
mod limits;
mod lost;
mod marks;
mod nobody;
mod orders;
mod outflows;
mod policy;
mod refunds;
mod reorgs;
mod resolve;
mod table;
mod turns;
mod values;
mod words;
mod world;
