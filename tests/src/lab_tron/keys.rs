//! A thousand addresses of one account, by three programs that know nothing of each other.
//!
//! In: an xpub here, its phrase there. Out: the same addresses, and no typo that passes for one.
//! Never: a phrase of anybody's. Why: an address that is derived wrong is money nobody can move.

use bursar::derive::Account;
use payments::address::{Address, Spelling};
use serde_json::{Value, json};

use super::clients::{tronpy_keys, tronweb_keys};

/// The phrase of every tutorial, and its first account of TRON's coin type.
const PHRASE: &str = "test test test test test test test test test test test junk";
const XPUB: &str = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr";
const COUNT: usize = 1_000;
/// Base58's letters, as Bitcoin has them.
const LETTERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

fn derived() -> Vec<String> {
    let account = Account::parse(XPUB).expect("an account");
    let at = |index| account.address(index).expect("an address").tron();
    (0..u32::try_from(COUNT).expect("few")).map(at).collect()
}

/// `address` with another letter at one place.
fn typo(address: &str, place: usize, letter: u8) -> String {
    let mut typed = address.as_bytes().to_vec();
    typed[place] = letter;
    String::from_utf8(typed).expect("letters")
}

/// One typo of each address, at a place and with a letter that differ from one to the next.
fn some_typos(addresses: &[String]) -> Vec<String> {
    let one = |(n, address): (usize, &String)| {
        let place = n % address.len();
        let letter = LETTERS[(n / 7) % LETTERS.len()];
        let other = LETTERS[(n / 7 + 1) % LETTERS.len()];
        typo(address, place, if address.as_bytes()[place] == letter { other } else { letter })
    };
    addresses.iter().enumerate().map(one).collect()
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).expect("texts")
}

#[tokio::test]
async fn three_programs_make_the_same_addresses_and_refuse_the_same_typos() {
    let addresses = derived();
    let typed: Vec<String> = addresses.iter().cloned().chain(some_typos(&addresses)).collect();
    let ours: Vec<bool> =
        typed.iter().map(|text| Address::parse_as(text, Spelling::Tron).is_ok()).collect();
    assert_eq!(ours.iter().filter(|is_one| **is_one).count(), COUNT);
    let path = "m/44'/195'/0'/0";
    let request = json!({ "phrase": PHRASE, "path": path, "count": COUNT, "typed": typed });
    let tronweb = tronweb_keys(&request).await;
    assert_eq!(texts(&tronweb["addresses"]), addresses);
    assert_eq!(tronweb["typed"], json!(ours));
    let tronpy = tronpy_keys(&json!({ "keys": tronweb["keys"], "typed": typed })).await;
    assert_eq!(texts(&tronpy["addresses"]), addresses);
    assert_eq!(tronpy["typed"], json!(ours));
}

#[test]
fn both_spellings_are_the_same_twenty_bytes() {
    for address in derived() {
        let bytes = Address::parse_as(&address, Spelling::Tron).expect("ours");
        assert_eq!(Address::parse_as(&bytes.evm(), Spelling::Evm), Ok(bytes));
        assert_eq!(bytes.tron(), address);
    }
}
