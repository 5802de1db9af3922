//! What any endpoint of a node needs, whatever it speaks.
//!
//! In: a URL that may hold a key, a plan's limits, answers and failures. Out: where it is without
//! its secrets, when the next request may go, how long it rests. Never: a chain, a method, a
//! word of any provider. Why: an EVM node and a TRON node are treated the same up to here.

mod body;
mod bucket;
mod conduct;
mod location;
mod nesting;
mod pause;
mod quota;

pub use body::{BODY_LIMIT, Fault, client, read};
pub use bucket::Bucket;
pub use conduct::{Conduct, Rest};
pub use location::{Location, LocationError};
pub use nesting::is_shallow;
pub use pause::{LONGEST_PAUSE, pause};
pub use quota::Quota;
