//! A customer: what they have, what they ordered, what waits.
//!
//! In: a name. Out: credits, the newest orders, what waits for a person, that there are more.
//! Never: all of a large customer's orders. Why: support is given a name more often than a number.

use payments::case::Case;
use payments::ledger::Account;
use payments::name::CustomerId;
use payments::order::Dossier;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::error::Error;
use crate::open::Opened;
use crate::output::{Output, table};
use crate::view::micro;

use super::next::next_step;

/// Orders that are told of, the newest.
const TOLD: u32 = 20;
/// Open cases that are told of, of all orders.
const CASES: u32 = 100;

/// Explains the customer of this name; false where nothing is known of them.
pub(super) async fn customer(opened: &Opened, name: &str, output: Output) -> Result<bool, Error> {
    let Ok(customer) = CustomerId::new(name) else { return Ok(false) };
    let store = &opened.books.store;
    let account = Account::Customer(customer.clone()).to_string();
    let balances = store.balances(&account, "", 1).await?;
    let own = |text: &Account| text.to_string() == account;
    let credits = balances.0.iter().find(|((_, held), _)| own(held));
    let credits = credits.map(|(_, sides)| sides.credits.saturating_sub(sides.debits));
    let mut orders = store.newest_orders(&customer, TOLD.saturating_add(1)).await?;
    let more = cut(&mut orders, TOLD);
    if orders.is_empty() && credits.is_none() {
        return Ok(false);
    }
    let credits = micro(credits.unwrap_or_default());
    let cursors = store.cursors().await?;
    let next = |dossier: &Dossier| next_step(&opened.view, dossier, &cursors);
    let mut cases = store.open_cases_of_customer(&customer, CASES.saturating_add(1)).await?;
    let more_cases = cut(&mut cases, CASES);
    let values = orders.iter().map(|dossier| {
        json!({
            "id": dossier.order.id.as_str(),
            "status": dossier.status().word(),
            "amount_due": dossier.order.due.map(|due| due.to_string()),
            "amount_counted": dossier.counted().to_string(),
            "created_at": rfc3339(dossier.order.created_at),
            "open_cases": open_cases(dossier),
            "next": next(dossier),
        })
    });
    let value = json!({
        "term": name,
        "kind": "customer",
        "story": [{
            "customer": customer.as_str(),
            "credits": credits,
            "orders": values.collect::<Vec<_>>(),
            "more_orders": more,
            "open_cases": cases.iter().map(case_json).collect::<Vec<_>>(),
            "more_open_cases": more_cases,
        }],
    });
    output.print(&value, || {
        let mut out = format!("customer  {customer}\ncredits   {credits} granted in all\n");
        let row = |dossier: &Dossier| {
            vec![
                dossier.order.id.to_string(),
                dossier.status().word().to_owned(),
                dossier.order.due.map_or_else(|| "any".to_owned(), |due| due.to_string()),
                dossier.counted().to_string(),
                rfc3339(dossier.order.created_at),
                open_cases(dossier).join(", "),
            ]
        };
        let rows: Vec<_> = orders.iter().map(row).collect();
        let header = ["order", "status", "due", "counted", "created", "open cases"];
        out.push_str(&format!("\nthe newest orders\n{}", table(&header, &rows)));
        if more {
            out.push_str(&format!("and more: bursar order list --customer {customer}\n"));
        }
        out.push_str(&older(&cases, &orders, more_cases));
        out.push_str("\nWhat to do:\n");
        for dossier in &orders {
            out.push_str(&format!("  {}: {}\n", dossier.order.id, next(dossier)));
        }
        out
    })?;
    Ok(true)
}

/// Cuts a list that was read one longer than is told; whether there are more.
fn cut<T>(list: &mut Vec<T>, most: u32) -> bool {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let more = list.len() > most;
    list.truncate(most);
    more
}

/// The open cases of orders that are not told of.
fn older(cases: &[Case], told: &[Dossier], more: bool) -> String {
    let is_told = |case: &&Case| told.iter().any(|one| Some(&one.order.id) == case.order.as_ref());
    let row = |case: &Case| {
        let order = case.order.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![case.kind.word().to_owned(), order, case.id.to_string()]
    };
    let rows: Vec<_> = cases.iter().filter(|case| !is_told(case)).map(row).collect();
    let mut out = String::new();
    if !rows.is_empty() {
        let rows = table(&["kind", "order", "case"], &rows);
        out.push_str(&format!("\nopen cases of older orders\n{rows}"));
    }
    if more {
        out.push_str("and more open cases: bursar case list\n");
    }
    out
}

fn case_json(case: &Case) -> Value {
    json!({
        "id": case.id.to_string(),
        "kind": case.kind.word(),
        "order": case.order.as_ref().map(ToString::to_string),
    })
}

fn open_cases(dossier: &Dossier) -> Vec<&'static str> {
    dossier.open_cases().map(|case| case.kind.word()).collect()
}
