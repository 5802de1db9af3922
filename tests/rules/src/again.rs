//! The rules run again over what was told: every order of every example, every deposit that no
//! order owns, and both altered since.
//!
//! In: the events of an example, each deposit as it was seen, what people did. Out: that they lead
//! to what is stored, and the first thing that somebody altered. Never: one of them left out.
//! Why: `bursar verify` believes this comparison, so it is shown to see.

mod held;
mod left;
mod people;

use std::collections::BTreeMap;

use payments::case::{Case, CaseId, CaseKind, Resolution, Step, StepKind};
use payments::changes::{Changes, Finality};
use payments::deposit::{Deposit, DepositId, State};
use payments::event::{Event, EventKind};
use payments::ledger::Journal;
use payments::name::OrderId;
use payments::order::{Dossier, Policy};
use payments::reconcile::Group;
use payments::replay::{Fact, What, left_difference, replay};
use payments::time::Time;
use payments::{PlanError, Update, plan};

use super::resolve::{of, refund};
use super::world::{World, address, id, pay, raw, usdt};

/// What a fact is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Order(OrderId),
    Nobodys(DepositId),
    /// A case about what left, whosever address it was.
    Left(CaseId),
}

/// The facts of every order, of every deposit that none owns and of every case about what left, in
/// the order of telling.
#[derive(Default)]
pub(super) struct Told {
    commits: u64,
    facts: Vec<(Of, Fact)>,
}

impl Told {
    /// Writes down what a commit told; `paused` says of a chain what it was before.
    pub(super) fn add(&mut self, changes: &Changes, paused: impl Fn(&Event) -> bool) {
        self.commits += 1;
        for event in &changes.events {
            let Some(chain) = &event.chain else { continue };
            let left = event.case.clone().filter(asks_about_an_outflow);
            let of = match (left, &event.order, &event.deposit) {
                (Some(case), ..) => Of::Left(case),
                (None, Some(order), _) => Of::Order(order.clone()),
                (None, None, Some(deposit)) => Of::Nobodys(deposit.clone()),
                (None, None, None) => continue,
            };
            let deposit = event.deposit.clone();
            let what = match event.kind {
                EventKind::DepositOrphaned => deposit.map(What::Orphaned),
                EventKind::DepositDetected => deposit.map(|id| What::Seen(seen(changes, &id))),
                EventKind::DepositConfirmed => deposit.map(What::Final),
                EventKind::OrderExpired => Some(What::Expired),
                EventKind::OrderCancelled => Some(What::Cancelled),
                _ => event.case.as_ref().and_then(|case| act(changes, case, event)),
            };
            let (commit, at, chain) = (self.commits, event.at, chain.clone());
            let paused = paused(event);
            if let Some(what) = what {
                let fact = Fact { commit, at, chain: chain.clone(), paused, what };
                self.facts.push((of, fact));
            }
        }
        self.brought(changes, &paused);
    }

    /// What a decision gave to an order is told where its case is.
    fn brought(&mut self, changes: &Changes, paused: impl Fn(&Event) -> bool) {
        let Some(case) = changes.recorded.iter().find_map(|d| d.assigned.clone()) else { return };
        let told = |event: &&Event| event.case.as_ref() == Some(&case);
        let event = changes.events.iter().find(told).unwrap();
        let deposits = changes.recorded.iter().filter(|d| d.assigned.as_ref() == Some(&case));
        let deposits: Vec<Deposit> = deposits.cloned().collect();
        let order = Of::Order(deposits[0].order.clone().unwrap());
        let what = What::Brought(case.clone(), deposits);
        let (commit, at, chain) = (self.commits, event.at, event.chain.clone().unwrap());
        self.facts.push((order, Fact { commit, at, chain, paused: paused(event), what }));
    }

    fn of(&self, order: &OrderId) -> Vec<Fact> {
        self.about(&Of::Order(order.clone()))
    }

    fn about(&self, what: &Of) -> Vec<Fact> {
        let facts = self.facts.iter().filter(|(of, _)| of == what);
        facts.map(|(_, fact)| fact.clone()).collect()
    }
}

fn seen(changes: &Changes, id: &DepositId) -> Box<Deposit> {
    let mut deposits = changes.recorded.iter().chain(&changes.moved);
    let found = deposits.find(|deposit| deposit.id == *id).unwrap();
    Box::new(Deposit { state: State::Pending, late: false, ..found.clone() })
}

