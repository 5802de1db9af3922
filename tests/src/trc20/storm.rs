//! Random weather: fork switches, restarts, lags and every fault at once, into real books.
//!
//! In: seeds. Out: in calm again every final payment to us is recorded once, and nothing else is.
//! Never: a wait; endpoints rest no time. Why: each fault has a test of its own, and money is lost
//! where two of them meet.
//!
//! `BURSAR_STORM_SEED=7` runs one of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use lab::tron::{Asker, Chain, Fault, Limit, LogSpec, Node, Paths, Spoil, Tx};
use model::memory::Memory;
use model::random::Random;
use payments::address::Address;
use payments::chain::{ConnectError, TxHash};
use payments::changes::{Bounds, ChainRules, Finality, FinalityRule, Rules, Update};
use payments::deposit::{Deposit, State};
use payments::ledger::{Account as Of, Asset};
use payments::name::{CustomerId, OrderId};
use payments::order::{Order, Policy, Price, Terms};
use payments::outflow::{Outflow, OutflowState};
use payments::time::Time;
use payments::{PlanError, amount::Usdt, plan};
use ruint::aliases::U256;
use trc20::{Account, Error, Found};

use super::rig::{BOUND, Follower, account, at, config, grid, node, noise, ours};

/// A payment to us: the place in its transaction, to whom, how much.
type Paid = (u32, u8, u64);
/// A recorded payment: its height, transaction, place, receiver, base units.
type Row = (u64, TxHash, u32, Address, U256);

/// What the chain holds, by the script's own account.
#[derive(Default)]
struct Script {
    /// By height less one: each transaction, and what it pays us.
    blocks: Vec<Vec<(Tx, Vec<Paid>)>>,
    /// What a restart took, the lowest first.
    lost: Vec<Vec<(Tx, Vec<Paid>)>>,
    /// What was mined once and may be mined again.
    outside: Vec<(Tx, Vec<Paid>)>,
    tag: u64,
}

/// How the chain is read.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Blocks,
    Accounts,
}

struct Storm {
    random: Random,
    chain: Chain,
    nodes: Vec<Node>,
    script: Script,
    follower: Follower,
    books: Memory,
    rules: Rules,
    accounts: Vec<Account>,
    now: i64,
}

impl Script {
    /// A transaction, and what it pays us.
    fn invent(&mut self, random: &mut Random) -> (Tx, Vec<Paid>) {
        self.tag += 1;
        let to = u8::try_from(random.between(1, 9)).unwrap();
        let value = random.between(1, 50_000_000);
        let (stranger, plain) = (account(200), Tx::transfer(account(200), account(to), value));
        let (tx, paid) = match random.below(14) {
            0 => (plain.reverted(), vec![]),
            1 => (plain.out_of_energy(), vec![]),
            2 => (plain.out_of_time(), vec![]),
            3 => (Tx::transfer_of(account(99), stranger, account(to), value), vec![]),
            4 => (Tx::transfer(account(to), stranger, value), vec![]),
            5 => {
                let two = [(account(to), value), (account(to), value)];
                (
                    Tx::batch(account(50), account(51), stranger, &two),
                    vec![(0, to, value), (1, to, value)],
                )
            }
            6 => {
                let other = Tx::transfer(stranger, account(201), value);
                (other.and_transfer(stranger, account(to), value), vec![(1, to, value)])
            }
            7 => {
                let value = alloy::primitives::U256::from(value);
                let approval = LogSpec::Approval { owner: stranger, spender: account(to), value };
                (Tx::empty().and(approval), vec![])
            }
            8 => (noise(0), vec![]),
            _ => (plain, vec![(0, to, value)]),
        };
        (tx.tagged(self.tag), paid)
    }

    fn block(&mut self, random: &mut Random) -> Vec<(Tx, Vec<Paid>)> {
        let mut txs = Vec::new();
        while random.chance(30) && !self.outside.is_empty() {
            txs.push(self.outside.swap_remove(random.place(self.outside.len())));
        }
        while random.chance(50) {
            txs.push(self.invent(random));
        }
        txs
    }

    /// Some of what is no longer on the chain may be mined again; the rest is gone for good.
    fn leave(&mut self, gone: Vec<Vec<(Tx, Vec<Paid>)>>, random: &mut Random) {
        self.outside.extend(gone.into_iter().flatten().filter(|_| random.chance(40)));
    }

