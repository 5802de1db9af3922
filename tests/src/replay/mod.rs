//! What a node once said, played again through everything that is shipped.
//!
//! In: `fixtures/erc20/<scenario>/script.txt` and its tapes, and TRON's twins in `trc20/`. Out:
//! prose, held against `expected.txt`. Never: a node, unless `RECORD` asks for new tapes.
//! Why: `fixtures/README.md`; it says how to read, change and record them.

mod behind;
mod java_tron;
mod node;
mod prose;
mod script;
mod stage;
mod trc20;
mod tron;

use std::path::Path;

use behind::Kind;

/// A test for each scenario of a kind of chain, and the list of them.
macro_rules! scenarios {
    ($kind:expr; $($name:ident),+ $(,)?) => {
        const SCENARIOS: &[&str] = &[$(stringify!($name)),+];
        $(#[tokio::test]
        async fn $name() {
            $crate::replay::scenario($kind, stringify!($name)).await;
        })+
    };
}
pub(crate) use scenarios;

scenarios!(
    Kind::Evm;
    exact,
    together,
    fee,
    nothing,
    underpaid,
    over,
    duplicate,
    cancelled,
    top_up,
    large,
    strangers,
    reorg_before,
    reorg_gone,
    reorg_after_credit,
    reorg_below_final,
    tip_back,
    down,
    first_order,
    crash,
    lookalike,
    lookalike_flood,
    ceiling,
    split,
    dust,
    late,
    hidden_reorg,
    adopted,
    too_deep,
    sweep,
    outflow_unexplained,
    token_paused,
    token_deprecated,
    fee_switched_on,
    blacklisted,
);

async fn scenario(kind: Kind, name: &str) {
    let folder = kind.fixtures().join(name);
    let script = read(&folder.join("script.txt"));
    if std::env::var_os("RECORD").is_some() && kind != Kind::JavaTron {
        let seen = stage::record(kind, &script, &folder).await;
        let replayed = stage::replay(kind, &script, &folder).await;
        assert_eq!(replayed, seen, "a replay tells what was seen");
    }
    compare(&folder.join("expected.txt"), &stage::replay(kind, &script, &folder).await);
}

/// Holds prose against a file, or writes it where `UPDATE_EXPECT` says so.
fn compare(path: &Path, prose: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, prose).expect("the fixture is written");
        return;
    }
    let expected = read(path);
    let lines = (1..).zip(expected.lines().zip(prose.lines()));
    let first = lines.clone().find(|(_, (expected, found))| expected != found);
    assert_eq!(
        prose,
        expected,
        "{}: line {} is the first that differs; UPDATE_EXPECT=1 rewrites it",
        path.display(),
        first.map_or(lines.count() + 1, |(at, _)| at),
    );
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// No folder beside the scenarios that are played.
fn assert_all_played(kind: Kind, played: &[&str]) {
    let folders = std::fs::read_dir(kind.fixtures()).expect("fixtures");
    for folder in folders {
        let name = folder.expect("a folder").file_name().into_string().expect("a plain name");
        assert!(played.contains(&name.as_str()), "{name} is played by no test");
    }
}

/// The node of today says what the tape says.
async fn assert_recorded_the_same(kind: Kind, name: &str) {
    let fixture = kind.fixtures().join(name);
    let folder = tempfile::tempdir().expect("a scratch folder");
    let script = read(&fixture.join("script.txt"));
    let seen = stage::record(kind, &script, folder.path()).await;
    assert_eq!(seen, read(&fixture.join("expected.txt")));
    assert_eq!(stage::replay(kind, &script, folder.path()).await, seen);
}

#[test]
fn every_fixture_is_played() {
    assert_all_played(Kind::Evm, SCENARIOS);
}

#[tokio::test]
async fn a_fresh_recording_tells_the_same() {
    assert_recorded_the_same(Kind::Evm, "exact").await;
}