fn asks_about_an_outflow(id: &CaseId) -> bool {
    id.kind().is_some_and(CaseKind::is_about_an_outflow)
}

/// What somebody did about a case; of one about what left, what opened it and what ended it too.
fn act(changes: &Changes, id: &CaseId, event: &Event) -> Option<What> {
    let case = changes.cases.iter().find(|case| case.id == *id)?;
    let left = asks_about_an_outflow(id);
    match event.kind {
        EventKind::CaseOpened => left.then(|| What::Asked(id.clone())),
        EventKind::CaseResolved => {
            let decision = case.decision.clone().unwrap();
            match decision.resolution {
                Resolution::Itself => left.then(|| What::Settled(id.clone(), decision.why)),
                _ => Some(What::Decided(id.clone(), decision)),
            }
        }
        EventKind::CaseProposed
        | EventKind::CaseWithdrawn
        | EventKind::RefundSent
        | EventKind::RefundFailed
        | EventKind::RefundVerified => {
            let step = case.steps.last().unwrap().clone();
            let height = event.data.iter().find(|(name, _)| *name == "height");
            let paid = changes.journals.iter().find(|journal| journal.key.starts_with("refund:"));
            let mined = height.zip(paid);
            let mined = mined.map(|((_, height), paid)| (height.parse().unwrap(), paid.effective));
            Some(What::Step(id.clone(), step, mined))
        }
        _ => None,
    }
}

/// Every example ends with this question.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for order in self.memory.orders() {
            let stored = self.memory.dossier(order).unwrap();
            self.leads_to((&**stored).into(), &self.told.of(order));
        }
        for stored in self.nobodys() {
            self.leads_to(stored.group(), &self.told.about(&Of::Nobodys(stored.0.id.clone())));
        }
        for case in self.memory.cases().iter().filter(|case| asks_about_an_outflow(&case.id)) {
            let cases = [Case { order: None, ..(**case).clone() }];
            let (deposits, journals) = ([].as_slice(), [].as_slice());
            let stored = Group { order: None, deposits, cases: &cases, journals };
            self.leads_to(stored, &self.told.about(&Of::Left(case.id.clone())));
        }
        let journals = self.memory.journals().iter();
        let journals = journals.map(|journal| (journal.key.clone(), (**journal).clone())).collect();
        for outflow in self.memory.outflows() {
            assert_eq!(left_difference(outflow, &journals), None);
        }
    }
}

impl World {
    fn leads_to(&self, stored: Group<'_>, facts: &[Fact]) {
        let replayed = replay(stored, facts, true).unwrap();
        assert_eq!(replayed.difference, None, "{facts:#?}");
        for given in replayed.given {
            let taken = &self.memory.dossier(&given.to).unwrap().deposits;
            let taken = taken.iter().filter(|d| d.assigned.as_ref() == Some(&given.case));
            let taken: BTreeMap<_, _> = taken.map(|d| (d.id.clone(), d.amount)).collect();
            assert_eq!(taken, given.deposits.into_iter().collect());
        }
    }

    /// Every deposit that no order owns.
    fn nobodys(&self) -> Vec<Nobodys> {
        let deposits = self.memory.deposits().iter().filter(|deposit| deposit.order.is_none());
        let each = deposits.map(|deposit| {
            let id = &deposit.id;
            let cases = self.memory.cases().iter();
            let cases = cases.filter(|case| case.order.is_none() && case.deposits.contains(id));
            let journals = self.memory.journals().iter();
            let journals =
                journals.filter(|of| of.order.is_none() && of.deposit.as_ref() == Some(id));
            Nobodys(
                (**deposit).clone(),
                cases.map(|case| (**case).clone()).collect(),
                journals.map(|journal| (**journal).clone()).collect(),
            )
        });
        each.collect()
    }
}

/// A deposit that no order owns, its cases and its journals.
#[derive(Clone)]
struct Nobodys(Deposit, Vec<Case>, Vec<Journal>);

impl Nobodys {
    fn group(&self) -> Group<'_> {
        let Self(deposit, cases, journals) = self;
        Group { order: None, deposits: std::slice::from_ref(deposit), cases, journals }
    }
}

fn differs(stored: &Dossier, facts: &[Fact]) -> Result<Option<String>, PlanError> {
    replay(stored.into(), facts, false).map(|replayed| replayed.difference)
}

