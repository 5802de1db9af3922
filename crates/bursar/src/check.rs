//! `bursar check`: what is wrong, before it runs.
//!
//! In: the config. Out: a line for every thing tried: config, database, addresses, endpoints.
//! Never: stops at the first; never writes. Why: an installer wants the whole list at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use payments::notice::Standing;
use payments::order::{MOST, Price};
use payments::time::Time;
use serde_json::{Value, json};
use store::Store;

use crate::address;
use crate::begin;
use crate::clock::Clock;
use crate::config::{self, AddressSource, Chain, Config, TronNode, Way};
use crate::contract;
use crate::error::Error;
use crate::node::Node;
use crate::notices;
use crate::open;
use crate::output::{Output, table};
use crate::view::View;

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
    findings.extend(config.pricing.rate.map(rate));
    for (name, chain) in &config.chains {
        findings.push(addresses(store.as_ref(), name, chain).await);
        findings.append(&mut treasury(store.as_ref(), name.as_str(), chain).await);
        findings.push(token(&config, store.as_ref(), name, chain).await);
        findings.extend(start(store.as_ref(), name, chain).await);
        findings.append(&mut endpoints(&config, store.as_ref(), name.as_str(), chain).await);
    }
    if let Some(store) = store {
        store.close().await;
    }
    print(&findings, output)
}

/// Whether an order that credits whatever arrives can be made at this price.
fn rate(rate: Price) -> Finding {
    let fits = rate.credits(MOST, None).is_some();
    let why = format!(
        "makes more credits of {MOST} USDT than the books hold: orders that credit whatever \
         arrives are refused"
    );
    finding(
        "pricing.credits_per_usdt",
        if fits { Ok("fits the books".to_owned()) } else { Err(why) },
    )
}

async fn addresses(
    store: Option<&Store>,
    name: &payments::name::ChainName,
    chain: &Chain,
) -> Finding {
    let what = format!("{name} addresses");
    match (&chain.addresses, store) {
        (None, _) => finding(what, Err("none: orders on this chain cannot be made".to_owned())),
        (Some(AddressSource::Imported { .. }), _) => {
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

/// Where addresses are swept to. One that is ours would be swept into itself for ever.
async fn treasury(store: Option<&Store>, name: &str, chain: &Chain) -> Vec<Finding> {
    let what = || format!("{name} treasury");
    let addresses = &chain.rules.treasury;
    if addresses.is_empty() {
        let text = "none: whatever leaves an address of ours opens a case unexplained_outflow";
        return vec![finding(what(), Ok(text.to_owned()))];
    }
    for address in addresses {
        let Some(store) = store else { break };
        let found = store.find(&address.evm()).await.unwrap_or_default();
        if found.iter().any(|found| matches!(found, store::Found::Address(..))) {
            let why = format!("{address} is one of our deposit addresses");
            return vec![finding(what(), Err(why))];
        }
    }
    let text = match addresses.len() {
        1 => "1 address; what is sent there is a sweep".to_owned(),
        count => format!("{count} addresses; what is sent there is a sweep"),
    };
    vec![finding(what(), Ok(text))]
}

/// Where its books are to begin, where they have not. Endpoints that fail are told by themselves.
async fn start(
    store: Option<&Store>,
    name: &payments::name::ChainName,
    chain: &Chain,
) -> Option<Finding> {
    let height = chain.node.start_height()?;
    let has_begun = match store {
        Some(store) => begin::has_begun(store, name).await.ok()?,
        None => false,
    };
    if has_begun {
        return None;
    }
    let node = Node::connect(chain.node.clone()).await.ok()?;
    let said = match begin::within_the_chain(name, chain, &node).await {
        Ok(()) => Ok(format!("at block {height}")),
        Err(why) if why.exit_code() == 2 => Err(why.line()),
        Err(_) => return None,
    };
    Some(finding(format!("{name} start"), said))
}

/// What the token's issuer did, as the contract itself says now and as far as the books know. A
/// token that was replaced is the wrong one.
async fn token(
    config: &Config,
    store: Option<&Store>,
    name: &payments::name::ChainName,
    chain: &Chain,
) -> Finding {
    let noted = match store {
        Some(store) => store.notices(name).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let standing = Standing::of(noted);
    let heard = match Node::connect(chain.node.clone()).await {
        Ok(node) => contract::ask(store, name, &node).await,
        Err(source) => Err(Error::chain(name, source)),
    };
    let mut words = notices::words(config, &standing);
    if !words.is_empty() {
        words.push_str("; ");
    }
    let mut deprecated = standing.deprecated.is_some();
    match heard {
        Ok(Some(heard)) => {
            deprecated |= heard.is_deprecated();
            let view = View::new(config);
            let spelled = |address: &_| view.spelled(name, address);
            words.push_str(&heard.words(chain.rules.decimals, spelled));
        }
        Ok(None) => words.push_str("the contract itself is not asked: nothing is final yet"),
        // What is wrong with the endpoints is said of each of them.
        Err(error) => {
            let why = error.line();
            words.push_str(&format!("the contract itself does not answer: {why}"));
        }
    }
    let said = if deprecated { Err(words) } else { Ok(words) };
    finding(format!("{name} token"), said)
}

async fn endpoints(
    config: &Config,
    store: Option<&Store>,
    name: &str,
    chain: &Chain,
) -> Vec<Finding> {
    let failed =
        |why: String| vec![finding(format!("{name} endpoints"), Err(why.replace('\n', " ")))];
    match &chain.node {
        config::Node::Evm(evm_node) => match erc20::Source::inspect(evm_node).await {
            Ok(reports) => reports.iter().flat_map(|report| evm(name, report)).collect(),
            Err(why) => failed(lines(&why)),
        },
        config::Node::Tron(tron) => {
            let mut findings = match trc20::Source::inspect(&tron.source).await {
                Ok(reports) => reports.iter().flat_map(|report| self::tron(name, report)).collect(),
                Err(why) => failed(lines(&why)),
            };
            let is_compared = !config.reconcile.every.is_zero();
            findings.append(&mut budget(store, (name, chain), tron, is_compared).await);
            findings
        }
    }
}

fn evm(name: &str, report: &erc20::EndpointReport) -> Vec<Finding> {
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
    let failures = report.failures.iter().map(|failure| (failure.what, failure.why.as_str()));
    endpoint(format!("{name} {}", report.name), &report.location, text, failures)
}

fn tron(name: &str, report: &trc20::EndpointReport) -> Vec<Finding> {
    let text = format!(
        "{}: tip {}, solidified {}, lag {}, {} with {} decimals{}{}",
        report.location,
        number(report.tip),
        number(report.solidified),
        number(report.lag),
        report.symbol.as_deref().unwrap_or("a token"),
        report.decimals.as_deref().unwrap_or("?"),
        if report.index == Some(true) { ", has an index" } else { "" },
        if report.has_key { ", by key" } else { "" },
    );
    let failures = report.failures.iter().map(|failure| (failure.what, failure.why.as_str()));
    endpoint(format!("{name} {}", report.name), &report.location, text, failures)
}

fn number(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// An endpoint that does not answer fails at everything for one reason.
fn endpoint<'a>(
    what: String,
    location: &str,
    text: String,
    failures: impl Iterator<Item = (&'static str, &'a str)>,
) -> Vec<Finding> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (asked, why) in failures {
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, all)) => all.push(asked),
            None => reasons.push((why, vec![asked])),
        }
    }
    if reasons.is_empty() {
        return vec![finding(what, Ok(text))];
    }
    let told = |(why, all): (&str, Vec<&str>)| {
        finding(what.clone(), Err(format!("{location}: {}: {why}", all.join(", "))))
    };
    reasons.into_iter().map(told).collect()
}

