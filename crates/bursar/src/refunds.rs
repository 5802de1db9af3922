//! `bursar refund …`: from the decision to the block in which the money left.
//!
//! In: refunds that were decided, and which transactions pay them. Out: what the chain says.
//! Never: a transfer of its own: whoever holds the key sends. Why: what is owed back is followed
//! until a final block shows it.

use payments::Update;
use payments::case::{Case, CaseId, RefundState};
use payments::chain::TxHash;
use payments::changes::{Changes, RefundFact};
use payments::name::ChainName;
use serde_json::json;
use store::{CaseFilter, point};

use crate::books::Books;
use crate::cases;
use crate::chains::words;
use crate::cli::{RefundCommand, RefundList};
use crate::decisions::{known, record};
use crate::error::{Error, input};
use crate::node::Node;
use crate::open::Opened;
use crate::output::{Output, table};

/// Refunds that are asked about at a time.
const PAGE: u32 = 100;

/// Does what was asked of refunds.
///
/// # Errors
/// Exit 2 where there is no such refund, or what was given does not fit it.
pub async fn run(opened: &Opened, command: &RefundCommand, output: Output) -> Result<(), Error> {
    match command {
        RefundCommand::List(options) => list(opened, options, output).await,
        RefundCommand::Show { id } => {
            refund_of(opened, id).await?;
            cases::show(opened, id, output).await
        }
        RefundCommand::Sent { id, tx, by } => {
            let case = refund_of(opened, id).await?;
            let tx = TxHash::parse(tx).ok_or_else(|| input("--tx", "is not 64 hex digits"))?;
            let fact = RefundFact::Sent(tx);
            point!("refund.found");
            let update = Update::Refund { case: case.id.clone(), by: words("--by", by)?, fact };
            record(opened, &case, &update, output).await
        }
        RefundCommand::GiveUp { id, by, why } => {
            let case = refund_of(opened, id).await?;
            let refund = case.refund().filter(|refund| refund.state == RefundState::Sent);
            let tx = refund.and_then(|refund| refund.tx);
            let tx = tx.ok_or_else(|| input("case", "no transaction of it is waited for"))?;
            let fact = RefundFact::GivenUp(tx, words("--why", why)?);
            let update = Update::Refund { case: case.id.clone(), by: words("--by", by)?, fact };
            record(opened, &case, &update, output).await
        }
        RefundCommand::Check { chain } => check(opened, chain.as_deref(), output).await,
    }
}

async fn refund_of(opened: &Opened, id: &str) -> Result<Case, Error> {
    let case = known(opened, id).await?;
    if case.refund().is_none() {
        let why = format!("{id} has no refund; `bursar case show {id}` says what it has");
        return Err(input("case", why));
    }
    Ok(case)
}

async fn list(opened: &Opened, options: &RefundList, output: Output) -> Result<(), Error> {
    let chain = match &options.chain {
        Some(chain) => Some(opened.config.chain(chain)?.0.clone()),
        None => None,
    };
    let refund = options.state.as_deref().and_then(RefundState::parse);
    let filter = CaseFilter { refunds: true, refund, chain, ..CaseFilter::default() };
    let found = opened.books.store.cases_of(&filter, options.after, options.limit).await?;
    let is_last = found.len() < usize::try_from(options.limit).unwrap_or(usize::MAX);
    let next = found.last().map(|(number, _)| *number).filter(|_| !is_last);
    let refunds: Vec<Case> = found.into_iter().map(|(_, case)| case).collect();
    let values = refunds.iter().map(|case| opened.view.case_json(case, None));
    let value = json!({ "refunds": values.collect::<Vec<_>>(), "next": next });
    output.print(&value, || {
        let header = ["state", "amount", "fee", "chain", "to", "tx", "case"];
        let rows: Vec<Vec<String>> = refunds.iter().filter_map(|case| row(opened, case)).collect();
        let more = next.map_or_else(String::new, |next| format!("\nMore with --after {next}\n"));
        format!("{}{more}", table(&header, &rows))
    })
}

fn row(opened: &Opened, case: &Case) -> Option<Vec<String>> {
    let refund = case.refund()?;
    let view = &opened.view;
    Some(vec![
        refund.state.word().to_owned(),
        refund.net.to_string(),
        refund.fee.to_string(),
        case.chain.to_string(),
        view.spelled(&case.chain, &refund.to),
        refund.tx.map_or_else(|| "-".to_owned(), |tx| view.tx(&case.chain, &tx)),
        case.id.to_string(),
    ])
}