#[test]
fn whatever_is_altered_is_named() {
    type Change = fn(&mut Dossier);
    let changes: [(&str, Change); 14] = [
        ("order A: paid, expired or cancelled", |order| order.paid = Some(Time(1))),
        ("order A: paid, expired or cancelled", |order| order.expired = Some(Time(1))),
        ("order A: paid, expired or cancelled", |order| order.cancelled = Some(Time(1))),
        ("its facts lead to another state", |order| order.deposits[1].state = State::Credited),
        ("its facts lead to another state", |order| order.deposits[0].late = true),
        ("order A: 1 deposits, 2 were seen", |order| drop(order.deposits.pop())),
        ("its facts open it, and it is not there", |order| drop(order.cases.pop())),
        ("case late:nothing: its facts lead to another one, or none", |order| {
            let case = order.cases[0].clone();
            order.cases.push(Case { id: CaseId("late:nothing".to_owned()), ..case });
        }),
        ("its facts lead to another one, or none", |order| order.cases[0].opened_at = Time(1)),
        ("journal paid:A: its facts lead to another one, or none", |order| {
            let paid = order.journals.iter_mut().find(|journal| journal.key == "paid:A");
            paid.unwrap().remainder = 1;
        }),
        ("case duplicate:", |order| {
            let (by, why, at) = ("ann".to_owned(), String::new(), Time(1));
            order.cases[0].steps.push(Step { kind: StepKind::Withdrawn, by, why, at });
        }),
        ("journal resolve:late:nothing: its facts lead to another one, or none", |order| {
            let mut journal = order.journals[0].clone();
            journal.key = "resolve:late:nothing".to_owned();
            order.journals.push(journal);
        }),
        ("journal deposit:", |order| order.journals.retain(|of| !of.key.starts_with("deposit:"))),
        ("journal reverse:paid:A: its facts lead to another one, or none", |order| {
            let paid = order.journals.iter().find(|journal| journal.key == "paid:A");
            let undone = paid.unwrap().reversed(Time(1));
            order.journals.push(undone);
        }),
    ];
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t2", "A", "7")]);
    let facts = world.told.of(&id("A"));
    let stored = Dossier::clone(world.memory.dossier(&id("A")).unwrap());
    assert_eq!(differs(&stored, &facts), Ok(None));
    for (words, change) in changes {
        let mut altered = stored.clone();
        change(&mut altered);
        let found = differs(&altered, &facts).unwrap().unwrap_or_default();
        assert!(found.contains(words), "{words}: {found:?}");
    }
    // What left its address has cases of a group of their own.
    let mut more = stored.clone();
    let case = more.cases[0].clone();
    more.cases.push(Case { kind: CaseKind::UnexplainedOutflow, ..case });
    assert_eq!(differs(&more, &facts), Ok(None));
}

#[test]
fn facts_that_were_not_told_are_missed() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.apply(&Update::Cancel(id("A"))).unwrap();
    let facts = world.told.of(&id("A"));
    let stored = Dossier::clone(world.memory.dossier(&id("A")).unwrap());
    assert_eq!(differs(&stored, &facts), Ok(None));
    for at in 0..facts.len() {
        let mut fewer = facts.clone();
        let left = fewer.remove(at);
        let found = differs(&stored, &fewer);
        assert_ne!(found, Ok(None), "{left:?}");
    }
}

#[test]
fn what_one_look_takes_back_is_taken_back_together() {
    let mut world = World::new();
    world.finality("ethereum", &[(None, Finality::Confirmations(2))]);
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.fork("ethereum", 0);
    for pays in [vec![pay("t2", "A", "100")], vec![pay("t1", "A", "60")], vec![]] {
        world.mine("ethereum", &pays);
    }
    // The first one told is the higher one. Alone it would leave what covers the order.
    world.fork("ethereum", 0);
    world.mine("ethereum", &[]);
    let facts = world.told.of(&id("A"));
    let stored = world.memory.dossier(&id("A")).unwrap();
    assert_eq!(differs(stored, &facts), Ok(None));
}

#[test]
fn a_look_and_a_cancelling_written_together_are_two() {
    let mut world = World::new();
    world.order("A", |order| order.terms.underpaid = Policy::Credit);
    world.mine_unseen("ethereum", 20, &[pay("t1", "A", "60")]);
    for update in [Update::Scan(world.look("ethereum")), Update::Cancel(id("A"))] {
        let snapshot = world.memory.snapshot(&update);
        let changes = plan(&world.rules, &snapshot, &update, Time(50_000)).unwrap();
        world.commit(&changes);
    }
    let together = world.told.of(&id("A")).into_iter().map(|fact| Fact { commit: 1, ..fact });
    let stored = world.memory.dossier(&id("A")).unwrap();
    assert!(stored.paid.is_some() && stored.cancelled.is_some());
    assert_eq!(differs(stored, &together.collect::<Vec<_>>()), Ok(None));
}

