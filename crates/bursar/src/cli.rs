//! The command line: what can be typed, and what it means.
//!
//! In: arguments. Out: a parsed command; wrong ones end with exit 2 and one clear line.
//! Never: does anything itself. Why: `--help` teaches the product from one page.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::derive::{self, KeyError};
use crate::phrase;
use crate::reconcile::Reconcile;

/// Watches USDT arrive, matches it to orders, and turns it into credits in a double-entry ledger.
#[derive(Debug, Parser)]
#[command(
    name = "bursar",
    version,
    max_term_width = 100,
    after_help = "Begin with `bursar demo`: it needs no set-up and no network.\n\
                  Then `bursar init` writes a config, `bursar check` says what is wrong with it,\n\
                  and `bursar run` starts the daemon.\n\n\
                  Exit codes: 0 done · 1 failed · 2 wrong input or config · 130, 143 cut short by a signal."
)]
pub struct Cli {
    /// The config file.
    #[arg(
        long,
        global = true,
        env = "BURSAR_CONFIG",
        value_name = "FILE",
        default_value = "bursar.toml"
    )]
    pub config: PathBuf,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch payments turn into credits on a scripted chain: no config, no network
    Demo(Demo),
    /// Write a commented bursar.toml and say what to fill in
    Init(Init),
    /// Test the config, the database and every endpoint, and say what is wrong
    Check,
    /// Bring the database to this version's schema
    Migrate,
    /// Run the daemon: watch the chains until it is told to stop (SIGTERM or Ctrl-C)
    Run,
    /// Show heights, endpoints, what waits and the last reconciliation on one screen
    Status,
    /// Make, look at and cancel orders
    #[command(subcommand)]
    Order(Order),
    /// Look at what waits for a person, and decide it: duplicates, wrong amounts or networks
    #[command(subcommand)]
    Case(CaseCommand),
    /// Follow refunds: what is owed back, which transaction pays it, what the chain says
    #[command(subcommand)]
    Refund(RefundCommand),
    /// Look at what left our addresses: sweeps, and what nobody explained
    #[command(subcommand)]
    Outflow(crate::outflows::Asked),
    /// Show how far each chain is known; pause crediting and let it go on
    #[command(subcommand)]
    Chain(ChainCommand),
    /// Import deposit addresses that were made elsewhere
    #[command(subcommand)]
    Address(AddressCommand),
    /// Look at the double-entry books
    #[command(subcommand)]
    Ledger(Ledger),
    /// Compare the chains with the books, line by line, and say what differs
    Reconcile(Box<Reconcile>),
    /// Keep what the billing service says it was told
    #[command(subcommand)]
    Events(Events),
    /// Tell the whole story of an order, a transaction, an address, a case or a customer
    Explain {
        /// An order id, a transaction hash, an address, a case id or a customer; customer:NAME
        /// where an order has that name
        term: String,
    },
    /// Read blocks again that were read before, and record what was missed
    Rescan(Rescan),
    /// Record an endpoint's exact answers into a fixture that tests can replay
    Record(Record),
}

/// Options of `bursar demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Do not wait between the scenes; exit 0 only if every order ended as its script says
    #[arg(long)]
    pub fast: bool,
    /// Keep the demo's database in this folder instead of removing it at the end
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Hide a payment from the daemon, and keep the chains there until Ctrl-C, to reconcile with
    #[arg(long, requires = "keep")]
    pub serve: bool,
}

/// Options of `bursar init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Overwrite a config that exists
    #[arg(long)]
    pub force: bool,
}

/// `bursar order …`
#[derive(Debug, Subcommand)]
pub enum Order {
    /// Make an order and get its deposit address
    Create(OrderCreate),
    /// Show an order: its status, deposits, cases and ledger entries
    Show {
        /// The order's id
        id: String,
    },
    /// List orders, oldest first
    List(OrderList),
    /// Take an order back; a payment still counts inside its late window
    Cancel {
        /// The order's id
        id: String,
    },
}

/// What says the price of an order without an amount.
const PRICED: [&str; 2] = ["plan", "top_up"];
/// The words of [`payments::order::Status`].
const STATUSES: [&str; 6] =
    ["awaiting_payment", "confirming", "partially_paid", "paid", "expired", "cancelled"];

/// Options of `bursar order create`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    bursar order create --id A-1 --customer acme --chain ethereum --amount 100 --credits 10000\n  \
    bursar order create --id A-2 --customer acme --chain ethereum --plan team\n  \
    bursar order create --id T-1 --customer acme --chain ethereum --top-up\n\n\
    The same id with the same terms gives the same order again; with other terms it is refused.")]
