//! `bursar reconcile verify`: the books alone, without any chain.
//!
//! In: the books, and heads of the log that somebody kept. Out: what is wrong, by its code.
//! Never: a node asked, a repair. Why: an auditor begins with books that agree with themselves.

use std::path::Path;

use payments::merkle::TreeHead;
use serde_json::json;
use store::{Finding, Verified};

use crate::acknowledge::read;
use crate::cli::BooksVerify;
use crate::error::Error;
use crate::open::Opened;
use crate::output::{Output, fields, table};

/// What books alone cannot show.
pub(crate) const NOT_PROVED: [&str; 8] = [
    "that the chain says the same: `bursar reconcile` compares it",
    "that these are the newest books: a head of the log that somebody else kept does (--head)",
    "what a decision could not show later: that its deposits were final, and which sum needs two",
    "why nobody had to ask about what left: which addresses were the treasury's, the config knew",
    "an order's refund address, rate, expiry and terms: nothing but its own row tells them",
    "what the token's issuer did, by running the rules again: it is recorded and told, no more",
    "which block held a transfer before it was mined again: the books keep the last one",
    "that a fact was true when it was recorded: who wrote it had the nodes' word for it",
];

/// `bursar reconcile verify`
///
/// # Errors
/// Exit 4 where the books do not agree with themselves; 2 where a head is none.
pub async fn run(path: &Path, options: &BooksVerify, output: Output) -> Result<(), Error> {
    let kept = options.head.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    let opened = match Opened::open(path).await {
        // A database that forgets is not opened for anything else.
        Err(Error::Store(error @ (store::Error::Setting { .. } | store::Error::Checksum(_)))) => {
            let findings = vec![Finding { name: "setting", detail: error.to_string() }];
            let found = Verified { findings, ..Verified::default() };
            return tell(&found, output);
        }
        opened => opened?,
    };
    let found = opened.books.store.verify_against(&kept).await?;
    tell(&found, output)
}

fn tell(found: &Verified, output: Output) -> Result<(), Error> {
    let sealed = found.sealed.as_ref();
    let findings = &found.findings;
    let log = sealed.map(|sealed| TreeHead { size: sealed.journals, root: sealed.log_root });
    let listed = findings.iter().map(|found| {
        let (code, meaning) = (found.code().word(), found.code().name());
        json!({ "code": code, "name": meaning, "finding": found.name, "detail": found.detail })
    });
    let value = json!({
        "findings": listed.collect::<Vec<_>>(),
        "journals": sealed.map(|sealed| sealed.journals),
        "events": sealed.map(|sealed| sealed.events),
        "log": log.map(|head| head.to_string()),
        "orders_run_again": found.replayed.orders,
        "unassigned_run_again": found.replayed.unassigned,
        "not_proved": NOT_PROVED,
    });
    output.print(&value, || {
        let mut pairs = Vec::new();
        if let (Some(sealed), Some(log)) = (sealed, log) {
            pairs.push(("journals", sealed.journals.to_string()));
            pairs.push(("events", sealed.events.to_string()));
            pairs.push(("log", log.to_string()));
            pairs.push(("orders run again", found.replayed.orders.to_string()));
            pairs.push(("unassigned run again", found.replayed.unassigned.to_string()));
        }
        let told = if findings.is_empty() {
            "The books agree with themselves.\n".to_owned()
        } else {
            let row = |found: &Finding| {
                let code = found.code();
                vec![code.word().to_owned(), code.name().to_owned(), found.detail.clone()]
            };
            table(&["code", "name", "where"], &findings.iter().map(row).collect::<Vec<_>>())
        };
        let not_proved = NOT_PROVED.map(|line| format!("  {line}\n")).concat();
        format!("{told}\n{}\nNot proved by this:\n{not_proved}", fields(&pairs))
    })?;
    match findings.len() {
        0 => Ok(()),
        found => {
            let why = "keep a copy of them as they are";
            Err(Error::broken(format!("the books are broken: {found} findings; {why}")))
        }
    }
}
