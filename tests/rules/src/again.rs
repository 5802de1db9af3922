//! The rules run again over what was told: every order of every example, and orders altered since.
//!
//! In: the events of an example, each deposit as it was seen, what people did. Out: that they lead
//! to what is stored, and the first thing that somebody altered. Never: an order left out.
//! Why: `bursar verify` believes this comparison, so it is shown to see.

use payments::case::{Case, CaseId, CaseKind, Resolution, Step, StepKind};
use payments::changes::{Changes, Finality};
use payments::deposit::{Deposit, DepositId, State};
use payments::event::{Event, EventKind};
use payments::name::OrderId;
use payments::order::{Dossier, Policy};
use payments::replay::{Fact, What, replay};
use payments::time::Time;
use payments::{PlanError, Update, plan};

use super::world::{World, id, pay};

/// The facts of every order, in the order of telling.
#[derive(Default)]
pub(super) struct Told {
    commits: u64,
    facts: Vec<(OrderId, Fact)>,
}

impl Told {
    /// Writes down what a commit told of orders; `paused` says of a chain what it was before.
    pub(super) fn add(&mut self, changes: &Changes, paused: impl Fn(&Event) -> bool) {
        self.commits += 1;
        for event in &changes.events {
            let (Some(order), Some(chain)) = (&event.order, &event.chain) else { continue };
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
                self.facts.push((order.clone(), fact));
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
        let order = deposits[0].order.clone().unwrap();
        let what = What::Brought(case.clone(), deposits);
        let (commit, at, chain) = (self.commits, event.at, event.chain.clone().unwrap());
        self.facts.push((order, Fact { commit, at, chain, paused: paused(event), what }));
    }

    fn of(&self, order: &OrderId) -> Vec<Fact> {
        let facts = self.facts.iter().filter(|(of, _)| of == order);
        facts.map(|(_, fact)| fact.clone()).collect()
    }
}

fn seen(changes: &Changes, id: &DepositId) -> Box<Deposit> {
    let mut deposits = changes.recorded.iter().chain(&changes.moved);
    let found = deposits.find(|deposit| deposit.id == *id).unwrap();
    Box::new(Deposit { state: State::Pending, late: false, ..found.clone() })
}

/// What somebody did about a case, where it is about deposits.
fn act(changes: &Changes, id: &CaseId, event: &Event) -> Option<What> {
    let case = changes.cases.iter().find(|case| case.id == *id)?;
    if case.kind.is_about_an_outflow() {
        return None;
    }
    match event.kind {
        EventKind::CaseResolved => {
            let decision = case.decision.clone().unwrap();
            let by_itself = decision.resolution == Resolution::Itself;
            (!by_itself).then(|| What::Decided(id.clone(), decision))
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
            let facts = self.told.of(order);
            let replayed = replay(stored, &facts, true).unwrap();
            assert_eq!(replayed.difference, None, "{facts:#?}");
            for given in replayed.given {
                let taken = &self.memory.dossier(&given.to).unwrap().deposits;
                let taken = taken.iter().filter(|d| d.assigned.as_ref() == Some(&given.case));
                let taken: Vec<_> = taken.map(|d| (d.id.clone(), d.amount)).collect();
                assert_eq!(taken, given.deposits);
            }
        }
    }
}

fn differs(stored: &Dossier, facts: &[Fact]) -> Result<Option<String>, PlanError> {
    replay(stored, facts, false).map(|replayed| replayed.difference)
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
    // What left its address is another table's.
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
