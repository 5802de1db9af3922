//! The reference: the chains as they are, and what a watcher of them must know.
//!
//! In: every block ever mined, with its parent. Out: which recorded block is canonical, what is
//! final, what an order is worth. Never: a rule taken from `payments`; all is counted again.
//! Why: two ways to one answer do not share a mistake.

use std::collections::{BTreeMap, BTreeSet};

use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Header, Scan, Transfer, TxHash};
use payments::changes::{ChainRules, Finality};
use payments::name::ChainName;
use payments::notice::{Notice, What};
use payments::order::{Order, Policy, Price};
use payments::time::Time;
use ruint::aliases::U256;

use crate::issuer::{Act, Heard};
use crate::nature::{PAYER, TOKEN};

/// A block, and where its parent stands in the list of all blocks.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) header: Header,
    pub(crate) parent: Option<usize>,
    pub(crate) transfers: Vec<Transfer>,
    /// What the token's issuer did in it.
    pub(crate) notices: Vec<Notice>,
    /// What left by that without a Transfer.
    pub(crate) destroyed: Vec<Transfer>,
    /// What the token said of each account before this block changed it, the first change first.
    before: Vec<(Address, U256)>,
}

impl Block {
    const fn empty(header: Header) -> Self {
        Self {
            header,
            parent: None,
            transfers: Vec::new(),
            notices: Vec::new(),
            destroyed: Vec::new(),
            before: Vec::new(),
        }
    }
}

/// A transfer as it was shown: its block, its transaction, its place, its token.
pub(crate) type Seen = (usize, TxHash, u32, Address);

/// What the token says of every account; payers have all they need.
#[derive(Clone, Default)]
pub(crate) struct Balances {
    /// The block after which it says so.
    at: usize,
    now: BTreeMap<Address, U256>,
}

impl Balances {
    /// Runs a transaction; one that sends what is not there fails, and moves nothing.
    fn run(&mut self, transaction: &[Transfer], before: &mut Vec<(Address, U256)>) -> bool {
        let known = before.len();
        for transfer in transaction.iter().filter(|t| moves(t)) {
            let from = self.get(&transfer.from);
            let left =
                if transfer.from == PAYER { Some(from) } else { from.checked_sub(transfer.raw) };
            let Some(left) = left else {
                for (address, raw) in before.drain(known..).rev() {
                    self.now.insert(address, raw);
                }
                return false;
            };
            let to = self.get(&transfer.to);
            before.extend([(transfer.from, from), (transfer.to, to)]);
            self.now.insert(transfer.from, left);
            self.now.insert(transfer.to, to + transfer.raw);
        }
        true
    }

    pub(crate) fn get(&self, address: &Address) -> U256 {
        self.now.get(address).copied().unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Address, &U256)> {
        self.now.iter()
    }
}

/// How a chain and its nodes behave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Blocks come one by one and are safe, then final, a few later.
    Ethereum,
    /// A block is final 18 or more later; a node that restarts forgets all above; what a fork
    /// switch removed is mostly gone for good; accounts can be polled instead of blocks.
    Tron,
}

impl Habit {
    /// How many blocks a reorg may orphan.
    pub(crate) const fn bound(self) -> u64 {
        match self {
            Self::Ethereum => 8,
            Self::Tron => 27,
        }
    }
}

/// A chain: the tree of its blocks, what is true of it now, what the watcher recorded of it.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) name: ChainName,
    pub(crate) habit: Habit,
    pub(crate) blocks: Vec<Block>,
    balances: Balances,
    /// The blocks from genesis to the tip; the place is the height.
    pub(crate) truth: Vec<usize>,
    pub(crate) finalized: u64,
    pub(crate) safe: u64,
    /// Transactions that a reorg left outside.
    pub(crate) outside: Vec<Vec<Transfer>>,
    /// What of the issuer's doing a reorg left outside.
    pub(crate) unsaid: Vec<Act>,
    /// What the books must hold of what the issuer does.
    pub(crate) heard: Heard,
    /// The tip a restart has forgotten, while it may come back.
    pub(crate) forgotten: Option<usize>,
    /// Whether accounts are polled, and of the blocks only headers are read.
    pub(crate) polled: bool,
    /// The recorded blocks; the place is the height.
    pub(crate) path: Vec<usize>,
    pub(crate) known_final: Option<u64>,
    pub(crate) known_safe: Option<u64>,
    /// The time of the newest block that was ever known to be final.
    pub(crate) passed: Option<Time>,
    pub(crate) paused: bool,
    /// Whether the last update paused it, with what fitted still settled.
    pub(crate) stopped: bool,
    pub(crate) stalled: bool,
    pub(crate) shown: Shown,
}

