//! The config: everything an operator decides, read once and checked whole.
//!
//! In: `bursar.toml`. Out: `Config`, every value typed and in range.
//! Never: a default that a careful operator would not choose; a half-read file.
//! Why: a mistake is found before the daemon runs, with its field and what is wrong with it.

mod chain;
mod evm;
mod file;
mod node;
mod orders;
mod together;
mod tron;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use payments::amount::{Credits, Usdt};
use payments::changes::{ChainRules, Rules};
use payments::name::ChainName;
use payments::order::{Price, Terms};

use crate::derive::{self, Account};
use crate::error::{Error, input};
use crate::secret::{self, Secret};

pub use node::{Node, Recordable, TronNode, Way};

/// A larger config is a mistake.
const LARGEST: u64 = 1024 * 1024;

/// Everything an operator decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the books are.
    pub database: Secret,
    /// How orders are made, where their chain does not say otherwise.
    pub orders: Orders,
    /// What credits cost.
    pub pricing: Pricing,
    /// How chain and books are compared.
    pub reconcile: Reconcile,
    /// The chains, by name.
    pub chains: BTreeMap<ChainName, Chain>,
}

/// How chain and books are compared.
#[derive(Debug, Clone)]
pub struct Reconcile {
    /// How often the daemon does it lightly; zero for never.
    pub every: Duration,
    /// How long the billing service may take to acknowledge an event; none where it does not.
    pub acknowledged_within: Option<Duration>,
}

/// How orders are made.
#[derive(Debug, Clone)]
pub struct Orders {
    /// How long an order waits for its payment.
    pub expires_after: Duration,
    /// The terms of a new order, but for a tolerance in percent.
    pub terms: Terms,
    /// Parts per million of the amount due that may be missing, where that is more.
    pub tolerance_ppm: u32,
}

/// What credits cost.
#[derive(Debug, Clone)]
pub struct Pricing {
    /// The rate of open orders.
    pub rate: Option<Price>,
    /// Named plans and packs: amount due and credits.
    pub plans: BTreeMap<String, (Usdt, Credits)>,
}

/// Where a chain's deposit addresses come from.
#[derive(Debug, Clone)]
pub enum AddressSource {
    /// Derived from an account; the file keeps the highest index ever used.
    Account {
        /// The account.
        account: Account,
        /// The high-water mark, outside the database.
        high_water: PathBuf,
    },
    /// Taken from the imported list in the database.
    Imported {
        /// The addresses that were taken, outside the database.
        high_water: PathBuf,
        /// Whether each is of a key pair, and so ours on every chain.
        key_pairs: bool,
    },
}

/// One chain.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The rules that `payments` needs.
    pub rules: ChainRules,
    /// How its nodes are read.
    pub node: Node,
    /// Where its deposit addresses come from; none where orders on it are not offered.
    pub addresses: Option<AddressSource>,
    /// How orders on it are made.
    pub orders: Orders,
    /// What is kept for returning money that arrived here and was meant for another chain.
    pub recovery_fee: Usdt,
    /// What is kept of a refund on this chain, unless a person states another fee.
    pub refund_fee: Usdt,
    /// Where `bursar record` sends on what it records.
    pub recordable: Option<Recordable>,
    /// How long to wait between two looks where no subscription rings.
    pub poll_interval: Duration,
    /// For how long a block may be unreadable before the chain is told to be stalled.
    pub stalled_after: Duration,
}

impl Config {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// [`Error::Input`] with the file, the line and the field.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let named = |why: String| Error::Input(format!("{}: {why}", path.display()));
        let facts = std::fs::metadata(path).map_err(|why| {
            named(format!("cannot read it ({why}); `bursar init` writes one to start from"))
        })?;
        if facts.len() > LARGEST {
            return Err(named("is larger than 1 MiB".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|why| named(why.to_string()))?;
        let beside = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, beside).map_err(|error| match error {
            Error::Input(why) => named(why),
            other => other,
        })
    }

    /// Reads and checks a config's text; files it names are looked for beside `beside`.
    ///
    /// # Errors
    /// [`Error::Input`] with the line or the field.
    pub fn parse(text: &str, beside: &Path) -> Result<Self, Error> {
        refuse_keys(text)?;
        let file: file::File = toml::from_str(text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start)).map(|before| {
                before.lines().count().saturating_add(usize::from(before.ends_with('\n'))).max(1)
            });
            let why = error.message().replace('\n', " ");
            match line {
                Some(line) => Error::Input(format!("line {line}: {why}")),
                None => Error::Input(why),
            }
        })?;
        let database = secret::read(
            "database.url",
            file.database.url.as_ref(),
            file.database.url_file.as_ref(),
            beside,
        )?;
        let database = match database {
            Some(secret) => database_url(&secret, beside)?,
            None => Secret::new(format!("sqlite:{}", beside.join("bursar.db").display())),
        };
        let orders = orders::read_orders("orders", &file.orders, None)?;
        let two_person_above = match &file.cases.two_person_above {
            Some(text) => {
                let field = "cases.two_person_above";
                Some(Usdt::parse(text).map_err(|why| input(field, why))?)
            }
            None => None,
        };
        let mut chains = BTreeMap::new();
        for (name, chain) in &file.chains {
            let field = format!("chains.{name}");
            let name = ChainName::new(name).map_err(|why| input(&field, why))?;
            let chain = chain::read_chain(&name, chain, &orders, two_person_above, beside)?;
            chains.insert(name, chain);
        }
        together::check(&chains)?;
        if chains.is_empty() {
            return Err(input("chains", "no chain is configured; write [chains.ethereum]"));
        }
        let (pricing, reconcile) = (read_pricing(&file.pricing)?, read_reconcile(&file.reconcile)?);
        Ok(Self { database, orders, pricing, reconcile, chains })
    }

    /// The rules of every chain, as `plan` wants them.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.chains.iter().map(|(name, chain)| (name.clone(), chain.rules.clone())).collect()
    }

    /// The chain called `name`.
    ///
    /// # Errors
    /// [`Error::Input`] that lists the configured ones.
    pub fn chain(&self, name: &str) -> Result<(&ChainName, &Chain), Error> {
        self.chains.iter().find(|(known, _)| known.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = self.chains.keys().map(ChainName::as_str).collect();
            input("--chain", format!("`{name}` is not configured; there is {}", known.join(", ")))
        })
    }
}

