//! Ctrl-C and SIGTERM, to whatever command.
//!
//! In: nodes that do not answer, signals. Out: the exit code that a shell gives, at once.
//! Never: a command that goes on after the second one. Why: what cannot be stopped is killed.

use std::process::Stdio;
use std::time::Duration;

use lab::evm::{Fault, Methods};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::counter::{Counter, create};
use crate::binary;

/// Longest wait for anything; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// A command at work, both of its outputs open.
struct Begun(Child);

impl Begun {
    fn start(counter: &Counter, arguments: &[&str]) -> Self {
        let mut command = Command::from(binary::command(counter.folder.path()));
        command.arg("--json").args(arguments).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("bursar starts"))
    }

    /// Waits until the node was asked for something that it does not answer.
    async fn asks(counter: &Counter, method: &str) {
        let asked = async {
            while counter.node.requests().count(method) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("the node is asked");
    }

    async fn signal(&self, name: &str) {
        let id = self.0.id().expect("it runs").to_string();
        let told = Command::new("kill").args([name, &id]).status().await;
        assert!(told.expect("kill runs").success());
    }

    /// Waits until it has said on standard error that it was told.
    async fn hears(&mut self) {
        let mut lines = BufReader::new(self.0.stderr.take().expect("piped")).lines();
        let heard = async {
            while let Some(line) = lines.next_line().await.expect("text") {
                if line.contains("told to stop") {
                    return;
                }
            }
            panic!("it ended before");
        };
        tokio::time::timeout(PATIENCE, heard).await.expect("it is told");
        self.0.stderr = Some(lines.into_inner().into_inner());
    }

    /// Its exit code, and what it wrote.
    async fn ended(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        let end = async {
            self.0.stdout.take().expect("piped").read_to_string(&mut out).await.expect("text");
            self.0.stderr.take().expect("piped").read_to_string(&mut err).await.expect("text");
            self.0.wait().await.expect("its end")
        };
        let status = tokio::time::timeout(PATIENCE, end).await.expect("it ends");
        (status.code(), out, err)
    }
}

fn hang(counter: &Counter, methods: Methods) {
    counter.node.forget_requests();
    counter.node.fault(Fault::Hang { methods, times: None });
}

#[tokio::test]
async fn a_command_that_waits_for_a_node_is_ended_by_the_first_signal() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    hang(&counter, Methods::all());
    let unknown = format!("0x{}", "ab".repeat(32));
    for arguments in
        [&["check"][..], &["status"], &["explain", &unknown], &create("B-1", &["--amount=5"])]
    {
        for (name, code, word) in [("-INT", 130, "SIGINT"), ("-TERM", 143, "SIGTERM")] {
            counter.node.forget_requests();
            let begun = Begun::start(&counter, arguments);
            Begun::asks(&counter, "eth_chainId").await;
            begun.signal(name).await;
            let (ended, out, err) = begun.ended().await;
            assert_eq!((ended, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
            let words = format!("bursar: stopped by {word}; what it had begun is recorded whole");
            assert!(err.starts_with(&words), "{arguments:?}: {err}");
        }
    }
    counter.node.heal();
    // Whatever was begun, asked again it is done.
    counter.order("B-1").await;
    let verified = counter.json(&["reconcile", "verify"]).await;
    assert_eq!(verified["findings"], Value::Array(vec![]));
}

/// Also what would end by itself, where its node lets it wait.
#[tokio::test]
async fn the_second_signal_ends_what_the_first_does_not() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    counter.watch().await;
    hang(&counter, Methods::only(&["eth_getBlockReceipts"]));
    let asked = ["rescan", "--chain=ethereum", "--prove", "--from=13", "--to=20"];
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        counter.node.forget_requests();
        let mut begun = Begun::start(&counter, &asked);
        Begun::asks(&counter, "eth_getBlockReceipts").await;
        begun.signal("-TERM").await;
        begun.hears().await;
        begun.signal(name).await;
        let (ended, out, _) = begun.ended().await;
        assert_eq!((ended, out.as_str()), (Some(code), ""));
    }
}

#[tokio::test]
async fn a_rescan_that_is_stopped_says_how_to_go_on() {
    let counter = Counter::open().await;
    counter.order("A-1").await;
    counter.watch().await;
    hang(&counter, Methods::only(&["eth_getBlockReceipts"]));
    let asked = ["rescan", "--chain=ethereum", "--prove", "--from=13", "--to=20"];
    let mut begun = Begun::start(&counter, &asked);
    Begun::asks(&counter, "eth_getBlockReceipts").await;
    begun.signal("-INT").await;
    begun.hears().await;
    counter.node.heal();
    let (ended, out, err) = begun.ended().await;
    assert_eq!(ended, Some(1), "{err}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&told["to"], &told["complete"]), (&13.into(), &false.into()), "{told}");
    let go_on = "bursar rescan --chain ethereum --from 14 --to 20 --prove";
    assert_eq!(told["go_on"], go_on);
    let words = format!("bursar: stopped before height 14 of 13 to 20: go on with `{go_on}`");
    assert_eq!(err.lines().last(), Some(words.as_str()), "{err}");
    let typed: Vec<&str> = go_on.split(' ').skip(1).collect();
    let told = counter.json(&typed).await;
    assert_eq!((&told["to"], &told["complete"]), (&20.into(), &true.into()), "{told}");
    assert_eq!(told["go_on"], Value::Null);
}
