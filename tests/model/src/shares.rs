//! What deposits make of the books: where their value is, and which cases they ask for.
//!
//! In: an order with all that is recorded of it, or a deposit of nobody. Out: nets and open cases.
//! Never: a journal's amount; only its key and its remainder are looked at.
//! Why: the sum of these must be the books, account by account and case by case.

use std::collections::{BTreeMap, BTreeSet};

use payments::case::{Case, CaseKind, RefundState, Resolution};
use payments::deposit::{Deposit, DepositId, State};
use payments::ledger::{Account, Asset, Journal};
use payments::name::OrderId;
use payments::order::{Dossier, Order};
use payments::outflow::{Explanation, Outflow, OutflowState};

use crate::decisions::decided;
use crate::facts::check_late;
use crate::reference::{price, worth};

/// Balances, credits less debits.
pub(crate) type Nets = BTreeMap<(Asset, Account), i128>;
/// An open case: why, whose, about what, how much is held.
pub(crate) type Open = (CaseKind, Option<OrderId>, Vec<DepositId>, i128);

/// What the deposits of one order (or one of nobody) make of the books.
#[derive(Default)]
pub(crate) struct Share {
    pub(crate) nets: Nets,
    pub(crate) cases: BTreeSet<Open>,
}

/// What an order's deposits make of the books.
pub(crate) fn share_of(dossier: &Dossier, order: &Order) -> Result<Share, String> {
    let mut share = Share::default();
    if dossier.order != *order {
        return Err(format!("order {} is not what was asked for", order.id));
    }
    for deposit in &dossier.deposits {
        check_late(dossier, deposit)?;
        share.add_deposit(deposit, own(dossier, deposit), fee_of(dossier, deposit));
    }
    let closed = dossier.expired.is_some() || dossier.cancelled.is_some();
    let any = |state| dossier.deposits.iter().any(|deposit| deposit.state == state);
    if any(State::Confirmed) && (closed || dossier.paid.is_some()) {
        return Err(format!("order {} is over and holds money", order.id));
    }
    if any(State::Credited) != dossier.paid.is_some() {
        return Err(format!("order {} is paid and nothing was credited", order.id));
    }
    share.add_grants(dossier)?;
    let short = State::Suspended(CaseKind::Underpaid);
    let short = dossier.deposits.iter().filter(|deposit| deposit.state == short);
    let (ids, sums): (Vec<DepositId>, Vec<i128>) =
        short.map(|deposit| (deposit.id.clone(), own(dossier, deposit))).unzip();
    if !ids.is_empty() {
        share.open(CaseKind::Underpaid, Some(&order.id), ids, sums.iter().sum());
    }
    share.add_reversed(dossier)?;
    Ok(share)
}

impl Share {
    /// Where the value of one deposit is, and the case it asks for by itself. `own` is what of it
    /// no other order has, `fee` what of that is kept where it is sent back.
    pub(crate) fn add_deposit(&mut self, deposit: &Deposit, own: i128, fee: i128) {
        let chain = || deposit.id.chain.clone();
        let account = match (deposit.state, &deposit.order) {
            (State::Pending | State::Orphaned | State::Reversed, _) => return,
            (State::Confirmed, Some(order)) => Account::Order(order.clone()),
            (State::Credited | State::Granted, _) => Account::Sales,
            (State::Suspended(kind), _) => Account::Suspense(kind),
            (State::Dust, _) => Account::Dust,
            (State::Dismissed, _) => Account::Kept,
            (State::Refunding, _) => Account::RefundsPayable,
            (State::Refunded, _) => Account::Treasury(chain()),
            // With the order that it counts for now.
            (State::Reassigned, _) => Account::Custody(chain(), deposit.to),
            // Nobody's money is never simply confirmed: such a balance is wrong.
            (State::Confirmed, None) => Account::Fees,
        };
        let asset = || Asset::Usdt(chain());
        let custody = Account::Custody(chain(), deposit.to);
        match (deposit.assigned.is_some(), deposit.state) {
            (false, State::Reassigned) => self.add(asset(), custody, -micro(deposit)),
            // Twice on its way: neither here nor where it came from.
            (true, State::Reassigned) => {}
            (assigned, _) => {
                if !assigned {
                    self.add(asset(), custody, -micro(deposit));
                }
                let fee = if matches!(deposit.state, State::Refunding | State::Refunded) {
                    fee
                } else {
                    0
                };
                self.add(asset(), account, own - fee);
                self.add(asset(), Account::Fees, fee);
            }
        }
        if let State::Suspended(kind) = deposit.state
            && kind != CaseKind::Underpaid
        {
            let about = vec![deposit.id.clone()];
            self.open(kind, deposit.order.as_ref(), about, own);
        }
    }

