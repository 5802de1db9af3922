//! `bursar order …`: make, show, list and cancel orders.
//!
//! In: what a shop asks for. Out: an order whose address is watched before it is shown.
//! Never: two answers to one id. Why: a shop that is told twice must be told the same.

use std::time::Duration;

use payments::address::Address;
use payments::amount::{Credits, Usdt};
use payments::chain::Cursor;
use payments::name::{ChainName, CustomerId, OrderId};
use payments::order::{Dossier, Order, Price, Terms};
use payments::{PlanError, Update};
use serde_json::{Value, json};
use store::{OrderFilter, Standing, point};

use crate::address::{self, Fresh};
use crate::begin;
use crate::cli::{OrderCreate, OrderList};
use crate::config::{Chain, Config};
use crate::error::{Error, input};
use crate::metadata;
use crate::notices;
use crate::open::Opened;
use crate::outflows::{self, Left};
use crate::output::{Output, table};
use crate::pay;

/// The shop's own words about an order may not be longer, in bytes.
const LONGEST_METADATA: usize = 4096;

/// What a shop asks for, checked; everything but the address and the time.
#[derive(Debug, Clone)]
struct Asked {
    id: OrderId,
    customer: CustomerId,
    chain: ChainName,
    due: Option<Usdt>,
    price: Price,
    expires_after: Option<Duration>,
    /// Whether that was said, and not taken from the config.
    states_expiry: bool,
    refund_to: Option<Address>,
    metadata: Option<String>,
    terms: Terms,
}

/// `bursar order create`
///
/// # Errors
/// Exit 2 for what was asked; exit 1 where no address can be had.
pub async fn create(opened: &Opened, asked: &OrderCreate, output: Output) -> Result<(), Error> {
    let (dossier, made) = make(opened, asked).await?;
    // Nothing can have left an address that was new.
    let left = match made {
        true => outflows::Story::default(),
        false => outflows::from(opened, dossier.order.address).await?,
    };
    let (mut value, text) = shown(opened, &dossier, &[], left.known());
    if let Value::Object(fields) = &mut value {
        fields.insert("created".to_owned(), json!(made));
    }
    output.print(&value, || {
        let heading = if made { "" } else { "This order exists already, with these terms.\n\n" };
        format!("{heading}{text}")
    })
}

/// An order as JSON and as text, with how to pay it where it still waits for money.
fn shown(opened: &Opened, dossier: &Dossier, cursors: &[Cursor], left: &[Left]) -> (Value, String) {
    let mut value = opened.view.order_json(dossier, cursors);
    let mut text = opened.view.order_text(dossier, cursors, left);
    let chain = opened.config.chains.get(&dossier.order.chain);
    if let Some(request) = chain.and_then(|chain| pay::request(dossier, chain)) {
        text.push_str(&format!("\n{}\n{}\n{}", request.words, request.uri, pay::qr(&request.uri)));
        if let Value::Object(fields) = &mut value {
            fields.insert("payment_uri".to_owned(), json!(request.uri));
        }
    }
    (value, text)
}

/// Makes the order, or finds it where it was made with the same terms before.
///
/// # Errors
/// As [`create`].
pub async fn make(opened: &Opened, asked: &OrderCreate) -> Result<(Dossier, bool), Error> {
    let id = OrderId::new(&asked.id).map_err(|why| input("--id", why))?;
    let existing = opened.books.store.order(&id).await?;
    let asked = read(&opened.config, id, asked, existing.as_ref().map(|known| &known.order))?;
    let (_, chain) = opened.config.chain(asked.chain.as_str())?;
    // The rules are asked before an address is used up: for an order that exists, or cannot be.
    let nowhere = Fresh { address: Address([0; 20]), index: None };
    let mut draft = asked.order(opened.books.clock.now(), nowhere);
    if let Some(existing) = existing {
        if !asked.states_expiry {
            // What the config says by now is nothing that was asked for.
            draft.expires_at = existing.order.lifetime().map(|life| draft.created_at.after(life));
        }
        opened.books.judge(&Update::Create(draft)).await?;
        return Ok((existing, false));
    }
    opened.books.judge(&Update::Create(draft)).await?;
    point!("create.judged");
    let node = opened.node(&asked.chain, chain).await?;
    let watcher = begin::before_an_order(opened, &asked.chain, chain, node).await?;
    point!("create.begun");
    let node = watcher.node();
    let fresh = address::next(&opened.books.store, &asked.chain, chain, node).await?;
    let order = asked.order(opened.books.clock.now(), fresh);
    point!("create.addressed");
    let changes = opened.books.record(&Update::Create(order)).await?;
    point!("create.recorded");
    let dossier = opened.books.store.order(&asked.id).await?;
    let dossier = dossier.ok_or_else(|| PlanError::UnknownOrder(asked.id.clone()))?;
    Ok((dossier, changes.created.is_some()))
}

