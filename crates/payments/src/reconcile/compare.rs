//! The comparison: groups of the books go in one after the other, a report comes out.
//!
//! In: a frame, what was observed, groups. Out: a report in its order.
//! Never: keeps a group. What it keeps is a line a deposit and a sum an address.
//! Why: every deposit ends with exactly one disposition, and whatever is left over on either side
//! is a line of its own.

use std::collections::{BTreeMap, BTreeSet};

use ruint::aliases::U256;

use super::books::{Books, Frame, Group};
use super::code::{Code, YOUNG};
use super::journals::Booked;
use super::observed::{Observed, Seen};
use super::report::{CutOff, Disposition, Finding, Line, Report};
use crate::address::Address;
use crate::case::{Case, CaseKind, Resolution};
use crate::chain::{Transfer, TxHash};
use crate::changes::Finality;
use crate::deposit::{Deposit, DepositId, State};
use crate::ledger::Journal;
use crate::name::{ChainName, CustomerId};
use crate::outflow::Outflow;

/// Who a transfer is on its chain: transaction, place, and the token where it is another one.
pub(super) type Place = (TxHash, u32, Option<Address>);

/// The transfers of a chain, and which of them the books know.
pub(super) struct Index<'a> {
    pub(super) seen: &'a Seen,
    pub(super) decimals: u8,
    at: BTreeMap<Place, usize>,
    /// Those that a deposit accounts for.
    pub(super) received: Vec<bool>,
    /// Those that an outflow accounts for.
    pub(super) sent: Vec<bool>,
}

impl Index<'_> {
    pub(super) fn find(&self, place: &Place) -> Option<(usize, &Transfer)> {
        let at = *self.at.get(place)?;
        Some((at, self.seen.transfers.get(at)?))
    }

    /// An outflow of the books accounts for this transfer of the configured token.
    pub(super) fn explain(&mut self, tx: TxHash, n: u32) {
        if let Some(sent) = self.at.get(&(tx, n, None)).and_then(|at| self.sent.get_mut(*at)) {
            *sent = true;
        }
    }
}

/// What the books have of one address on one chain.
#[derive(Default)]
pub(super) struct Held {
    /// The custody account: debits less credits.
    pub(super) booked: i128,
    /// What deposits and outflows make of it.
    pub(super) expected: i128,
    /// Base units that came where nothing was read, by the books.
    pub(super) opening: U256,
    /// And those that had left.
    pub(super) left: U256,
    /// How often something was booked there, each time rounded by less than a millionth.
    pub(super) postings: i64,
    /// Whether a finding names it already.
    pub(super) named: bool,
}

/// A comparison under way.
pub struct Comparison<'a> {
    pub(super) frame: &'a Frame,
    pub(super) chains: BTreeMap<ChainName, Index<'a>>,
    pub(super) report: Report,
    pub(super) held: BTreeMap<(ChainName, Address), Held>,
    pub(super) customers: BTreeMap<CustomerId, i128>,
    /// The journals about outflows that are not reversed, by their keys: what reverses one may come
    /// much later.
    pub(super) strays: BTreeMap<String, Journal>,
    /// The outflows that are recorded and not booked, by their ids.
    pub(super) unbooked: BTreeMap<String, Outflow>,
    /// What the ledger has in suspense beyond open cases, over all that people decided about.
    pub(super) decided: BTreeMap<(ChainName, CaseKind), i128>,
    /// Whether something was left out of that.
    unheld: bool,
    /// Lines of orphaned deposits whose transfer is on the chain: lost, unless another owns it.
    orphaned: Vec<(usize, ChainName, usize)>,
}

/// Compares books that are at hand whole.
#[must_use]
pub fn compare(books: &Books, observed: &Observed) -> Report {
    let mut comparison = Comparison::new(&books.frame, observed);
    for dossier in &books.orders {
        comparison.group(dossier.into());
    }
    for deposit in &books.unassigned {
        let cases: Vec<Case> = books
            .unassigned_cases
            .iter()
            .filter(|c| c.deposits.contains(&deposit.id))
            .cloned()
            .collect();
        let of = |journal: &&Journal| journal.deposit.as_ref() == Some(&deposit.id);
        let journals: Vec<Journal> = books.unassigned_journals.iter().filter(of).cloned().collect();
        let deposits = std::slice::from_ref(deposit);
        comparison.group(Group { order: None, deposits, cases: &cases, journals: &journals });
    }
    let known: BTreeSet<&DepositId> = books.unassigned.iter().map(|deposit| &deposit.id).collect();
    let stray = |journal: &&Journal| journal.deposit.as_ref().is_none_or(|id| !known.contains(id));
    let strays: Vec<Journal> = books.unassigned_journals.iter().filter(stray).cloned().collect();
    comparison.strays(&strays);
    let bare = books.unassigned_cases.iter().filter(|case| case.deposits.is_empty());
    let bare: Vec<Case> = bare.cloned().collect();
    comparison.group(Group { order: None, deposits: &[], cases: &bare, journals: &[] });
    books.outflows.iter().for_each(|outflow| comparison.outflow(outflow));
    comparison.finish()
}

