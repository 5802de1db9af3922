//! What a config may say, and how each mistake is named.
//!
//! In: config text. Out: the defaults, or one line with the field. Why: operators read these.

use payments::order::Policy;

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
        (
            refusal(&format!(
                "{TRON}\n[[chains.tron.endpoints]]\nname = \"endpoint-1\"\nurl = \"http://x\""
            )),
            "chains.tron.endpoints[1].name: `endpoint-1` is the name of another endpoint",
        ),
        (refusal("[orders]\nexpires_after = \"1h\"\n"), "chains: no chain"),
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

#[test]
fn one_token_of_one_chain_has_one_name() {
    let again = GOOD.replace("chains.ethereum", "chains.eth2");
    let line = refusal(&format!("{GOOD}{again}"));
    let why = "chains.ethereum.token: is that of chains.eth2, on the same chain: give it one name";
    assert_eq!(line, why);
    let sibling = again.replace("chain_id = 1", "chain_id = 5");
    parse(&format!("{GOOD}{sibling}")).unwrap();
    let coin = again.replace("0xdAC17F958D2ee523a2206206994597C13D831ec7", USDC);
    parse(&format!("{GOOD}{coin}")).unwrap();
    let nile = TRON.replace("chains.tron", "chains.nile");
    let line = refusal(&format!("{TRON}{nile}"));
    assert!(line.starts_with("chains.tron.token: is that of chains.nile, on the same"), "{line}");
    assert!(line.ends_with("one name, or state the genesis of each"), "{line}");
    let genesis = |text: &str, byte: &str| {
        let hash = byte.repeat(32);
        text.replace("kind = \"tron\"", &format!("kind = \"tron\"\ngenesis = \"{hash}\""))
    };
    parse(&format!("{}{}", genesis(TRON, "01"), genesis(&nile, "02"))).unwrap();
    assert!(parse(&format!("{}{}", genesis(TRON, "01"), genesis(&nile, "01"))).is_err());
}

const USDC: &str = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";

#[test]
fn a_list_serves_several_chains_where_it_is_of_key_pairs() {
    let importing = |text: &str, chain: &str, more: &str| {
        format!("{text}\n[chains.{chain}.addresses]\nimported = true\n{more}\n")
    };
    let keys = "key_pairs = true";
    parse(&importing(GOOD, "ethereum", "")).unwrap();
    for (one, other, named, with) in [
        ("", "", "ethereum", "tron"),
        (keys, "", "tron", "ethereum"),
        ("", keys, "ethereum", "tron"),
    ] {
        let both = importing(GOOD, "ethereum", one) + &importing(TRON, "tron", other);
        let line = refusal(&both);
        let begins =
            format!("chains.{named}.addresses.imported: shares its list with chains.{with}: where");
        assert!(line.starts_with(&begins), "{line}");
    }
    parse(&(importing(GOOD, "ethereum", keys) + &importing(TRON, "tron", keys))).unwrap();
    let derived = format!("{GOOD}\n[chains.ethereum.addresses]\n{keys}\n");
    assert!(refusal(&derived).starts_with("chains.ethereum.addresses.key_pairs: is said of"));
}

const TRON: &str = r#"
[chains.tron]
kind = "tron"
token = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
decimals = 6
recovery_fee = "0.80"
confirmations = [{ at = "finalized" }]

[[chains.tron.endpoints]]
url = "https://api.trongrid.io"
key = "11111111-2222-3333-4444-555555555555"
requests_per_second = 15
requests_per_day = 100000
"#;

fn tron(text: &str) -> TronNode {
    let config = parse(text).unwrap_or_else(|why| panic!("{}", why.line()));
    let (_, chain) = config.chain("tron").unwrap();
    match &chain.node {
        Node::Tron(tron) => (**tron).clone(),
        Node::Evm(_) => panic!("kind = \"tron\""),
    }
}

