//! `bursar address import`: deposit addresses that were made elsewhere.
//!
//! In: a list, one address a line. Out: watched addresses that orders take one by one, or never.
//! Never: half a list; a typo anywhere refuses all of it. Why: an address nobody holds the key of
//! swallows what is sent to it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use payments::address::Address;
use serde_json::json;
use store::point;

use crate::derive::{self, KeyError};
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::Output;

/// A longer list is imported in parts, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Imports the list in `file`; `-` is standard input. No order gets one where they are to be
/// watched only.
///
/// # Errors
/// Exit 2 with the line and what is wrong with it; nothing is imported then.
pub async fn run(
    opened: &Opened,
    file: &Path,
    watch_only: bool,
    output: Output,
) -> Result<(), Error> {
    // Somebody may be typing it.
    let path = file.to_owned();
    let text = tokio::task::spawn_blocking(move || read(&path)).await;
    let addresses = parse(&text.map_err(|why| Error::Failed(why.to_string()))??)?;
    let count = addresses.len();
    let store = &opened.books.store;
    let added = match watch_only {
        true => store.recall(&addresses).await?,
        false => store.import(&addresses).await?,
    };
    point!("import.stored");
    output.print(&json!({ "listed": count, "imported": added }), || {
        let and = if watch_only { ", to be watched and given to no order" } else { "" };
        format!("Imported {added} of {count} addresses{and}; the others were there already.")
    })
}

fn read(file: &Path) -> Result<String, Error> {
    let failed = |source| Error::File { path: file.to_owned(), source };
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(LARGEST).read_to_string(&mut text).map_err(failed)?;
    } else {
        let open = std::fs::File::open(file).map_err(failed)?;
        open.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
    }
    if u64::try_from(text.len()).unwrap_or(u64::MAX) >= LARGEST {
        return Err(input(&file.display().to_string(), "is larger than 64 MiB; split it"));
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Vec<Address>, Error> {
    let mut seen: BTreeMap<Address, usize> = BTreeMap::new();
    let mut addresses = Vec::new();
    for (number, line) in (1usize..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let secret = derive::private(line).or(derive::is_raw(line).then_some(KeyError::RawPrivate));
        if let Some(key) = secret {
            return Err(input(&format!("line {number}"), key));
        }
        let address = Address::parse(line).map_err(|why| input(&format!("line {number}"), why))?;
        if let Some(before) = seen.insert(address, number) {
            let why = format!("the same address as line {before}");
            return Err(input(&format!("line {number}"), why));
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        return Err(input("the list", "holds no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_refuses_the_list_and_names_the_line() {
        let good = "# ours\n0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n\n";
        assert_eq!(parse(good).unwrap().len(), 1);
        let typo = format!("{good}0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d358\n");
        assert!(parse(&typo).unwrap_err().line().starts_with("line 4: the checksum"));
        let twice = format!("{good}0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed");
        assert!(parse(&twice).unwrap_err().line().contains("line 4: the same address as line 2"));
        assert!(parse("").is_err());
    }

    #[test]
    fn a_private_key_in_the_list_is_not_repeated() {
        let raw = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let phrase = "test test test test test test test test test test test junk";
        let xprv = format!("xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3{raw}");
        for (secret, trace) in
            [(raw, "ac09"), (&format!("0x{raw}"), "ac09"), (phrase, "junk"), (&xprv, "QTDL4")]
        {
            let said = parse(&format!("# ours\n{secret}\n")).unwrap_err().line();
            assert!(
                said.starts_with("line 2: ") && said.contains("Bursar must never see"),
                "{said}"
            );
            assert!(!said.contains(trace), "{said}");
        }
    }
}
