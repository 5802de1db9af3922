//! The books as text, to compare two engines, or two ways to the same books.
//!
//! In: the books. Out: one line a row, in an order that does not depend on the engine.
//! Never: an internal number. Why: two texts that differ show where.

use std::fmt::Write as _;

use payments::case::Case;
use payments::chain::Header;
use payments::changes::Changes;
use payments::deposit::Deposit;
use payments::event::Event;
use payments::ledger::Journal;
use payments::notice::Noted;
use payments::order::Dossier;
use payments::outflow::Outflow;
use payments::time::Time;

use super::Memory;

impl Memory {
    /// Every row: cursors, addresses, orders, deposits, cases, journals, balances, events.
    pub fn dump(&self) -> String {
        let mut out = String::new();
        for cursor in self.cursors.values() {
            let _ = writeln!(out, "{cursor:?}");
        }
        for (address, owner) in &self.owners {
            let owner = owner.as_ref().map_or("nobody", |order| order.as_str());
            let _ = writeln!(out, "address {address} {owner}");
        }
        out.push_str(&self.dump_books());
        for (sequence, event) in self.events.iter().enumerate() {
            let _ = writeln!(out, "{sequence} {}", event_line(event));
        }
        out
    }

    /// Orders, deposits, cases, journals and balances.
    pub fn dump_books(&self) -> String {
        let mut out = String::new();
        for dossier in self.orders.keys().filter_map(|id| self.dossier(id)) {
            let _ = writeln!(out, "{}", order_line(dossier));
        }
        for deposit in &self.deposits {
            let _ = writeln!(out, "{}", deposit_line(deposit));
        }
        for outflow in &self.outflows {
            let _ = writeln!(out, "{}", outflow_line(outflow));
        }
        for noted in &self.notices {
            let _ = writeln!(out, "{}", notice_line(noted));
        }
        for case in &self.cases {
            let _ = writeln!(out, "{}", case_line(case));
        }
        for journal in &self.journals {
            let _ = writeln!(out, "{}", journal_text(journal));
        }
        out.push_str(&self.dump_balances());
        out
    }

    /// Accounts that are not zero.
    pub fn dump_balances(&self) -> String {
        let mut out = String::new();
        for ((asset, account), sides) in &self.balances.0 {
            let net = sides.net();
            if net != 0 {
                let _ = writeln!(out, "{asset} {account} {net}");
            }
        }
        out
    }
}

/// What a plan changes, one line a row.
pub fn changes_text(changes: &Changes) -> String {
    let mut out = String::new();
    if let Some(mv) = &changes.cursor {
        let heights = |list: &[Header]| list.iter().map(|h| h.id.height).collect::<Vec<_>>();
        let (orphaned, kept) = (heights(&mv.orphaned), heights(&mv.kept));
        let (finalized, safe) = (mv.finalized.map(|block| block.height), mv.safe);
        let _ = write!(out, "\n  orphaned {orphaned:?} kept {kept:?} final {finalized:?}");
        let _ = write!(out, " safe {safe:?} paused {:?} stalled {:?}", mv.paused, mv.stalled);
    }
    for touched in &changes.touched {
        let _ = write!(out, "\n  {touched:?}");
    }
    for (word, list) in [("new", &changes.recorded), ("moved", &changes.moved)] {
        for deposit in list {
            let _ = write!(out, "\n  {word} {}", deposit_line(deposit));
        }
    }
    for outflow in &changes.outflows {
        let _ = write!(out, "\n  {}", outflow_line(outflow));
    }
    for noted in &changes.notices {
        let _ = write!(out, "\n  {}", notice_line(noted));
    }
    for case in &changes.cases {
        let _ = write!(out, "\n  {}", case_line(case));
    }
    for journal in &changes.journals {
        let _ = write!(out, "\n  {}", journal_text(journal));
    }
    for event in &changes.events {
        let _ = write!(out, "\n  {}", event_line(event));
    }
    out
}

/// An order on one line.
pub fn order_line(dossier: &Dossier) -> String {
    let at = |time: Option<Time>| time.map_or("-".to_owned(), |time| time.0.to_string());
    format!(
        "order {} {} version {} paid {} expired {} cancelled {}",
        dossier.order.id,
        dossier.status().word(),
        dossier.version,
        at(dossier.paid),
        at(dossier.expired),
        at(dossier.cancelled),
    )
}

