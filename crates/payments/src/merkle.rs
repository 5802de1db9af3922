//! A log that shows any change: the hash tree of RFC 6962, in the words of RFC 9162.
//!
//! In: the hashes of leaves, in order. Out: tree heads; proofs that a leaf is in a tree, and that a
//! tree is the beginning of a larger one. Never: a tree in memory; a frontier is its few peaks.
//! Why: whoever keeps one head, 40 bytes, notices any change to what the log held then.

use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::address::{from_hex, lower_hex};

/// The hash of a leaf or of a node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash(pub [u8; 32]);

impl fmt::Display for TreeHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&lower_hex(&self.0))
    }
}

impl TreeHash {
    /// The root of a tree without leaves: the hash of nothing.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of a leaf: of a zero byte and its bytes (RFC 9162, 2.1.1).
    #[must_use]
    pub fn of_leaf(bytes: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(bytes).finalize().into())
    }

    /// The hash of a node: of a one byte and of what stands below it (RFC 9162, 2.1.1).
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        Self(
            Sha256::new()
                .chain_update([1])
                .chain_update(left.0)
                .chain_update(right.0)
                .finalize()
                .into(),
        )
    }

    /// From 64 hex digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

/// How many leaves a tree has, and its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of leaves.
    pub size: u64,
    /// The root over all of them.
    pub root: TreeHash,
}

impl fmt::Display for TreeHead {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&format!("{}:{}", self.size, self.root))
    }
}

impl TreeHead {
    /// Parses what [`fmt::Display`] writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (size, root) = text.split_once(':')?;
        Some(Self { size: size.parse().ok()?, root: TreeHash::parse(root)? })
    }
}

/// The roots of the perfect trees that a tree is made of, largest first: all that is needed to
/// append to it. There is one for each bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// What [`Self::peaks_text`] wrote of a tree of `size` leaves; `None` where it does not fit.
    #[must_use]
    pub fn parse(size: u64, text: &str) -> Option<Self> {
        let mut peaks = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (peak, after) = rest.split_at_checked(64)?;
            peaks.push(TreeHash::parse(peak)?);
            rest = after;
        }
        let fits = u32::try_from(peaks.len()) == Ok(size.count_ones());
        fits.then_some(Self { size, peaks })
    }

    /// The peaks as hex digits, one after the other.
    #[must_use]
    pub fn peaks_text(&self) -> String {
        self.peaks.iter().map(ToString::to_string).collect()
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: TreeHash) {
        let mut node = leaf;
        // Two perfect trees of one size make a larger one, as bits carry when one is added.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = TreeHash::of_node(left, node);
            }
        }
        self.peaks.push(node);
        self.size = self.size.saturating_add(1);
    }

    /// The head of the tree as it is.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        let mut peaks = self.peaks.iter().rev().copied();
        let root = peaks.next().map_or_else(TreeHash::of_nothing, |last| {
            peaks.fold(last, |right, left| TreeHash::of_node(left, right))
        });
        TreeHead { size: self.size, root }
    }
}

/// The parts of a tree of `size` leaves whose roots prove that leaf `index`, from 0, is in it: the
/// inclusion path of RFC 9162, 2.1.3.1, from the leaf upwards. `None` where there is no such leaf.
#[must_use]
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut path = Vec::new();
    let mut tree = 0..size;
    while let Some(middle) = middle(&tree) {
        let (left, right) = (tree.start..middle, middle..tree.end);
        let (inside, beside) = if index < middle { (left, right) } else { (right, left) };
        path.push(beside);
        tree = inside;
    }
    path.reverse();
    Some(path)
}

