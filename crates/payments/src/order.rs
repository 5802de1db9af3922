//! An order, and its status, computed from its deposits.
//!
//! In: the order's terms and the facts recorded since. Out: one status word.
//! Never: a stored status. Why: a second truth would one day disagree with the first.

use crate::address::Address;
use crate::amount::{Credits, Usdt};
use crate::case::{Case, CaseKind};
use crate::deposit::{Deposit, DepositId, State};
use crate::ledger::{Account, Journal};
use crate::name::{ChainName, CustomerId, OrderId};
use crate::time::Time;

/// What a customer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// These credits for the amount due.
    Fixed(Credits),
    /// Credits by the amount: `floor(millionths of USDT × num / den)` millionths of a credit.
    Rate {
        /// Millionths of a credit …
        num: u64,
        /// … for so many millionths of a USDT. Never zero.
        den: u64,
    },
}

/// Whether what went wrong waits for a person, or is credited at the order's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Wait for a person.
    Hold,
    /// Credit what arrived, at the order's rate.
    Credit,
}

/// The rules an order was made under. Frozen with it: a later change of the config touches later
/// orders only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How far below the amount due still covers it.
    pub tolerance: Usdt,
    /// Deposits below this are recorded as dust.
    pub dust: Usdt,
    /// Milliseconds after expiry or cancelling in which a deposit still counts.
    pub late_window: i64,
    /// What happens to less than the amount due at expiry.
    pub underpaid: Policy,
    /// What happens to the excess over the amount due.
    pub overpaid: Policy,
    /// What happens to a deposit after the late window.
    pub late: Policy,
}

/// What a customer asked to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The shop's id.
    pub id: OrderId,
    /// Who gets the credits.
    pub customer: CustomerId,
    /// The chain it is to be paid on.
    pub chain: ChainName,
    /// The amount due; none for an open order, a top-up of any amount.
    pub due: Option<Usdt>,
    /// What the customer gets.
    pub price: Price,
    /// When it was made.
    pub created_at: Time,
    /// When it expires; an open order may never.
    pub expires_at: Option<Time>,
    /// The deposit address, for ever its own.
    pub address: Address,
    /// The index the address was derived at; none for an imported one.
    pub address_index: Option<u32>,
    /// The only refund destination that needs no second person.
    pub refund_to: Option<Address>,
    /// The shop's own words, as JSON text.
    pub metadata: Option<String>,
    /// The rules it was made under.
    pub terms: Terms,
}

/// The status of an order, computed when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nothing arrived yet.
    AwaitingPayment,
    /// Enough has been seen, not all of it final.
    Confirming,
    /// Something arrived, not enough.
    PartiallyPaid,
    /// Covered; the credits are granted.
    Paid,
    /// Its time is over and it is not covered. It can still become paid.
    Expired,
    /// The shop took it back.
    Cancelled,
}

impl Order {
    /// What is told of it when it is made: whose it is, what is due, what that buys, and where.
    #[must_use]
    pub fn announcement(&self) -> Vec<(&'static str, String)> {
        let mut data = vec![("customer", self.customer.to_string())];
        if let Some(due) = self.due {
            data.push(("amount", due.to_string()));
        }
        if let Price::Fixed(credits) = self.price {
            data.push(("credits", credits.to_string()));
        }
        data.push(("address", self.address.to_string()));
        data
    }

    /// Why its price cannot be kept, where it credits whatever arrives: what it credits for a
    /// payment of [`MOST`] is beyond the books.
    #[must_use]
    pub fn beyond_the_books(&self) -> Option<String> {
        let any = self.due.is_none() || self.terms.overpaid == Policy::Credit;
        if !any || self.price.credits(MOST, self.due).is_some() {
            return None;
        }
        let (num, den) = self.price.rate(self.due)?;
        let rate = match (num.checked_rem(den), num.checked_div(den)) {
            (Some(0), Some(whole)) => whole.to_string(),
            _ => format!("{num}/{den}"),
        };
        Some(format!(
            "is {rate} credits for 1 USDT: those for {MOST} USDT are beyond the range of the books"
        ))
    }

    /// Milliseconds from its making to its expiry; none where it waits for ever.
    #[must_use]
    pub fn lifetime(&self) -> Option<i64> {
        self.expires_at.map(|at| at.0.saturating_sub(self.created_at.0))
    }
}

