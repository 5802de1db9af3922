//! The rules, run again over what is recorded of one order, or of one deposit that no order owns.
//!
//! In: the group as it is stored, and the facts that were told of it. Out: where they part.
//! Never: a verdict taken from the books; they give what was seen, when it was final and what
//! people did, no more. Why: a state that no fact leads to was not written by these rules.

mod difference;
mod left;
mod people;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::address::Address;
use crate::amount::Usdt;
use crate::case::{CaseId, Decision, Step};
use crate::chain::{BlockHash, BlockId, Cursor, Header};
use crate::changes::{Bounds, ChainRules, Snapshot};
use crate::deposit::{Deposit, DepositId};
use crate::desk::Desk;
use crate::name::{ChainName, OrderId};
use crate::order::Dossier;
use crate::plan::PlanError;
use crate::reconcile::Group;
use crate::time::Time;
use crate::view::View;

use difference::difference;
pub use left::{keys_of, left_difference, outflow_of};

/// What an event says that the rules cannot know by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A deposit's block was taken back.
    Orphaned(DepositId),
    /// A deposit was seen, as it was then.
    Seen(Box<Deposit>),
    /// A deposit was found final.
    Final(DepositId),
    /// A final block was past the order's time.
    Expired,
    /// The shop took the order back.
    Cancelled,
    /// A person decided about a case.
    Decided(CaseId, Decision),
    /// A person proposed a decision about a case or took that back, or its refund got further; with
    /// the height and the time of the block that paid it, where one did.
    Step(CaseId, Step, Option<(u64, Time)>),
    /// What left made a case of its own.
    Asked(CaseId),
    /// A later fact settled such a case: why.
    Settled(CaseId, String),
    /// A decision about a case of another order, or of nobody, brought these deposits, each with
    /// what was held of it.
    Brought(CaseId, Vec<Deposit>),
}

/// What a decision about a case gave to another order, of each deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The case.
    pub case: CaseId,
    /// The other order.
    pub to: OrderId,
    /// The deposits, with what was held of each.
    pub deposits: Vec<(DepositId, Usdt)>,
}

/// What became of running the rules again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// What is stored and its facts do not lead to, or the other way round; none where both
    /// agree.
    pub difference: Option<String>,
    /// What its decisions gave to other orders.
    pub given: Vec<Given>,
}

/// A fact about an order, or about a deposit that no order owns, in the order of telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What names its commit; facts of one commit have the same.
    pub commit: u64,
    /// When it was recorded.
    pub at: Time,
    /// The chain that was looked at.
    pub chain: ChainName,
    /// Whether crediting on it was paused.
    pub paused: bool,
    /// What happened.
    pub what: What,
}

impl Fact {
    /// The order in which one plan comes to its facts.
    const fn stage(&self) -> u8 {
        match self.what {
            What::Orphaned(_) => 0,
            What::Seen(_) => 1,
            What::Final(_) | What::Expired => 2,
            What::Cancelled
            | What::Decided(..)
            | What::Step(..)
            | What::Brought(..)
            | What::Asked(_)
            | What::Settled(..) => 3,
        }
    }

    /// Whether `next` may be of the plan that this one was the last fact of.
    fn goes_on(&self, next: &Self) -> bool {
        (self.commit, self.at, &self.chain) == (next.commit, next.at, &next.chain)
            && self.stage() <= next.stage()
            && next.stage() < 3
    }
}

/// A block above every other, so that confirmations can be asked for in heights.
const LAST: u64 = 1 << 62;

/// How it is known whether a pause, or the ceiling of an hour, held crediting up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crediting {
    /// By what was told of pauses until then.
    Told,
    /// By whether something was credited at that moment.
    Shown,
}

/// Runs the rules again over the facts of an order, or of one deposit that no order owns, or of
/// cases about what left addresses, which are nobody's here.
/// `was_paused` says that its chain ever was: a pause that fell into the very commit is told beside
/// what it held up. Of a cancelling nothing tells whether an hour's ceiling held crediting up.
///
/// # Errors
/// Where the rules refuse the facts.
pub fn replay(stored: Group<'_>, facts: &[Fact], was_paused: bool) -> Result<Replayed, PlanError> {
    let told = run(stored, facts, Crediting::Told);
    let is_open = was_paused || facts.iter().any(|fact| fact.what == What::Cancelled);
    if !is_open || matches!(&told, Ok(replayed) if replayed.difference.is_none()) {
        return told;
    }
    match run(stored, facts, Crediting::Shown) {
        Ok(shown) if shown.difference.is_none() => Ok(shown),
        _ => told,
    }
}

