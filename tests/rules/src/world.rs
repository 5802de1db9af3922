//! A small world: chains of named transactions, orders by letter, books in memory.
//!
//! In: `mine`, `fork`, `order`. Out: what was written since, one sentence a row.
//! Never: a step that gives another answer when it is repeated.
//! Why: a test of a rule should read as the example it stands for.

use std::collections::BTreeMap;

use model::memory::Memory;
use payments::address::Address;
use payments::amount::{Credits, Usdt};
use payments::chain::{BlockHash, BlockId, Header, Scan, Transfer, TxHash};
use payments::changes::{Bounds, ChainRules, Changes, Finality, FinalityRule, Rules, Update};
use payments::event::EventKind;
use payments::name::{ChainName, CustomerId, OrderId};
use payments::notice::{Notice, What};
use payments::order::{Order, Policy, Price, Terms};
use payments::time::Time;
use payments::{PlanError, plan};
use ruint::aliases::U256;

use super::again::Told;

/// The configured token, on every chain.
pub(super) const TOKEN: Address = Address([0xda; 20]);
/// A token that only looks like it.
pub(super) const LOOKALIKE: Address = Address([0xfa; 20]);
/// Where payments come from.
const PAYER: Address = Address([0xee; 20]);

pub(super) struct World {
    pub(super) memory: Memory,
    pub(super) rules: Rules,
    pub(super) lines: BTreeMap<&'static str, Line>,
    /// Milliseconds; each update is one later than the one before.
    pub(super) now: i64,
    /// What was told of each order, to run the rules again over.
    pub(super) told: Told,
    next_branch: u8,
    journals: usize,
    events: usize,
}

/// One chain as its node shows it.
#[derive(Default)]
pub(super) struct Line {
    pub(super) blocks: Vec<(Header, Vec<Transfer>)>,
    /// What the token's issuer says, by the hash of its block.
    pub(super) notices: BTreeMap<BlockHash, Vec<Notice>>,
    pub(super) finalized: u64,
    pub(super) safe: Option<u64>,
}

/// A transfer to come: in which transaction, its place there, to whom, how much.
#[derive(Clone)]
pub(super) struct Pay {
    tx: &'static str,
    n: u32,
    to: String,
    raw: Raw,
    token: Address,
    from: Option<String>,
    to_itself: bool,
    to_nobody: bool,
    log_index: u64,
}

#[derive(Clone)]
enum Raw {
    Text(String),
    Units(U256),
}

/// `amount` to the address of order (or pool address) `to`, in transaction `tx`.
pub(super) fn pay(tx: &'static str, to: &str, amount: &str) -> Pay {
    let raw = Raw::Text(amount.to_owned());
    let (to, from) = (to.to_owned(), None);
    let (to_itself, to_nobody) = (false, false);
    Pay { tx, n: 0, to, raw, token: TOKEN, from, to_itself, to_nobody, log_index: 0 }
}

impl Pay {
    /// The n-th transfer of its transaction.
    pub(super) fn nth(self, n: u32) -> Self {
        Self { n, ..self }
    }

    /// Of another token.
    pub(super) fn of(self, token: Address) -> Self {
        Self { token, ..self }
    }

    /// So many base units.
    pub(super) fn units(self, raw: U256) -> Self {
        Self { raw: Raw::Units(raw), ..self }
    }

    /// From the address of an order, or of the pool.
    pub(super) fn from(self, name: &str) -> Self {
        Self { from: Some(name.to_owned()), ..self }
    }

    /// From the account it goes to.
    pub(super) fn itself(self) -> Self {
        Self { to_itself: true, ..self }
    }

    /// To where contracts send what they burn.
    pub(super) fn burnt(self) -> Self {
        Self { to_nobody: true, ..self }
    }

    /// At this place among the logs of its block.
    pub(super) fn at(self, log_index: u64) -> Self {
        Self { log_index, ..self }
    }
}

pub(super) fn usdt(text: &str) -> Usdt {
    Usdt::parse(text).unwrap()
}

/// The base units of an amount of a token with six decimals.
pub(super) fn raw(text: &str) -> U256 {
    usdt(text).to_raw(6).unwrap()
}

pub(super) fn chain(name: &str) -> ChainName {
    ChainName::new(name).unwrap()
}

pub(super) fn id(name: &str) -> OrderId {
    OrderId::new(name).unwrap()
}

/// The address of an order or of a place in the pool, by its name.
pub(super) fn address(name: &str) -> Address {
    let mut bytes = [0xaa; 20];
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    Address(bytes)
}

