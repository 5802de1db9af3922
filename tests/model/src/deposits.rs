//! Deposits are the transfers of the recorded chain, each once, and booked only where final.
//!
//! In: the reference's chain, the recorded deposits. Out: the first that is not what it should be.
//! Never: a pair passed over of which either side changed.
//! Why: a deposit too many is a double credit, one too few is a lost payment.

use std::collections::BTreeSet;

use payments::case::CaseKind;
use payments::chain::Transfer;
use payments::deposit::{Deposit, DepositId, State};
use payments::name::OrderId;

use crate::assertions::{News, Seal};
use crate::decisions::is_taken;
use crate::facts::may_count;
use crate::reference::{self, Chain, Seen, amount_of};
use crate::transitions::World;

/// What is known of one chain's deposits.
#[derive(Default)]
pub(crate) struct Tally {
    /// Shown transfers that carry something to one of our addresses.
    shown: usize,
    /// Deposits on the chain.
    pub(crate) recorded: usize,
    /// Final for ever, and pending.
    waiting: BTreeSet<Seen>,
}

impl World {
    /// Every shown transfer of the recorded chain to one of our addresses is a deposit, once, and
    /// nothing else is; nothing is in the books that is not final by its rule. Transfers that no
    /// look can change any more are looked at again when their deposit is another than before.
    pub(crate) fn check_deposits(
        &self,
        chain: &Chain,
        looked: bool,
        news: &News,
        seal: &mut Seal,
    ) -> Result<(), String> {
        let mut tally = seal.tallies.remove(&chain.name).unwrap_or_default();
        let mut suspects: BTreeSet<Seen> = tally.waiting.iter().copied().collect();
        if news.all {
            tally = Tally::default();
            suspects = chain.shown().copied().collect();
            tally.shown = suspects.iter().filter(|seen| self.is_ours(chain, seen)).count();
        } else {
            suspects.extend(chain.shown.open());
            for (seen, what) in &chain.shown.news {
                suspects.insert(*seen);
                if *what != reference::News::Sealed && self.is_ours(chain, seen) {
                    let came = *what == reference::News::Came;
                    tally.shown = if came { tally.shown + 1 } else { tally.shown - 1 };
                }
            }
        }
        for (before, after) in &news.deposits {
            for (deposit, new) in [(before.as_deref(), false), (Some(after.as_ref()), true)] {
                // What a decision counts for another order arrived once.
                let arrived = deposit.filter(|d| d.assigned.is_none());
                let Some(deposit) = arrived.filter(|d| d.id.chain == chain.name) else { continue };
                suspects.extend(self.place(chain, deposit));
                let on_chain = usize::from(deposit.state.is_on_chain());
                // Of all that are there, none was counted before.
                match (new, news.all) {
                    (true, _) => tally.recorded += on_chain,
                    (false, false) => tally.recorded -= on_chain,
                    (false, true) => {}
                }
            }
        }
        tally.waiting.clear();
        for seen in suspects {
            if chain.shown.has(&seen) && self.check_transfer(chain, &seen, looked, seal)? {
                tally.waiting.insert(seen);
            }
        }
        if tally.recorded != tally.shown {
            let (recorded, shown) = (tally.recorded, tally.shown);
            return Err(format!("{recorded} deposits are recorded on a chain that shows {shown}"));
        }
        seal.tallies.insert(chain.name.clone(), tally);
        Ok(())
    }

    /// Whether a transfer to us is in a final block, and recorded nowhere.
    pub(crate) fn was_missed(&self, transfer: &Transfer) -> bool {
        let ours = self.memory.owners().contains_key(&transfer.to);
        let empty = transfer.raw.is_zero() || transfer.from == transfer.to;
        ours && !empty
            && self.memory.deposits_by(&transfer.tx).all(|known| known.id.n != transfer.n)
    }

    /// Whether a transfer carries something to one of our addresses.
    pub(crate) fn is_ours(&self, chain: &Chain, seen: &Seen) -> bool {
        let transfer = chain.transfer(seen);
        let empty = transfer.raw.is_zero() || transfer.from == transfer.to;
        !empty && self.memory.owners().contains_key(&transfer.to)
    }

