//! How orders are made: `[orders]`, and what a chain says otherwise in `[chains.NAME.orders]`.
//!
//! In: durations, amounts and policies as text. Out: the terms of a new order.
//! Never: a field that is given and passed over. Why: fees and habits differ from chain to chain,
//! and so does what may be missing of a payment.

use std::time::Duration;

use payments::amount::Usdt;
use payments::order::{Policy, Terms};

use super::{Orders, duration, file, usdt};
use crate::error::{Error, input};

/// `[orders]` where `base` is none; else what a chain says otherwise than `base`.
pub(super) fn read_orders(
    place: &str,
    orders: &file::Orders,
    base: Option<&Orders>,
) -> Result<Orders, Error> {
    let usual = Orders::default();
    let base = base.unwrap_or(&usual);
    let field = |what: &str| format!("{place}.{what}");
    let late = duration(
        &field("late_window"),
        orders.late_window.as_ref(),
        Duration::from_millis(u64::try_from(base.terms.late_window).unwrap_or(0)),
    )?;
    let expires_after = orders.expires_after.as_ref();
    let tolerance = orders.tolerance.as_ref();
    Ok(Orders {
        expires_after: duration(&field("expires_after"), expires_after, base.expires_after)?,
        terms: Terms {
            tolerance: usdt(&field("tolerance"), tolerance, base.terms.tolerance)?,
            dust: usdt(&field("dust"), orders.dust.as_ref(), base.terms.dust)?,
            late_window: i64::try_from(late.as_millis()).unwrap_or(i64::MAX),
            underpaid: policy(orders.underpaid, base.terms.underpaid),
            overpaid: policy(orders.overpaid, base.terms.overpaid),
            late: policy(orders.late, base.terms.late),
        },
        tolerance_ppm: match &orders.tolerance_percent {
            Some(percent) => ppm(&field("tolerance_percent"), percent)?,
            None => base.tolerance_ppm,
        },
    })
}

impl Default for Orders {
    /// What holds where nothing is said.
    fn default() -> Self {
        let terms = Terms {
            tolerance: Usdt::ZERO,
            dust: Usdt::from_micro(100_000).unwrap_or_default(),
            late_window: 24 * 3_600_000,
            underpaid: Policy::Hold,
            overpaid: Policy::Hold,
            late: Policy::Hold,
        };
        Self { expires_after: Duration::from_secs(30 * 60), terms, tolerance_ppm: 0 }
    }
}

/// A percentage with four decimals is a whole number of parts per million.
fn ppm(field: &str, percent: &str) -> Result<u32, Error> {
    let ppm = Usdt::parse(percent).map_err(|why| input(field, why))?.micro();
    if ppm % 100 != 0 || ppm > 50_000_000 {
        return Err(input(field, format!("`{percent}` must be 0 to 50 with at most 4 decimals")));
    }
    Ok(u32::try_from(ppm / 100).unwrap_or(0))
}

const fn policy(word: Option<file::PolicyWord>, base: Policy) -> Policy {
    match word {
        Some(file::PolicyWord::Credit) => Policy::Credit,
        Some(file::PolicyWord::Hold) => Policy::Hold,
        None => base,
    }
}
