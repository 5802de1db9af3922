//! From a parsed command line to the code that does it.
//!
//! In: `Cli`. Out: whatever the command prints. Never: work of its own.
//! Why: one screen shows every command and where it lives.

use serde_json::json;
use store::{OpenMode, Store};
use tokio::sync::watch;

use crate::cli::{AddressCommand, CaseCommand, Cli, Command, Events, Ledger, Order, Proof};
use crate::config::Config;
use crate::error::Error;
use crate::open::Opened;
use crate::output::Output;
use crate::{
    acknowledge, cases, chains, check, decisions, demo, explain, export, import, init, ledger,
    orders, outflows, proof, reconcile, record, refunds, rescan, run as daemon, status, verify,
};

/// Whether a command ends by itself where it is told to stop. Any other is cut short by whoever
/// runs it.
#[must_use]
pub const fn ends_itself(command: &Command) -> bool {
    match command {
        Command::Run | Command::Rescan(_) | Command::Record(_) => true,
        Command::Reconcile(asked) => asked.command.is_none(),
        Command::Demo(options) => options.serve,
        _ => false,
    }
}

/// Does what was asked. `stopped` is told when the process is to end.
///
/// # Errors
/// [`Error`], with the exit code it stands for.
pub async fn run(cli: Cli, stopped: watch::Receiver<bool>) -> Result<(), Error> {
    let output = Output { json: cli.json };
    let path = &cli.config;
    match &cli.command {
        Command::Demo(options) => demo::run(options, output, stopped).await,
        Command::Init(options) => init::run(path, options, output),
        Command::Check => check::run(path, output).await,
        Command::Migrate => migrate(&Config::load(path)?, output).await,
        Command::Run => daemon::run(&Opened::open(path).await?, stopped).await,
        Command::Status => status::run(&Opened::open(path).await?, output).await,
        Command::Order(command) => {
            let opened = Opened::open(path).await?;
            match command {
                Order::Create(asked) => orders::create(&opened, asked, output).await,
                Order::Show { id } => orders::show(&opened, id, output).await,
                Order::List(options) => orders::list(&opened, options, output).await,
                Order::Cancel { id } => orders::cancel(&opened, id, output).await,
            }
        }
        Command::Case(command) => {
            let opened = Opened::open(path).await?;
            match command {
                CaseCommand::List(options) => cases::list(&opened, options, output).await,
                CaseCommand::Show { id } => cases::show(&opened, id, output).await,
                CaseCommand::Resolve(asked) => decisions::resolve(&opened, asked, output).await,
                CaseCommand::Withdraw(asked) => decisions::withdraw(&opened, asked, output).await,
            }
        }
        Command::Refund(command) => refunds::run(&Opened::open(path).await?, command, output).await,
        Command::Outflow(outflows::Asked::List(options)) => {
            outflows::list(&Opened::open(path).await?, options, output).await
        }
        Command::Chain(command) => chains::run(&Opened::open(path).await?, command, output).await,
        Command::Address(AddressCommand::Import { file, watch_only }) => {
            import::run(&Opened::open(path).await?, file, *watch_only, output).await
        }
        Command::Ledger(command) => {
            let opened = Opened::open(path).await?;
            match command {
                Ledger::Balance { prefix } => {
                    ledger::balance(&opened, prefix.as_deref().unwrap_or(""), output).await
                }
                Ledger::Entries { account, after, limit } => {
                    ledger::entries(&opened, account.as_deref(), *after, *limit, output).await
                }
                Ledger::Verify => ledger::verify(&opened, output).await,
                Ledger::Export(options) => export::run(&opened, options).await,
            }
        }
        Command::Reconcile(asked) => match &asked.command {
            // These look at the books alone, which may not even open.
            Some(reconcile::Command::Verify(options)) => verify::run(path, options, output).await,
            Some(reconcile::Command::Proof(Proof::Make(options))) => {
                proof::make(&Opened::open(path).await?, path, options, output).await
            }
            Some(reconcile::Command::Proof(Proof::Verify(options))) => {
                proof::verify(path, options, output).await
            }
            _ => reconcile::command(path, asked, output, stopped).await,
        },
        Command::Events(Events::Ack(asked)) => {
            acknowledge::run(&Opened::open(path).await?, asked, output).await
        }
        Command::Explain { term } => explain::run(&Opened::open(path).await?, term, output).await,
        Command::Rescan(options) => {
            rescan::run(&Opened::open(path).await?, options, output, stopped).await
        }
        Command::Record(options) => {
            record::run(&Config::load(path)?, options, output, stopped).await
        }
    }
}

async fn migrate(config: &Config, output: Output) -> Result<(), Error> {
    let store = Store::open(config.database.expose(), OpenMode::Migrate).await?;
    let (engine, schema) = (format!("{:?}", store.engine()), store::newest_schema());
    store.close().await;
    output.print(&json!({ "engine": engine, "schema": schema }), || {
        format!("The {engine} database has schema {schema}.")
    })
}
