//! Chain against books, by example: one thing is altered on either side, and these are the lines.
//!
//! In: a small world whose two sides agree but for what waits for people. Out: what is found beyond
//! that, whole: code, severity, amount, key, sentence. Never: a code alone.
//! Why: a supporter reads these sentences, and finance files these amounts.

mod booked;
mod chain_side;
mod decided;
mod edges;
mod ledger_side;
mod left;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use payments::address::{Address, Spelling};
use payments::amount::Usdt;
use payments::chain::{BlockHash, BlockId, Transfer, TxHash};
use payments::ledger::Journal;
use payments::lookup::{Mined, Transaction};
use payments::order::Dossier;
use payments::reconcile::{Books, Finding, Frame, Observed, Report, Seen, compare};
use payments::time::Time;
use ruint::aliases::U256;

use crate::world::{World, address, chain, id, named, pay, says, tx};

/// Both sides.
struct Sides {
    books: Books,
    observed: Observed,
}

impl Sides {
    /// A is paid, B in part, C twice, D is open and paid on BNB Chain, 5 came to nobody. 30 of A's
    /// were swept.
    fn new() -> Self {
        let mut world = World::new();
        world.memory.import(&[address("pool")]);
        for name in ["A", "B", "C"] {
            world.order(name, |_| {});
        }
        world.open_order("other", |order| order.chain = chain("bsc"));
        world.mine("ethereum", &[pay("t1", "A", "100"), pay("t1", "B", "60").nth(1)]);
        world.mine("ethereum", &[pay("t2", "C", "100"), pay("t3", "C", "100")]);
        world.mine("ethereum", &[pay("t4", "pool", "5")]);
        world.mine("bsc", &[pay("t1", "other", "20")]);
        world.mine("ethereum", &[pay("t5", "treasury", "30").from("A")]);
        world.finalize("ethereum", 4);
        world.finalize("bsc", 1);
        Self { books: books(&world), observed: observed(&world) }
    }

    fn seen(&mut self, name: &str) -> &mut Seen {
        self.observed.chains.get_mut(&chain(name)).unwrap()
    }

    /// The transfer with that number of a transaction on Ethereum.
    fn transfer(&mut self, name: &str, n: u32) -> &mut Transfer {
        let mut transfers = self.seen("ethereum").transfers.iter_mut();
        transfers.find(|transfer| (transfer.tx, transfer.n) == (tx(name), n)).unwrap()
    }

    /// The chain has no such transfer, and `outcome` became of its transaction.
    fn lose(&mut self, name: &str, outcome: Option<Transaction>) {
        let seen = self.seen("ethereum");
        seen.transfers.retain(|transfer| transfer.tx != tx(name));
        seen.outcomes.extend(outcome.map(|outcome| (tx(name), outcome)));
    }

    fn order(&mut self, name: &str) -> &mut Dossier {
        self.books.orders.iter_mut().find(|dossier| dossier.order.id == id(name)).unwrap()
    }

    fn journal(&mut self, order: &str, head: &str) -> &mut Journal {
        let mut journals = self.order(order).journals.iter_mut();
        journals.find(|journal| journal.key.starts_with(head)).unwrap()
    }

    fn report(&self) -> Report {
        compare(&self.books, &self.observed)
    }
}

fn books(world: &World) -> Books {
    let memory = &world.memory;
    let cursors = world.rules.keys().filter_map(|name| memory.cursor(name));
    let spellings = BTreeMap::from([(chain("tron"), Spelling::Tron)]);
    let frame = Frame {
        rules: world.rules.clone(),
        spellings,
        cursors: cursors.map(|cursor| (cursor.chain.clone(), cursor.clone())).collect(),
        ledger_seq: 7,
        ..Frame::default()
    };
    let deposits = memory.deposits().iter().filter(|deposit| deposit.order.is_none());
    let cases = memory.cases().iter().filter(|case| case.order.is_none());
    let journals = memory.journals().iter().filter(|journal| journal.order.is_none());
    Books {
        frame,
        orders: memory.orders().map(|id| Dossier::clone(memory.dossier(id).unwrap())).collect(),
        unassigned: deposits.map(|deposit| (**deposit).clone()).collect(),
        unassigned_cases: cases.map(|case| (**case).clone()).collect(),
        unassigned_journals: journals.map(|journal| (**journal).clone()).collect(),
        outflows: memory.outflows().iter().map(|outflow| (**outflow).clone()).collect(),
    }
}

