//! The reference: the chains as they are, and what a watcher of them must know.
//!
//! In: every block ever mined, with its parent. Out: which recorded block is canonical, what is
//! final, what an order is worth. Never: a rule taken from `payments`; all is counted again.
//! Why: two ways to one answer do not share a mistake.

use std::collections::BTreeSet;

use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Header, Scan, Transfer, TxHash};
use payments::changes::{ChainRules, Finality};
use payments::name::ChainName;
use payments::order::{Order, Policy, Price};
use payments::time::Time;
use ruint::aliases::U256;

/// A block, and where its parent stands in the list of all blocks.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) header: Header,
    pub(super) parent: Option<usize>,
    pub(super) transfers: Vec<Transfer>,
}

/// A transfer as it was shown: its block, its transaction, its place, its token.
pub(super) type Seen = (usize, TxHash, u32, Address);

/// A chain: the tree of its blocks, what is true of it now, what the watcher recorded of it.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) name: ChainName,
    pub(super) blocks: Vec<Block>,
    pub(super) tip: usize,
    pub(super) finalized: u64,
    pub(super) safe: u64,
    /// Transactions that a reorg left outside.
    pub(super) outside: Vec<Vec<Transfer>>,
    /// The recorded blocks; the place is the height.
    pub(super) path: Vec<usize>,
    pub(super) known_final: Option<u64>,
    pub(super) known_safe: Option<u64>,
    pub(super) paused: bool,
    pub(super) stalled: bool,
    /// Every transfer that was shown.
    pub(super) fed: BTreeSet<Seen>,
    /// Those that are final by their rule as the chain was last looked at.
    pub(super) settling: BTreeSet<Seen>,
    /// Those that were so at any look since their block is recorded: a branch that is shorter
    /// takes confirmations away, and what was booked stays booked.
    pub(super) settled: BTreeSet<Seen>,
}

/// What a scan does to the recorded chain.
pub(super) struct Joined {
    path: Vec<usize>,
    known_final: Option<u64>,
    known_safe: Option<u64>,
    grown: bool,
}

impl Chain {
    pub(super) fn new(name: &str, start: i64) -> Self {
        let id = BlockId { height: 0, hash: hash_of(name, 0) };
        let header = Header { id, parent: BlockHash([0; 32]), time: Time(start) };
        Self {
            name: ChainName::new(name).unwrap(),
            blocks: vec![Block { header, parent: None, transfers: Vec::new() }],
            tip: 0,
            finalized: 0,
            safe: 0,
            outside: Vec::new(),
            path: Vec::new(),
            known_final: None,
            known_safe: None,
            paused: false,
            stalled: false,
            fed: BTreeSet::new(),
            settling: BTreeSet::new(),
            settled: BTreeSet::new(),
        }
    }

    /// Adds a block on `parent`; its transfers are told where they are.
    pub(super) fn add(&mut self, parent: usize, seconds: i64, transfers: Vec<Transfer>) -> usize {
        let at = self.blocks.len();
        let below = self.blocks[parent].header;
        let id = BlockId { height: below.id.height + 1, hash: hash_of(self.name.as_str(), at) };
        let time = Time(below.time.0 + seconds * 1000);
        let header = Header { id, parent: below.id.hash, time };
        let transfers = transfers.into_iter().map(|t| Transfer { block: id, time, ..t }).collect();
        self.blocks.push(Block { header, parent: Some(parent), transfers });
        at
    }

    pub(super) fn id(&self, at: usize) -> BlockId {
        self.blocks[at].header.id
    }

    pub(super) fn height(&self, at: usize) -> u64 {
        self.id(at).height
    }

    /// The block of a hash.
    pub(super) fn find(&self, hash: &BlockHash) -> Option<usize> {
        let at = usize::from_be_bytes(hash.0[..8].try_into().unwrap());
        (self.blocks.get(at)?.header.id.hash == *hash).then_some(at)
    }

    /// The blocks from genesis to `at`.
    pub(super) fn line(&self, at: usize) -> Vec<usize> {
        let mut line = vec![at];
        let mut below = self.blocks[at].parent;
        while let Some(at) = below {
            line.push(at);
            below = self.blocks[at].parent;
        }
        line.reverse();
        line
    }

