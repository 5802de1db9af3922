//! Outflows are the transfers from our addresses on the recorded chain, booked only where final,
//! and custody is what the token says.
//!
//! In: the reference's chain and its balances, the recorded outflows. Out: the first that is not
//! what it should be. Why: what left and is still in the books is a hole that no one looks into.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::address::Address;
use payments::case::Case;
use payments::chain::Transfer;
use payments::ledger::{Account, Asset};
use payments::outflow::{Explanation, Outflow, OutflowId, OutflowState, Way};

use crate::assertions::News;
use crate::nature::{TOKEN, TREASURY};
use crate::reference::{Chain, Seen};
use crate::transitions::World;

impl World {
    /// Every shown transfer of the recorded chain that takes something from an address of ours is
    /// an outflow, once, and nothing else is; one is judged only at or below the final height.
    /// Those that no look can change any more are looked at again when their outflow is another
    /// than before, and with all others where everything is.
    pub(crate) fn check_outflows(&self, chain: &Chain, news: &News) -> Result<(), String> {
        if news.all {
            return self.check_all_outflows(chain);
        }
        let seen = chain.shown.news.iter().map(|(seen, _)| seen);
        let written = news.outflows.iter().map(|(_, outflow)| outflow);
        let written = written.filter(|outflow| outflow.id.chain == chain.name);
        let places: Vec<Seen> = written
            .clone()
            .filter_map(|o| Some((chain.find(&o.block.hash)?, o.id.tx, o.id.n, TOKEN)))
            .collect();
        let some: BTreeSet<&Seen> = chain.shown.open().chain(seen).chain(&places).collect();
        let shown = some.into_iter().filter(|seen| chain.shown.has(seen));
        let shown = shown.filter(|seen| self.leaves(chain, seen));
        let shown: Result<BTreeSet<_>, _> =
            shown.map(|seen| self.check_outflow(chain, seen)).collect();
        let shown = shown?;
        let logged = |outflow: &&Arc<Outflow>| outflow.id.way == Way::Transfer;
        for outflow in written.filter(logged).filter(|outflow| outflow.state.is_on_chain()) {
            if !shown.contains(&outflow.id) {
                return Err(format!("outflow {} is not on the chain", outflow.id));
            }
        }
        Ok(())
    }

    /// Every one of them, and the cases about them.
    pub(crate) fn check_all_outflows(&self, chain: &Chain) -> Result<(), String> {
        let shown = chain.shown().filter(|seen| self.leaves(chain, seen));
        let shown: Result<BTreeSet<_>, _> =
            shown.map(|seen| self.check_outflow(chain, seen)).collect();
        let shown = shown?;
        let here = |o: &&Arc<Outflow>| {
            o.id.chain == chain.name && o.state.is_on_chain() && o.id.way == Way::Transfer
        };
        if let Some(outflow) =
            self.memory.outflows().iter().filter(here).find(|o| !shown.contains(&o.id))
        {
            return Err(format!("outflow {} is not on the chain", outflow.id));
        }
        self.check_notices(chain)?;
        self.check_outflow_cases(chain)
    }

    /// A case asks about each outflow that nobody has explained, or that is destroyed, and is open
    /// until a person dismisses it; and there is no other.
    fn check_outflow_cases(&self, chain: &Chain) -> Result<(), String> {
        let asked = |o: &&Arc<Outflow>| {
            let judged = matches!(o.state, OutflowState::Booked | OutflowState::Waiting);
            let asks = matches!(o.explained, None | Some(Explanation::Destroyed));
            o.id.chain == chain.name && judged && asks
        };
        let mut wanted: BTreeMap<_, _> =
            self.memory.outflows().iter().filter(asked).map(|o| (o.case(), &o.order)).collect();
        let of_kind = |case: &&Arc<Case>| case.kind.is_about_an_outflow();
        for case in self.memory.cases().iter().filter(of_kind).filter(|c| c.chain == chain.name) {
            let order = wanted.remove(&case.id);
            let open = case.decision.is_none();
            if order.is_none() && open || order.is_some_and(|order| *order != case.order) {
                return Err(format!("case {} is about no such outflow", case.id));
            }
        }
        match wanted.first_key_value() {
            Some((id, _)) => Err(format!("case {id} is missing")),
            None => Ok(()),
        }
    }

