//! What can happen: blocks, reorgs, looks of a watcher, requests of a shop, two daemons at once.
//!
//! In: a seed. Out: one step after another, through the real `plan` and the books in memory.
//! Never: a step whose outcome the reference cannot foretell.
//! Why: the shortest list of things that go wrong is the list of things that happen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::address::Address;
use payments::amount::Usdt;
use payments::chain::Scan;
use payments::changes::{
    Bounds, ChainRules, Changes, Finality, FinalityRule, Rules, Snapshot, Update,
};
use payments::deposit::{Deposit, State};
use payments::name::{ChainName, CustomerId, OrderId};
use payments::order::Order;
use payments::time::Time;
use payments::{PlanError, plan};

use crate::assertions::Seal;
use crate::invariants::{Decided, Past, Written};
use crate::memory::{Memory, Refused, changes_text};
use crate::mutations::{Act, Mutation};
use crate::nature::{TOKEN, TREASURY, address, finality};
use crate::random::Random;
use crate::reference::{Chain, Habit, wide};
use crate::sums::Sums;

/// Orders of a shop that sells all the time.
const MOST_ORDERS: usize = 1000;
/// Orders of one that has few customers, who pay again and again.
const FEW_ORDERS: usize = 10;

/// After how many steps all of the books is looked at.
pub(crate) const WHOLE: u64 = 50;

