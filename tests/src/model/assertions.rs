//! What holds after every step, whatever happened.
//!
//! In: the books, and the reference. Out: the first sentence that is not true.
//! Never: a sum taken from `payments`; balances, cases and facts are all derived from the chain.
//! Why: each of these, broken once, has cost somebody money.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::case::CaseKind;
use payments::changes::{Changes, Update};
use payments::deposit::{Deposit, DepositId, State};
use payments::event::Event;
use payments::ledger::{Account, Asset, Balances, Journal};
use payments::name::{ChainName, OrderId};
use payments::order::{Dossier, Order, Policy};
use payments::time::Time;

use super::events::Told;
use super::reference::{Chain, Seen, amount_of, is_covered, worth};
use super::transitions::World;

/// Balances, credits less debits.
type Nets = BTreeMap<(Asset, Account), i128>;
/// An open case: why, whose, about what, how much is held.
type Open = (CaseKind, Option<OrderId>, Vec<DepositId>, i128);

/// What the books were when they were last looked at, so that only changes are looked at again.
#[derive(Default)]
pub(super) struct Seal {
    journals: Vec<Arc<Journal>>,
    events: Vec<Arc<Event>>,
    balances: Balances,
    dossiers: BTreeMap<OrderId, (Dossier, Share)>,
    wanted: Nets,
    told: Told,
}

/// What the deposits of one order (or those of nobody) make of the books.
#[derive(Default)]
struct Share {
    nets: Nets,
    cases: BTreeSet<Open>,
}

impl World {
    /// All of it, after `changes` were written because of `update`.
    pub(super) fn check(&mut self, update: &Update, changes: &Changes) -> Result<(), String> {
        let looked = match update {
            Update::Scan(scan) => Some(&scan.chain),
            _ => None,
        };
        let mut seal = std::mem::take(&mut self.seal);
        self.refresh(&mut seal)?;
        let about = |chain: &ChainName| {
            let mut moved = changes.recorded.iter().chain(&changes.moved);
            looked == Some(chain)
                || matches!(update, Update::Rescan { chain: of, .. } if of == chain)
                || moved.any(|deposit| deposit.id.chain == *chain)
        };
        for chain in &self.chains {
            self.check_cursor(chain)?;
            if about(&chain.name) {
                self.check_deposits(chain, looked == Some(&chain.name), &seal)?;
            }
        }
        for (dossier, _) in seal.dossiers.values() {
            let looked = looked == Some(&dossier.order.chain);
            if looked || changes.touched.iter().any(|t| t.order == dossier.order.id) {
                self.check_facts(dossier, looked)?;
            }
        }
        if !changes.is_empty() {
            self.check_sums(&seal)?;
            seal.told.fold(&self.memory)?;
            seal.told.compare(self)?;
        }
        self.seal = seal;
        Ok(())
    }

    /// Looks at what is new, and that what was written stays written.
    fn refresh(&self, seal: &mut Seal) -> Result<(), String> {
        let (journals, events) = (self.memory.journals(), self.memory.events());
        let kept = seal.journals.len() <= journals.len()
            && seal.events.len() <= events.len()
            && seal.journals.iter().zip(journals).all(|(a, b)| Arc::ptr_eq(a, b) || a == b)
            && seal.events.iter().zip(events).all(|(a, b)| Arc::ptr_eq(a, b) || a == b);
        if !kept {
            return Err("what was written has changed".to_owned());
        }
        for journal in &journals[seal.journals.len()..] {
            seal.balances.add(journal);
            seal.journals.push(Arc::clone(journal));
        }
        seal.events.extend_from_slice(&events[seal.events.len()..]);
        if self.memory.orders().count() != self.orders.len() {
            return Err("there are other orders than were asked for".to_owned());
        }
        for (id, order) in &self.orders {
            let known = seal.dossiers.get(id).map(|(dossier, _)| dossier.version);
            let version = self.memory.version(id);
            if known.is_some() && known == version {
                continue;
            }
            let dossier = self.memory.dossier(id).ok_or("an order is gone")?;
            if let Some((before, _)) = seal.dossiers.get(id) {
                check_turn(before, &dossier, self.chain(&order.chain).paused)?;
            }
            let share = share_of(&dossier, order)?;
            share
                .nets
                .iter()
                .for_each(|(at, net)| *seal.wanted.entry(at.clone()).or_default() += net);
            if let Some((_, old)) = seal.dossiers.insert(id.clone(), (dossier, share)) {
                old.nets
                    .iter()
                    .for_each(|(at, net)| *seal.wanted.entry(at.clone()).or_default() -= net);
            }
        }
        Ok(())
    }