    fn check_outflow(&self, chain: &Chain, seen: &Seen) -> Result<OutflowId, String> {
        let transfer = chain.transfer(seen);
        let (name, tx, n) = (chain.name.clone(), transfer.tx, transfer.n);
        let id = OutflowId { chain: name, tx, n, way: Way::Transfer };
        let found = self.memory.outflow(&id);
        let Some(outflow) = found else { return Err(format!("outflow {id} is missing")) };
        let same = (outflow.from, outflow.to, outflow.raw, outflow.block, outflow.log_index)
            == (transfer.from, transfer.to, transfer.raw, transfer.block, transfer.log_index);
        if !same || outflow.time != transfer.time || !outflow.state.is_on_chain() {
            return Err(format!("outflow {id} is not the transfer on the chain"));
        }
        let judged = outflow.state != OutflowState::Pending;
        let is_final = chain.known_final.is_some_and(|known| transfer.block.height <= known);
        if judged && !is_final {
            return Err(format!("outflow {id} is judged and is not final"));
        }
        let to_treasury = transfer.to == TREASURY;
        let swept = outflow.explained == Some(Explanation::Treasury);
        let beside =
            |t: &Transfer| t.tx == transfer.tx && t.to == TREASURY && t.n.abs_diff(transfer.n) == 1;
        let fee = outflow.explained == Some(Explanation::Fee);
        let swept_beside = chain.blocks[seen.0].transfers.iter().any(beside);
        let burnt = transfer.to == Address::NOBODY;
        let destroyed = outflow.explained == Some(Explanation::Destroyed);
        let fits = swept == to_treasury && destroyed == burnt && (!fee || swept_beside);
        if judged && !fits {
            return Err(format!("outflow {id} is explained by {:?}", outflow.explained));
        }
        Ok(id)
    }

    /// Whether a transfer takes something from one of our addresses.
    fn leaves(&self, chain: &Chain, seen: &Seen) -> bool {
        let t = chain.transfer(seen);
        let moves = t.token == TOKEN && !t.raw.is_zero() && t.from != t.to;
        moves && self.memory.owners().contains_key(&t.from)
    }

    /// With everything shown, final and judged, custody is the balance: exactly with six decimals,
    /// and with more within what each transfer rounds (above it only where a deposit of less than
    /// that was missed and found again).
    pub(crate) fn check_custody(&mut self) -> Result<(), String> {
        for at in 0..self.chains.len() {
            let balances = self.chains[at].balances().clone();
            let chain = &self.chains[at];
            let decimals = self.rules[&chain.name].decimals;
            let unit = ruint::aliases::U256::from(10u8).pow((decimals - 6).try_into().unwrap());
            let waits = |o: &&Arc<Outflow>| {
                o.id.chain == chain.name
                    && matches!(o.state, OutflowState::Pending | OutflowState::Waiting)
            };
            if let Some(outflow) = self.memory.outflows().iter().find(waits) {
                return Err(format!("outflow {} waits for ever", outflow.id));
            }
            for address in self.memory.owners().keys() {
                let raw = balances.get(address);
                let real = i128::try_from(raw / unit).unwrap();
                let custody = self.custody(chain, address);
                let ends =
                    |t: &&Transfer| t.token == TOKEN && (t.from == *address || t.to == *address);
                let blocks = chain.truth.iter().map(|at| &chain.blocks[*at]);
                let moved = blocks.flat_map(|block| block.transfers.iter().chain(&block.destroyed));
                let count = moved.filter(ends).count();
                let least =
                    if decimals == 6 { real } else { real - i128::try_from(count).unwrap() };
                let most = if decimals == 6 { real } else { real + i128::try_from(count).unwrap() };
                if custody > most || custody < least {
                    let name = &chain.name;
                    return Err(format!("{address} holds {real} on {name}, the books {custody}"));
                }
            }
        }
        Ok(())
    }

    fn custody(&self, chain: &Chain, address: &Address) -> i128 {
        let account = Account::Custody(chain.name.clone(), *address);
        -self.memory.net(&Asset::Usdt(chain.name.clone()), &account)
    }
}
