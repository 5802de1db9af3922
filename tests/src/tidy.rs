//! What can be told of this project from its text alone, told by a test.
//!
//! In: the files git knows of or would add. Out: a list of offences, each with its place.
//! Never: a judgement of style; rustfmt and clippy have those.
//! Why: a rule nobody checks is a wish. Each rule is a function over text; beside its run over the
//! tree stands a test that plants an offence and sees it found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines a `//!` header may have.
const HEADER_LINES: usize = 10;
/// Lines a file may have, its `#[cfg(test)]` part left out.
const FILE_LINES: usize = 600;
/// Columns a line may have. A string cannot be broken, so a line that holds one may be longer.
const COLUMNS: usize = 100;

/// Which of our crates each of our crates may depend on.
const ARROWS: [(&str, &[&str]); 10] = [
    ("payments", &[]),
    ("endpoint", &[]),
    ("erc20", &["payments", "endpoint"]),
    ("trc20", &["payments", "endpoint"]),
    ("store", &["payments"]),
    ("lab", &[]),
    ("bursar", &["payments", "erc20", "trc20", "store", "lab"]),
    ("model", &["payments"]),
    ("rules", &["payments", "model"]),
    ("tests", &["payments", "erc20", "trc20", "store", "lab", "bursar", "model"]),
];

/// What the top of the tree may hold, beside names that begin with a dot.
const TOP: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE",
    "crates",
    "migrations",
    "fixtures",
    "tests",
    "systemd",
];

/// Words the pure crate cannot contain, for what they bring in.
const IMPURE: [&str; 23] = [
    "async",
    "await",
    "chrono",
    "env",
    "eprintln",
    "f32",
    "f64",
    "fs",
    "HashMap",
    "HashSet",
    "Instant",
    "log",
    "net",
    "println",
    "process",
    "rand",
    "serde",
    "serde_json",
    "sqlx",
    "SystemTime",
    "thread",
    "tokio",
    "tracing",
];

/// Words that mean something without being impure when no `::` or `!` follows them.
const IMPURE_AS_PATH: [&str; 7] = ["env", "fs", "log", "net", "process", "rand", "thread"];

/// A word of somebody else's, and ours. Words that are right elsewhere (a byte offset, the depth of
/// a reorg, a transaction, the points of a fee) cannot be told apart by text and are not here.
struct Word {
    not: &'static str,
    but: &'static str,
    /// Paths the rule is for.
    within: &'static [&'static str],
    /// Paths where the word is somebody else's term and right.
    outside: &'static [&'static str],
    /// Names that may hold it.
    except: &'static [&'static str],
}

const ANYWHERE: &[&str] = &[""];
/// Where nobody else's names are used: a node's and a library's own words stay at the borders.
const CORE: &[&str] = &["crates/payments/", "crates/store/", "migrations/"];
/// A database rolls a transaction back and has checkpoints.
const DATABASE: &[&str] = &["crates/store/"];
/// JSON-RPC calls a message without an id a notification.
const JSON_RPC: &[&str] = &["crates/erc20/", "crates/lab/"];

const WORDS: [Word; 16] = [
    word("blockchain", "chain", ANYWHERE, &[], &[]),
    word("network", "chain", CORE, &[], &["wrong_network", "WrongNetwork"]),
    word("block_number", "height", CORE, &[], &[]),
    word("latest", "tip", CORE, &[], &[]),
    word("solidified", "finalized", CORE, &[], &[]),
    word("uncle", "orphaned", ANYWHERE, &[], &[]),
    word("rollback", "reorg", ANYWHERE, DATABASE, &[]),
    word("checkpoint", "cursor", ANYWHERE, DATABASE, &[]),
    word("invoice", "order", ANYWHERE, &[], &[]),
    word("charge", "order", ANYWHERE, &[], &[]),
    word("dispute", "case", ANYWHERE, &[], &[]),
    // `RAISE EXCEPTION` is how PL/pgSQL refuses.
    word("exception", "case", ANYWHERE, &[], &["EXCEPTION"]),
    word("drift", "discrepancy", ANYWHERE, &[], &[]),
    word("mismatch", "discrepancy", CORE, &[], &[]),
    word("notification", "event", ANYWHERE, JSON_RPC, &[]),
    word("callback", "event or delivery", ANYWHERE, &[], &[]),
];

