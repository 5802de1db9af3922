//! The side of what left: outflows, their transfers or notices, their journals.
//!
//! In: an outflow of the books, after every journal. Out: findings C102, C103, C105, C106 and C109
//! about it, L302, L303 and L304 about its journal; B504 with what was destroyed without one.
//! Never: an amount of the ledger taken for the chain's; the journal says what the outflow says.
//! Why: a sweep that a node made up hides where the money of an address is.

use std::ops::Bound;

use super::cause::base;
use super::chain::amount;
use super::code::Code;
use super::compare::{Comparison, text};
use super::observed::TokenEvent;
use super::report::Finding;
use crate::address::Address;
use crate::amount::Usdt;
use crate::chain::{BlockId, Transfer};
use crate::ledger::{Account, Journal};
use crate::name::ChainName;
use crate::outflow::{Outflow, OutflowId, OutflowState, Way, rounded_up};

/// What the chain says of an outflow, in the words of either way.
struct Shown {
    raw: ruint::aliases::U256,
    from: Address,
    to: Address,
    block: BlockId,
}

impl Comparison<'_> {
    /// An outflow of the books, once their journals are known: where nothing was read it is known
    /// by them alone.
    pub fn outflow(&mut self, outflow: &Outflow) {
        let (height, index) = (outflow.block.height, self.chains.get(&outflow.id.chain));
        let unread = index.is_some_and(|index| index.seen.leaves_to_the_books(height));
        // Of less than a millionth nothing may be booked, so no journal need say it.
        if let Some(index) = self.chains.get_mut(&outflow.id.chain)
            && outflow.state.is_on_chain()
            && amount(outflow.raw, index.decimals) == 0
        {
            index.explain(outflow.id.tx, outflow.id.n);
        }
        if matches!(outflow.state, OutflowState::Pending | OutflowState::Waiting) {
            self.unbooked.insert(outflow.id.to_string(), outflow.clone());
        }
        if outflow.state.is_on_chain() && unread {
            let held = self.held.entry((outflow.id.chain.clone(), outflow.from)).or_default();
            held.left = held.left.saturating_add(outflow.raw);
        }
        if outflow.state == OutflowState::Booked && outflow.amount.is_zero() {
            let held = self.held.entry((outflow.id.chain.clone(), outflow.from)).or_default();
            held.postings = held.postings.saturating_add(1);
        }
        if outflow.state.is_on_chain() {
            self.shown(outflow);
        }
        self.swept(outflow);
    }

    /// Whether the chain shows it, and as it is recorded.
    fn shown(&mut self, outflow: &Outflow) {
        let id = &outflow.id;
        let Some(index) = self.chains.get(&id.chain) else { return };
        let shown = match id.way {
            Way::Transfer => index.find(&(id.tx, id.n, None)).map(|(_, transfer)| Shown {
                raw: transfer.raw,
                from: transfer.from,
                to: transfer.to,
                block: transfer.block,
            }),
            Way::Destroyed => {
                let own = |event: &&TokenEvent| (event.tx, event.n) == (id.tx, id.n);
                index.seen.token_events.iter().find(own).map(|event| Shown {
                    raw: event.taken,
                    from: event.address.unwrap_or(Address::NOBODY),
                    to: Address::NOBODY,
                    block: event.block,
                })
            }
        };
        match shown {
            Some(shown) => self.differs(outflow, &shown),
            None if index.seen.covers(outflow.block.height) => self.made_up(outflow),
            None => {}
        }
    }

    /// An outflow that the chain does not show in its blocks.
    fn made_up(&mut self, outflow: &Outflow) {
        let id = &outflow.id;
        let spell = |address| self.frame.spell(&id.chain, address);
        let (size, from) = (outflow.amount, spell(&outflow.from));
        let (code, what) = match id.way {
            Way::Transfer => {
                let head = format!("{size} left {from} for {} by the books", spell(&outflow.to));
                let own = |t: &Transfer| {
                    (t.n, t.raw, t.from, t.to) == (id.n, outflow.raw, outflow.from, outflow.to)
                };
                let (code, why) = self.absent(&id.chain, id.tx, own);
                (code, format!("{head}: {why}"))
            }
            Way::Destroyed => {
                let head = format!("{size} was destroyed at {from} by the books");
                (Code::DepositOnly, format!("{head}: no notice of the token says so"))
            }
        };
        self.find_outflow(code, id.to_string(), outflow, what);
    }

    /// An outflow and what the chain shows of it.
    fn differs(&mut self, outflow: &Outflow, shown: &Shown) {
        let (id, ours) = (&outflow.id, outflow);
        let spell = |address| self.frame.spell(&id.chain, address);
        let amount = self.booked_amount(outflow, shown);
        let differs = [
            ("value", ours.raw != shown.raw, ours.raw.to_string(), shown.raw.to_string()),
            ("receiver", ours.to != shown.to, spell(&ours.to), spell(&shown.to)),
            ("sender", ours.from != shown.from, spell(&ours.from), spell(&shown.from)),
            (
                "amount",
                amount.is_some(),
                ours.amount.to_string(),
                amount.flatten().map(|amount| amount.to_string()).unwrap_or_default(),
            ),
        ];
        let left = format!("what left {}", spell(&outflow.from));
        if let Some((field, _, books, chain)) =
            differs.into_iter().find(|(_, differs, ..)| *differs)
        {
            let what =
                format!("of {left}, the {field} is {books} in the books and {chain} on the chain");
            self.find_outflow(Code::AmountDiffers, id.to_string(), outflow, what);
        } else if outflow.block != shown.block {
            let (books, chain) = (outflow.block, shown.block);
            let what = format!(
                "{left} is recorded in block {} {}, and sits in block {} {}",
                books.height, books.hash, chain.height, chain.hash
            );
            self.find_outflow(Code::Reanchored, id.to_string(), outflow, what);
        }
    }

    /// What the amount of an outflow has to be, where it is another one. With more than six
    /// decimals what is booked may be less by a millionth for every posting at its address.
    fn booked_amount(&self, outflow: &Outflow, shown: &Shown) -> Option<Option<Usdt>> {
        let chain = &outflow.id.chain;
        let decimals = self.chains.get(chain)?.decimals;
        let Ok(exact) = rounded_up(shown.raw, decimals) else { return Some(None) };
        let held = self.held.get(&(chain.clone(), outflow.from));
        let rounding = match outflow.state {
            OutflowState::Booked if decimals > 6 => held.map_or(0, |held| held.postings),
            _ => 0,
        };
        let short = exact.micro().saturating_sub(outflow.amount.micro());
        let fits = short == 0 || (short > 0 && short <= rounding);
        (!fits).then_some(Some(exact))
    }

    /// The ledger and an outflow.
    fn swept(&mut self, outflow: &Outflow) {
        let account = Account::Custody(outflow.id.chain.clone(), outflow.from);
        let (mut count, mut sum, mut elsewhere) = (0usize, 0i128, false);
        for journal in self.standing(&outflow.id) {
            count = count.saturating_add(1);
            for entry in &journal.entries {
                let amount = i128::from(entry.amount);
                for (side, change) in
                    [(&entry.credit, amount), (&entry.debit, amount.saturating_neg())]
                {
                    if *side == account {
                        sum = sum.saturating_add(change);
                    } else if matches!(side, Account::Custody(..)) {
                        elsewhere = true;
                    }
                }
            }
        }
        let wanted = i128::from(outflow.amount.micro());
        let booked = outflow.state == OutflowState::Booked;
        // Where there is no journal, its transfer is what nothing explains.
        let (code, what) = match count {
            0 => return,
            _ if !booked => {
                let state = outflow.state.word();
                let what = format!("what left is {state} and the ledger has it");
                (Code::PostedNotFinal, what)
            }
            1 if sum == wanted && !elsewhere => return,
            1 => {
                let (sum, wanted) = (text(sum), text(wanted));
                let what = format!("the ledger has {sum}, what left is {wanted}");
                (Code::LedgerAmountDiffers, what)
            }
            times => {
                let what = format!("the ledger has {times} times what left once");
                (Code::DoublePosted, what)
            }
        };
        self.find_outflow(code, format!("sweep:{}", outflow.id), outflow, what);
    }

    /// The journals of an outflow that are not reversed: one a round.
    fn standing(&self, id: &OutflowId) -> impl Iterator<Item = &Journal> {
        let wanted = format!("sweep:{id}");
        let from = (Bound::Included(wanted.clone()), Bound::Unbounded);
        let begins = wanted.clone();
        let near = self.strays.range(from).take_while(move |(key, _)| key.starts_with(&begins));
        near.filter(move |(key, _)| base(key) == wanted).map(|(_, journal)| journal)
    }

    /// What the token's owner destroyed of ours and no outflow says so: its notice is told with
    /// what that was, and is the one finding of it.
    pub(super) fn destroyed(&mut self) {
        let mut missed = Vec::new();
        for (name, index) in &self.chains {
            let token = self.frame.rules.get(name).map(|rules| rules.token);
            for event in &index.seen.token_events {
                let (tx, n, way) = (event.tx, event.n, Way::Destroyed);
                let id = OutflowId { chain: name.clone(), tx, n, way };
                let is_known = self.is_taken_out(&id)
                    || self.unbooked.contains_key(&id.to_string())
                    || is_burnt(&index.seen.transfers, event, token);
                let micro = amount(event.taken, index.decimals);
                if micro > 0 && !is_known && index.seen.covers(event.block.height) {
                    missed.push((notice_key(name, event), event.block.height, micro));
                }
            }
        }
        for (key, height, micro) in missed {
            let mut findings = self.report.findings.iter_mut();
            let own = |found: &&mut Finding| found.code == Code::TokenAdmin && found.key == key;
            if let Some(finding) = findings.find(own) {
                finding.amount = micro;
                finding.what.push_str(&format!(
                    ": {} in block {height}, and the books do not know; a rescan of it records it",
                    text(micro)
                ));
            }
        }
    }

    /// Whether the ledger has taken an outflow out.
    pub(super) fn is_taken_out(&self, id: &OutflowId) -> bool {
        self.standing(id).next().is_some()
    }

    /// A finding about an outflow.
    fn find_outflow(&mut self, code: Code, key: String, outflow: &Outflow, what: String) {
        let place = (outflow.id.chain.clone(), outflow.from);
        self.held.entry(place).or_default().named = true;
        if let Some(finding) = self.find(code, key, what) {
            finding.chain = Some(outflow.id.chain.clone());
            finding.order.clone_from(&outflow.order);
            finding.amount = i128::from(outflow.amount.micro());
            finding.since = Some(outflow.time);
        }
    }
}

/// Whether a transfer to nobody beside a notice is the same money.
pub(super) fn is_burnt(transfers: &[Transfer], event: &TokenEvent, token: Option<Address>) -> bool {
    transfers.iter().any(|t| {
        (t.tx, t.to, t.raw) == (event.tx, Address::NOBODY, event.taken)
            && Some(t.from) == event.address
            && Some(t.token) == token
    })
}

/// What a notice of the token is known by.
pub(super) fn notice_key(chain: &ChainName, event: &TokenEvent) -> String {
    format!("{chain}:{}:{}", event.tx, event.log_index)
}