impl<'a> Comparison<'a> {
    /// Begins with nothing of the books but their frame.
    #[must_use]
    pub fn new(frame: &'a Frame, observed: &'a Observed) -> Self {
        let mut report = Report { ledger_seq: frame.ledger_seq, ..Report::default() };
        let mut chains = BTreeMap::new();
        for (name, seen) in &observed.chains {
            let Some(rules) = frame.rules.get(name) else { continue };
            let mut at = BTreeMap::new();
            for (place, transfer) in seen.transfers.iter().enumerate() {
                let other = (transfer.token != rules.token).then_some(transfer.token);
                at.insert((transfer.tx, transfer.n, other), place);
            }
            let none = vec![false; seen.transfers.len()];
            let (decimals, sent) = (rules.decimals, none.clone());
            chains.insert(name.clone(), Index { seen, decimals, at, received: none, sent });
            report.as_of = report.as_of.max(Some(seen.time));
            report.cuts.push(CutOff {
                chain: name.clone(),
                from: seen.from,
                block: seen.cut,
                time: seen.time,
                transfers: count(seen.transfers.len()),
                balances: count(seen.balances.len()),
            });
        }
        let mut new = Self {
            frame,
            chains,
            report,
            held: BTreeMap::new(),
            customers: BTreeMap::new(),
            strays: BTreeMap::new(),
            unbooked: BTreeMap::new(),
            decided: BTreeMap::new(),
            unheld: false,
            orphaned: Vec::new(),
        };
        new.evidence(observed);
        new
    }

    /// One order with all that is recorded of it, or one deposit of no order.
    pub fn group(&mut self, group: Group<'_>) {
        let before = self.report.findings.len();
        let booked = self.journals(group);
        // What a decision counts for another order arrived once.
        for deposit in group.deposits.iter().filter(|deposit| deposit.assigned.is_none()) {
            self.deposit(group, deposit, &booked);
        }
        self.grants(group, &booked);
        let quiet = self
            .report
            .findings
            .get(before..)
            .is_none_or(|new| new.iter().all(|finding| !finding.code.word().starts_with('L')));
        // What a deposit of no order lacks, its case lacks in the same journal.
        if quiet || group.order.is_some() {
            // A decision may move what is held from one order to another.
            let by_person = |case: &Case| {
                case.decision.as_ref().is_some_and(|taken| taken.resolution != Resolution::Itself)
            };
            let moved = booked.decided || group.cases.iter().any(by_person);
            self.held_for_people(group, moved);
        } else {
            self.unheld = true;
        }
        if quiet {
            self.cleared(group);
        }
        self.cases(group);
    }

    /// A new finding, to be filled in.
    pub(super) fn find(
        &mut self,
        code: Code,
        key: impl Into<String>,
        what: impl Into<String>,
    ) -> Option<&mut Finding> {
        self.report.findings.push(Finding::new(code, key, what));
        self.report.findings.last_mut()
    }

    /// A finding about a deposit.
    pub(super) fn find_deposit(&mut self, code: Code, deposit: &Deposit, what: String) {
        let place = (deposit.id.chain.clone(), deposit.to);
        self.held.entry(place).or_default().named = true;
        if let Some(finding) = self.find(code, deposit.id.to_string(), what) {
            finding.chain = Some(deposit.id.chain.clone());
            finding.order.clone_from(&deposit.order);
            finding.deposit = Some(deposit.id.clone());
            finding.amount = i128::from(deposit.amount.micro());
            finding.since = Some(deposit.time);
        }
    }