/// The transfers of the recorded chain that were shown, and what of them is final.
#[derive(Clone, Default)]
pub(crate) struct Shown {
    /// Every one of them.
    all: BTreeSet<Seen>,
    /// Those above the block that was final when they were last looked at. All others are final
    /// for ever, and in none of the sets below.
    open: BTreeSet<Seen>,
    /// Those that are final by their rule as the chain was last looked at.
    settling: BTreeSet<Seen>,
    /// Those that were so at any look since their block is recorded: a branch that is shorter
    /// takes confirmations away, and what was booked stays booked.
    settled: BTreeSet<Seen>,
    /// Those that came, went, or became final for ever since this was last emptied.
    pub(crate) news: Vec<(Seen, News)>,
}

/// What became of a transfer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Came,
    Went,
    Sealed,
}

impl Shown {
    pub(crate) fn has(&self, seen: &Seen) -> bool {
        self.all.contains(seen)
    }

    /// Those that another look may find in another state.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Seen> {
        self.open.iter()
    }

    /// Whether one is final by its rule now.
    pub(crate) fn is_settling(&self, seen: &Seen) -> bool {
        self.has(seen) && (self.settling.contains(seen) || !self.open.contains(seen))
    }

    /// Whether one was final by its rule at any look.
    pub(crate) fn is_settled(&self, seen: &Seen) -> bool {
        self.has(seen) && (self.settled.contains(seen) || !self.open.contains(seen))
    }

    /// The block is no longer recorded.
    fn drop_block(&mut self, at: usize) {
        let least = (at, TxHash([0; 32]), 0, Address([0; 20]));
        let above = (at + 1, TxHash([0; 32]), 0, Address([0; 20]));
        let gone: Vec<Seen> = self.all.range(least..above).copied().collect();
        for seen in gone {
            for set in [&mut self.all, &mut self.open, &mut self.settling, &mut self.settled] {
                set.remove(&seen);
            }
            self.news.push((seen, News::Went));
        }
    }
}

/// What a scan does to the recorded chain.
pub(crate) struct Joined {
    /// How many of the recorded blocks stay.
    kept: usize,
    /// The blocks that follow them.
    added: Vec<usize>,
    known_final: Option<u64>,
    known_safe: Option<u64>,
}

impl Chain {
    pub(crate) fn new(name: &str, habit: Habit, start: i64) -> Self {
        let id = BlockId { height: 0, hash: hash_of(name, 0) };
        let header = Header { id, parent: BlockHash([0; 32]), time: Time(start) };
        Self {
            name: ChainName::new(name).unwrap(),
            habit,
            blocks: vec![Block::empty(header)],
            balances: Balances::default(),
            truth: vec![0],
            finalized: 0,
            safe: 0,
            outside: Vec::new(),
            unsaid: Vec::new(),
            heard: Heard::default(),
            forgotten: None,
            polled: false,
            path: Vec::new(),
            known_final: None,
            known_safe: None,
            passed: None,
            paused: false,
            stopped: false,
            stalled: false,
            shown: Shown::default(),
        }
    }

    /// Adds a block on `parent`; its transfers are told where they are. A transaction that sends
    /// more than there is fails, and moves nothing. What the issuer does comes last.
    pub(crate) fn add(
        &mut self,
        parent: usize,
        seconds: i64,
        transfers: Vec<Transfer>,
        acts: &[Act],
    ) -> usize {
        let at = self.blocks.len();
        let below = self.blocks[parent].header;
        let id = BlockId { height: below.id.height + 1, hash: hash_of(self.name.as_str(), at) };
        let time = Time(below.time.0 + seconds * 1000);
        let header = Header { id, parent: below.id.hash, time };
        self.stand_at(parent);
        let (mut moved, mut before) = (Vec::new(), Vec::new());
        for transaction in transfers.chunk_by(|one, other| one.tx == other.tx) {
            if self.balances.run(transaction, &mut before) {
                moved.extend(transaction.iter().map(|t| Transfer { block: id, time, ..t.clone() }));
            }
        }
        self.balances.at = at;
        let mut block =
            Block { parent: Some(parent), transfers: moved, before, ..Block::empty(header) };
        self.act(&mut block, acts);
        self.blocks.push(block);
        at
    }