pub(super) fn tx(name: &str) -> TxHash {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    TxHash(bytes)
}

pub(super) fn seconds(time: i64) -> Time {
    Time(time * 1000)
}

impl World {
    /// Ethereum and TRON with 6 decimals, BNB Chain with 18. One confirmation is enough; genesis
    /// is final and nothing else is until it is said.
    pub(super) fn new() -> Self {
        let mut rules = Rules::new();
        let mut lines = BTreeMap::new();
        for (name, decimals) in [("ethereum", 6), ("tron", 6), ("bsc", 18)] {
            let finality = vec![FinalityRule { up_to: None, finality: Finality::Confirmations(1) }];
            let bounds = Bounds::default();
            let of_chain = ChainRules {
                token: TOKEN,
                decimals,
                max_reorg: 8,
                finality,
                treasury: vec![address("treasury")],
                bounds,
            };
            rules.insert(chain(name), of_chain);
            lines.insert(name, Line::default());
        }
        let (memory, now) = (Memory::new(), 0);
        let (told, next_branch) = (Told::default(), 1);
        let mut world =
            Self { memory, rules, lines, now, told, next_branch, journals: 0, events: 0 };
        for name in ["ethereum", "tron", "bsc"] {
            world.mine(name, &[]);
        }
        world
    }

    /// Sets when deposits on a chain are final.
    pub(super) fn finality(&mut self, name: &str, lines: &[(Option<&str>, Finality)]) {
        let rules = self.rules.get_mut(&chain(name)).unwrap();
        let rule = |(up_to, finality): &(Option<&str>, Finality)| FinalityRule {
            up_to: up_to.map(usdt),
            finality: *finality,
        };
        rules.finality = lines.iter().map(rule).collect();
    }

    /// An order for 100 USDT on Ethereum: 10,000 credits, expires at second 1000, late window of
    /// 500 seconds, tolerance and dust 0.10, everything held.
    pub(super) fn terms(&self, name: &str) -> Order {
        let terms = Terms {
            tolerance: usdt("0.10"),
            dust: usdt("0.10"),
            late_window: 500_000,
            underpaid: Policy::Hold,
            overpaid: Policy::Hold,
            late: Policy::Hold,
        };
        Order {
            id: id(name),
            customer: CustomerId::new("acme").unwrap(),
            chain: chain("ethereum"),
            due: Some(usdt("100")),
            price: Price::Fixed(Credits::parse("10000").unwrap()),
            created_at: Time(self.now),
            expires_at: Some(seconds(1000)),
            address: address(name),
            address_index: None,
            refund_to: None,
            metadata: None,
            terms,
        }
    }

    /// Makes an order whose terms `change` changes.
    pub(super) fn order(&mut self, name: &str, change: impl FnOnce(&mut Order)) {
        let mut order = self.terms(name);
        change(&mut order);
        self.apply(&Update::Create(order)).unwrap();
    }

    /// Makes an open order at 100 credits for 1 USDT.
    pub(super) fn open_order(&mut self, name: &str, change: impl FnOnce(&mut Order)) {
        self.order(name, |order| {
            order.due = None;
            order.price = Price::Rate { num: 100, den: 1 };
            change(order);
        });
    }

    /// Mines a block ten seconds after the last one, and scans it.
    pub(super) fn mine(&mut self, name: &'static str, pays: &[Pay]) {
        let last = self.lines[name].blocks.last().map_or(0, |(header, _)| header.time.0 / 1000);
        self.mine_at(name, last + 10, pays);
    }

    /// Mines a block at a second, and scans what was not scanned.
    pub(super) fn mine_at(&mut self, name: &'static str, second: i64, pays: &[Pay]) {
        self.mine_unseen(name, second, pays);
        self.scan(name).unwrap();
    }

