//! The ledger: accounts, entries, journals.
//!
//! In: a cause. Out: entries that each name the account debited and the account credited.
//! Never: an unbalanced entry (there is no way to write one), a repeated key, two assets in one.
//! Why: books that cannot be wrong in form leave only the rules to be checked.

use std::collections::BTreeMap;
use std::fmt;

use crate::address::{Address, from_hex, prefixed_hex};
use crate::amount::{Credits, Usdt};
use crate::case::CaseKind;
use crate::deposit::DepositId;
use crate::name::{ChainName, CustomerId, OrderId};
use crate::time::Time;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asset {
    /// USDT on one chain.
    Usdt(ChainName),
    /// The unit customers spend.
    Credit,
}

impl fmt::Display for Asset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usdt(chain) => padded(out, |out| write!(out, "USDT.{chain}")),
            Self::Credit => out.pad("CREDIT"),
        }
    }
}

impl Asset {
    /// Parses what [`fmt::Display`] writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "CREDIT" {
            return Some(Self::Credit);
        }
        ChainName::new(text.strip_prefix("USDT.")?).ok().map(Self::Usdt)
    }
}

/// Where value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// The token's balance of one of our addresses on a chain.
    Custody(ChainName, Address),
    /// What arrived for an order and is not yet settled.
    Order(OrderId),
    /// Sold.
    Sales,
    /// Waiting for a person.
    Suspense(CaseKind),
    /// Deposits below the dust limit.
    Dust,
    /// Promised back and not yet seen on chain.
    RefundsPayable,
    /// Kept for refunding.
    Fees,
    /// Kept by a person's decision: neither sold nor owed to anybody.
    Kept,
    /// Moved out of the deposit addresses of a chain.
    Treasury(ChainName),
    /// What the token itself took: destroyed by its owner, or its fee for a sweep.
    Lost,
    /// All credits ever granted.
    Issued,
    /// The credits of a customer.
    Customer(CustomerId),
}

impl fmt::Display for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        padded(out, |out| match self {
            Self::Custody(chain, address) => {
                write!(out, "custody:{chain}:{}", prefixed_hex(&address.0))
            }
            Self::Order(order) => write!(out, "order:{order}"),
            Self::Sales => out.write_str("sales"),
            Self::Suspense(kind) => write!(out, "suspense:{}", kind.word()),
            Self::Dust => out.write_str("dust"),
            Self::RefundsPayable => out.write_str("refunds_payable"),
            Self::Fees => out.write_str("fees"),
            Self::Kept => out.write_str("kept"),
            Self::Treasury(chain) => write!(out, "treasury:{chain}"),
            Self::Lost => out.write_str("lost"),
            Self::Issued => out.write_str("issued"),
            Self::Customer(customer) => write!(out, "customer:{customer}"),
        })
    }
}

/// Writes at once, or pads what is written to the width of a column.
fn padded(
    out: &mut fmt::Formatter<'_>,
    write: impl Fn(&mut dyn fmt::Write) -> fmt::Result,
) -> fmt::Result {
    if out.width().is_none() {
        return write(out);
    }
    let mut text = String::new();
    write(&mut text)?;
    out.pad(&text)
}

impl Account {
    /// Parses what [`fmt::Display`] writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once(':').unwrap_or((text, ""));
        Some(match (head, rest) {
            ("sales", "") => Self::Sales,
            ("dust", "") => Self::Dust,
            ("refunds_payable", "") => Self::RefundsPayable,
            ("fees", "") => Self::Fees,
            ("kept", "") => Self::Kept,
            ("lost", "") => Self::Lost,
            ("issued", "") => Self::Issued,
            ("order", id) => Self::Order(OrderId::new(id).ok()?),
            ("customer", id) => Self::Customer(CustomerId::new(id).ok()?),
            ("suspense", kind) => Self::Suspense(CaseKind::parse(kind)?),
            ("treasury", chain) => Self::Treasury(ChainName::new(chain).ok()?),
            ("custody", rest) => {
                let (chain, address) = rest.split_once(':')?;
                let address = Address(from_hex(address.strip_prefix("0x")?)?);
                Self::Custody(ChainName::new(chain).ok()?, address)
            }
            _ => return None,
        })
    }

    /// Whether its balance (credits less debits) may never be below zero.
    #[must_use]
    pub const fn is_bounded_by_credits(&self) -> bool {
        matches!(self, Self::Order(_) | Self::Suspense(_) | Self::RefundsPayable | Self::Dust)
    }

    /// Whether its balance (debits less credits) may never be below zero.
    #[must_use]
    pub const fn is_bounded_by_debits(&self) -> bool {
        matches!(self, Self::Custody(..))
    }
}