const fn word(
    not: &'static str,
    but: &'static str,
    within: &'static [&'static str],
    outside: &'static [&'static str],
    except: &'static [&'static str],
) -> Word {
    Word { not, but, within, outside, except }
}

/// Suffixes that name no thing.
const EMPTY_SUFFIXES: [&str; 4] = ["Manager", "Service", "Handler", "Util"];

/// Where one developer's machine, or the shop its packages came from, shows. Each is written in two
/// pieces, so that this file does not hold it.
const PLACES: [&str; 14] = [
    concat!("/", "work/main"),
    concat!("/", "work/shared"),
    concat!("/", "root/"),
    concat!("/", "home/"),
    concat!("/", "Users/"),
    concat!("/", "tmp/h/"),
    concat!("registry", ".npmjs.org"),
    concat!("registry", ".yarnpkg.com"),
    concat!("index", ".crates.io"),
    concat!("static", ".crates.io"),
    concat!("pypi", ".org"),
    concat!("files", ".pythonhosted.org"),
    concat!("repo", ".maven.apache.org"),
    concat!("proxy", ".golang.org"),
];

/// An arrow in a manifest that `ARROWS` does not have.
fn arrows(name: &str, manifest: &str) -> Vec<String> {
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name}: a crate the arrows do not know")];
    };
    dependencies(manifest)
        .into_iter()
        .filter(|to| ARROWS.iter().any(|(ours, _)| ours == to) && !allowed.contains(&to.as_str()))
        .map(|to| format!("{name} -> {to}: not an allowed arrow"))
        .collect()
}

/// The names of all dependencies of a manifest: of the crate, its tests, its build, its targets.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    fn collect(table: &toml::Table, names: &mut BTreeSet<String>) {
        for (key, value) in table {
            let Some(inner) = value.as_table() else { continue };
            if key.ends_with("dependencies") {
                let name = |(name, entry): (&String, &toml::Value)| {
                    entry.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
                };
                names.extend(inner.iter().map(name));
            } else if key != "workspace" {
                collect(inner, names);
            }
        }
    }
    let mut names = BTreeSet::new();
    collect(&manifest.parse().expect("a manifest is TOML"), &mut names);
    names
}

/// A word in the pure crate that brings in what it must not have.
fn impurities(text: &str) -> Vec<String> {
    let code = code(text);
    let offends = |word: &Identifier<'_>| {
        IMPURE.contains(&word.name)
            && (!IMPURE_AS_PATH.contains(&word.name) || word.rest.starts_with("::"))
    };
    let tell = |word: Identifier<'_>| format!("{}: `{}` in the pure crate", word.line, word.name);
    identifiers(&code).filter(offends).map(tell).collect()
}

/// A missing or too long header.
fn header(text: &str) -> Option<String> {
    match text.lines().take_while(|line| line.starts_with("//!")).count() {
        0 => Some("1: no `//!` header".to_owned()),
        lines if lines > HEADER_LINES => {
            Some(format!("1: a header of {lines} lines; {HEADER_LINES} are the most"))
        }
        _ => None,
    }
}

/// A file that is too long without its tests.
fn length(text: &str) -> Option<String> {
    let mut lines = text.lines().peekable();
    let mut counted = 0_usize;
    while let Some(line) = lines.next() {
        let of_tests = line == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if of_tests {
            lines.find(|line| *line == "}");
        } else {
            counted += 1;
        }
    }
    (counted > FILE_LINES)
        .then(|| format!("{counted} lines without tests; {FILE_LINES} are the most"))
}

/// Lines that are too wide.
fn widths(text: &str) -> Vec<String> {
    let wide = |line: &str| line.chars().count() > COLUMNS && !line.contains('"');
    let lines = (1..).zip(text.lines()).filter(|(_, line)| wide(line));
    lines.map(|(at, _)| format!("{at}: wider than {COLUMNS} columns")).collect()
}