    /// Mines a block and does not scan it.
    pub(super) fn mine_unseen(&mut self, name: &'static str, second: i64, pays: &[Pay]) {
        let branch = self.next_branch;
        let decimals = self.rules[&chain(name)].decimals;
        let line = self.lines.get_mut(name).unwrap();
        let height = u64::try_from(line.blocks.len()).unwrap();
        let parent = line.blocks.last().map_or(BlockHash([0; 32]), |(header, _)| header.id.hash);
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&height.to_be_bytes());
        hash[8] = branch;
        let block = BlockId { height, hash: BlockHash(hash) };
        let header = Header { id: block, parent, time: seconds(second) };
        let transfer = |(place, pay): (usize, &Pay)| Transfer {
            tx: tx(pay.tx),
            n: pay.n,
            log_index: pay.log_index + u64::try_from(place).unwrap(),
            block,
            time: header.time,
            token: pay.token,
            from: match &pay.from {
                Some(name) => address(name),
                None if pay.to_itself => address(&pay.to),
                None => PAYER,
            },
            to: if pay.to_nobody { Address([0; 20]) } else { address(&pay.to) },
            raw: match &pay.raw {
                Raw::Text(text) => usdt(text).to_raw(decimals).unwrap(),
                Raw::Units(raw) => *raw,
            },
        };
        let transfers = pays.iter().enumerate().map(transfer).collect();
        line.blocks.push((header, transfers));
        self.now = self.now.max(second * 1000);
    }

    /// Mines a block in which the token's issuer says all this, and scans it.
    pub(super) fn announce(&mut self, name: &'static str, said: &[(&str, What)]) {
        self.announce_with(name, said, &[]);
    }

    /// The same beside transfers of that block.
    pub(super) fn announce_with(
        &mut self,
        name: &'static str,
        said: &[(&str, What)],
        pays: &[Pay],
    ) {
        let last = self.lines[name].blocks.last().map_or(0, |(header, _)| header.time.0 / 1000);
        self.mine_unseen(name, last + 10, pays);
        let line = self.lines.get_mut(name).unwrap();
        let header = line.blocks.last().unwrap().0;
        let (block, time) = (header.id, header.time);
        let notice = |(at, (name, what)): (u64, &(&str, What))| {
            let (tx, log_index) = (tx(name), 100 + at);
            Notice { tx, n: 0, log_index, block, time, what: *what }
        };
        line.notices.insert(block.hash, (0..).zip(said).map(notice).collect());
        self.scan(name).unwrap();
    }

    /// Forgets every block above `height`; what is mined next is another branch.
    pub(super) fn fork(&mut self, name: &str, height: u64) {
        self.next_branch += 1;
        let line = self.lines.get_mut(name).unwrap();
        line.blocks.truncate(usize::try_from(height).unwrap() + 1);
    }

    /// The node calls this height final, and the daemon looks.
    pub(super) fn finalize(&mut self, name: &'static str, height: u64) {
        self.lines.get_mut(name).unwrap().finalized = height;
        self.scan(name).unwrap();
    }

    /// The scan that a look at this chain gives now.
    pub(super) fn look(&self, name: &str) -> Scan {
        let line = &self.lines[name];
        let cursor = self.memory.cursor(&chain(name));
        let kept = cursor.map_or(&[][..], |cursor| &cursor.kept);
        let agrees = |header: &&Header| {
            let at = usize::try_from(header.id.height).unwrap();
            line.blocks.get(at).is_some_and(|(ours, _)| ours.id == header.id)
        };
        let base = kept.iter().rfind(agrees).map(|header| header.id);
        self.look_from(name, base)
    }

    /// The scan of everything above `base`.
    pub(super) fn look_from(&self, name: &str, base: Option<BlockId>) -> Scan {
        let line = &self.lines[name];
        let from = base.map_or(0, |base| usize::try_from(base.height).unwrap() + 1);
        let new = line.blocks.get(from..).unwrap_or_default();
        Scan {
            chain: chain(name),
            base,
            blocks: new.iter().map(|(header, _)| *header).collect(),
            transfers: new.iter().flat_map(|(_, transfers)| transfers).cloned().collect(),
            notices: new
                .iter()
                .flat_map(|(header, _)| line.notices.get(&header.id.hash).into_iter().flatten())
                .cloned()
                .collect(),
            finalized: line
                .blocks
                .get(usize::try_from(line.finalized).unwrap())
                .map(|(header, _)| header.id),
            safe: line.safe,
            tip: u64::try_from(line.blocks.len()).unwrap(),
        }
    }

    /// Looks at a chain and records what it finds.
    pub(super) fn scan(&mut self, name: &str) -> Result<Changes, PlanError> {
        let scan = self.look(name);
        self.apply(&Update::Scan(scan))
    }

    /// Plans and commits. The same update again changes nothing more.
    pub(super) fn apply(&mut self, update: &Update) -> Result<Changes, PlanError> {
        self.now += 1;
        let snapshot = self.memory.snapshot(update);
        let changes = plan(&self.rules, &snapshot, update, Time(self.now))?;
        self.commit(&changes);
        let again = plan(&self.rules, &self.memory.snapshot(update), update, Time(self.now));
        if let (Update::Scan(_) | Update::Rescan { .. }, Ok(again)) = (update, &again) {
            assert!(again.is_empty(), "the same update again: {again:#?}");
        }
        Ok(changes)
    }

    /// Writes what was decided.
    pub(super) fn commit(&mut self, changes: &Changes) {
        let paused = |name: &ChainName| {
            self.memory.cursor(name).is_some_and(|cursor| cursor.paused.is_some())
        };
        self.told.add(changes, |event| event.chain.as_ref().is_some_and(paused));
        let committed = self.memory.commit(changes);
        assert!(committed.is_ok(), "{committed:?}");
    }

    /// What was written since the last time this was asked: journals, then events.
    pub(super) fn news(&mut self) -> String {
        let mut lines = Vec::new();
        for journal in &self.memory.journals()[self.journals..] {
            for entry in &journal.entries {
                let amount = Usdt::from_micro(entry.amount).unwrap();
                let (debit, credit) = (&entry.debit, &entry.credit);
                let asset = &entry.asset;
                lines.push(format!("{}: {debit} -> {credit} {amount} {asset}", journal.key));
            }
        }
        for event in &self.memory.events()[self.events..] {
            let mut words = vec![event.kind.word().to_owned()];
            words.extend(event.order.as_ref().map(ToString::to_string));
            words.extend(event.deposit.as_ref().map(ToString::to_string));
            words.extend(event.case.as_ref().map(ToString::to_string));
            let told = event.data.iter().filter(|(name, _)| is_told(event.kind, name));
            words.extend(told.map(|(name, value)| format!("{name}={value}")));
            lines.push(words.join(" "));
        }
        self.journals = self.memory.journals().len();
        self.events = self.memory.events().len();
        named(&lines.join("\n"))
    }

    /// Forgets what was written so far.
    pub(super) fn skip(&mut self) {
        self.news();
    }

    /// The order as it is: status, its deposits, its cases.
    pub(super) fn state(&self, name: &str) -> String {
        let dossier = self.memory.dossier(&id(name)).unwrap();
        let mut lines = vec![dossier.status().word().to_owned()];
        for deposit in &dossier.deposits {
            let state = match deposit.state {
                payments::deposit::State::Suspended(kind) => format!("suspended {}", kind.word()),
                state => state.word().to_owned(),
            };
            let late = if deposit.late { " late" } else { "" };
            lines.push(format!("{} {} {state}{late}", deposit.id, deposit.amount));
        }
        for case in &dossier.cases {
            let end = case.decision.as_ref().map_or("open", |decision| &decision.why);
            lines.push(format!("case {} {}: {end}", case.id, case.amount));
        }
        named(&lines.join("\n"))
    }

    /// The accounts that are not zero.
    pub(super) fn balances(&self) -> String {
        named(&self.memory.dump_balances())
    }
}

