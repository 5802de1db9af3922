//! Amounts: whole millionths, checked.
//!
//! In: decimal text, a token's raw units. Out: the same, exactly, or a named refusal.
//! Never: a float, a silent rounding, a wrapped sum.
//! Why: a cent that is lost in a conversion is lost for good; here it cannot compile into one.

use std::fmt;

use ruint::aliases::U256;
use rust_decimal::Decimal;

/// Decimal places of both assets: a USDT and a credit are counted in millionths.
pub const SCALE: u32 = 6;

/// Why a text or a raw value is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text is not a plain decimal number (exponents, spaces and separators are refused).
    #[error("`{0}` is not a decimal number such as 100.00")]
    NotANumber(String),
    /// The text is below zero.
    #[error("`{0}` is below zero")]
    Negative(String),
    /// The text has more than six decimals.
    #[error("`{0}` has more than 6 decimals")]
    TooManyDecimals(String),
    /// The value does not fit the range of the books.
    #[error("`{0}` is beyond the largest amount, 9223372036854.775807")]
    OutOfRange(String),
}

/// Parses plain decimal text into millionths.
fn parse_micro(text: &str) -> Result<i64, AmountError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        && digits.chars().filter(|c| *c == '.').count() <= 1;
    if !plain {
        return Err(AmountError::NotANumber(text.chars().take(40).collect()));
    }
    if text.starts_with('-') {
        return Err(AmountError::Negative(text.chars().take(40).collect()));
    }
    let decimals = digits.split_once('.').map_or("", |(_, fraction)| fraction);
    if decimals.len() > 6 {
        return Err(AmountError::TooManyDecimals(text.chars().take(40).collect()));
    }
    let out_of_range = || AmountError::OutOfRange(text.chars().take(40).collect());
    let value = Decimal::from_str_exact(digits).map_err(|_| out_of_range())?;
    let micro = value.checked_mul(Decimal::from(1_000_000u32)).ok_or_else(out_of_range)?;
    i64::try_from(micro.normalize()).map_err(|_| out_of_range())
}

/// Writes millionths as decimal text with at least `least` decimals.
fn write_micro(micro: i64, least: u32, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut value = Decimal::new(micro, SCALE).normalize();
    value.rescale(value.scale().max(least));
    out.pad(&value.to_string())
}

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident, $least:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The largest amount the books hold.
            pub const MAX: Self = Self(i64::MAX);

            /// From millionths; `None` below zero.
            #[must_use]
            pub const fn from_micro(micro: i64) -> Option<Self> {
                if micro < 0 { None } else { Some(Self(micro)) }
            }

            /// The amount in millionths.
            #[must_use]
            pub const fn micro(self) -> i64 {
                self.0
            }

            /// Whether this is nothing.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// From decimal text such as `100.00`.
            ///
            /// # Errors
            /// [`AmountError`] names what is wrong with the text.
            pub fn parse(text: &str) -> Result<Self, AmountError> {
                parse_micro(text).map(Self)
            }

            /// The sum; `None` beyond [`Self::MAX`].
            #[must_use]
            pub fn plus(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// The difference; `None` below zero.
            #[must_use]
            pub fn minus(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).and_then(Self::from_micro)
            }

            /// The difference, or nothing where it would be below zero.
            #[must_use]
            pub fn minus_or_zero(self, other: Self) -> Self {
                self.minus(other).unwrap_or(Self::ZERO)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_micro(self.0, $least, out)
            }
        }
    };
}

amount!(
    /// USDT in millionths, never below zero. Written with at least two decimals.
    Usdt,
    2
);
amount!(
    /// Credits in millionths, never below zero. Written without trailing zeros.
    Credits,
    0
);