    /// How many blocks two lines have in common.
    pub(super) fn common(one: &[usize], other: &[usize]) -> usize {
        one.iter().zip(other).take_while(|(a, b)| a == b).count()
    }

    /// What a scan does, or nothing where it must be refused.
    pub(super) fn join(&self, scan: &Scan, bound: u64) -> Option<Joined> {
        let last = match scan.blocks.last() {
            Some(header) => self.find(&header.id.hash)?,
            None => self.find(&scan.base?.hash)?,
        };
        let line = self.line(last);
        let shared = Self::common(&line, &self.path);
        let base = scan.base.map(|base| base.height);
        let first = self.known_final.unwrap_or(0);
        let mut path = line;
        if let Some(old) = self.path.last() {
            let stands = wide(shared) > base.unwrap_or(0);
            let beside = base.is_some_and(|base| base + 1 >= first);
            let reaches = beside || self.height(last) >= first;
            let depth = wide(self.path.len() - shared);
            let forks = shared < path.len() && shared < self.path.len();
            let below = self.known_final.is_some_and(|known| wide(shared) <= known);
            if !stands || !reaches || (forks && (below || depth > bound)) {
                return None;
            }
            if !forks && path.len() <= self.path.len() {
                path = self.line(*old);
            }
        }
        let known_final = match scan.finalized {
            Some(claim) if self.known_final.is_none_or(|known| claim.height > known) => {
                let at = usize::try_from(claim.height).ok()?;
                let ours = path.get(at).is_some_and(|at| self.id(*at) == claim);
                if !ours && claim.height <= self.height(last) {
                    return None;
                }
                // Of what is above its last block a node has said nothing.
                let shown = if ours { claim.height } else { self.height(last) };
                self.known_final.max(Some(shown))
            }
            _ => self.known_final,
        };
        let kept = wide(Self::common(&path, &self.path));
        let old = self.known_safe.map(|safe| safe.min(kept.saturating_sub(1)));
        let known_safe = old.max(scan.safe.map(|safe| safe.min(self.height(last))));
        let grown = Self::common(&path, &self.path) < path.len();
        Some(Joined { path, known_final, known_safe, grown })
    }

    /// Records a scan that was accepted.
    pub(super) fn adopt(&mut self, joined: Joined, scan: &Scan, rules: &ChainRules) {
        let forked = Self::common(&self.path, &joined.path) < self.path.len();
        self.path = joined.path;
        if forked {
            // A block that comes back must be shown and found final once more.
            let (fed, settled) = (std::mem::take(&mut self.fed), std::mem::take(&mut self.settled));
            self.fed = fed.into_iter().filter(|(at, ..)| self.is_recorded(*at)).collect();
            self.settled = settled.into_iter().filter(|(at, ..)| self.is_recorded(*at)).collect();
        }
        self.known_final = joined.known_final;
        self.known_safe = joined.known_safe;
        self.stalled &= !joined.grown;
        self.feed(&scan.transfers, rules);
    }

    /// Notes what was shown, and what of it is final now.
    pub(super) fn feed(&mut self, transfers: &[Transfer], rules: &ChainRules) {
        for transfer in transfers {
            if let Some(at) = self.find(&transfer.block.hash) {
                self.fed.insert((at, transfer.tx, transfer.n, transfer.token));
            }
        }
        if self.paused {
            return;
        }
        let is_final = |(_, transfer): &(usize, &Transfer)| self.is_final(transfer, rules);
        let seen = |(at, t): (usize, &Transfer)| (at, t.tx, t.n, t.token);
        self.settling = self.shown().filter(is_final).map(seen).collect();
        self.settled.extend(self.settling.iter().copied());
    }

    /// The shown transfers of the recorded chain.
    pub(super) fn shown(&self) -> impl Iterator<Item = (usize, &Transfer)> {
        let blocks = self.path.iter().map(|at| (*at, &self.blocks[*at]));
        let all = blocks.flat_map(|(at, block)| block.transfers.iter().map(move |t| (at, t)));
        all.filter(|(at, t)| self.fed.contains(&(*at, t.tx, t.n, t.token)))
    }

