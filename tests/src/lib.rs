//! The proof.

#[cfg(test)]
mod anvil;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod rules;
