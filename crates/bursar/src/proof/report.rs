//! What a proof report holds.
//!
//! In: JSON. Out: the same, field by field. Never: an amount that is not decimal text.
//! Why: the one who writes it and the one who checks it read one definition.

use std::collections::BTreeMap;

use payments::address::lower_hex;
use payments::ledger::{Account, Asset};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of the format.
pub(super) const FORMAT: u32 = 1;

/// A proof report. Amounts are decimal text, debits less credits unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    pub(super) bursar_proof: u32,
    /// The version of the program that wrote it.
    pub(super) version: String,
    /// The sha256 of the config file; what it held beside is not in here.
    pub(super) config_sha256: String,
    pub(super) as_of: AsOf,
    /// Every account that was moved in the period or holds anything.
    pub(super) accounts: Vec<AccountLine>,
    /// Orders whose accounts began and ended the period with nothing, added up.
    pub(super) settled_orders: Vec<Settled>,
    /// What each of our addresses holds at the end.
    pub(super) custody: Vec<Custody>,
    /// What is owed at the end, by whom it is owed to: credits less debits.
    pub(super) liabilities: Vec<Liability>,
    /// How often each code was found in the books alone; those that are not named: never.
    pub(super) codes: Vec<Count>,
    /// What the last reconciliation with the chains found; none where there was none.
    pub(super) reconciled: Option<Reconciled>,
    /// Journals that are proved to be in the log.
    pub(super) inclusions: Vec<Inclusion>,
    pub(super) not_proved: Vec<String>,
    /// The sha256 of this report with this field empty, as JSON without spaces and with
    /// sorted keys.
    pub(super) digest: String,
}

/// A reconciliation as the books remember it. Nothing in the report proves it: whoever doubts it
/// runs it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reconciled {
    pub(super) run: u64,
    /// What it was as of.
    pub(super) as_of: Option<String>,
    pub(super) exit: u64,
    /// The last block of each chain that was compared.
    pub(super) heights: BTreeMap<String, u64>,
    /// How often each code was found; those that are not named: never.
    pub(super) codes: Vec<Count>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AsOf {
    pub(super) chains: Vec<Chain>,
    /// The number of the last journal, and the root of the log of all of them.
    pub(super) journals: u64,
    pub(super) log_root: String,
    pub(super) events: u64,
    /// The number of the first journal of the period.
    pub(super) first_journal: u64,
    /// When the last journal was recorded.
    pub(super) recorded_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chain {
    pub(super) chain: String,
    pub(super) height: Option<u64>,
    pub(super) block: Option<String>,
    pub(super) finalized_height: Option<u64>,
    pub(super) finalized_block: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountLine {
    pub(super) account: String,
    pub(super) asset: String,
    pub(super) opening: String,
    pub(super) debits: String,
    pub(super) credits: String,
    pub(super) closing: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settled {
    pub(super) asset: String,
    pub(super) orders: u64,
    /// What went in, and out again.
    pub(super) debits: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Custody {
    pub(super) chain: String,
    pub(super) address: String,
    pub(super) amount: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Liability {
    /// `order`, `suspense`, `customer` …: the kind of account.
    pub(super) to: String,
    pub(super) asset: String,
    pub(super) amount: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Count {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) found: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inclusion {
    pub(super) journal: u64,
    /// Its canonical text; the leaf of the log is the hash of a zero byte and this.
    pub(super) text: String,
    /// The hashes from the leaf to the root (RFC 9162, 2.1.3).
    pub(super) path: Vec<String>,
}

impl Report {
    /// What [`Self::digest`] must be.
    pub(super) fn compute_digest(&self) -> Result<String, serde_json::Error> {
        let bare = Self { digest: String::new(), ..self.clone() };
        // A value keeps its keys sorted, whatever the order of the fields here.
        let value = serde_json::to_value(&bare)?;
        Ok(lower_hex(&Sha256::digest(value.to_string().as_bytes())))
    }
}

/// The kind of an account, where what it holds is owed to somebody.
pub(super) fn owed(account: &Account) -> Option<&'static str> {
    match account {
        Account::Order(_) => Some("order"),
        Account::Suspense(_) => Some("suspense"),
        Account::RefundsPayable => Some("refunds_payable"),
        Account::Customer(_) => Some("customer"),
        _ => None,
    }
}

/// An account line of which both texts are ours.
pub(super) fn names(line: &AccountLine) -> Option<(Account, Asset)> {
    Some((Account::parse(&line.account)?, Asset::parse(&line.asset)?))
}

/// Millionths of a decimal text as [`crate::view::micro`] writes it; `None` for anything else.
pub(super) fn micro_of(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.')?;
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || fraction.len() > 6 {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<6}").parse().ok()?;
    let whole: i128 = whole.parse().ok()?;
    let micro = whole.checked_mul(1_000_000)?.checked_add(fraction)?;
    micro.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_back() {
        for value in [0, 1, -1, 100_000_000, -12_500_000, 99_950_001] {
            assert_eq!(micro_of(&crate::view::micro(value)), Some(value));
        }
        for text in ["", "1", "1.", ".5", "1.0000001", "+1.0", "1e3.0", "--1.0"] {
            assert_eq!(micro_of(text), None, "{text}");
        }
    }
}
