//! The addresses that are ours, as a set that answers quickly and stays small.
//!
//! In: 20-byte addresses, many at start-up and a few later. Out: whether an account is ours.
//! Never: a false answer; the filter in front only spares look-ups.
//! Why: at ten million addresses a hash set costs more than the addresses themselves, and one
//! sorted list would have to be written anew for every order.

use std::sync::Arc;

use xorf::{BinaryFuse8, Filter};

use crate::address::Address;

/// Parts of a set, by 12 bits of an address: at ten million addresses an addition copies 2,400.
const SHARDS: usize = 1 << 12;
/// A smaller part is searched at once.
const WORTH_A_FILTER: usize = 64;

/// A set of our addresses. Cloning shares everything, so adding one address is cheap.
#[derive(Clone, Default)]
pub struct WatchSet {
    /// None at all, or [`SHARDS`].
    shards: Arc<[Arc<Shard>]>,
    len: usize,
}

#[derive(Default)]
struct Shard {
    sorted: Box<[[u8; 20]]>,
    filter: Option<BinaryFuse8>,
}

impl WatchSet {
    /// A set of these addresses; repeated ones count once. While it is built, they are in memory
    /// twice.
    #[must_use]
    pub fn new(addresses: Vec<[u8; 20]>) -> Self {
        let mut set = Self::default();
        set.fold(addresses);
        set
    }

    /// Adds addresses. Those already in the set change nothing.
    pub fn add(&mut self, addresses: &[[u8; 20]]) {
        self.fold(addresses.to_vec());
    }

    fn fold(&mut self, mut addresses: Vec<[u8; 20]>) {
        if self.shards.is_empty() && !addresses.is_empty() {
            self.shards = vec![Arc::default(); SHARDS].into();
        }
        addresses.sort_unstable_by_key(place);
        let shards = Arc::make_mut(&mut self.shards);
        for part in addresses.chunk_by(|one, other| place(one) == place(other)) {
            let shard = part.first().and_then(|address| shards.get_mut(place(address)));
            let Some(shard) = shard else { continue };
            if let Some(grown) = shard.with(part) {
                let added = grown.sorted.len().saturating_sub(shard.sorted.len());
                self.len = self.len.saturating_add(added);
                *shard = Arc::new(grown);
            }
        }
    }

    /// Whether `address` is ours.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.shards.get(place(&address.0)).is_some_and(|shard| shard.holds(&address.0))
    }

    /// Every address of the set once, in no order that means anything.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.shards.iter().flat_map(|shard| shard.sorted.iter().copied().map(Address))
    }

    /// How many addresses are in the set.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl std::fmt::Debug for WatchSet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "WatchSet({} addresses)", self.len())
    }
}

impl Shard {
    /// This part and `more`; none where `more` brings nothing.
    fn with(&self, more: &[[u8; 20]]) -> Option<Self> {
        let new = || more.iter().filter(|address| !self.holds(address)).copied();
        let count = new().count();
        if count == 0 {
            return None;
        }
        let mut sorted = Vec::with_capacity(self.sorted.len().saturating_add(count));
        sorted.extend_from_slice(&self.sorted);
        sorted.extend(new());
        sorted.sort_unstable();
        sorted.dedup();
        // Construction is a matter of luck with tiny odds against; without it every look-up
        // searches, which is slower and still right.
        let filter = (sorted.len() >= WORTH_A_FILTER)
            .then(|| {
                let mut keys: Vec<u64> = sorted.iter().map(key).collect();
                keys.sort_unstable();
                keys.dedup();
                BinaryFuse8::try_from(&keys).ok()
            })
            .flatten();
        Some(Self { sorted: sorted.into_boxed_slice(), filter })
    }

    fn holds(&self, address: &[u8; 20]) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.contains(&key(address)))
            && self.sorted.binary_search(address).is_ok()
    }
}

/// Which shard an address is in: by its middle, which nobody chooses. Vanity is at the ends.
fn place(address: &[u8; 20]) -> usize {
    let [.., high, low, _, _, _, _, _, _, _] = *address;
    usize::from(u16::from_be_bytes([high, low]) >> 4)
}

/// Addresses are hashes: any eight of their bytes are a good key.
const fn key(address: &[u8; 20]) -> u64 {
    let [_, _, _, a, b, c, d, e, f, g, h, ..] = *address;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::collections::BTreeSet;

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
        assert!(!WatchSet::default().contains(&Address(nth(5))));
        assert!(WatchSet::default().is_empty() && !before.is_empty());
        let told: BTreeSet<Address> = set.addresses().collect();
        assert!(told.len() == set.len() && told.iter().all(|address| set.contains(address)));
        // Whose a set is, is nobody's to read in a log.
        assert_eq!(format!("{before:?}"), "WatchSet(1000 addresses)");
    }

    #[test]
    fn it_holds_what_is_alike_or_repeated() {
        let alike = |n: u32| {
            let mut address = [0xff; 20];
            address[..4].copy_from_slice(&n.to_be_bytes());
            address
        };
        let mut set = WatchSet::new((0..500).chain(0..500).map(alike).collect());
        assert_eq!(set.len(), 500);
        set.add(&[alike(3), alike(700), alike(700)]);
        assert_eq!(set.len(), 501);
        assert!((0..500).chain([700]).all(|n| set.contains(&Address(alike(n)))));
        assert!(!(500..700).any(|n| set.contains(&Address(alike(n)))));
    }
}