fn observed(world: &World) -> Observed {
    let mut observed = Observed::default();
    let ours: BTreeSet<Address> =
        ["A", "B", "C", "other", "pool"].into_iter().map(address).collect();
    for name in ["ethereum", "bsc"] {
        let line = &world.lines[name];
        let cut = line.blocks.last().unwrap().0;
        let mut seen = Seen::new(0, cut.id, cut.time);
        seen.transfers = line.blocks.iter().flat_map(|(_, all)| all).cloned().collect();
        seen.ours.clone_from(&ours);
        for address in &ours {
            let sum = |of: fn(&Transfer) -> Address| {
                let own = seen.transfers.iter().filter(|transfer| of(transfer) == *address);
                own.fold(U256::ZERO, |sum, transfer| sum + transfer.raw)
            };
            let held = sum(|transfer| transfer.to) - sum(|transfer| transfer.from);
            seen.balances.insert(*address, held);
        }
        observed.chains.insert(chain(name), seen);
    }
    observed
}

/// A finding in one line: code, severity, amount, who it is about, its sentence.
fn line(finding: &Finding) -> String {
    let part = |part: Option<String>| part.unwrap_or_else(|| "-".to_owned());
    let micro = |micro: i128| Usdt::from_micro(micro.try_into().unwrap()).unwrap();
    let about = [
        part(finding.chain.as_ref().map(ToString::to_string)),
        part(finding.order.as_ref().map(ToString::to_string)),
        part(finding.deposit.as_ref().map(ToString::to_string)),
        part(finding.case.as_ref().map(ToString::to_string)),
        part(finding.since.map(|since| (since.0 / 1000).to_string())),
    ];
    let (code, severity) = (finding.code.word(), finding.severity.word());
    let (amount, key, what) = (micro(finding.amount), &finding.key, &finding.what);
    let line = format!("{code} {severity} {amount} [{}] {key}: {what}", about.join(" "));
    named(&line.replace(&TxHash([8; 32]).to_string(), "new"))
}

/// What an alteration adds to what is found, and `-` what it takes away.
fn beyond(alter: impl FnOnce(&mut Sides)) -> String {
    let mut sides = Sides::new();
    let lines = |report: &Report| -> BTreeSet<String> {
        let found = report.findings.iter().map(line);
        let became = report.lines.iter().map(|line| {
            let (id, word) = (&line.deposit, line.disposition.word());
            named(&format!("{id} {} at {}: {word}", line.amount, line.height))
        });
        found.chain(became).collect()
    };
    let before = lines(&sides.report());
    alter(&mut sides);
    let after = lines(&sides.report());
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    let new = after.difference(&before).cloned();
    gone.chain(new).collect::<Vec<_>>().join("\n")
}

fn mined(succeeded: bool, height: u64, transfers: Vec<Transfer>) -> Transaction {
    let block = BlockId { height, hash: BlockHash([9; 32]) };
    Transaction::Mined(Mined { succeeded, block, time: Time(0), transfers, others: Vec::new() })
}

#[test]
fn what_waits_for_people_and_nothing_else_is_found() {
    let report = Sides::new().report();
    let lines: Vec<String> = report.findings.iter().map(line).collect();
    says(&lines.join("\n"), BEFORE);
    assert_eq!((report.is_broken(), report.is_incomplete()), (false, false));
}

const BEFORE: &str = "D201 medium 5.00 [ethereum - - unassigned:ethereum:t4:0 40] \
    unassigned:ethereum:t4:0: 5.00 is held as unassigned: ethereum:t4:0
    D204 medium 100.00 [ethereum C - duplicate:ethereum:t3:0 30] \
    duplicate:ethereum:t3:0: 100.00 of order C is held as duplicate: ethereum:t3:0
    D209 low 60.00 [ethereum B - - 20] B: 60.00 of 100.00 arrived so far";
