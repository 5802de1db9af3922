//! Proof reports: what the ledger says at one moment, for somebody who does not trust us.
//!
//! In: one state of the books. Out: a file that can be checked by itself, and against the books.
//! Never: more than was proved; each report says what it does not prove.
//! Why: an auditor takes a file home.

mod books;
mod check;
mod make;
mod report;
mod said;

pub use check::verify;
pub use make::make;