/// What is looked at after a step.
#[derive(Clone, Copy)]
pub(crate) enum Gaze {
    /// What the step changed, and after so many steps everything.
    Every(u64),
    /// What the step changed, and nothing else.
    Steps,
    /// Everything after every step, by this one invariant.
    Only(&'static str),
}

impl Gaze {
    /// Whether nothing rests on an earlier look.
    pub(crate) const fn is_always_whole(self) -> bool {
        matches!(self, Self::Every(1))
    }
}

/// A history on its way.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) rules: Rules,
    pub(crate) memory: Memory,
    pub(crate) chains: Vec<Chain>,
    /// Orders as they were made, by the reference's own count.
    pub(crate) orders: BTreeMap<OrderId, Order>,
    most_orders: usize,
    pub(crate) pool: BTreeSet<Address>,
    pub(crate) now: i64,
    pub(crate) seal: Seal,
    /// The history's number.
    pub(crate) seed: u64,
    pub(crate) customers: BTreeSet<CustomerId>,
    /// How many events the commits said they wrote.
    pub(crate) told_through: usize,
    /// The books when all of them was last looked at.
    pub(crate) written: Written,
    /// What was summed up then.
    pub(crate) sums: Sums,
    /// What the rules credited by chain, and when, since a person last let it go on.
    pub(crate) credited: BTreeMap<ChainName, Vec<(i64, i128)>>,
    /// The first credit beyond a ceiling.
    pub(crate) overshot: Option<String>,
    pub(crate) past: Past,
    /// When all of the books is looked at, and not what a step changed alone.
    pub(crate) gaze: Gaze,
    /// The first so many steps are each followed by a look at everything.
    pub(crate) attentive: u64,
    steps: u64,
    /// Scans of an earlier moment.
    pub(crate) stale: Vec<Scan>,
    pub(crate) transactions: u64,
    pub(crate) mutation: Option<Mutation>,
    /// Whether people decide about cases.
    pub(crate) decides: bool,
    /// Whether what was final is lost now and then.
    pub(crate) loses: bool,
    /// What happened that the books alone do not show.
    pub(crate) marks: BTreeSet<&'static str>,
    /// How often the mutation found something to break.
    pub(crate) mutated: u32,
    /// What happened, in words, where it is asked for.
    pub(crate) trace: Option<Vec<String>>,
    /// Every update and when it was recorded, where it is asked for.
    pub(crate) diary: Option<Vec<(Update, Time)>>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let all = [
            ("ethereum", 6, Habit::Ethereum),
            ("tron", 6, Habit::Tron),
            ("bsc", 18, Habit::Ethereum),
        ];
        let two_person_above = Usdt::from_micro(40_000_000).filter(|_| seed.is_multiple_of(2));
        let names = if random.chance(60) { &all[..2] } else { &all[..] };
        let (mut rules, mut chains) = (Rules::new(), Vec::new());
        for (name, decimals, habit) in names {
            let chain = Chain::new(name, *habit, 1_000_000);
            let solidified = *habit == Habit::Tron && random.chance(70);
            let finality = if solidified {
                vec![FinalityRule { up_to: None, finality: Finality::Finalized }]
            } else {
                finality(&mut random)
            };
            let (decimals, max_reorg) = (*decimals, habit.bound());
            // Which of too many are recorded depends on how they are batched.
            let most = u32::MAX;
            let (others_per_order, others_per_hour, hourly_credits) = (most, most, None);
            let silent_after = None;
            let bounds = Bounds {
                hourly_credits,
                others_per_order,
                others_per_hour,
                silent_after,
                two_person_above,
            };
            let (token, treasury) = (TOKEN, vec![TREASURY]);
            let of_chain = ChainRules { token, decimals, max_reorg, finality, treasury, bounds };
            rules.insert(chain.name.clone(), of_chain);
            chains.push(chain);
        }
        let most_orders = if random.chance(3) { FEW_ORDERS } else { MOST_ORDERS };
        let pool: BTreeSet<Address> = (0..3).map(|n| address("pool", n)).collect();
        let mut memory = Memory::new();
        memory.import(&pool.iter().copied().collect::<Vec<_>>());
        Self {
            random,
            rules,
            seed,
            customers: BTreeSet::new(),
            told_through: 0,
            written: Written::default(),
            sums: Sums::default(),
            credited: BTreeMap::new(),
            overshot: None,
            past: Past::from(memory.clone()),
            gaze: Gaze::Every(WHOLE),
            attentive: 0,
            steps: 0,
            memory,
            chains,
            orders: BTreeMap::new(),
            most_orders,
            pool,
            now: 1_000_000,
            seal: Seal::default(),
            stale: Vec::new(),
            transactions: 0,
            mutation: None,
            decides: true,
            loses: false,
            mutated: 0,
            marks: BTreeSet::new(),
            trace: None,
            diary: None,
        }
    }

    /// One step, and everything that must hold after it.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        let at = self.random.place(self.chains.len());
        if self.loses && self.is_lost(at) && self.random.chance(30) {
            return self.rescue(at);
        }
        match self.random.below(100) {
            0..30 => {
                self.mine(at);
                if self.chains[at].habit == Habit::Tron {
                    for _ in 0..self.random.below(3) {
                        self.mine(at);
                    }
                }
                Ok(())
            }
            30..58 => self.happen(at),
            58..70 => {
                self.finalize(at);
                self.happen(at)
            }
            70..75 => {
                let tron = self.chains[at].habit == Habit::Tron;
                match self.random.below(3) {
                    0 if tron => self.restart(at),
                    1 if tron => self.remember(at),
                    _ if self.loses && self.random.chance(10) => self.lose(at),
                    _ => self.fork(at),
                }
                self.happen(at)
            }
            75..83 => self.two_at_once(),
            83..85 => self.start_again(),
            85..88 => self.lie(at),
            88..92 if self.decides => {
                let update = self.decision();
                update.map_or(Ok(()), |update| self.apply(&update))
            }
            _ => {
                let update = self.request(at);
                self.apply(&update)
            }
        }
    }

    /// The watcher looks at a chain.
    fn happen(&mut self, at: usize) -> Result<(), String> {
        let update = self.look(at);
        self.apply(&update)
    }

    /// Everything calms down: all is resumed, read, read again and final. Nothing may be left
    /// waiting, and another look finds nothing.
    pub(crate) fn calm_down(&mut self) -> Result<(), String> {
        let mutation = self.mutation.take();
        // What no hour lets pass, a person lets pass by a higher ceiling.
        self.run_again()?;
        self.cap(None);
        for at in 0..self.chains.len() {
            while self.is_lost(at) {
                self.rescue(at)?;
            }
            let chain = self.chains[at].name.clone();
            let (by, why) = ("maria".to_owned(), "so".to_owned());
            self.apply(&Update::Resume { chain: chain.clone(), by, why })?;
            self.mine(at);
            let truth = &mut self.chains[at];
            // Long after every expiry.
            let top = truth.add(truth.tip(), 100_000, Vec::new(), &[]);
            truth.end_with(top);
            truth.finalized = truth.height(top);
            let scan = self.scan_of(at, None);
            self.apply(&Update::Scan(scan))?;
            let truth = &self.chains[at];
            if truth.path.last() != truth.truth.last() {
                return Err("the chain was not read to its end".to_owned());
            }
            let blocks = truth.path.iter().map(|at| &truth.blocks[*at]);
            let transfers = blocks.clone().flat_map(|block| &block.transfers).cloned().collect();
            let notices = blocks.flat_map(|block| &block.notices).cloned().collect();
            let (name, all) = (chain.clone(), Update::Rescan { chain, transfers, notices });
            self.apply(&all)?;
            if self.chains[at].paused {
                // What was left out until then says that another contract goes on.
                let (by, why) = ("maria".to_owned(), "so".to_owned());
                self.apply(&Update::Resume { chain: name, by, why })?;
                self.apply(&all)?;
            }
            for _ in 0..2 {
                let mut scan = self.scan_of(at, None);
                scan.finalized = Some(self.chains[at].id(self.chains[at].tip()));
                let again = Update::Scan(scan);
                self.apply(&again)?;
                let snapshot = self.memory.snapshot(&again);
                let planned = plan(&self.rules, &snapshot, &again, Time(self.now));
                if planned.is_ok_and(|changes| !changes.is_empty()) {
                    return Err("another look found something".to_owned());
                }
            }
        }
        self.check_custody()?;
        let waits = |deposit: &&Arc<Deposit>| deposit.state == State::Pending;
        if let Some(deposit) = self.memory.deposits().iter().find(waits) {
            return Err(format!("deposit {} waits for ever", deposit.id));
        }
        self.mutation = mutation;
        match self.gaze {
            Gaze::Every(_) => self.look_at_all(None, true),
            Gaze::Steps => Ok(()),
            Gaze::Only(name) => self.look_at_all(Some(name), true),
        }
    }

    /// Remembers, decides, writes, and checks.
    pub(crate) fn apply(&mut self, update: &Update) -> Result<(), String> {
        self.now += 1;
        let snapshot = self.memory.snapshot(update);
        if let Some(diary) = &mut self.diary {
            diary.push((update.clone(), Time(self.now)));
        }
        let planned = plan(&self.rules, &snapshot, update, Time(self.now));
        let planned = self.otherwise(planned, &snapshot, update);
        let planned = self.mutate(planned);
        self.note(update, &planned);
        self.foretold(update, &planned)?;
        let Ok(changes) = planned else { return Ok(()) };
        let decided = Decided::Now(update.clone(), Time(self.now));
        let wrote = self.commit(update, &changes, decided);
        wrote.map_err(|refused| format!("the books refuse {refused:?}"))?;
        self.spoil();
        self.check(update, &changes)
    }

    /// The same by broken terms, where a mutation breaks them.
    fn otherwise(
        &mut self,
        planned: Result<Changes, PlanError>,
        snapshot: &Snapshot,
        update: &Update,
    ) -> Result<Changes, PlanError> {
        let Some(Act::Terms(act)) = self.mutation.map(|mutation| mutation.act) else {
            return planned;
        };
        let mut rules = self.rules.clone();
        act(&mut rules);
        let other = plan(&rules, snapshot, update, Time(self.now));
        self.mutated += u32::from(other != planned);
        other
    }

    fn mutate(&mut self, planned: Result<Changes, PlanError>) -> Result<Changes, PlanError> {
        let mut changes = planned?;
        if let Some(Act::Plan(act)) = self.mutation.map(|mutation| mutation.act)
            && self.random.chance(30)
            && act(&mut changes, &self.memory, &mut self.random)
        {
            self.mutated += 1;
        }
        Ok(changes)
    }

    fn spoil(&mut self) {
        if let Some(Act::Books(act)) = self.mutation.map(|mutation| mutation.act)
            && self.random.chance(5)
            && act(&mut self.memory, &mut self.random)
        {
            self.mutated += 1;
        }
    }

    /// What holds after every step, as `gaze` says.
    pub(crate) fn check(&mut self, update: &Update, changes: &Changes) -> Result<(), String> {
        self.steps += 1;
        match self.gaze {
            Gaze::Only(name) => self.look_at_all(Some(name), false),
            Gaze::Steps => self.check_news(update, changes),
            Gaze::Every(steps) => {
                self.check_news(update, changes)?;
                if self.steps <= self.attentive || self.steps.is_multiple_of(steps) {
                    self.look_at_all(None, false)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Writes what was planned, and lets the reference follow.
    pub(crate) fn commit(
        &mut self,
        update: &Update,
        changes: &Changes,
        decided: Decided,
    ) -> Result<(), Refused> {
        let joined = match update {
            Update::Scan(scan) => self.chain(&scan.chain).join(scan),
            _ => None,
        };
        let committed = self.memory.commit(changes)?;
        if committed.events.start == wide(self.told_through) {
            self.told_through = usize::try_from(committed.events.end).unwrap();
        }
        if !changes.is_empty() || changes.empty_transfers > 0 {
            self.past.steps.push(decided);
        }
        self.count_credits(update, changes);
        match update {
            Update::Scan(scan) => {
                if let Some(joined) = joined {
                    let notices = self.concerning(&scan.notices);
                    let (chain, rules) = self.chain_and_rules(&scan.chain);
                    chain.adopt(joined, scan, notices, rules);
                }
            }
            Update::Rescan { chain, transfers, notices } => {
                let notices = self.concerning(notices);
                let (chain, rules) = self.chain_and_rules(chain);
                chain.hear(notices, chain.known_final);
                chain.feed(transfers, rules);
            }
            Update::Asked { chain, answers } => {
                if self.chain_mut(chain).answer(answers) {
                    self.marks.insert("the contract says what no log said");
                }
            }
            Update::Create(order) => {
                self.customers.insert(order.customer.clone());
                self.orders.entry(order.id.clone()).or_insert_with(|| order.clone());
            }
            Update::Cancel(_)
            | Update::Resolve { .. }
            | Update::Withdraw { .. }
            | Update::Refund { .. }
            | Update::ReconcileFailed { .. } => {}
            Update::Adopt(adoption) => {
                let (chain, rules) = self.chain_and_rules(&adoption.chain);
                chain.give_up(adoption, rules);
            }
            Update::Stall { chain, .. } => self.chain_mut(chain).stalled = true,
            Update::Pause { chain, .. } => self.chain_mut(chain).paused = true,
            Update::Resume { chain, .. } => self.chain_mut(chain).paused = false,
        }
        self.follow_ceiling(changes);
        Ok(())
    }

    /// Whether a plan was to be expected, and a refusal where one was.
    pub(crate) fn foretold(
        &self,
        update: &Update,
        planned: &Result<Changes, PlanError>,
    ) -> Result<(), String> {
        if let Gaze::Only(_) = self.gaze {
            return Ok(());
        }
        let accepted = match update {
            Update::Scan(scan) => self.chain(&scan.chain).join(scan).is_some(),
            Update::Rescan { chain, transfers, notices } => {
                let chain = self.chain(chain);
                let notices = notices.iter().map(|notice| notice.block);
                let mut blocks = transfers.iter().map(|t| t.block).chain(notices);
                blocks.all(|of| chain.find(&of.hash).is_some_and(|at| chain.is_recorded(at)))
            }
            Update::Asked { chain, answers } => self.chain(chain).may_hold(answers.block),
            Update::Cancel(order) => {
                self.memory.dossier(order).is_some_and(|dossier| dossier.paid.is_none())
            }
            Update::Resolve { .. } | Update::Withdraw { .. } | Update::Refund { .. } => {
                return self.foretell_decision(update, planned);
            }
            Update::Adopt(adoption) => self.chain(&adoption.chain).may_adopt(adoption),
            Update::Create(_)
            | Update::Stall { .. }
            | Update::Pause { .. }
            | Update::Resume { .. }
            | Update::ReconcileFailed { .. } => true,
        };
        match planned {
            Ok(_) if !accepted => Err("a refusal was to be expected".to_owned()),
            Err(error) if accepted => Err(format!("refused: {error}")),
            _ => Ok(()),
        }
    }

    /// Something of any kind, for two daemons to do at once.
    pub(crate) fn some_update(&mut self) -> Update {
        let at = self.random.place(self.chains.len());
        if self.decides
            && self.random.chance(20)
            && let Some(update) = self.decision()
        {
            return update;
        }
        if self.random.chance(60) { self.look(at) } else { self.request(at) }
    }

    /// A shop, a person or an operator wants something.
    fn request(&mut self, at: usize) -> Update {
        let chain = self.chains[at].name.clone();
        let why = "so".to_owned();
        match self.random.below(20) {
            0..7 if self.orders.len() < self.most_orders => Update::Create(self.new_order()),
            7 if !self.orders.is_empty() => {
                let orders: Vec<&Order> = self.orders.values().collect();
                Update::Create((*self.random.pick(&orders)).clone())
            }
            8..11 if !self.orders.is_empty() => {
                let orders: Vec<&OrderId> = self.orders.keys().collect();
                Update::Cancel((*self.random.pick(&orders)).clone())
            }
            11..13 => Update::Pause { chain, why },
            13..15 => Update::Resume { chain, by: "maria".to_owned(), why },
            15 => Update::Stall { chain, why },
            16 | 17 if self.loses => self.question(at),
            _ => self.rescan(at),
        }
    }

    pub(crate) fn note(&mut self, update: &Update, planned: &Result<Changes, PlanError>) {
        let Some(trace) = &mut self.trace else { return };
        let what = match update {
            Update::Scan(scan) => {
                let heights: Vec<u64> = scan.blocks.iter().map(|header| header.id.height).collect();
                let claim = scan.finalized.map(|claim| claim.height);
                format!("scan {} {heights:?} final {claim:?} safe {:?}", scan.chain, scan.safe)
            }
            Update::Rescan { chain, transfers, .. } => {
                format!("rescan {chain}, {}", transfers.len())
            }
            other => format!("{other:?}"),
        };
        match planned {
            Ok(changes) if changes.is_empty() => trace.push(format!("{what}: nothing")),
            Ok(changes) => trace.push(format!("{what}:{}", changes_text(changes))),
            Err(error) => trace.push(format!("{what}: {error}")),
        }
    }
}
