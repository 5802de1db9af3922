//! The one place the rules meet: a snapshot and an update in, changes out.
//!
//! In: `Rules`, `Snapshot`, `Update`, the time. Out: `Changes`, or a refusal that changes nothing.
//! Never: anything but a function of its arguments.
//! Why: everything that changes the books goes through here, so it can be run again over them.

use std::collections::BTreeSet;

use crate::adopt;
use crate::amount::AmountError;
use crate::case::CaseId;
use crate::ceiling;
use crate::chain::{ConnectError, Connection, Cursor, Scan, Transfer, TxHash, connect, final_time};
use crate::changes::{ChainRules, Changes, CursorMove, Rules, Snapshot, Update};
use crate::contract;
use crate::deposit::{Deposit, DepositId, State};
use crate::desk::Desk;
use crate::event::EventKind;
use crate::name::{ChainName, OrderId};
use crate::notice::{Notice, NoticeId};
use crate::order::{Order, Price};
use crate::others::Others;
use crate::outflow::OutflowId;
use crate::outflows;
use crate::recent::Hour;
use crate::refund;
use crate::resolve::{self, Refusal, Said};
use crate::silence;
use crate::time::Time;
use crate::view::View;

/// Why an update changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The scan does not join the recorded chain.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The update names a chain that is not configured.
    #[error("chain `{0}` is not configured")]
    UnknownChain(ChainName),
    /// The update names an order that does not exist.
    #[error("order `{0}` does not exist")]
    UnknownOrder(OrderId),
    /// An order with this id exists under other terms.
    #[error("order `{order}` exists with another {field}")]
    OrderExists {
        /// The order.
        order: OrderId,
        /// The first field that differs.
        field: &'static str,
    },
    /// The order's own terms contradict each other.
    #[error("{field} of order `{order}` {why}")]
    BadOrder {
        /// The order.
        order: OrderId,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The address belongs to another order.
    #[error("the address of order `{0}` belongs to another order")]
    AddressTaken(OrderId),
    /// An order that is paid cannot be taken back.
    #[error("order `{0}` is paid")]
    AlreadyPaid(OrderId),
    /// A deposit's value does not fit the books.
    #[error("deposit {deposit}")]
    Value {
        /// The deposit.
        deposit: DepositId,
        /// What is wrong with its value.
        #[source]
        why: AmountError,
    },
    /// A deposit that is recorded was seen again as another one: a node names one payment by the
    /// transaction of another, or told something else before.
    #[error("deposit {deposit} is recorded with another {what}")]
    Contradiction {
        /// The deposit.
        deposit: DepositId,
        /// The first thing that differs.
        what: &'static str,
    },
    /// Only a chain that is paused follows another branch.
    #[error("chain `{0}` is not paused")]
    NotPaused(ChainName),
    /// What is to be followed is no other branch than the recorded one.
    #[error("nothing recorded of chain `{chain}` above height {height} is to be replaced")]
    NoBranch {
        /// The chain.
        chain: ChainName,
        /// The highest block that both branches share.
        height: u64,
    },
    /// No such case.
    #[error("there is no case `{0}`")]
    UnknownCase(CaseId),
    /// This cannot be decided about a case.
    #[error("case `{case}` {why}")]
    Undecidable {
        /// The case.
        case: CaseId,
        /// Why not.
        why: Refusal,
    },
    /// An outflow's value does not fit the books.
    #[error("outflow {outflow}")]
    OutflowValue {
        /// The outflow.
        outflow: OutflowId,
        /// What is wrong with its value.
        #[source]
        why: AmountError,
    },
    /// An outflow that is recorded was seen again as another one.
    #[error("outflow {outflow} is recorded with another {what}")]
    OutflowContradiction {
        /// The outflow.
        outflow: OutflowId,
        /// The first thing that differs.
        what: &'static str,
    },
    /// A notice that is recorded was seen again as another one.
    #[error("notice {notice} is recorded with another {what}")]
    NoticeContradiction {
        /// The notice.
        notice: NoticeId,
        /// The first thing that differs.
        what: &'static str,
    },
    /// A sum or a price of this order is beyond the range of the books.
    #[error("a sum of order `{0}` is beyond the range of the books")]
    Range(OrderId),
}