/// Refuses a private key or a seed phrase wherever it stands, before any text of the config can be
/// repeated by what finds it wrong.
fn refuse_keys(text: &str) -> Result<(), Error> {
    for (number, line) in (1usize..).zip(text.lines()) {
        let words = line.split(['"', '\'']).skip(1).step_by(2);
        if let Some(key) = words.filter_map(derive::private).next() {
            let field = line.split_once('=').map_or("", |(field, _)| field.trim());
            let is_name = field.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let field =
                if is_name && !field.is_empty() { format!("{field}: ") } else { String::new() };
            return Err(Error::Input(format!("line {number}: {field}{key}")));
        }
    }
    Ok(())
}

/// A relative SQLite path is meant beside the config, wherever the command is run from.
fn database_url(secret: &Secret, beside: &Path) -> Result<Secret, Error> {
    let url = secret.expose();
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(secret.clone());
    }
    let Some(path) = url.strip_prefix("sqlite:") else {
        return Err(input("database.url", "begin it with sqlite: or postgres://"));
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.contains('?') {
        return Err(input("database.url", "write sqlite:PATH without parameters"));
    }
    Ok(Secret::new(format!("sqlite:{}", beside.join(path).display())))
}

fn duration(field: &str, text: Option<&String>, default: Duration) -> Result<Duration, Error> {
    let Some(text) = text else { return Ok(default) };
    let value = humantime::parse_duration(text)
        .map_err(|why| input(field, format!("`{text}` is not a duration such as 30m: {why}")))?;
    if value.is_zero() || value > Duration::from_secs(366 * 86_400) {
        return Err(input(field, format!("`{text}` must be above zero and at most a year")));
    }
    Ok(value)
}

fn usdt(field: &str, text: Option<&String>, default: Usdt) -> Result<Usdt, Error> {
    text.map_or(Ok(default), |text| Usdt::parse(text).map_err(|why| input(field, why)))
}

fn read_reconcile(reconcile: &file::Reconcile) -> Result<Reconcile, Error> {
    let hour = Duration::from_secs(3_600);
    let within = reconcile.acknowledged_within.as_ref();
    let acknowledged_within = match within {
        None => None,
        Some(_) => Some(duration("reconcile.acknowledged_within", within, hour)?),
    };
    let every = match reconcile.every.as_deref() {
        Some("never") => Duration::ZERO,
        _ => duration("reconcile.every", reconcile.every.as_ref(), hour)?,
    };
    Ok(Reconcile { every, acknowledged_within })
}

fn read_pricing(pricing: &file::Pricing) -> Result<Pricing, Error> {
    let rate = match &pricing.credits_per_usdt {
        None => None,
        Some(text) => {
            let field = "pricing.credits_per_usdt";
            let (credits, per) = text.split_once('/').unwrap_or((text, "1"));
            let credits = Credits::parse(credits.trim()).map_err(|why| input(field, why))?;
            let per = Usdt::parse(per.trim()).map_err(|why| input(field, why))?;
            if credits.is_zero() || per.is_zero() {
                return Err(input(field, "has a zero in it"));
            }
            // Millionths of a credit for so many millionths of a USDT.
            let num = u64::try_from(credits.micro()).unwrap_or(0);
            Some(Price::Rate { num, den: u64::try_from(per.micro()).unwrap_or(0) })
        }
    };
    let mut plans = BTreeMap::new();
    for (name, plan) in &pricing.plans {
        let field = |what: &str| format!("pricing.plans.{name}.{what}");
        let amount = Usdt::parse(&plan.amount).map_err(|why| input(&field("amount"), why))?;
        let credits = Credits::parse(&plan.credits).map_err(|why| input(&field("credits"), why))?;
        if amount.is_zero() || credits.is_zero() {
            return Err(input(&field("amount"), "and credits must be above zero"));
        }
        plans.insert(name.clone(), (amount, credits));
    }
    Ok(Pricing { rate, plans })
}

#[cfg(test)]
mod tests;