/// 5 nobody asked for, taken back, mined again, refunded as two people agree, and sent.
fn refunded() -> (Nobodys, Vec<Fact>) {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "4")]);
    world.fork("ethereum", 0);
    world.mine("ethereum", &[pay("t1", "pool", "5")]);
    world.mine("ethereum", &[]);
    world.mine("ethereum", &[]);
    world.all_final("ethereum");
    let case = CaseId(format!("{}#2", of("unassigned", "ethereum", "t1")));
    for by in ["ann", "bob"] {
        world.says(by, &case, refund("back", "0.80")).unwrap();
    }
    world.sent(&case, "t3").unwrap();
    world.seen(&case, ("t3", 3), |mined| mined.transfers[0].raw = raw("4.20")).unwrap();
    let stored = world.nobodys().remove(0);
    assert_eq!(stored.0.state, State::Refunded);
    let facts = world.told.about(&Of::Nobodys(stored.0.id.clone()));
    (stored, facts)
}

#[test]
fn whatever_is_altered_of_what_is_nobodys_is_named() {
    type Change = fn(&mut Nobodys);
    let changes: [(&str, Change); 13] = [
        ("its facts lead to another state", |of| of.0.state = State::Refunding),
        ("its facts lead to another state", |of| of.0.state = State::Orphaned),
        ("its facts lead to another state", |of| of.0.late = true),
        ("its facts lead to another state", |of| of.0.amount = usdt("5.1")),
        ("case unassigned:ethereum:", |of| of.1[1].decision.as_mut().unwrap().by = "eve".into()),
        ("case unassigned:ethereum:", |of| drop(of.1[1].steps.pop())),
        ("case unassigned:ethereum:", |of| of.1[1].amount = usdt("6")),
        ("case unassigned:ethereum:", |of| of.1[0].decision = None),
        ("its facts open it, and it is not there", |of| drop(of.1.remove(0))),
        ("journal deposit:ethereum:", |of| of.2[0].entries[0].amount += 1),
        ("journal refund:unassigned:", |of| of.2.retain(|of| !of.key.starts_with("refund:"))),
        ("journal resolve:unassigned:", |of| {
            let decided = of.2.iter_mut().find(|of| of.key.starts_with("resolve:")).unwrap();
            decided.entries[1].credit = decided.entries[0].credit.clone();
        }),
        ("journal reverse:resolve:", |of| {
            let decided = of.2.iter().find(|of| of.key.starts_with("resolve:")).unwrap();
            of.2.push(decided.reversed(Time(1)));
        }),
    ];
    let (stored, facts) = refunded();
    let found = |stored: &Nobodys| replay(stored.group(), &facts, false).unwrap().difference;
    assert_eq!(found(&stored), None);
    for (words, change) in changes {
        let mut altered = stored.clone();
        change(&mut altered);
        let found = found(&altered).unwrap_or_default();
        assert!(found.contains(words), "{words}: {found:?}");
    }
    // Left out, no fact makes the deposit what it is, but for what was proposed and taken back.
    for at in 0..facts.len() {
        let mut fewer = facts.clone();
        let left = fewer.remove(at);
        let found = replay(stored.group(), &fewer, false).map(|replayed| replayed.difference);
        assert_ne!(found, Ok(None), "{left:?}");
    }
}

/// What left nobody's address twice made two cases.
#[test]
fn cases_about_what_left_are_run_again_together() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "30")]);
    for hash in ["t2", "t3"] {
        world.mine("ethereum", &[pay(hash, "thief", "10").from("pool")]);
    }
    world.all_final("ethereum");
    let cases = world.memory.cases().iter().filter(|case| asks_about_an_outflow(&case.id));
    let cases: Vec<Case> = cases.map(|case| (**case).clone()).collect();
    let facts = cases.iter().flat_map(|case| world.told.about(&Of::Left(case.id.clone())));
    let facts: Vec<Fact> = facts.collect();
    let found = |cases: &[Case]| {
        let stored = Group { order: None, deposits: &[], cases, journals: &[] };
        replay(stored, &facts, false).unwrap().difference
    };
    assert_eq!((cases.len(), found(&cases)), (2, None));
    assert!(found(&cases[..1]).unwrap().contains("its facts open it, and it is not there"));
}
