//! The README's transcript, run again and compared line by line.
//!
//! In: README.md. Out: the same words from the real binary; a line `…` stands for any lines.
//! Never: a transcript that was true once. Why: it is the first thing anybody reads.

use std::path::Path;

use crate::binary;

/// The commands of the first `console` block, each with the lines it is said to print.
fn transcript(readme: &str) -> Vec<(String, Vec<String>)> {
    let block = readme.split("```console\n").nth(1).expect("the README has a transcript");
    let block = block.split("\n```").next().expect("the transcript ends");
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

#[test]
fn the_transcript_is_true() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("there is a README");
    let commands = transcript(&readme);
    assert!(commands.len() >= 3, "the transcript was not found");
    let folder = tempfile::tempdir().expect("a folder");
    for (command, told) in commands {
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let output = binary::run(folder.path(), &arguments);
        assert!(output.status.success(), "bursar {command}: {output:?}");
        let found = String::from_utf8(output.stdout).expect("text");
        let found: Vec<&str> = found.lines().collect();
        assert!(is_told(&told, &found), "bursar {command} prints now:\n{}", found.join("\n"));
    }
}

#[test]
fn a_changed_line_is_noticed() {
    let told = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_told(&told("…\nb\n…"), &["a", "b", "c"]));
    assert!(!is_told(&told("…\nb\n…"), &["a", "c"]));
    assert!(!is_told(&told("a"), &["a", "b"]));
    let commands = transcript("x\n```console\n$ bursar demo\na\n$ bursar b\n```\n");
    assert_eq!(commands, [("demo".to_owned(), told("a")), ("b".to_owned(), told(""))]);
}
