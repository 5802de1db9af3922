//! What happens without the watcher: blocks and what is paid in them, reorgs, orders to come.
//!
//! In: chances. Out: chains that grow, fork and are called final, and what shops ask for.
//! Why: the amounts are those at which a rule turns, not any amounts.

use std::collections::BTreeMap;

use payments::address::Address;
use payments::amount::{Credits, Usdt};
use payments::chain::{Transfer, TxHash};
use payments::changes::{ChainRules, Finality, FinalityRule};
use payments::name::{ChainName, CustomerId, OrderId};
use payments::notice::Notice;
use payments::order::{Order, Policy, Price, Terms};
use payments::time::Time;
use ruint::aliases::U256;

use crate::issuer::Act;
use crate::random::Random;
use crate::reference::{Block, Chain, Habit};
use crate::transitions::World;

pub(crate) const TOKEN: Address = Address([0xda; 20]);
const LOOKALIKE: Address = Address([0xfa; 20]);
pub(crate) const PAYER: Address = Address([0xee; 20]);
/// Where addresses are swept to.
pub(crate) const TREASURY: Address = Address([0x7e; 20]);
/// Who takes the token's fee.
const TOKEN_OWNER: Address = Address([0x0f; 20]);

impl World {
    pub(crate) fn chain(&self, name: &ChainName) -> &Chain {
        self.chains.iter().find(|chain| chain.name == *name).unwrap()
    }

    pub(crate) fn chain_mut(&mut self, name: &ChainName) -> &mut Chain {
        self.chains.iter_mut().find(|chain| chain.name == *name).unwrap()
    }

    pub(crate) fn chain_and_rules(&mut self, name: &ChainName) -> (&mut Chain, &ChainRules) {
        let chain = self.chains.iter_mut().find(|chain| chain.name == *name).unwrap();
        (chain, &self.rules[name])
    }

    /// A block on the tip, with what is paid in it.
    pub(crate) fn mine(&mut self, at: usize) {
        if let Some(gone) = self.chains[at].forgotten.take() {
            let (shared, branch) = self.chains[at].leave(gone, &self.chains[at].truth);
            self.leave_outside(at, shared, &branch);
        }
        let mut transfers: Vec<Transfer> = Vec::new();
        while self.random.chance(40) && !self.chains[at].outside.is_empty() {
            let left = self.chains[at].outside.len();
            let mut again = self.chains[at].outside.remove(self.random.place(left));
            // It fails this time, and moves nothing.
            if self.random.chance(4) {
                continue;
            }
            for transfer in &mut again {
                // What a contract sends may depend on the block that runs it.
                if self.random.chance(4) {
                    transfer.raw += U256::from(1_000_000_000_000u64);
                }
                if self.random.chance(4) {
                    transfer.to = self.aim(at).0;
                }
            }
            transfers.extend(again);
        }
        while self.random.chance(55) && transfers.len() < 6 {
            transfers.extend(self.pay(at));
        }
        while self.random.chance(30) {
            transfers.extend(self.sweep(at));
        }
        let mut log_index = self.random.below(3);
        for transfer in &mut transfers {
            transfer.log_index = log_index;
            log_index += self.random.between(1, 3);
        }
        let seconds = i64::try_from(self.random.between(1, 20)).unwrap();
        let acts = self.issue(at);
        let chain = &mut self.chains[at];
        let block = chain.add(chain.tip(), seconds, transfers, &acts);
        chain.end_with(block);
        self.now = self.now.max(chain.blocks[block].header.time.0);
    }

