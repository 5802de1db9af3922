//! Our accounts in the spelling of two programs with opinions about names.
//!
//! In: an account or an asset. Out: a name that the program takes.
//! Never: one name for two accounts. Why: a merged account hides an error that is none in the sum.

use payments::address::{Address, lower_hex};
use payments::ledger::{Account, Asset};
use sha2::{Digest, Sha256};

/// What an account is to an accountant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Assets,
    Liabilities,
    Equity,
    Income,
    Expenses,
}

/// The class of an account, and the parts of its name below it.
pub(super) fn parts(account: &Account) -> (Class, Vec<String>) {
    let hex = |address: &Address| format!("0x{}", lower_hex(&address.0));
    let own = |text: &str| text.to_owned();
    match account {
        Account::Custody(chain, address) => {
            (Class::Assets, vec![own("custody"), chain.to_string(), hex(address)])
        }
        Account::Treasury(chain) => (Class::Assets, vec![own("treasury"), chain.to_string()]),
        Account::Order(order) => (Class::Liabilities, vec![own("order"), order.to_string()]),
        Account::Suspense(kind) => (Class::Liabilities, vec![own("suspense"), own(kind.word())]),
        Account::RefundsPayable => (Class::Liabilities, vec![own("refunds_payable")]),
        Account::Customer(customer) => {
            (Class::Liabilities, vec![own("customer"), customer.to_string()])
        }
        Account::Issued => (Class::Equity, vec![own("issued")]),
        Account::Sales => (Class::Income, vec![own("sales")]),
        Account::Dust => (Class::Income, vec![own("dust")]),
        Account::Fees => (Class::Income, vec![own("fees")]),
        Account::Kept => (Class::Income, vec![own("kept")]),
        Account::Lost => (Class::Expenses, vec![own("lost")]),
    }
}

/// hledger takes nearly anything; a name of ours has no space and no colon inside a part.
pub(super) fn hledger(account: &Account) -> String {
    let (class, parts) = parts(account);
    let class = match class {
        Class::Assets => "assets",
        Class::Liabilities => "liabilities",
        Class::Equity => "equity",
        Class::Income => "revenues",
        Class::Expenses => "expenses",
    };
    format!("{class}:{}", parts.join(":"))
}

/// A commodity with anything but letters stands in quotes.
pub(super) fn hledger_asset(asset: &Asset) -> String {
    format!("\"{asset}\"")
}

/// The parts of an account of beancount begin with a capital or a digit, and hold letters, digits
/// and dashes.
pub(super) fn beancount(account: &Account) -> String {
    let (class, parts) = parts(account);
    let class = match class {
        Class::Assets => "Assets",
        Class::Liabilities => "Liabilities",
        Class::Equity => "Equity",
        Class::Income => "Income",
        Class::Expenses => "Expenses",
    };
    let parts: Vec<String> = parts.iter().map(|part| beancount_part(part)).collect();
    format!("{class}:{}", parts.join(":"))
}

/// A dash is doubled and what is not allowed becomes a dash and a letter, so that two names stay
/// two; what must not begin a part is put behind `X-x`.
fn beancount_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    if !text.starts_with(|first: char| first.is_ascii_uppercase() || first.is_ascii_digit()) {
        part.push_str("X-x");
    }
    for letter in text.chars() {
        match letter {
            '-' => part.push_str("--"),
            '.' => part.push_str("-p"),
            '_' => part.push_str("-u"),
            other => part.push(other),
        }
    }
    part
}

/// A currency of beancount has up to 24 capitals, digits, dots, dashes and underscores, and ends
/// with a capital or a digit. A chain whose name does not fit is known by its digest.
pub(super) fn beancount_asset(asset: &Asset) -> String {
    let Asset::Usdt(chain) = asset else {
        return asset.to_string();
    };
    let name = chain.as_str();
    let fits = name.len() <= 18
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        && name.ends_with(|last: char| last.is_ascii_alphanumeric());
    if fits {
        return format!("USDT.{}", name.to_uppercase());
    }
    let digest = lower_hex(&Sha256::digest(name.as_bytes())).to_uppercase();
    format!("USDT.X_{}", digest.chars().take(16).collect::<String>())
}

#[cfg(test)]
mod tests {
    use payments::name::{ChainName, OrderId};

    use super::*;

    fn order(id: &str) -> String {
        beancount(&Account::Order(OrderId::new(id).unwrap()))
    }

    #[test]
    fn two_names_stay_two() {
        let ids = ["A-1", "A.1", "A_1", "A--1", "A-p1", "a-1", "X-xa-1", "-", ".", "_", "1"];
        let mut spelled: Vec<String> = ids.iter().map(|id| order(id)).collect();
        spelled.sort_unstable();
        spelled.dedup();
        assert_eq!(spelled.len(), ids.len(), "{spelled:?}");
        assert_eq!(order("A-1"), "Liabilities:X-xorder:A--1");
        assert_eq!(order("a.b"), "Liabilities:X-xorder:X-xa-pb");
    }

    #[test]
    fn currencies_fit() {
        let asset = |name: &str| beancount_asset(&Asset::Usdt(ChainName::new(name).unwrap()));
        assert_eq!(asset("ethereum"), "USDT.ETHEREUM");
        let long = "a-chain-with-a-very-long-name-indeed";
        for name in [long, "ETHEREUM", "chain-"] {
            assert!(asset(name).starts_with("USDT.X_") && asset(name).len() <= 24, "{name}");
        }
        assert_eq!(beancount_asset(&Asset::Credit), "CREDIT");
    }
}
