//! `bursar explain`: the whole story of an order, a transaction, an address, a case, a customer.
//!
//! In: what a customer or a colleague sent. Out: what happened, why, and what to do next.
//! Never: "not found" alone; a transaction that is not ours is looked up on every chain.
//! Why: this is what support types, a hundred times a day.

mod customer;
mod facts;
mod foreign;
mod next;
mod other;
mod reason;
mod story;

use payments::address::Address;
use payments::chain::TxHash;
use payments::name::OrderId;
use serde_json::json;
use store::Found;

use crate::error::{Error, input};
use crate::open::Opened;
use crate::outflows;
use crate::output::Output;

use customer::customer;
use foreign::foreign;
use story::Story;

/// What says that a customer is meant, where an order has the same name.
const CUSTOMER: &str = "customer:";

/// Explains `term`.
///
/// # Errors
/// Exit 2 where the term is none of the five, or nothing is known of it.
pub async fn run(opened: &Opened, term: &str, output: Output) -> Result<(), Error> {
    let term = term.trim();
    // An order may have the name of its customer.
    if let Some(name) = term.strip_prefix(CUSTOMER)
        && customer(opened, name, output).await?
    {
        return Ok(());
    }
    let found = opened.books.store.find(term).await?;
    let left = match TxHash::parse(term) {
        Some(tx) => outflows::of_tx(opened, tx).await?,
        None => outflows::Story::default(),
    };
    let kind = found.first().map(word).or((!left.told().is_empty()).then_some("transaction"));
    if let Some(kind) = kind {
        let mut story = Story::default();
        let mut told: Vec<OrderId> = Vec::new();
        for found in &found {
            story.tell_found(opened, (term, found), &mut told).await?;
        }
        story.tell_outflows(opened, &left);
        let value = json!({
            "term": term,
            "kind": kind,
            "story": story.json,
            "more_outflows": story.more_outflows,
        });
        return output.print(&value, || story.text);
    }
    // A customer may be named after a wallet.
    if customer(opened, term, output).await? {
        return Ok(());
    }
    if let Some(hash) = TxHash::parse(term) {
        return foreign(opened, hash, output).await;
    }
    if term.starts_with("0x") || term.starts_with('T') && term.len() == 34 {
        Address::parse(term).map_err(|why| input("address", why))?;
        // As it was typed: an address alone does not say which chain's it is.
        let text = format!("{term} was never a deposit address of ours.");
        return output.print(&json!({ "term": term, "kind": "foreign_address" }), || text);
    }
    let why = "is no order, transaction, address, case or customer that is known here";
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