/// Names in place of hashes and addresses.
pub(super) fn named(text: &str) -> String {
    let mut out = text.to_owned();
    for name in ["t1", "t2", "t3", "t4", "t5"] {
        out = out.replace(&tx(name).to_string(), name);
    }
    for name in ["A", "B", "C", "pool", "back", "other", "treasury", "thief", "owner"] {
        let spelled = payments::address::lower_hex(&address(name).0);
        out = out.replace(&format!("0x{spelled}"), &format!("@{name}"));
        out = out.replace(&address(name).to_string(), &format!("@{name}"));
    }
    let token = payments::address::lower_hex(&LOOKALIKE.0);
    out.replace(&format!("0x{token}"), "lookalike")
}

/// What `news` leaves out, for it is in every event of its kind.
fn is_told(kind: EventKind, name: &str) -> bool {
    let place = matches!(kind, EventKind::DepositDetected | EventKind::DepositConfirmed);
    let left = [
        EventKind::OutflowDetected,
        EventKind::OutflowBooked,
        EventKind::OutflowWaiting,
        EventKind::OutflowOrphaned,
        EventKind::CaseOpened,
    ];
    let place = place || left.contains(&kind);
    !(place && matches!(name, "tx" | "height" | "from" | "to"))
}

/// Compares prose, line by line and without its indentation.
#[track_caller]
pub(super) fn says(found: &str, wanted: &str) {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let (left, right) = (lines(found), lines(wanted));
    assert!(left == right, "found:\n{}\n\nwanted:\n{}\n", left.join("\n"), right.join("\n"));
}