/// Words of this file that are not ours, and names that say nothing.
fn words(path: &str, text: &str) -> Vec<String> {
    let code = if path.ends_with(".sql") { sql(text) } else { code(text) };
    let mut offences = Vec::new();
    for word in identifiers(&code) {
        let parts = parts(word.name);
        for banned in &WORDS {
            let here = starts_with_any(path, banned.within)
                && !starts_with_any(path, banned.outside)
                && !banned.except.contains(&word.name);
            if here && contains_in_order(&parts, banned.not) {
                let (line, name, Word { not, but, .. }) = (word.line, word.name, banned);
                offences.push(format!("{line}: `{name}`: we say {but}, not {not}"));
            }
        }
        if word.before == "fn" && word.name.starts_with("get_") {
            offences.push(format!("{}: `{}`: no `get_`", word.line, word.name));
        }
        let is_type = ["struct", "enum", "trait", "type"].contains(&word.before);
        if is_type && EMPTY_SUFFIXES.iter().any(|suffix| word.name.ends_with(suffix)) {
            offences.push(format!("{}: `{}`: a name that says nothing", word.line, word.name));
        }
    }
    offences
}

/// Files beside `home` whose code names the crate `package`.
fn outside_of(home: &str, package: &str, files: &[File]) -> Vec<String> {
    let names_it = |file: &&File| {
        let code = code(&file.text);
        identifiers(&code).any(|word| word.name == package && word.rest.starts_with("::"))
    };
    let elsewhere = files.iter().filter(|file| is_rust(file) && file.path != home);
    elsewhere.filter(names_it).map(|file| format!("{}: uses {package}", file.path)).collect()
}

/// A migration that one database has and the other has not.
fn unpaired(sqlite: &BTreeSet<&str>, postgres: &BTreeSet<&str>) -> Vec<String> {
    sqlite.symmetric_difference(postgres).map(|name| format!("{name}: only one has it")).collect()
}

/// Names at the top of the tree that do not belong there.
fn strangers<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    paths
        .map(|path| path.split_once('/').map_or(path, |(top, _)| top))
        .filter(|top| !top.starts_with('.') && !TOP.contains(top))
        .collect()
}

/// Lines that show where a file was made.
fn places(text: &str) -> Vec<String> {
    let found = (1..).zip(text.lines()).flat_map(|(at, line)| {
        PLACES.iter().filter(move |place| line.contains(**place)).map(move |place| (at, place))
    });
    found.map(|(at, place)| format!("{at}: {place}")).collect()
}

/// A name in code.
#[derive(Debug)]
struct Identifier<'a> {
    /// Counted from 1.
    line: usize,
    name: &'a str,
    /// The word before it, if only spaces lie between, or nothing.
    before: &'a str,
    /// All that follows it.
    rest: &'a str,
}

/// Every name and keyword, in order.
fn identifiers(code: &str) -> impl Iterator<Item = Identifier<'_>> {
    let inside = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut at = 0;
    let mut line = 1;
    let mut before = "";
    std::iter::from_fn(move || {
        let start = at + code[at..].find(inside)?;
        let gap = &code[at..start];
        let end =
            code[start..].find(|letter| !inside(letter)).map_or(code.len(), |len| start + len);
        line += gap.matches('\n').count();
        let before_it = if gap.trim().is_empty() { before } else { "" };
        let name = &code[start..end];
        (at, before) = (end, name);
        Some(Identifier { line, name, before: before_it, rest: &code[end..] })
    })
}