    fn act(&mut self, block: &mut Block, acts: &[Act]) {
        let (id, time) = (block.header.id, block.header.time);
        let mut log_index = block.transfers.last().map_or(0, |last| last.log_index + 1);
        for Act { tx, what, burns } in acts {
            let mut notice = Notice { tx: *tx, n: 0, log_index, block: id, time, what: *what };
            if let What::Destroyed { from, raw } = &mut notice.what {
                *raw = self.balances.get(from);
                let burn = Transfer {
                    tx: *tx,
                    n: 0,
                    log_index: log_index + 1,
                    block: id,
                    time,
                    token: TOKEN,
                    from: *from,
                    to: Address::NOBODY,
                    raw: *raw,
                };
                self.balances.run(std::slice::from_ref(&burn), &mut block.before);
                if *burns { block.transfers.push(burn) } else { block.destroyed.push(burn) }
            }
            block.notices.push(notice);
            log_index += 2;
        }
    }

    /// What the token says of every account after the newest block.
    pub(crate) fn balances(&mut self) -> &Balances {
        self.stand_at(self.tip());
        &self.balances
    }

    /// Brings the balances to where they are after a block.
    fn stand_at(&mut self, to: usize) {
        let mut again = Vec::new();
        let mut next = to;
        // A block's number is above its parent's.
        while next != self.balances.at {
            if next > self.balances.at {
                again.push(next);
                next = self.blocks[next].parent.unwrap();
            } else {
                let block = &self.blocks[self.balances.at];
                for (address, raw) in block.before.iter().rev() {
                    self.balances.now.insert(*address, *raw);
                }
                self.balances.at = block.parent.unwrap();
            }
        }
        for at in again.into_iter().rev() {
            let block = &self.blocks[at];
            for moved in [&block.transfers, &block.destroyed] {
                self.balances.run(moved, &mut Vec::new());
            }
            self.balances.at = at;
        }
    }

    pub(crate) fn id(&self, at: usize) -> BlockId {
        self.blocks[at].header.id
    }

    pub(crate) fn height(&self, at: usize) -> u64 {
        self.id(at).height
    }

    /// The block of a hash.
    pub(crate) fn find(&self, hash: &BlockHash) -> Option<usize> {
        let at = usize::from_be_bytes(hash.0[..8].try_into().unwrap());
        (self.blocks.get(at)?.header.id.hash == *hash).then_some(at)
    }

    /// The newest block.
    pub(crate) fn tip(&self) -> usize {
        self.truth.last().copied().unwrap_or(0)
    }

    /// The chain ends with this block now.
    pub(crate) fn end_with(&mut self, at: usize) {
        let (shared, branch) = self.leave(at, &self.truth);
        self.truth.truncate(shared);
        self.truth.extend(branch);
    }

    /// How many blocks of `line` lead to `at`, and those that go on from there.
    pub(crate) fn leave(&self, at: usize, line: &[usize]) -> (usize, Vec<usize>) {
        let mut branch = Vec::new();
        let mut next = Some(at);
        while let Some(at) = next {
            let height = usize::try_from(self.height(at)).unwrap();
            if line.get(height) == Some(&at) {
                branch.reverse();
                return (height + 1, branch);
            }
            branch.push(at);
            next = self.blocks[at].parent;
        }
        branch.reverse();
        (0, branch)
    }

    /// What a scan does, or nothing where it must be refused.
    pub(crate) fn join(&self, scan: &Scan) -> Option<Joined> {
        let last = match scan.blocks.last() {
            Some(header) => self.find(&header.id.hash)?,
            None => self.find(&scan.base?.hash)?,
        };
        let (mut shared, mut branch) = self.leave(last, &self.path);
        let base = scan.base.map(|base| base.height);
        let first = self.known_final.unwrap_or(0);
        if !self.path.is_empty() {
            let stands = wide(shared) > base.unwrap_or(0);
            let beside = base.is_some_and(|base| base + 1 >= first);
            let reaches = beside || self.height(last) >= first;
            let depth = wide(self.path.len() - shared);
            let forks = !branch.is_empty() && shared < self.path.len();
            let below = self.known_final.is_some_and(|known| wide(shared) <= known);
            if !stands || !reaches || (forks && (below || depth > self.habit.bound())) {
                return None;
            }
            if branch.is_empty() {
                shared = self.path.len();
            }
        }
        let added = std::mem::take(&mut branch);
        let at = |height: usize| match height.checked_sub(shared) {
            None => self.path.get(height),
            Some(above) => added.get(above),
        };
        let known_final = match scan.finalized {
            Some(claim) if self.known_final.is_none_or(|known| claim.height > known) => {
                let ours = at(usize::try_from(claim.height).ok()?);
                let ours = ours.is_some_and(|at| self.id(*at) == claim);
                if !ours && claim.height <= self.height(last) {
                    return None;
                }
                // Of what is above its last block a node has said nothing.
                let shown = if ours { claim.height } else { self.height(last) };
                self.known_final.max(Some(shown))
            }
            _ => self.known_final,
        };
        let old = self.known_safe.map(|safe| safe.min(wide(shared).saturating_sub(1)));
        let known_safe = old.max(scan.safe.map(|safe| safe.min(self.height(last))));
        Some(Joined { kept: shared, added, known_final, known_safe })
    }