/// A deposit on one line.
pub fn deposit_line(deposit: &Deposit) -> String {
    let state = match deposit.state {
        payments::deposit::State::Suspended(kind) => format!("suspended:{}", kind.word()),
        state => state.word().to_owned(),
    };
    format!(
        "deposit {} of {} {} raw {} from {} to {} in {}:{}:{} at {} {state}{}",
        deposit.id,
        deposit.order.as_ref().map_or("nobody", |order| order.as_str()),
        deposit.amount,
        deposit.raw,
        deposit.from,
        deposit.to,
        deposit.block.height,
        deposit.block.hash,
        deposit.log_index,
        deposit.time.0,
        match &deposit.assigned {
            Some(case) => format!(" by {case}"),
            None if deposit.late => " late".to_owned(),
            None => String::new(),
        },
    )
}

/// An outflow on one line.
pub fn outflow_line(outflow: &Outflow) -> String {
    format!(
        "outflow {} round {} of {} {} raw {} from {} to {} in {}:{}:{} at {} {} {}",
        outflow.id,
        outflow.round,
        outflow.order.as_ref().map_or("nobody", |order| order.as_str()),
        outflow.amount,
        outflow.raw,
        outflow.from,
        outflow.to,
        outflow.block.height,
        outflow.block.hash,
        outflow.log_index,
        outflow.time.0,
        outflow.state.word(),
        outflow.explained.map_or("unexplained", |why| why.word()),
    )
}

/// A notice on one line.
pub fn notice_line(noted: &Noted) -> String {
    let (notice, block) = (&noted.notice, noted.notice.block);
    format!(
        "notice {} round {} of {} {:?} in {}:{}:{} at {}{}",
        noted.id(),
        noted.round,
        noted.order.as_ref().map_or("nobody", |order| order.as_str()),
        notice.what,
        block.height,
        block.hash,
        notice.log_index,
        notice.time.0,
        if noted.orphaned { " orphaned" } else { "" },
    )
}

/// A case on one line.
pub fn case_line(case: &Case) -> String {
    let deposits: Vec<String> = case.deposits.iter().map(ToString::to_string).collect();
    let decision = case.decision.as_ref().map_or("open".to_owned(), |decision| {
        let (word, by, why) = (decision.resolution.word(), &decision.by, &decision.why);
        format!("{word} by {by} at {}: {why}", decision.at.0)
    });
    let steps: Vec<String> = case.steps.iter().map(|step| format!(" {step:?}")).collect();
    let (held, deposits, steps) = (case.amount, deposits.join(" "), steps.concat());
    let (id, since) = (&case.id, case.opened_at.0);
    format!("case {id} holds {held} of [{deposits}] since {since} {decision}{steps}")
}

/// A journal: its key, and one line for each entry.
pub fn journal_text(journal: &Journal) -> String {
    let mut out = format!(
        "journal {} of {} effective {} recorded {} remainder {}",
        journal.key,
        journal.order.as_ref().map_or("nobody", |order| order.as_str()),
        journal.effective.0,
        journal.recorded.0,
        journal.remainder,
    );
    for entry in &journal.entries {
        let (debit, credit) = (&entry.debit, &entry.credit);
        let _ = write!(out, "\n  {} {debit} -> {credit} {}", entry.asset, entry.amount);
    }
    out
}

/// An event on one line.
pub fn event_line(event: &Event) -> String {
    let mut out = format!("{} at {}", event.kind.word(), event.at.0);
    if let Some(chain) = &event.chain {
        let _ = write!(out, " chain {chain}");
    }
    if let Some(order) = &event.order {
        let _ = write!(out, " order {order}");
    }
    if let Some(deposit) = &event.deposit {
        let _ = write!(out, " deposit {deposit}");
    }
    if let Some(case) = &event.case {
        let _ = write!(out, " case {case}");
    }
    for (name, value) in &event.data {
        let _ = write!(out, " {name}={value}");
    }
    out
}