/// Asks every chain about the refunds that are said to be sent.
async fn check(opened: &Opened, only: Option<&str>, output: Output) -> Result<(), Error> {
    if let Some(only) = only {
        opened.config.chain(only)?;
    }
    let mut all = Looked::default();
    for (name, chain) in &opened.config.chains {
        let wanted = only.is_none_or(|only| only == name.as_str());
        if !wanted || sent(&opened.books, name, 0).await?.is_empty() {
            continue;
        }
        let node = opened.node(name, chain).await?;
        let looked = look(&opened.books, name, &node).await?;
        all.asked = all.asked.saturating_add(looked.asked);
        all.written.extend(looked.written);
        all.unjudged.extend(looked.unjudged);
    }
    let asked = all.asked;
    let judged: Vec<&Case> = all.written.iter().flat_map(|changes| &changes.cases).collect();
    let unjudged: Vec<(&CaseId, String)> =
        all.unjudged.iter().map(|(case, error)| (case, error.line())).collect();
    let values = judged.iter().map(|case| opened.view.case_json(case, None));
    let whys = unjudged.iter().map(|(case, why)| json!({ "case": case.0, "why": why }));
    let value = json!({
        "asked": asked,
        "judged": values.collect::<Vec<_>>(),
        "unjudged": whys.collect::<Vec<_>>(),
    });
    output.print(&value, || {
        let rows: Vec<Vec<String>> = judged.iter().filter_map(|case| row(opened, case)).collect();
        let waiting = asked.saturating_sub(rows.len()).saturating_sub(unjudged.len());
        let mut text = format!("{asked} asked about, {waiting} still waited for.\n");
        if !rows.is_empty() {
            let header = ["state", "amount", "fee", "chain", "to", "tx", "case"];
            text.push_str(&table(&header, &rows));
        }
        for (case, why) in &unjudged {
            text.push_str(&format!("{case} cannot be judged now: {why}\n"));
        }
        text
    })?;
    match all.unjudged.len() {
        0 => Ok(()),
        some => Err(Error::Failed(format!("{some} of {asked} refunds could not be judged"))),
    }
}

async fn sent(books: &Books, chain: &ChainName, after: u64) -> Result<Vec<(u64, Case)>, Error> {
    let refund = Some(RefundState::Sent);
    let filter = CaseFilter { refund, chain: Some(chain.clone()), ..CaseFilter::default() };
    Ok(books.store.cases_of(&filter, after, PAGE).await?)
}

/// What asking about refunds came to.
#[derive(Default)]
pub(crate) struct Looked {
    /// How many were asked about.
    asked: usize,
    /// What was written.
    pub(crate) written: Vec<Changes>,
    /// Those that nobody could judge, and why.
    pub(crate) unjudged: Vec<(CaseId, Error)>,
}

/// Asks a chain about the refunds on it that are said to be sent. One that cannot be judged keeps
/// none of the others waiting.
///
/// # Errors
/// Where the books cannot be read or written.
pub(crate) async fn look(books: &Books, chain: &ChainName, node: &Node) -> Result<Looked, Error> {
    let (mut after, mut looked) = (0, Looked::default());
    loop {
        let page = sent(books, chain, after).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for (number, case) in page {
            after = number;
            let Some(tx) = case.refund().and_then(|refund| refund.tx) else { continue };
            looked.asked = looked.asked.saturating_add(1);
            let seen = match node.prove_transaction(tx).await {
                Ok(seen) => seen,
                Err(source) => {
                    looked.unjudged.push((case.id, Error::chain(chain, source)));
                    continue;
                }
            };
            point!("refund.asked");
            let (by, fact) = ("bursar".to_owned(), RefundFact::Seen(tx, seen));
            let id = case.id.clone();
            match books.record(&Update::Refund { case: case.id, by, fact }).await {
                Ok(changes) => looked.written.extend((!changes.is_empty()).then_some(changes)),
                Err(refused @ Error::Refused(_)) => looked.unjudged.push((id, refused)),
                Err(error) => return Err(error),
            }
            point!("refund.judged");
        }
        if is_last {
            return Ok(looked);
        }
    }
}
