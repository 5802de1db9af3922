//! A private key where something else belongs: refused at once, and told to nobody.

use super::counter::{Counter, create};

const XPRV: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
const PHRASE: &str = "test test test test test test test test test test test junk";
const RAW: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Types `arguments`; what is said must not hold a part of any key.
async fn refused(counter: &Counter, arguments: &[&str]) -> String {
    let said = counter.refused(arguments).await;
    for trace in ["QTDL4", "xprv9s", "test", "junk", "ac0974", "AC0974"] {
        assert!(!said.contains(trace), "{arguments:?}: {said}");
    }
    said
}

#[tokio::test]
async fn no_argument_that_is_one_is_repeated() {
    let counter = Counter::open().await;
    let with_prefix = format!("0x{RAW}");
    let shouted = PHRASE.to_uppercase();
    // One letter of an xprv is missing, or stands among other text: enough to search for the rest.
    let cut = &XPRV[..XPRV.len() - 1];
    let json = format!("{{\"note\":\"{XPRV}\"}}");
    let keys = [XPRV, PHRASE, RAW, &with_prefix, &shouted, cut, &json];
    for key in keys {
        for field in ["--refund-to", "--metadata", "--credits", "--expires-after"] {
            let mut typed = create("A-1", &["--amount", "5"]);
            let joined = format!("{field}={key}");
            typed.push(&joined);
            let said = refused(&counter, &typed).await;
            assert!(said.starts_with(&format!("{field}: this ")), "{said}");
            assert!(said.contains("Bursar must never see one"), "{said}");
        }
        for typed in [
            &["order", "create", "--id", key, "--customer", "acme"][..],
            &["order", "create", "--customer", key],
            &["order", "show", key],
            &["order", "cancel", key],
            &["order", "list", "--after", key],
            &["order", "list", "--status", key],
            &["ledger", "balance", key],
            &["ledger", "entries", "--account", key],
            &["address", "import", key],
            &["rescan", "--chain", key, "--from", "1", "--to", "2"],
            &["rescan", "--chain", "ethereum", "--address", key],
            &["record", "--chain", "ethereum", "--out", key],
            &["--config", key, "check"],
            &["check", key],
            &[key],
        ] {
            refused(&counter, typed).await;
        }
    }
    for key in [XPRV, PHRASE, cut] {
        refused(&counter, &["explain", key]).await;
        refused(&counter, &["rescan", "--chain", "ethereum", "--tx", key]).await;
    }
    // As it is pasted without quotes.
    let words: Vec<&str> = ["explain"].into_iter().chain(PHRASE.split(' ')).collect();
    assert!(refused(&counter, &words).await.starts_with("this is a seed phrase"));
}

/// A transaction's hash cannot be told from a raw private key, and is what support types.
#[tokio::test]
async fn a_hash_where_one_is_asked_for_is_none() {
    let counter = Counter::open().await;
    let tx = counter.paid("A-1").await;
    for term in [tx.clone(), tx.trim_start_matches("0x").to_owned()] {
        assert_eq!(counter.json(&["explain", &term]).await["story"][0]["id"], "A-1");
        for typed in [
            &["rescan", "--chain", "ethereum", "--tx", &term][..],
            &["rescan", "--chain", "ethereum", &format!("--tx={term}")],
        ] {
            counter.good(typed).await;
        }
    }
    let metadata =
        format!("{{\"tx\":\"{tx}\",\"note\":\"paid in two parts, see the mail of May\"}}");
    counter.good(&create("A-2", &["--amount", "5", "--metadata", &metadata])).await;
}

/// Nor can a discrepancy's whole id, as `--json` tells it. One that is not known is no key either.
#[tokio::test]
async fn an_id_of_a_discrepancy_is_none() {
    let counter = Counter::open().await;
    let id = "4a".repeat(32);
    for word in ["show", "ack", "resolve"] {
        let mut typed = vec!["reconcile", word, id.as_str()];
        if word != "show" {
            typed.extend(["--by", "maria", "--why", "known"]);
        }
        let said = refused(&counter, &typed).await;
        assert!(
            !said.contains("private key") && said.contains("no discrepancy begins with"),
            "{said}"
        );
        assert!(!said.contains(&id), "{said}");
    }
    assert!(refused(&counter, &["reconcile", "--chain", &id]).await.contains("raw private key"));
}
