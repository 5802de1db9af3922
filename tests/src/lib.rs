//! The proof: one test binary over the shipped crates.
//!
//! In: the crates as they are shipped, real nodes, real databases. Out: behaviour, asserted.
//! Never: a mock of our own modules, a sleep, a check that is always true.
//! Why one binary: linking alloy and sqlx once is minutes less than linking them per file.

#[cfg(test)]
mod anvil;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod deny;
#[cfg(test)]
mod erc20;
#[cfg(test)]
mod lab_tron;
#[cfg(test)]
mod live;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod refuser;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod trc20;