/// What a TRON endpoint will be asked in a day, beside what its plan allows.
async fn budget(
    store: Option<&Store>,
    (name, chain): (&str, &Chain),
    tron: &TronNode,
    is_compared: bool,
) -> Vec<Finding> {
    let way = match tron.way {
        Way::Blocks => trc20::Way::Blocks,
        Way::Accounts { at_most, linger, behind } => {
            let ended = Time(Clock::System.now().0.saturating_sub(millis(linger)));
            let open = match store {
                Some(store) => store.accounts(ended, at_most).await.ok(),
                None => None,
            };
            let accounts = open.map_or(u64::from(at_most), |open| {
                u64::try_from(open.len()).unwrap_or(u64::MAX).max(1)
            });
            if behind {
                trc20::Way::AccountsAndBlocks(accounts)
            } else {
                trc20::Way::Accounts(accounts)
            }
        }
    };
    let compared = match is_compared {
        true => chain.node.alone().into_iter().map(|(name, _)| name).collect(),
        false => BTreeSet::new(),
    };
    let habits = trc20::Habits { poll: chain.poll_interval, way, compared };
    let budgets = tron.source.budget(&habits);
    budgets.iter().map(|budget| allowance(name, &habits, budget)).collect()
}

fn allowance(name: &str, habits: &trc20::Habits, budget: &trc20::Budget) -> Finding {
    let what = format!("{name} {} budget", budget.name);
    let each = humantime::format_duration(habits.poll);
    let parts = [
        (budget.ends, "for tip and solidified block"),
        (budget.blocks, "for blocks or headers"),
        (budget.infos, "for transaction infos"),
        (budget.accounts, "for accounts"),
        (budget.compared, "to compare it with the books, balances apart"),
    ];
    let parts = parts.iter().filter(|(requests, _)| *requests > 0);
    let parts: Vec<String> = parts.map(|(n, what)| format!("{n} {what}")).collect();
    let catch_up = budget.catch_up.map_or_else(String::new, |times| {
        format!("; catches up at {times} times the chain's pace")
    });
    let text = format!(
        "{} requests a day, polled every {each} ({}){catch_up}",
        budget.total(),
        parts.join(", "),
    );
    match budget.allowed {
        Some(allowed) if !budget.fits() => finding(
            what,
            Err(format!(
                "{text}: its plan allows {allowed}; poll less often, read accounts, or let \
                 reconcile.every be \"never\""
            )),
        ),
        Some(allowed) => finding(what, Ok(format!("{text} of {allowed} allowed"))),
        None => finding(what, Ok(format!("{text}; no requests_per_day is set"))),
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
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