pub struct OrderCreate {
    /// Your own id of the order, used once for ever
    #[arg(long)]
    pub id: String,
    /// Your own id of the customer who gets the credits
    #[arg(long)]
    pub customer: String,
    /// The chain it is to be paid on, as named in the config
    #[arg(long)]
    pub chain: String,
    /// The amount due in USDT, such as 100.00
    #[arg(long, conflicts_with_all = PRICED, required_unless_present_any = PRICED)]
    pub amount: Option<String>,
    /// The credits for it; without it, the amount at the config's rate
    #[arg(long, requires = "amount", conflicts_with_all = ["plan", "top_up"])]
    pub credits: Option<String>,
    /// A plan or pack of the config's [pricing.plans]
    #[arg(long, conflicts_with = "top_up")]
    pub plan: Option<String>,
    /// An open order: any amount, credited at the config's rate
    #[arg(long)]
    pub top_up: bool,
    /// How long it waits for its payment, such as 30m; otherwise as the config's expires_after
    /// says, and a --top-up for ever
    #[arg(long, value_name = "DURATION")]
    pub expires_after: Option<String>,
    /// Where a refund on this chain may go without a second person, up to cases.two_person_above
    #[arg(long, value_name = "ADDRESS")]
    pub refund_to: Option<String>,
    /// Your own words about it, as JSON, up to 4 KiB
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
}

