//! `bursar outflow list`: what left our addresses, and where it went.
//!
//! In: the books. Out: sweeps and other outflows, in the order in which they were recorded.
//! Never: a guess whose doing one was. Why: money that leaves is somebody's decision, or a theft.

use clap::{Args, Subcommand};
use payments::address::Address;
use payments::case::{Case, Resolution};
use payments::chain::TxHash;
use payments::outflow::{Explanation, Outflow, OutflowId, OutflowState};
use serde_json::{Value, json};
use store::OutflowFilter;

use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::{Output, table};
use crate::view::View;

/// An order's address, or a transaction, has few; of more than these, one story tells what waits
/// for a person.
const TOLD: u32 = 100;
/// Rows that are read at once.
const PAGE: u32 = 1_000;

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
    /// Only what is final and nobody explained: no treasury address, no refund, no person
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
    let found = read(opened, &filter, options.after, options.limit).await?;
    let full = u32::try_from(found.len()).is_ok_and(|count| count == options.limit);
    let next = found.last().map(|(number, _)| *number).filter(|_| full);
    let view = &opened.view;
    let values = found.iter().map(|(_, left)| as_json(view, left));
    let value = json!({ "outflows": values.collect::<Vec<_>>(), "next": next });
    output.print(&value, || {
        let header = ["time", "chain", "amount", "from", "to", "order", "state", "tx"];
        let rows: Vec<_> = found.iter().map(|(_, left)| row(view, left)).collect();
        let more = next.map_or_else(String::new, |next| format!("\nMore with --after {next}\n"));
        format!("{}{more}", table(&header, &rows))
    })
}

/// What left an address of ours, and the case of it where nothing else explains it.
pub(crate) struct Left {
    pub(crate) outflow: Outflow,
    case: Option<Case>,
}

/// What is told of all that left an address, or left by one transaction.
#[derive(Default)]
pub(crate) struct Story {
    /// Those that are told, then others that a case was opened about.
    all: Vec<Left>,
    told: usize,
    /// How many are not told.
    pub(crate) more: u64,
    /// How the rest is listed, where it can be.
    listed: Option<String>,
}

impl Story {
    /// What is told: some, and each that waits for a person.
    pub(crate) fn told(&self) -> &[Left] {
        self.all.get(..self.told).unwrap_or(&self.all)
    }

    /// The same, and each that a case is about, open or decided.
    pub(crate) fn known(&self) -> &[Left] {
        &self.all
    }

    /// That there are more than are told, and how they are listed.
    pub(crate) fn rest(&self) -> Option<String> {
        let listed = self.listed.as_ref().map_or_else(String::new, |listed| format!(": {listed}"));
        (self.more > 0).then(|| format!("and {} outflows more{listed}", self.more))
    }

    async fn gather(opened: &Opened, outflows: Vec<Outflow>, count: u64) -> Result<Self, Error> {
        let most = usize::try_from(TOLD).unwrap_or(usize::MAX);
        let (mut all, mut untold) = (Vec::new(), Vec::new());
        for (place, outflow) in outflows.into_iter().enumerate() {
            let left = Left::of(opened, outflow).await?;
            let list =
                if place < most || left.is_open(opened).await? { &mut all } else { &mut untold };
            list.push(left);
        }
        let told = all.len();
        all.append(&mut untold);
        let more = count.saturating_sub(u64::try_from(told).unwrap_or(u64::MAX));
        Ok(Self { all, told, more, listed: None })
    }
}

impl Left {
    async fn of(opened: &Opened, outflow: Outflow) -> Result<Self, Error> {
        let case = match is_judged(&outflow) && outflow.explained.is_none() {
            true => opened.books.store.case(&outflow.case()).await?.map(|(_, case)| case),
            false => None,
        };
        Ok(Self { outflow, case })
    }

    /// Whether a case of it waits for a person.
    async fn is_open(&self, opened: &Opened) -> Result<bool, Error> {
        if self.outflow.explained != Some(Explanation::Destroyed) {
            return Ok(self.case.as_ref().is_some_and(|case| case.decision.is_none()));
        }
        let case = opened.books.store.case(&self.outflow.case()).await?;
        Ok(case.is_some_and(|(_, case)| case.decision.is_none()))
    }
}

