//! The real `bursar run` as a process, and what it says.
//!
//! In: a folder with a config. Out: its JSON log, line by line, as it is written.
//! Never: a wait without a deadline; one that passes fails with what was heard until then.
//! Why: a test that waits for what the daemon says needs no sleep and no guess.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::binary;

/// Longest wait for anything the daemon is to say or do; generous, the machine is shared.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
/// How long it may take to end after SIGTERM.
const PROMPT: Duration = Duration::from_secs(10);
/// How much of the log a failure shows.
const SHOWN: usize = 40;
/// What is logged: each turn that moved the cursor is told below `info`.
const HEARD: &str = "info,bursar=debug";
/// Everything, so that a line can be anywhere inside a turn.
const EVERYTHING: &str = "trace";

/// One line on standard error.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    raw: String,
    json: Value,
}

impl Line {
    fn new(raw: String) -> Self {
        let json = serde_json::from_str(&raw).unwrap_or_default();
        Self { raw, json }
    }

    /// The sentence; of an event, its type.
    pub(crate) fn message(&self) -> &str {
        self.field("message")
    }

    /// A fact of the line, or nothing.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.json["fields"][name].as_str().unwrap_or_default()
    }

    pub(crate) fn level(&self) -> &str {
        self.json["level"].as_str().unwrap_or("none")
    }

    /// The height whose block was recorded, on the line that says so.
    pub(crate) fn recorded(&self) -> Option<u64> {
        (self.message() == "recorded").then(|| self.json["fields"]["height"].as_u64())?
    }

    /// Whether it tells an event of this type about this order.
    pub(crate) fn tells(&self, kind: &str, order: &str) -> bool {
        self.message() == kind && self.field("order") == order
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.raw)
    }
}

/// A running daemon. It ends when this is dropped, and when this process ends, however it does.
pub(crate) struct Daemon {
    child: Child,
    coming: mpsc::UnboundedReceiver<Line>,
    /// Everything it has said so far.
    pub(crate) heard: Vec<Line>,
}

