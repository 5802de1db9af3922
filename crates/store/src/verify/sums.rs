//! Whether every balance is the sum of its entries, without a sum for each account.
//!
//! In: every side of every entry, and every balance. Out: whether they cancel out.
//! Never: as much memory as there are accounts, nor a sort of all entries.
//! Why: each amount is multiplied by a coefficient of its account, asset and side that is drawn
//! anew for every verification. Where one sum differs, all of them together are nothing for one
//! draw in 2^64; which one it is, the database is asked then.

use std::hash::{BuildHasher, RandomState};

use payments::ledger::Journal;

use crate::error::Error;
use crate::reading::Reading;
use crate::row::Fields;
use crate::sql::{Binds, PACKED_END, packed};

/// Balances that are read at once.
const PAGE: i64 = 10_000;

/// What the entries so far make, less what the balances so far say.
pub(super) struct Sums {
    coefficients: RandomState,
    left: u128,
}

#[derive(Clone, Copy, Hash)]
enum Side {
    Debit,
    Credit,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { coefficients: RandomState::new(), left: 0 }
    }

    /// Whether the balances are what the entries make.
    pub(super) const fn agree(&self) -> bool {
        self.left == 0
    }

    /// Adds the entries of a journal.
    pub(super) fn add(&mut self, journal: &Journal) {
        for entry in &journal.entries {
            let asset = entry.asset.to_string();
            let sides = [(&entry.debit, Side::Debit), (&entry.credit, Side::Credit)];
            for (account, side) in sides {
                let share = self.share(&account.to_string(), &asset, side, entry.amount);
                self.left = self.left.wrapping_add(share);
            }
        }
    }

    /// Takes away every balance.
    pub(super) async fn take_balances(&mut self, reading: &mut Reading) -> Result<(), Error> {
        let from = "FROM (SELECT * FROM balances WHERE (account, asset) > ($1, $2) \
            ORDER BY account, asset LIMIT $3) AS b";
        let columns = ["b.account", "b.asset", "b.debits", "b.credits"];
        let text = packed(&columns, from) + PACKED_END;
        let mut last = (String::new(), String::new());
        loop {
            let mut binds = Binds::default();
            binds.text(last.0.clone())?;
            binds.text(last.1.clone())?;
            binds.int(PAGE)?;
            let before = last.clone();
            reading
                .link()
                .select(text.clone(), binds, |line| {
                    let mut fields = Fields::new("balances", line);
                    let (account, asset) = (fields.text("account")?, fields.text("asset")?);
                    for (column, side) in [("debits", Side::Debit), ("credits", Side::Credit)] {
                        let share = self.share(account, asset, side, fields.int(column)?);
                        self.left = self.left.wrapping_sub(share);
                    }
                    if (account, asset) > (&last.0, &last.1) {
                        last = (account.to_owned(), asset.to_owned());
                    }
                    Ok(())
                })
                .await?;
            if last == before {
                return Ok(());
            }
        }
    }

    /// An amount times the coefficient of where it is.
    fn share(&self, account: &str, asset: &str, side: Side, amount: i64) -> u128 {
        let coefficient = self.coefficients.hash_one((account, asset, side));
        // Below zero it is its complement: sums and differences stay what they are.
        let amount = i128::from(amount).cast_unsigned();
        u128::from(coefficient).wrapping_mul(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_taken_away_is_nothing_and_nothing_else_is() {
        let mut sums = Sums::new();
        let places = [
            ("sales", "USDT.tron", Side::Credit, 5),
            ("sales", "USDT.tron", Side::Debit, 7),
            ("sales", "CREDIT", Side::Credit, i64::MAX),
            ("order:A", "USDT.tron", Side::Credit, -3),
        ];
        for (account, asset, side, amount) in places {
            sums.left = sums.left.wrapping_add(sums.share(account, asset, side, amount));
        }
        assert!(!sums.agree());
        for (account, asset, side, amount) in places {
            let share = sums.share(account, asset, side, amount);
            sums.left = sums.left.wrapping_sub(share);
        }
        assert!(sums.agree());
        // The same amount of another account, another asset, another side.
        for other in [
            ("sale", "USDT.tron", Side::Credit),
            ("sales", "USDT.bsc", Side::Credit),
            ("sales", "USDT.tron", Side::Debit),
        ] {
            let (one, another) = (
                sums.share("sales", "USDT.tron", Side::Credit, 5),
                sums.share(other.0, other.1, other.2, 5),
            );
            assert_ne!(one, another);
        }
    }
}
