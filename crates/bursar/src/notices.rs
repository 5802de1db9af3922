//! What the issuers of our tokens did: told beside a chain, an order, an address.
//!
//! In: the books. Out: sentences and JSON. Never: a node asked.
//! Why: a token that is paused, taxed, replaced or frozen looks like a customer who does not pay.

use payments::address::Address;
use payments::amount::Usdt;
use payments::name::ChainName;
use payments::notice::{Noted, Standing, What};
use ruint::aliases::U256;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::config::Config;
use crate::error::Error;
use crate::open::Opened;
use crate::view::View;

/// What of the issuer's notices on `chain` holds now.
///
/// # Errors
/// When the database fails.
pub(crate) async fn standing(opened: &Opened, chain: &ChainName) -> Result<Standing, Error> {
    Ok(Standing::of(opened.books.store.notices(chain).await?))
}

/// What issuers did about an address of ours, in the order of recording.
///
/// # Errors
/// When the database fails.
pub(crate) async fn about(opened: &Opened, address: &Address) -> Result<Vec<Noted>, Error> {
    Ok(opened.books.store.notices_of(address).await?)
}

/// What holds on a chain, in a few words; empty where nothing does.
pub(crate) fn words(config: &Config, standing: &Standing) -> String {
    let view = &View::new(config);
    let Standing { paused, deprecated, fee, blacklisted } = standing;
    let since = |noted: &Noted| {
        let height = noted.notice.block.height;
        match noted.notice.is_asked() {
            true => format!("(as its contract says after block {height})"),
            false => format!("since block {height}"),
        }
    };
    let mut words = Vec::new();
    if let Some(noted) = deprecated
        && let What::Deprecated(to) = noted.notice.what
    {
        let to = view.spelled(&noted.chain, &to);
        words.push(format!("the token is deprecated {} in favour of {to}", since(noted)));
    }
    if let Some(noted) = paused {
        words.push(format!("the token is paused {}", since(noted)));
    }
    if let Some(noted) = fee
        && let What::Fee { points, most } = noted.notice.what
    {
        let rate = rate(points, most, decimals(config, &noted.chain));
        words.push(format!("the token keeps a fee {}: {rate}", since(noted)));
    }
    match blacklisted.as_slice() {
        [] => {}
        [one] => {
            let account = one.notice.what.account().unwrap_or(Address([0; 20]));
            let account = view.spelled(&one.chain, &account);
            words.push(format!("{account} is blacklisted {}", since(one)));
        }
        several => words.push(format!("{} of our addresses are blacklisted", several.len())),
    }
    words.join("; ")
}

fn decimals(config: &Config, chain: &ChainName) -> u8 {
    config.chains.get(chain).map_or(6, |chain| chain.rules.decimals)
}

/// Base units as USDT.
fn amount(raw: U256, decimals: u8) -> String {
    Usdt::from_raw(raw, decimals).map_or_else(|_| raw.to_string(), |amount| amount.to_string())
}

/// What a fee is.
pub(crate) fn rate(points: u32, most: U256, decimals: u8) -> String {
    let percent = Usdt::from_micro(i64::from(points).saturating_mul(10_000)).unwrap_or_default();
    format!("{percent} % of each transfer, at most {} USDT", amount(most, decimals))
}

/// One notice about an address of ours, in a sentence.
pub(crate) fn sentence(config: &Config, noted: &Noted) -> String {
    let (view, chain) = (&View::new(config), &noted.chain);
    let notice = &noted.notice;
    let address = |address: &Address| view.spelled(chain, address);
    let what = match &notice.what {
        What::Paused => "the token was paused: nothing can be transferred".to_owned(),
        What::Unpaused => "the token was unpaused".to_owned(),
        What::Deprecated(to) => format!("the token was deprecated in favour of {}", address(to)),
        What::Fee { points, most } => {
            format!("the token keeps {}", rate(*points, *most, decimals(config, chain)))
        }
        What::Blacklisted(of) => format!(
            "{} was BLACKLISTED by the token's owner: it can receive, and nothing can be sent \
             from it",
            address(of)
        ),
        What::Released(of) => format!("{} was taken off the token's blacklist", address(of)),
        What::Destroyed { from, raw } => {
            let amount = amount(*raw, decimals(config, chain));
            format!("the token's owner destroyed {amount} USDT at {}", address(from))
        }
    };
    let gone = match noted.orphaned {
        true => "; its block is no longer part of the chain",
        false => "",
    };
    let height = notice.block.height;
    if notice.is_asked() {
        return format!("{what}, as the contract itself says after block {height}{gone}");
    }
    format!("{what}, {} in block {height}{gone}", view.tx(chain, &notice.tx))
}

pub(crate) fn as_json(view: &View, noted: &Noted) -> Value {
    let (chain, notice) = (&noted.chain, &noted.notice);
    let (named, points, raw) = notice.what.kept();
    let fee = matches!(notice.what, What::Fee { .. });
    let counts = fee || matches!(notice.what, What::Destroyed { .. });
    json!({
        "id": noted.id().to_string(),
        "what": notice.what.word(),
        "chain": chain.as_str(),
        "address": named.map(|address| view.spelled(chain, &address)),
        "points": fee.then_some(points),
        "raw": counts.then(|| raw.to_string()),
        "order": noted.order.as_ref().map(ToString::to_string),
        "told_by": if notice.is_asked() { "contract" } else { "log" },
        "tx": (!notice.is_asked()).then(|| view.tx(chain, &notice.tx)),
        "height": notice.block.height,
        "time": rfc3339(notice.time),
        "orphaned": noted.orphaned,
    })
}

pub(crate) fn standing_json(view: &View, standing: &Standing) -> Value {
    let one = |noted: &Option<Noted>| noted.as_ref().map(|noted| as_json(view, noted));
    let blacklisted: Vec<Value> =
        standing.blacklisted.iter().map(|noted| as_json(view, noted)).collect();
    json!({
        "paused": one(&standing.paused),
        "deprecated": one(&standing.deprecated),
        "fee": one(&standing.fee),
        "blacklisted": blacklisted,
    })
}