impl Asked {
    fn order(&self, now: payments::time::Time, fresh: Fresh) -> Order {
        let lifetime = self.expires_after.map(|after| i64::try_from(after.as_millis()));
        Order {
            id: self.id.clone(),
            customer: self.customer.clone(),
            chain: self.chain.clone(),
            due: self.due,
            price: self.price,
            created_at: now,
            expires_at: lifetime.map(|millis| now.after(millis.unwrap_or(i64::MAX))),
            address: fresh.address,
            address_index: fresh.index,
            refund_to: self.refund_to,
            metadata: self.metadata.clone(),
            terms: self.terms,
        }
    }
}

/// Checks what is asked for; `known` is the order of that id, where there is one.
fn read(
    config: &Config,
    id: OrderId,
    asked: &OrderCreate,
    known: Option<&Order>,
) -> Result<Asked, Error> {
    let customer = CustomerId::new(&asked.customer).map_err(|why| input("--customer", why))?;
    let (name, chain) = config.chain(&asked.chain)?;
    let (due, price) = read_price(config, asked, known)?;
    let expires_after = match &asked.expires_after {
        Some(text) => Some(read_expiry(text)?),
        // A top-up address waits for ever unless the shop says otherwise.
        None => due.map(|_| chain.orders.expires_after),
    };
    let refund_to = match &asked.refund_to {
        Some(text) => Some(read_refund(chain, text)?),
        None => None,
    };
    let metadata = match &asked.metadata {
        Some(text) => Some(read_metadata(text)?),
        None => None,
    };
    let terms = terms(chain, due)?;
    let chain = name.clone();
    let states_expiry = asked.expires_after.is_some();
    Ok(Asked {
        id,
        customer,
        chain,
        due,
        price,
        expires_after,
        states_expiry,
        refund_to,
        metadata,
        terms,
    })
}

fn read_expiry(text: &str) -> Result<Duration, Error> {
    let field = "--expires-after";
    let after = humantime::parse_duration(text)
        .map_err(|why| input(field, format!("`{text}` is not a duration such as 30m: {why}")))?;
    let year = Duration::from_secs(366 * 86_400);
    if after < Duration::from_secs(1) || after > year {
        return Err(input(field, format!("`{text}` must be 1s to a year")));
    }
    Ok(after)
}

fn read_refund(chain: &Chain, text: &str) -> Result<Address, Error> {
    Address::parse_as(text, chain.node.spelling()).map_err(|why| input("--refund-to", why))
}

fn read_metadata(text: &str) -> Result<String, Error> {
    let field = "--metadata";
    if text.len() > LONGEST_METADATA {
        return Err(input(field, format!("is longer than {LONGEST_METADATA} bytes")));
    }
    metadata::read(text).map_err(|why| input(field, why))
}

/// What is due and what it buys, from a plan, an amount or an open order. An order that is known
/// has the rate it was made at: what the config says by now is nothing that was asked for.
fn read_price(
    config: &Config,
    asked: &OrderCreate,
    known: Option<&Order>,
) -> Result<(Option<Usdt>, Price), Error> {
    let rate = || {
        if let Some(price @ Price::Rate { .. }) = known.map(|order| order.price) {
            return Ok(price);
        }
        let way = if asked.top_up { "a top-up needs it" } else { "set it or state --credits" };
        let unset = || input("pricing.credits_per_usdt", format!("is not set; {way}"));
        config.pricing.rate.ok_or_else(unset)
    };
    if let Some(plan) = &asked.plan {
        let known = config.pricing.plans.get(plan).ok_or_else(|| {
            let plans: Vec<&str> = config.pricing.plans.keys().map(String::as_str).collect();
            input("--plan", format!("`{plan}` is not configured; there is {}", plans.join(", ")))
        })?;
        return Ok((Some(known.0), Price::Fixed(known.1)));
    }
    if asked.top_up {
        return Ok((None, rate()?));
    }
    let text = asked.amount.as_deref().unwrap_or_default();
    let due = Usdt::parse(text).map_err(|why| input("--amount", why))?;
    let price = match &asked.credits {
        Some(text) => Price::Fixed(Credits::parse(text).map_err(|why| input("--credits", why))?),
        None => rate()?,
    };
    Ok((Some(due), price))
}

/// The config's terms, the tolerance in percent worked out for this amount.
fn terms(chain: &Chain, due: Option<Usdt>) -> Result<Terms, Error> {
    let mut terms = chain.orders.terms;
    if let Some(due) = due {
        let share = i128::from(due.micro()).checked_mul(chain.orders.tolerance_ppm.into());
        let share = share.and_then(|share| share.checked_div(1_000_000));
        let share = share.and_then(|share| i64::try_from(share).ok()).and_then(Usdt::from_micro);
        let share = share.ok_or_else(|| input("--amount", "is beyond the range of the books"))?;
        terms.tolerance = terms.tolerance.max(share);
    }
    Ok(terms)
}

