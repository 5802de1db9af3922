//! What a reconciliation says: findings, and one disposition for every deposit.
//!
//! In: what was found. Out: a report in a stable order.
//! Never: a wall clock or a number of a run; the same facts give the same report.
//! Why: finance compares today's file with yesterday's, byte by byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest, Sha256};

use super::code::{Code, Severity};
use crate::address::{from_hex, lower_hex};
use crate::amount::Usdt;
use crate::case::{CaseId, CaseKind};
use crate::chain::{BlockId, Transfer, TxHash};
use crate::deposit::DepositId;
use crate::name::{ChainName, OrderId};
use crate::time::Time;

/// Who a discrepancy is: the digest of its code and natural key, the same in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(pub [u8; 32]);

impl FindingId {
    /// The id of `code` about `key`: sha256 of the code's word, a line end and the key.
    #[must_use]
    pub fn of(code: Code, key: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(code.word().as_bytes());
        digest.update(b"\n");
        digest.update(key.as_bytes());
        Self(digest.finalize().into())
    }

    /// From 64 lower-case hex digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&lower_hex(&self.0))
    }
}

/// One discrepancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Who it is.
    pub id: FindingId,
    /// What it is.
    pub code: Code,
    /// What it is about: the same thing has the same key in every run.
    pub key: String,
    /// How bad it is at the as-of time.
    pub severity: Severity,
    /// The chain it concerns.
    pub chain: Option<ChainName>,
    /// The order it concerns.
    pub order: Option<OrderId>,
    /// The deposit it concerns.
    pub deposit: Option<DepositId>,
    /// The case it concerns.
    pub case: Option<CaseId>,
    /// What is at stake, in millionths of the asset; 0 where it is not about an amount.
    pub amount: i128,
    /// Since when it is so, where a fact says that; otherwise the as-of of the first run.
    pub since: Option<Time>,
    /// What was found, in one sentence.
    pub what: String,
}

impl Finding {
    /// A finding of which nothing but its key and sentence is known.
    #[must_use]
    pub fn new(code: Code, key: impl Into<String>, what: impl Into<String>) -> Self {
        let key = key.into();
        Self {
            id: FindingId::of(code, &key),
            code,
            severity: code.severity(),
            key,
            chain: None,
            order: None,
            deposit: None,
            case: None,
            amount: 0,
            since: None,
            what: what.into(),
        }
    }

    /// Says how bad it is at `as_of`, with `first` the time of the run that saw it first.
    pub fn age(&mut self, as_of: Time, first: Option<Time>) {
        let since = self.since.or(first).unwrap_or(as_of);
        let age = as_of.0.saturating_sub(since.0);
        self.severity = self.code.severity_at(age, self.amount);
    }
}

/// What became of a deposit, as far as the two sides agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disposition {
    /// Final, booked and credited.
    Credited,
    /// Final and booked; its order is not covered yet.
    Waiting,
    /// Final and booked; a person decides.
    Case(CaseKind),
    /// Final and booked; below the dust limit.
    Dust,
    /// Sent back, or to be.
    Refunded,
    /// Final and booked; a person credited it apart, counted it for another order, or kept it.
    Decided,
    /// Its block is not part of the chain, and nothing is booked for it.
    Orphaned,
    /// The same, after it had been credited.
    Reversed,
    /// Too new to be judged, or above the cut-off: timing.
    Timing,
    /// Outside of what was compared.
    Outside,
    /// The two sides do not agree: the first code that says how.
    Discrepant(Code),
}

impl Disposition {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Credited => "credited".to_owned(),
            Self::Waiting => "waiting".to_owned(),
            Self::Case(kind) => format!("case:{}", kind.word()),
            Self::Dust => "dust".to_owned(),
            Self::Refunded => "refunded".to_owned(),
            Self::Decided => "decided".to_owned(),
            Self::Orphaned => "orphaned".to_owned(),
            Self::Reversed => "reversed".to_owned(),
            Self::Timing => "timing".to_owned(),
            Self::Outside => "outside".to_owned(),
            Self::Discrepant(code) => format!("discrepant:{}", code.word()),
        }
    }
}

/// One deposit and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The deposit.
    pub deposit: DepositId,
    /// The order that owns its address.
    pub order: Option<OrderId>,
    /// Its height as recorded.
    pub height: u64,
    /// Its value in the books.
    pub amount: Usdt,
    /// What became of it.
    pub disposition: Disposition,
}

/// Where one chain was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOff {
    /// The chain.
    pub chain: ChainName,
    /// The first height that was compared.
    pub from: u64,
    /// The last block that was compared: final on both sides.
    pub block: BlockId,
    /// Its time.
    pub time: Time,
    /// Transfers of ours that were read on it.
    pub transfers: u64,
    /// Addresses whose token balance was asked for at the cut-off.
    pub balances: u64,
}

