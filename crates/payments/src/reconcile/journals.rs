//! The side of the ledger: journals, their causes, and what they make of each account.
//!
//! In: the journals of a group. Out: what each deposit has in the ledger; findings L303, L306 and
//! L307.
//! Never: a balance taken from anywhere but entries. Why: a sum that was stored can have been
//! changed; the lines that make it up cannot, without being seen.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::books::Group;
use super::cause::{Cause, base, cause};
use super::code::Code;
use super::compare::{Comparison, text};
use crate::case::CaseKind;
use crate::deposit::{DepositId, State};
use crate::ledger::{Account, Asset, Entry, Journal};
use crate::name::ChainName;

/// What the ledger has of one deposit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Posted {
    /// How many journals that are not reversed.
    pub(super) count: usize,
    /// What they add to the custody account of its address.
    pub(super) amount: i128,
    /// Whether they touch the custody of anything else.
    pub(super) elsewhere: bool,
}

/// The journals of a group that stand, by what they are for.
#[derive(Default)]
pub(super) struct Booked<'a> {
    deposits: BTreeMap<DepositId, Posted>,
    /// Grants, by their key without its round.
    pub(super) paid: BTreeMap<&'a str, Vec<(&'a Journal, Option<DepositId>)>>,
    /// Whether a person decided something here.
    pub(super) decided: bool,
}

impl Booked<'_> {
    pub(super) fn posted(&self, deposit: &DepositId) -> Posted {
        self.deposits.get(deposit).copied().unwrap_or_default()
    }
}