    /// The cursor stands where the reference does, on the recorded chain.
    fn check_cursor(&self, chain: &Chain) -> Result<(), String> {
        let Some(cursor) = self.memory.cursor(&chain.name) else {
            return if chain.path.is_empty() { Ok(()) } else { Err("no cursor".to_owned()) };
        };
        let finalized = cursor.finalized.map(|block| block.height);
        let marks = (cursor.paused.is_some(), cursor.stalled.is_some());
        if (finalized, cursor.safe, marks)
            != (chain.known_final, chain.known_safe, (chain.paused, chain.stalled))
        {
            return Err(format!("the cursor of {} is not where it should be", chain.name));
        }
        let from = usize::try_from(chain.known_final.unwrap_or(0)).unwrap();
        let line = chain.path.get(from..).unwrap_or_default();
        let kept = cursor.kept.iter().copied();
        if !kept.eq(line.iter().map(|at| chain.blocks[*at].header)) {
            return Err(format!("the kept headers of {} are not its last blocks", chain.name));
        }
        Ok(())
    }

    /// Every shown transfer of the recorded chain to one of our addresses is a deposit, once, and
    /// nothing else is; nothing is in the books that is not final by its rule.
    fn check_deposits(&self, chain: &Chain, looked: bool, seal: &Seal) -> Result<(), String> {
        let rules = &self.rules[&chain.name];
        let owners = self.memory.owners();
        let mut shown = 0;
        for (at, transfer) in chain.shown() {
            let empty = transfer.raw.is_zero() || transfer.from == transfer.to;
            let Some(owner) = owners.get(&transfer.to).filter(|_| !empty) else { continue };
            shown += 1;
            let other_token = (transfer.token != rules.token).then_some(transfer.token);
            let (chain_name, tx) = (chain.name.clone(), transfer.tx);
            let id = DepositId { chain: chain_name, tx, n: transfer.n, other_token };
            let Some(deposit) = self.memory.deposit(&id) else {
                return Err(format!("deposit {id} is missing"));
            };
            let here = (deposit.block, deposit.time, deposit.log_index)
                == (transfer.block, transfer.time, transfer.log_index);
            let same = (deposit.from, deposit.to, deposit.raw)
                == (transfer.from, transfer.to, transfer.raw);
            let amount = i128::from(deposit.amount.micro()) == amount_of(transfer, rules);
            let stays = |order: &OrderId| self.orders.contains_key(order);
            let astray = deposit.order.as_ref() != owner.as_ref() && is_held(deposit);
            let theirs = deposit.order == *owner
                || (deposit.order.is_none() && self.pool.contains(&deposit.to))
                || (deposit.order.as_ref().is_none_or(stays) && astray);
            if !here || !same || !amount || !theirs || !deposit.state.is_on_chain() {
                return Err(format!("deposit {id} is not the transfer on the chain"));
            }
            let seen: Seen = (at, transfer.tx, transfer.n, transfer.token);
            if deposit.state != State::Pending && !chain.settled.contains(&seen) {
                return Err(format!("deposit {id} is booked and is not final"));
            }
            let due = deposit.state == State::Pending && chain.settling.contains(&seen);
            if due && looked && !chain.paused {
                self.check_waiting(deposit, chain, seal)?;
            }
        }
        let on_chain =
            |deposit: &&Deposit| deposit.id.chain == chain.name && deposit.state.is_on_chain();
        let recorded = self.memory.deposits().iter().filter(on_chain).count();
        if recorded != shown {
            return Err(format!("{recorded} deposits are recorded on a chain that shows {shown}"));
        }
        Ok(())
    }