#[test]
fn one_place_of_trongrid_is_enough_for_everything() {
    let tron = tron(TRON);
    let [endpoint] = tron.source.endpoints.as_slice() else { panic!("one endpoint") };
    assert_eq!(endpoint.full.location, endpoint.solidity.location);
    assert!(endpoint.index.as_ref().is_some_and(|index| index.key.is_some()));
    assert!(endpoint.solidity.key.is_some());
    assert_eq!((endpoint.requests_per_second, endpoint.requests_per_day), (15, 100_000));
    assert_eq!(tron.way, Way::Blocks);
    let config = parse(TRON).unwrap();
    assert!(!format!("{config:?}").contains("5555"), "a key is shown");
    let (_, chain) = config.chain("tron").unwrap();
    assert_eq!(chain.poll_interval, Duration::from_secs(10));
    assert_eq!(chain.recovery_fee.to_string(), "0.80");
}

#[test]
fn a_key_goes_nowhere_but_where_it_was_given_for() {
    let elsewhere = "url = \"http://127.0.0.1:8090\"\nsolidity_url = \"http://other:8091\"";
    let text = TRON.replace("url = \"https://api.trongrid.io\"", elsewhere);
    let tron = tron(&text);
    let [endpoint] = tron.source.endpoints.as_slice() else { panic!("one endpoint") };
    assert!(endpoint.full.key.is_some());
    assert!(endpoint.solidity.key.is_none());
    assert!(endpoint.index.is_none(), "a plain node has no index");
}

#[test]
fn accounts_are_watched_where_there_is_an_index() {
    let accounts = TRON.replace("decimals = 6", "decimals = 6\nread = \"accounts\"");
    let day = Duration::from_secs(86_400);
    let wanted = Way::Accounts { at_most: 50, linger: day, behind: true };
    assert_eq!(tron(&accounts).way, wanted);
    let plain = "url = \"http://a:1\"\nsolidity_url = \"http://a:2\"";
    let line = refusal(&accounts.replace("url = \"https://api.trongrid.io\"", plain));
    assert!(line.contains("chains.tron.read: \"accounts\" needs an index"), "{line}");
}

#[test]
fn what_has_no_meaning_for_a_kind_of_chain_is_refused() {
    let evm = |line: &str| refusal(&GOOD.replace("decimals = 6", &format!("decimals = 6\n{line}")));
    let tron =
        |line: &str| refusal(&TRON.replace("decimals = 6", &format!("decimals = 6\n{line}")));
    let of = |text: &str, from: &str, to: &str| refusal(&text.replace(from, to));
    for (line, wanted) in [
        (tron("chain_id = 728126428"), "chains.tron.chain_id: has no meaning"),
        (tron("prove = \"always\""), "chains.tron.prove: has no meaning"),
        (tron("finality = 20"), "chains.tron.finality: has no meaning"),
        (tron("window = 101"), "chains.tron.window: must be 1 to 100"),
        (tron("accounts = { at_most = 5 }"), "chains.tron.accounts: is only for read"),
        (evm("read = \"accounts\""), "chains.ethereum.read: has no meaning"),
        (of(TRON, "at = \"finalized\"", "blocks = 3"), "confirmations[0]: on TRON only"),
        (of(TRON, "at = \"finalized\"", "at = \"safe\""), "confirmations[0]: on TRON only"),
        (of(TRON, "gjLj6t", "gjLj6T"), "chains.tron.token: "),
        (of(TRON, "https://api", "wss://api"), "endpoints[0].url: must be http or https"),
        (
            of(GOOD, "[[chains.ethereum.endpoints]]", "[[chains.ethereum.endpoints]]\nkey = \"k\""),
            "chains.ethereum.endpoints[0].key: has no meaning",
        ),
    ] {
        assert!(line.contains(wanted), "{line}\nwanted: {wanted}");
    }
}

