//! Decisions of people about cases, and what becomes of refunds.
//!
//! In: chances. Out: updates, most of which fit, and what must be true of those that were taken.
//! Never: a rule taken from `payments`; when a decision may be taken is counted again.

use std::sync::Arc;

use payments::Update;
use payments::address::Address;
use payments::amount::Usdt;
use payments::case::{Case, CaseKind, RefundState, Resolution, StepKind};
use payments::chain::{Transfer, TxHash};
use payments::changes::{Changes, RefundFact};
use payments::deposit::{DepositId, State};
use payments::lookup::{Mined, Transaction};
use payments::name::OrderId;
use payments::order::Dossier;
use payments::outflow::OutflowId;
use payments::time::Time;
use payments::{PlanError, plan};

use crate::nature::{TOKEN, address};
use crate::random::Random;
use crate::transitions::World;

impl World {
    /// A person says something about a case, or the chain is asked about a refund.
    pub(crate) fn decision(&mut self) -> Option<Update> {
        let refunds: Vec<Arc<Case>> = self.refunds().cloned().collect();
        if !refunds.is_empty() && self.random.chance(50) {
            let case = Arc::clone(self.random.pick(&refunds));
            return Some(self.refund_fact(&case));
        }
        let all = self.memory.cases();
        let open: Vec<_> = all.iter().filter(|case| case.decision.is_none()).collect();
        if all.is_empty() {
            return None;
        }
        let case = if open.is_empty() || self.random.chance(10) {
            (**self.random.pick(all)).clone()
        } else {
            (***self.random.pick(&open)).clone()
        };
        let by = (*self.random.pick(&["ann", "Ann ", "bob"])).to_owned();
        let why = "so".to_owned();
        if case.proposal().is_some() && self.random.chance(10) {
            return Some(Update::Withdraw { case: case.id, by, why });
        }
        let proposed = case.proposal().map(|(resolution, _)| resolution.clone());
        let resolution = match proposed.filter(|_| self.random.chance(80)) {
            Some(resolution) => resolution,
            None => self.some_resolution(&case),
        };
        Some(Update::Resolve { case: case.id, resolution, by, why })
    }

    fn some_resolution(&mut self, case: &Case) -> Resolution {
        match self.random.below(7) {
            0 | 1 => Resolution::Credit,
            2 => Resolution::Dismiss,
            3 | 4 => {
                let orders: Vec<&OrderId> = self.orders.keys().rev().take(12).collect();
                if orders.is_empty() {
                    return Resolution::Dismiss;
                }
                Resolution::Reassign((*self.random.pick(&orders)).clone())
            }
            _ => {
                let named = case.order.as_ref().and_then(|id| self.orders.get(id));
                let named = named.and_then(|order| order.refund_to);
                let stranger = address("stranger", self.random.below(3));
                let to = named.filter(|_| self.random.chance(60)).unwrap_or(stranger);
                let fee = *self.random.pick(&[0, 1, 800_000, 9_999_999]);
                Resolution::Refund { to, fee: Usdt::from_micro(fee).unwrap() }
            }
        }
    }

    fn refunds(&self) -> impl Iterator<Item = &Arc<Case>> {
        self.memory.cases().iter().filter(|case| {
            case.refund().is_some_and(|refund| refund.state != RefundState::Verified)
        })
    }

    /// What becomes known of a refund: a transaction, or what the chain says of it.
    fn refund_fact(&mut self, case: &Case) -> Update {
        let (id, by) = (case.id.clone(), "ann".to_owned());
        let refund = case.refund().unwrap();
        let fact = match (refund.state, refund.tx) {
            (RefundState::Sent, Some(tx)) if self.random.chance(5) => {
                RefundFact::GivenUp(tx, "it was never mined".to_owned())
            }
            (RefundState::Sent, Some(tx)) => {
                RefundFact::Seen(tx, self.answer(case, tx, refund.to, refund.net))
            }
            // Few transactions, so that some are given for two refunds.
            _ => RefundFact::Sent(refund_tx(&mut self.random)),
        };
        Update::Refund { case: id, by, fact }
    }

    /// What a node says of the transaction: mostly that it pays.
    fn answer(&mut self, case: &Case, tx: TxHash, to: Address, net: Usdt) -> Transaction {
        let chain = self.chain(&case.chain);
        let decimals = self.rules[&case.chain].decimals;
        let tip = chain.path.len();
        let at = match self.random.below(4) {
            0 => return Transaction::Pending,
            1 => tip.saturating_sub(1),
            _ => tip.saturating_sub(20),
        };
        let chain = self.chain(&case.chain);
        let header = chain.blocks[chain.path[at]].header;
        let wrong = self.random.chance(20);
        let raw = net.to_raw(decimals).unwrap() + ruint::aliases::U256::from(u8::from(wrong));
        let transfer = Transfer {
            tx,
            n: 0,
            log_index: 0,
            block: header.id,
            time: header.time,
            token: TOKEN,
            from: address("treasury", 0),
            to,
            raw,
        };
        let (block, time) = (header.id, header.time);
        let succeeded = !self.random.chance(5);
        let transfers = if succeeded { vec![transfer] } else { Vec::new() };
        Transaction::Mined(Mined { succeeded, block, time, transfers, others: Vec::new() })
    }