fn run(stored: Group<'_>, facts: &[Fact], known: Crediting) -> Result<Replayed, PlanError> {
    let (books, given) = again(stored, facts, known)?;
    Ok(Replayed { difference: difference(stored, group_of(&books)), given })
}

/// What is made of facts alone, and what it gave to orders.
fn again(
    stored: Group<'_>,
    facts: &[Fact],
    known: Crediting,
) -> Result<(Snapshot, Vec<Given>), PlanError> {
    let mut books = Snapshot::default();
    if let Some(order) = stored.order.map(|dossier| &dossier.order) {
        books.dossiers.insert(order.id.clone(), Arc::new(Dossier::new(order.clone())));
    }
    let mut given = Vec::new();
    let mut rest = facts;
    while let Some(first) = rest.first() {
        let pairs = rest.iter().zip(rest.iter().skip(1));
        let length = pairs.take_while(|(one, next)| one.goes_on(next)).count().saturating_add(1);
        let (group, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let crediting = match known {
            Crediting::Told => !first.paused,
            Crediting::Shown => stored
                .journals
                .iter()
                .any(|journal| journal.recorded == first.at && journal.key.starts_with("paid:")),
        };
        let mut desk = Desk::new(&books, first.at);
        match first.stage() {
            3 => given.extend(people::act(&books, &mut desk, first, crediting)?),
            _ => look(&group_of(&books), &mut desk, group, crediting)?,
        }
        books = kept(desk);
        rest = after;
    }
    Ok((books, given))
}

/// The one order, or all that nobody owns.
fn group_of(books: &Snapshot) -> Group<'_> {
    match books.dossiers.values().next() {
        Some(dossier) => Group::from(&**dossier),
        None => Group {
            order: None,
            deposits: &books.unassigned,
            cases: &books.unassigned_cases,
            journals: &books.unassigned_journals,
        },
    }
}

/// What is left on a desk, to go on from.
fn kept(desk: Desk) -> Snapshot {
    let dossiers = desk.works.into_iter().map(|(id, work)| (id, work.dossier.into_shared()));
    let (unassigned, unassigned_cases, unassigned_journals) = desk.loose.into_kept();
    Snapshot {
        dossiers: dossiers.collect(),
        unassigned,
        unassigned_cases,
        unassigned_journals,
        ..Snapshot::default()
    }
}

/// What one look at a chain does.
fn look(
    before: &Group<'_>,
    desk: &mut Desk,
    group: &[Fact],
    crediting: bool,
) -> Result<(), PlanError> {
    let Some(first) = group.first() else { return Ok(()) };
    let heights: BTreeMap<&DepositId, u64> =
        before.deposits.iter().map(|deposit| (&deposit.id, deposit.block.height)).collect();
    let fork = group.iter().filter_map(|fact| match &fact.what {
        What::Orphaned(deposit) => heights.get(deposit).copied(),
        _ => None,
    });
    if let Some(fork) = fork.min() {
        desk.each(|work| work.orphan_from(&first.chain, fork))?;
        desk.loose.orphan_from(&first.chain, fork);
    }
    for fact in group {
        if let What::Seen(deposit) = &fact.what {
            match before.order {
                Some(dossier) => desk.work(&dossier.order.id)?.observe(deposit)?,
                None => desk.loose.observe(deposit)?,
            }
        }
    }
    let rules = no_rules();
    let mut cursor = Cursor::new(first.chain.clone());
    let hash = BlockHash([0; 32]);
    let id_of_last = BlockId { height: LAST, hash };
    cursor.kept = vec![Header { id: id_of_last, parent: hash, time: first.at }];
    // On a paused chain nothing is judged, and nothing expires.
    let is_judged = |fact: &Fact| matches!(fact.what, What::Final(_) | What::Expired);
    let paused = !crediting && !group.iter().any(is_judged);
    cursor.paused = paused.then(String::new);
    let mut view = View::of_cursor(&rules, &cursor);
    let told = group.iter().filter_map(|fact| match &fact.what {
        What::Final(deposit) => Some(deposit.clone()),
        _ => None,
    });
    view.as_told(told.collect());
    let expired = group.iter().any(|fact| fact.what == What::Expired);
    let expiry = before.order.and_then(|dossier| dossier.order.expires_at);
    view.final_time = expiry.filter(|_| expired).map(|expiry| expiry.after(1));
    desk.each(|work| work.settle(&view))?;
    desk.loose.settle(&view);
    Ok(())
}

/// Rules that nothing here is judged by: what is final was told.
fn no_rules() -> ChainRules {
    ChainRules {
        token: Address::NOBODY,
        decimals: 6,
        max_reorg: LAST,
        treasury: Vec::new(),
        bounds: Bounds::default(),
        finality: Vec::new(),
    }
}