    /// A final deposit is still pending only behind another of its order that is not final, or
    /// where it came after an expiry that is not decided.
    fn check_waiting(&self, deposit: &Deposit, chain: &Chain, seal: &Seal) -> Result<(), String> {
        let wrong = || Err(format!("deposit {} is final and was passed over", deposit.id));
        let Some((dossier, _)) = deposit.order.as_ref().and_then(|id| seal.dossiers.get(id)) else {
            return wrong();
        };
        if !may_count(dossier, deposit) {
            return wrong();
        }
        let settled = |other: &Deposit| {
            let at = chain.find(&other.block.hash);
            let token = self.rules[&chain.name].token;
            at.is_some_and(|at| chain.settling.contains(&(at, other.id.tx, other.id.n, token)))
        };
        let behind = dossier.deposits.iter().any(|other| {
            other.state == State::Pending && may_count(dossier, other) && !settled(other)
        });
        let after = dossier.order.expires_at.is_some_and(|expiry| deposit.time > expiry);
        let expiry = dossier.order.expires_at;
        let undecided = after && chain.final_time().is_none_or(|time| Some(time) <= expiry);
        if behind || undecided { Ok(()) } else { wrong() }
    }

    /// Paid, expired and cancelled are what the chain says.
    fn check_facts(&self, dossier: &Dossier, looked: bool) -> Result<(), String> {
        let order = &dossier.order;
        let chain = self.chain(&order.chain);
        let past = |expiry| chain.final_time().is_some_and(|time| time > expiry);
        let over = order.expires_at.filter(|expiry| past(*expiry));
        if dossier.expired.is_some() && dossier.expired != over {
            return Err(format!("order {} expired too early", order.id));
        }
        let closed = dossier.expired.is_some() || dossier.cancelled.is_some();
        if over.is_some() && looked && !chain.paused && !closed && dossier.paid.is_none() {
            return Err(format!("order {} did not expire", order.id));
        }
        let counts =
            |deposit: &&Deposit| may_count(dossier, deposit) && deposit.state.is_on_chain();
        let final_ones = |deposit: &&Deposit| deposit.state != State::Pending;
        let value = |deposit: &Deposit| (deposit.time, i128::from(deposit.amount.micro()));
        let deposits: Vec<&Deposit> = dossier.deposits.iter().filter(counts).collect();
        let booked = || deposits.iter().copied().filter(final_ones);
        let known: Vec<_> = booked().map(value).collect();
        // A duplicate of a payment that a reorg took back still waits for a person.
        let twice = |deposit: &&Deposit| deposit.state == State::Suspended(CaseKind::Duplicate);
        let once: Vec<_> = booked().filter(|deposit| !twice(deposit)).map(value).collect();
        let deadline = deadline(dossier);
        let by_policy = order.terms.underpaid == Policy::Credit && closed;
        let something = |deposits: &[(Time, i128)]| {
            let mut any = order.clone();
            any.due = None;
            is_covered(&any, deadline, deposits)
        };
        let could = is_covered(order, deadline, &known) || (by_policy && something(&known));
        if dossier.paid.is_some() && !could {
            return Err(format!("order {} is paid with nothing", order.id));
        }
        let waiting = deposits.iter().any(|deposit| deposit.state == State::Pending);
        if dossier.paid.is_none() && !waiting && is_covered(order, deadline, &once) {
            return Err(format!("order {} is covered and not paid", order.id));
        }
        let reversed = || dossier.journals.iter().any(|j| j.key.starts_with("reverse:paid:"));
        if dossier.paid.is_none() && deposits.iter().any(twice) && !reversed() {
            return Err(format!("order {} has a duplicate of nothing", order.id));
        }
        Ok(())
    }

    /// The open cases, and the balance of every account, are those that the deposits ask for.
    fn check_sums(&self, seal: &Seal) -> Result<(), String> {
        let mut nobodys = Share::default();
        for deposit in self.memory.deposits().iter().filter(|deposit| deposit.order.is_none()) {
            nobodys.add_deposit(deposit);
        }
        let mut cases: BTreeSet<&Open> = nobodys.cases.iter().collect();
        cases.extend(seal.dossiers.values().flat_map(|(_, share)| &share.cases));
        let mut found = BTreeSet::new();
        for case in self.memory.cases().iter().filter(|case| case.decision.is_none()) {
            let mut about = case.deposits.clone();
            about.sort_unstable();
            if about.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(format!("case {} names a deposit twice", case.id));
            }
            let held = i128::from(case.amount.micro());
            found.insert((case.kind, case.order.clone(), about, held));
        }
        if !found.iter().eq(cases.iter().copied()) {
            let more = found.iter().find(|case| !cases.contains(case));
            let less = cases.iter().find(|case| !found.contains(**case));
            return Err(format!("the open cases are others: {more:?} instead of {less:?}"));
        }
        if seal.balances != *self.memory.balances() {
            return Err("the kept balances are not those of the journals".to_owned());
        }
        let mut wanted = seal.wanted.clone();
        for (at, net) in nobodys.nets {
            *wanted.entry(at).or_default() += net;
        }
        let mut total: BTreeMap<&Asset, i128> = BTreeMap::new();
        for ((asset, account), sides) in &seal.balances.0 {
            let net = wanted.remove(&(asset.clone(), account.clone())).unwrap_or(0);
            if net != sides.net() {
                return Err(format!("{asset} {account} is {}, not {net}", sides.net()));
            }
            *total.entry(asset).or_default() += net;
        }
        if wanted.values().any(|net| *net != 0) || total.values().any(|net| *net != 0) {
            return Err("an account is missing, or something came from nowhere".to_owned());
        }
        Ok(())
    }
}

