//! The rules, run again over what is recorded of one order.
//!
//! In: an order as it is stored, and the facts that were told of it. Out: where they part.
//! Never: a verdict taken from the books; they give what was seen and when it was final, no more.
//! Why: a state that no fact leads to was not written by these rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::case::Case;
use crate::chain::{BlockHash, BlockId, Cursor, Header};
use crate::changes::{Bounds, ChainRules, Finality, FinalityRule, Snapshot};
use crate::deposit::{Deposit, DepositId, State};
use crate::desk::Desk;
use crate::ledger::Journal;
use crate::name::ChainName;
use crate::order::Dossier;
use crate::plan::{PlanError, View};
use crate::time::Time;

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
}

/// A fact about an order, in the order of telling.
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
            What::Cancelled => 3,
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

/// What the stored order has that its facts do not lead to, or the other way round; `None` where
/// both agree.
///
/// # Errors
/// Where the rules refuse the facts.
pub fn differs(stored: &Dossier, facts: &[Fact]) -> Result<Option<String>, PlanError> {
    Ok(difference(stored, &again(stored, facts)?))
}

/// The same up to a moment, before which nobody had decided anything: whether the journals that
/// were recorded until then are those that the facts until then lead to.
///
/// # Errors
/// Where the rules refuse the facts.
pub fn differs_before(
    stored: &Dossier,
    facts: &[Fact],
    end: Time,
) -> Result<Option<String>, PlanError> {
    let facts: Vec<Fact> = facts.iter().filter(|fact| fact.at < end).cloned().collect();
    let replayed = again(stored, &facts)?;
    let before = |journal: &&Journal| journal.recorded < end;
    Ok(other_journal(stored, &replayed, before))
}