/// Options of `bursar order list`.
#[derive(Debug, Args)]
pub struct OrderList {
    /// Only orders with this status
    #[arg(long, value_parser = STATUSES)]
    pub status: Option<String>,
    /// Only orders of this customer
    #[arg(long)]
    pub customer: Option<String>,
    /// Only orders on this chain
    #[arg(long)]
    pub chain: Option<String>,
    /// Only orders after this number, from the last line of the list before
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: u64,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// `bursar case …`
#[derive(Debug, Subcommand)]
pub enum CaseCommand {
    /// List cases, oldest first; those that are open unless told otherwise
    List(CaseList),
    /// Tell the story of a case, and what can be typed about it now
    Show {
        /// The case's id
        id: String,
    },
    /// Decide about a case, or confirm what somebody else proposed
    Resolve(CaseResolve),
    /// Take back what waits for a second person
    Withdraw(CaseWithdraw),
}

/// Options of `bursar case resolve`.
#[derive(Debug, Args)]
#[command(after_help = "What each does:\n  \
    credit    grant what it is worth; where it covers an order that is not paid, pay that order\n  \
    refund    owe it back, less a fee: to the order's refund address, or --to another\n  \
    reassign  count it for the order of --order, as if it had arrived there\n  \
    dismiss   keep it, credit nothing\n\n\
    `bursar case show CASE` lists what fits and works the fee out. A decision is for ever;\n\
    the same one again changes nothing. Deposits must be final. A refund to --to, and anything\n\
    above the config's cases.two_person_above, is proposed first and done when another person\n\
    types the same.")]
pub struct CaseResolve {
    /// The case's id
    pub id: String,
    /// What is decided
    #[arg(value_parser = payments::case::RESOLUTIONS)]
    pub resolution: String,
    /// Who you are
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Why, in words that the books keep
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Where a refund goes; the order's refund address otherwise. Never the sender by guess
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
    /// What is kept of a refund in USDT; the config's refund_fee or recovery_fee otherwise
    #[arg(long, value_name = "AMOUNT")]
    pub fee: Option<String>,
    /// The order that a reassigned deposit counts for
    #[arg(long, value_name = "ORDER")]
    pub order: Option<String>,
}

/// Options of `bursar case withdraw`.
#[derive(Debug, Args)]
pub struct CaseWithdraw {
    /// The case's id
    pub id: String,
    /// Who you are
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Why, in words that the books keep
    #[arg(long, value_name = "TEXT")]
    pub why: String,
}

/// `bursar refund …`
#[derive(Debug, Subcommand)]
pub enum RefundCommand {
    /// List refunds that were decided, oldest first
    List(RefundList),
    /// Show a refund: the arithmetic, the transaction, what to type next
    Show {
        /// The id of its case
        id: String,
    },
    /// Say which transaction pays a refund; the daemon then asks the chain until it is final
    Sent {
        /// The id of its case
        id: String,
        /// The transaction
        #[arg(long, value_name = "TXID")]
        tx: String,
        /// Who you are
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Say that the transaction that was given will never be mined
    GiveUp {
        /// The id of its case
        id: String,
        /// Who you are
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why, in words that the books keep
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Ask the chains now about every refund that is said to be sent
    Check {
        /// Only this chain
        #[arg(long)]
        chain: Option<String>,
    },
}

/// Options of `bursar refund list`.
#[derive(Debug, Args)]
pub struct RefundList {
    /// Only refunds that are this far
    #[arg(long, value_parser = ["requested", "sent", "verified", "failed"])]
    pub state: Option<String>,
    /// Only refunds on this chain
    #[arg(long)]
    pub chain: Option<String>,
    /// Only those after this number, from the last line of the list before
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: u64,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// The words of [`payments::case::CaseKind`].
const KINDS: [&str; 10] = [
    "wrong_asset",
    "wrong_network",
    "unassigned",
    "duplicate",
    "late",
    "overpaid",
    "underpaid",
    "reversed_after_credit",
    "unexplained_outflow",
    "destroyed_funds",
];

/// Options of `bursar case list`.
#[derive(Debug, Args)]
pub struct CaseList {
    /// Only cases of this kind
    #[arg(long, value_parser = KINDS)]
    pub kind: Option<String>,
    /// Only cases about money on this chain
    #[arg(long)]
    pub chain: Option<String>,
    /// Only cases of this order
    #[arg(long)]
    pub order: Option<String>,
    /// Only cases that were opened so long ago, such as 24h
    #[arg(long, value_name = "DURATION")]
    pub older_than: Option<String>,
    /// Only cases that are about at least so much: what is held, or what left or was taken back
    #[arg(long, value_name = "AMOUNT")]
    pub min_amount: Option<String>,
    /// Also those that are decided
    #[arg(long)]
    pub all: bool,
    /// Only cases after this number, from the last line of the list before
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: u64,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// `bursar chain …`
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// Show how far each chain is recorded and final, and why it is paused or stalled
    Show {
        /// Only this chain
        name: Option<String>,
    },
    /// Pause crediting on a chain: deposits are still seen, nothing becomes final
    Pause(ChainMark),
    /// Let crediting on a paused chain go on, on the branch it was on or on another one
    Resume(ChainResume),
}

/// Options of `bursar chain resume`.
#[derive(Debug, Args)]
pub struct ChainResume {
    /// Which chain, who, and why
    #[command(flatten)]
    pub mark: ChainMark,
    /// Follow the branch that holds this block, also below what was final: what is recorded on the
    /// other one is taken back, credits included, and the chain is read again from the fork on
    #[arg(long, value_name = "HEIGHT:HASH")]
    pub adopt: Option<String>,
    /// The height at which the branches part, where the recorded blocks do not tell
    #[arg(long, requires = "adopt", value_name = "HEIGHT")]
    pub from: Option<u64>,
}

/// Who marks a chain, and why.
#[derive(Debug, Args)]
pub struct ChainMark {
    /// The chain, as named in the config
    pub name: String,
    /// Who you are
    #[arg(long)]
    pub by: String,
    /// Why, in words that the log and `chain show` will repeat
    #[arg(long)]
    pub why: String,
}

/// `bursar address …`
#[derive(Debug, Subcommand)]
pub enum AddressCommand {
    /// Import addresses, one a line, for chains with `imported = true`
    Import {
        /// The file; `-` for standard input
        file: PathBuf,
        /// Have them watched, and give them to no order: what they get becomes a case
        #[arg(long)]
        watch_only: bool,
    },
}

/// `bursar ledger …`
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Show what every account holds
    Balance {
        /// Only accounts whose name begins so, such as customer: or suspense:
        prefix: Option<String>,
    },
    /// List entries, oldest first
    Entries {
        /// Only entries that touch this account, such as customer:acme
        #[arg(long)]
        account: Option<String>,
        /// Only journals after this number, from the last line of the list before
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
        /// At most so many journals
        #[arg(
            long,
            default_value_t = 100,
            value_parser = clap::value_parser!(u32).range(1..=10_000)
        )]
        limit: u32,
    },
    /// Prove that the books agree with themselves; exit 1 where they do not
    Verify,
    /// Write the ledger for hledger or beancount, which check it, or as CSV or JSON
    Export(crate::export::LedgerExport),
}

/// Options of `bursar reconcile verify`.
#[derive(Debug, Args)]
pub struct BooksVerify {
    /// A head of the log that somebody kept, as events tell it: without one, books that were put
    /// back whole to an older state look right
    #[arg(long, value_name = "SIZE:ROOT")]
    pub head: Vec<String>,
}

/// `bursar reconcile proof …`
#[derive(Debug, Subcommand)]
pub enum Proof {
    /// Write a proof report: balances, custody, liabilities, and the head of the log
    Make(ProofMake),
    /// Check a proof report by itself, and against the books where the config names some
    Verify(ProofVerify),
}

/// Options of `bursar reconcile proof make`.
#[derive(Debug, Args)]
pub struct ProofMake {
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Overwrite a file that exists
    #[arg(long)]
    pub force: bool,
    /// The period begins on this day (UTC) or at this time; with the first journal without it
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Also prove that this journal is in the log, by its key
    #[arg(long, value_name = "KEY")]
    pub journal: Vec<String>,
    /// Also prove that every journal of this customer is in the log
    #[arg(long, value_name = "ID")]
    pub customer: Vec<String>,
}

/// Options of `bursar reconcile proof verify`.
#[derive(Debug, Args)]
pub struct ProofVerify {
    /// The report
    pub file: PathBuf,
    /// Check the report by itself, whatever books there are
    #[arg(long)]
    pub alone: bool,
}

/// `bursar events …`
#[derive(Debug, Subcommand)]
pub enum Events {
    /// Keep through which event the billing service has acknowledged what it was told
    Ack(EventsAck),
}

/// Options of `bursar events ack`.
#[derive(Debug, Args)]
pub struct EventsAck {
    /// The number of the last event it has
    #[arg(long, value_name = "SEQ")]
    pub through: u64,
    /// The newest head of the log that it was told until then; exit 4 where the books have another
    #[arg(long, value_name = "SIZE:ROOT")]
    pub head: Option<String>,
}

/// Options of `bursar rescan`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["from", "tx", "address"]))]
pub struct Rescan {
    /// The chain, as named in the config
    #[arg(long)]
    pub chain: String,
    /// The first height to read again
    #[arg(long, requires = "to", value_name = "HEIGHT")]
    pub from: Option<u64>,
    /// The last height to read again
    #[arg(long, requires = "from", value_name = "HEIGHT")]
    pub to: Option<u64>,
    /// Read only the block of this transaction again
    #[arg(long, value_name = "TXID")]
    pub tx: Option<String>,
    /// Read everything again since the order with this address was made
    #[arg(long)]
    pub address: Option<String>,
    /// Read the receipts and prove them against each header, instead of asking for logs: slower,
    /// and no endpoint can leave anything out (a single transaction is always proved)
    #[arg(long)]
    pub prove: bool,
}

/// Options of `bursar record`.
#[derive(Debug, Args)]
pub struct Record {
    /// The chain, as named in the config; its first HTTP endpoint is recorded
    #[arg(long)]
    pub chain: String,
    /// The tape to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How many new blocks to record before it ends
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub blocks: u64,
    /// Words about the recording, kept in its first line
    #[arg(long, default_value = "")]
    pub note: String,
}

/// What to say where a private key or a seed phrase is among the arguments. To be asked before
/// anything else looks at them: whoever refuses an argument repeats it. Sixty-four hex digits are a
/// transaction's hash or a discrepancy's id where one can be meant, and a raw private key
/// everywhere else.
#[must_use]
pub fn refuse_keys(arguments: &[String]) -> Option<String> {
    let says = |word: &str| arguments.iter().any(|argument| argument == word);
    let (explains, reconciles) = (says("explain"), says("reconcile"));
    let mut before = "";
    for (number, argument) in (1usize..).zip(arguments) {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, value),
            _ => (before, argument.as_str()),
        };
        let raw = derive::is_raw(value.trim().trim_start_matches('-'));
        let id = reconciles && matches!(name, "show" | "ack" | "resolve");
        let raw = (raw && !explains && !id && name != "--tx").then_some(KeyError::RawPrivate);
        let key = derive::private(value).or_else(|| derive::private(argument)).or(raw);
        if let Some(key) = key {
            let is_option = name.starts_with("--") && name.len() <= LONGEST_OPTION;
            let name = if is_option { name.to_owned() } else { format!("argument {number}") };
            return Some(format!("{name}: {key}; {IN_HISTORY}"));
        }
        before = argument;
    }
    let words = arguments.iter().flat_map(|argument| argument.split_whitespace());
    phrase::is_among(words).then(|| format!("{}; {IN_HISTORY}", KeyError::SeedPhrase))
}

/// No option of ours has a longer name.
const LONGEST_OPTION: usize = 20;
const IN_HISTORY: &str = "what was typed may stand in the history of this shell";