/// One movement: it *is* (debit, credit, amount), so it cannot be unbalanced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is moved; both accounts hold the same asset.
    pub asset: Asset,
    /// The account debited.
    pub debit: Account,
    /// The account credited.
    pub credit: Account,
    /// Millionths, above zero.
    pub amount: i64,
}

impl Entry {
    /// A movement of USDT on a chain; `None` for nothing.
    #[must_use]
    pub fn usdt(chain: &ChainName, debit: Account, credit: Account, amount: Usdt) -> Option<Self> {
        let asset = Asset::Usdt(chain.clone());
        (!amount.is_zero()).then_some(Self { asset, debit, credit, amount: amount.micro() })
    }

    /// A grant of credits to a customer; `None` for nothing.
    #[must_use]
    pub fn grant(customer: &CustomerId, amount: Credits) -> Option<Self> {
        (!amount.is_zero()).then(|| Self {
            asset: Asset::Credit,
            debit: Account::Issued,
            credit: Account::Customer(customer.clone()),
            amount: amount.micro(),
        })
    }
}

/// The entries of one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The natural key, unique for ever: `deposit:<id>`, `paid:<order>`, `reverse:<key>` …
    pub key: String,
    /// The order it concerns.
    pub order: Option<OrderId>,
    /// The deposit it concerns.
    pub deposit: Option<DepositId>,
    /// When it took effect: the block's time.
    pub effective: Time,
    /// When it was recorded.
    pub recorded: Time,
    /// What rounding a price left, in parts of a millionth of a credit: the numerator over the
    /// price's denominator.
    pub remainder: u64,
    /// The movements, in the order they are to be applied.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// The journal that undoes this one: the same entries, sides exchanged, last first.
    #[must_use]
    pub fn reversed(&self, recorded: Time) -> Self {
        let entries = self.entries.iter().rev().cloned().map(|entry| Entry {
            debit: entry.credit,
            credit: entry.debit,
            ..entry
        });
        Self {
            key: format!("reverse:{}", self.key),
            order: self.order.clone(),
            deposit: self.deposit.clone(),
            effective: self.effective,
            recorded,
            remainder: self.remainder,
            entries: entries.collect(),
        }
    }
}

/// Debits and credits of every account of every asset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Balances(pub BTreeMap<(Asset, Account), Sides>);

/// The two sides of an account, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sides {
    /// All that was debited.
    pub debits: i128,
    /// All that was credited.
    pub credits: i128,
}

impl Sides {
    /// Credits less debits.
    #[must_use]
    pub const fn net(self) -> i128 {
        self.credits.saturating_sub(self.debits)
    }
}

impl Balances {
    /// Adds the entries of a journal.
    pub fn add(&mut self, journal: &Journal) {
        for entry in &journal.entries {
            let amount = i128::from(entry.amount);
            let debit = (entry.asset.clone(), entry.debit.clone());
            let side = self.0.entry(debit).or_default();
            side.debits = side.debits.saturating_add(amount);
            let credit = (entry.asset.clone(), entry.credit.clone());
            let side = self.0.entry(credit).or_default();
            side.credits = side.credits.saturating_add(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_spell_and_parse() {
        let chain = ChainName::new("ethereum").unwrap();
        for account in [
            Account::Custody(chain.clone(), Address([7; 20])),
            Account::Order(OrderId::new("A-1").unwrap()),
            Account::Suspense(CaseKind::WrongNetwork),
            Account::Treasury(chain),
            Account::Customer(CustomerId::new("acme").unwrap()),
            Account::Sales,
            Account::Lost,
            Account::Issued,
        ] {
            assert_eq!(Account::parse(&account.to_string()), Some(account));
        }
        assert_eq!(Account::parse("sales:1"), None);
        assert_eq!(Account::parse("order:"), None);
    }

    #[test]
    fn a_reversal_undoes_every_entry() {
        let chain = ChainName::new("ethereum").unwrap();
        let order = Account::Order(OrderId::new("A").unwrap());
        let customer = CustomerId::new("acme").unwrap();
        let entries = vec![
            Entry::usdt(&chain, order, Account::Sales, Usdt::parse("5").unwrap()).unwrap(),
            Entry::grant(&customer, Credits::parse("7").unwrap()).unwrap(),
        ];
        let journal = Journal {
            key: "paid:A".to_owned(),
            order: None,
            deposit: None,
            effective: Time(0),
            recorded: Time(0),
            remainder: 0,
            entries,
        };
        let mut balances = Balances::default();
        balances.add(&journal);
        assert!(balances.0.values().any(|sides| sides.net() != 0));
        balances.add(&journal.reversed(Time(1)));
        assert!(balances.0.values().all(|sides| sides.net() == 0));
        assert_eq!(journal.reversed(Time(1)).key, "reverse:paid:A");
    }
}