    fn deposit(&mut self, group: Group<'_>, deposit: &Deposit, booked: &Booked<'_>) {
        let line = self.report.lines.len();
        let height = deposit.block.height;
        let index = self.chains.get(&deposit.id.chain);
        let outside = index.is_none_or(|index| index.seen.leaves_to_the_books(height));
        let on_chain = self.on_chain(deposit, line);
        let in_ledger = self.in_ledger(deposit, booked);
        let stuck = self.stuck(group, deposit);
        let code = on_chain.filter(|code| *code != Code::Reanchored).or(in_ledger).or(stuck);
        let disposition = match (code, deposit.state) {
            (Some(code), _) => Disposition::Discrepant(code),
            (None, _) if outside => Disposition::Outside,
            (None, State::Pending) => Disposition::Timing,
            (None, State::Confirmed) => Disposition::Waiting,
            (None, State::Credited) => Disposition::Credited,
            (None, State::Suspended(kind)) => Disposition::Case(kind),
            (None, State::Dust) => Disposition::Dust,
            (None, State::Orphaned) => Disposition::Orphaned,
            (None, State::Reversed) => Disposition::Reversed,
            (None, State::Refunding | State::Refunded) => Disposition::Refunded,
            (None, State::Granted | State::Reassigned | State::Dismissed) => Disposition::Decided,
        };
        self.account(deposit);
        self.report.lines.push(Line {
            deposit: deposit.id.clone(),
            order: deposit.order.clone(),
            height: deposit.block.height,
            amount: deposit.amount,
            disposition,
        });
    }

    /// Whether a deposit's transfer was read with an orphaned deposit beside it.
    pub(super) fn note_orphaned(&mut self, line: usize, chain: &ChainName, at: usize) {
        self.orphaned.push((line, chain.clone(), at));
    }

    /// What a deposit adds to its address.
    fn account(&mut self, deposit: &Deposit) {
        let (height, index) = (deposit.block.height, self.chains.get(&deposit.id.chain));
        let unread = index.is_some_and(|index| index.seen.leaves_to_the_books(height));
        if deposit.id.other_token.is_some() || !deposit.state.is_on_chain() {
            return;
        }
        let held = self.held.entry((deposit.id.chain.clone(), deposit.to)).or_default();
        if deposit.amount.is_zero() {
            held.postings = held.postings.saturating_add(1);
        }
        if is_booked(deposit) {
            held.expected = held.expected.saturating_add(i128::from(deposit.amount.micro()));
        }
        if unread {
            held.opening = held.opening.saturating_add(deposit.raw);
        }
    }

    /// The state of a deposit and the ledger.
    fn in_ledger(&mut self, deposit: &Deposit, booked: &Booked<'_>) -> Option<Code> {
        let posted = booked.posted(&deposit.id);
        let foreign = deposit.id.other_token.is_some();
        if foreign && (posted.count > 0 || deposit.state == State::Credited) {
            let what = "another token than the configured one is booked as money";
            self.find_deposit(Code::TokenNotAllowed, deposit, what.to_owned());
            return Some(Code::TokenNotAllowed);
        }
        if !is_booked(deposit) {
            if posted.count == 0 {
                return None;
            }
            let what = format!("it is {} and the ledger has it", deposit.state.word());
            self.find_deposit(Code::PostedNotFinal, deposit, what);
            return Some(Code::PostedNotFinal);
        }
        let amount = i128::from(deposit.amount.micro());
        let found = if posted.count == 0 {
            let what = format!("it is {} and the ledger does not have it", deposit.state.word());
            Some((Code::ConfirmedNotPosted, what))
        } else if posted.count > 1 {
            Some((Code::DoublePosted, format!("the ledger has it {} times", posted.count)))
        } else if posted.amount != amount || posted.elsewhere {
            let ledger = text(posted.amount);
            let what = format!("the ledger has {ledger}, the deposit is {}", deposit.amount);
            Some((Code::LedgerAmountDiffers, what))
        } else if !self.is_final(deposit) {
            let what = "it is booked, and the chain can still take it back".to_owned();
            Some((Code::PostedNotFinal, what))
        } else {
            None
        };
        let (code, what) = found?;
        self.find_deposit(code, deposit, what);
        Some(code)
    }

