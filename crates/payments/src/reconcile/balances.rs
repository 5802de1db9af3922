//! The side of the balances: what the token says each address holds, and accounts below zero.
//!
//! In: balances at the cut-off, sums over the books. Out: findings B501 and G402.
//! Never: a tolerance; base units are compared with base units.
//! Why: a transfer that was hidden from every reader still moved the balance.

use std::collections::BTreeMap;

use ruint::aliases::U256;

use super::chain::amount;
use super::code::Code;
use super::compare::{Comparison, text};
use super::left::is_burnt;
use super::observed::TokenEvent;
use crate::address::Address;
use crate::name::ChainName;

impl Comparison<'_> {
    /// The balance of every address that was asked for, and every custody account.
    pub(super) fn balances(&mut self) {
        let mut wrong = Vec::new();
        for (name, index) in &self.chains {
            let moved = self.moved(name);
            for (address, found) in &index.seen.balances {
                let held = self.held.get(&(name.clone(), *address));
                let (came, went) = moved.get(address).copied().unwrap_or_default();
                let opening = held.map(|held| held.opening).unwrap_or_default();
                let left = held.map(|held| held.left).unwrap_or_default();
                let wanted = opening.saturating_add(came).checked_sub(went);
                let wanted = wanted.and_then(|wanted| wanted.checked_sub(left));
                if wanted == Some(*found) {
                    continue;
                }
                let micro = |raw| amount(raw, index.decimals);
                let wanted = wanted.unwrap_or_default();
                let spelled = self.frame.spell(name, address);
                let what = format!(
                    "the token says that {spelled} holds {}, its transfers make {}",
                    text(micro(*found)),
                    text(micro(wanted))
                );
                let size = micro(found.abs_diff(wanted));
                wrong.push((name.clone(), *address, what, size));
            }
        }
        for ((chain, address), held) in &self.held {
            // Where the token says otherwise too, that line is kept: it is of the same key.
            if held.booked != held.expected && !held.named {
                let (booked, expected) = (text(held.booked), text(held.expected));
                let spelled = self.frame.spell(chain, address);
                let what = format!(
                    "the custody account of {spelled} has {booked}, its deposits {expected}"
                );
                let size = held.booked.saturating_sub(held.expected).saturating_abs();
                wrong.push((chain.clone(), *address, what, size));
            }
        }
        for (chain, address, what, size) in wrong {
            let key = format!("{chain}:{}", self.frame.spell(&chain, &address));
            if let Some(finding) = self.find(Code::BalanceDiffers, key, what) {
                finding.chain = Some(chain);
                finding.amount = size;
            }
        }
    }

    /// What came to and went from each address of ours on a chain, in base units.
    fn moved(&self, chain: &ChainName) -> BTreeMap<Address, (U256, U256)> {
        let mut moved: BTreeMap<Address, (U256, U256)> = BTreeMap::new();
        let Some(index) = self.chains.get(chain) else { return moved };
        let token = self.frame.rules.get(chain).map(|rules| rules.token);
        let own = index.seen.transfers.iter().filter(|transfer| Some(transfer.token) == token);
        for transfer in own.filter(|transfer| transfer.from != transfer.to) {
            if index.seen.ours.contains(&transfer.to) {
                let (came, _) = moved.entry(transfer.to).or_default();
                *came = came.saturating_add(transfer.raw);
            }
            if index.seen.ours.contains(&transfer.from) {
                let (_, went) = moved.entry(transfer.from).or_default();
                *went = went.saturating_add(transfer.raw);
            }
        }
        // What one endpoint alone could read is known by the books, as everything beside it.
        let read = |event: &&TokenEvent| !index.seen.leaves_to_the_books(event.block.height);
        for event in index.seen.token_events.iter().filter(read) {
            if let Some(address) = event.address
                && !is_burnt(&index.seen.transfers, event, token)
            {
                let (_, went) = moved.entry(address).or_default();
                *went = went.saturating_add(event.taken);
            }
        }
        moved
    }

    /// Nothing but a reversal takes credits from a customer, and that leaves at least nothing.
    pub(super) fn customers(&mut self) {
        let below: Vec<_> = self
            .customers
            .iter()
            .filter(|(_, sum)| **sum < 0)
            .map(|(customer, sum)| (customer.clone(), *sum))
            .collect();
        for (customer, sum) in below {
            let what = format!("customer {customer} has {} credits", text(sum));
            if let Some(finding) =
                self.find(Code::NegativeBalance, format!("customer:{customer}"), what)
            {
                finding.amount = sum.saturating_abs();
            }
        }
    }
}