    /// Records a scan that was accepted.
    pub(crate) fn adopt(
        &mut self,
        joined: Joined,
        scan: &Scan,
        notices: Vec<Notice>,
        rules: &ChainRules,
    ) {
        let seen = self.known_final;
        self.drop_from(joined.kept);
        self.stalled &= joined.added.is_empty();
        self.path.extend(joined.added);
        self.known_final = joined.known_final;
        self.known_safe = joined.known_safe;
        self.passed = self.passed.max(self.final_time());
        self.hear(notices, seen);
        self.feed(&scan.transfers, rules);
    }

    /// The recorded blocks from this place on are no longer recorded. One that comes back must be
    /// shown and found final once more.
    pub(crate) fn drop_from(&mut self, place: usize) {
        for at in self.path.split_off(place) {
            self.shown.drop_block(at);
            self.forget_notices(at);
        }
    }

    /// Notes what was shown, and what of it is final now.
    pub(crate) fn feed(&mut self, transfers: &[Transfer], rules: &ChainRules) {
        for transfer in transfers {
            let Some(at) = self.find(&transfer.block.hash).filter(|at| self.is_recorded(*at))
            else {
                continue;
            };
            let seen = (at, transfer.tx, transfer.n, transfer.token);
            if self.shown.all.insert(seen) {
                self.shown.open.insert(seen);
                self.shown.news.push((seen, News::Came));
            }
        }
        if self.paused {
            return;
        }
        let is_final = |seen: &&Seen| self.is_final(self.transfer(seen), rules);
        let settling: BTreeSet<Seen> = self.shown.open().filter(is_final).copied().collect();
        self.shown.settled.extend(settling.iter().copied());
        self.shown.settling = settling;
        let Some(known) = self.known_final else { return };
        let sealed = |seen: &&Seen| self.height(seen.0) <= known;
        let sealed: Vec<Seen> = self.shown.open().filter(sealed).copied().collect();
        let shown = &mut self.shown;
        for seen in sealed {
            for set in [&mut shown.open, &mut shown.settling, &mut shown.settled] {
                set.remove(&seen);
            }
            shown.news.push((seen, News::Sealed));
        }
    }

    /// A transfer of a block.
    pub(crate) fn transfer(&self, seen: &Seen) -> &Transfer {
        let (at, tx, n, token) = *seen;
        let is = |t: &&Transfer| (t.tx, t.n, t.token) == (tx, n, token);
        self.blocks[at].transfers.iter().find(is).unwrap()
    }

    /// The shown transfers of the recorded chain.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Seen> {
        self.shown.all.iter()
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
    pub(crate) fn is_recorded(&self, at: usize) -> bool {
        let height = usize::try_from(self.height(at)).unwrap();
        self.path.get(height) == Some(&at)
    }

    /// The time of the newest block known to be final.
    pub(crate) fn final_time(&self) -> Option<Time> {
        let at = self.path.get(usize::try_from(self.known_final?).ok()?)?;
        Some(self.blocks[*at].header.time)
    }
}

fn moves(transfer: &Transfer) -> bool {
    transfer.token == TOKEN && transfer.from != transfer.to && !transfer.raw.is_zero()
}

/// A count as a height.
pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

/// The place of the block in the list of its chain, then the chain's name.
pub(crate) fn hash_of(chain: &str, at: usize) -> BlockHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&at.to_be_bytes());
    let name = chain.as_bytes();
    bytes[8..8 + name.len()].copy_from_slice(name);
    BlockHash(bytes)
}

/// What a transfer is worth in millionths: nothing where the token is another one.
pub(crate) fn amount_of(transfer: &Transfer, rules: &ChainRules) -> i128 {
    if transfer.token != rules.token {
        return 0;
    }
    let divisor = U256::from(10u8).pow(U256::from(rules.decimals - 6));
    i128::try_from(transfer.raw / divisor).unwrap()
}

/// What becomes of the sum that an order was credited for, in millionths: what of it is held as an
/// excess, the credits, and the remainder of their price.
pub(crate) fn worth(order: &Order, total: i128) -> (i128, i128, i128) {
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

pub(crate) fn price(order: &Order, amount: i128) -> (i128, i128) {
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
pub(crate) fn is_covered(order: &Order, deadline: Option<Time>, deposits: &[(Time, i128)]) -> bool {
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