    /// Whether a deposit is final and nothing has happened for too long.
    fn stuck(&mut self, group: Group<'_>, deposit: &Deposit) -> Option<Code> {
        let index = self.chains.get(&deposit.id.chain)?;
        let final_since = index.seen.time.0.saturating_sub(deposit.time.0);
        if deposit.block.height > index.seen.cut.height || final_since < YOUNG {
            return None;
        }
        let waits = match deposit.state {
            State::Pending => true,
            // The order says how it goes on, unless it is over.
            State::Confirmed => group.order.is_none_or(|dossier| {
                dossier.paid.is_some() || dossier.is_closed() || dossier.covers(dossier.counted())
            }),
            _ => false,
        };
        if !waits {
            return None;
        }
        let what = "it is final for more than 30 minutes, not credited, and no case says why";
        self.find_deposit(Code::NotCredited, deposit, what.to_owned());
        Some(Code::NotCredited)
    }

    /// Whether the chain can no longer take a deposit back, by the rule for its amount. A branch
    /// that is shorter takes confirmations away, and what was booked stays booked: a rule that
    /// counts them is asked about the longest chain that there can have been.
    fn is_final(&self, deposit: &Deposit) -> bool {
        let height = deposit.block.height;
        let seen = self.chains.get(&deposit.id.chain).map(|index| index.seen);
        let cursor = self.frame.cursors.get(&deposit.id.chain);
        let finalized = cursor.and_then(|cursor| cursor.finalized).map(|block| block.height);
        if finalized.max(seen.map(|seen| seen.cut.height)).is_some_and(|at| height <= at) {
            return true;
        }
        let Some(rules) = self.frame.rules.get(&deposit.id.chain) else { return false };
        let rule = rules.finality_of(deposit.amount);
        let last = cursor.and_then(|cursor| cursor.last()).map(|header| header.id.height);
        let tip = last.max(seen.map(|seen| seen.tip)).unwrap_or(0);
        let tip = tip.saturating_add(rules.max_reorg);
        match rule.map_or(Finality::Finalized, |rule| rule.finality) {
            Finality::Finalized => false,
            Finality::Safe => height <= tip,
            Finality::Confirmations(wanted) => {
                tip.saturating_sub(height).saturating_add(1) >= wanted
            }
        }
    }

    /// Open cases, and an order that has a part of its due.
    fn cases(&mut self, group: Group<'_>) {
        for case in group.cases.iter().filter(|case| case.decision.is_none()) {
            let what = said(case);
            if let Some(finding) = self.find(Code::of_case(case.kind), case.id.0.clone(), what) {
                finding.chain = Some(case.chain.clone());
                finding.order.clone_from(&case.order);
                finding.case = Some(case.id.clone());
                finding.amount = i128::from(case.amount.micro());
                finding.since = Some(case.opened_at);
            }
        }
        let Some(dossier) = group.order else { return };
        let (counted, order) = (dossier.counted(), &dossier.order);
        let open = dossier.paid.is_none() && !dossier.is_closed() && !counted.is_zero();
        let Some(due) = order.due.filter(|_| open && !dossier.covers(counted)) else { return };
        let what = format!("{counted} of {due} arrived so far");
        let times = dossier.deposits.iter().filter(|deposit| deposit.state == State::Confirmed);
        let since = times.map(|deposit| deposit.time).min();
        if let Some(finding) = self.find(Code::Partial, order.id.to_string(), what) {
            finding.chain = Some(order.chain.clone());
            finding.order = Some(order.id.clone());
            finding.amount = i128::from(counted.micro());
            finding.since = since;
        }
    }

    /// The report, in its order.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.unmatched();
        self.destroyed();
        self.balances();
        if !self.unheld {
            self.held_after_decisions();
        }
        self.customers();
        self.unacknowledged();
        for (line, chain, at) in std::mem::take(&mut self.orphaned) {
            let index = self.chains.get(&chain);
            let received = index.and_then(|index| index.received.get(at).copied());
            let transfer = index.and_then(|index| index.seen.transfers.get(at));
            // Mined again, it may pay a stranger, or nobody.
            let ours = transfer.zip(index).is_some_and(|(t, i)| {
                i.seen.ours.contains(&t.to) && t.from != t.to && !t.raw.is_zero()
            });
            if ours
                && received == Some(false)
                && let Some(line) = self.report.lines.get_mut(line)
            {
                line.disposition = Disposition::Discrepant(Code::ChainOnly);
            }
        }
        self.report.settle(&self.frame.known);
        self.report
    }

    fn unacknowledged(&mut self) {
        let Some(open) = self.frame.unacknowledged else { return };
        let due = open.at.after(open.within);
        if self.report.as_of.is_none_or(|as_of| as_of <= due) {
            return;
        }
        let count = open.last.saturating_sub(open.first).saturating_add(1);
        let what = format!("{count} events from number {} on are not acknowledged", open.first);
        if let Some(finding) = self.find(Code::EventUnacked, format!("event:{}", open.first), what)
        {
            finding.since = Some(open.at);
        }
    }
}