/// What left an address of ours, the newest first.
///
/// # Errors
/// When the database fails.
pub(crate) async fn from(opened: &Opened, sender: Address) -> Result<Story, Error> {
    let (found, count) = opened.books.store.left(&sender, TOLD).await?;
    // Any spelling is read back.
    let chain = found.first().map(|outflow| outflow.id.chain.clone());
    let spelled = chain.map(|chain| opened.view.spelled(&chain, &sender));
    let listed = spelled.map(|from| format!("bursar outflow list --address {from}"));
    Ok(Story { listed, ..Story::gather(opened, found, count).await? })
}

/// What left our addresses by one transaction, in the order of recording.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_tx(opened: &Opened, tx: TxHash) -> Result<Story, Error> {
    let filter = OutflowFilter { tx: Some(tx), ..OutflowFilter::default() };
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = opened.books.store.outflows(&filter, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        found.extend(page.into_iter().map(|(_, outflow)| outflow));
    }
    let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
    Story::gather(opened, found, count).await
}

/// What a case is about, where it is about what left.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_case(opened: &Opened, case: &Case) -> Result<Option<Left>, Error> {
    let id = OutflowId::of_case(case);
    if id.is_none() {
        return Ok(None);
    }
    let filter = OutflowFilter { id, ..OutflowFilter::default() };
    Ok(read(opened, &filter, 0, 1).await?.pop().map(|(_, left)| left))
}

async fn read(
    opened: &Opened,
    filter: &OutflowFilter,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, Left)>, Error> {
    let mut read = Vec::new();
    for (number, outflow) in opened.books.store.outflows(filter, after, limit).await? {
        read.push((number, Left::of(opened, outflow).await?));
    }
    Ok(read)
}

/// Whether it is final, so that it is explained or a case.
const fn is_judged(outflow: &Outflow) -> bool {
    matches!(outflow.state, OutflowState::Booked | OutflowState::Waiting)
}

/// What one outflow is, in a sentence.
pub(crate) fn sentence(view: &View, left: &Left) -> String {
    let outflow = &left.outflow;
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
    format!("{} USDT {way}, {tx} in block {block}: {}", outflow.amount, words(left))
}

fn words(left: &Left) -> String {
    let what = match left.outflow.explained {
        Some(Explanation::Treasury) => "swept to the treasury".to_owned(),
        Some(Explanation::Fee) => "the token's own fee for the sweep".to_owned(),
        Some(Explanation::Refund) => "sent by a recorded refund".to_owned(),
        Some(Explanation::Destroyed) => "lost".to_owned(),
        None => by_a_person(left.case.as_ref()),
    };
    match left.outflow.state {
        OutflowState::Pending => "not final yet".to_owned(),
        OutflowState::Booked => what,
        OutflowState::Waiting => format!(
            "{what}; not in the books: they hold less there, so a deposit is missing. \
             Read the blocks before it again with \
             `bursar rescan --chain {} --from HEIGHT --to HEIGHT`",
            left.outflow.id.chain
        ),
        OutflowState::Orphaned => {
            "its block is no longer part of the chain; nothing left".to_owned()
        }
    }
}

/// What people say it was.
fn by_a_person(case: Option<&Case>) -> String {
    if let Some(decision) = case.and_then(|case| case.decision.as_ref()) {
        let (by, why) = (&decision.by, &decision.why);
        return match decision.resolution {
            Resolution::Itself => why.clone(),
            _ => format!("{by} said what it was: {why}"),
        };
    }
    match case.and_then(Case::proposal) {
        Some((_, step)) => format!(
            "UNEXPLAINED; {} has proposed what it was, another person has to confirm it: {}",
            step.by, step.why
        ),
        None => "UNEXPLAINED; a person has to say what it was".to_owned(),
    }
}

pub(crate) fn as_json(view: &View, left: &Left) -> Value {
    let outflow = &left.outflow;
    let said = left.case.as_ref().and_then(|case| case.decision.as_ref());
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
        "said": said.map(|said| {
            json!({ "by": said.by, "why": said.why, "at": rfc3339(said.at) })
        }),
    })
}

fn row(view: &View, left: &Left) -> Vec<String> {
    let outflow = &left.outflow;
    let chain = &outflow.id.chain;
    let said = left.case.as_ref().and_then(|case| case.decision.as_ref());
    let word = outflow.state.word();
    let state = match (outflow.explained, said) {
        (Some(why), _) => format!("{word} {}", why.word()),
        (None, Some(said)) => format!("{word} explained by {}", said.by),
        (None, None) if is_judged(outflow) => format!("{word} UNEXPLAINED"),
        (None, None) => word.to_owned(),
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
