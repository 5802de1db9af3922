//! The README's transcripts, run again and compared line by line.
//!
//! In: README.md. Out: the same words from the real binary; a line `…` stands for any lines, a
//! command that ends in `&` goes on behind the others.
//! Never: a transcript that was true once. Why: it is the first thing anybody reads.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::binary;

/// The commands of each `console` block, each with the lines it is said to print.
fn transcripts(readme: &str) -> Vec<Vec<(String, Vec<String>)>> {
    let blocks = readme.split("```console\n").skip(1);
    blocks.map(|block| commands(block.split("\n```").next().expect("it ends"))).collect()
}

fn commands(block: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ bursar ") {
            commands.push((command.to_owned(), Vec::new()));
        } else {
            let (_, lines) = commands.last_mut().expect("it begins with a command");
            lines.push(line.to_owned());
        }
    }
    commands
}

/// Whether `found` is what `told` says, `…` standing for any lines.
fn is_told(told: &[String], found: &[&str]) -> bool {
    match told.split_first() {
        None => found.is_empty(),
        Some((gap, rest)) if gap == "…" => {
            (0..=found.len()).any(|skipped| is_told(rest, &found[skipped..]))
        }
        Some((line, rest)) => {
            found.split_first().is_some_and(|(first, left)| first == line && is_told(rest, left))
        }
    }
}

/// A command that goes on while others are typed. It ends with the transcript.
struct Behind(Child);

impl Drop for Behind {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Behind {
    /// Starts it; what it has said until it says `last`.
    fn start(folder: &Path, arguments: &[&str], last: &str) -> (Self, String) {
        let mut command = binary::command(folder);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("bursar runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let behind = Self(child);
        let mut said = String::new();
        for line in lines.map(|line| line.expect("text")) {
            said.push_str(&line);
            said.push('\n');
            if line == last {
                break;
            }
        }
        (behind, said)
    }
}

#[test]
fn the_transcripts_are_true() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("there is a README");
    let transcripts = transcripts(&readme);
    assert!(transcripts.len() >= 2, "the transcripts were not found");
    for commands in transcripts {
        assert!(commands.len() >= 3, "a transcript is short: {commands:?}");
        let folder = tempfile::tempdir().expect("a folder");
        let mut behind = Vec::new();
        for (command, told) in commands {
            let (line, goes_on) =
                command.strip_suffix(" &").map_or((command.as_str(), false), |line| (line, true));
            let arguments: Vec<&str> = line.split_whitespace().collect();
            let found = if goes_on {
                let last = told.last().expect("it says something");
                let (child, said) = Behind::start(folder.path(), &arguments, last);
                behind.push(child);
                said
            } else {
                ended(folder.path(), &arguments)
            };
            let found: Vec<&str> = found.lines().collect();
            assert!(is_told(&told, &found), "bursar {command} prints now:\n{}", found.join("\n"));
        }
    }
}

/// What a command printed, and the one line that it failed with.
fn ended(folder: &Path, arguments: &[&str]) -> String {
    let output = binary::run(folder, arguments);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let (out, said) = (text(output.stdout), text(output.stderr));
    let failed = said.lines().filter(|line| line.starts_with("bursar: "));
    let failed: Vec<&str> = failed.collect();
    assert_eq!(output.status.success(), failed.is_empty(), "bursar {arguments:?}: {said}");
    format!("{out}{}", failed.concat())
}

#[test]
fn a_changed_line_is_noticed() {
    let told = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_told(&told("…\nb\n…"), &["a", "b", "c"]));
    assert!(!is_told(&told("…\nb\n…"), &["a", "c"]));
    assert!(!is_told(&told("a"), &["a", "b"]));
    let block = "```console\n$ bursar demo\na\n$ bursar b\n```\n";
    let wanted = vec![("demo".to_owned(), told("a")), ("b".to_owned(), told(""))];
    assert_eq!(transcripts(&format!("x\n{block}y\n{block}")), [wanted.clone(), wanted]);
}
