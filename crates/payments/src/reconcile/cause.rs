//! What a journal's natural key says of its cause.
//!
//! In: a key. Out: the cause it names, and its round. Never: a guess; a key of no known shape is
//! nobody's. Why: a journal that nothing caused is how money is made up.

use crate::case::CaseKind;
use crate::deposit::DepositId;

/// What a journal was written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause<'a> {
    /// A deposit was confirmed: `deposit:<id>`.
    Deposit(DepositId),
    /// An order was covered, or one deposit of an open order: `paid:<order>[:<deposit>]`.
    Paid(&'a str, Option<DepositId>),
    /// An amount was held for a person: `suspend:<deposit>:<kind>`.
    Suspend(DepositId, CaseKind),
    /// It was let go of again: `release:<deposit>:<kind>`.
    Release(DepositId, CaseKind),
    /// Another journal was undone: `reverse:<key>`.
    Reverse(&'a str),
    /// A person decided a case, or a refund of it was seen: `resolve:<case>`, `refund:<case>`, with
    /// the deposit where there are several.
    Decision(&'a str),
    /// Something that is not about a deposit of the books: `sweep:…`.
    Other,
    /// No known shape.
    Unknown,
}

/// Keys of other causes, each checked where its cause is.
const OTHERS: [&str; 1] = ["sweep:"];

/// The cause that `key` names.
pub(super) fn cause(key: &str) -> Cause<'_> {
    if let Some(undone) = key.strip_prefix("reverse:") {
        return Cause::Reverse(undone);
    }
    let base = base(key);
    let Some((word, rest)) = base.split_once(':') else { return Cause::Unknown };
    let of_kind = |rest: &str| {
        let (id, kind) = rest.rsplit_once(':')?;
        // A deposit that a decision counts for another order has that in its name.
        let id = id.split('@').next()?;
        Some((DepositId::parse(id)?, CaseKind::parse(kind)?))
    };
    let found = match word {
        "deposit" => DepositId::parse(rest).map(Cause::Deposit),
        "paid" => match rest.split_once(':') {
            None => Some(Cause::Paid(rest, None)),
            Some((order, id)) => DepositId::parse(id).map(|id| Cause::Paid(order, Some(id))),
        },
        "suspend" => of_kind(rest).map(|(id, kind)| Cause::Suspend(id, kind)),
        "resolve" | "refund" => Some(Cause::Decision(rest)),
        "release" => of_kind(rest).map(|(id, kind)| Cause::Release(id, kind)),
        _ => OTHERS.iter().any(|other| key.starts_with(other)).then_some(Cause::Other),
    };
    found.unwrap_or(Cause::Unknown)
}

/// A key without its round.
pub(super) fn base(key: &str) -> &str {
    match key.rsplit_once('#') {
        Some((base, round)) if round.parse::<u32>().is_ok_and(|round| round > 1) => base,
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_their_causes() {
        let id = format!("tron:0x{}:3", "ab".repeat(32));
        let deposit = DepositId::parse(&id).unwrap();
        for (key, wanted) in [
            (format!("deposit:{id}"), Cause::Deposit(deposit.clone())),
            (format!("deposit:{id}#2"), Cause::Deposit(deposit.clone())),
            ("paid:A-1#3".to_owned(), Cause::Paid("A-1", None)),
            (format!("paid:A:{id}"), Cause::Paid("A", Some(deposit.clone()))),
            (format!("suspend:{id}:late"), Cause::Suspend(deposit.clone(), CaseKind::Late)),
            (format!("release:{id}:underpaid"), Cause::Release(deposit, CaseKind::Underpaid)),
            ("reverse:paid:A#2".to_owned(), Cause::Reverse("paid:A#2")),
            ("gift:A".to_owned(), Cause::Unknown),
            ("deposit:nothing".to_owned(), Cause::Unknown),
            (format!("suspend:{id}:whim"), Cause::Unknown),
        ] {
            assert_eq!(cause(&key), wanted, "{key}");
        }
        assert_eq!(base("paid:A#x"), "paid:A#x");
        assert_eq!((base("paid:A#1"), base("paid:A#2")), ("paid:A#1", "paid:A"));
    }
}
