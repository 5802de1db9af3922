//! What was told of an order, or of a deposit that no order owns, as the facts that the rules are
//! run over again.
//!
//! In: events of the books, with their data. Out: facts, in the order of telling.
//! Never: what the rules made of them; of a deposit that was mined again, and of a refund that was
//! paid, what no event tells is taken from their journals.

use std::collections::BTreeMap;

use payments::address::Address;
use payments::amount::Usdt;
use payments::case::{Case, CaseId, CaseKind, Decision, Resolution, Step, StepKind};
use payments::chain::TxHash;
use payments::deposit::{Deposit, DepositId, State};
use payments::event::EventKind;
use payments::ledger::Account;
use payments::name::{ChainName, OrderId};
use payments::reconcile::Group;
use payments::replay::{Fact, What};
use payments::time::Time;

use crate::row::printable;

/// An event that says what the rules cannot know.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) seq: u64,
    pub(super) commit: u64,
    pub(super) kind: EventKind,
    pub(super) at: Time,
    pub(super) chain: ChainName,
    pub(super) deposit: Option<DepositId>,
    pub(super) case: Option<CaseId>,
    /// Whether crediting on its chain was paused.
    pub(super) paused: bool,
    pub(super) data: String,
}

type Data = BTreeMap<String, String>;

impl Told {
    /// Whether it is of a case about what left: such cases are a group of their own.
    pub(super) fn is_about_an_outflow(&self) -> bool {
        let kind = self.case.as_ref().and_then(CaseId::kind);
        kind.is_some_and(CaseKind::is_about_an_outflow)
    }

    fn data(&self) -> Option<Data> {
        serde_json::from_str(&self.data).ok()
    }

    fn fact(&self, what: What) -> (u64, Fact) {
        let (commit, at, chain) = (self.commit, self.at, self.chain.clone());
        (self.seq, Fact { commit, at, chain, paused: self.paused, what })
    }
}

/// The facts of an order, or of a deposit that none owns; `brought` are the decisions by which an
/// order got deposits of others, by their cases.
///
/// # Errors
/// Where the events do not fit what is stored: in what.
pub(super) fn facts(
    stored: Group<'_>,
    told: &[Told],
    brought: &BTreeMap<CaseId, Told>,
) -> Result<Vec<Fact>, String> {
    let mut facts = Vec::new();
    for (at, event) in told.iter().enumerate() {
        let rest = told.get(at.saturating_add(1)..).unwrap_or_default();
        if let Some(what) = what(stored, event, rest)? {
            facts.push(event.fact(what));
        }
    }
    let mut arrived: BTreeMap<&CaseId, Vec<Deposit>> = BTreeMap::new();
    for deposit in stored.deposits {
        if let Some(case) = &deposit.assigned {
            arrived.entry(case).or_default().push(deposit.clone());
        }
    }
    for (case, deposits) in arrived {
        let order = stored.order.map(|dossier| &dossier.order.id);
        let gave = |event: &&Told| order.is_some() && reassigned_to(event).as_ref() == order;
        let event = brought.get(case).filter(gave);
        let event = event.ok_or_else(|| {
            format!("{}: no decision about case {case} gave it a deposit", stored.name())
        })?;
        facts.push(event.fact(What::Brought(case.clone(), deposits)));
    }
    facts.sort_by_key(|(seq, _)| *seq);
    Ok(facts.into_iter().map(|(_, fact)| fact).collect())
}

fn what(stored: Group<'_>, event: &Told, rest: &[Told]) -> Result<Option<What>, String> {
    let refuse = |why: &str| format!("{}: {why}", stored.name());
    let deposit = || event.deposit.clone().ok_or_else(|| refuse("an event names no deposit"));
    Ok(Some(match event.kind {
        EventKind::DepositOrphaned => What::Orphaned(deposit()?),
        EventKind::DepositDetected => {
            let id = deposit()?;
            What::Seen(Box::new(
                seen(stored, &id, event, rest).ok_or_else(|| {
                    format!("deposit {id}: was told of, and is not what was told")
                })?,
            ))
        }
        EventKind::DepositConfirmed => What::Final(deposit()?),
        EventKind::OrderExpired => What::Expired,
        EventKind::OrderCancelled => What::Cancelled,
        // What a deposit opens, the rules open.
        EventKind::CaseOpened => match &event.case {
            Some(id) if event.is_about_an_outflow() => What::Asked(id.clone()),
            _ => return Ok(None),
        },
        EventKind::CaseResolved
        | EventKind::CaseProposed
        | EventKind::CaseWithdrawn
        | EventKind::RefundSent
        | EventKind::RefundFailed
        | EventKind::RefundVerified => {
            let id = event.case.as_ref().ok_or_else(|| refuse("an event names no case"))?;
            let data = event.data();
            let act = data.and_then(|data| act(stored, id, event, &data));
            return act.ok_or_else(|| format!("case {id}: what was told of it does not fit it"));
        }
        _ => return Ok(None),
    }))
}

