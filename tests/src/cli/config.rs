//! A config that is wrong: one line that names the field, exit 2, nothing written.

use lab::evm::Fault;

use super::counter::{Counter, KEY, XPUB, create};

/// Writes the config with one place changed, and what is said then.
async fn said(counter: &Counter, from: &str, to: &str) -> String {
    counter.write_with(from, to);
    counter.refused(&["order", "list"]).await
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named_with_what_is_wrong_with_it() {
    let counter = Counter::open().await;
    let node = counter.node.http_url();
    for (from, to, line) in [
        ("poll_interval", "pol_interval", "line 16: unknown field `pol_interval`"),
        (
            "decimals = 6",
            "decimals = \"six\"",
            "line 14: invalid type: string \"six\", expected u8",
        ),
        ("decimals = 6", "decimals = 31", "chains.ethereum.decimals: must be 0 to 30"),
        ("chain_id = 1", "", "chains.ethereum.chain_id: is missing; Ethereum's is 1"),
        ("\"evm\"", "\"bitcoin\"", "line 11: unknown variant `bitcoin`"),
        (
            "\"200ms\"",
            "\"soon\"",
            "chains.ethereum.poll_interval: `soon` is not a duration such as",
        ),
        ("\"200ms\"", "\"0s\"", "chains.ethereum.poll_interval: `0s` must be above zero"),
        (
            "\"100\", credits",
            "\"1e2\", credits",
            "pricing.plans.team.amount: `1e2` is not a decimal",
        ),
        ("\"12000\"", "\"0\"", "pricing.plans.team.amount: and credits must be above zero"),
        ("= \"100\"\n", "= \"-1\"\n", "pricing.credits_per_usdt: `-1` is below zero"),
        ("[{ blocks = 3 }]", "[{}]", "chains.ethereum.confirmations[0]: give either blocks = N"),
        (
            "[{ blocks = 3 }]",
            "[{ blocks = 3 }, { up_to = \"5\", blocks = 1 }]",
            "chains.ethereum.confirmations[1]: is never reached",
        ),
        ("sqlite:books.db", "mysql://books", "database.url: begin it with sqlite: or postgres://"),
        ("chains.ethereum", "chains.\"e t h\"", "chains.e t h: chain `e t h` must be 1 to 64"),
        (&node, "htp://node", "chains.ethereum.endpoints[0].url: the endpoint's url begins with"),
        (&node, "node", "chains.ethereum.endpoints[0].url: the endpoint's url is not a url"),
        ("poll_interval = \"200ms\"", "start = \"now\"", "chains.ethereum.start: `now` must be"),
        ("poll_interval = \"200ms\"", "max_reorg = 0", "chains.ethereum.max_reorg: must be 1 to"),
    ] {
        let said = said(&counter, from, to).await;
        assert!(said.starts_with("bursar.toml: ") && said.contains(line), "{to}: {said}");
    }
    counter.write("[database]\n");
    let said = counter.refused(&["order", "list"]).await;
    assert_eq!(said, "bursar.toml: chains: no chain is configured; write [chains.ethereum]");
    counter.write("[database\n");
    let said = counter.refused(&["order", "list"]).await;
    assert!(said.starts_with("bursar.toml: line 1: "), "{said}");
}

#[tokio::test]
async fn a_typo_in_the_token_is_pointed_at() {
    let counter = Counter::open().await;
    let token = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
    let typo = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee";
    let said = said(&counter, token, typo).await;
    let why = format!("the checksum of `{typo}` does not fit: look at character 42, `e`");
    assert_eq!(said, format!("bursar.toml: chains.ethereum.token: {why}"));
}

#[tokio::test]
async fn a_config_that_is_not_there_says_how_to_get_one() {
    let counter = Counter::bare().await;
    for arguments in [["--config", "other.toml", "check"], ["--config", "other.toml", "migrate"]] {
        let said = counter.refused(&arguments).await;
        assert!(said.starts_with("other.toml: cannot read it"), "{said}");
        assert!(said.ends_with("`bursar init` writes one to start from"), "{said}");
    }
}

#[tokio::test]
async fn private_keys_are_refused_and_not_repeated() {
    let counter = Counter::open().await;
    let xprv = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
    let phrase = "test test test test test test test test test test test junk";
    let raw = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    for (secret, trace, why) in [
        (xprv, "QTDL4", "this is a private key (xprv)"),
        (phrase, "junk", "this is a seed phrase"),
        (raw, "ac0974", "this looks like a raw private key"),
        ("zpub6", "zpub6", "this is not an extended public key"),
    ] {
        counter.write_with(XPUB, secret);
        for level in ["info", "trace"] {
            let said = counter.run_with(&["order", "list"], &[("BURSAR_LOG", level)]).await;
            assert_eq!(said.code, 2);
            assert!(said.err.starts_with("bursar: bursar.toml: "), "{}", said.err);
            assert!(said.err.contains(why), "{}", said.err);
            assert!(!said.err.contains(trace) && !said.out.contains(trace), "{}", said.err);
        }
        // As a file of its own it is no better.
        std::fs::write(counter.path("account"), secret).expect("written");
        counter.write_with(&format!("xpub = \"{XPUB}\""), "xpub_file = \"account\"");
        let said = counter.run(&["check"]).await;
        assert!(said.code == 2 && said.err.contains(why) && !said.err.contains(trace), "{said:?}");
        std::fs::remove_file(counter.path("account")).expect("removed");
    }
    // Where something else is meant, a key is not repeated either.
    for field in ["token = \"0xdAC17F958D2ee523a2206206994597C13D831ec7\"", "\"sqlite:books.db\""] {
        let name = field.split_once(" = ").map_or(String::new(), |(name, _)| format!("{name} = "));
        let said = said(&counter, field, &format!("{name}\"{xprv}\"")).await;
        assert!(!said.contains("QTDL4"), "{said}");
    }
}

#[tokio::test]
async fn a_secret_file_that_cannot_be_read_is_named() {
    let counter = Counter::open().await;
    std::fs::write(counter.path("empty"), " \n").expect("written");
    let xpub = format!("xpub = \"{XPUB}\"");
    let field = "bursar.toml: chains.ethereum.addresses.xpub_file: ";
    for (file, why) in
        [("absent", "cannot read absent: "), (".", "is not a small file"), ("empty", "is empty")]
    {
        let said = said(&counter, &xpub, &format!("xpub_file = \"{file}\"")).await;
        assert!(said.starts_with(field) && said.contains(why), "{said}");
    }
    let url = format!("url = \"{}/v3/{KEY}\"", counter.node.http_url());
    for (from, field) in [
        (url.as_str(), "chains.ethereum.endpoints[0].url_file"),
        ("url = \"sqlite:books.db\"", "database.url_file"),
    ] {
        let said = said(&counter, from, "url_file = \"absent\"").await;
        assert!(said.starts_with(&format!("bursar.toml: {field}: cannot read absent: ")), "{said}");
    }
    let both = format!("{xpub}\nxpub_file = \"empty\"");
    assert!(said(&counter, &xpub, &both).await.ends_with("not both"));
}

#[tokio::test]
async fn a_node_that_is_not_what_the_config_says_is_refused() {
    let counter = Counter::open().await;
    let asked = create("A-1", &["--amount", "100"]);
    let other = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    for (from, to, why) in [
        ("chain_id = 1", "chain_id = 56", "endpoint node is on chain 1, not on 56".to_owned()),
        ("decimals = 6", "decimals = 18", "says the token has 6 decimals, not 18".to_owned()),
        (
            "0xdAC17F958D2ee523a2206206994597C13D831ec7",
            other,
            format!("endpoint node has no contract at {other}"),
        ),
    ] {
        counter.write_with(from, to);
        let said = counter.refused(&asked).await;
        assert!(said.starts_with("chain `ethereum`: ") && said.contains(&why), "{said}");
        let said = counter.run(&["run"]).await;
        let last = said.err.lines().last().unwrap_or_default();
        assert!(said.code == 2 && last.contains(&why), "{said:?}");
    }
    counter.write(&counter.config());
    counter.node.fault(Fault::WrongChainId(137));
    assert!(counter.refused(&asked).await.contains("is on chain 137, not on 1"));
}

/// Once the books are begun, a config that means another token is refused without a node.
#[tokio::test]
async fn books_stay_with_the_token_they_were_begun_with() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    let asked = create("A-2", &["--amount", "100"]);
    let token = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
    let other = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    for (from, to, why) in [
        (token, other, "chains.ethereum.token: is 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed, the"),
        ("chain_id = 1", "chain_id = 56", "chains.ethereum.chain_id: is 56, the books were begun"),
        ("decimals = 6", "decimals = 8", "chains.ethereum.decimals: is 8, the books were begun"),
    ] {
        counter.write_with(from, to);
        let said = counter.refused(&asked).await;
        assert!(said.starts_with(why), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_is_none_is_named_at_once() {
    let counter = Counter::bare().await;
    let letter = "a letter to the bank\n".repeat(100);
    std::fs::write(counter.path("letter.txt"), letter).expect("written");
    counter.write_with("sqlite:books.db", "sqlite:letter.txt");
    for arguments in [&["order", "list"][..], &["migrate"], &["run"]] {
        let said = counter.refused(arguments).await;
        let why = "database: the file of the books is not an SQLite database: ";
        assert!(said.starts_with(why), "{said}");
    }
    for url in ["postgres://u:SEC/RET@localhost/books", "postgres://u:SECRET@localhost:http/books"]
    {
        let said = said(&counter, "sqlite:books.db", url).await;
        assert!(said.starts_with("database: the database URL cannot be read: "), "{said}");
        assert!(!said.contains("SEC"), "{said}");
    }
}

#[tokio::test]
async fn books_of_another_version_are_left_alone() {
    let counter = Counter::open().await;
    counter.tamper("INSERT INTO migrations VALUES (9999, 'of the future', 'x')").await;
    let newest = store::newest_schema();
    let newer = format!("database: the books have schema 9999, this program knows {newest}");
    for arguments in [&["order", "list"][..], &["migrate"], &["run"], &["ledger", "verify"]] {
        assert_eq!(counter.refused(arguments).await, newer);
    }
    let bare = Counter::bare().await;
    for arguments in [&["order", "list"][..], &["run"], &["explain", "A-1"]] {
        let said = bare.refused(arguments).await;
        assert!(said.starts_with("database: ") && said.ends_with("run `bursar migrate`"), "{said}");
    }
}
