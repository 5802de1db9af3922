//! What is credited in an hour, counted again.
//!
//! In: what was written, and the ceilings. Out: the first credit beyond one; which chains wait.
//! Never: the sum that the cursor keeps. Why: a ceiling that is kept but for one case is none.

use std::collections::BTreeMap;

use payments::amount::Usdt;
use payments::changes::{Changes, Update};
use payments::ledger::Account;
use payments::name::OrderId;

use crate::transitions::World;

const HOUR: i64 = 3_600_000;

impl World {
    /// A history in which anything happens: branches that were final are lost, the issuer speaks;
    /// every third has a ceiling for what is credited in an hour.
    pub(crate) fn capped(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.loses = true;
        if seed % 3 == 1 {
            world.cap(Usdt::from_micro(250_000_000));
        }
        world
    }

    pub(crate) fn cap(&mut self, most: Option<Usdt>) {
        for rules in self.rules.values_mut() {
            rules.bounds.hourly_credits = most;
        }
    }

    /// Counts what the rules credited, beyond what they took back. Where a chain is paused, what a
    /// reorg took is given again all the same; what a person decides is not counted.
    pub(crate) fn count_credits(&mut self, update: &Update, changes: &Changes) {
        let (now, order) = (self.now, |id| self.orders.get(id).map(|order| &order.chain));
        let chain = match update {
            Update::Scan(scan) => &scan.chain,
            Update::Rescan { chain, .. } => chain,
            Update::Cancel(id) => match order(id) {
                Some(chain) => chain,
                None => return,
            },
            Update::Resume { chain, .. } => {
                self.credited.remove(chain);
                return;
            }
            Update::Adopt(adoption) => {
                self.credited.remove(&adoption.chain);
                &adoption.chain
            }
            _ => return,
        };
        let sold = sold(changes);
        if sold == 0 {
            return;
        }
        let goes_on = matches!(update, Update::Adopt(_));
        let (chain, paused) = (chain.clone(), self.chain(chain).paused && !goes_on);
        let ceiling = self.rules[&chain].bounds.hourly_credits;
        let credited = self.credited.entry(chain.clone()).or_default();
        credited.retain(|(at, _)| now - at < HOUR);
        credited.push((now, sold));
        let sum: i128 = credited.iter().map(|(_, sold)| sold).sum();
        if ceiling.is_some_and(|most| sum > i128::from(most.micro())) && !paused {
            let what = format!("{chain} credited {sum} within an hour");
            self.overshot.get_or_insert(what);
        }
    }

    /// A chain that reached its ceiling waits for a person.
    pub(crate) fn follow_ceiling(&mut self, changes: &Changes) {
        for chain in &mut self.chains {
            chain.stopped = false;
            let capped = self.rules[&chain.name].bounds.hourly_credits.is_some();
            let stops = changes.cursor.as_ref().filter(|mv| mv.chain == chain.name && capped);
            if stops.is_some_and(|mv| mv.paused.is_some()) && !chain.paused {
                (chain.paused, chain.stopped) = (true, true);
                self.marks.insert("an hour's ceiling was reached");
            }
        }
    }
}

/// What was sold, of each order beyond what was taken back of it.
fn sold(changes: &Changes) -> i128 {
    let mut of_orders: BTreeMap<Option<&OrderId>, i128> = BTreeMap::new();
    for journal in &changes.journals {
        let key = journal.key.strip_prefix("reverse:").unwrap_or(&journal.key);
        for entry in journal.entries.iter().filter(|_| key.starts_with("paid:")) {
            let amount = i128::from(entry.amount);
            let sold = of_orders.entry(journal.order.as_ref()).or_default();
            *sold += match (&entry.debit, &entry.credit) {
                (_, Account::Sales) => amount,
                (Account::Sales, _) => -amount,
                _ => 0,
            };
        }
    }
    of_orders.into_values().filter(|sold| *sold > 0).sum()
}
