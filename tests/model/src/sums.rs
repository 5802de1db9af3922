//! What is summed up of the journals and the events, as far as they were read.
//!
//! In: what was written since the last look. Out: balances, the journals that stand, the first
//! that should not have been written, what was told.
//! Never: read twice; that what was read stays as it was is an invariant of its own.
//! Why: a look at the whole of a long history must not add it up from its first day.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::ledger::{Account, Asset, Entry, Journal};
use payments::time::Time;

use crate::events::Told;
use crate::memory::Memory;
use crate::shares::Nets;

/// The sums.
#[derive(Default)]
pub(crate) struct Sums {
    journals: usize,
    events: usize,
    /// Credits less debits of every account, by the journals.
    pub(crate) nets: Nets,
    by_key: BTreeMap<String, Arc<Journal>>,
    /// Journals that no other journal reverses, by their keys.
    live: BTreeMap<String, Arc<Journal>>,
    /// Causes of which more than one journal stands.
    crowds: BTreeSet<String>,
    /// The first entry that took an account past its bound.
    beyond: Option<String>,
    /// The commit whose journals are read.
    commit: Commit,
    /// The first journal that was written twice, or undoes what is not.
    again: Option<String>,
    /// What a reader of all events believes, or the first that he cannot.
    pub(crate) told: Told,
    untold: Option<String>,
}

/// What is known of a commit while its journals are read.
#[derive(Default)]
struct Commit {
    recorded: Option<Time>,
    /// Whether it takes something back: that of several orders is one thing.
    reverses: bool,
    /// The first entry that took an account past its bound, if only until the next.
    beyond: Option<String>,
    touched: BTreeSet<(Asset, Account)>,
}

impl Sums {
    /// Reads what is new.
    pub(crate) fn read(&mut self, memory: &Memory) {
        for journal in memory.journals().get(self.journals..).unwrap_or_default() {
            if self.commit.recorded != Some(journal.recorded) {
                self.end_commit();
                self.commit.recorded = Some(journal.recorded);
            }
            self.commit.reverses |= journal.key.starts_with("reverse:");
            let wrong = self.move_value(journal);
            self.beyond = self.beyond.take().or(wrong.err());
            let again = self.stand(journal);
            self.again = self.again.take().or(again.err());
        }
        self.end_commit();
        self.journals = memory.journals().len();
        let events = memory.events().get(self.events..).unwrap_or_default();
        if self.untold.is_none() {
            self.untold = self.told.read(events).err();
        }
        self.events = memory.events().len();
    }

    pub(crate) fn net(&self, asset: Asset, account: Account) -> i128 {
        self.nets.get(&(asset, account)).copied().unwrap_or(0)
    }

    /// The journals of this kind that stand.
    pub(crate) fn standing<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Journal> {
        let of_kind = self.live.range(kind.to_owned()..);
        let of_kind = of_kind.take_while(move |(key, _)| key.starts_with(kind));
        of_kind.map(|(_, journal)| journal.as_ref())
    }

    /// Whether a journal of that moment stands whose key is this, or a longer one.
    pub(crate) fn stands(&self, key: &str, recorded: Time) -> bool {
        let from = self.live.range(key.to_owned()..);
        let mut from = from.take_while(|(of, _)| of.starts_with(key));
        from.any(|(of, journal)| {
            let is_of = of
                .get(key.len()..)
                .is_some_and(|end| end.is_empty() || end.starts_with(['#', ':']));
            is_of && journal.recorded == recorded
        })
    }

    /// No entry takes an account past its bound, not even for a moment, but where a commit takes
    /// several orders back; credits are taken back from a customer by a reversal alone.
    pub(crate) fn within_bounds(&self) -> Result<(), String> {
        self.beyond.clone().map_or(Ok(()), Err)
    }

    /// A key is used once; of the rounds of one cause one stands; a reversal undoes exactly what
    /// it names.
    pub(crate) fn only_once(&self) -> Result<(), String> {
        if let Some(what) = &self.again {
            return Err(what.clone());
        }
        match self.crowds.first() {
            Some(cause) => Err(format!("{cause} stands twice")),
            None => Ok(()),
        }
    }