/// The parts of a tree of `second` leaves whose roots prove that its first `first` leaves are the
/// tree of that size: the consistency proof of RFC 9162, 2.1.4.1. `None` where `first` is zero or
/// beyond `second`.
#[must_use]
pub fn consistency(first: u64, second: u64) -> Option<Vec<Range<u64>>> {
    if first == 0 || first > second {
        return None;
    }
    let mut path = Vec::new();
    let mut tree = 0..second;
    let mut is_known = true;
    while first < tree.end {
        // A tree that ends behind `first` and begins before it has at least two leaves.
        let middle = middle(&tree)?;
        if first <= middle {
            path.push(middle..tree.end);
            tree = tree.start..middle;
        } else {
            path.push(tree.start..middle);
            tree = middle..tree.end;
            is_known = false;
        }
    }
    if !is_known {
        path.push(tree);
    }
    path.reverse();
    Some(path)
}

/// Where a tree of more than one leaf parts: its left side is the largest perfect tree below it.
fn middle(tree: &Range<u64>) -> Option<u64> {
    let last = tree.end.checked_sub(tree.start)?.checked_sub(1)?;
    let height = last.checked_ilog2()?;
    tree.start.checked_add(1u64.checked_shl(height)?)
}

/// Whether `path` proves that `leaf` is leaf `index`, from 0, of the tree with this head (RFC
/// 9162, 2.1.3.2).
#[must_use]
pub fn includes(head: &TreeHead, index: u64, leaf: TreeHash, path: &[TreeHash]) -> bool {
    let Some(mut last) = head.size.checked_sub(1).filter(|last| index <= *last) else {
        return false;
    };
    let (mut at, mut root) = (index, leaf);
    for node in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            root = TreeHash::of_node(*node, root);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = TreeHash::of_node(root, *node);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && root == head.root
}

/// Whether `path` proves that the tree of `first` is the beginning of the tree of `second` (RFC
/// 9162, 2.1.4.2).
#[must_use]
pub fn extends(first: &TreeHead, second: &TreeHead, path: &[TreeHash]) -> bool {
    if first.size >= second.size || first.size == 0 {
        return first == second && path.is_empty();
    }
    let perfect = first.size.is_power_of_two().then_some(first.root);
    let mut nodes = perfect.into_iter().chain(path.iter().copied());
    let (mut at, mut last) = (first.size.saturating_sub(1), second.size.saturating_sub(1));
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let Some(start) = nodes.next() else {
        return false;
    };
    let (mut before, mut after) = (start, start);
    for node in nodes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            before = TreeHash::of_node(node, before);
            after = TreeHash::of_node(node, after);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            after = TreeHash::of_node(after, node);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    before == first.root && after == second.root && last == 0
}

/// The roots of some parts of a tree, from one pass over its leaves.
#[derive(Debug, Clone)]
pub struct Parts {
    next: u64,
    parts: Vec<(Range<u64>, Frontier)>,
}

impl Parts {
    /// Of these parts, each as [`inclusion`] or [`consistency`] names them.
    #[must_use]
    pub fn new(parts: &[Range<u64>]) -> Self {
        let parts = parts.iter().map(|part| (part.clone(), Frontier::default()));
        Self { next: 0, parts: parts.collect() }
    }

    /// Takes the next leaf of the tree.
    pub fn push(&mut self, leaf: TreeHash) {
        for (part, frontier) in &mut self.parts {
            if part.contains(&self.next) {
                frontier.push(leaf);
            }
        }
        self.next = self.next.saturating_add(1);
    }

