//! Names people give: chains, orders, customers.
//!
//! In: text from a config or a shop. Out: a name safe in an account, a URL and a log line.
//! Never: an empty one, a colon or a space. Why: names are parts of ledger accounts and keys.

use std::fmt;
use std::sync::Arc;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}` must be 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
pub struct NameError {
    /// Which kind of name.
    pub what: &'static str,
    /// The beginning of what was given.
    pub text: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and keeps a name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, too long or has other characters.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let fits = (1..=64).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
                if fits {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { what: $what, text: text.chars().take(64).collect() })
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }
    };
}

name!(
    /// The configured name of a chain: `ethereum`, `tron`, `bsc`.
    ChainName,
    "chain"
);
name!(
    /// The shop's own id of an order.
    OrderId,
    "order id"
);
name!(
    /// The shop's own id of a customer.
    CustomerId,
    "customer id"
);