    /// What the chain pays us up to a height.
    fn rows(&self, chain: &Chain, height: u64) -> BTreeSet<Row> {
        let mut rows = BTreeSet::new();
        for (at, block) in (1..=height).zip(&self.blocks) {
            let ids = chain.transactions(at);
            assert_eq!(ids.len(), block.len(), "the script knows the chain");
            for (id, (_, paid)) in ids.iter().zip(block) {
                rows.extend(
                    paid.iter().map(|(n, to, value)| {
                        (at, TxHash(id.0), *n, ours(*to), U256::from(*value))
                    }),
                );
            }
        }
        rows
    }
}

fn of(block: &[(Tx, Vec<Paid>)]) -> Vec<Tx> {
    block.iter().map(|(tx, _)| tx.clone()).collect()
}

impl Storm {
    async fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let chain = super::rig::chain();
        let mut nodes = vec![grid(&chain).await];
        if random.chance(60) {
            nodes.push(if random.chance(50) { grid(&chain).await } else { node(&chain).await });
        }
        let config = config(&nodes.iter().collect::<Vec<_>>());
        let finality = vec![FinalityRule { up_to: None, finality: Finality::Finalized }];
        let (token, name) = (config.token, config.chain.clone());
        let bounds = Bounds::default();
        let of_chain = ChainRules {
            token,
            decimals: 6,
            max_reorg: BOUND,
            finality,
            treasury: Vec::new(),
            bounds,
        };
        let mut books = Memory::new();
        books.import(&(1..6).map(ours).collect::<Vec<_>>());
        let mut storm = Self {
            random,
            chain,
            nodes,
            script: Script::default(),
            follower: Follower::with(config).await,
            books,
            rules: Rules::from([(name, of_chain)]),
            accounts: (1..10).map(|n| Account { address: ours(n), since: Time(0) }).collect(),
            now: 0,
        };
        for n in 6..10 {
            let order = storm.order(n);
            storm.record(&Update::Create(order));
        }
        storm
    }

    /// An open order: whatever comes is credited.
    fn order(&self, n: u8) -> Order {
        let hold = Policy::Hold;
        let (tolerance, dust) = (Usdt::ZERO, Usdt::ZERO);
        Order {
            id: OrderId::new(&format!("o{n}")).unwrap(),
            customer: CustomerId::new("c").unwrap(),
            chain: self.follower.cursor.chain.clone(),
            due: None,
            price: Price::Rate { num: 1, den: 1 },
            created_at: Time(0),
            expires_at: None,
            address: ours(n),
            address_index: None,
            refund_to: None,
            metadata: None,
            terms: Terms {
                tolerance,
                dust,
                late_window: 0,
                underpaid: hold,
                overpaid: hold,
                late: hold,
            },
        }
    }

    /// Decides and writes, and nothing is booked that the chain can take back.
    fn record(&mut self, update: &Update) {
        self.now += 1;
        let snapshot = self.books.snapshot(update);
        let changes = match plan(&self.rules, &snapshot, update, Time(self.now)) {
            Ok(changes) => changes,
            // The chain moved on between two looks: the next one is another.
            Err(PlanError::Connect(ConnectError::CannotConnect { .. })) => return,
            Err(error) => panic!("refused: {error}"),
        };
        self.books.commit(&changes).expect("books that take what the rules decide");
        let chain = self.follower.cursor.chain.clone();
        if let Some(cursor) = self.books.cursor(&chain) {
            self.follower.cursor = cursor.clone();
        }
        let solid = self.chain.solid().height;
        for deposit in self.books.deposits() {
            assert_ne!(deposit.state, State::Reversed, "{} was credited too early", deposit.id);
            if !matches!(deposit.state, State::Pending | State::Orphaned) {
                let height = deposit.block.height;
                assert!(height <= solid, "{} is booked above what is final", deposit.id);
                assert_eq!(deposit.block, at(&self.chain, height), "{} vanished", deposit.id);
            }
        }
    }

    fn mine(&mut self, blocks: u64) {
        let lost = std::mem::take(&mut self.script.lost);
        self.script.leave(lost, &mut self.random);
        for _ in 0..blocks {
            let block = self.script.block(&mut self.random);
            self.chain.mine(of(&block));
            self.script.blocks.push(block);
        }
    }

    /// The last blocks are replaced; what is final stays.
    fn switch(&mut self) {
        let open = self.chain.tip().height - self.chain.solid().height;
        let depth = self.random.below(open.min(18) + 1);
        let stays = self.script.blocks.len() - usize::try_from(depth).unwrap();
        let gone = self.script.blocks.split_off(stays);
        self.script.leave(gone, &mut self.random);
        self.script.lost.clear();
        let blocks = 0..self.random.between(1, 8);
        let blocks: Vec<_> = blocks.map(|_| self.script.block(&mut self.random)).collect();
        self.chain.reorg(depth, blocks.iter().map(|block| of(block)).collect());
        self.script.blocks.extend(blocks);
    }

    fn restart(&mut self) {
        let tip = usize::try_from(self.chain.restart().height).unwrap();
        let mut gone = self.script.blocks.split_off(tip.min(self.script.blocks.len()));
        gone.append(&mut self.script.lost);
        self.script.lost = gone;
    }

    fn resume(&mut self) {
        self.chain.resume();
        let lost = std::mem::take(&mut self.script.lost);
        self.script.blocks.extend(lost);
    }

    /// Something goes wrong with one node, for a few requests or until it is healed.
    fn fault(&mut self) {
        let random = &mut self.random;
        let starts = [
            "/wallet",
            "/walletsolidity",
            "/v1/",
            "/wallet/gettransactioninfo",
            "/wallet/getblock",
        ];
        let paths = Paths::under(&[*random.pick(&starts)]);
        let times = Some(u32::try_from(random.between(1, 4)).unwrap());
        let say = |status, body: &str| Fault::Say {
            paths: paths.clone(),
            status,
            body: body.to_owned(),
            times,
        };
        let tip = self.chain.tip().height;
        let low = random.between(1, tip.max(1));
        let spoilt = |how| Fault::Spoilt { heights: low..=low + 3, how };
        let all: Vec<_> = self.chain.transactions(low);
        let fault = match random.below(20) {
            0 | 1 => Fault::Suspended {
                paths: paths.clone(),
                status: *random.pick(&[429, 403]),
                words: random.pick(&[Limit::NoKey, Limit::Key, Limit::Documented]).clone(),
                seconds: 0,
                answered: u32::try_from(random.below(5)).unwrap(),
                refused: Some(2),
                asker: Asker::Anyone,
            },
            2 => Fault::busy(paths.clone(), times),
            3 => say(200, "{}"),
            4 => say(200, "[]"),
            5 => {
                say(405, "<html><title>Error 405 HTTP method POST is not supported</title></html>")
            }
            6 => Fault::Truncate { paths: paths.clone(), times },
            7 => Fault::Drop { paths: paths.clone(), times },
            8 => Fault::EmptyPages,
            9 => Fault::NoFingerprint,
            10 => Fault::DoubledRows,
            11 => Fault::ApprovalRows,
            12 => Fault::NoTokenInfo,
            13 => Fault::ForeignNext { origin: "http://127.0.0.1:9".to_owned() },
            14 => spoilt(*random.pick(&[Spoil::NoInfos, Spoil::ShortInfos])),
            15 => Fault::SolidityLag { blocks: random.between(1, 25) },
            16 | 17 if !all.is_empty() => Fault::LostRows { tx: *random.pick(&all) },
            _ => Fault::Lag { blocks: random.between(1, 25) },
        };
        let node = random.pick(&self.nodes);
        node.fault(fault);
    }

    /// One look, recorded.
    async fn look(&mut self, reading: Reading) -> Result<(), Error> {
        let answer = match reading {
            Reading::Blocks => self.follower.poll().await.map(|scan| (scan, Vec::new())),
            Reading::Accounts => {
                let source = &self.follower.source;
                let found = source.poll_accounts(&self.follower.cursor, &self.accounts).await;
                found.map(|Found { scan, earlier }| (scan, earlier))
            }
        };
        match answer {
            Ok((scan, earlier)) => {
                self.record(&Update::Scan(scan));
                if !earlier.is_empty() {
                    let chain = self.follower.cursor.chain.clone();
                    self.record(&Update::Rescan { chain, transfers: earlier, notices: Vec::new() });
                }
                Ok(())
            }
            // A chain that keeps what is final, and nodes that all read it.
            Err(error @ (Error::BelowFinalized { .. } | Error::Disagree { .. })) => {
                panic!("an honest chain is not believed: {error}")
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a stretch of blocks again, up to a height; the height to go on at.
    async fn rescan(&mut self, from: u64, to: u64) -> Result<u64, Error> {
        let scan = self.follower.source.rescan(from, to, &self.follower.watch).await?;
        let next = scan.blocks.last().map_or(to, |header| header.id.height) + 1;
        let chain = self.follower.cursor.chain.clone();
        self.record(&Update::Rescan { chain, transfers: scan.transfers, notices: Vec::new() });
        Ok(next)
    }

    async fn step(&mut self, readings: &[Reading]) {
        match self.random.below(100) {
            0..30 => {
                let blocks = self.random.between(1, 6);
                self.mine(blocks);
            }
            30..36 => self.switch(),
            36..40 => self.restart(),
            40..44 => self.resume(),
            44..46 => self.chain.miss(self.random.between(1, 9)),
            46..58 => self.fault(),
            58..62 => {
                let node = self.random.pick(&self.nodes);
                node.heal();
            }
            62..66 => {
                let recorded = self.follower.cursor.finalized.map_or(0, |block| block.height);
                let from = self.random.between(1, recorded.max(1));
                if from <= recorded {
                    let _ = self.rescan(from, recorded).await;
                }
            }
            _ => {
                let reading = *self.random.pick(readings);
                let _ = self.look(reading).await;
            }
        }
    }

    /// The storm is over: all is final, read, and read again.
    async fn calm(&mut self, reading: Reading) {
        self.nodes.iter().for_each(Node::heal);
        self.mine(1);
        self.chain.mine_empty(25);
        self.script.blocks.extend((0..25).map(|_| Vec::new()));
        let solid = self.chain.solid().height;
        let end = match reading {
            Reading::Blocks => self.chain.tip().height,
            Reading::Accounts => solid,
        };
        let (mut looks, mut fails) = (0, 0);
        while self.follower.cursor.last().is_none_or(|last| last.id != at(&self.chain, end))
            || self.follower.cursor.finalized != Some(at(&self.chain, solid))
        {
            looks += 1;
            let Err(error) = self.look(reading).await else {
                assert!(looks < 300, "it does not get to the end");
                continue;
            };
            fails += 1;
            assert!(fails < 30, "calm nodes do not answer: {error}");
        }
        let mut next = 1;
        while next <= solid {
            next = self.rescan(next, solid).await.expect("calm nodes answer");
        }
        self.compare(solid, end);
    }

    fn compare(&self, solid: u64, end: u64) {
        let there = self.books.deposits().iter().filter(|d| d.state.is_on_chain());
        let row = |d: &Deposit| (d.block.height, d.id.tx, d.id.n, d.to, d.raw);
        let recorded: Vec<Row> = there.clone().map(|deposit| row(deposit)).collect();
        let once: BTreeSet<Row> = recorded.iter().copied().collect();
        assert_eq!(once.len(), recorded.len(), "a payment is recorded twice");
        let wanted = self.script.rows(&self.chain, end);
        let missing: Vec<_> = wanted.difference(&once).collect();
        let invented: Vec<_> = once.difference(&wanted).collect();
        assert!(missing.is_empty() && invented.is_empty(), "{missing:?} {invented:?}");
        let waits = |deposit: &&Arc<Deposit>| deposit.state == State::Pending;
        assert_eq!(there.filter(waits).count(), 0, "a payment waits although all is final");
        let chain = &self.follower.cursor.chain;
        for n in 1..10 {
            let rows = self.script.rows(&self.chain, solid);
            let held: u64 =
                rows.iter().filter(|row| row.3 == ours(n)).map(|r| r.4.to::<u64>()).sum();
            let of = Of::Custody(chain.clone(), ours(n));
            // What an address sends without having it waits, and is not booked.
            let booked = |o: &&Arc<Outflow>| o.from == ours(n) && o.state == OutflowState::Booked;
            let left = self.books.outflows().iter().filter(booked);
            let left: i128 = left.map(|outflow| i128::from(outflow.amount.micro())).sum();
            let custody = -self.books.net(&Asset::Usdt(chain.clone()), &of);
            assert_eq!(custody, i128::from(held) - left, "custody of {n}");
        }
    }
}

/// Some of each reading, in order.
async fn weather(readings: &[Reading], seeds: u64) {
    let asked = std::env::var("BURSAR_STORM_SEED").ok().and_then(|text| text.parse().ok());
    let seeds = asked.map_or(0..seeds, |seed: u64| seed..seed + 1);
    for seed in seeds {
        println!("BURSAR_STORM_SEED={seed}");
        let mut storm = Storm::new(seed).await;
        for _ in 0..120 {
            storm.step(readings).await;
        }
        let last = *storm.random.pick(readings);
        storm.calm(last).await;
    }
}

#[tokio::test]
async fn blocks_in_any_weather() {
    weather(&[Reading::Blocks], 30).await;
}

#[tokio::test]
async fn accounts_in_any_weather() {
    weather(&[Reading::Accounts], 30).await;
}

#[tokio::test]
async fn one_reading_takes_over_from_the_other_in_any_weather() {
    weather(&[Reading::Blocks, Reading::Accounts], 30).await;
}
