//! A transfer of another token, in words.
//!
//! In: a deposit or a transfer whose contract is not the configured one. Out: which contract, that
//! it is not USDT, that nothing is credited, and what the customer is to be told.
//! Never: a symbol: a contract may call itself what it likes. Why: a look-alike is made to be
//! mistaken for the real thing, also by support.

use payments::address::Address;
use payments::chain::Transfer;
use payments::deposit::{Deposit, State};
use payments::name::ChainName;
use serde_json::{Value, json};
use store::Found;

use crate::error::Error;
use crate::open::Opened;

/// What is told of a transaction that pays ours with other tokens, at most so many transfers.
const TOLD: usize = 20;

/// Why such a deposit is what it is; none for one of the configured token.
pub(super) fn reason(opened: &Opened, deposit: &Deposit) -> Option<String> {
    let contract = deposit.id.other_token?;
    let words = words(opened, &deposit.id.chain, contract);
    Some(match deposit.state {
        State::Pending => format!("not final yet, and {words}"),
        State::Orphaned => format!("its block is no longer part of the chain; {words}"),
        _ => words,
    })
}

/// Such a deposit in place of an amount of USDT.
pub(super) fn amount(deposit: &Deposit) -> String {
    match deposit.id.other_token {
        Some(_) => format!("{} base units of another token", deposit.raw),
        None => format!("{} USDT", deposit.amount),
    }
}

fn words(opened: &Opened, chain: &ChainName, contract: Address) -> String {
    let contract = opened.view.spelled(chain, &contract);
    let token = opened.config.chains.get(chain).map(|chain| chain.rules.token);
    let token = token.map_or_else(String::new, |token| {
        format!(", whose contract is {}", opened.view.spelled(chain, &token))
    });
    format!(
        "another token, of contract {contract}: not USDT{token}. It has no value here and nothing \
         is credited for it. Tell the customer that this token was sent and not USDT, whatever it \
         is called; the order still waits for USDT, and a person decides whether the token is \
         sent back"
    )
}

/// Those transfers of other tokens that went to addresses of ours, as lines and as JSON.
pub(super) async fn transfers(
    opened: &Opened,
    chain: &ChainName,
    others: &[Transfer],
) -> Result<(Vec<String>, Vec<Value>), Error> {
    let (mut lines, mut values) = (Vec::new(), Vec::new());
    for transfer in others.iter().filter(|transfer| !transfer.raw.is_zero()) {
        if lines.len() >= TOLD {
            lines.push("  and more of the kind".to_owned());
            break;
        }
        let found = opened.books.store.find(&transfer.to.evm()).await?;
        if !found.iter().any(|found| matches!(found, Found::Address(..))) {
            continue;
        }
        let to = opened.view.spelled(chain, &transfer.to);
        let why = words(opened, chain, transfer.token);
        lines.push(format!("  {} base units to {to}, ours: {why}.", transfer.raw));
        let token = opened.view.spelled(chain, &transfer.token);
        values.push(json!({ "to": to, "token": token, "raw": transfer.raw.to_string() }));
    }
    Ok((lines, values))
}
