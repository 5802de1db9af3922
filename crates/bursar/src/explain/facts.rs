//! Where a deposit sits, since when it is final, and what was told of it.
//!
//! In: a deposit, how far its chain is recorded, the events. Out: lines, and the same as JSON.
//! Never: a confirmation counted that is not recorded; a rule named for what is final, since the
//! config has today's alone. Why: support is asked "how sure is it, and who was told".

use payments::chain::Cursor;
use payments::changes::{ChainRules, Finality};
use payments::deposit::{Deposit, State};
use payments::event::EventKind;
use serde_json::{Value, json};
use store::Told;

use crate::clock::rfc3339;
use crate::error::Error;
use crate::open::Opened;
use crate::output::table;
use crate::view;

/// Events that one story tells at most, the newest.
pub(super) const TOLD: u32 = 30;

/// What was told, and how far the billing service has acknowledged it.
pub(super) struct Feed {
    events: Vec<Told>,
    /// When each deposit was found final, however long ago.
    finals: Vec<Told>,
    acknowledged: u64,
    /// Whether it is asked to.
    asked: bool,
}

impl Feed {
    /// What was told, the newest, and when deposits were found final where that may be before it.
    pub(super) async fn of(
        opened: &Opened,
        events: Vec<Told>,
        finals: Vec<Told>,
    ) -> Result<Self, Error> {
        let (acknowledged, _) = opened.books.store.acknowledged().await?;
        let asked = opened.config.reconcile.acknowledged_within.is_some() || acknowledged > 0;
        Ok(Self { events, finals, acknowledged, asked })
    }

    /// When a deposit was last found final, for this order or for the one that it first came to.
    fn confirmed(&self, deposit: &Deposit) -> Option<&Told> {
        let is = |event: &&Told| {
            event.kind == EventKind::DepositConfirmed && event.deposit.as_ref() == Some(&deposit.id)
        };
        self.events.iter().chain(&self.finals).filter(is).max_by_key(|event| event.seq)
    }

    fn word(&self, event: &Told) -> &'static str {
        match (self.asked, event.seq <= self.acknowledged) {
            (false, _) => "not asked for",
            (true, true) => "acknowledged",
            (true, false) => "not acknowledged",
        }
    }

    pub(super) fn json(&self) -> Value {
        let each = self.events.iter().map(|event| {
            json!({
                "seq": event.seq,
                "id": event.id,
                "kind": event.kind.word(),
                "at": rfc3339(event.at),
                "deposit": event.deposit.as_ref().map(ToString::to_string),
                "acknowledged": self.asked.then_some(event.seq <= self.acknowledged),
            })
        });
        each.collect()
    }

    pub(super) fn text(&self) -> String {
        if self.events.is_empty() {
            return String::new();
        }
        let row = |event: &Told| {
            vec![
                event.seq.to_string(),
                rfc3339(event.at),
                event.kind.word().to_owned(),
                self.word(event).to_owned(),
            ]
        };
        let rows: Vec<_> = self.events.iter().map(row).collect();
        format!("\nevents\n{}", table(&["number", "told", "event", "billing service"], &rows))
    }
}

/// Where a deposit sits and how final it is.
pub(super) struct Place {
    lines: Vec<String>,
    value: Value,
}

impl Place {
    pub(super) fn of(opened: &Opened, deposit: &Deposit, cursors: &[Cursor], feed: &Feed) -> Self {
        let chain = &deposit.id.chain;
        let n = deposit.id.n;
        let mut lines = vec![format!(
            "  block {} {}, log {} (transfer {n} of its transaction), {}",
            deposit.block.height,
            deposit.block.hash,
            deposit.log_index,
            rfc3339(deposit.time)
        )];
        let now = view::confirmations(deposit, cursors);
        let told = feed.confirmed(deposit).filter(|_| was_judged(deposit));
        let rules = opened.config.chains.get(chain).map(|chain| &chain.rules);
        let rule = || match rules {
            Some(rules) => finality(rules, deposit),
            None => (None, "no rule is configured".to_owned()),
        };
        let (needed, words) = (deposit.state == State::Pending).then(rule).unzip();
        let now_words = now.map_or_else(String::new, |now| format!("; {now} confirmations now"));
        lines.push(match (told, &words) {
            (Some(told), _) => format!("  final since {}{now_words}", rfc3339(told.at)),
            (None, Some(words)) => format!("  becomes final by the rule {words}{now_words}"),
            (None, None) if was_judged(deposit) => format!("  final{now_words}"),
            (None, None) => "  not on the chain".to_owned(),
        });
        let value = json!({
            "rule": words,
            "needed": needed.flatten(),
            "final_since": told.map(|told| rfc3339(told.at)),
            "confirmations": now,
        });
        Self { lines, value }
    }

    pub(super) fn text(&self) -> String {
        self.lines.join("\n")
    }

    pub(super) fn json(&self) -> Value {
        self.value.clone()
    }
}

/// Whether it was found final and still is.
const fn was_judged(deposit: &Deposit) -> bool {
    !matches!(deposit.state, State::Pending | State::Orphaned | State::Reversed)
}

/// The line of the confirmation rules that fits a deposit: how many it asks for, and its words.
fn finality(rules: &ChainRules, deposit: &Deposit) -> (Option<u64>, String) {
    let rule = rules.finality_of(deposit.amount);
    let bound = rule.and_then(|rule| rule.up_to);
    let bound = bound.map_or_else(String::new, |up_to| format!(" (up to {up_to} USDT)"));
    match rule.map_or(Finality::Finalized, |rule| rule.finality) {
        Finality::Finalized => (None, format!("`finalized`{bound}")),
        Finality::Safe => (None, format!("`safe`{bound}")),
        Finality::Confirmations(wanted) => {
            (Some(wanted), format!("`{wanted} confirmations`{bound}"))
        }
    }
}