/// What `update` changes, given what is remembered. `now` is when it is recorded.
///
/// # Errors
/// [`PlanError`]; nothing is to be written then.
pub fn plan(
    rules: &Rules,
    snapshot: &Snapshot,
    update: &Update,
    now: Time,
) -> Result<Changes, PlanError> {
    match update {
        Update::Scan(scan) => plan_scan(rules_of(rules, &scan.chain)?, snapshot, scan, now),
        Update::Rescan { chain, transfers, notices } => {
            let seen = (transfers.as_slice(), notices.as_slice());
            plan_rescan(rules_of(rules, chain)?, snapshot, chain, seen, now)
        }
        Update::Asked { chain, answers } => {
            contract::asked(rules_of(rules, chain)?, snapshot, chain, answers, now)
        }
        Update::Create(order) => create(rules_of(rules, &order.chain)?, snapshot, order, now),
        Update::Cancel(order) => cancel(rules, snapshot, order, now),
        Update::Resolve { case, resolution, by, why } => {
            resolve::resolve(rules, snapshot, case, &Said { resolution, by, why }, now)
        }
        Update::Withdraw { case, by, why } => resolve::withdraw(snapshot, case, by, why, now),
        Update::Refund { case, by, fact } => refund::follow(rules, snapshot, case, by, fact, now),
        Update::Stall { chain, why } => {
            rules_of(rules, chain)?;
            Ok(mark(snapshot, chain, now, EventKind::ChainStalled, why, |mv, why| {
                mv.stalled = Some(why);
            }))
        }
        Update::Pause { chain, why } => {
            rules_of(rules, chain)?;
            Ok(mark(snapshot, chain, now, EventKind::ChainPaused, why, |mv, why| {
                mv.paused = Some(why);
            }))
        }
        Update::ReconcileFailed { run, why } => {
            let mut desk = Desk::new(snapshot, now);
            desk.tell_run(*run, why);
            Ok(desk.finish())
        }
        Update::Resume { chain, by, why } => {
            rules_of(rules, chain)?;
            let why = format!("{by}: {why}");
            Ok(mark(snapshot, chain, now, EventKind::ChainRecovered, &why, |mv, _| {
                mv.paused = None;
                mv.recent.credited = Hour::default();
            }))
        }
        Update::Adopt(adoption) => {
            adopt::adopt(rules_of(rules, &adoption.chain)?, snapshot, adoption, now)
        }
    }
}

pub(crate) fn rules_of<'a>(
    rules: &'a Rules,
    chain: &ChainName,
) -> Result<&'a ChainRules, PlanError> {
    rules.get(chain).ok_or_else(|| PlanError::UnknownChain(chain.clone()))
}

fn plan_scan(
    rules: &ChainRules,
    snapshot: &Snapshot,
    scan: &Scan,
    now: Time,
) -> Result<Changes, PlanError> {
    let fresh = Cursor::new(scan.chain.clone());
    let cursor = snapshot.cursor.as_ref().unwrap_or(&fresh);
    let connection = connect(cursor, scan, rules.max_reorg)?;
    let mut desk = Desk::new(snapshot, now);
    orphan(&mut desk, &scan.chain, &connection)?;
    let mut recent = cursor.recent.clone();
    let first_added = connection.added.first().map(|header| header.id.height);
    let mut others = Others::new(rules.bounds, &mut recent, now, first_added);
    observe_all(&mut desk, rules, &mut others, &scan.chain, snapshot, &scan.transfers)?;
    others.finish(&mut desk, &scan.chain);
    desk.observe_notices(rules, &scan.chain, snapshot, &scan.notices, &scan.transfers)?;
    let grown = !connection.added.is_empty();
    let moves = grown
        || connection.finalized != cursor.finalized
        || connection.safe != cursor.safe
        || !connection.orphaned.is_empty();
    let mut mv = CursorMove { recent, ..CursorMove::new(cursor, connection) };
    silence::settle(&mut desk, rules, &mut mv, (scan, grown), now);
    desk.heed_issuer(&mut mv);
    let view = View::of_move(rules, &mv, final_time(cursor, scan));
    ceiling::settle(&mut desk, view, &mut mv, now)?;
    desk.settle_outflows(&View::of_move(rules, &mv, None), snapshot)?;
    let mut changes = desk.finish();
    if moves || !changes.is_empty() {
        changes.cursor = Some(mv);
    }
    Ok(changes)
}

fn plan_rescan(
    rules: &ChainRules,
    snapshot: &Snapshot,
    chain: &ChainName,
    (transfers, notices): (&[Transfer], &[Notice]),
    now: Time,
) -> Result<Changes, PlanError> {
    let cursor = snapshot.cursor.clone().unwrap_or_else(|| Cursor::new(chain.clone()));
    // A reorg may have been recorded since the stretch was read again.
    transfers.iter().try_for_each(|transfer| cursor.holds(transfer.block))?;
    notices.iter().try_for_each(|notice| cursor.holds(notice.block))?;
    let mut desk = Desk::new(snapshot, now);
    let mut mv = CursorMove::still(&cursor);
    let mut others = Others::new(rules.bounds, &mut mv.recent, now, None);
    observe_all(&mut desk, rules, &mut others, chain, snapshot, transfers)?;
    others.finish(&mut desk, chain);
    desk.observe_notices(rules, chain, snapshot, notices, transfers)?;
    desk.heed_issuer(&mut mv);
    ceiling::settle(&mut desk, View::of_move(rules, &mv, None), &mut mv, now)?;
    desk.settle_outflows(&View::of_move(rules, &mv, None), snapshot)?;
    let mut changes = desk.finish();
    if !changes.is_empty() {
        // Moving the generation keeps a scan that runs beside this from overtaking it.
        changes.cursor = Some(mv);
    }
    Ok(changes)
}

