//! The commands, typed as people type them: rightly, wrongly, twice.
//!
//! In: arguments and a config. Out: what the real binary prints, its exit code, what it wrote.
//! Never: the library called in place of a command. Why: this is what operators and support see.

mod adopted;
mod config;
mod counter;
mod decide;
mod desk;
mod explain;
mod first_steps;
mod keys;
mod ledger;
mod many;
mod orders;
mod out;
mod private;
mod recorded;
mod rescan;
mod signals;
mod words;
