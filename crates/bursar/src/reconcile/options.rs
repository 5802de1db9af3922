//! What can be asked of a reconciliation.
//!
//! In: arguments. Out: the same in types. Never: a default that hides something.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::{BooksVerify, Proof};

/// `bursar reconcile …`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 reconciled · 1 open discrepancies at or above --fail-on · \
        2 what was typed or\nconfigured is wrong · 3 evidence is incomplete, so nothing is called \
        clean · 4 the books themselves\nare broken · 5 another run holds the lock · 70 internal."
)]
pub struct Reconcile {
    /// What to do with what earlier runs found.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run.
    #[command(flatten)]
    pub run: Run,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A page for people
    Text,
    /// One document for programs
    Json,
    /// A line for each discrepancy, for a spreadsheet
    Csv,
}

/// Options of a run.
#[derive(Debug, Args)]
pub struct Run {
    /// Only this chain, as named in the config
    #[arg(long)]
    pub chain: Option<String>,
    /// The first block to read, by height or time (RFC 3339); the beginning of the books otherwise
    #[arg(long, value_name = "HEIGHT|TIME")]
    pub from: Option<String>,
    /// The last block to read, by height or time; the newest that is final on both sides otherwise
    #[arg(long, value_name = "HEIGHT|TIME")]
    pub to: Option<String>,
    /// Where to stop: at what can no longer change
    #[arg(long, default_value = "finalized", value_parser = ["finalized"])]
    pub as_of: String,
    /// Exit 1 where something open is as bad as this, or worse
    #[arg(long, default_value = "low", value_parser = ["low", "medium", "high", "critical"])]
    pub fail_on: String,
    /// What is printed; --json is the same as --format json
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write everything into this folder too: report.txt, report.json, the two lists as CSV
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Remember nothing of this run; with --repair, only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Ingest what the chain alone has (deposits, outflows), by the usual rules
    #[arg(long)]
    pub repair: bool,
    /// Go on with a run that was killed, from the evidence it had gathered
    #[arg(long, value_name = "RUN", conflicts_with_all = ["chain", "from", "to", "dry_run"])]
    pub resume: Option<u64>,
    /// Another endpoint of --chain to ask everything that leads to a credit; with --resume again,
    /// for its URL may hold a key and is not kept
    #[arg(long, value_name = "URL")]
    pub second_endpoint: Option<String>,
}

/// What earlier runs found, and what people said of it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prove without any chain that the books agree with themselves; exit 4 where they do not
    Verify(BooksVerify),
    /// Write a proof report of the ledger, and check one
    #[command(subcommand)]
    Proof(Proof),
    /// List discrepancies, those that are over only with --all
    List {
        /// Also those that are resolved or gone
        #[arg(long)]
        all: bool,
    },
    /// List runs, the newest first
    Runs {
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Say what a later run found that an earlier one did not, and the other way round
    Diff {
        /// The number of the earlier run
        #[arg(value_name = "RUN1")]
        one: u64,
        /// The number of the later run
        #[arg(value_name = "RUN2")]
        other: u64,
    },
    /// Show a discrepancy with its history
    Show {
        /// The first digits of its id
        id: String,
    },
    /// Say that it is known: it does not fail a run until it gets worse
    Ack(MarkOptions),
    /// Say that it is settled: found again, it is open again
    Resolve(MarkOptions),
}

/// Who says so, and why.
#[derive(Debug, Args)]
pub struct MarkOptions {
    /// The first digits of its id
    pub id: String,
    /// Who you are
    #[arg(long)]
    pub by: String,
    /// Why, in words that `reconcile show` will repeat
    #[arg(long)]
    pub why: String,
}