    /// One transaction.
    fn pay(&mut self, at: usize) -> Vec<Transfer> {
        self.transactions += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.transactions.to_be_bytes());
        let count = if self.random.chance(80) { 1 } else { self.random.between(2, 3) };
        let mut transfers = Vec::new();
        for place in 0..count {
            let (to, amount) = self.aim(at);
            let token = if self.random.chance(6) { LOOKALIKE } else { TOKEN };
            let same = transfers.iter().filter(|t: &&Transfer| t.token == token).count();
            let chain = &self.chains[at];
            let decimals = self.rules[&chain.name].decimals;
            let unit = U256::from(10u8).pow(U256::from(decimals - 6));
            let odd = if decimals > 6 { U256::from(self.random.below(999)) } else { U256::ZERO };
            transfers.push(Transfer {
                tx: TxHash(hash),
                n: u32::try_from(same).unwrap(),
                log_index: place,
                block: chain.id(chain.tip()),
                time: Time(0),
                token,
                from: if self.random.chance(3) { to } else { PAYER },
                to,
                raw: U256::from(amount) * unit + odd,
            });
        }
        transfers
    }

    /// A transaction by which an address of ours is swept, robbed, or only slandered.
    fn sweep(&mut self, at: usize) -> Vec<Transfer> {
        let ours = |address: &Address| self.memory.owners().contains_key(address);
        let balances = self.chains[at].balances();
        let full: Vec<(Address, U256)> = balances
            .iter()
            .filter(|(at, raw)| ours(at) && !raw.is_zero())
            .map(|(a, r)| (*a, *r))
            .collect();
        if full.is_empty() {
            return Vec::new();
        }
        let (from, raw) = *self.random.pick(&full);
        let raw = match self.random.below(10) {
            0..6 => raw,
            6..8 => raw / U256::from(3u8),
            8 => U256::from(1u8),
            _ => U256::ZERO,
        };
        let to = match self.random.below(10) {
            0..6 => TREASURY,
            6..8 => PAYER,
            _ => self.aim(at).0,
        };
        self.transactions += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.transactions.to_be_bytes());
        let chain = &self.chains[at];
        let one = |n: u32, to: Address, raw: U256| Transfer {
            tx: TxHash(hash),
            n,
            log_index: u64::from(n),
            block: chain.id(chain.tip()),
            time: Time(0),
            token: TOKEN,
            from,
            to,
            raw,
        };
        let fee = raw / U256::from(1_000u32);
        if fee.is_zero() || !self.random.chance(30) {
            return vec![one(0, to, raw)];
        }
        // Ethereum's token takes its fee first, TRON's last.
        let (net, owner) = (raw - fee, TOKEN_OWNER);
        match chain.habit {
            Habit::Ethereum => vec![one(0, owner, fee), one(1, to, net)],
            Habit::Tron => vec![one(0, to, net), one(1, owner, fee)],
        }
    }

    /// To whom, and how much in millionths.
    fn aim(&mut self, at: usize) -> (Address, u64) {
        let amounts = [0, 1, 99_999, 100_000, 5_000_000, 30_000_000];
        let any = *self.random.pick(&amounts);
        if self.orders.is_empty() || self.random.chance(8) {
            let pool = self.random.below(3);
            let kind = if self.random.chance(70) { "pool" } else { "stranger" };
            return (address(kind, pool), any);
        }
        // Mostly one of the newest: an order has had its payments when others come.
        let newest = if self.random.chance(5) { usize::MAX } else { 8 };
        let orders: Vec<&Order> = self.orders.values().rev().take(newest).collect();
        let mut order = *self.random.pick(&orders);
        // Mostly on the order's own chain.
        if order.chain != self.chains[at].name && self.random.chance(70) {
            order = *self.random.pick(&orders);
        }
        let due = order.due.map_or(7_000_000, |due| u64::try_from(due.micro()).unwrap());
        let tolerance = u64::try_from(order.terms.tolerance.micro()).unwrap();
        let amount = match self.random.below(12) {
            0..4 => due,
            4..6 => due / 2,
            6 => due - tolerance,
            7 => due + tolerance,
            8 => due + tolerance + 1,
            9 => due * 13 / 10,
            10 => due - tolerance - 1,
            _ => any,
        };
        (order.address, amount)
    }

    /// The node calls more of the chain safe and final.
    pub(crate) fn finalize(&mut self, at: usize) {
        let deep = match self.chains[at].habit {
            Habit::Ethereum => self.random.below(6),
            // More where witnesses miss their turns.
            Habit::Tron => self.random.between(18, 21),
        };
        let chain = &mut self.chains[at];
        let tip = chain.height(chain.tip());
        chain.finalized = chain.finalized.max(tip.saturating_sub(deep));
        chain.safe = chain.finalized.max(tip.saturating_sub(self.random.below(deep + 1)));
    }

    /// The chain leaves its last blocks and goes on beside them; it may be shorter at first.
    pub(crate) fn fork(&mut self, at: usize) {
        let deepest = if self.chains[at].habit == Habit::Tron { 18 } else { 5 };
        let depth = usize::try_from(self.random.between(1, deepest)).unwrap();
        let chain = &mut self.chains[at];
        let line = &chain.truth;
        let least = usize::try_from(chain.finalized).unwrap();
        let fork = line.len().saturating_sub(depth + 1).max(least);
        let (shared, _) = chain.leave(line[fork], &chain.path);
        let bound = usize::try_from(chain.habit.bound()).unwrap();
        if fork + 1 == line.len() || chain.path.len() > shared + bound {
            return;
        }
        let left = chain.truth.split_off(fork + 1);
        chain.forgotten = None;
        let safe = u64::try_from(fork).unwrap();
        chain.safe = chain.safe.min(safe);
        self.leave_outside(at, fork + 1, &left);
        for _ in 0..self.random.between(1, 6) {
            self.mine(at);
        }
    }

    /// Blocks from this height on are no longer the chain's: what they held may be mined again.
    pub(crate) fn leave_outside(&mut self, at: usize, height: usize, left: &[usize]) {
        let (mut kept, mut unsaid) = (Vec::new(), Vec::new());
        let chain = &self.chains[at];
        let recorded = chain.path.len().saturating_sub(height);
        for (place, block) in left.iter().enumerate() {
            let seen = chain.path.get(height + place) == Some(block);
            unsaid.extend(left_out(&chain.blocks[*block]));
            for transaction in transactions(&chain.blocks[*block]) {
                if chain.habit == Habit::Ethereum || self.random.chance(40) {
                    kept.push(transaction);
                } else if seen && recorded - place >= 8 {
                    self.marks.insert("a payment with 8 confirmations is gone for good");
                }
            }
        }
        self.chains[at].outside.append(&mut kept);
        self.chains[at].unsaid.append(&mut unsaid);
    }

    /// A node restarts: all but one block above the final one is forgotten.
    pub(crate) fn restart(&mut self, at: usize) {
        let chain = &mut self.chains[at];
        let keep = usize::try_from(chain.finalized).unwrap() + 2;
        let Some(tip) = chain.truth.last().copied().filter(|_| chain.truth.len() > keep) else {
            return;
        };
        let (shared, _) = chain.leave(chain.truth[keep - 1], &chain.path);
        if chain.path.len() > shared + usize::try_from(chain.habit.bound()).unwrap() {
            return;
        }
        if chain.path.len() >= keep + 17 {
            self.marks.insert("a tip went back by 17 recorded blocks");
        }
        chain.truth.truncate(keep);
        chain.forgotten = chain.forgotten.or(Some(tip));
    }

    /// The node has what it had forgotten, unless another block came meanwhile.
    pub(crate) fn remember(&mut self, at: usize) {
        let chain = &mut self.chains[at];
        if let Some(tip) = chain.forgotten.take() {
            chain.end_with(tip);
        }
    }

    /// An order that nobody asked for yet.
    pub(crate) fn new_order(&mut self) -> Order {
        let number = u64::try_from(self.orders.len()).unwrap();
        let random = &mut self.random;
        let dues = [10_000_000, 45_000_000, 100_000_000, 33_333_333];
        let due = (!random.chance(20)).then(|| Usdt::from_micro(*random.pick(&dues)).unwrap());
        let fixed = Price::Fixed(Credits::parse("10000").unwrap());
        let rate = Price::Rate { num: *random.pick(&[100, 1, 7]), den: *random.pick(&[1, 3]) };
        let policy = |random: &mut Random| {
            if random.chance(60) { Policy::Hold } else { Policy::Credit }
        };
        let micro = |micro| Usdt::from_micro(micro).unwrap();
        let terms = Terms {
            tolerance: micro(*random.pick(&[0, 100_000])),
            dust: micro(*random.pick(&[0, 100_000])),
            late_window: *random.pick(&[0, 60_000, 200_000]),
            underpaid: policy(random),
            overpaid: policy(random),
            late: policy(random),
        };
        let life = i64::try_from(random.between(20, 300)).unwrap() * 1000;
        let free = self.pool.iter().find(|at| self.memory.owners()[*at].is_none()).copied();
        let pooled = free.filter(|_| random.chance(10));
        Order {
            id: OrderId::new(&format!("o{number:04}")).unwrap(),
            customer: CustomerId::new(&format!("c{}", number % 3)).unwrap(),
            chain: self.chains[random.place(self.chains.len())].name.clone(),
            due,
            price: if due.is_some() && random.chance(60) { fixed } else { rate },
            created_at: Time(self.now),
            // At a full second, as blocks are, so that some come at that very moment.
            expires_at: (due.is_some() || random.chance(60))
                .then(|| Time(self.now / 1000 * 1000 + 1000 + life)),
            address: pooled.unwrap_or_else(|| address("order", number)),
            address_index: None,
            refund_to: number.is_multiple_of(2).then(|| address("customer", number)),
            metadata: None,
            terms,
        }
    }
}