    /// Each event can follow those before it.
    pub(crate) fn follows(&self) -> Result<(), String> {
        self.untold.clone().map_or(Ok(()), Err)
    }

    /// What one commit takes back of several orders may cross on its way: its end counts.
    fn end_commit(&mut self) {
        let Commit { reverses, beyond, touched, .. } = std::mem::take(&mut self.commit);
        let still = |(asset, account): &(Asset, Account)| {
            is_beyond(asset, account, self.net(asset.clone(), account.clone()))
        };
        if !reverses || touched.iter().any(still) {
            self.beyond = self.beyond.take().or(beyond);
        }
    }

    fn move_value(&mut self, journal: &Journal) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{} in journal {}", what, journal.key));
        let mut end = Ok(());
        for Entry { asset, debit, credit, amount } in &journal.entries {
            if *amount <= 0 {
                end = end.and(wrong("nothing is moved"));
            }
            let taken = matches!(debit, Account::Customer(_));
            if taken && !journal.key.starts_with("reverse:") {
                end = end.and(wrong("credits are taken from a customer"));
            }
            for (account, by) in [(debit, -i128::from(*amount)), (credit, i128::from(*amount))] {
                let net = self.nets.entry((asset.clone(), account.clone())).or_default();
                *net += by;
                if is_beyond(asset, account, *net) {
                    let what = wrong(&format!("{account} comes to {net}"));
                    self.commit.beyond = self.commit.beyond.take().or(what.err());
                    self.commit.touched.insert((asset.clone(), account.clone()));
                }
            }
        }
        end
    }

    fn stand(&mut self, journal: &Arc<Journal>) -> Result<(), String> {
        let key = &journal.key;
        let of_key = self.by_key.insert(key.clone(), Arc::clone(journal));
        if self.live.insert(key.clone(), Arc::clone(journal)).is_none() {
            self.crowd(key);
        }
        if of_key.is_some() {
            return Err(format!("journal {key} is written twice"));
        }
        let Some(undone) = key.strip_prefix("reverse:") else { return Ok(()) };
        if self.live.remove(undone).is_some() {
            self.crowd(undone);
        }
        let undone = self.by_key.get(undone);
        let mirrors =
            undone.is_some_and(|undone| undone.reversed(Time(0)).entries == journal.entries);
        if mirrors { Ok(()) } else { Err(format!("{key} does not undo what it names")) }
    }

    /// Notes whether more than one journal stands of the cause of this one.
    fn crowd(&mut self, key: &str) {
        // An order's excess is suspended with each grant; what a reorg moved is suspended anew.
        if ["reverse:", "suspend:", "release:"].iter().any(|kind| key.starts_with(kind)) {
            return;
        }
        let cause = cause(key);
        let same = key.split('#').next().unwrap_or_default();
        let others = self.live.range(same.to_owned()..);
        let others = others.take_while(|(key, _)| key.starts_with(same));
        if others.filter(|(key, _)| self::cause(key) == cause).count() > 1 {
            self.crowds.insert(cause);
        } else {
            self.crowds.remove(&cause);
        }
    }
}

/// A key without its rounds: of its own, and of the case that it names before the deposit it is of.
fn cause(key: &str) -> String {
    let mut parts = key.split('#');
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.trim_start_matches(|of: char| of.is_ascii_digit()));
    std::iter::once(first).chain(rest).collect()
}

fn is_beyond(asset: &Asset, account: &Account, net: i128) -> bool {
    match account {
        Account::Custody(..) => net > 0,
        Account::Order(_) | Account::Suspense(_) => net < 0,
        Account::Dust | Account::RefundsPayable => net < 0,
        Account::Sales | Account::Fees | Account::Treasury(_) | Account::Kept | Account::Lost => {
            false
        }
        Account::Issued | Account::Customer(_) => *asset != Asset::Credit,
    }
}
