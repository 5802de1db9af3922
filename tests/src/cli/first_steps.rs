//! From nothing to a running daemon: help, demo, init, check, migrate, run, record.

use lab::evm::Fault;
use lab::tape::{Player, Tape};
use serde_json::Value;

use super::counter::{Counter, KEY, Running, XPUB, create, follow};
use crate::binary;

#[tokio::test]
async fn help_says_what_each_command_does() {
    let counter = Counter::bare().await;
    let help = counter.good(&["--help"]).await;
    let expected = include_str!("help.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/help.txt");
        std::fs::write(path, &help).expect("written");
    } else {
        assert_eq!(help, expected, "UPDATE_EXPECT=1 rewrites help.txt");
    }
    for (command, words) in [
        (&["demo"][..], "no config, no network"),
        (&["init"], "commented bursar.toml"),
        (&["check"], "say what is wrong"),
        (&["migrate"], "schema"),
        (&["run"], "SIGTERM"),
        (&["order"], "cancel"),
        (&["order", "create"], "Examples:"),
        (&["order", "show"], "deposits, cases and ledger entries"),
        (&["order", "list"], "oldest first"),
        (&["order", "cancel"], "late window"),
        (&["address", "import"], "one a line"),
        (&["ledger", "balance"], "every account holds"),
        (&["ledger", "entries"], "oldest first"),
        (&["ledger", "verify"], "exit 1 where they do not"),
        (&["ledger", "export"], "hledger or beancount"),
        (&["reconcile", "verify"], "exit 4 where they do not"),
        (&["reconcile", "proof", "make"], "head of the log"),
        (&["reconcile", "proof", "verify"], "against the books"),
        (&["explain"], "whole story"),
        (&["rescan"], "record what was missed"),
        (&["record"], "tests can replay"),
    ] {
        let help = counter.good(&[command, &["--help"]].concat()).await;
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{command:?}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{command:?}: {help}");
    }
    let version = counter.good(&["--version"]).await;
    assert_eq!(version, format!("bursar {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn what_cannot_be_parsed_is_one_line_too() {
    let counter = Counter::open().await;
    for (arguments, words) in [
        (&["pay"][..], "pay"),
        (&["order", "make"], "make"),
        (&["--jsn", "check"], "--jsn"),
        (&["order", "create"], "--id <ID>"),
        (&["rescan", "--chain=ethereum"], "--from <HEIGHT>"),
        (&["rescan", "--chain=ethereum", "--from=1"], "--to <HEIGHT>"),
        (&["rescan", "--chain=ethereum", "--from=x", "--to=2"], "--from"),
        (&["record", "--chain=ethereum", "--out=x", "--blocks=0"], "--blocks"),
        (&["explain"], "<TERM>"),
    ] {
        let said = counter.refused(arguments).await;
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn init_writes_a_config_that_works_once_it_is_filled_in() {
    let counter = Counter::bare().await;
    let fresh = ["--config", "fresh.toml"];
    let said = counter.good(&[&fresh[..], &["init"]].concat()).await;
    assert!(said.starts_with("Wrote fresh.toml. Fill in, for each chain:"), "{said}");
    let template = std::fs::read_to_string(counter.path("fresh.toml")).expect("the template");
    let said = counter.refused(&[&fresh[..], &["init"]].concat()).await;
    assert_eq!(said, "fresh.toml: exists; --force overwrites it");
    let said = counter.refused(&[&fresh[..], &["check"]].concat()).await;
    assert!(said.starts_with("fresh.toml: chains.ethereum."), "{said}");
    let filled = template.replacen("FILL IN", XPUB, 1);
    let filled = filled.replacen("FILL IN", &format!("{}/{KEY}", counter.node.http_url()), 1);
    assert!(!filled.lines().any(|line| !line.starts_with('#') && line.contains("FILL IN")));
    std::fs::write(counter.path("fresh.toml"), &filled).expect("written");
    counter.good(&[&fresh[..], &["migrate"]].concat()).await;
    let checks = counter.json(&[&fresh[..], &["check"]].concat()).await;
    assert!(all(&checks).iter().all(|(_, good, _)| *good), "{checks}");
    // And once its second part is: a chain of another kind.
    let chain = lab::tron::Chain::new(lab::tron::ChainSpec::tron());
    chain.mine_empty(30);
    let node = lab::tron::Node::start_grid(chain).await.expect("a port");
    let (first, second) = filled.split_once("# ---- TRON").expect("the second part");
    let second: Vec<&str> =
        second.lines().skip(1).map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    let second = second.join("\n").replacen("FILL IN", crate::live::shop::KNOWN, 1);
    let second = second.replace("https://api.trongrid.io", &node.url());
    std::fs::write(counter.path("trongrid.key"), "0123456789\n").expect("written");
    std::fs::write(counter.path("fresh.toml"), format!("{first}\n{second}\n")).expect("written");
    let checks = counter.json(&[&fresh[..], &["check"]].concat()).await;
    let checks = all(&checks);
    assert!(checks.iter().all(|(_, good, _)| *good), "{checks:?}");
    // 8,640 polls of three questions, 28,800 infos; and all of it once more to compare it.
    let said = |checks: &[(&str, bool, &str)], key: &str| {
        let budget = checks.iter().find(|(what, ..)| *what == format!("tron {key} budget"));
        budget.and_then(|(_, _, text)| text.split(' ').next().map(str::to_owned))
    };
    assert_eq!(said(&checks, "trongrid").as_deref(), Some("84960"), "{checks:?}");
    // Not where that is never done; and a second key is another way to the same server.
    let spare = second.split_once("[[chains.tron.endpoints]]").expect("an endpoint").1;
    let spare = spare.replace("\"trongrid\"", "\"spare\"");
    let two = format!("{first}\n{second}\n[[chains.tron.endpoints]]{spare}\n");
    for (text, each) in [
        (two.clone(), ["84960", "17280"]),
        (two.replace("every = \"1h\"", "every = \"never\""), ["54720", "17280"]),
    ] {
        std::fs::write(counter.path("fresh.toml"), text).expect("written");
        let checks = counter.json(&[&fresh[..], &["check"]].concat()).await;
        let checks = all(&checks);
        let found = ["trongrid", "spare"].map(|key| said(&checks, key));
        assert_eq!(found, each.map(|count| Some(count.to_owned())), "{checks:?}");
    }
    counter.good(&[&fresh[..], &["init", "--force"]].concat()).await;
    let again = std::fs::read_to_string(counter.path("fresh.toml")).expect("the template");
    assert_eq!(again, template);
}

#[tokio::test]
async fn check_tells_everything_that_is_wrong_at_once() {
    let counter = Counter::bare().await;
    let url = counter.node.http_url();
    let more = format!(
        "{}\n[[chains.ethereum.endpoints]]\nname = \"gone\"\nurl = \"http://127.0.0.1:1/{KEY}\"\n",
        counter.config().replace("decimals = 6", "decimals = 18")
    );
    counter.write(&more);
    let said = counter.run(&["--json", "check"]).await;
    let checks: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, said.err.as_str()), (2, "bursar: 3 things are wrong\n"), "{checks:#}");
    let wrong: Vec<_> = all(&checks).into_iter().filter(|(_, good, _)| !good).collect();
    let what: Vec<&str> = wrong.iter().map(|(what, ..)| *what).collect();
    assert_eq!(what, ["database", "ethereum node", "ethereum gone"], "{checks}");
    assert!(wrong[0].2.contains("run `bursar migrate`"), "{checks}");
    assert!(wrong[1].2.starts_with(&format!("{url}/…: ")) && wrong[1].2.contains("18"), "{checks}");
    assert!(wrong[2].2.starts_with("http://127.0.0.1:1/…: "), "{checks}");
    let text = counter.run(&["check"]).await;
    assert_eq!(text.out.matches("WRONG").count(), 3, "{}", text.out);
    counter.write(&counter.config());
    counter.good(&["migrate"]).await;
    let checks = counter.json(&["check"]).await;
    assert!(all(&checks).iter().all(|(_, good, _)| *good), "{checks}");
    // Another account than the orders were made with.
    counter.order("A-1").await;
    let other = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
    counter.write_with(XPUB, other);
    let said = counter.run(&["check"]).await;
    assert!(said.code == 2 && said.out.contains("this xpub gives another address"), "{said:?}");
    let said = counter.run(&["run"]).await;
    assert!(said.code == 2 && said.err.contains("this xpub gives another address"), "{said:?}");
    let said = counter.refused(&create("A-2", &["--amount=5"])).await;
    assert!(said.contains("belongs to account"), "{said}");
}

fn all(checks: &Value) -> Vec<(&str, bool, &str)> {
    let text = |value: &'_ Value| value.as_str().map(str::len).is_some();
    let checks = checks["checks"].as_array().expect("a list").iter();
    checks
        .map(|check| {
            assert!(text(&check["what"]) && text(&check["text"]), "{check}");
            let words = |name: &str| check[name].as_str().unwrap_or_default();
            (words("what"), check["good"] == true, words("text"))
        })
        .collect()
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let counter = Counter::bare().await;
    let first = counter.json(&["migrate"]).await;
    assert_eq!(first["schema"], store::newest_schema());
    let before = counter.contents().await;
    assert_eq!(counter.json(&["migrate"]).await, first);
    assert_eq!(counter.contents().await, before);
}

#[tokio::test]
async fn the_demo_ends_well_and_leaves_books_to_look_into() {
    let counter = Counter::bare().await;
    let before = counter.contents().await;
    let told = counter.good(&["demo", "--fast"]).await;
    assert!(told.contains("every order ended as its script says"), "{told}");
    assert_eq!(counter.contents().await, before, "without --keep nothing is left");
    let told = counter.json(&["demo", "--fast", "--keep", "kept"]).await;
    assert_eq!(told["wrong"], Value::Array(vec![]));
    assert_eq!(told["orders"][0]["id"], "TEAM-1");
    let kept = ["--config", "kept/bursar.toml"];
    let order = counter.json(&[&kept[..], &["order", "show", "TEAM-1"]].concat()).await;
    assert_eq!(
        (&order["status"], &order["cases"][0]["kind"]),
        (&"paid".into(), &"duplicate".into())
    );
    let verified = counter.json(&[&kept[..], &["ledger", "verify"]].concat()).await;
    assert_eq!(verified["findings"], Value::Array(vec![]));
    let story = counter.good(&[&kept[..], &["explain", "PACK-1"]].concat()).await;
    assert!(story.contains("500"), "{story}");
    let said = counter.refused(&["demo", "--fast", "--keep", "kept"]).await;
    assert_eq!(said, "--keep: kept is not empty");
}

/// Nodes that are down are waited for; a supervisor's SIGTERM is an ending like any other.
#[tokio::test]
async fn the_daemon_waits_for_its_nodes_and_stops_when_it_is_told() {
    let counter = Counter::open().await;
    counter.node.stop().await;
    let mut daemon = Running::start(&counter, &["run"], &[]);
    daemon.hears("no node yet").await;
    counter.node.restart().await.expect("the port is free");
    daemon.hears("watching").await;
    assert_eq!(daemon.stop().await, 0);
    let heard = daemon.heard.join("\n");
    assert!(heard.contains("told to stop"), "{heard}");
}

/// A node that turns out to be another one ends the daemon: waiting cannot mend it.
#[tokio::test]
async fn the_daemon_does_not_wait_for_what_waiting_cannot_mend() {
    let counter = Counter::open().await;
    counter.node.fault(Fault::WrongChainId(5));
    let said = counter.run(&["run"]).await;
    let last = said.err.lines().last().unwrap_or_default();
    let expected = "bursar: chain `ethereum`: endpoint node is on chain 5, not on 1";
    assert_eq!((said.code, last), (2, expected));
}

#[tokio::test]
async fn a_recording_can_be_played() {
    let counter = Counter::open().await;
    let arguments =
        ["record", "--chain=ethereum", "--out=tape.jsonl", "--blocks=12", "--note=dozen"];
    let mut recording = Running::start(&counter, &arguments, &[("BURSAR_LOG", "info")]);
    // The first of the twelve is the finalized block.
    for height in 20..23 {
        recording.hears(&format!("height={height}")).await;
        counter.chain.mine_empty(1);
    }
    assert_eq!(recording.ended().await, 0, "{:?}", recording.heard);
    let text = std::fs::read_to_string(counter.path("tape.jsonl")).expect("the tape");
    assert!(!text.contains(KEY) && !text.contains(&counter.node.http_url()), "it holds the URL");
    let tape: Tape = text.parse().expect("a tape");
    assert_eq!((tape.header.chain_id, tape.header.note.as_str()), (1, "dozen"));
    let tip = counter.chain.tip();
    counter.node.stop().await;
    let player = Player::start(tape).await.expect("a port");
    let fresh = tempfile::tempdir().expect("a scratch folder");
    let config = counter.config().replace(&counter.node.http_url(), &player.http_url());
    std::fs::write(fresh.path().join("bursar.toml"), config).expect("written");
    assert!(binary::run(fresh.path(), &["migrate"]).status.success());
    // Every turn had a frame of its own.
    let mut frame = 0;
    let seen = follow(fresh.path(), |_| {
        let before = std::mem::replace(&mut frame, player.play());
        frame > before
    });
    let seen = seen.await;
    assert_eq!(player.misses(), Vec::<String>::new());
    assert_eq!((seen.height, seen.hash.to_string()), (tip.height, tip.hash.to_string()));
}

#[tokio::test]
async fn a_recording_that_is_stopped_is_kept() {
    let counter = Counter::open().await;
    let arguments = ["record", "--chain=ethereum", "--out=tape.jsonl", "--blocks=1000"];
    let mut recording = Running::start(&counter, &arguments, &[]);
    recording.hears("recorded").await;
    assert_eq!(recording.stop().await, 0, "{:?}", recording.heard);
    assert!(Tape::read(&counter.path("tape.jsonl")).is_ok());
    let said = counter.refused(&["record", "--chain=tron", "--out=x"]).await;
    assert!(said.contains("`tron` is not configured; there is ethereum"), "{said}");
    counter.write_with("http://", "ws://");
    let said = counter.refused(&["record", "--chain=ethereum", "--out=x"]).await;
    assert!(said.contains("none is http or https, which a tape needs"), "{said}");
}

#[tokio::test]
async fn bounds_that_are_none_begin_no_run() {
    let counter = Counter::open().await;
    for (bounds, why) in [
        (["--from=x", "--to=5"], "--from: `x` is neither a height nor an RFC 3339 time"),
        (["--from=1", "--to=soon"], "--to: `soon` is neither a height nor an RFC 3339 time"),
        (["--from=10", "--to=5"], "--from: height 10 is above --to, height 5"),
    ] {
        let said = counter.refused(&["reconcile", bounds[0], bounds[1]]).await;
        assert_eq!(said, why);
    }
}

#[tokio::test]
async fn every_endpoint_is_on_the_screen_with_what_is_wrong_with_it() {
    let counter = Counter::open().await;
    let endpoint = |name: &str, url: &str| {
        format!("[[chains.ethereum.endpoints]]\nname = \"{name}\"\nurl = \"{url}\"\n\n")
    };
    let first = "[[chains.ethereum.endpoints]]\nname = \"node\"";
    let more = [
        endpoint("socket", &counter.node.ws_url()),
        endpoint("third", "http://127.0.0.1:9"),
        endpoint("fourth", "http://127.0.0.1:10"),
    ];
    counter.write_with(first, &format!("{}{first}", more.concat()));
    let shown = counter.json(&["status"]).await;
    let endpoints = shown["chains"][0]["endpoints"].as_array().expect("a list").clone();
    let names: Vec<&str> = endpoints.iter().filter_map(|of| of["name"].as_str()).collect();
    assert_eq!(names, ["socket", "third", "fourth", "node"]);
    for of in &endpoints {
        let why = of["why"].as_str().unwrap_or_default();
        let is_up = matches!(of["name"].as_str(), Some("socket" | "node"));
        assert_eq!(why.to_lowercase().contains("connection refused"), !is_up, "{of}");
    }
}
