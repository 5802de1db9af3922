//! An order, a deposit, a case and a journal as people and programs see them.
//!
//! In: what is recorded. Out: JSON that stays stable, and text.
//! Never: a computation of money; a float. Why: one place decides what a field is called.

use std::collections::BTreeMap;

use payments::address::{Address, Spelling};
use payments::case::{Case, CaseKind, Resolution, StepKind};
use payments::chain::{Cursor, TxHash};
use payments::deposit::{Deposit, State};
use payments::ledger::{Entry, Journal};
use payments::name::ChainName;
use payments::order::{Dossier, Order, Price};
use payments::outflow::OutflowId;
use payments::time::Time;
use serde_json::{Value, json};

use crate::cases::at_stake;
use crate::clock::{Clock, rfc3339};
use crate::config::Config;
use crate::outflows::Left;
use crate::output::{fields, table};
use crate::recorded::{Patience, Silence};
use crate::recovery::{Custody, Recovery};

/// How each chain's people write, who can move what is on it, and how long it may be silent.
#[derive(Debug, Clone, Default)]
pub struct View {
    custody: BTreeMap<ChainName, Custody>,
    patience: Patience,
}

impl View {
    /// What is to be shown of the configured chains.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let chains = config.chains.iter();
        let mut custody: BTreeMap<ChainName, Custody> =
            chains.map(|(name, chain)| (name.clone(), Custody::of(chain))).collect();
        let known: Vec<Custody> = custody.values().cloned().collect();
        for one in custody.values_mut().filter(|one| known.iter().any(|other| one.shares(other))) {
            one.of_unknown_coin();
        }
        Self { custody, patience: Patience::new(config, Clock::System) }
    }

    /// The same by another clock than the machine's.
    #[must_use]
    pub(crate) fn by(self, config: &Config, clock: Clock) -> Self {
        Self { patience: Patience::new(config, clock), ..self }
    }

    /// Whether nothing newer is recorded of a chain for longer than its config bears.
    pub(crate) fn silence(&self, cursor: &Cursor) -> Option<Silence> {
        self.patience.silence(cursor)
    }

    /// An address in the spelling of `chain`; in hex where the chain is not configured any more.
    #[must_use]
    pub fn spelled(&self, chain: &ChainName, address: &Address) -> String {
        address.spell(self.spelling(chain))
    }

    fn spelling(&self, chain: &ChainName) -> Spelling {
        self.custody.get(chain).map_or(Spelling::Evm, Custody::spelling)
    }

    /// A transaction in the spelling of `chain`.
    #[must_use]
    pub fn tx(&self, chain: &ChainName, tx: &TxHash) -> String {
        match self.spelling(chain) {
            Spelling::Evm => tx.to_string(),
            Spelling::Tron => tx.bare(),
        }
    }

    /// How what is on another chain than its order's is had back.
    #[must_use]
    pub fn recovery(&self, order: &Order, case: &Case) -> Option<Recovery> {
        (case.kind == CaseKind::WrongNetwork).then(|| {
            let custody = |chain| self.custody.get(chain);
            let (home, found) = (custody(&order.chain), custody(&case.chain));
            Recovery::of(order, &case.chain, home, found)
        })
    }

    /// A case as JSON; with its order, what of it can be had back.
    #[must_use]
    pub fn case_json(&self, case: &Case, order: Option<&Order>) -> Value {
        let mut value = self.plain_case(case);
        let recovery = order.and_then(|order| self.recovery(order, case));
        if let (Value::Object(fields), Some(recovery)) = (&mut value, recovery) {
            fields.insert("recovery".to_owned(), recovery.json());
        }
        value
    }

    fn plain_case(&self, case: &Case) -> Value {
        let spelled = |to: &Address| self.spelled(&case.chain, to);
        let terms = |resolution: &Resolution| match resolution {
            Resolution::Refund { to, fee } => (Some(spelled(to)), Some(fee.to_string()), None),
            Resolution::Reassign(order) => (None, None, Some(order.to_string())),
            _ => (None, None, None),
        };
        let taken = |resolution: &Resolution, by: &str, why: &str, at: Time| {
            let (to, fee, order) = terms(resolution);
            json!({
                "resolution": resolution.word(), "by": by, "why": why, "at": rfc3339(at),
                "to": to, "fee": fee, "order": order,
            })
        };
        let steps = case.steps.iter().map(|step| {
            let tx = match &step.kind {
                StepKind::Sent(tx) | StepKind::Failed(tx) | StepKind::Verified { tx, .. } => {
                    Some(self.tx(&case.chain, tx))
                }
                StepKind::Proposed(_) | StepKind::Withdrawn => None,
            };
            json!({
                "step": step.kind.word(), "by": step.by, "why": step.why, "tx": tx,
                "at": rfc3339(step.at),
            })
        });
        json!({
            "id": case.id.0,
            "kind": case.kind.word(),
            "order": case.order.as_ref().map(payments::name::OrderId::as_str),
            "chain": case.chain.as_str(),
            "amount": case.amount.to_string(),
            "deposits": case.deposits.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "opened_at": rfc3339(case.opened_at),
            "resolution": case.decision.as_ref().map(|d| taken(&d.resolution, &d.by, &d.why, d.at)),
            "proposal": case.proposal().map(|(what, s)| taken(what, &s.by, &s.why, s.at)),
            "refund": case.refund().map(|refund| json!({
                "state": refund.state.word(),
                "to": spelled(&refund.to),
                "fee": refund.fee.to_string(),
                "amount": refund.net.to_string(),
                "tx": refund.tx.map(|tx| self.tx(&case.chain, &tx)),
            })),
            "steps": steps.collect::<Vec<_>>(),
        })
    }

    /// An order with all that is recorded about it, as JSON.
    #[must_use]
    pub fn order_json(&self, dossier: &Dossier, cursors: &[Cursor]) -> Value {
        let order = &dossier.order;
        json!({
            "id": order.id.as_str(),
            "customer": order.customer.as_str(),
            "chain": order.chain.as_str(),
            "status": dossier.status().word(),
            "amount_due": order.due.map(|due| due.to_string()),
            "amount_counted": dossier.counted().to_string(),
            "amount_pending": dossier.pending().to_string(),
            "price": price(order),
            "address": self.spelled(&order.chain, &order.address),
            "created_at": rfc3339(order.created_at),
            "expires_at": order.expires_at.map(rfc3339),
            "paid_at": dossier.paid.map(rfc3339),
            "expired_at": dossier.expired.map(rfc3339),
            "cancelled_at": dossier.cancelled.map(rfc3339),
            "refund_to": order.refund_to.as_ref().map(|to| self.spelled(&order.chain, to)),
            "standstill": self.standstill(dossier, cursors),
            "metadata": order.metadata.as_deref().map(metadata),
            "deposits": dossier.deposits.iter().map(|d| self.deposit_json(d, cursors)).collect::<Vec<_>>(),
            "cases": dossier.cases.iter().map(|case| self.case_json(case, Some(order))).collect::<Vec<_>>(),
            "journals": dossier.journals.iter().map(journal_json).collect::<Vec<_>>(),
        })
    }

    /// A deposit as JSON. Confirmations are computed from how far the chain is recorded.
    #[must_use]
    pub fn deposit_json(&self, deposit: &Deposit, cursors: &[Cursor]) -> Value {
        let chain = &deposit.id.chain;
        json!({
            "id": deposit.id.to_string(),
            "chain": deposit.id.chain.as_str(),
            "tx": self.tx(chain, &deposit.id.tx),
            "order": deposit.order.as_ref().map(payments::name::OrderId::as_str),
            "from": self.spelled(chain, &deposit.from),
            "to": self.spelled(chain, &deposit.to),
            "amount": deposit.amount.to_string(),
            "raw": deposit.raw.to_string(),
            "token": deposit.id.other_token.as_ref().map(|token| self.spelled(chain, token)),
            "height": deposit.block.height,
            "block": deposit.block.hash.to_string(),
            "log_index": deposit.log_index,
            "block_time": rfc3339(deposit.time),
            "state": deposit.state.word(),
            "case": case_word(deposit.state),
            "late": deposit.late,
            "assigned_by": deposit.assigned.as_ref().map(ToString::to_string),
            "confirmations": confirmations(deposit, cursors),
        })
    }

    /// An order as text: what support reads out; `left` is what left its address.
    #[must_use]
    pub(crate) fn order_text(
        &self,
        dossier: &Dossier,
        cursors: &[Cursor],
        left: &[Left],
    ) -> String {
        let order = &dossier.order;
        let due = order.due.map_or_else(|| "any".to_owned(), |due| format!("{due} USDT"));
        let received = format!("{} counted, {} pending", dossier.counted(), dossier.pending());
        let mut pairs = vec![
            ("order", order.id.to_string()),
            ("status", dossier.status().word().to_owned()),
            ("customer", order.customer.to_string()),
            (
                "pay",
                format!(
                    "{due} on {} to {}",
                    order.chain,
                    self.spelled(&order.chain, &order.address)
                ),
            ),
            ("for", price(order)),
            ("received", received),
            ("created", rfc3339(order.created_at)),
        ];
        let moments = [
            ("expires", order.expires_at),
            ("paid", dossier.paid),
            ("expired", dossier.expired),
            ("cancelled", dossier.cancelled),
        ];
        pairs.extend(moments.into_iter().filter_map(|(name, at)| at.map(|at| (name, rfc3339(at)))));
        if let Some(words) = self.standstill(dossier, cursors) {
            pairs.push(("chain", words));
        }
        let mut text = fields(&pairs);
        if !dossier.deposits.is_empty() {
            text.push_str("\ndeposits\n");
            text.push_str(&self.deposits_text(&dossier.deposits, cursors));
        }
        if !dossier.cases.is_empty() {
            text.push_str("\ncases\n");
            text.push_str(&self.cases_text(dossier, left));
            for recovery in dossier.open_cases().filter_map(|case| self.recovery(order, case)) {
                text.push_str(&format!("  {}\n", recovery.words));
            }
        }
        if !dossier.journals.is_empty() {
            text.push_str("\nledger\n");
            text.push_str(&journals_text(&dossier.journals));
        }
        text
    }

    /// Deposits as a table.
    #[must_use]
    pub fn deposits_text(&self, deposits: &[Deposit], cursors: &[Cursor]) -> String {
        let rows: Vec<Vec<String>> = deposits
            .iter()
            .map(|deposit| {
                let state = case_word(deposit.state).map_or_else(
                    || deposit.state.word().to_owned(),
                    |kind| format!("{}: {kind}", deposit.state.word()),
                );
                vec![
                    deposit.amount.to_string(),
                    state,
                    deposit.id.chain.to_string(),
                    deposit.block.height.to_string(),
                    confirmations(deposit, cursors)
                        .map_or_else(|| "-".to_owned(), |n| n.to_string()),
                    rfc3339(deposit.time),
                    self.tx(&deposit.id.chain, &deposit.id.tx),
                ]
            })
            .collect();
        let header = ["amount", "state", "chain", "height", "confirmations", "block time", "tx"];
        table(&header, &rows)
    }

    /// An order's cases as a table.
    fn cases_text(&self, dossier: &Dossier, left: &[Left]) -> String {
        let row = |case: &Case| {
            let refund = case.refund().map_or("", |refund| refund.state.word());
            let state = case.decision.as_ref().map_or_else(
                || match case.proposal() {
                    Some((what, step)) => {
                        format!("{} proposed by {}", self.terms(case, what), step.by)
                    }
                    None => "open".to_owned(),
                },
                |decision| {
                    let (word, by) = (decision.resolution.word(), &decision.by);
                    format!("{word} {refund} by {by}: {}", decision.why).replace("  ", " ")
                },
            );
            let about = OutflowId::of_case(case);
            let about = left.iter().find(|left| Some(&left.outflow.id) == about.as_ref());
            let about = about.map(|left| left.outflow.amount);
            vec![
                case.kind.word().to_owned(),
                at_stake(case, about, &dossier.deposits).to_string(),
                rfc3339(case.opened_at),
                state,
                case.id.0.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = dossier.cases.iter().map(row).collect();
        table(&["kind", "amount", "opened", "state", "case"], &rows)
    }

    /// Why nothing moves on a chain, where it does not; expiry stands still with it.
    fn standstill(&self, dossier: &Dossier, cursors: &[Cursor]) -> Option<String> {
        if dossier.is_closed() || dossier.paid.is_some() {
            return None;
        }
        let cursor = cursors.iter().find(|cursor| cursor.chain == dossier.order.chain)?;
        let chain = &cursor.chain;
        let marked = match (&cursor.paused, &cursor.stalled) {
            (Some(why), _) => Some(format!("{chain} is paused: {why}")),
            (None, Some(why)) => Some(format!("{chain} is stalled: {why}")),
            (None, None) => None,
        };
        let silence = self.silence(cursor);
        let marked = marked.map(|why| format!("{why}; meanwhile no order on it expires"));
        let silent = silence.map(|silence| format!("on {chain} {}", silence.words()));
        let said: Vec<String> = marked.into_iter().chain(silent).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// What an order gives, in words.
fn price(order: &Order) -> String {
    match order.price {
        Price::Fixed(credits) => format!("{credits} credits"),
        Price::Rate { num, den } => {
            let (credits, _) =
                order.price.credits(order.due.unwrap_or(one_usdt()), order.due).unwrap_or_default();
            match order.due {
                Some(_) => format!("{credits} credits"),
                None if den == 1_000_000 => format!("{credits} credits per USDT"),
                None => format!("{num}/{den} credits per USDT"),
            }
        }
    }
}

fn one_usdt() -> payments::amount::Usdt {
    payments::amount::Usdt::from_micro(1_000_000).unwrap_or_default()
}

fn metadata(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn case_word(state: State) -> Option<&'static str> {
    match state {
        State::Suspended(kind) => Some(kind.word()),
        _ => None,
    }
}

/// Tip less height plus one, while the deposit's block is on the recorded chain.
#[must_use]
pub fn confirmations(deposit: &Deposit, cursors: &[Cursor]) -> Option<u64> {
    let cursor = cursors.iter().find(|cursor| cursor.chain == deposit.id.chain)?;
    if !deposit.state.is_on_chain() {
        return None;
    }
    let last = cursor.last()?.id.height;
    last.checked_sub(deposit.block.height)?.checked_add(1)
}

/// A journal as JSON.
#[must_use]
pub fn journal_json(journal: &Journal) -> Value {
    let entries = journal.entries.iter().map(|entry| {
        json!({
            "asset": entry.asset.to_string(),
            "debit": entry.debit.to_string(),
            "credit": entry.credit.to_string(),
            "amount": micro(entry.amount.into()),
        })
    });
    json!({
        "key": journal.key,
        "order": journal.order.as_ref().map(payments::name::OrderId::as_str),
        "deposit": journal.deposit.as_ref().map(ToString::to_string),
        "effective_at": rfc3339(journal.effective),
        "recorded_at": rfc3339(journal.recorded),
        "entries": entries.collect::<Vec<_>>(),
    })
}

/// Millionths as decimal text with at least two decimals, also below zero.
#[must_use]
pub fn micro(value: i128) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs();
    let whole = digits.checked_div(1_000_000).unwrap_or_default();
    let fraction = format!("{:06}", digits.checked_rem(1_000_000).unwrap_or_default());
    let short = fraction.trim_end_matches('0');
    format!("{sign}{whole}.{short:0<2}")
}

/// What [`entry_cells`] are.
pub(crate) const ENTRY_HEADER: [&str; 6] =
    ["effective", "asset", "amount", "debit", "credit", "journal"];

/// A line of the ledger as the cells of a table.
pub(crate) fn entry_cells(effective: Time, entry: &Entry, key: &str) -> Vec<String> {
    vec![
        rfc3339(effective),
        entry.asset.to_string(),
        micro(entry.amount.into()),
        entry.debit.to_string(),
        entry.credit.to_string(),
        key.to_owned(),
    ]
}

/// Journals as a table, a line for each entry.
#[must_use]
pub fn journals_text(journals: &[Journal]) -> String {
    let lines = journals.iter().flat_map(|journal| {
        let of = move |entry| entry_cells(journal.effective, entry, &journal.key);
        journal.entries.iter().map(of)
    });
    table(&ENTRY_HEADER, &lines.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millionths_are_written_exactly() {
        for (value, text) in [
            (0, "0.00"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (100_000_000, "100.00"),
            (99_950_000, "99.95"),
            (-12_500_000, "-12.50"),
        ] {
            assert_eq!(micro(value), text);
        }
    }
}
