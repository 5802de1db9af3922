//! The addresses that are ours, as a set that answers quickly and stays small.
//!
//! In: 20-byte addresses, many at start-up and a few later. Out: whether an account is ours.
//! Never: a false answer; the filter in front only spares look-ups.
//! Why: at ten million addresses a hash set costs more than twice the bytes.

use std::sync::Arc;

use xorf::{BinaryFuse8, Filter};

use crate::address::Address;

/// Recent additions are folded into the sorted base at this many.
const RECENT_LIMIT: usize = 4096;

/// A set of our addresses. Cloning shares the base, so adding one address is cheap.
#[derive(Clone, Default)]
pub struct WatchSet {
    base: Arc<Base>,
    recent: Vec<[u8; 20]>,
}

#[derive(Default)]
struct Base {
    sorted: Vec<[u8; 20]>,
    filter: Option<BinaryFuse8>,
}

impl WatchSet {
    /// A set of these addresses; repeated ones count once.
    #[must_use]
    pub fn new(addresses: Vec<[u8; 20]>) -> Self {
        Self { base: Arc::new(Base::new(addresses)), recent: Vec::new() }
    }

    /// Adds addresses. Those already in the set change nothing.
    pub fn add(&mut self, addresses: &[[u8; 20]]) {
        for address in addresses {
            if self.base.holds(address) {
                continue;
            }
            if let Err(at) = self.recent.binary_search(address) {
                self.recent.insert(at, *address);
            }
        }
        if self.recent.len() > RECENT_LIMIT {
            let mut all = Vec::with_capacity(self.len());
            all.extend_from_slice(&self.base.sorted);
            all.append(&mut self.recent);
            self.base = Arc::new(Base::new(all));
        }
    }

    /// Whether `address` is ours.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.base.holds(&address.0) || self.recent.binary_search(&address.0).is_ok()
    }

    /// How many addresses are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.base.sorted.len().saturating_add(self.recent.len())
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for WatchSet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "WatchSet({} addresses)", self.len())
    }
}

impl Base {
    fn new(mut sorted: Vec<[u8; 20]>) -> Self {
        sorted.sort_unstable();
        sorted.dedup();
        sorted.shrink_to_fit();
        let mut keys: Vec<u64> = sorted.iter().map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        // Construction is a matter of luck with tiny odds against; without it every look-up
        // searches, which is slower and still right.
        let filter = if keys.len() < 64 { None } else { BinaryFuse8::try_from(&keys).ok() };
        Self { sorted, filter }
    }

    fn holds(&self, address: &[u8; 20]) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.contains(&key(address)))
            && self.sorted.binary_search(address).is_ok()
    }
}

/// Addresses are hashes: any eight of their bytes are a good key.
fn key(address: &[u8; 20]) -> u64 {
    let mut bytes = [0u8; 8];
    for (to, from) in bytes.iter_mut().zip(address) {
        *to = *from;
    }
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn nth(n: u32) -> [u8; 20] {
        let hash: [u8; 32] = Sha256::digest(n.to_be_bytes()).into();
        hash[..20].try_into().unwrap()
    }

    #[test]
    fn holds_exactly_what_was_added() {
        let mut set = WatchSet::new((0..1000).map(nth).collect());
        let before = set.clone();
        set.add(&(1000..9000).map(nth).collect::<Vec<_>>());
        set.add(&[nth(5), nth(8999), nth(20_000)]);
        assert_eq!(set.len(), 9001);
        assert!((0..9000).all(|n| set.contains(&Address(nth(n)))));
        assert!(set.contains(&Address(nth(20_000))));
        assert!(!(30_000..60_000).any(|n| set.contains(&Address(nth(n)))));
        assert_eq!(before.len(), 1000);
        assert!(!before.contains(&Address(nth(1000))));
    }
}
