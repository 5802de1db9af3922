//! The `bursar` command: parse, run, end with the right code.
//!
//! In: arguments and signals. Out: an exit code, and one line on standard error.
//! Never: a decision. Why: everything else is a library that tests call too.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use bursar::Error;
use bursar::cli::{Cli, Command, Order};
use clap::Parser as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What a thread made another one frees: each row that is bound on its way to the database.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit codes of a command that was cut short, as a shell gives them: 128 and the signal.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

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
    let (stop, stopped) = watch::channel(false);
    let (cut, first) = oneshot::channel();
    if let Err(why) = heed_signals(stop, cut) {
        return fail(&format!("cannot start: {why}"), 1);
    }
    let result = runtime.block_on(async {
        let ends_itself = bursar::command::ends_itself(&cli.command);
        let work = bursar::command::run(cli, stopped);
        tokio::select! {
            biased;
            done = work => done,
            Ok(code) = first, if !ends_itself => Err(cut_short(code)),
        }
    });
    // What waits for a file's lock would be waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.line(), error.exit_code()),
    }
}

/// Every commit is one transaction, so a command may end anywhere.
fn cut_short(code: u8) -> Error {
    let name = if code == INTERRUPTED { "SIGINT" } else { "SIGTERM" };
    let why = format!("stopped by {name}; what it had begun is recorded whole, or not at all");
    Error::Exit { code, why }
}

/// What is logged on standard error: what `BURSAR_LOG` says, else the daemon's doings; of a command
/// that ends with an answer or with its one line, what is broken; of one that hands out addresses,
/// what it found out about others.
fn begin_log(cli: &Cli) {
    let usual = match &cli.command {
        Command::Run | Command::Rescan(_) | Command::Record(_) => "info",
        // It may find addresses that were forgotten, and nobody would be told later.
        Command::Order(Order::Create(_)) => "error,bursar::recall=warn,bursar::address=warn",
        _ => "error",
    };
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

/// The first signal asks the command to end; the second ends it. In a thread of their own, which
/// no command keeps busy.
fn heed_signals(stop: watch::Sender<bool>, cut: oneshot::Sender<u8>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _here = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let heed = move || {
        runtime.block_on(async {
            let code = next(&mut interrupt, &mut terminate).await;
            let _ = stop.send(true);
            let _ = cut.send(code);
            tracing::info!("told to stop: it ends where it may, or at once if it is told again");
            let code = next(&mut interrupt, &mut terminate).await;
            std::process::exit(i32::from(code));
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(heed).map(drop)
}

/// The next SIGTERM from a supervisor, or Ctrl-C: its exit code.
async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> u8 {
    tokio::select! {
        _ = interrupt.recv() => INTERRUPTED,
        _ = terminate.recv() => TERMINATED,
    }
}