/// An order by its facts alone.
fn again(stored: &Dossier, facts: &[Fact]) -> Result<Dossier, PlanError> {
    let mut dossier = Dossier::new(stored.order.clone());
    let mut rest = facts;
    while let Some(first) = rest.first() {
        let pairs = rest.iter().zip(rest.iter().skip(1));
        let length = pairs.take_while(|(one, next)| one.goes_on(next)).count().saturating_add(1);
        let (group, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        dossier = step(dossier, first, group)?;
        rest = after;
    }
    Ok(dossier)
}

/// What one plan makes of an order.
fn step(dossier: Dossier, first: &Fact, group: &[Fact]) -> Result<Dossier, PlanError> {
    let id = dossier.order.id.clone();
    let snapshot = Snapshot {
        dossiers: BTreeMap::from([(id.clone(), Arc::new(dossier))]),
        ..Snapshot::default()
    };
    let mut desk = Desk::new(&snapshot, first.at);
    if first.what == What::Cancelled {
        desk.work(&id)?.cancel(!first.paused)?;
        return Ok(Dossier::clone(&desk.work(&id)?.dossier));
    }
    let heights: BTreeMap<&DepositId, u64> = snapshot
        .dossiers
        .values()
        .flat_map(|dossier| &dossier.deposits)
        .map(|deposit| (&deposit.id, deposit.block.height))
        .collect();
    let fork = group.iter().filter_map(|fact| match &fact.what {
        What::Orphaned(deposit) => heights.get(deposit).copied(),
        _ => None,
    });
    if let Some(fork) = fork.min() {
        desk.work(&id)?.orphan_from(&first.chain, fork)?;
    }
    for fact in group {
        if let What::Seen(deposit) = &fact.what {
            desk.work(&id)?.observe(deposit)?;
        }
    }
    let rules = rules(&desk.work(&id)?.dossier, group);
    let mut cursor = Cursor::new(first.chain.clone());
    let hash = BlockHash([0; 32]);
    let id_of_last = BlockId { height: LAST, hash };
    cursor.kept = vec![Header { id: id_of_last, parent: hash, time: first.at }];
    cursor.paused = first.paused.then(String::new);
    // A deposit can be judged while its order's own chain is paused, but not on a paused chain.
    if group.iter().any(|fact| matches!(fact.what, What::Final(_))) {
        cursor.paused = None;
    }
    let mut view = View::of_cursor(&rules, &cursor);
    let expired = group.iter().any(|fact| fact.what == What::Expired);
    let expiry = desk.work(&id)?.dossier.order.expires_at;
    view.final_time = expiry.filter(|_| expired).map(|expiry| expiry.after(1));
    desk.work(&id)?.settle(&view)?;
    Ok(Dossier::clone(&desk.work(&id)?.dossier))
}

/// Rules by which exactly those are final that were found to be: what is final at some height is so
/// at every lower one for the same amount.
fn rules(dossier: &Dossier, group: &[Fact]) -> ChainRules {
    let is_final = |id: &DepositId| {
        group.iter().any(|fact| matches!(&fact.what, What::Final(told) if told == id))
    };
    let mut highest = BTreeMap::new();
    for deposit in dossier.deposits.iter().filter(|deposit| deposit.state == State::Pending) {
        let known: &mut Option<u64> = highest.entry(deposit.amount).or_default();
        if is_final(&deposit.id) {
            *known = Some(known.unwrap_or(0).max(deposit.block.height));
        }
    }
    let rule = |(amount, height): (_, Option<u64>)| FinalityRule {
        up_to: Some(amount),
        finality: height.map_or(Finality::Finalized, |height| {
            Finality::Confirmations(LAST.saturating_sub(height).saturating_add(1))
        }),
    };
    ChainRules {
        token: dossier.order.address,
        decimals: 6,
        max_reorg: LAST,
        treasury: Vec::new(),
        bounds: Bounds::default(),
        finality: highest.into_iter().map(rule).collect(),
    }
}

/// The first thing in which two states of an order differ.
fn difference(stored: &Dossier, replayed: &Dossier) -> Option<String> {
    let id = &stored.order.id;
    let times = |dossier: &Dossier| (dossier.paid, dossier.expired, dossier.cancelled);
    if times(stored) != times(replayed) {
        return Some(format!("order {id}: paid, expired or cancelled at another time"));
    }
    let state = |deposit: &Deposit| (deposit.id.clone(), deposit.state, deposit.late);
    let states = |dossier: &Dossier| dossier.deposits.iter().map(state).collect::<Vec<_>>();
    let (one, other) = (states(stored), states(replayed));
    if let Some((deposit, ..)) = one.iter().find(|state| !other.contains(state)) {
        return Some(format!("deposit {deposit}: its facts lead to another state"));
    }
    if one.len() != other.len() {
        return Some(format!("order {id}: {} deposits, {} were seen", one.len(), other.len()));
    }
    // What was only proposed changes nothing.
    let bare = |case: &Case| Case { steps: Vec::new(), ..case.clone() };
    // What left its address is a fact of the chain, and not of the order.
    let of_deposits = |case: &&Case| !case.kind.is_about_an_outflow();
    for case in stored.cases.iter().filter(of_deposits) {
        if !replayed.cases.contains(&bare(case)) {
            return Some(format!("case {}: its facts lead to another one, or none", case.id));
        }
    }
    let known: Vec<Case> = stored.cases.iter().map(bare).collect();
    if let Some(case) = replayed.cases.iter().find(|case| !known.contains(case)) {
        return Some(format!("case {}: its facts open it, and it is not there", case.id));
    }
    other_journal(stored, replayed, |_| true)
}

/// The first journal of the rules' own, among those that `counts` is for, in which two states of an
/// order differ.
fn other_journal(
    stored: &Dossier,
    replayed: &Dossier,
    counts: impl Fn(&&Journal) -> bool,
) -> Option<String> {
    let is_ours = |journal: &&Journal| {
        let key = journal.key.strip_prefix("reverse:").unwrap_or(&journal.key);
        ["deposit:", "paid:", "suspend:", "release:"].iter().any(|head| key.starts_with(head))
    };
    let journals = |dossier: &Dossier| -> BTreeMap<String, Journal> {
        let ours = dossier.journals.iter().filter(is_ours).filter(&counts);
        ours.map(|journal| (journal.key.clone(), journal.clone())).collect()
    };
    let (one, other) = (journals(stored), journals(replayed));
    let differs = |key: &&String| one.get(*key) != other.get(*key);
    let key = one.keys().chain(other.keys()).find(differs)?;
    Some(format!("journal {key}: its facts lead to another one, or none"))
}