/// Whether the ledger has to have a deposit in this state.
pub(super) fn is_booked(deposit: &Deposit) -> bool {
    let booked = match deposit.state {
        State::Confirmed
        | State::Credited
        | State::Dust
        | State::Granted
        | State::Refunding
        | State::Refunded
        | State::Reassigned
        | State::Dismissed => true,
        State::Suspended(kind) => kind != CaseKind::WrongAsset,
        State::Pending | State::Orphaned | State::Reversed => false,
    };
    booked && !deposit.amount.is_zero()
}

fn said(case: &Case) -> String {
    let deposits = match case.deposits.as_slice() {
        [one] => one.to_string(),
        several => format!("{} deposits", several.len()),
    };
    match (case.kind, &case.order) {
        (CaseKind::UnexplainedOutflow, _) => {
            format!("what left by {} waits for a person to say why", case.id)
        }
        (CaseKind::DestroyedFunds, _) => {
            format!("what the token's owner took by {} waits for a person to see it", case.id)
        }
        (CaseKind::ReversedAfterCredit, Some(order)) => {
            format!("credits of order {order} were taken back after they were granted")
        }
        (kind, Some(order)) => {
            let kind = kind.word();
            format!("{} of order {order} is held as {kind}: {deposits}", case.amount)
        }
        (kind, None) => format!("{} is held as {}: {deposits}", case.amount, kind.word()),
    }
}

/// Millionths as a decimal.
pub(super) fn text(micro: i128) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let size = micro.unsigned_abs();
    let (whole, rest) = (size.checked_div(1_000_000), size.checked_rem(1_000_000));
    let (whole, rest) = (whole.unwrap_or_default(), rest.unwrap_or_default());
    let text = format!("{sign}{whole}.{rest:06}");
    let short = text.trim_end_matches('0');
    match short.len().saturating_sub(short.find('.').unwrap_or_default()) {
        1 => format!("{short}00"),
        2 => format!("{short}0"),
        _ => short.to_owned(),
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Usdt;
    use crate::case::CaseId;
    use crate::name::OrderId;
    use crate::time::Time;

    #[test]
    fn millionths_are_written_with_two_decimals_at_least() {
        for (micro, wanted) in [
            (0, "0.00"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (1_000_000, "1.00"),
            (1_500_000, "1.50"),
            (-1_230_000, "-1.23"),
            (1_234_000, "1.234"),
            (10_000_000, "10.00"),
            (i128::from(i64::MAX), "9223372036854.775807"),
        ] {
            assert_eq!(text(micro), wanted);
        }
    }

    #[test]
    fn an_open_case_is_said_by_what_it_holds() {
        let deposit = |n| {
            let (chain, tx) = (ChainName::new("tron").unwrap(), TxHash([0; 32]));
            DepositId { chain, tx, n, other_token: None }
        };
        let case = |kind, order: Option<&str>, deposits: Vec<DepositId>| Case {
            id: CaseId("its:name".to_owned()),
            kind,
            order: order.map(|id| OrderId::new(id).unwrap()),
            deposits,
            chain: ChainName::new("tron").unwrap(),
            amount: Usdt::parse("7").unwrap(),
            opened_at: Time(0),
            decision: None,
            steps: Vec::new(),
        };
        let one = deposit(3).to_string();
        for (case, wanted) in [
            (
                case(CaseKind::Late, Some("A"), vec![deposit(3)]),
                format!("7.00 of order A is held as late: {one}"),
            ),
            (
                case(CaseKind::Underpaid, Some("A"), vec![deposit(3), deposit(4)]),
                "7.00 of order A is held as underpaid: 2 deposits".to_owned(),
            ),
            (
                case(CaseKind::Unassigned, None, vec![deposit(3)]),
                format!("7.00 is held as unassigned: {one}"),
            ),
            (
                case(CaseKind::ReversedAfterCredit, Some("A"), Vec::new()),
                "credits of order A were taken back after they were granted".to_owned(),
            ),
            (
                case(CaseKind::UnexplainedOutflow, Some("A"), Vec::new()),
                "what left by its:name waits for a person to say why".to_owned(),
            ),
        ] {
            assert_eq!(said(&case), wanted);
        }
    }
}
