//! Chain against books: what each says, compared.
//!
//! In: the books at one moment, and what was read of the chains by a path of its own.
//! Out: a disposition for every deposit, a line for every discrepancy.
//! Never: I/O, a clock, a repair. Why: a proof is a function of what was seen, or it is none.

mod balances;
mod books;
mod cause;
mod chain;
mod code;
mod compare;
mod grants;
mod journals;
mod left;
mod observed;
mod report;

pub use books::{Books, Frame, Group, Unacknowledged};
pub use code::{Code, Severity};
pub use compare::{Comparison, compare};
pub use observed::{Disagreement, Gap, Observed, Seen, TokenEvent};
pub use report::{CutOff, Disposition, Finding, FindingId, Line, Report};
