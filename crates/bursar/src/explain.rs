//! `bursar explain`: the whole story of an order, a transaction, an address or a case.
//!
//! In: what a customer or a colleague sent. Out: what happened, why, and what to do next.
//! Never: "not found" alone; a transaction that is not ours is looked up on every chain.
//! Why: this is what support types, a hundred times a day.

use payments::address::Address;
use payments::case::{CaseId, CaseKind};
use payments::chain::TxHash;
use payments::deposit::{Deposit, State};
use payments::lookup::Transaction;
use payments::name::{ChainName, OrderId};
use payments::order::{Dossier, Status};
use serde_json::{Value, json};
use store::Found;

use crate::clock::rfc3339;
use crate::config::Chain;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::Output;
use crate::view;

/// Explains `term`.
///
/// # Errors
/// Exit 2 where the term is none of the four, or nothing is known of it.
pub async fn run(opened: &Opened, term: &str, output: Output) -> Result<(), Error> {
    let term = term.trim();
    let found = opened.books.store.find(term).await?;
    if let Some(first) = found.first() {
        let mut story = Story::default();
        let mut told: Vec<OrderId> = Vec::new();
        for found in &found {
            story.tell_found(opened, found, &mut told).await?;
        }
        let kind = word(first);
        let value = json!({ "term": term, "kind": kind, "story": story.json });
        return output.print(&value, || story.text);
    }
    if let Some(hash) = TxHash::parse(term) {
        return foreign(opened, hash, output).await;
    }
    if term.starts_with("0x") || term.starts_with('T') && term.len() == 34 {
        let address = Address::parse(term).map_err(|why| input("address", why))?;
        let text = format!("{address} was never a deposit address of ours.");
        return output.print(&json!({ "term": term, "kind": "foreign_address" }), || text);
    }
    let why = "is no order, transaction, address or case that is known here";
    Err(input(&format!("`{}`", term.chars().take(80).collect::<String>()), why))
}

const fn word(found: &Found) -> &'static str {
    match found {
        Found::Order(_) => "order",
        Found::Deposit(_) => "transaction",
        Found::Address(..) => "address",
        Found::Case(_) => "case",
    }
}

#[derive(Default)]
struct Story {
    text: String,
    json: Vec<Value>,
}

impl Story {
    async fn tell_found(
        &mut self,
        opened: &Opened,
        found: &Found,
        told: &mut Vec<OrderId>,
    ) -> Result<(), Error> {
        let owner = match found {
            Found::Order(id) => Some(id.clone()),
            Found::Deposit(id) => {
                let deposits = opened.books.store.deposits_of_tx(&id.tx).await?;
                let deposit = deposits.into_iter().find(|deposit| deposit.id == *id);
                if let Some(deposit) = deposit.as_ref().filter(|d| d.order.is_none()) {
                    self.tell_unassigned(opened, deposit);
                }
                deposit.and_then(|deposit| deposit.order)
            }
            Found::Address(address, None) => {
                self.line(&format!("{address} is an imported address that no order has taken."));
                for deposit in opened.books.store.deposits_to(address).await? {
                    self.tell_unassigned(opened, &deposit);
                }
                None
            }
            Found::Address(_, Some(order)) => Some(order.clone()),
            Found::Case(id) => self.tell_case(opened, id).await?,
        };
        let Some(id) = owner.filter(|id| !told.contains(id)) else {
            return Ok(());
        };
        told.push(id.clone());
        if let Some(dossier) = opened.books.store.order(&id).await? {
            self.tell_order(opened, &dossier).await?;
        }
        Ok(())
    }

    async fn tell_case(&mut self, opened: &Opened, id: &CaseId) -> Result<Option<OrderId>, Error> {
        let Some((_, case)) = opened.books.store.case(id).await? else {
            return Ok(None);
        };
        self.line(&format!(
            "Case {id}: {} of {} USDT, opened {}.",
            case.kind.word(),
            case.amount,
            rfc3339(case.opened_at)
        ));
        let dossier = match &case.order {
            Some(id) => opened.books.store.order(id).await?,
            None => None,
        };
        let order = dossier.as_ref().map(|dossier| &dossier.order);
        self.json.push(opened.view.case_json(&case, order));
        Ok(case.order)
    }