/// Takes back every deposit whose block is no longer part of the chain.
fn orphan(desk: &mut Desk, chain: &ChainName, connection: &Connection) -> Result<(), PlanError> {
    let Some(fork) = connection.orphaned.first().map(|header| header.id.height) else {
        return Ok(());
    };
    desk.each(|work| work.orphan_from(chain, fork))?;
    desk.loose.orphan_from(chain, fork);
    desk.orphan_outflows(chain, fork);
    desk.orphan_notices(chain, fork, false);
    Ok(())
}

fn observe_all(
    desk: &mut Desk,
    rules: &ChainRules,
    others: &mut Others<'_>,
    chain: &ChainName,
    snapshot: &Snapshot,
    transfers: &[Transfer],
) -> Result<(), PlanError> {
    if transfers.is_empty() {
        return Ok(());
    }
    let txs: BTreeSet<TxHash> = transfers.iter().map(|transfer| transfer.tx).collect();
    let (astray, elsewhere) = (desk.astray(&txs), desk.elsewhere(&txs));
    for transfer in transfers {
        if let Some(owner) = snapshot.owners.get(&transfer.from)
            && let Some(outflow) = outflows::read(rules, chain, transfer, owner.as_ref())?
        {
            desk.outflows.observe(outflow)?;
        }
        let Some(owner) = snapshot.owners.get(&transfer.to) else {
            continue;
        };
        // Nothing moves when nothing is sent, or when an account sends to itself.
        if transfer.raw.is_zero() || transfer.from == transfer.to {
            desk.empty_transfers = desk.empty_transfers.saturating_add(1);
            continue;
        }
        let mut deposit = read(rules, chain, transfer)?;
        let id = &deposit.id;
        let is_new =
            !astray.contains_key(id) && !elsewhere.contains_key(id) && !desk.loose.knows(id);
        if id.other_token.is_some() && is_new {
            let of_order = owner.as_ref().map_or(0, |order| desk.others_of(order));
            if !others.admit(of_order, transfer.block.height) {
                continue;
            }
        }
        // Whose it was when it was first recorded it stays, wherever it goes now.
        match astray.get(&deposit.id).or(owner.as_ref()) {
            Some(order) if !desk.loose.knows(&deposit.id) => {
                deposit.order = Some(order.clone());
                if elsewhere.get(&deposit.id).is_some_and(|known| known != order) {
                    let (deposit, what) = (deposit.id, "receiver");
                    return Err(PlanError::Contradiction { deposit, what });
                }
                desk.work(order)?.observe(&deposit)?;
            }
            _ => desk.loose.observe(&deposit)?,
        }
    }
    Ok(())
}

/// The deposit that a transfer to one of our addresses is, nobody's so far.
fn read(rules: &ChainRules, chain: &ChainName, transfer: &Transfer) -> Result<Deposit, PlanError> {
    let other_token = (transfer.token != rules.token).then_some(transfer.token);
    let id = DepositId { chain: chain.clone(), tx: transfer.tx, n: transfer.n, other_token };
    let amount = match other_token {
        // A foreign token has no value in the books, whatever number it carries.
        Some(_) => crate::amount::Usdt::ZERO,
        None => crate::amount::Usdt::from_raw(transfer.raw, rules.decimals)
            .map_err(|why| PlanError::Value { deposit: id.clone(), why })?,
    };
    Ok(Deposit {
        id,
        order: None,
        from: transfer.from,
        to: transfer.to,
        raw: transfer.raw,
        amount,
        block: transfer.block,
        time: transfer.time,
        log_index: transfer.log_index,
        state: State::Pending,
        late: false,
        assigned: None,
    })
}

fn create(
    rules: &ChainRules,
    snapshot: &Snapshot,
    order: &Order,
    now: Time,
) -> Result<Changes, PlanError> {
    if let Some(existing) = snapshot.dossiers.get(&order.id) {
        return match other_terms(&existing.order, order) {
            None => Ok(Changes::default()),
            Some(field) => Err(PlanError::OrderExists { order: order.id.clone(), field }),
        };
    }
    if let Some(Some(_)) = snapshot.owners.get(&order.address) {
        return Err(PlanError::AddressTaken(order.id.clone()));
    }
    contradiction(order)?;
    // Frozen with the order, it would be refused when it is needed.
    let unfit = order.refund_to.and_then(|to| {
        if to.0 == [0; 20] {
            Some("is nobody's")
        } else if to == rules.token {
            Some("is the token's own contract")
        } else if to == order.address || snapshot.owners.contains_key(&to) {
            Some("is a deposit address of ours")
        } else {
            None
        }
    });
    if let Some(why) = unfit {
        let (order, why) = (order.id.clone(), why.to_owned());
        return Err(PlanError::BadOrder { order, field: "refund address", why });
    }
    let mut desk = Desk::new(snapshot, now);
    desk.tell_created(order);
    Ok(Changes { created: Some(order.clone()), ..desk.finish() })
}