impl Daemon {
    /// Starts it in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::spawn(folder, HEARD, &["run"])
    }

    /// Starts it, or another command, so that it tells its every step.
    pub(crate) fn verbose(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn(folder, EVERYTHING, arguments)
    }

    /// Starts a command that ends where the file says.
    pub(crate) fn armed(folder: &Path, arguments: &[&str], file: &Path) -> Self {
        Self::spawn_with(folder, HEARD, arguments, &[("BURSAR_POINT", file)])
    }

    fn spawn(folder: &Path, filter: &str, arguments: &[&str]) -> Self {
        Self::spawn_with(folder, filter, arguments, &[])
    }

    fn spawn_with(folder: &Path, filter: &str, arguments: &[&str], env: &[(&str, &Path)]) -> Self {
        // The kernel ends it with the thread that started it, even where that is killed.
        let mut command = Command::new("setpriv");
        // A file that may not grow is an error to it then, and not its end.
        command.args(["--pdeathsig", "KILL", "env", "--ignore-signal=XFSZ"]);
        command.arg(binary::path()).arg("--json").args(arguments);
        command.current_dir(folder).env_remove("BURSAR_CONFIG").env("BURSAR_LOG", filter);
        command.envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("setpriv, of util-linux");
        let mut lines = BufReader::new(child.stderr.take().expect("piped above")).lines();
        let (tell, coming) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if tell.send(Line::new(line)).is_err() {
                    break;
                }
            }
        });
        Self { child, coming, heard: Vec::new() }
    }

    /// Waits until `look` finds what it looks for in what was said so far.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&[Line]) -> Option<T>,
    ) -> T {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look(&self.heard) {
                return found;
            }
            match tokio::time::timeout_at(deadline, self.coming.recv()).await {
                Ok(Some(line)) => self.heard.push(line),
                Ok(None) => panic!("the daemon ended before: {what}\n{}", tail(&self.heard)),
                Err(_) => panic!("not within {DEADLINE:?}: {what}\n{}", tail(&self.heard)),
            }
        }
    }

    /// Waits until a block at `height` or above is recorded.
    pub(crate) async fn recorded(&mut self, height: u64) {
        let above = |line: &Line| line.recorded().is_some_and(|recorded| recorded >= height);
        self.until(&format!("height {height} is recorded"), |heard| {
            heard.iter().any(above).then_some(())
        })
        .await;
    }

    /// Waits until a block of this chain at `height` or above is recorded.
    pub(crate) async fn recorded_on(&mut self, chain: &str, height: u64) {
        let above = |line: &Line| {
            line.field("chain") == chain && line.recorded().is_some_and(|at| at >= height)
        };
        self.until(&format!("height {height} of {chain} is recorded"), |heard| {
            heard.iter().any(above).then_some(())
        })
        .await;
    }

    /// Waits until this sentence was said `times` times.
    pub(crate) async fn said_times(&mut self, message: &str, times: usize) {
        self.until(&format!("\"{message}\", {times} times"), |heard| {
            (heard.iter().filter(|line| line.message() == message).count() >= times).then_some(())
        })
        .await;
    }

    /// How often this sentence was said so far.
    pub(crate) fn said(&self, message: &str) -> usize {
        self.heard.iter().filter(|line| line.message() == message).count()
    }

    /// Lets no file of its grow beyond `bytes`, or as it likes.
    pub(crate) async fn limit_files(&self, bytes: Option<u64>) {
        let pid = self.child.id().expect("it runs").to_string();
        let most = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let limit = format!("--fsize={most}:unlimited");
        let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status().await;
        assert!(set.expect("prlimit, of util-linux").success(), "{limit}");
    }

    /// Waits until an event of this type was told of this order `times` times.
    pub(crate) async fn told_times(&mut self, kind: &str, order: &str, times: usize) {
        self.until(&format!("{kind} of {order}, {times} times"), |heard| {
            (heard.iter().filter(|line| line.tells(kind, order)).count() >= times).then_some(())
        })
        .await;
    }

    /// Waits until an event of this type was told of this order.
    pub(crate) async fn told(&mut self, kind: &str, order: &str) {
        self.told_times(kind, order, 1).await;
    }

    /// The heights it has recorded, in the order in which it did.
    pub(crate) fn heights(&self) -> Vec<u64> {
        heights(&self.heard)
    }

    /// Waits until it has said `count` lines more, or has ended.
    pub(crate) async fn hear(&mut self, count: usize) {
        for _ in 0..count {
            match tokio::time::timeout(DEADLINE, self.coming.recv()).await {
                Ok(Some(line)) => self.heard.push(line),
                Ok(None) => return,
                Err(_) => panic!("silent for {DEADLINE:?}\n{}", tail(&self.heard)),
            }
        }
    }

    /// Hears what it says for exactly so long: to choose a moment, not to wait for anything.
    pub(crate) async fn hear_for(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            while let Ok(line) = self.coming.try_recv() {
                self.heard.push(line);
            }
            // The timer is too coarse for a moment inside a commit.
            tokio::task::yield_now().await;
        }
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("a process that runs");
    }

    /// SIGTERM, and waits for its end; what it said, to the last line.
    pub(crate) async fn stop(mut self) -> Vec<Line> {
        let pid = self.child.id().expect("a process that runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(sent.expect("kill").success(), "no process {pid}");
        let status = self.wait(PROMPT).await;
        assert_eq!(status.code(), Some(0), "{}", tail(&self.heard));
        self.heard
    }

    /// Waits for an end of its own; its exit code and what it said.
    pub(crate) async fn ended(mut self) -> (Option<i32>, Vec<Line>) {
        let status = self.wait(DEADLINE).await;
        (status.code(), self.heard)
    }

    async fn wait(&mut self, at_most: Duration) -> ExitStatus {
        let deadline = tokio::time::Instant::now() + at_most;
        while let Ok(Some(line)) = tokio::time::timeout_at(deadline, self.coming.recv()).await {
            self.heard.push(line);
        }
        let ended = tokio::time::timeout_at(deadline, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it goes on\n{}", tail(&self.heard))).expect("its status")
    }
}

/// The heights recorded in a log, in its order.
pub(crate) fn heights(heard: &[Line]) -> Vec<u64> {
    heard.iter().filter_map(Line::recorded).collect()
}

fn tail(heard: &[Line]) -> String {
    let skipped = heard.len().saturating_sub(SHOWN);
    let shown = heard.iter().skip(skipped).map(ToString::to_string);
    format!("({skipped} lines before these)\n{}", shown.collect::<Vec<_>>().join("\n"))
}
