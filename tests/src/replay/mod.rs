//! What a node once said, played again through everything that is shipped.
//!
//! In: `fixtures/erc20/<scenario>/script.txt` and its tapes. Out: prose, held against
//! `expected.txt`. Never: a node, unless `RECORD` asks for new tapes.
//! Why: `fixtures/README.md`; it says how to read, change and record them.

mod node;
mod prose;
mod script;
mod stage;

use std::path::{Path, PathBuf};

macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        const SCENARIOS: &[&str] = &[$(stringify!($name)),+];
        $(#[tokio::test]
        async fn $name() {
            scenario(stringify!($name)).await;
        })+
    };
}

scenarios!(
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
);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/erc20")
}

async fn scenario(name: &str) {
    let folder = fixtures().join(name);
    let script = read(&folder.join("script.txt"));
    if std::env::var_os("RECORD").is_some() {
        let seen = stage::record(&script, &folder).await;
        assert_eq!(stage::replay(&script, &folder).await, seen, "a replay tells what was seen");
    }
    compare(&folder.join("expected.txt"), &stage::replay(&script, &folder).await);
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

#[test]
fn every_fixture_is_played() {
    let folders = std::fs::read_dir(fixtures()).expect("fixtures");
    for folder in folders {
        let name = folder.expect("a folder").file_name().into_string().expect("a plain name");
        assert!(SCENARIOS.contains(&name.as_str()), "{name} is played by no test");
    }
}

/// The node of today says what the tape says.
#[tokio::test]
async fn a_fresh_recording_tells_the_same() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let script = read(&fixtures().join("exact/script.txt"));
    let seen = stage::record(&script, folder.path()).await;
    assert_eq!(seen, read(&fixtures().join("exact/expected.txt")));
    assert_eq!(stage::replay(&script, folder.path()).await, seen);
}