/// `bursar order show`
///
/// # Errors
/// Exit 2 where there is no such order.
pub async fn show(opened: &Opened, id: &str, output: Output) -> Result<(), Error> {
    let id = OrderId::new(id).map_err(|why| input("order", why))?;
    let dossier = opened.books.store.order(&id).await?;
    let dossier = dossier.ok_or(PlanError::UnknownOrder(id))?;
    let cursors = opened.books.store.cursors().await?;
    let left = outflows::from(opened, dossier.order.address).await?;
    let (mut value, mut text) = shown(opened, &dossier, &cursors, left.known());
    let sentences = left.told().iter().map(|left| outflows::sentence(&opened.view, left));
    for line in sentences.chain(left.rest()) {
        text.push_str(&line);
        text.push('\n');
    }
    let said = notices::about(opened, &dossier.order.address).await?;
    for noted in &said {
        text.push_str(&notices::sentence(&opened.config, noted));
        text.push('\n');
    }
    if let serde_json::Value::Object(fields) = &mut value {
        let said = said.iter().map(|noted| notices::as_json(&opened.view, noted));
        fields.insert("notices".to_owned(), said.collect());
        let told = left.told().iter().map(|left| outflows::as_json(&opened.view, left));
        fields.insert("outflows".to_owned(), told.collect());
        fields.insert("more_outflows".to_owned(), json!(left.more));
    }
    output.print(&value, || text)
}

/// `bursar order cancel`
///
/// # Errors
/// Exit 2 where there is no such order, or it is paid.
pub async fn cancel(opened: &Opened, id: &str, output: Output) -> Result<(), Error> {
    let id = OrderId::new(id).map_err(|why| input("order", why))?;
    opened.books.record(&Update::Cancel(id.clone())).await?;
    point!("cancel.recorded");
    show(opened, id.as_str(), output).await
}

/// `bursar order list`
///
/// # Errors
/// When the database fails.
pub async fn list(opened: &Opened, options: &OrderList, output: Output) -> Result<(), Error> {
    let (orders, next) = select(opened, options).await?;
    if let (Some(chain), true) = (&options.chain, orders.is_empty()) {
        known(opened, chain).await?;
    }
    let value = json!({
        "orders": orders.iter().map(|dossier| opened.view.order_json(dossier, &[])).collect::<Vec<_>>(),
        "next": next,
    });
    output.print(&value, || {
        let rows: Vec<Vec<String>> = orders.iter().map(row).collect();
        let header = ["order", "status", "customer", "chain", "due", "counted", "created"];
        let more = next.map_or_else(String::new, |next| format!("\nMore with --after {next}\n"));
        format!("{}{more}", table(&header, &rows))
    })
}

fn row(dossier: &Dossier) -> Vec<String> {
    let order = &dossier.order;
    vec![
        order.id.to_string(),
        dossier.status().word().to_owned(),
        order.customer.to_string(),
        order.chain.to_string(),
        order.due.map_or_else(|| "any".to_owned(), |due| due.to_string()),
        dossier.counted().to_string(),
        crate::clock::rfc3339(order.created_at),
    ]
}

/// The orders that fit, and where to go on where there may be more. A status is computed, so
/// those that are open are read and looked at until there are enough.
async fn select(
    opened: &Opened,
    options: &OrderList,
) -> Result<(Vec<Dossier>, Option<u64>), Error> {
    let filter = filter(options)?;
    let wanted = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let mut after = options.after;
    let mut orders = Vec::new();
    loop {
        let page = opened.books.store.orders(&filter, after, options.limit).await?;
        if page.is_empty() {
            return Ok((orders, None));
        }
        for (number, dossier) in page {
            after = number;
            let fits = options.status.as_deref().is_none_or(|word| dossier.status().word() == word);
            if fits {
                orders.push(dossier);
            }
            if orders.len() >= wanted {
                return Ok((orders, Some(after)));
            }
        }
    }
}

/// Refuses a chain that is not in the config and never was in the books: a list of nothing would
/// look like an answer.
async fn known(opened: &Opened, chain: &str) -> Result<(), Error> {
    let cursors = opened.books.store.cursors().await?;
    if cursors.iter().any(|cursor| cursor.chain.as_str() == chain) {
        return Ok(());
    }
    opened.config.chain(chain).map(|_| ())
}

fn filter(options: &OrderList) -> Result<OrderFilter, Error> {
    // What the facts on record leave out need not be read; the status decides the rest.
    let standing = match options.status.as_deref() {
        Some("paid") => Some(Standing::Paid),
        Some("awaiting_payment" | "partially_paid") => Some(Standing::Open),
        Some("cancelled") => Some(Standing::Cancelled),
        _ => None,
    };
    let customer = options.customer.as_deref().map(CustomerId::new).transpose();
    let chain = options.chain.as_deref().map(ChainName::new).transpose();
    Ok(OrderFilter {
        standing,
        customer: customer.map_err(|why| input("--customer", why))?,
        chain: chain.map_err(|why| input("--chain", why))?,
    })
}
