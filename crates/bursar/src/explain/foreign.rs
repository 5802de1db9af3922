//! A transaction that is not in the books.
//!
//! In: its hash. Out: what every configured chain knows of it, and whether it concerns us.
//! Never: "not found" without having asked. Why: most of what customers send is not ours.

use payments::chain::TxHash;
use payments::lookup::Transaction;
use payments::name::ChainName;
use serde_json::{Value, json};
use store::Found;

use crate::clock::rfc3339;
use crate::config::Chain;
use crate::error::Error;
use crate::open::Opened;
use crate::output::Output;

use super::other;

/// A transaction that is not in the books, looked up on every chain.
pub(super) async fn foreign(opened: &Opened, hash: TxHash, output: Output) -> Result<(), Error> {
    let mut lines = Vec::new();
    let mut values = Vec::new();
    for (name, chain) in &opened.config.chains {
        let (line, value) = match look(opened, name, chain, hash).await {
            Ok(found) => found,
            Err(error) => {
                let line = format!("{name}: cannot be asked now: {}", error.line());
                (line.clone(), json!({ "found": "unknown", "why": line }))
            }
        };
        lines.push(line);
        values.push(json!({ "chain": name.as_str(), "answer": value }));
    }
    let value =
        json!({ "term": hash.to_string(), "kind": "foreign_transaction", "chains": values });
    output.print(&value, || {
        format!("No deposit of ours is recorded for {hash}.\n{}\n", lines.join("\n"))
    })
}

async fn look(
    opened: &Opened,
    name: &ChainName,
    chain: &Chain,
    hash: TxHash,
) -> Result<(String, Value), Error> {
    let node = opened.node(name, chain).await?;
    let answer = node.transaction(hash).await;
    let answer = answer.map_err(|source| Error::chain(name, source))?;
    let mined = match answer {
        Transaction::NotFound => {
            return Ok((format!("{name}: not known there."), json!({ "found": "none" })));
        }
        Transaction::Pending => {
            let line = format!("{name}: known, in no block yet. Wait until it is mined.");
            return Ok((line, json!({ "found": "pending" })));
        }
        Transaction::Mined(mined) => mined,
    };
    let block = mined.block.height;
    let at = rfc3339(mined.time);
    if !mined.succeeded {
        let line = format!("{name}: failed in block {block} ({at}). Nothing was sent.");
        return Ok((line, json!({ "found": "failed", "height": block })));
    }
    let (mut told, others) = other::transfers(opened, name, &mined.others).await?;
    if mined.transfers.is_empty() {
        let line = format!("{name}: in block {block} ({at}), but it moves no USDT of this chain.");
        told.insert(0, line);
        let value = json!({ "found": "no_transfer", "height": block, "others": others });
        return Ok((told.join("\n"), value));
    }
    let cursor = opened.books.store.cursor(name).await?;
    let mut lines = vec![format!("{name}: in block {block} ({at}).")];
    let mut transfers = Vec::new();
    for transfer in &mined.transfers {
        let amount = payments::amount::Usdt::from_raw(transfer.raw, chain.rules.decimals);
        let amount = amount.map_or_else(|_| transfer.raw.to_string(), |amount| amount.to_string());
        let found = opened.books.store.find(&transfer.to.evm()).await?;
        let ours = found.iter().any(|found| matches!(found, Found::Address(..)));
        let whose = match (ours, cursor.last()) {
            (false, _) => "not an address of ours".to_owned(),
            (true, Some(last)) if last.id.height < block => {
                let silence = opened.view.silence(&cursor);
                let silence = silence.map_or_else(String::new, |s| format!("; {}", s.words()));
                format!("ours; scanned to {}, it will be recorded{silence}", last.id.height)
            }
            (true, None) => "ours; the chain was not scanned yet".to_owned(),
            (true, Some(_)) if transfer.raw.is_zero() => "ours, but nothing was sent".to_owned(),
            (true, Some(_)) if transfer.from == transfer.to => {
                "ours, but sent to itself: nothing moved".to_owned()
            }
            (true, Some(_)) => {
                format!("OURS AND MISSED: bursar rescan --chain {name} --tx {hash}")
            }
        };
        let to = opened.view.spelled(name, &transfer.to);
        lines.push(format!("  {amount} USDT to {to}: {whose}"));
        transfers.push(json!({ "to": to, "amount": amount, "ours": ours }));
    }
    lines.append(&mut told);
    let value = json!({
        "found": "mined",
        "height": block,
        "transfers": transfers,
        "others": others,
    });
    Ok((lines.join("\n"), value))
}
