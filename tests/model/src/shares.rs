//! What deposits make of the books: where their value is, and which cases they ask for.
//!
//! In: an order with all that is recorded of it, or a deposit of nobody. Out: nets and open cases.
//! Never: a journal's amount; only its key and its remainder are looked at.
//! Why: the sum of these must be the books, account by account and case by case.

use std::collections::{BTreeMap, BTreeSet};

use payments::case::{Case, CaseKind};
use payments::deposit::{Deposit, DepositId, State};
use payments::ledger::{Account, Asset};
use payments::name::OrderId;
use payments::order::{Dossier, Order};

use crate::facts::check_late;
use crate::reference::worth;

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
        share.add_deposit(deposit);
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
        short.map(|deposit| (deposit.id.clone(), micro(deposit))).unzip();
    if !ids.is_empty() {
        share.open(CaseKind::Underpaid, Some(&order.id), ids, sums.iter().sum());
    }
    share.add_reversed(dossier)?;
    Ok(share)
}

impl Share {
    /// Where the value of one deposit is, and the case it asks for by itself.
    pub(crate) fn add_deposit(&mut self, deposit: &Deposit) {
        let account = match (deposit.state, &deposit.order) {
            (State::Pending | State::Orphaned | State::Reversed | State::Refunded, _) => return,
            (State::Confirmed, Some(order)) => Account::Order(order.clone()),
            (State::Credited, _) => Account::Sales,
            (State::Suspended(kind), _) => Account::Suspense(kind),
            (State::Dust, _) => Account::Dust,
            // Nobody's money is never simply confirmed: such a balance is wrong.
            (State::Confirmed, None) => Account::Fees,
        };
        let asset = || Asset::Usdt(deposit.id.chain.clone());
        let custody = Account::Custody(deposit.id.chain.clone(), deposit.to);
        self.add(asset(), custody, -micro(deposit));
        self.add(asset(), account, micro(deposit));
        if let State::Suspended(kind) = deposit.state
            && kind != CaseKind::Underpaid
        {
            let about = vec![deposit.id.clone()];
            self.open(kind, deposit.order.as_ref(), about, micro(deposit));
        }
    }

    /// The credits that stand, the excess that is held, and what their rounding left.
    fn add_grants(&mut self, dossier: &Dossier) -> Result<(), String> {
        let order = &dossier.order;
        let credited = dossier.deposits.iter().filter(|d| d.state == State::Credited).map(micro);
        let sales: Vec<i128> = match order.due {
            Some(_) if dossier.paid.is_some() => vec![credited.sum()],
            Some(_) => Vec::new(),
            None => credited.collect(),
        };
        let mut rests = Vec::new();
        for sale in sales {
            let (held, credits, rest) = worth(order, sale);
            let usdt = || Asset::Usdt(order.chain.clone());
            self.add(usdt(), Account::Sales, -held);
            self.add(usdt(), Account::Suspense(CaseKind::Overpaid), held);
            self.add(Asset::Credit, Account::Customer(order.customer.clone()), credits);
            self.add(Asset::Credit, Account::Issued, -credits);
            rests.push(u64::try_from(rest).unwrap());
            if held > 0 {
                let of_kind =
                    |case: &&Case| case.kind == CaseKind::Overpaid && case.decision.is_none();
                let open = dossier.cases.iter().find(of_kind);
                let about = open.map_or(Vec::new(), |case| case.deposits.clone());
                let credited = |id: &DepositId| {
                    dossier.deposits.iter().any(|d| d.id == *id && d.state == State::Credited)
                };
                if about.len() != 1 || !about.iter().all(credited) {
                    return Err(format!("the excess of order {} is of no deposit", order.id));
                }
                self.open(CaseKind::Overpaid, Some(&order.id), about, held);
            }
        }
        let keys: BTreeSet<&str> = dossier.journals.iter().map(|j| j.key.as_str()).collect();
        let live = |key: &str| {
            key.starts_with("paid:") && !keys.contains(format!("reverse:{key}").as_str())
        };
        let grants = dossier.journals.iter().filter(|journal| live(&journal.key));
        let mut found: Vec<u64> = grants.map(|journal| journal.remainder).collect();
        found.sort_unstable();
        rests.sort_unstable();
        if found == rests {
            return Ok(());
        }
        Err(format!("order {} was granted {found:?}, not {rests:?}", order.id))
    }

    /// A case is open for the credits that were taken back and not granted again.
    fn add_reversed(&mut self, dossier: &Dossier) -> Result<(), String> {
        let kind = CaseKind::ReversedAfterCredit;
        let open = dossier.cases.iter().find(|case| case.kind == kind && case.decision.is_none());
        let owed = |id: &DepositId| open.is_some_and(|case| case.deposits.contains(id));
        let mut reversed = dossier.deposits.iter().filter(|d| d.state == State::Reversed);
        let asked = match dossier.order.due {
            None => reversed.all(|deposit| owed(&deposit.id)),
            // A later deposit may have settled the case of an earlier one.
            Some(_) => dossier.paid.is_some() || open.is_some() || reversed.next().is_none(),
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
    if case.decision.is_some() {
        return Ok(None);
    }
    let mut about = case.deposits.clone();
    about.sort_unstable();
    if about.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("case {} names a deposit twice", case.id));
    }
    Ok(Some((case.kind, case.order.clone(), about, i128::from(case.amount.micro()))))
}

fn micro(deposit: &Deposit) -> i128 {
    i128::from(deposit.amount.micro())
}
