//! An EVM node, read through alloy, as [`payments::chain::Scan`].

mod config;
pub mod decode;
mod error;
mod hex;
mod location;
mod token;

pub use config::{Config, EndpointConfig, Finality, Rest, Start};
pub use error::{BoxError, Error};
pub use location::{Location, LocationError};
pub use token::Token;