    /// The deposit that a transfer is.
    pub(crate) fn id_of(&self, chain: &Chain, transfer: &Transfer) -> DepositId {
        let other_token = transfer.token != self.rules[&chain.name].token;
        let other_token = other_token.then_some(transfer.token);
        DepositId { chain: chain.name.clone(), tx: transfer.tx, n: transfer.n, other_token }
    }

    /// Which transfer a deposit says it is.
    pub(crate) fn place(&self, chain: &Chain, deposit: &Deposit) -> Option<Seen> {
        let token = deposit.id.other_token.unwrap_or(self.rules[&chain.name].token);
        Some((chain.find(&deposit.block.hash)?, deposit.id.tx, deposit.id.n, token))
    }

    /// One shown transfer; whether its deposit is pending.
    fn check_transfer(
        &self,
        chain: &Chain,
        seen: &Seen,
        looked: bool,
        seal: &Seal,
    ) -> Result<bool, String> {
        if !self.is_ours(chain, seen) {
            return Ok(false);
        }
        let (rules, transfer) = (&self.rules[&chain.name], chain.transfer(seen));
        let owner = &self.memory.owners()[&transfer.to];
        let id = self.id_of(chain, transfer);
        let Some(deposit) = self.memory.deposit(&id) else {
            return Err(format!("deposit {id} is missing"));
        };
        let here = (deposit.block, deposit.time, deposit.log_index)
            == (transfer.block, transfer.time, transfer.log_index);
        let same =
            (deposit.from, deposit.to, deposit.raw) == (transfer.from, transfer.to, transfer.raw);
        let amount = i128::from(deposit.amount.micro()) == amount_of(transfer, rules);
        let stays = |order: &OrderId| self.orders.contains_key(order);
        let astray = deposit.order.as_ref() != owner.as_ref() && is_held(deposit);
        let theirs = deposit.order == *owner
            || (deposit.order.is_none() && self.pool.contains(&deposit.to))
            || (deposit.order.as_ref().is_none_or(stays) && astray);
        if !here || !same || !amount || !theirs || !deposit.state.is_on_chain() {
            return Err(format!("deposit {id} is not the transfer on the chain"));
        }
        let pending = deposit.state == State::Pending;
        if !pending && !chain.shown.is_settled(seen) {
            return Err(format!("deposit {id} is booked and is not final"));
        }
        if pending && looked && !chain.paused && chain.shown.is_settling(seen) {
            self.check_waiting(deposit, chain, seal)?;
        }
        Ok(pending)
    }

    /// A final deposit is still pending only behind another of its order that is not final, or
    /// where it came after an expiry that is not decided.
    fn check_waiting(&self, deposit: &Deposit, chain: &Chain, seal: &Seal) -> Result<(), String> {
        let wrong = || Err(format!("deposit {} is final and was passed over", deposit.id));
        let kept = deposit.order.as_ref().and_then(|id| seal.kept.get(id));
        let Some(dossier) = kept.map(|kept| &kept.dossier) else {
            return wrong();
        };
        if !may_count(dossier, deposit) {
            return wrong();
        }
        let settled = |other: &Deposit| {
            self.place(chain, other).is_some_and(|seen| chain.shown.is_settling(&seen))
        };
        let behind = dossier.deposits.iter().any(|other| {
            other.state == State::Pending && may_count(dossier, other) && !settled(other)
        });
        let after = dossier.order.expires_at.is_some_and(|expiry| deposit.time > expiry);
        let expiry = dossier.order.expires_at;
        let undecided = after && chain.final_time().is_none_or(|time| Some(time) <= expiry);
        if behind || undecided { Ok(()) } else { wrong() }
    }
}

/// Whether a deposit that was mined again to another address waits for finality or a person.
fn is_held(deposit: &Deposit) -> bool {
    let held = matches!(
        deposit.state,
        State::Pending | State::Suspended(CaseKind::Unassigned | CaseKind::WrongAsset)
    );
    held || is_taken(deposit.state)
}