impl Usdt {
    /// The amount of `raw` base units of a token with `decimals` decimals, rounded down to a
    /// millionth. The raw units are kept beside it wherever it is stored.
    ///
    /// # Errors
    /// [`AmountError::OutOfRange`] beyond the books' range.
    pub fn from_raw(raw: U256, decimals: u8) -> Result<Self, AmountError> {
        let out_of_range = || AmountError::OutOfRange(raw.to_string());
        let ten = U256::from(10u8);
        let scale = u8::try_from(SCALE).unwrap_or(6);
        let micro = if let Some(over) = decimals.checked_sub(scale) {
            // A divisor beyond 256 bits leaves nothing of any 256-bit value.
            ten.checked_pow(U256::from(over))
                .and_then(|divisor| raw.checked_div(divisor))
                .unwrap_or_default()
        } else {
            let factor = ten.checked_pow(U256::from(scale.saturating_sub(decimals)));
            factor.and_then(|factor| raw.checked_mul(factor)).ok_or_else(out_of_range)?
        };
        i64::try_from(micro).map(Self).map_err(|_| out_of_range())
    }

    /// The raw base units of this amount in a token with `decimals` decimals; `None` where the
    /// token cannot express it.
    #[must_use]
    pub fn to_raw(self, decimals: u8) -> Option<U256> {
        let ten = U256::from(10u8);
        let micro = U256::try_from(self.0).ok()?;
        let scale = u8::try_from(SCALE).unwrap_or(6);
        if let Some(over) = decimals.checked_sub(scale) {
            return micro.checked_mul(ten.checked_pow(U256::from(over))?);
        }
        let divisor = ten.checked_pow(U256::from(scale.saturating_sub(decimals)))?;
        if micro.checked_rem(divisor)?.is_zero() { micro.checked_div(divisor) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_in_and_out_exactly() {
        for (text, micro, back) in [
            ("100.00", 100_000_000, "100.00"),
            ("0.000001", 1, "0.000001"),
            ("99.95", 99_950_000, "99.95"),
            ("0", 0, "0.00"),
            ("00012.5", 12_500_000, "12.50"),
            ("9223372036854.775807", i64::MAX, "9223372036854.775807"),
        ] {
            let amount = Usdt::parse(text).unwrap();
            assert_eq!(amount.micro(), micro, "{text}");
            assert_eq!(amount.to_string(), back);
        }
        assert_eq!(Credits::parse("10000").unwrap().to_string(), "10000");
        assert_eq!(Credits::parse("0.5").unwrap().to_string(), "0.5");
    }

    #[test]
    fn refusals_are_named() {
        use AmountError as E;
        for text in ["", "abc", "1e3", "1,5", " 1", "1.", ".5", "1.2.3", "+1", "--1", "0x1", "١"] {
            assert!(matches!(Usdt::parse(text), Err(E::NotANumber(_))), "{text}");
        }
        assert!(matches!(Usdt::parse("-1"), Err(E::Negative(_))));
        assert!(matches!(Usdt::parse("1.0000001"), Err(E::TooManyDecimals(_))));
        assert!(matches!(Usdt::parse("9223372036854.775808"), Err(E::OutOfRange(_))));
        assert!(matches!(Usdt::parse(&"9".repeat(60)), Err(E::OutOfRange(_))));
    }

    #[test]
    fn raw_units_by_decimals() {
        let raw = U256::from(1_234_567_890_123_456_789u64);
        assert_eq!(Usdt::from_raw(raw, 18).unwrap().micro(), 1_234_567);
        assert_eq!(Usdt::from_raw(U256::from(5u8), 6).unwrap().micro(), 5);
        assert_eq!(Usdt::from_raw(U256::from(5u8), 2).unwrap().micro(), 50_000);
        assert_eq!(Usdt::from_raw(U256::MAX, 255).unwrap().micro(), 0);
        assert!(Usdt::from_raw(U256::MAX, 6).is_err());
        assert!(Usdt::from_raw(U256::MAX, 0).is_err());
        let amount = Usdt::parse("12.34").unwrap();
        assert_eq!(amount.to_raw(18).unwrap(), U256::from(12_340_000_000_000_000_000u128));
        assert_eq!(amount.to_raw(2).unwrap(), U256::from(1234u16));
        assert_eq!(amount.to_raw(1), None);
    }

    #[test]
    fn sums_do_not_wrap() {
        assert_eq!(Usdt::MAX.plus(Usdt(1)), None);
        assert_eq!(Usdt::ZERO.minus(Usdt(1)), None);
        assert_eq!(Usdt(5).minus_or_zero(Usdt(7)), Usdt::ZERO);
    }
}
