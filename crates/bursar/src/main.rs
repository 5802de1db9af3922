//! The `bursar` command: parse, run, end with the right code.
//!
//! In: arguments and signals. Out: exit 0, 1 or 2, and one line on standard error.
//! Never: a decision. Why: everything else is a library that tests call too.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use bursar::cli::{Cli, Command};
use clap::Parser as _;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What a thread made another one frees: each row that is bound on its way to the database.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A filter for everything, such as `trace`, stops short of these: they write requests whole, and
/// an endpoint's path is its key. What the socket's own crates call an error is a lost connection,
/// which is told by whoever opens another.
const BOUNDS: [(&str, LevelFilter); 9] = [
    ("alloy_pubsub", LevelFilter::OFF),
    ("alloy_transport_ws", LevelFilter::OFF),
    ("h2", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("hyper_util", LevelFilter::INFO),
    ("reqwest", LevelFilter::INFO),
    ("rustls", LevelFilter::INFO),
    ("tokio_tungstenite", LevelFilter::INFO),
    ("tungstenite", LevelFilter::INFO),
];

fn main() -> ExitCode {
    let typed = std::env::args_os().skip(1).map(|text| text.to_string_lossy().into_owned());
    if let Some(refusal) = bursar::cli::refuse_keys(&typed.collect::<Vec<_>>()) {
        return fail(&refusal, 2);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if is_refusal(&error) => return fail(&one_line(&error.to_string()), 2),
        // `--help` and `--version`, and the help that no command at all gets.
        Err(error) => error.exit(),
    };
    begin_log(&cli);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return fail(&format!("cannot start: {why}"), 1),
    };
    let result = runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            wait_for_signal().await;
            let _ = stop.send(true);
        });
        bursar::command::run(cli, stopped).await
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.line(), error.exit_code()),
    }
}

/// What is logged on standard error: what `BURSAR_LOG` says, else the daemon's doings; of a command
/// that ends with an answer or with its one line, nothing but what is broken.
fn begin_log(cli: &Cli) {
    let goes_on = matches!(cli.command, Command::Run | Command::Rescan(_) | Command::Record(_));
    let usual = if goes_on { "info" } else { "error" };
    let asked = EnvFilter::try_from_env("BURSAR_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let colours = std::io::stderr().is_terminal();
    // Two filters: of one alone the directive that names most of a target decides.
    let bounds = Targets::new().with_default(LevelFilter::TRACE).with_targets(BOUNDS);
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(asked).with(bounds);
    if cli.json {
        registry.with(log.json()).init();
    } else {
        registry.with(log.with_target(false).with_ansi(colours)).init();
    }
}

#[expect(clippy::print_stderr, reason = "the one line a failed command ends with")]
fn fail(line: &str, code: u8) -> ExitCode {
    eprintln!("bursar: {line}");
    ExitCode::from(code)
}

fn is_refusal(error: &clap::Error) -> bool {
    let help = clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    error.use_stderr() && error.kind() != help
}

/// What is wrong with the arguments, without the usage that follows it.
fn one_line(text: &str) -> String {
    let told = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let told = told.collect::<Vec<_>>().join(" ");
    format!("{}; --help says what is possible", told.trim_start_matches("error: "))
}

/// SIGTERM from a supervisor, or Ctrl-C.
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
