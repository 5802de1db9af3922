//! The `bursar` command: parse, run, end with the right code.
//!
//! In: arguments and signals. Out: exit 0, 1 or 2, and one line on standard error.
//! Never: a decision. Why: everything else is a library that tests call too.

use std::process::ExitCode;

use bursar::cli::Cli;
use clap::Parser as _;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if is_refusal(&error) => return fail(&one_line(&error.to_string()), 2),
        // `--help` and `--version`, and the help that no command at all gets.
        Err(error) => error.exit(),
    };
    let filter = EnvFilter::try_from_env("BURSAR_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,alloy_pubsub=warn,alloy_transport_ws=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if cli.json {
        log.json().init()
    } else {
        log.with_target(false).init()
    };
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
