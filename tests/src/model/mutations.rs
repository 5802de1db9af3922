//! Broken rules, each of which the assertions must catch. To come.

use payments::changes::Changes;

use super::random::Random;
use crate::memory::Memory;

/// One way to break what the rules decided.
#[derive(Clone, Copy)]
pub(super) struct Mutation {
    pub(super) name: &'static str,
    /// Breaks the changes, where there is something to break.
    pub(super) act: fn(&mut Changes, &Memory, &mut Random) -> bool,
}