    fn is_final(&self, transfer: &Transfer, rules: &ChainRules) -> bool {
        let height = transfer.block.height;
        if self.known_final.is_some_and(|known| height <= known) {
            return true;
        }
        let amount = amount_of(transfer, rules);
        let fits = |up_to: Option<payments::amount::Usdt>| {
            up_to.is_none_or(|up_to| amount <= i128::from(up_to.micro()))
        };
        match rules.finality.iter().find(|rule| fits(rule.up_to)).map(|rule| rule.finality) {
            None | Some(Finality::Finalized) => false,
            Some(Finality::Safe) => self.known_safe.is_some_and(|safe| height <= safe),
            Some(Finality::Confirmations(wanted)) => wide(self.path.len()) - height >= wanted,
        }
    }

    /// Whether a block is one of the recorded chain.
    pub(super) fn is_recorded(&self, at: usize) -> bool {
        let height = usize::try_from(self.height(at)).unwrap();
        self.path.get(height) == Some(&at)
    }

    /// The time of the newest block known to be final.
    pub(super) fn final_time(&self) -> Option<Time> {
        let at = self.path.get(usize::try_from(self.known_final?).ok()?)?;
        Some(self.blocks[*at].header.time)
    }
}

/// A count as a height.
pub(super) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

/// The place of the block in the list of its chain, then the chain's name.
fn hash_of(chain: &str, at: usize) -> BlockHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&at.to_be_bytes());
    let name = chain.as_bytes();
    bytes[8..8 + name.len()].copy_from_slice(name);
    BlockHash(bytes)
}

/// What a transfer is worth in millionths: nothing where the token is another one.
pub(super) fn amount_of(transfer: &Transfer, rules: &ChainRules) -> i128 {
    if transfer.token != rules.token {
        return 0;
    }
    let divisor = U256::from(10u8).pow(U256::from(rules.decimals - 6));
    i128::try_from(transfer.raw / divisor).unwrap()
}

/// What becomes of the sum that an order was credited for, in millionths: what of it is held as an
/// excess, the credits, and the remainder of their price.
pub(super) fn worth(order: &Order, total: i128) -> (i128, i128, i128) {
    let Some(due) = order.due.map(|due| i128::from(due.micro())) else {
        let (credits, rest) = price(order, total);
        return (0, credits, rest);
    };
    let tolerance = i128::from(order.terms.tolerance.micro());
    let (held, paid_for) = if total < due - tolerance {
        (0, total)
    } else if total <= due + tolerance {
        (0, due)
    } else if order.terms.overpaid == Policy::Credit {
        (0, total)
    } else {
        (total - due, due)
    };
    let (credits, rest) = price(order, paid_for);
    (held, credits, rest)
}

fn price(order: &Order, amount: i128) -> (i128, i128) {
    let (num, den) = match (order.price, order.due) {
        (Price::Rate { num, den }, _) => (i128::from(num), i128::from(den)),
        (Price::Fixed(credits), Some(due)) => {
            (i128::from(credits.micro()), i128::from(due.micro()))
        }
        // An order that the rules refuse.
        (Price::Fixed(_), None) => (0, 1),
    };
    (amount * num / den, amount * num % den)
}

/// Whether an order is covered by amounts at these times, when all of them have been judged:
/// those on time or within the window count.
pub(super) fn is_covered(order: &Order, deadline: Option<Time>, deposits: &[(Time, i128)]) -> bool {
    let terms = &order.terms;
    let counts = |time: Time| {
        let end = deadline.map(|deadline| deadline.0 + terms.late_window);
        terms.late == Policy::Credit || end.is_none_or(|end| time.0 <= end)
    };
    let not_dust = |amount: i128| amount > 0 && amount >= i128::from(terms.dust.micro());
    let counting = deposits.iter().filter(|(time, amount)| counts(*time) && not_dust(*amount));
    let total: i128 = counting.map(|(_, amount)| amount).sum();
    let wanted = order.due.map_or(1, |due| due.micro() - terms.tolerance.micro());
    total >= i128::from(wanted)
}
