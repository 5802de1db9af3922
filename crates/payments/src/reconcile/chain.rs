//! The side of the chain: deposits without a transfer, transfers without a deposit.
//!
//! In: a deposit, or what no deposit accounted for. Out: findings C1xx, B502, B503 and B504.
//! Never: a finding about a block above the cut-off; what comes later is timing.
//! Why: a lost payment is the worst there is, a made-up one comes next.

use ruint::aliases::U256;

use super::code::Code;
use super::compare::{Comparison, text};
use super::left::notice_key;
use super::observed::Observed;
use crate::amount::Usdt;
use crate::chain::{Transfer, TxHash};
use crate::deposit::{Deposit, DepositId};
use crate::lookup::Transaction;
use crate::name::ChainName;
use crate::outflow::{OutflowId, OutflowState, Way};

impl Comparison<'_> {
    /// What of the evidence is missing, or contradicts itself.
    pub(super) fn evidence(&mut self, observed: &Observed) {
        for (chain, why) in &observed.missing {
            self.gap(chain, "chain", why);
        }
        for (chain, seen) in &observed.chains {
            for gap in &seen.gaps {
                self.gap(chain, &gap.subject, &gap.why);
            }
            for disagreement in &seen.disagreements {
                let key = format!("{chain}:{}", disagreement.subject);
                let what = disagreement.what.clone();
                if let Some(finding) = self.find(Code::EndpointsDisagree, key, what) {
                    finding.chain = Some(chain.clone());
                }
            }
            for event in &seen.token_events {
                let key = notice_key(chain, event);
                let spelled = |address| format!(" {}", self.frame.spell(chain, &address));
                let about = event.address.map(spelled).unwrap_or_default();
                let what = format!("the token's owner: {}{about}", event.what);
                if let Some(finding) = self.find(Code::TokenAdmin, key, what) {
                    finding.chain = Some(chain.clone());
                    finding.since = Some(event.time);
                }
            }
        }
    }

    fn gap(&mut self, chain: &ChainName, subject: &str, why: &str) {
        let key = format!("{chain}:{subject}");
        if let Some(finding) = self.find(Code::CoverageGap, key, format!("{subject}: {why}")) {
            finding.chain = Some(chain.clone());
        }
    }

    /// A deposit and the chain.
    pub(super) fn on_chain(&mut self, deposit: &Deposit, line: usize) -> Option<Code> {
        let place = (deposit.id.tx, deposit.id.n, deposit.id.other_token);
        let index = self.chains.get_mut(&deposit.id.chain)?;
        let found = index.find(&place).map(|(at, transfer)| (at, transfer.clone()));
        let Some((at, transfer)) = found else {
            if !deposit.state.is_on_chain() || !index.seen.covers(deposit.block.height) {
                return None;
            }
            // Recorded as the configured token's, and read as another's.
            let own = deposit.id.other_token.is_none();
            let place = (deposit.id.tx, deposit.id.n, deposit.log_index, deposit.to);
            let other = index.seen.transfers.iter().zip(&mut index.received);
            let mut other = other.filter(|(t, _)| own && place == (t.tx, t.n, t.log_index, t.to));
            let other = other.next();
            return match (other, deposit.id.other_token) {
                (Some((other, received)), _) => {
                    *received = true;
                    let token = self.frame.spell(&deposit.id.chain, &other.token);
                    let what = format!("on chain it is of the token {token}");
                    self.find_deposit(Code::TokenNotAllowed, deposit, what);
                    Some(Code::TokenNotAllowed)
                }
                // Other tokens are not read here: what is recorded of them has no value.
                (None, Some(_)) => None,
                (None, None) => Some(self.missing(deposit)),
            };
        };
        if !deposit.state.is_on_chain() {
            let chain = deposit.id.chain.clone();
            self.note_orphaned(line, &chain, at);
            return None;
        }
        let decimals = index.decimals;
        if let Some(received) = index.received.get_mut(at) {
            *received = true;
        }
        self.same(deposit, &transfer, decimals)
    }

    /// A deposit and its own transfer.
    fn same(&mut self, deposit: &Deposit, transfer: &Transfer, decimals: u8) -> Option<Code> {
        let amount = Usdt::from_raw(transfer.raw, decimals).ok();
        let foreign = deposit.id.other_token.is_some();
        let spell = |address| self.frame.spell(&deposit.id.chain, address);
        let differs = [
            (
                "value",
                deposit.raw != transfer.raw,
                deposit.raw.to_string(),
                transfer.raw.to_string(),
            ),
            ("receiver", deposit.to != transfer.to, spell(&deposit.to), spell(&transfer.to)),
            ("sender", deposit.from != transfer.from, spell(&deposit.from), spell(&transfer.from)),
            (
                "amount",
                !foreign && amount != Some(deposit.amount),
                deposit.amount.to_string(),
                amount.map(|amount| amount.to_string()).unwrap_or_default(),
            ),
        ];
        if let Some((field, _, books, chain)) =
            differs.into_iter().find(|(_, differs, ..)| *differs)
        {
            let what = format!("the {field} is {books} in the books and {chain} on the chain");
            self.find_deposit(Code::AmountDiffers, deposit, what);
            return Some(Code::AmountDiffers);
        }
        if deposit.block != transfer.block {
            let (books, chain) = (deposit.block, transfer.block);
            let what = format!(
                "it is recorded in block {} {}, and sits in block {} {}",
                books.height, books.hash, chain.height, chain.hash
            );
            self.find_deposit(Code::Reanchored, deposit, what);
            return Some(Code::Reanchored);
        }
        None
    }

    /// A deposit whose transfer was not among those of its blocks.
    fn missing(&mut self, deposit: &Deposit) -> Code {
        let id = &deposit.id;
        let own = |t: &Transfer| (t.n, t.raw, t.to) == (id.n, deposit.raw, deposit.to);
        let (code, what) = self.absent(&id.chain, id.tx, own);
        self.find_deposit(code, deposit, what);
        code
    }

    /// What is known of the transaction of a transfer that was not among those of its blocks; `own`
    /// knows that transfer.
    pub(super) fn absent(
        &mut self,
        chain: &ChainName,
        tx: TxHash,
        own: impl Fn(&Transfer) -> bool,
    ) -> (Code, String) {
        let index = self.chains.get(chain);
        let covers = |height| index.is_some_and(|index| index.seen.covers(height));
        let (code, what) = match index.and_then(|index| index.seen.outcomes.get(&tx)) {
            None => {
                self.report.suspects.push((chain.clone(), tx));
                (Code::DepositOnly, "no log of the chain says so")
            }
            Some(Transaction::NotFound) => {
                (Code::DepositOnly, "the chain does not know its transaction")
            }
            Some(Transaction::Pending) => (Code::DepositOnly, "its transaction is in no block"),
            Some(Transaction::Mined(mined)) if !mined.succeeded => {
                (Code::ExecutionFailed, "its transaction failed")
            }
            Some(Transaction::Mined(mined)) if !mined.transfers.iter().any(own) => {
                (Code::DepositOnly, "its transaction has no such transfer")
            }
            Some(Transaction::Mined(mined)) if covers(mined.block.height) => {
                let what = "its block was read without it, its transaction has it";
                (Code::EndpointsDisagree, what)
            }
            Some(Transaction::Mined(mined)) => {
                let what = format!("its transaction sits in block {} now", mined.block.height);
                return (Code::Reanchored, what);
            }
        };
        (code, what.to_owned())
    }

    /// Transfers that nothing in the books accounts for.
    pub(super) fn unmatched(&mut self) {
        let mut lost = Vec::new();
        for (name, index) in &self.chains {
            let known = index.received.iter().zip(&index.sent);
            for (transfer, (received, sent)) in index.seen.transfers.iter().zip(known) {
                if transfer.raw.is_zero() || transfer.from == transfer.to {
                    continue;
                }
                let token = self.frame.rules.get(name).map(|rules| rules.token);
                if Some(transfer.token) != token {
                    // It has no value here, and the rules record no more than so many of them.
                    continue;
                }
                let ours = |address| index.seen.ours.contains(address);
                let id = DepositId {
                    chain: name.clone(),
                    tx: transfer.tx,
                    n: transfer.n,
                    other_token: None,
                };
                let micro = amount(transfer.raw, index.decimals);
                if ours(&transfer.to) && !received {
                    lost.push((Code::ChainOnly, id.clone(), transfer.clone(), micro));
                }
                let left = || OutflowId {
                    chain: name.clone(),
                    tx: transfer.tx,
                    n: transfer.n,
                    way: Way::Transfer,
                };
                let known = || *sent || self.is_taken_out(&left()) || self.is_asked_about(&id);
                if ours(&transfer.from) && !known() {
                    let code = if micro > 0 { Code::UnexplainedOutflow } else { Code::DustOutflow };
                    lost.push((code, id, transfer.clone(), micro));
                }
            }
        }
        for (code, id, transfer, micro) in lost {
            self.lost(code, &id, &transfer, micro);
        }
    }

    /// Whether an open case asks about this outflow, which is recorded: that is its one finding.
    fn is_asked_about(&self, id: &DepositId) -> bool {
        let Some(outflow) = self.unbooked.get(&id.to_string()) else { return false };
        let case = outflow.case();
        self.report.findings.iter().any(|finding| finding.case.as_ref() == Some(&case))
    }

    fn lost(&mut self, code: Code, id: &DepositId, transfer: &Transfer, micro: i128) {
        let spell = |address| self.frame.spell(&id.chain, address);
        let (from, to, height) =
            (spell(&transfer.from), spell(&transfer.to), transfer.block.height);
        // Less than a millionth is nothing in the books, and is said by what the chain has.
        let size = if micro > 0 {
            text(micro)
        } else {
            format!("{} base units, less than a millionth,", transfer.raw)
        };
        let (address, what) = if code == Code::ChainOnly {
            let what = format!("{size} reached {to} in block {height}, and no deposit says so");
            (transfer.to, what)
        } else {
            let why = match self.unbooked.get(&id.to_string()).map(|outflow| outflow.state) {
                None => "nothing says why",
                Some(OutflowState::Waiting) => {
                    "it is recorded and waits: the books did not hold that much there"
                }
                Some(_) => "it is recorded and not booked yet",
            };
            let what = format!("{size} left {from} for {to} in block {height}, and {why}");
            (transfer.from, what)
        };
        self.held.entry((id.chain.clone(), address)).or_default().named = true;
        if let Some(finding) = self.find(code, id.to_string(), what) {
            finding.chain = Some(id.chain.clone());
            finding.deposit = (code == Code::ChainOnly).then(|| id.clone());
            finding.amount = micro;
            finding.since = Some(transfer.time);
            let id = finding.id;
            self.report.lost.insert(id, transfer.clone());
        }
    }
}

/// Base units as millionths, rounded down; the largest there is where they do not fit.
pub(super) fn amount(raw: U256, decimals: u8) -> i128 {
    Usdt::from_raw(raw, decimals).map_or(i128::from(i64::MAX), |amount| i128::from(amount.micro()))
}
