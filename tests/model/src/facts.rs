//! Orders: paid, expired, late, and what may follow what.
//!
//! In: an order with all that is recorded of it, before and after. Out: what is not true of it.
//! Why: these are what a customer is told.

use payments::case::CaseKind;
use payments::deposit::{Deposit, State};
use payments::order::{Dossier, Policy};
use payments::time::Time;

use crate::decisions::{decided, is_taken};
use crate::reference::is_covered;
use crate::shares::own;
use crate::transitions::World;

impl World {
    /// Paid, expired and cancelled are what the chain says.
    pub(crate) fn check_facts(&self, dossier: &Dossier) -> Result<(), String> {
        let order = &dossier.order;
        let chain = self.chain(&order.chain);
        // What a lost branch has decided about time stays decided.
        let past = |expiry| chain.passed.is_some_and(|time| time > expiry);
        let over = order.expires_at.filter(|expiry| past(*expiry));
        if dossier.expired.is_some() && dossier.expired != over {
            return Err(format!("order {} expired too early", order.id));
        }
        let closed = dossier.expired.is_some() || dossier.cancelled.is_some();
        let counts =
            |deposit: &&Deposit| may_count(dossier, deposit) && deposit.state.is_on_chain();
        let final_ones =
            |deposit: &&Deposit| deposit.state != State::Pending && !is_taken(deposit.state);
        // Of what a person counts for an order, nobody asks when it came.
        let time = |d: &Deposit| if d.assigned.is_some() { Time(i64::MIN) } else { d.time };
        let value = |deposit: &Deposit| (time(deposit), own(dossier, deposit));
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
        let credited = |d: &&Deposit| d.state == State::Credited && !could;
        let by_person = |d: &Deposit| decided(dossier, &d.id).is_some();
        let could = could || dossier.deposits.iter().filter(credited).any(by_person);
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

    /// Nothing that is over stays open once a chain was looked at.
    pub(crate) fn check_expiry(&self, dossier: &Dossier) -> Result<(), String> {
        let Some(expiry) = dossier.order.expires_at else { return Ok(()) };
        let decided =
            dossier.expired.is_some() || dossier.cancelled.is_some() || dossier.paid.is_some();
        let chain = self.chain(&dossier.order.chain);
        if decided || chain.paused || chain.final_time().is_none_or(|time| time <= expiry) {
            return Ok(());
        }
        Err(format!("order {} did not expire", dossier.order.id))
    }
}

/// What may follow what: only what granted credits is reversed, nothing expires on a paused chain,
/// and what is judged is not judged again where it is.
pub(crate) fn check_turn(before: &Dossier, after: &Dossier, paused: bool) -> Result<(), String> {
    if paused && before.expired != after.expired {
        return Err(format!("order {} expired on a paused chain", after.order.id));
    }
    for (old, new) in before.deposits.iter().zip(&after.deposits) {
        let wrong = || Err(format!("deposit {} was {:?}, is {:?}", new.id, old.state, new.state));
        match (old.state, new.state) {
            (State::Credited, State::Orphaned) => return wrong(),
            (State::Credited | State::Granted | State::Reversed, State::Reversed) => {}
            (_, State::Reversed) => return wrong(),
            // Mined again elsewhere, it is judged anew.
            (State::Dust | State::Suspended(CaseKind::Duplicate | CaseKind::Late), state)
                if old.block == new.block
                    && state.is_on_chain()
                    && state != old.state
                    && decided(after, &new.id).is_none() =>
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
pub(crate) fn check_late(dossier: &Dossier, deposit: &Deposit) -> Result<(), String> {
    let counted = matches!(
        deposit.state,
        State::Confirmed | State::Credited | State::Suspended(CaseKind::Underpaid)
    );
    let over = deadline(dossier).is_some_and(|deadline| deposit.time > deadline);
    // What a decision took keeps the flag that it had when it counted, if it ever did.
    let flagged = deposit.late == (counted && over) || (is_taken(deposit.state) && over);
    let window = dossier.order.terms.late_window;
    let after = deadline(dossier).is_some_and(|deadline| deposit.time > deadline.after(window));
    let held = deposit.state == State::Suspended(CaseKind::Late);
    let hold = dossier.order.terms.late == Policy::Hold;
    let by_person = deposit.assigned.is_some() || decided(dossier, &deposit.id).is_some();
    let fits = by_person || if counted && hold { !after } else { after || !held };
    if (flagged && fits) || !deposit.state.is_on_chain() {
        return Ok(());
    }
    let (id, state) = (&deposit.id, deposit.state);
    Err(format!("deposit {id} at {:?} is {state:?}, late {}", deposit.time, deposit.late))
}

/// When deposits begin to be late.
fn deadline(dossier: &Dossier) -> Option<Time> {
    let both = [dossier.order.expires_at, dossier.cancelled];
    both.into_iter().flatten().min()
}

/// Right address, right chain, right token, and not dust.
pub(crate) fn may_count(dossier: &Dossier, deposit: &Deposit) -> bool {
    let order = &dossier.order;
    (deposit.to == order.address || deposit.assigned.is_some())
        && deposit.id.chain == order.chain
        && deposit.id.other_token.is_none()
        && deposit.amount.micro() > 0
        && deposit.amount >= order.terms.dust
}