    /// Their roots, in the order in which they were asked for.
    #[must_use]
    pub fn roots(&self) -> Vec<TreeHash> {
        self.parts.iter().map(|(_, frontier)| frontier.head().root).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves that implementations of RFC 6962 are tested with, and the roots of the trees of
    /// the first 0 to 8 of them.
    const LEAVES: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[
            0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
            0x6e, 0x6f,
        ],
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn heads(leaves: u64) -> (Vec<TreeHash>, Vec<TreeHead>) {
        let leaves: Vec<TreeHash> =
            (0..leaves).map(|n| TreeHash::of_leaf(&n.to_be_bytes())).collect();
        let mut frontier = Frontier::default();
        let mut heads = vec![frontier.head()];
        for leaf in &leaves {
            frontier.push(*leaf);
            heads.push(frontier.head());
        }
        (leaves, heads)
    }

    fn roots(leaves: &[TreeHash], parts: &[Range<u64>]) -> Vec<TreeHash> {
        let mut taken = Parts::new(parts);
        leaves.iter().for_each(|leaf| taken.push(*leaf));
        taken.roots()
    }

    #[test]
    fn roots_are_those_of_the_standard() {
        let mut frontier = Frontier::default();
        for (size, root) in (0..).zip(ROOTS) {
            assert_eq!(frontier.head(), TreeHead { size, root: TreeHash::parse(root).unwrap() });
            let again = Frontier::parse(size, &frontier.peaks_text());
            assert_eq!(again, Some(frontier.clone()));
            if let Some(leaf) = LEAVES.get(usize::try_from(size).unwrap()) {
                frontier.push(TreeHash::of_leaf(leaf));
            }
        }
        let text = frontier.head().to_string();
        assert_eq!(TreeHead::parse(&text), Some(frontier.head()));
        assert_eq!(frontier.size(), 8);
        assert_eq!(Frontier::parse(7, &frontier.peaks_text()), None);
        assert_eq!(Frontier::parse(8, "5d"), None);
    }

    /// The examples of RFC 9162, 2.1.5: the paths in a tree of seven leaves.
    #[test]
    fn paths_are_those_of_the_standard() {
        let path = |index| inclusion(index, 7).unwrap();
        assert_eq!(path(0), [1..2, 2..4, 4..7]);
        assert_eq!(path(3), [2..3, 0..2, 4..7]);
        assert_eq!(path(4), [5..6, 6..7, 0..4]);
        assert_eq!(path(6), [4..6, 0..4]);
        assert_eq!(inclusion(7, 7), None);
        let proof = |first| consistency(first, 7).unwrap();
        assert_eq!(proof(3), [2..3, 3..4, 0..2, 4..7]);
        assert_eq!(proof(4), vec![Range { start: 4, end: 7 }]);
        assert_eq!(proof(6), [4..6, 6..7, 0..4]);
        assert_eq!(proof(7), Vec::<Range<u64>>::new());
        assert_eq!((consistency(0, 7), consistency(8, 7)), (None, None));
    }

    #[test]
    fn every_leaf_is_proved_and_nothing_else() {
        let (leaves, heads) = heads(40);
        for size in 1..=40u64 {
            let head = heads[usize::try_from(size).unwrap()];
            for index in 0..size {
                let leaf = leaves[usize::try_from(index).unwrap()];
                let path = roots(&leaves, &inclusion(index, size).unwrap());
                assert!(includes(&head, index, leaf, &path), "{index} of {size}");
                let other = TreeHash::of_leaf(b"another");
                assert!(!includes(&head, index, other, &path));
                assert!(!includes(&head, index ^ 1, leaf, &path));
                assert!(!includes(&head, size, leaf, &path));
                let longer: Vec<TreeHash> = path.iter().copied().chain([other]).collect();
                assert!(!includes(&head, index, leaf, &longer));
                if let Some((_, shorter)) = path.split_last() {
                    assert!(!includes(&head, index, leaf, shorter));
                }
            }
        }
    }

    #[test]
    fn every_growth_is_proved_and_no_change() {
        let (leaves, heads) = heads(40);
        for second in 1..=40u64 {
            let new = heads[usize::try_from(second).unwrap()];
            for first in 1..=second {
                let old = heads[usize::try_from(first).unwrap()];
                let path = roots(&leaves, &consistency(first, second).unwrap());
                assert!(extends(&old, &new, &path), "{first} to {second}");
                let changed = TreeHead { root: TreeHash::of_leaf(b"another"), ..old };
                assert!(!extends(&changed, &new, &path), "{first} to {second}");
                let changed = TreeHead { root: TreeHash::of_leaf(b"another"), ..new };
                assert!(!extends(&old, &changed, &path), "{first} to {second}");
                assert!(!extends(&new, &old, &path) || first == second);
            }
        }
    }
}
