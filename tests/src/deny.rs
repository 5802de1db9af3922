//! What is built on keeps the rules of `.deny.toml`: licenses, crates that are banned, sources.
//!
//! In: what cargo would build for each of its targets, and `Cargo.lock`. Out: the offences.
//! Never: a network; advisories are `cargo deny`'s, which fetches them.
//! Why: a rule nobody checks is a wish, and a crate comes in with another one's update.

use std::collections::BTreeSet;
use std::process::Command;

use spdx::{Expression, ParseMode};
use toml::{Table, Value};

use crate::tidy::top;

/// The one source of crates, as cargo writes it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Far fewer, and something was not listed.
const LEAST: usize = 200;

#[test]
fn every_license_is_allowed_and_no_crate_is_banned() {
    let rules = rules();
    let allowed = list(&rules, "licenses", "allow");
    let banned = list(&rules, "bans", "deny");
    for target in list(&rules, "graph", "targets") {
        let built = built(&target);
        assert!(built.len() > LEAST, "{target}: {} crates", built.len());
        assert_eq!(offences(&built, &allowed, &banned), [""; 0], "{target}");
    }
}

#[test]
fn every_crate_comes_from_where_all_do() {
    let lock = std::fs::read_to_string(top().join("Cargo.lock")).expect("the lock");
    let lock: Table = toml::from_str(&lock).expect("TOML");
    let packages = lock["package"].as_array().expect("packages");
    let sources: BTreeSet<&str> =
        packages.iter().filter_map(|package| package.get("source")?.as_str()).collect();
    assert_eq!(sources, BTreeSet::from([CRATES_IO]));
}

#[test]
fn an_offence_is_found() {
    let built = ["a v1|MIT", "b v1|MIT/GPL-3.0", "c v1|MPL-2.0", "d v1|", "e v1|MIT AND ISC"];
    let built = built.map(str::to_owned);
    let (allowed, banned) = (["MIT".to_owned()], ["a".to_owned()]);
    assert_eq!(
        offences(&built, &allowed, &banned),
        ["a v1 is banned", "c v1: MPL-2.0", "d v1: no license", "e v1: MIT AND ISC"]
    );
}

/// Which of `NAME vVERSION|LICENSE` are not as they must be.
fn offences(built: &[String], allowed: &[String], banned: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for line in built {
        let (package, license) = line.split_once('|').expect("as it was asked for");
        let name = package.split(' ').next().unwrap_or_default();
        if banned.iter().any(|banned| banned == name) {
            found.push(format!("{package} is banned"));
        }
        if license.is_empty() {
            found.push(format!("{package}: no license"));
            continue;
        }
        let parsed = Expression::parse_mode(license, ParseMode::LAX).expect("an SPDX expression");
        let is_allowed = parsed.evaluate(|wanted| {
            let id = wanted.license.id();
            wanted.addition.is_none()
                && id.is_some_and(|id| allowed.iter().any(|allowed| allowed == id.name))
        });
        if !is_allowed {
            found.push(format!("{package}: {license}"));
        }
    }
    found
}

/// Every crate that is built for `target`, with its license.
fn built(target: &str) -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["tree", "--workspace", "--locked", "--edges", "normal,build,dev"]);
    command.args(["--prefix", "none", "--format", "{p}|{l}|", "--target", target]);
    let told = command.current_dir(top()).output().expect("cargo runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    // Behind the last bar cargo says that a crate was listed before.
    let lines = told.lines().filter_map(|line| line.rsplit_once('|')).map(|(line, _)| line);
    let lines: BTreeSet<&str> = lines.collect();
    lines.into_iter().map(str::to_owned).collect()
}

fn rules() -> Table {
    let text = std::fs::read_to_string(top().join(".deny.toml")).expect("the rules");
    toml::from_str(&text).expect("TOML")
}

/// The names in a list of the rules, whose entries are names or tables with a `crate`.
fn list(rules: &Table, table: &str, key: &str) -> Vec<String> {
    let entries = rules[table][key].as_array().expect("a list");
    let name = |entry: &Value| {
        let name = entry.as_str().or_else(|| entry.get("crate")?.as_str());
        name.expect("a name").to_owned()
    };
    entries.iter().map(name).collect()
}