    /// Where the value of one outflow went. Its case holds nothing, and is looked for beside it.
    pub(crate) fn add_outflow(&mut self, outflow: &Outflow) {
        let (chain, micro) = (&outflow.id.chain, i128::from(outflow.amount.micro()));
        if outflow.state == OutflowState::Booked && micro > 0 {
            let taken = match outflow.explained {
                Some(Explanation::Fee | Explanation::Destroyed) => Account::Lost,
                _ => Account::Treasury(chain.clone()),
            };
            let asset = || Asset::Usdt(chain.clone());
            self.add(asset(), taken, -micro);
            self.add(asset(), Account::Custody(chain.clone(), outflow.from), micro);
        }
    }

    /// The credits that stand, the excess that is held, and what their rounding left.
    fn add_grants(&mut self, dossier: &Dossier) -> Result<(), String> {
        let order = &dossier.order;
        let credited = || dossier.deposits.iter().filter(|d| d.state == State::Credited);
        let value = |deposit| own(dossier, deposit);
        let sales: Vec<i128> = match order.due {
            Some(_) if dossier.paid.is_some() => vec![credited().map(value).sum()],
            Some(_) => Vec::new(),
            None => credited().map(value).collect(),
        };
        let mut rests = Vec::new();
        let mut paid_by = credited().filter_map(|deposit| decided(dossier, &deposit.id));
        let by_person =
            paid_by.any(|case| case.kind != CaseKind::Overpaid && stands(dossier, case));
        for sale in sales {
            // What a person has credited is credited whole.
            let (held, credits, rest) =
                if by_person { worth_whole(order, sale) } else { worth(order, sale) };
            let usdt = || Asset::Usdt(order.chain.clone());
            self.add(usdt(), Account::Sales, -held);
            self.add(usdt(), Account::Suspense(CaseKind::Overpaid), held);
            self.grant(order, credits);
            rests.push(u64::try_from(rest).unwrap());
            if held > 0 {
                rests.extend(self.add_excess(dossier, held)?);
            }
        }
        for granted in dossier.deposits.iter().filter(|d| d.state == State::Granted) {
            let (credits, rest) = price(order, own(dossier, granted));
            self.grant(order, credits);
            rests.push(u64::try_from(rest).unwrap());
        }
        let keys: BTreeSet<&str> = dossier.journals.iter().map(|j| j.key.as_str()).collect();
        let live = |journal: &&Journal| {
            let sold = journal.entries.iter().any(|entry| entry.credit == Account::Sales);
            let grants =
                journal.key.starts_with("paid:") || (journal.key.starts_with("resolve:") && sold);
            grants && !keys.contains(format!("reverse:{}", journal.key).as_str())
        };
        let mut found: Vec<u64> =
            dossier.journals.iter().filter(live).map(|journal| journal.remainder).collect();
        found.sort_unstable();
        rests.sort_unstable();
        if found == rests {
            return Ok(());
        }
        Err(format!("order {} was granted {found:?}, not {rests:?}", order.id))
    }

    fn grant(&mut self, order: &Order, credits: i128) {
        self.add(Asset::Credit, Account::Customer(order.customer.clone()), credits);
        self.add(Asset::Credit, Account::Issued, -credits);
    }