    fn tell_unassigned(&mut self, opened: &Opened, deposit: &Deposit) {
        let chain = &deposit.id.chain;
        self.line(&format!(
            "{} USDT reached {} on {chain} in block {}: the address belongs to no order.",
            deposit.amount,
            opened.view.spelled(chain, &deposit.to),
            deposit.block.height
        ));
        self.json.push(opened.view.deposit_json(deposit, &[]));
    }

    async fn tell_order(&mut self, opened: &Opened, dossier: &Dossier) -> Result<(), Error> {
        let cursors = opened.books.store.cursors().await?;
        let text = opened.view.order_text(dossier, &cursors);
        self.line(&text);
        let mut because = Vec::new();
        for deposit in &dossier.deposits {
            let confirmations = view::confirmations(deposit, &cursors);
            let why = reason(dossier, deposit, confirmations);
            let tx = opened.view.tx(&deposit.id.chain, &deposit.id.tx);
            self.line(&format!("{} USDT, {tx}: {why}", deposit.amount));
            because.push(json!({ "deposit": deposit.id.to_string(), "because": why }));
        }
        let home = cursors.iter().find(|cursor| cursor.chain == dossier.order.chain);
        let stalled = home.and_then(|cursor| cursor.stalled.as_deref());
        let paused = home.and_then(|cursor| cursor.paused.as_deref());
        let next = next_step(dossier, stalled, paused);
        self.line(&format!("\nWhat to do: {next}"));
        let mut value = opened.view.order_json(dossier, &cursors);
        if let Value::Object(fields) = &mut value {
            fields.insert("because".to_owned(), Value::Array(because));
            fields.insert("next".to_owned(), Value::String(next));
        }
        self.json.push(value);
        Ok(())
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// Why a deposit is what it is, by the rule that decided it.
fn reason(dossier: &Dossier, deposit: &Deposit, confirmations: Option<u64>) -> String {
    match deposit.state {
        State::Pending => format!(
            "seen in block {}, {} confirmations; not final yet",
            deposit.block.height,
            confirmations.unwrap_or(0)
        ),
        State::Confirmed => format!(
            "final and counted; {} of {} have arrived",
            dossier.counted(),
            dossier.order.due.map_or_else(|| "any amount".to_owned(), |due| due.to_string())
        ),
        State::Credited if deposit.late => {
            "credited; it came after the expiry, inside the late window".to_owned()
        }
        State::Credited => "credited".to_owned(),
        State::Dust => {
            format!("below the dust limit of {}; recorded and left", dossier.order.terms.dust)
        }
        State::Orphaned => "its block is no longer part of the chain; nothing arrived".to_owned(),
        State::Reversed => {
            "credited, then a reorg took it away; the books were reversed".to_owned()
        }
        State::Refunded => "refunded, seen on chain".to_owned(),
        State::Suspended(kind) => format!("held, {}", held(dossier, deposit, kind)),
    }
}

fn held(dossier: &Dossier, deposit: &Deposit, kind: CaseKind) -> String {
    let order = &dossier.order;
    match kind {
        CaseKind::WrongNetwork => {
            format!(
                "it arrived on {}; the order is to be paid on {}",
                deposit.id.chain, order.chain
            )
        }
        CaseKind::WrongAsset => "it is another token and has no value here".to_owned(),
        CaseKind::Duplicate => "the order was covered already".to_owned(),
        CaseKind::Late => "it came after the expiry and the late window".to_owned(),
        CaseKind::Underpaid => {
            format!("the order expired with {} of what was due", dossier.counted())
        }
        CaseKind::Overpaid | CaseKind::Unassigned | CaseKind::ReversedAfterCredit => {
            kind.word().replace('_', " ")
        }
    }
}

fn next_step(dossier: &Dossier, stalled: Option<&str>, paused: Option<&str>) -> String {
    let open = dossier.cases.iter().filter(|case| case.decision.is_none());
    let kinds: Vec<&str> = open.map(|case| case.kind.word()).collect();
    if !kinds.is_empty() {
        return format!(
            "a person decides about: {}. Nothing of it is credited until then.",
            kinds.join(", ")
        );
    }
    if let Some(why) = paused {
        let chain = &dossier.order.chain;
        let resume = format!("`bursar chain resume {chain}` lets it go on");
        return format!("crediting on {chain} is paused: {why}. {resume}.");
    }
    if let Some(why) = stalled {
        return format!(
            "{} cannot be read on: {why}. Nothing is lost; it is tried again.",
            dossier.order.chain
        );
    }
    match dossier.status() {
        Status::Paid => "nothing; the credits are granted.".to_owned(),
        Status::Confirming => "wait; it becomes final by itself.".to_owned(),
        Status::PartiallyPaid => "the rest has to arrive before the order expires.".to_owned(),
        Status::AwaitingPayment => {
            "nothing has arrived; ask for the transaction id and explain that.".to_owned()
        }
        Status::Expired => "nothing arrived in time; a late payment is still seen.".to_owned(),
        Status::Cancelled => {
            "nothing; a payment inside the late window still counts, a later one waits for a person."
                .to_owned()
        }
    }
}

/// A transaction that is not in the books, looked up on every chain.
async fn foreign(opened: &Opened, hash: TxHash, output: Output) -> Result<(), Error> {
    let mut lines = Vec::new();
    let mut values = Vec::new();
    for (name, chain) in &opened.config.chains {
        let (line, value) = match look(opened, name, chain, hash).await {
            Ok(found) => found,
            Err(error) => {
                let line = format!("{name}: cannot be asked now: {}", error.line());
                (line.clone(), json!({ "found": "unknown", "why": line }))
            }
        };
        lines.push(line);
        values.push(json!({ "chain": name.as_str(), "answer": value }));
    }
    let value =
        json!({ "term": hash.to_string(), "kind": "foreign_transaction", "chains": values });
    output.print(&value, || {
        format!("No deposit of ours is recorded for {hash}.\n{}\n", lines.join("\n"))
    })
}

async fn look(
    opened: &Opened,
    name: &ChainName,
    chain: &Chain,
    hash: TxHash,
) -> Result<(String, Value), Error> {
    let node = opened.node(name, chain).await?;
    let answer = node.transaction(hash).await;
    let answer = answer.map_err(|source| Error::chain(name, source))?;
    let mined = match answer {
        Transaction::NotFound => {
            return Ok((format!("{name}: not known there."), json!({ "found": "none" })));
        }
        Transaction::Pending => {
            let line = format!("{name}: known, in no block yet. Wait until it is mined.");
            return Ok((line, json!({ "found": "pending" })));
        }
        Transaction::Mined(mined) => mined,
    };
    let block = mined.block.height;
    let at = rfc3339(mined.time);
    if !mined.succeeded {
        let line = format!("{name}: failed in block {block} ({at}). Nothing was sent.");
        return Ok((line, json!({ "found": "failed", "height": block })));
    }
    if mined.transfers.is_empty() {
        let line = format!("{name}: in block {block} ({at}), but it moves no USDT of this chain.");
        return Ok((line, json!({ "found": "no_transfer", "height": block })));
    }
    let cursor = opened.books.store.cursor(name).await?;
    let mut lines = vec![format!("{name}: in block {block} ({at}).")];
    let mut transfers = Vec::new();
    for transfer in &mined.transfers {
        let amount = payments::amount::Usdt::from_raw(transfer.raw, chain.rules.decimals);
        let amount = amount.map_or_else(|_| transfer.raw.to_string(), |amount| amount.to_string());
        let found = opened.books.store.find(&transfer.to.evm()).await?;
        let ours = found.iter().any(|found| matches!(found, Found::Address(..)));
        let whose = match (ours, cursor.last()) {
            (false, _) => "not an address of ours".to_owned(),
            (true, Some(last)) if last.id.height < block => {
                format!("ours; scanned to {}, it will be recorded", last.id.height)
            }
            (true, None) => "ours; the chain was not scanned yet".to_owned(),
            (true, Some(_)) if transfer.raw.is_zero() => "ours, but nothing was sent".to_owned(),
            (true, Some(_)) if transfer.from == transfer.to => {
                "ours, but sent to itself: nothing moved".to_owned()
            }
            (true, Some(_)) => {
                format!("OURS AND MISSED: bursar rescan --chain {name} --tx {hash}")
            }
        };
        let to = opened.view.spelled(name, &transfer.to);
        lines.push(format!("  {amount} USDT to {to}: {whose}"));
        transfers.push(json!({ "to": to, "amount": amount, "ours": ours }));
    }
    let value = json!({ "found": "mined", "height": block, "transfers": transfers });
    Ok((lines.join("\n"), value))
}