/// The words a name is made of, in lower case: `lastHTTPCode_1` is last, http, code, 1.
fn parts(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut parts = vec![String::new()];
    for (at, &letter) in letters.iter().enumerate() {
        let after_small = at > 0 && !letters[at - 1].is_uppercase();
        let before_small = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter == '_' || (letter.is_uppercase() && (after_small || before_small)) {
            parts.push(String::new());
        }
        if letter != '_' {
            let last = parts.last_mut().expect("never empty");
            last.extend(letter.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether the parts hold those of `word`, or their plural, one after the other.
fn contains_in_order(found: &[String], word: &str) -> bool {
    let sought: Vec<&str> = word.split('_').collect();
    let same = |(found, sought): (&String, &&str)| {
        found == sought || found.strip_suffix('s') == Some(sought)
    };
    found.windows(sought.len()).any(|window| window.iter().zip(&sought).all(same))
}

/// Rust without its comments, strings and characters; each line keeps its number.
fn code(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let in_word = kept.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let (skipped, len) = match aside(rest, in_word) {
            Some(len) => (true, len),
            None => (false, letter.len_utf8()),
        };
        let (taken, left) = rest.split_at(len);
        if skipped {
            kept.push(' ');
            kept.extend(taken.chars().filter(|letter| *letter == '\n'));
        } else {
            kept.push_str(taken);
        }
        rest = left;
    }
    kept
}

/// The length of the comment, string or character that `text` begins with.
fn aside(text: &str, in_word: bool) -> Option<usize> {
    let line = text.starts_with("//").then(|| text.find('\n').unwrap_or(text.len()));
    let block = || text.starts_with("/*").then(|| block_comment(text));
    let raw = || if in_word { None } else { raw_string(text) };
    let string = || text.starts_with('"').then(|| quoted(text, '"'));
    let character = || {
        let mut letters = text.strip_prefix('\'')?.chars();
        let (first, second) = (letters.next()?, letters.next()?);
        (first == '\\' || second == '\'').then(|| quoted(text, '\''))
    };
    line.or_else(block).or_else(raw).or_else(string).or_else(character)
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let (deeper, len) = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth + 1, 2),
            [b'*', b'/', ..] => (depth - 1, 2),
            _ => (depth, 1),
        };
        (depth, at) = (deeper, at + len);
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_string(text: &str) -> Option<usize> {
    let marks = ["r", "br", "cr"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let inside = marks.trim_start_matches('#');
    let hashes = marks.len() - inside.len();
    let inside = inside.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let len = inside.find(&end).map_or(inside.len(), |len| len + end.len());
    Some(text.len() - inside.len() + len)
}

fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, letter)| {
        let closes = *letter == mark && !escaped;
        escaped = *letter == '\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// SQL without its comments.
fn sql(text: &str) -> String {
    let kept = |line: &str| line.split_once("--").map_or(line, |(code, _)| code).to_owned();
    text.lines().map(kept).collect::<Vec<_>>().join("\n")
}

fn starts_with_any(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

/// One file of the tree; bytes that are not UTF-8 are replaced.
#[derive(Debug)]
struct File {
    /// From the top of the tree, with `/`.
    path: String,
    text: String,
}

fn is_rust(file: &File) -> bool {
    file.path.ends_with(".rs")
}

pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file git knows of, or would add.
fn tree() -> Vec<File> {
    let list = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(top())
        .output()
        .expect("git runs");
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let names = String::from_utf8(list.stdout).expect("paths are UTF-8");
    let names: BTreeSet<&str> = names.split_terminator('\0').collect();
    let read = |path: &str| {
        let bytes = std::fs::read(top().join(path)).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(File { path: path.to_owned(), text })
    };
    let files: Vec<File> = names.into_iter().filter_map(read).collect();
    assert!(files.iter().any(is_rust), "git lists no Rust file");
    files
}

/// Runs one rule over the files, and fails with every offence it finds.
fn check<I: IntoIterator<Item = String>>(
    files: &[File],
    applies: impl Fn(&File) -> bool,
    rule: impl Fn(&File) -> I,
) {
    let place = |file: &File, offence: String| format!("{}:{offence}", file.path);
    let chosen = files.iter().filter(|file| applies(file));
    let offences: Vec<String> = chosen
        .flat_map(|file| {
            rule(file).into_iter().map(|offence| place(file, offence)).collect::<Vec<_>>()
        })
        .collect();
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_depend_on_each_other_as_drawn() {
        let mut found = BTreeMap::new();
        for file in tree() {
            let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { continue };
            let name = folder.rsplit('/').next().unwrap_or(folder).to_owned();
            found.insert(name.clone(), arrows(&name, &file.text));
        }
        let offences: Vec<_> = found.values().flatten().collect();
        assert!(offences.is_empty(), "{offences:#?}");
        let known: BTreeSet<_> = ARROWS.iter().map(|(name, _)| *name).collect();
        assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
    }

    #[test]
    fn a_forbidden_arrow_is_found_however_it_is_written() {
        let plain = "[dependencies]\npayments.workspace = true\nstore.workspace = true";
        assert_eq!(arrows("erc20", plain), ["erc20 -> store: not an allowed arrow"]);
        let dev = "[dev-dependencies]\nlab = { path = '../lab' }";
        assert_eq!(arrows("erc20", dev), ["erc20 -> lab: not an allowed arrow"]);
        let target = "[target.'cfg(unix)'.build-dependencies]\nx = { package = 'payments' }";
        assert_eq!(arrows("lab", target), ["lab -> payments: not an allowed arrow"]);
        assert_eq!(arrows("bursar", plain), Vec::<String>::new());
        assert_eq!(arrows("other", ""), ["other: a crate the arrows do not know"]);
    }

    #[test]
    fn the_rules_of_being_paid_are_pure() {
        check(
            &tree(),
            |file| file.path.starts_with("crates/payments/src/"),
            |file| impurities(&file.text),
        );
        let manifest = tree().into_iter().find(|file| file.path == "crates/payments/Cargo.toml");
        let names = dependencies(&manifest.expect("the pure crate").text);
        let impure: Vec<_> = names.iter().filter(|name| IMPURE.contains(&name.as_str())).collect();
        assert!(impure.is_empty(), "{impure:?} in crates/payments/Cargo.toml");
    }

    #[test]
    fn an_impurity_is_found_and_a_mention_of_it_is_not() {
        let text = "//! No async, no serde.\nuse std::collections::HashMap;\nlet log = \"f64\";\n\
                    /* async /* f32 */ Instant */ let x = std::time::Instant::now();\n\
                    log::info!(\"\"); let process = 'a'; async fn f<'a>(x: &'a f64) {}";
        let expected = [
            "2: `HashMap` in the pure crate",
            "4: `Instant` in the pure crate",
            "5: `log` in the pure crate",
            "5: `async` in the pure crate",
            "5: `f64` in the pure crate",
        ];
        assert_eq!(impurities(text), expected);
    }

    #[test]
    fn strings_and_characters_are_not_code() {
        let text =
            r####"a "b \" c" d r#"e " f"# g br##"h "# i"## j '"' k '\'' l 'm n' o r#type"####;
        let code = code(text);
        let names: Vec<_> = identifiers(&code).map(|word| word.name).collect();
        assert_eq!(names, ["a", "d", "g", "j", "k", "l", "m", "n", "o", "r", "type"]);
    }

    #[test]
    fn every_file_opens_with_what_it_is() {
        check(&tree(), is_rust, |file| header(&file.text));
    }

    #[test]
    fn a_missing_and_a_long_header_are_found() {
        assert_eq!(header("use std::fs;\n//! Late."), Some("1: no `//!` header".to_owned()));
        assert_eq!(header(&"//! Line.\n".repeat(10)), None);
        let long = header(&"//! Line.\n".repeat(11));
        assert_eq!(long, Some("1: a header of 11 lines; 10 are the most".to_owned()));
    }

    #[test]
    fn no_file_is_too_long() {
        check(&tree(), is_rust, |file| length(&file.text));
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // x\n".repeat(900));
        assert_eq!(length(&("// x\n".repeat(600) + &tests)), None);
        let long = length(&(tests + &"// x\n".repeat(601)));
        assert_eq!(long, Some("601 lines without tests; 600 are the most".to_owned()));
    }

    #[test]
    fn no_line_is_too_wide() {
        check(&tree(), is_rust, |file| widths(&file.text));
    }

    #[test]
    fn a_wide_line_is_found() {
        let text =
            format!("\u{e9}{}\n// {}\n\"{}\"", "x".repeat(99), "x".repeat(98), "x".repeat(99));
        assert_eq!(widths(&text), ["2: wider than 100 columns"]);
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        let files = tree();
        let names = |folder: &str| -> BTreeSet<&str> {
            files.iter().filter_map(|file| file.path.strip_prefix(folder)).collect()
        };
        let (sqlite, postgres) = (names("migrations/sqlite/"), names("migrations/postgres/"));
        assert_eq!(unpaired(&sqlite, &postgres), Vec::<String>::new());
        assert!(!sqlite.is_empty(), "no migration was found");
    }

    #[test]
    fn a_migration_without_its_pair_is_found() {
        let (one, two) = (BTreeSet::from(["1.sql", "2.sql"]), BTreeSet::from(["1.sql", "3.sql"]));
        assert_eq!(unpaired(&one, &two), ["2.sql: only one has it", "3.sql: only one has it"]);
    }

    #[test]
    fn the_top_of_the_tree_holds_what_it_may() {
        let files = tree();
        let found = strangers(files.iter().map(|file| file.path.as_str()));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_stranger_at_the_top_is_found() {
        let paths = ["README.md", ".ci/run", "src/main.rs", "NOTES.md", "crates/notes/x"];
        assert_eq!(strangers(paths.into_iter()), BTreeSet::from(["NOTES.md", "src"]));
    }

    #[test]
    fn the_words_are_ours() {
        let ours = |file: &File| is_rust(file) || file.path.ends_with(".sql");
        check(&tree(), ours, |file| words(&file.path, &file.text));
    }

    #[test]
    fn words_that_are_not_ours_are_found_in_names_and_only_there() {
        let found = |path: &str, text: &str| words(path, text).join("; ");
        let text = "/// An invoice.\nlet unpaidInvoices = \"invoice\";";
        assert_eq!(
            found("crates/bursar/src/x.rs", text),
            "2: `unpaidInvoices`: we say order, not invoice"
        );
        let sql = "-- a callback\nCREATE TABLE callback_log (recharge TEXT)";
        assert_eq!(
            found("migrations/sqlite/1.sql", sql),
            "2: `callback_log`: we say event or delivery, not callback"
        );
        let core = "fn block_number(WrongNetwork: Network, header: H)";
        assert_eq!(
            found("crates/payments/src/x.rs", core),
            "1: `block_number`: we say height, not block_number; \
             1: `Network`: we say chain, not network"
        );
        assert_eq!(found("crates/erc20/src/x.rs", core), "");
        assert_eq!(
            found("crates/bursar/src/x.rs", "tx.rollback()"),
            "1: `rollback`: we say reorg, not rollback"
        );
        assert_eq!(found("crates/store/src/x.rs", "tx.rollback()"), "");
        let names = "fn get_order() {}\nstruct OrderManager;\nlet x: ServiceHandler = get_it();";
        assert_eq!(
            found("crates/bursar/src/x.rs", names),
            "1: `get_order`: no `get_`; 2: `OrderManager`: a name that says nothing"
        );
    }

    #[test]
    fn backoff_is_used_by_one_file_of_one_crate() {
        let files = tree();
        let home = "crates/bursar/src/retry.rs";
        assert_eq!(outside_of(home, "backoff", &files), Vec::<String>::new());
        let manifests = files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
        let users = manifests.filter(|file| dependencies(&file.text).contains("backoff"));
        let users: Vec<_> = users.map(|file| file.path.as_str()).collect();
        assert_eq!(users, ["crates/bursar/Cargo.toml"]);
    }

    #[test]
    fn a_second_use_of_a_crate_is_found() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = [
            file("a.rs", "use backoff::ExponentialBackoff;"),
            file("b.rs", "let backoff = 1; // backoff::x"),
            file("c.rs", "fn f(x: backoff::Error) {}"),
        ];
        assert_eq!(outside_of("a.rs", "backoff", &files), ["c.rs: uses backoff"]);
    }

    #[test]
    fn nothing_tells_on_which_machine_it_was_made() {
        check(&tree(), |_| true, |file| places(&file.text));
    }

    #[test]
    fn a_machine_path_and_a_package_shop_are_found() {
        for place in PLACES {
            assert_eq!(places(&format!("one\n\"x{place}y\"")), [format!("2: {place}")]);
        }
        assert_eq!(places("target/release/bursar and https://example.org/"), Vec::<String>::new());
    }
}