impl Comparison<'_> {
    /// Reads the journals of a group.
    pub(super) fn journals<'g>(&mut self, group: Group<'g>) -> Booked<'g> {
        let mut booked = Booked::default();
        let keys: BTreeSet<&str> = group.journals.iter().map(|j| j.key.as_str()).collect();
        let places: BTreeMap<&DepositId, Account> = group
            .deposits
            .iter()
            .map(|deposit| {
                let account = Account::Custody(deposit.id.chain.clone(), deposit.to);
                (&deposit.id, account)
            })
            .collect();
        for journal in group.journals {
            self.sums(journal);
            let reversed = keys.contains(format!("reverse:{}", journal.key).as_str());
            match cause(&journal.key) {
                Cause::Reverse(undone) => self.reversal(group.journals, journal, undone),
                Cause::Deposit(id) => match places.get(&id) {
                    Some(account) if !reversed => {
                        let posted = booked.deposits.entry(id.clone()).or_default();
                        post(posted, journal, account);
                    }
                    Some(_) => {}
                    None => self.orphan(journal, "no such deposit is in the books"),
                },
                Cause::Suspend(id, _) | Cause::Release(id, _) => {
                    if !places.contains_key(&id) {
                        self.orphan(journal, "no such deposit is in the books");
                    }
                }
                Cause::Paid(order, id) => {
                    let owner = group.order.map(|dossier| dossier.order.id.as_str());
                    if owner != Some(order) {
                        self.orphan(journal, "it is kept with another order");
                    } else if !reversed {
                        booked.paid.entry(base(&journal.key)).or_default().push((journal, id));
                    }
                }
                Cause::Decision(about) => {
                    booked.decided = true;
                    if !is_decided(group, about) {
                        self.orphan(journal, "nobody decided what it names");
                    }
                }
                Cause::Other => self.taken_out(journal, reversed),
                Cause::Unknown => self.orphan(journal, "nothing in the books causes such a thing"),
            }
        }
        booked
    }

    /// Journals that belong to no order and no deposit at hand.
    pub fn strays(&mut self, journals: &[Journal]) {
        let keys: BTreeSet<&str> = journals.iter().map(|j| j.key.as_str()).collect();
        for journal in journals {
            self.sums(journal);
            let reversed = keys.contains(format!("reverse:{}", journal.key).as_str());
            match cause(&journal.key) {
                Cause::Other => self.taken_out(journal, reversed),
                Cause::Reverse(undone) if keys.contains(undone) => {
                    self.reversal(journals, journal, undone);
                }
                Cause::Reverse(undone) => match self.strays.remove(undone) {
                    Some(before) => self.put_back(&before, journal),
                    None => self.orphan(journal, "what it reverses is not in the books"),
                },
                _ => self.orphan(journal, "nothing in the books causes such a thing"),
            }
        }
    }

    /// What was taken out according to `before` was not, says `journal`.
    fn put_back(&mut self, before: &Journal, journal: &Journal) {
        self.reversal(std::slice::from_ref(before), journal, &before.key);
        for entry in &before.entries {
            if let Account::Custody(chain, address) = &entry.credit {
                let held = self.held.entry((chain.clone(), *address)).or_default();
                held.expected = held.expected.saturating_add(i128::from(entry.amount));
            }
        }
    }

    /// A journal about money that left an address of ours.
    fn taken_out(&mut self, journal: &Journal, reversed: bool) {
        // A reversal takes it out of the custody account as it put it there.
        for entry in &journal.entries {
            if let Account::Custody(chain, address) = &entry.credit
                && !reversed
            {
                let held = self.held.entry((chain.clone(), *address)).or_default();
                held.expected = held.expected.saturating_sub(i128::from(entry.amount));
            }
        }
        if !reversed {
            self.strays.insert(journal.key.clone(), journal.clone());
        }
    }

    /// What a journal adds to the accounts that are looked at whole.
    fn sums(&mut self, journal: &Journal) {
        for entry in &journal.entries {
            let amount = i128::from(entry.amount);
            for (account, change) in
                [(&entry.debit, amount), (&entry.credit, amount.saturating_neg())]
            {
                match account {
                    Account::Custody(chain, address) => {
                        let held = self.held.entry((chain.clone(), *address)).or_default();
                        held.booked = held.booked.saturating_add(change);
                        held.postings = held.postings.saturating_add(1);
                    }
                    Account::Customer(customer) => {
                        let sum = self.customers.entry(customer.clone()).or_default();
                        *sum = sum.saturating_sub(change);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A journal that undoes another: it has to be there, and be the same with sides exchanged.
    fn reversal(&mut self, journals: &[Journal], journal: &Journal, undone: &str) {
        let Some(undone) = journals.iter().find(|other| other.key == undone) else {
            self.orphan(journal, "what it reverses is not in the books");
            return;
        };
        if undone.reversed(journal.recorded).entries != journal.entries {
            self.orphan(journal, "it is not the reverse of what it names");
        }
    }

    pub(super) fn orphan(&mut self, journal: &Journal, why: &str) {
        let moved = journal.entries.iter().map(|entry| i128::from(entry.amount)).max();
        for entry in &journal.entries {
            for account in [&entry.debit, &entry.credit] {
                if let Account::Custody(chain, address) = account {
                    self.held.entry((chain.clone(), *address)).or_default().named = true;
                }
            }
        }
        let chain = journal.entries.iter().find_map(|entry| match &entry.asset {
            Asset::Usdt(chain) => Some(chain.clone()),
            Asset::Credit => None,
        });
        let what = format!("journal {}: {why}", journal.key);
        if let Some(finding) = self.find(Code::OrphanJournal, journal.key.clone(), what) {
            finding.chain = chain;
            finding.order.clone_from(&journal.order);
            finding.deposit.clone_from(&journal.deposit);
            finding.amount = moved.unwrap_or(0);
            finding.since = Some(journal.recorded);
        }
    }

    /// Suspense: what open cases hold, and what the journals put there.
    /// Where a decision `moved` money between groups, only the sum over all of them is known.
    pub(super) fn held_for_people(&mut self, group: Group<'_>, moved: bool) {
        let mut sums: BTreeMap<(ChainName, CaseKind), (i128, i128)> = BTreeMap::new();
        for entry in group.journals.iter().flat_map(|journal| &journal.entries) {
            let Asset::Usdt(chain) = &entry.asset else { continue };
            for (account, change) in sides(entry) {
                if let Account::Suspense(kind) = account {
                    let (booked, _) = sums.entry((chain.clone(), *kind)).or_default();
                    *booked = booked.saturating_add(change);
                }
            }
        }
        for case in group.cases.iter().filter(|case| case.decision.is_none()) {
            if case.amount.is_zero() {
                continue;
            }
            let (_, held) = sums.entry((case.chain.clone(), case.kind)).or_default();
            *held = held.saturating_add(i128::from(case.amount.micro()));
        }
        let owner = group.name();
        for ((chain, kind), (booked, held)) in sums {
            if booked == held {
                continue;
            }
            if moved {
                let sum = self.decided.entry((chain, kind)).or_default();
                *sum = sum.saturating_add(booked).saturating_sub(held);
                continue;
            }
            let key = format!("suspense:{}:{chain}:{owner}", kind.word());
            let what = format!(
                "open cases of {owner} hold {} as {}, the ledger has {}",
                text(held),
                kind.word(),
                text(booked)
            );
            let order = group.order.map(|dossier| dossier.order.id.clone());
            if let Some(finding) = self.find(Code::SuspenseDiffers, key, what) {
                finding.chain = Some(chain);
                finding.order = order;
                finding.amount = booked.saturating_sub(held).saturating_abs();
            }
        }
    }

    /// Suspense over all groups that decisions moved money between: it comes out even.
    pub(super) fn held_after_decisions(&mut self) {
        for ((chain, kind), sum) in std::mem::take(&mut self.decided) {
            let Some(more) = more(sum) else { continue };
            let key = format!("suspense:{}:{chain}:decided", kind.word());
            let (size, kind) = (sum.saturating_abs(), kind.word());
            let what = format!(
                "of what people decided about, the ledger has {} {more} as {kind} than open cases",
                text(size)
            );
            if let Some(finding) = self.find(Code::SuspenseDiffers, key, what) {
                finding.chain = Some(chain);
                finding.amount = size;
            }
        }
    }

    /// The clearing account of an order holds what waits for the rest, and nothing else.
    pub(super) fn cleared(&mut self, group: Group<'_>) {
        let Some(dossier) = group.order else { return };
        let id = &dossier.order.id;
        let mut sums: BTreeMap<ChainName, i128> = BTreeMap::new();
        for entry in group.journals.iter().flat_map(|journal| &journal.entries) {
            let Asset::Usdt(chain) = &entry.asset else { continue };
            for (account, change) in sides(entry) {
                if matches!(account, Account::Order(order) if order == id) {
                    let sum = sums.entry(chain.clone()).or_default();
                    *sum = sum.saturating_add(change);
                }
            }
        }
        let waits = dossier.deposits.iter().filter(|d| d.state == State::Confirmed);
        for deposit in waits {
            let sum = sums.entry(deposit.id.chain.clone()).or_default();
            // What a person counted for another order stays there.
            *sum = sum.saturating_sub(i128::from(dossier.worth(deposit).micro()));
        }
        for (chain, sum) in sums {
            let Some(more) = more(sum) else { continue };
            let size = sum.saturating_abs();
            let what =
                format!("order {id} has {} {more} in the ledger than waits for it", text(size));
            let key = format!("order:{id}:{chain}");
            if let Some(finding) = self.find(Code::LedgerAmountDiffers, key, what) {
                finding.chain = Some(chain);
                finding.order = Some(id.clone());
                finding.amount = size;
            }
        }
    }
}

/// Whether a case of the group was decided that a key names, or a decision about another's counts a
/// deposit here.
fn is_decided(group: Group<'_>, about: &str) -> bool {
    let decided = group.cases.iter().filter(|case| case.decision.is_some());
    let named = |id: &str| {
        about.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '#']))
    };
    decided.into_iter().any(|case| named(&case.id.0))
        || group.deposits.iter().any(|deposit| deposit.assigned.is_some())
}

fn post(posted: &mut Posted, journal: &Journal, account: &Account) {
    posted.count = posted.count.saturating_add(1);
    for entry in &journal.entries {
        for (side, change) in sides(entry) {
            if side == account {
                posted.amount = posted.amount.saturating_sub(change);
            } else if matches!(side, Account::Custody(..)) {
                posted.elsewhere = true;
            }
        }
    }
}

/// How what the ledger has differs by `sum` from what it is to have, in a word; none where it does
/// not.
fn more(sum: i128) -> Option<&'static str> {
    match sum.cmp(&0) {
        Ordering::Less => Some("less"),
        Ordering::Equal => None,
        Ordering::Greater => Some("more"),
    }
}

/// The two accounts of an entry with what it adds to their balances, credits less debits.
fn sides(entry: &Entry) -> [(&Account, i128); 2] {
    let amount = i128::from(entry.amount);
    [(&entry.debit, amount.saturating_neg()), (&entry.credit, amount)]
}
