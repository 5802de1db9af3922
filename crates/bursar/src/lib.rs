//! The daemon and its commands.
pub mod cli;
pub mod clock;
pub mod config;
pub mod derive;
mod error;
pub mod retry;
pub mod secret;
pub use error::Error;