    /// The excess of what was credited: held, or where a decision put it. The remainder of its
    /// price where it was credited.
    fn add_excess(&mut self, dossier: &Dossier, held: i128) -> Result<Option<u64>, String> {
        let order = &dossier.order;
        let credited = |id: &DepositId| {
            dossier.deposits.iter().any(|d| d.id == *id && d.state == State::Credited)
        };
        let by_fact = |case: &Case| {
            case.decision.as_ref().is_some_and(|of| of.resolution == Resolution::Itself)
        };
        let of_kind = |case: &&Case| {
            case.kind == CaseKind::Overpaid && !by_fact(case) && !is_given(dossier, case)
        };
        let case = dossier.cases.iter().rfind(of_kind);
        let about = case.map_or(Vec::new(), |case| case.deposits.clone());
        if about.len() != 1 || !about.iter().all(credited) {
            return Err(format!("the excess of order {} is of no deposit", order.id));
        }
        let Some(case) = case else { return Ok(None) };
        let Some(decision) = &case.decision else {
            self.open(CaseKind::Overpaid, Some(&order.id), about, held);
            return Ok(None);
        };
        let usdt = || Asset::Usdt(order.chain.clone());
        self.add(usdt(), Account::Suspense(CaseKind::Overpaid), -held);
        match &decision.resolution {
            Resolution::Credit => {
                let (credits, rest) = price(order, held);
                self.add(usdt(), Account::Sales, held);
                self.grant(order, credits);
                return Ok(Some(u64::try_from(rest).unwrap()));
            }
            Resolution::Refund { fee, .. } => {
                let fee = i128::from(fee.micro());
                let paid = case.refund().is_some_and(|r| r.state == RefundState::Verified);
                let sent = if paid {
                    Account::Treasury(order.chain.clone())
                } else {
                    Account::RefundsPayable
                };
                self.add(usdt(), sent, held - fee);
                self.add(usdt(), Account::Fees, fee);
            }
            Resolution::Dismiss => self.add(usdt(), Account::Kept, held),
            Resolution::Reassign(_) | Resolution::Itself => {}
        }
        Ok(None)
    }

    /// A case is open for the credits that were taken back and not granted again.
    fn add_reversed(&mut self, dossier: &Dossier) -> Result<(), String> {
        let kind = CaseKind::ReversedAfterCredit;
        let open = dossier.cases.iter().find(|case| case.kind == kind && case.decision.is_none());
        // A person wants to hear no more of these.
        let dismissed = dossier.cases.iter().filter(|case| {
            let decision = case.decision.as_ref().map(|decision| &decision.resolution);
            case.kind == kind && decision == Some(&Resolution::Dismiss)
        });
        let dismissed: BTreeSet<&DepositId> = dismissed.flat_map(|case| &case.deposits).collect();
        let owed = |id: &DepositId| open.is_some_and(|case| case.deposits.contains(id));
        let mut reversed = dossier.deposits.iter().filter(|d| d.state == State::Reversed);
        let asked = match dossier.order.due {
            None => reversed.all(|d| owed(&d.id) || dismissed.contains(&d.id)),
            // A later deposit may have settled the case of an earlier one.
            Some(_) => {
                let settled = dossier.paid.is_some() || open.is_some() || !dismissed.is_empty();
                settled || reversed.next().is_none()
            }
        };
        if !asked {
            return Err(format!("order {} was taken back and nobody asks", dossier.order.id));
        }
        if let Some(case) = open {
            let credited = |id: &DepositId| {
                dossier.deposits.iter().any(|d| d.id == *id && d.state == State::Credited)
            };
            if case.deposits.iter().all(credited) {
                return Err(format!("case {} asks for what was credited again", case.id));
            }
            self.open(kind, Some(&dossier.order.id), case.deposits.clone(), 0);
        }
        Ok(())
    }

