//! The daemon and its commands.
//!
//! In: a config, arguments, chains. Out: books that are right, and words about them.
//! Never: a rule of being paid; those are in `payments`. Why: a thin shell around a pure core.

pub mod accounts;
mod acknowledge;
pub mod address;
pub mod adopt;
mod ahead;
mod begin;
pub mod books;
mod case_story;
pub mod cases;
pub mod chains;
pub mod check;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
mod contract;
pub mod decisions;
pub mod demo;
pub mod derive;
mod error;
pub mod explain;
pub mod export;
pub mod high_water;
pub mod import;
pub mod init;
pub mod ledger;
mod metadata;
pub mod node;
pub mod notices;
pub mod open;
pub mod orders;
pub mod outflows;
pub mod output;
pub mod pay;
mod phrase;
pub mod proof;
pub mod recall;
pub mod reconcile;
pub mod record;
mod recorded;
pub mod recovery;
pub mod refunds;
pub mod rescan;
pub mod retry;
pub mod run;
pub mod secret;
pub mod status;
pub mod taken;
pub mod verify;
mod vet;
pub mod view;
mod vigil;
pub mod watch;
mod whole;

pub use error::Error;