/// What may follow what: only a credited deposit is reversed, nothing expires on a paused chain,
/// and what is judged is not judged again where it is.
fn check_turn(before: &Dossier, after: &Dossier, paused: bool) -> Result<(), String> {
    if paused && before.expired != after.expired {
        return Err(format!("order {} expired on a paused chain", after.order.id));
    }
    for (old, new) in before.deposits.iter().zip(&after.deposits) {
        let wrong = || Err(format!("deposit {} was {:?}, is {:?}", new.id, old.state, new.state));
        match (old.state, new.state) {
            (State::Credited, State::Orphaned) => return wrong(),
            (from, State::Reversed) if !matches!(from, State::Credited | State::Reversed) => {
                return wrong();
            }
            // Mined again elsewhere, it is judged anew.
            (State::Dust | State::Suspended(CaseKind::Duplicate | CaseKind::Late), state)
                if old.block == new.block && state.is_on_chain() && state != old.state =>
            {
                return wrong();
            }
            _ if old.id != new.id => return wrong(),
            _ => {}
        }
    }
    Ok(())
}

/// A deposit that counts is flagged late where it came after the order was over; one that is held
/// as too late came after the window, and no other did.
fn check_late(dossier: &Dossier, deposit: &Deposit) -> Result<(), String> {
    let counted = matches!(
        deposit.state,
        State::Confirmed | State::Credited | State::Suspended(CaseKind::Underpaid)
    );
    let late = counted && deadline(dossier).is_some_and(|deadline| deposit.time > deadline);
    let window = dossier.order.terms.late_window;
    let after = deadline(dossier).is_some_and(|deadline| deposit.time > deadline.after(window));
    let held = deposit.state == State::Suspended(CaseKind::Late);
    let hold = dossier.order.terms.late == Policy::Hold;
    let fits = if counted && hold { !after } else { after || !held };
    if (deposit.late == late && fits) || !deposit.state.is_on_chain() {
        return Ok(());
    }
    let (id, state) = (&deposit.id, deposit.state);
    Err(format!("deposit {id} at {:?} is {state:?}, late {}", deposit.time, deposit.late))
}

/// What an order's deposits make of the books.
fn share_of(dossier: &Dossier, order: &Order) -> Result<Share, String> {
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
    fn add_deposit(&mut self, deposit: &Deposit) {
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
                let of_kind = |case: &&payments::case::Case| {
                    case.kind == CaseKind::Overpaid && case.decision.is_none()
                };
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

fn micro(deposit: &Deposit) -> i128 {
    i128::from(deposit.amount.micro())
}

/// When deposits begin to be late.
fn deadline(dossier: &Dossier) -> Option<Time> {
    let both = [dossier.order.expires_at, dossier.cancelled];
    both.into_iter().flatten().min()
}

/// Whether a deposit that was mined again to another address waits for finality or a person.
fn is_held(deposit: &Deposit) -> bool {
    matches!(
        deposit.state,
        State::Pending | State::Suspended(CaseKind::Unassigned | CaseKind::WrongAsset)
    )
}

/// Right address, right chain, right token, and not dust.
fn may_count(dossier: &Dossier, deposit: &Deposit) -> bool {
    let order = &dossier.order;
    deposit.to == order.address
        && deposit.id.chain == order.chain
        && deposit.id.other_token.is_none()
        && deposit.amount.micro() > 0
        && deposit.amount >= order.terms.dust
}
