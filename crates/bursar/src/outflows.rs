//! `bursar outflow list`: what left our addresses, and where it went.
//!
//! In: the books. Out: sweeps and other outflows, in the order in which they were recorded.
//! Never: a guess whose doing one was. Why: money that leaves is somebody's decision, or a theft.

use clap::{Args, Subcommand};
use payments::address::Address;
use payments::case::Case;
use payments::chain::TxHash;
use payments::outflow::{Explanation, Outflow, OutflowId, OutflowState};
use serde_json::{Value, json};
use store::OutflowFilter;

use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::{Output, table};
use crate::view::View;

/// An order's address, or a transaction, has few; more than these are not told in one story.
const TOLD: u32 = 100;

/// `bursar outflow …`
#[derive(Debug, Subcommand)]
pub enum Asked {
    /// List what left our addresses, oldest first
    List(Which),
}

/// Options of `bursar outflow list`.
#[derive(Debug, Args)]
pub struct Which {
    /// Only what left on this chain
    #[arg(long)]
    pub chain: Option<String>,
    /// Only what left this address
    #[arg(long)]
    pub address: Option<String>,
    /// Only what is final and went to no treasury address of the config
    #[arg(long)]
    pub unexplained: bool,
    /// Only outflows after this number, from the last line of the list before
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: u64,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// `bursar outflow list`
///
/// # Errors
/// Exit 2 where the chain, the address or the order is not known.
pub async fn list(opened: &Opened, options: &Which, output: Output) -> Result<(), Error> {
    let mut filter = OutflowFilter { unexplained: options.unexplained, ..OutflowFilter::default() };
    if let Some(chain) = &options.chain {
        filter.chain = Some(opened.config.chain(chain)?.0.clone());
    }
    if let Some(text) = &options.address {
        filter.sender = Some(Address::parse(text).map_err(|why| input("--address", why))?);
    }
    let found = opened.books.store.outflows(&filter, options.after, options.limit).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count == options.limit);
    let next = found.last().map(|(number, _)| *number).filter(|_| full);
    let view = &opened.view;
    let values = found.iter().map(|(_, outflow)| as_json(view, outflow));
    let value = json!({ "outflows": values.collect::<Vec<_>>(), "next": next });
    output.print(&value, || {
        let header = ["time", "chain", "amount", "from", "to", "order", "state", "tx"];
        let rows: Vec<_> = found.iter().map(|(_, outflow)| row(view, outflow)).collect();
        let more = next.map_or_else(String::new, |next| format!("\nMore with --after {next}\n"));
        format!("{}{more}", table(&header, &rows))
    })
}

/// What left an address of ours.
///
/// # Errors
/// When the database fails.
pub(crate) async fn from(opened: &Opened, sender: Address) -> Result<Vec<Outflow>, Error> {
    let filter = OutflowFilter { sender: Some(sender), ..OutflowFilter::default() };
    all(opened, &filter).await
}

/// What left our addresses by one transaction.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_tx(opened: &Opened, tx: TxHash) -> Result<Vec<Outflow>, Error> {
    all(opened, &OutflowFilter { tx: Some(tx), ..OutflowFilter::default() }).await
}

/// What a case is about, where it is about what left.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_case(opened: &Opened, case: &Case) -> Result<Option<Outflow>, Error> {
    let Some(id) = OutflowId::of_case(case) else { return Ok(None) };
    Ok(of_tx(opened, id.tx).await?.into_iter().find(|outflow| outflow.id == id))
}

async fn all(opened: &Opened, filter: &OutflowFilter) -> Result<Vec<Outflow>, Error> {
    let found = opened.books.store.outflows(filter, 0, TOLD).await?;
    Ok(found.into_iter().map(|(_, outflow)| outflow).collect())
}

/// What one outflow is, in a sentence.
pub(crate) fn sentence(view: &View, outflow: &Outflow) -> String {
    let chain = &outflow.id.chain;
    let (mut from, tx) = (view.spelled(chain, &outflow.from), view.tx(chain, &outflow.id.tx));
    if let Some(order) = &outflow.order {
        from.push_str(&format!(" (order {order})"));
    }
    let way = match outflow.explained {
        Some(Explanation::Destroyed) => format!("was destroyed at {from} by the token's owner"),
        _ => format!("left {from} for {}", view.spelled(chain, &outflow.to)),
    };
    let block = outflow.block.height;
    format!("{} USDT {way}, {tx} in block {block}: {}", outflow.amount, words(outflow))
}

fn words(outflow: &Outflow) -> String {
    let what = match outflow.explained {
        Some(Explanation::Treasury) => "swept to the treasury",
        Some(Explanation::Fee) => "the token's own fee for the sweep",
        Some(Explanation::Refund) => "sent by a recorded refund",
        Some(Explanation::Destroyed) => "lost",
        None => "UNEXPLAINED; a person has to say what it was",
    };
    match outflow.state {
        OutflowState::Pending => "not final yet".to_owned(),
        OutflowState::Booked => what.to_owned(),
        OutflowState::Waiting => format!(
            "{what}; not in the books: they hold less there, so a deposit is missing. \
             Read the blocks before it again with `bursar rescan`"
        ),
        OutflowState::Orphaned => {
            "its block is no longer part of the chain; nothing left".to_owned()
        }
    }
}

pub(crate) fn as_json(view: &View, outflow: &Outflow) -> Value {
    let chain = &outflow.id.chain;
    json!({
        "id": outflow.id.to_string(),
        "chain": chain.as_str(),
        "order": outflow.order.as_ref().map(ToString::to_string),
        "from": view.spelled(chain, &outflow.from),
        "to": view.spelled(chain, &outflow.to),
        "amount": outflow.amount.to_string(),
        "raw": outflow.raw.to_string(),
        "tx": view.tx(chain, &outflow.id.tx),
        "height": outflow.block.height,
        "time": rfc3339(outflow.time),
        "state": outflow.state.word(),
        "explained": outflow.explained.map(Explanation::word),
    })
}

fn row(view: &View, outflow: &Outflow) -> Vec<String> {
    let chain = &outflow.id.chain;
    let judged = matches!(outflow.state, OutflowState::Booked | OutflowState::Waiting);
    let state = match outflow.explained {
        Some(why) => format!("{} {}", outflow.state.word(), why.word()),
        None if judged => format!("{} UNEXPLAINED", outflow.state.word()),
        None => outflow.state.word().to_owned(),
    };
    vec![
        rfc3339(outflow.time),
        chain.to_string(),
        outflow.amount.to_string(),
        view.spelled(chain, &outflow.from),
        view.spelled(chain, &outflow.to),
        outflow.order.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        state,
        view.tx(chain, &outflow.id.tx),
    ]
}
