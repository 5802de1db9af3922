//! What a config may say, and how each mistake is named.
//!
//! In: config text. Out: the defaults, or one line with the field. Why: operators read these.

use super::*;

const GOOD: &str = r#"
[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6
confirmations = [{ up_to = "1000", blocks = 30 }, { at = "finalized" }]

[[chains.ethereum.endpoints]]
url = "https://node.example/v3/0123456789abcdef"
"#;

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(text, Path::new("/etc/bursar"))
}

fn refusal(text: &str) -> String {
    let error = parse(text).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let line = error.line();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn a_small_config_gets_careful_defaults() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.database.expose(), "sqlite:/etc/bursar/bursar.db");
    assert_eq!(config.orders.expires_after, Duration::from_secs(1800));
    assert_eq!(config.orders.terms.late_window, 86_400_000);
    assert_eq!(config.orders.terms.dust.to_string(), "0.10");
    assert_eq!(config.orders.terms.underpaid, Policy::Hold);
    let (_, chain) = config.chain("ethereum").unwrap();
    assert_eq!(chain.rules.finality.len(), 2);
    let Node::Evm(node) = &chain.node else { panic!("kind = \"evm\"") };
    assert!(node.check_header_hash);
    assert_eq!(node.prove, erc20::Prove::Suspicious);
    assert!(!format!("{config:?}").contains("0123456789abcdef"), "an API key is shown");
}

#[test]
fn every_mistake_names_its_field() {
    let with = |from: &str, to: &str| refusal(&GOOD.replace(from, to));
    let no_endpoint = GOOD.split("[[").next().unwrap().to_owned();
    let two_ways = "blocks = 30, at = \"safe\"";
    for (line, wanted) in [
        (with("decimals", "decimal"), "line 6: unknown field `decimal`"),
        (with("1ec7\"", "1ec8\""), "chains.ethereum.token: the checksum"),
        (with("https://", "htps://"), "chains.ethereum.endpoints[0].url"),
        (with("up_to = \"1000\"", "up_to = \"-1\""), "confirmations[0].up_to: `-1` is below zero"),
        (with("blocks = 30", two_ways), "confirmations[0]: give either"),
        (with("up_to = \"1000\", ", ""), "confirmations[1]: is never reached"),
        (with("kind = \"evm\"", "kind = \"evm\"\nstart = \"now\""), "chains.ethereum.start"),
        (with("kind = \"evm\"", "kind = \"btc\""), "line 3: unknown variant `btc`"),
        (
            with("kind = \"evm\"", "kind = \"evm\"\nprove = \"always\"\ncheck_header_hash = false"),
            "chains.ethereum.prove: proves nothing",
        ),
        (with("kind = \"evm\"", "kind = \"evm\"\nprove = \"never\""), "unknown variant `never`"),
        (refusal(&no_endpoint), "chains.ethereum.endpoints: none is given"),
        (refusal("[orders]\nexpires_after = \"soon\"\n"), "chains: no chain"),
        (refusal(&format!("{GOOD}\n[orders]\nexpires_after = \"soon\"")), "orders.expires_after"),
        (
            refusal(&format!("{GOOD}\n[orders]\ndust = \"0.0000001\"")),
            "orders.dust: `0.0000001` has",
        ),
        (refusal(&format!("{GOOD}\n[database]\nurl = \"mysql://x\"")), "database.url"),
        (refusal(&format!("{GOOD}\n[database]\nurl_file = \"none\"")), "database.url_file: cannot"),
        (refusal("= 1"), "line 1:"),
    ] {
        assert!(line.contains(wanted), "{line}\nwanted: {wanted}");
    }
}

#[test]
fn a_private_key_is_refused_and_not_repeated() {
    let phrase = "test test test test test test test test test test test junk";
    let text = format!("{GOOD}\n[chains.ethereum.addresses]\nxpub = \"{phrase}\"");
    let line = refusal(&text);
    assert!(line.contains(": xpub: this is a seed phrase"), "{line}");
    assert!(!line.contains("junk"), "{line}");
    // Wherever it stands, and whatever else is wrong with the line.
    let line = refusal(&format!("{GOOD}\n[pricing]\nnonsense = [\"{phrase}\"]"));
    assert!(line.contains(": nonsense: this is a seed phrase"), "{line}");
}
