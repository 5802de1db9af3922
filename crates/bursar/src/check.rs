//! `bursar check`: what is wrong, before it runs.
//!
//! In: the config. Out: a line for every thing tried: config, database, addresses, endpoints.
//! Never: stops at the first; never writes. Why: an installer wants the whole list at once.

use std::path::Path;

use serde_json::{Value, json};
use store::Store;

use crate::address;
use crate::config::{AddressSource, Chain, Config};
use crate::error::Error;
use crate::open;
use crate::output::{Output, table};

/// One thing that was tried.
struct Finding {
    what: String,
    good: bool,
    text: String,
}

fn finding(what: impl Into<String>, result: Result<String, String>) -> Finding {
    let (good, text) = match result {
        Ok(text) => (true, text),
        Err(text) => (false, text),
    };
    Finding { what: what.into(), good, text }
}

/// Tries everything and says how it went.
///
/// # Errors
/// Exit 2 where the config cannot be read or something that was tried is wrong.
pub async fn run(path: &Path, output: Output) -> Result<(), Error> {
    let config = Config::load(path)?;
    let mut findings = vec![finding("config", Ok(format!("{} reads well", path.display())))];
    let store = open::books(&config).await;
    let database = match &store {
        Ok(store) => Ok(format!("{:?}, schema {}", store.engine(), store::newest_schema())),
        Err(why) => Err(why.line().trim_start_matches("database: ").to_owned()),
    };
    findings.push(finding("database", database));
    let store = store.ok();
    for (name, chain) in &config.chains {
        findings.push(addresses(store.as_ref(), name, chain).await);
        findings.append(&mut endpoints(name.as_str(), chain).await);
    }
    if let Some(store) = store {
        store.close().await;
    }
    print(&findings, output)
}

async fn addresses(
    store: Option<&Store>,
    name: &payments::name::ChainName,
    chain: &Chain,
) -> Finding {
    let what = format!("{name} addresses");
    match (&chain.addresses, store) {
        (None, _) => finding(what, Err("none: orders on this chain cannot be made".to_owned())),
        (Some(AddressSource::Imported), _) => {
            finding(what, Ok("taken from the imported list".into()))
        }
        (Some(AddressSource::Account { account, .. }), None) => {
            finding(what, Ok(format!("account {}", account.fingerprint())))
        }
        (Some(AddressSource::Account { account, .. }), Some(store)) => {
            let verified = address::verify_sample(store, name, chain).await;
            let text = |compared| {
                format!("account {}, {compared} issued ones derive again", account.fingerprint())
            };
            finding(what, verified.map(text).map_err(|error| error.line()))
        }
    }
}

async fn endpoints(name: &str, chain: &Chain) -> Vec<Finding> {
    let reports = erc20::Source::inspect(&chain.node).await;
    let reports = match reports {
        Ok(reports) => reports,
        Err(why) => return vec![finding(format!("{name} endpoints"), Err(lines(&why)))],
    };
    let mut findings = Vec::new();
    for report in reports {
        let what = format!("{name} {}", report.name);
        if report.failures.is_empty() {
            let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
            let text = format!(
                "{}: chain {}, tip {}, finalized {}, lag {}, {} with {} decimals{}",
                report.location,
                number(report.chain_id),
                number(report.tip),
                number(report.finalized),
                number(report.lag),
                report.symbol.as_deref().unwrap_or("a token"),
                report.decimals.as_deref().unwrap_or("?"),
                if report.subscription == Some(true) { ", rings" } else { "" },
            );
            findings.push(finding(what.clone(), Ok(text)));
        }
        // An endpoint that does not answer fails at everything for one reason.
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for failure in &report.failures {
            match reasons.iter_mut().find(|(why, _)| *why == failure.why) {
                Some((_, whats)) => whats.push(failure.what),
                None => reasons.push((&failure.why, vec![failure.what])),
            }
        }
        for (why, whats) in reasons {
            let text = format!("{}: {}: {why}", report.location, whats.join(", "));
            findings.push(finding(what.clone(), Err(text)));
        }
    }
    findings
}

/// An error and its causes on one line.
fn lines(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.replace('\n', " ")
}

fn print(findings: &[Finding], output: Output) -> Result<(), Error> {
    let value: Vec<Value> = findings
        .iter()
        .map(|found| json!({ "what": found.what, "good": found.good, "text": found.text }))
        .collect();
    output.print(&json!({ "checks": value }), || {
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|found| {
                let word = if found.good { "good" } else { "WRONG" };
                vec![word.to_owned(), found.what.clone(), found.text.clone()]
            })
            .collect();
        table(&["", "what", ""], &rows)
    })?;
    let wrong = findings.iter().filter(|found| !found.good).count();
    match wrong {
        0 => Ok(()),
        1 => Err(Error::Input("1 thing is wrong".to_owned())),
        wrong => Err(Error::Input(format!("{wrong} things are wrong"))),
    }
}