#[test]
fn a_chain_may_have_orders_of_its_own() {
    let own = "\n[orders]\ntolerance = \"0.50\"\nlate = \"credit\"\ntolerance_percent = \"1\"\n\
        [chains.ethereum.orders]\ntolerance_percent = \"0.2\"\nlate = \"hold\"\ndust = \"1\"";
    let config = parse(&format!("{GOOD}{own}")).unwrap();
    let (_, chain) = config.chain("ethereum").unwrap();
    let (all, own) = (&config.orders, &chain.orders);
    assert_eq!((all.tolerance_ppm, own.tolerance_ppm), (10_000, 2_000));
    assert_eq!((all.terms.late, own.terms.late), (Policy::Credit, Policy::Hold));
    assert_eq!(
        (all.terms.dust.to_string(), own.terms.dust.to_string()),
        ("0.10".into(), "1.00".into())
    );
    assert_eq!(own.terms.tolerance.to_string(), "0.50");
    assert_eq!(own.expires_after, Duration::from_secs(1800));
    let wrong = refusal(&format!("{GOOD}\n[chains.ethereum.orders]\ndust = \"-1\""));
    assert!(wrong.starts_with("chains.ethereum.orders.dust: `-1`"), "{wrong}");
    let wrong = refusal(&format!("{GOOD}\n[chains.ethereum.orders]\ndusty = \"1\""));
    assert!(wrong.contains("unknown field `dusty`"), "{wrong}");
}

#[test]
fn bounds_are_read_and_have_careful_defaults() {
    let with = |lines: &str| GOOD.replace("decimals = 6", &format!("decimals = 6\n{lines}"));
    let bounds = |text: &str| parse(text).unwrap().chain("ethereum").unwrap().1.rules.bounds;
    let usual = bounds(GOOD);
    assert_eq!(
        (usual.hourly_credits, usual.others_per_order, usual.others_per_hour),
        (None, 20, 200)
    );
    let own = bounds(&with("hourly_credit_ceiling = \"5000\"\nother_tokens_per_hour = 7"));
    assert_eq!(own.hourly_credits.map(|c| c.to_string()).as_deref(), Some("5000.00"));
    assert_eq!((own.others_per_order, own.others_per_hour), (20, 7));
    assert_eq!(usual.silent_after, Some(std::time::Duration::from_secs(3_600)));
    let silent = |text: &str| bounds(&with(&format!("silent_after = \"{text}\""))).silent_after;
    assert_eq!(silent("2m"), Some(std::time::Duration::from_secs(120)));
    assert_eq!(silent("never"), None);
    let watches = |text: &str| {
        let config = parse(text).unwrap();
        let Node::Evm(node) = config.chain("ethereum").unwrap().1.node.clone() else {
            panic!("evm")
        };
        node.other_tokens
    };
    assert_eq!((watches(GOOD), watches(&with("other_tokens = \"watch\""))), (false, true));
    for (lines, wanted) in [
        ("hourly_credit_ceiling = \"0\"", "chains.ethereum.hourly_credit_ceiling: is zero"),
        ("hourly_credit_ceiling = \"1e3\"", "chains.ethereum.hourly_credit_ceiling: `1e3`"),
        (
            "other_tokens_per_order = 0",
            "chains.ethereum.other_tokens_per_order: must be 1 to 10000",
        ),
        ("other_tokens = \"some\"", "unknown variant `some`"),
    ] {
        let said = refusal(&with(lines));
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn a_rate_may_be_a_fraction() {
    let rate = |text: &str| {
        let text = format!("{GOOD}\n[pricing]\ncredits_per_usdt = \"{text}\"");
        parse(&text).map(|config| config.pricing.rate.unwrap())
    };
    let credits = |rate: Price| rate.credits(Usdt::parse("10").unwrap(), None).unwrap();
    assert_eq!(credits(rate("100").unwrap()), (Credits::parse("1000").unwrap(), 0));
    let (third, rest) = credits(rate("1000/3").unwrap());
    assert_eq!((third, rest), (Credits::parse("3333.333333").unwrap(), 1_000_000));
    for bad in ["0", "1/0", "1/", "1/2/3", "-1", "1.0000001"] {
        assert!(rate(bad).is_err(), "{bad}");
    }
}