/// The first term in which two orders of one id differ. What is assigned (address, times) and
/// what the config froze are not terms of the shop.
fn other_terms(existing: &Order, asked: &Order) -> Option<&'static str> {
    [
        ("customer", existing.customer != asked.customer),
        ("chain", existing.chain != asked.chain),
        ("amount", existing.due != asked.due),
        ("price", existing.price != asked.price),
        ("expiry", existing.lifetime() != asked.lifetime()),
        ("refund address", existing.refund_to != asked.refund_to),
        ("metadata", existing.metadata != asked.metadata),
    ]
    .into_iter()
    .find_map(|(field, differs)| differs.then_some(field))
}

fn contradiction(order: &Order) -> Result<(), PlanError> {
    let bad = |field, why: &str| {
        Err(PlanError::BadOrder { order: order.id.clone(), field, why: why.to_owned() })
    };
    match order.due {
        Some(due) if due.is_zero() => return bad("amount", "is zero"),
        Some(due) if due <= order.terms.tolerance => {
            return bad("amount", "is not above the tolerance");
        }
        Some(due) if due.minus_or_zero(order.terms.tolerance) < order.terms.dust => {
            return bad("amount", "is below the dust limit");
        }
        _ => {}
    }
    match order.price {
        Price::Rate { num: 0, .. } | Price::Rate { den: 0, .. } => {
            return bad("price", "has a zero in its rate");
        }
        Price::Fixed(credits) if credits.is_zero() => return bad("credits", "are zero"),
        Price::Fixed(_) if order.due.is_none() => {
            return bad("credits", "are fixed although the amount is open");
        }
        _ => {}
    }
    if let Some(due) = order.due
        && order.price.credits(due, order.due).is_none_or(|(credits, _)| credits.is_zero())
    {
        return bad("credits", "are zero or beyond the range of the books");
    }
    if let Some(why) = order.beyond_the_books() {
        return bad("price", &why);
    }
    if order.expires_at.is_some_and(|at| at <= order.created_at) {
        return bad("expiry", "is not after its creation");
    }
    Ok(())
}

fn cancel(
    rules: &Rules,
    snapshot: &Snapshot,
    order: &OrderId,
    now: Time,
) -> Result<Changes, PlanError> {
    let dossier =
        snapshot.dossiers.get(order).ok_or_else(|| PlanError::UnknownOrder(order.clone()))?;
    if dossier.paid.is_some() {
        return Err(PlanError::AlreadyPaid(order.clone()));
    }
    if dossier.cancelled.is_some() {
        return Ok(Changes::default());
    }
    let chain = &dossier.order.chain;
    let cursor = snapshot.cursor.as_ref().filter(|cursor| cursor.chain == *chain);
    let mut mv = cursor.map(CursorMove::still);
    let ceiling = rules.get(chain).and_then(|rules| rules.bounds.hourly_credits);
    let counted = u64::try_from(dossier.counted().micro()).unwrap_or(0);
    let admits =
        |mv: &CursorMove| mv.paused.is_none() && ceiling::admits(mv, ceiling, counted, now);
    let mut desk = Desk::new(snapshot, now);
    desk.work(order)?.cancel(mv.as_ref().is_none_or(admits))?;
    let granted = desk.granted();
    if let Some(mv) = &mut mv {
        mv.recent.credited.add(now, granted);
    }
    Ok(Changes { cursor: mv.filter(|_| granted > 0), ..desk.finish() })
}

/// A mark on a chain's cursor, told once.
fn mark(
    snapshot: &Snapshot,
    chain: &ChainName,
    now: Time,
    kind: EventKind,
    why: &str,
    set: impl FnOnce(&mut CursorMove, String),
) -> Changes {
    let cursor = snapshot.cursor.clone().unwrap_or_else(|| Cursor::new(chain.clone()));
    let before = CursorMove::still(&cursor);
    let mut after = before.clone();
    set(&mut after, why.to_owned());
    let marked = |mv: &CursorMove| (mv.paused.is_some(), mv.stalled.is_some());
    if marked(&after) == marked(&before) {
        return Changes::default();
    }
    let mut desk = Desk::new(snapshot, now);
    desk.tell_chain(kind, chain, vec![("why", why.to_owned())]);
    Changes { cursor: Some(after), ..desk.finish() }
}