    fn open(
        &mut self,
        kind: CaseKind,
        of: Option<&OrderId>,
        mut about: Vec<DepositId>,
        held: i128,
    ) {
        about.sort_unstable();
        self.cases.insert((kind, of.cloned(), about, held));
    }

    fn add(&mut self, asset: Asset, account: Account, amount: i128) {
        *self.nets.entry((asset, account)).or_default() += amount;
    }
}

/// What a case is, where it is open; each deposit is named once.
pub(crate) fn open_case(case: &Case) -> Result<Option<Open>, String> {
    if case.decision.is_some() || case.kind.is_about_an_outflow() {
        return Ok(None);
    }
    let mut about = case.deposits.clone();
    about.sort_unstable();
    if about.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("case {} names a deposit twice", case.id));
    }
    Ok(Some((case.kind, case.order.clone(), about, i128::from(case.amount.micro()))))
}

/// What of a deposit is its order's: an excess that a person gave to another order is not.
pub(crate) fn own(dossier: &Dossier, deposit: &Deposit) -> i128 {
    let about = |case: &&Case| case.deposits.contains(&deposit.id) && is_given(dossier, case);
    let given = dossier.cases.iter().filter(about).map(|case| i128::from(case.amount.micro()));
    micro(deposit) - given.sum::<i128>()
}

/// Whether an excess counts for another order: it is still held apart here, and by this case.
fn is_given(dossier: &Dossier, case: &Case) -> bool {
    let decided = case.decision.as_ref().map(|decision| &decision.resolution);
    if case.kind != CaseKind::Overpaid || !matches!(decided, Some(Resolution::Reassign(_))) {
        return false;
    }
    let about = |deposit: &&Deposit| case.deposits.contains(&deposit.id);
    let Some(deposit) = dossier.deposits.iter().find(about) else { return false };
    let later = |other: &Case| other.kind == case.kind && other.deposits == case.deposits;
    let is_last = dossier.cases.iter().rfind(|other| later(other)) == Some(case);
    is_last && any_stands(dossier, &format!("suspend:{}:overpaid", deposit.name()))
}

/// Whether what a person decided is still in the books: a branch that was final may be lost.
pub(crate) fn stands(dossier: &Dossier, case: &Case) -> bool {
    any_stands(dossier, &format!("resolve:{}", case.id))
}

/// Whether a journal of this key, in any round, or for any of several deposits, is not reversed.
fn any_stands(dossier: &Dossier, base: &str) -> bool {
    let keys = || dossier.journals.iter().map(|journal| journal.key.as_str());
    let of_base = |key: &&str| {
        key.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['#', ':']))
    };
    keys().filter(of_base).any(|key| !keys().any(|o| o.strip_prefix("reverse:") == Some(key)))
}

/// What of a deposit is kept where it is sent back: of several, the first bear the fee.
pub(crate) fn fee_of(dossier: &Dossier, deposit: &Deposit) -> i128 {
    let refund = |case: &&Case| {
        case.kind != CaseKind::Overpaid
            && case.refund().is_some()
            && case.deposits.contains(&deposit.id)
    };
    let Some(case) = dossier.cases.iter().rfind(refund) else { return 0 };
    let mut left = case.refund().map_or(0, |refund| i128::from(refund.fee.micro()));
    for part in dossier.deposits.iter().filter(|d| case.deposits.contains(&d.id)) {
        let kept = left.min(own(dossier, part));
        if part.id == deposit.id {
            return kept;
        }
        left -= kept;
    }
    0
}

/// The credits for all of a sum that a person had credited, and the remainder of their price.
fn worth_whole(order: &Order, sum: i128) -> (i128, i128, i128) {
    let due = order.due.map_or(sum, |due| i128::from(due.micro()));
    let tolerance = i128::from(order.terms.tolerance.micro());
    let (credits, rest) = price(order, if sum > due + tolerance { sum } else { due });
    (0, credits, rest)
}

fn micro(deposit: &Deposit) -> i128 {
    i128::from(deposit.amount.micro())
}