/// What the issuer did in a block.
fn left_out(block: &Block) -> impl Iterator<Item = Act> {
    let act =
        |notice: &Notice| Act { tx: notice.tx, what: notice.what, burns: block.burns(notice.tx) };
    block.notices.iter().map(act)
}

/// The transfers of a block, by transaction; without what the issuer burnt.
fn transactions(block: &Block) -> Vec<Vec<Transfer>> {
    let mut by_tx: BTreeMap<TxHash, Vec<Transfer>> = BTreeMap::new();
    for transfer in block.transfers.iter().filter(|t| t.to != Address::NOBODY) {
        by_tx.entry(transfer.tx).or_default().push(transfer.clone());
    }
    by_tx.into_values().collect()
}

/// An account of ours, or of a stranger.
pub(crate) fn address(kind: &str, number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..8 + kind.len()].copy_from_slice(kind.as_bytes());
    Address(bytes)
}

/// When deposits are final, in one of many ways.
pub(crate) fn finality(random: &mut Random) -> Vec<FinalityRule> {
    let one = |up_to: Option<i64>, finality| FinalityRule {
        up_to: up_to.map(|micro| Usdt::from_micro(micro).unwrap()),
        finality,
    };
    let many = Finality::Confirmations(random.between(0, 5));
    match random.below(6) {
        0 => vec![one(None, Finality::Finalized)],
        1 => vec![one(None, Finality::Safe)],
        2 => vec![one(None, Finality::Confirmations(1))],
        3 => vec![one(None, many)],
        4 => vec![one(Some(20_000_000), Finality::Confirmations(1)), one(None, many)],
        _ => vec![one(Some(40_000_000), many)],
    }
}
