//! What is recorded, as sentences a person can compare.
//!
//! In: events as they are told, and the books at the end. Out: text without a hash in it.
//! Never: an amount that was computed here.
//! Why: a change of behaviour should be reviewed as a change of words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bursar::view::micro;
use payments::address::Address;
use payments::case::Case;
use payments::deposit::{Deposit, State};
use payments::order::{Dossier, Order};
use store::{OrderFilter, Store, Told};

use super::stage::moment;

/// The words so far, and the names of what has no name of its own.
#[derive(Default)]
pub(super) struct Prose {
    text: String,
    /// Hashes and addresses, lower-case, by the order of their appearance.
    names: BTreeMap<String, String>,
}

impl Prose {
    pub(super) fn text(self) -> String {
        self.text
    }

    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A new order: its address is called after it.
    pub(super) fn order(&mut self, order: &Order) {
        let id = &order.id;
        self.names.insert(key(&order.address), format!("address-of-{id}"));
    }

    pub(super) fn event(&mut self, told: &Told) {
        let mut line = format!("  {}", told.kind.word());
        if let Some(order) = &told.order {
            let _ = write!(line, " {order}");
        }
        if let Some(deposit) = &told.deposit {
            let _ = write!(line, " {deposit}");
        }
        if let Some(case) = &told.case {
            let _ = write!(line, " {case}");
        }
        let facts: BTreeMap<String, String> =
            serde_json::from_str(&told.data).expect("facts are an object of texts");
        let facts = facts.iter().map(|(name, value)| format!("{name}={value}"));
        let facts = facts.collect::<Vec<_>>().join(" ");
        if !facts.is_empty() {
            let _ = write!(line, " ({facts})");
        }
        let line = self.name(&line);
        self.line(&line);
    }

    /// Everything the books hold, and that they agree with themselves.
    pub(super) async fn books(&mut self, store: &Store) {
        self.line("");
        self.line("orders");
        let orders = store.orders(&OrderFilter::default(), 0, 1000).await.expect("orders");
        for (_, dossier) in &orders {
            self.dossier(dossier);
        }
        self.line("cases");
        for (_, case) in store.cases(false, 0, 1000).await.expect("cases") {
            self.case(&case);
        }
        self.line("ledger");
        for (_, journal) in store.journals(0, 1000).await.expect("journals") {
            let heading = format!("  {} {}", moment(journal.effective), journal.key);
            let heading = self.name(&heading);
            self.line(&heading);
            for entry in &journal.entries {
                let amount = micro(entry.amount.into());
                let (debit, credit, asset) = (&entry.debit, &entry.credit, &entry.asset);
                let line = format!("    {amount} {asset}: {debit} -> {credit}");
                let line = self.name(&line);
                self.line(&line);
            }
        }
        self.line("balances");
        for ((asset, account), sides) in store.balances("", "", 1000).await.expect("balances").0 {
            let line = self.name(&format!("  {account} {} {asset}", micro(sides.net())));
            self.line(&line);
        }
        self.line("chain");
        let cursors = store.cursors().await.expect("cursors");
        let several = cursors.len() > 1;
        for cursor in cursors {
            let height = |height: Option<u64>| height.map_or("-".to_owned(), |h| h.to_string());
            let last = height(cursor.last().map(|header| header.id.height));
            let finalized = height(cursor.finalized.map(|block| block.height));
            let whose = if several { format!("{}: ", cursor.chain) } else { String::new() };
            let mut line = format!("  {whose}scanned to {last}, final to {finalized}");
            for (word, why) in [("paused", cursor.paused), ("stalled", cursor.stalled)] {
                if let Some(why) = why {
                    let _ = write!(line, "; {word}: {why}");
                }
            }
            let line = self.name(&line);
            self.line(&line);
        }
        let findings = store.verify().await.expect("verify");
        assert!(findings.is_empty(), "the books disagree with themselves: {findings:?}");
    }

    fn dossier(&mut self, dossier: &Dossier) {
        let order = &dossier.order;
        let due = order.due.map_or_else(|| "any amount".to_owned(), |due| format!("{due} due"));
        let mut line = format!("  {} {}: {due}", order.id, dossier.status().word());
        let _ = write!(line, ", {} counted, {} pending", dossier.counted(), dossier.pending());
        for (word, at) in
            [("paid", dossier.paid), ("expired", dossier.expired), ("cancelled", dossier.cancelled)]
        {
            if let Some(at) = at {
                let _ = write!(line, ", {word} {}", moment(at));
            }
        }
        self.line(&line);
        for deposit in &dossier.deposits {
            self.deposit(deposit);
        }
    }

    fn deposit(&mut self, deposit: &Deposit) {
        let state = match deposit.state {
            State::Suspended(kind) => format!("suspended, {}", kind.word()),
            state => state.word().to_owned(),
        };
        let late = if deposit.late { ", late" } else { "" };
        let line = format!(
            "    {} by {} in {}, block {} log {}: {state}{late}",
            deposit.amount,
            deposit.from.evm(),
            deposit.id,
            deposit.block.height,
            deposit.log_index
        );
        let line = self.name(&line);
        self.line(&line);
    }

    fn case(&mut self, case: &Case) {
        let mut line = format!("  {}: {}", case.id, case.amount);
        match &case.decision {
            None => line.push_str(", open"),
            Some(decision) => {
                let word = decision.resolution.word();
                let _ = write!(line, ", {word} by {}: {}", decision.by, decision.why);
            }
        }
        let line = self.name(&line);
        self.line(&line);
    }

    /// `text` with a name for each hash and address in it: `tx1`, `account1` as they appear.
    pub(super) fn name(&mut self, text: &str) -> String {
        let mut named = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
            let (before, from) = rest.split_at(at);
            named.push_str(before);
            let end = from.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            let of_a_chain = named.ends_with("anvil:") || named.ends_with("tron:");
            match kind(word, of_a_chain) {
                None => named.push_str(word),
                Some((kind, key)) => {
                    let taken = self.names.values().filter(|name| name.starts_with(kind));
                    let next = taken.count() + 1;
                    let name = self.names.entry(key);
                    named.push_str(name.or_insert_with(|| format!("{kind}{next}")));
                }
            }
            rest = after;
        }
        named.push_str(rest);
        named
    }
}

/// What a word names, and the lower-case hex it is known by, in whichever spelling it stands.
fn kind(word: &str, of_a_chain: bool) -> Option<(&'static str, String)> {
    let hex = word.strip_prefix("0x");
    let digits = hex.unwrap_or(word);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match digits.len() {
        64 if is_hex && of_a_chain => Some(("tx", digits.to_lowercase())),
        64 if is_hex => Some(("hash", digits.to_lowercase())),
        40 if is_hex && hex.is_some() => Some(("account", digits.to_lowercase())),
        34 if word.starts_with('T') => Some(("account", key(&Address::parse(word).ok()?))),
        _ if hex.is_some() => panic!("{word} is no hash and no address"),
        _ => None,
    }
}

/// What an address is known by.
fn key(address: &Address) -> String {
    address.evm().trim_start_matches("0x").to_lowercase()
}