impl Status {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AwaitingPayment => "awaiting_payment",
            Self::Confirming => "confirming",
            Self::PartiallyPaid => "partially_paid",
            Self::Paid => "paid",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The payment that an open order, and one that credits what is above its due, must be able to
/// credit: far above any that a shop gets. At the highest price that this leaves, 92,233 credits
/// for 1 USDT, the books also hold the sum of what is credited for as much, over all orders.
pub const MOST: Usdt = match Usdt::from_micro(100_000_000_000_000) {
    Some(most) => most,
    None => Usdt::MAX,
};

/// An order with everything recorded about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dossier {
    /// The order.
    pub order: Order,
    /// Rises with every commit that touches the order.
    pub version: u64,
    /// When it was covered: the block time of the deposit that covered it.
    pub paid: Option<Time>,
    /// When a finalized block past `expires_at` found it not covered.
    pub expired: Option<Time>,
    /// When the shop took it back.
    pub cancelled: Option<Time>,
    /// Its deposits in the order they were first recorded.
    pub deposits: Vec<Deposit>,
    /// Its cases, oldest first.
    pub cases: Vec<Case>,
    /// Its journals, oldest first.
    pub journals: Vec<Journal>,
}

impl Dossier {
    /// Whether all that is recorded of it may be worth more than the books hold; then what is, is
    /// not judged.
    #[must_use]
    pub fn may_exceed_the_books(&self) -> bool {
        let mut amounts = self.deposits.iter().map(|deposit| deposit.amount);
        let sum = amounts.try_fold(self.order.due.unwrap_or_default(), Usdt::plus);
        sum.is_none_or(|sum| self.order.price.credits(sum, self.order.due).is_none())
    }

    /// The cases that nobody has decided about.
    pub fn open_cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.decision.is_none())
    }

    /// A new order of which nothing else is recorded.
    #[must_use]
    pub const fn new(order: Order) -> Self {
        Self {
            order,
            version: 0,
            paid: None,
            expired: None,
            cancelled: None,
            deposits: Vec::new(),
            cases: Vec::new(),
            journals: Vec::new(),
        }
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.paid.is_some() {
            return Status::Paid;
        }
        let seen = self.sum(|deposit| {
            let may_count = deposit.state == State::Pending && !self.is_too_late_at(deposit.time);
            may_count || Self::is_counting(deposit.state)
        });
        if self.cancelled.is_some() {
            Status::Cancelled
        } else if !seen.is_zero() && self.covers(seen) {
            Status::Confirming
        } else if self.expired.is_some() {
            Status::Expired
        } else if seen.is_zero() {
            Status::AwaitingPayment
        } else {
            Status::PartiallyPaid
        }
    }

    /// What is final and counts towards the amount due.
    #[must_use]
    pub fn counted(&self) -> Usdt {
        self.sum(|deposit| Self::is_counting(deposit.state))
    }

    /// What has been seen on the order's chain and is not yet final.
    #[must_use]
    pub fn pending(&self) -> Usdt {
        self.sum(|deposit| deposit.state == State::Pending)
    }

    /// Whether something was seen on its chain that came too late to count: so will whatever comes
    /// after it.
    #[must_use]
    pub fn has_come_too_late(&self) -> bool {
        self.deposits.iter().any(|deposit| {
            deposit.state == State::Pending
                && deposit.id.chain == self.order.chain
                && self.is_too_late_at(deposit.time)
        })
    }

    /// Whether `amount` covers the order. Any amount covers an open one.
    #[must_use]
    pub fn covers(&self, amount: Usdt) -> bool {
        self.order.due.is_none_or(|due| amount >= due.minus_or_zero(self.order.terms.tolerance))
    }

    /// When deposits begin to be late: at expiry or cancelling, whichever came first.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        match (self.order.expires_at, self.cancelled) {
            (Some(expiry), Some(cancelled)) => Some(expiry.min(cancelled)),
            (expiry, cancelled) => expiry.or(cancelled),
        }
    }

    /// Whether a deposit of a block at `time` is late.
    pub(crate) fn is_over_at(&self, time: Time) -> bool {
        self.deadline().is_some_and(|deadline| time > deadline)
    }

    /// Whether a deposit of a block at `time` is so late that a person decides about it.
    pub(crate) fn is_too_late_at(&self, time: Time) -> bool {
        let Terms { late, late_window, .. } = self.order.terms;
        let window = self.deadline().map(|deadline| deadline.after(late_window));
        late == Policy::Hold && self.is_over_at(time) && window.is_some_and(|window| time > window)
    }

    /// Whether the order's time is over as far as finalized blocks tell.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.expired.is_some() || self.cancelled.is_some()
    }

    /// States of deposits whose amount counts towards the amount due.
    pub(crate) const fn is_counting(state: State) -> bool {
        matches!(state, State::Confirmed | State::Credited | State::Suspended(CaseKind::Underpaid))
    }

    fn sum(&self, counts: impl Fn(&Deposit) -> bool) -> Usdt {
        self.deposits
            .iter()
            .filter(|deposit| deposit.id.chain == self.order.chain)
            .filter(|deposit| deposit.reached(&self.order))
            .filter(|deposit| deposit.id.other_token.is_none() && counts(deposit))
            .filter(|deposit| deposit.amount >= self.order.terms.dust)
            .fold(Usdt::ZERO, |sum, deposit| sum.plus(self.worth(deposit)).unwrap_or(Usdt::MAX))
    }

    /// What of a deposit is the order's: all of it, but where an excess was counted for another
    /// order and what it exceeded is gone since, not that. The other order keeps what a person gave
    /// it; its own deposit stands.
    pub(crate) fn worth(&self, deposit: &Deposit) -> Usdt {
        let given = if self.paid.is_some() { 0 } else { given(&self.journals, &deposit.id) };
        deposit.amount.minus_or_zero(Usdt::from_micro(given).unwrap_or_default())
    }
}