/// What a reconciliation found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Where each chain was cut off, by name.
    pub cuts: Vec<CutOff>,
    /// The time everything is as of: that of the newest cut-off block. None where no chain has one.
    pub as_of: Option<Time>,
    /// The last journal that was read.
    pub ledger_seq: u64,
    /// What was found, the worst first, then by code and key.
    pub findings: Vec<Finding>,
    /// Every deposit, by id.
    pub lines: Vec<Line>,
    /// The transfers that no deposit and no outflow accounts for, by the finding that says so.
    pub lost: BTreeMap<FindingId, Transfer>,
    /// Transactions whose outcome would tell more of some findings, and was not at hand.
    pub suspects: Vec<(ChainName, TxHash)>,
}

impl Report {
    /// Brings it into its order, each finding once, as bad as it is at the as-of time. `known` has
    /// the as-of time of the run that first saw a discrepancy.
    pub fn settle(&mut self, known: &BTreeMap<FindingId, Time>) {
        if let Some(as_of) = self.as_of {
            for finding in &mut self.findings {
                finding.age(as_of, known.get(&finding.id).copied());
            }
        }
        self.findings.sort_by(|a, b| {
            let place = |finding: &Finding| (std::cmp::Reverse(finding.severity), finding.code);
            place(a).cmp(&place(b)).then_with(|| a.key.cmp(&b.key))
        });
        // The worst of each: a transfer between two of ours is a deposit and an outflow.
        let mut told = BTreeSet::new();
        self.findings.retain(|finding| told.insert(finding.id));
        self.lines.sort();
        self.suspects.sort();
        self.suspects.dedup();
    }

    /// How many deposits became what, and how much they are together, in millionths.
    #[must_use]
    pub fn dispositions(&self) -> BTreeMap<Disposition, (u64, i128)> {
        let mut counts: BTreeMap<Disposition, (u64, i128)> = BTreeMap::new();
        for line in &self.lines {
            let (count, sum) = counts.entry(line.disposition).or_default();
            *count = count.saturating_add(1);
            *sum = sum.saturating_add(i128::from(line.amount.micro()));
        }
        counts
    }

    /// How many findings there are of each code.
    #[must_use]
    pub fn codes(&self) -> BTreeMap<Code, u64> {
        let mut counts: BTreeMap<Code, u64> = BTreeMap::new();
        for finding in &self.findings {
            let count = counts.entry(finding.code).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }

    /// Whether `--repair` does something about a finding: what the chain alone has is ingested, by
    /// the rules. Everything else is a person's to decide, or the trace of a hand in the books.
    #[must_use]
    pub fn is_repairable(&self, finding: &Finding) -> bool {
        !self.is_broken() && self.lost.contains_key(&finding.id)
    }

    /// Whether a part of the evidence is missing: then nothing may be called clean.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.findings.iter().any(|finding| finding.code.is_incomplete())
    }

    /// Whether the books themselves are broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Fatal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_the_code_and_the_key() {
        let one = FindingId::of(Code::ChainOnly, "ethereum:0x1:0");
        assert_eq!(one, FindingId::of(Code::ChainOnly, "ethereum:0x1:0"));
        assert_ne!(one, FindingId::of(Code::DepositOnly, "ethereum:0x1:0"));
        assert_eq!(FindingId::parse(&one.to_string()), Some(one));
        // `printf 'C101\nethereum:0x1:0' | sha256sum` says the same.
        let digest = "d08dd4b4b572776d9510dea504d0ca55c460cc0d2eef90d5d3bf3cc02ca535f6";
        assert_eq!(one.to_string(), digest);
    }

    #[test]
    fn one_fatal_line_says_that_the_books_are_broken() {
        let mut report = Report { as_of: Some(Time(0)), ..Report::default() };
        report.findings.push(Finding::new(Code::Late, "a", "late"));
        report.settle(&BTreeMap::new());
        assert_eq!((report.is_broken(), report.is_incomplete()), (false, false));
        report.findings.push(Finding::new(Code::EventGap, "b", "a gap"));
        report.settle(&BTreeMap::new());
        assert_eq!((report.is_broken(), report.is_incomplete()), (true, false));
        report.findings.push(Finding::new(Code::CoverageGap, "c", "a gap"));
        assert!(report.is_incomplete());
    }

    #[test]
    fn a_report_has_one_order() {
        let mut report = Report { as_of: Some(Time(0)), ..Report::default() };
        for key in ["b", "a", "a"] {
            report.findings.push(Finding::new(Code::Late, key, "late"));
        }
        report.findings.push(Finding::new(Code::ChainOnly, "z", "lost"));
        report.settle(&BTreeMap::new());
        let keys: Vec<&str> = report.findings.iter().map(|f| f.key.as_str()).collect();
        assert_eq!(keys, ["z", "a", "b"]);
    }
}