    /// What was decided could be decided, and the same again changes nothing.
    pub(crate) fn foretell_decision(
        &self,
        update: &Update,
        planned: &Result<Changes, PlanError>,
    ) -> Result<(), String> {
        let Ok(changes) = planned else { return Ok(()) };
        if changes.is_empty() {
            return Ok(());
        }
        match update {
            Update::Resolve { case, resolution, by, .. } => {
                let before = self.memory.cases().iter().find(|known| known.id == *case);
                let before = before.ok_or("a case that is not was decided")?;
                if before.decision.is_some() {
                    return Err(format!("case {case} was decided twice"));
                }
                let is_decided = |new: &Case| new.id == *case && new.decision.is_some();
                if changes.cases.iter().any(is_decided) {
                    self.was_decidable(before, resolution, by)?;
                }
            }
            Update::Refund { case, fact: RefundFact::Seen(_, seen), .. } => {
                let paid =
                    |step: &payments::case::Step| matches!(step.kind, StepKind::Verified { .. });
                let news = changes.cases.iter().find(|new| new.id == *case);
                if news.is_some_and(|new| new.steps.last().is_some_and(paid)) {
                    self.was_paid(news.unwrap(), seen)?;
                }
            }
            _ => {}
        }
        let again = plan(&self.rules, &self.memory.snapshot(update), update, Time(self.now));
        if again.as_ref() == Ok(changes) { Ok(()) } else { Err("planned otherwise".to_owned()) }
    }

    fn was_decidable(&self, case: &Case, resolution: &Resolution, by: &str) -> Result<(), String> {
        let id = &case.id;
        let chain = self.chain(&case.chain);
        let gives = matches!(resolution, Resolution::Credit | Resolution::Reassign(_));
        if chain.paused && gives {
            return Err(format!("case {id} was credited on a paused chain"));
        }
        let of_case = |known: &DepositId| case.deposits.contains(known);
        let deposits = self.memory.deposits().iter();
        let mut about = deposits.filter(|d| d.order == case.order && of_case(&d.id));
        let is_final = |height| chain.known_final.is_some_and(|known| height <= known);
        let reversed = case.kind == CaseKind::ReversedAfterCredit;
        if !reversed && !about.all(|deposit| is_final(deposit.block.height)) {
            return Err(format!("case {id} was decided before it was final"));
        }
        let named = case.order.as_ref().and_then(|order| self.orders.get(order));
        let named = named.filter(|order| order.chain == case.chain);
        let stated = match resolution {
            Resolution::Refund { to, .. } => named.is_none_or(|order| order.refund_to != Some(*to)),
            _ => false,
        };
        let above = self.rules[&case.chain].bounds.two_person_above;
        let left = OutflowId::of_case(case).and_then(|id| self.memory.outflow(&id));
        let at_stake = left.map_or(case.amount, |left| left.amount);
        let two = stated || above.is_some_and(|above| at_stake > above);
        let person = |name: &str| name.trim().to_lowercase();
        match case.steps.last() {
            Some(step) if step.kind == StepKind::Proposed(resolution.clone()) => {
                if person(&step.by) == person(by) {
                    return Err(format!("{by} confirmed what {by} proposed about {id}"));
                }
                Ok(())
            }
            _ if two => Err(format!("case {id} was decided by one person")),
            _ => Ok(()),
        }
    }

    fn was_paid(&self, case: &Case, seen: &Transaction) -> Result<(), String> {
        let wrong = Err(format!("the refund of {} was believed", case.id));
        let (Transaction::Mined(mined), Some(refund)) = (seen, case.refund()) else {
            return wrong;
        };
        let chain = self.chain(&case.chain);
        let known = chain.known_final.is_some_and(|known| mined.block.height <= known);
        let raw = refund.net.to_raw(self.rules[&case.chain].decimals);
        let pays = |t: &Transfer| t.to == refund.to && Some(t.raw) == raw && t.token == TOKEN;
        if known && mined.succeeded && mined.transfers.iter().any(pays) { Ok(()) } else { wrong }
    }
}

fn refund_tx(random: &mut Random) -> TxHash {
    let mut hash = [0xee; 32];
    hash[..8].copy_from_slice(&random.below(40).to_be_bytes());
    TxHash(hash)
}

/// Whether a person, and no later fact, decided about a deposit of this order.
pub(crate) fn decided<'a>(dossier: &'a Dossier, id: &DepositId) -> Option<&'a Case> {
    let by_person = |case: &&Case| {
        let by = case.decision.as_ref().map(|decision| &decision.resolution);
        // One about credits that were taken back holds nothing, and decides nothing about them.
        let held = case.kind != CaseKind::ReversedAfterCredit;
        let person = by.is_some_and(|resolution| *resolution != Resolution::Itself);
        held && person && case.deposits.contains(id)
    };
    dossier.cases.iter().rfind(by_person)
}

/// Whether a decision took a deposit out of what counts for its order.
pub(crate) const fn is_taken(state: State) -> bool {
    matches!(
        state,
        State::Granted | State::Refunding | State::Refunded | State::Reassigned | State::Dismissed
    )
}