/// What somebody did about a case, none where the rules themselves did; nothing at all where the
/// event does not say what it must.
fn act(stored: Group<'_>, id: &CaseId, event: &Told, data: &Data) -> Option<Option<What>> {
    let case = stored.cases.iter().find(|case| case.id == *id)?;
    let text = |name: &str| data.get(name).map(|text| printable(text));
    let tx = || TxHash::parse(data.get("tx")?);
    let at = event.at;
    let step = |kind| {
        let (by, why) = (text("by").unwrap_or_default(), text("why").unwrap_or_default());
        Some(Step { kind, by, why, at })
    };
    let (step, mined) = match event.kind {
        EventKind::CaseResolved => {
            if !data.contains_key("resolution") {
                let settled = text("why").filter(|_| event.is_about_an_outflow());
                return Some(settled.map(|why| What::Settled(id.clone(), why)));
            }
            let (by, why) = (text("by")?, text("why")?);
            let decision = Decision { resolution: resolution(data)?, by, why, at };
            return Some(Some(What::Decided(id.clone(), decision)));
        }
        EventKind::CaseProposed => (step(StepKind::Proposed(resolution(data)?))?, None),
        EventKind::CaseWithdrawn => (step(StepKind::Withdrawn)?, None),
        EventKind::RefundSent => (step(StepKind::Sent(tx()?))?, None),
        EventKind::RefundFailed => (step(StepKind::Failed(tx()?))?, None),
        _ => {
            let kind = paid_by(case, &tx()?)?;
            (step(kind)?, Some((data.get("height")?.parse().ok()?, paid_at(stored, id, at))))
        }
    };
    Some(Some(What::Step(id.clone(), step, mined)))
}

fn resolution(data: &Data) -> Option<Resolution> {
    Some(match data.get("resolution")?.as_str() {
        "credit" => Resolution::Credit,
        "refund" => Resolution::Refund {
            to: Address::parse(data.get("to")?).ok()?,
            fee: Usdt::parse(data.get("fee")?).ok()?,
        },
        "reassign" => Resolution::Reassign(OrderId::new(data.get("order")?).ok()?),
        "dismiss" => Resolution::Dismiss,
        _ => return None,
    })
}

/// The order that a decision gave deposits to.
fn reassigned_to(event: &Told) -> Option<OrderId> {
    match resolution(&event.data()?)? {
        Resolution::Reassign(order) => Some(order),
        _ => None,
    }
}

/// Which of its transfers pays a refund is in the step alone.
fn paid_by(case: &Case, by: &TxHash) -> Option<StepKind> {
    let paid = |step: &&Step| matches!(&step.kind, StepKind::Verified { tx, .. } if tx == by);
    case.steps.iter().find(paid).map(|step| step.kind.clone())
}

/// When the block of a refund was mined is in its journal alone.
fn paid_at(stored: Group<'_>, case: &CaseId, recorded: Time) -> Time {
    let head = format!("refund:{case}");
    let mut journals = stored.journals.iter();
    let paid = journals.find(|of| of.recorded == recorded && of.key.starts_with(&head));
    paid.map_or(recorded, |journal| journal.effective)
}

/// A deposit as it was seen. Mined again, it is stored as it is now; what it was before is in its
/// event and in its journal. Whose address it reached, the event says where no order does.
fn seen(stored: Group<'_>, id: &DepositId, event: &Told, rest: &[Told]) -> Option<Deposit> {
    let of = |kind: EventKind| {
        move |later: &&Told| later.kind == kind && later.deposit.as_ref() == Some(id)
    };
    let is = |deposit: &&Deposit| deposit.id == *id && deposit.assigned.is_none();
    let now = stored.deposits.iter().find(is)?;
    let mut then = Deposit { state: State::Pending, late: false, ..now.clone() };
    let data = event.data()?;
    let amount = Usdt::parse(data.get("amount")?).ok()?;
    let raw = data.get("raw")?.parse().ok()?;
    let from = Address::parse(data.get("from")?).ok()?;
    let height = data.get("height")?.parse().ok()?;
    let to = match stored.order {
        Some(_) => now.to,
        None => Address::parse(data.get("to")?).ok()?,
    };
    if !rest.iter().any(|later| of(EventKind::DepositDetected)(&later)) {
        let stands = (now.amount, now.raw, now.from, now.to, now.block.height);
        return (stands == (amount, raw, from, to, height)).then_some(then);
    }
    (then.amount, then.raw, then.from, then.to) = (amount, raw, from, to);
    then.block.height = height;
    let base = format!("deposit:{id}");
    let booked = rest.iter().find(of(EventKind::DepositConfirmed)).and_then(|told| {
        stored.journals.iter().find(|journal| {
            let round = journal.key.strip_prefix(&base);
            round.is_some_and(|round| round.is_empty() || round.starts_with('#'))
                && journal.recorded == told.at
        })
    });
    if let Some(journal) = booked {
        then.time = journal.effective;
        if let Some(Account::Custody(_, to)) = journal.entries.first().map(|entry| &entry.debit) {
            then.to = *to;
        }
    }
    Some(then)
}