impl Price {
    /// (numerator, denominator) of the credits for 1 USDT; `None` of fixed credits for any amount.
    fn rate(self, due: Option<Usdt>) -> Option<(u64, u64)> {
        match (self, due) {
            (Self::Rate { num, den }, _) => Some((num, den)),
            (Self::Fixed(credits), due) => {
                let due = u64::try_from(due?.micro()).ok()?;
                Some((u64::try_from(credits.micro()).ok()?, due))
            }
        }
    }

    /// The credits for `amount` of an order with `due`, rounded down, and the remainder that the
    /// rounding left: (credits, numerator over `den` of one millionth). `None` where the product
    /// is out of range.
    #[must_use]
    pub fn credits(self, amount: Usdt, due: Option<Usdt>) -> Option<(Credits, u64)> {
        let (num, den) = match (self, due) {
            (Self::Fixed(credits), None) => return Some((credits, 0)),
            _ => self.rate(due)?,
        };
        let product = u128::try_from(amount.micro()).ok()?.checked_mul(u128::from(num))?;
        let micro = product.checked_div(u128::from(den))?;
        let remainder = product.checked_rem(u128::from(den))?;
        let credits = Credits::from_micro(i64::try_from(micro).ok()?)?;
        Some((credits, u64::try_from(remainder).ok()?))
    }
}

/// Millionths of a deposit that are held apart as an excess. Of an order that is not paid any more
/// nothing is, but what a decision counts for another one.
pub(crate) fn given(journals: &[Journal], deposit: &DepositId) -> i64 {
    let held = Account::Suspense(CaseKind::Overpaid);
    let apart = journals.iter().filter(|journal| {
        journal.key.starts_with("suspend:") && journal.deposit.as_ref() == Some(deposit)
    });
    let stands = |journal: &&Journal| {
        let reversal = format!("reverse:{}", journal.key);
        !journals.iter().any(|other| other.key == reversal)
    };
    let entries = apart.filter(stands).flat_map(|journal| &journal.entries);
    let entries = entries.filter(|entry| entry.credit == held);
    entries.fold(0, |sum: i64, entry| sum.saturating_add(entry.amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usdt(text: &str) -> Usdt {
        Usdt::parse(text).unwrap()
    }

    #[test]
    fn prices_of_the_shop() {
        let rate = Price::Rate { num: 100, den: 1 };
        let credits = |text: &str| Credits::parse(text).unwrap();
        assert_eq!(rate.credits(usdt("20"), None), Some((credits("2000"), 0)));
        let pack = Price::Fixed(credits("500"));
        assert_eq!(pack.credits(usdt("45"), Some(usdt("45"))), Some((credits("500"), 0)));
        assert_eq!(
            pack.credits(usdt("50"), Some(usdt("45"))),
            Some((credits("555.555555"), 25_000_000))
        );
        assert_eq!(Price::Rate { num: u64::MAX, den: 1 }.credits(Usdt::MAX, None), None);
        assert_eq!(Price::Rate { num: 1, den: 0 }.credits(usdt("1"), None), None);
    }
}
