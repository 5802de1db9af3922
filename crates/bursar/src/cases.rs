//! `bursar case …`: what waits for a person.
//!
//! In: the books. Out: cases, oldest first, and the story of one.
//! Never: a decision. Why: money in suspense that nobody looks at is money lost for its payer.

use payments::amount::Usdt;
use payments::case::{Case, CaseId, CaseKind};
use payments::deposit::Deposit;
use payments::name::OrderId;
use payments::time::Time;
use serde_json::json;
use store::CaseFilter;

use crate::cli::CaseList;
use crate::error::{Error, input};
use crate::explain;
use crate::open::Opened;
use crate::outflows;
use crate::output::{Output, table};

/// `bursar case list`
///
/// # Errors
/// When the database fails.
pub async fn list(opened: &Opened, options: &CaseList, output: Output) -> Result<(), Error> {
    let (cases, next) = select(opened, options).await?;
    let now = opened.books.clock.now();
    let value = cases.iter().map(|(case, at_stake)| {
        let mut value = opened.view.case_json(case, None);
        if let serde_json::Value::Object(fields) = &mut value {
            fields.insert("at_stake".to_owned(), json!(at_stake.to_string()));
            fields.insert("age_seconds".to_owned(), json!(age(now, case)));
        }
        value
    });
    let value = json!({ "cases": value.collect::<Vec<_>>(), "next": next });
    output.print(&value, || {
        let header = ["kind", "amount", "chain", "order", "age", "state", "case"];
        let rows: Vec<Vec<String>> = cases.iter().map(|listed| row(now, listed)).collect();
        let more = next.map_or_else(String::new, |next| format!("\nMore with --after {next}\n"));
        format!("{}{more}", table(&header, &rows))
    })
}

/// `bursar case show`
///
/// # Errors
/// Exit 2 where there is no such case.
pub async fn show(opened: &Opened, id: &str, output: Output) -> Result<(), Error> {
    let known = opened.books.store.case(&CaseId(id.to_owned())).await?;
    if known.is_none() {
        let id: String = id.chars().take(80).collect();
        return Err(input("case", format!("there is no case `{id}`")));
    }
    explain::run(opened, id, output).await
}

/// What a case is about, in USDT: what it holds, what left, or what credits were taken back for.
pub(crate) fn at_stake(case: &Case, left: Option<Usdt>, deposits: &[Deposit]) -> Usdt {
    if case.kind != CaseKind::ReversedAfterCredit {
        return case.at_stake(left);
    }
    let about =
        |deposit: &&Deposit| deposit.order == case.order && case.deposits.contains(&deposit.id);
    let about = deposits.iter().filter(about);
    about.fold(Usdt::ZERO, |sum, deposit| sum.plus(deposit.amount).unwrap_or(Usdt::MAX))
}

/// The same of a case alone: what it is about is read where it does not say so itself.
async fn stake_of(opened: &Opened, case: &Case) -> Result<Usdt, Error> {
    let left = outflows::of_case(opened, case).await?.map(|left| left.outflow.amount);
    let mut deposits = Vec::new();
    if case.kind == CaseKind::ReversedAfterCredit {
        for id in &case.deposits {
            let found = opened.books.store.deposits_of_tx(&id.tx).await?.into_iter();
            deposits.extend(found.filter(|deposit| deposit.id == *id));
        }
    }
    Ok(at_stake(case, left, &deposits))
}

/// What of the filters the books cannot do by themselves.
struct Narrow {
    kind: Option<CaseKind>,
    before: Option<Time>,
    /// Of what is at stake.
    least: Usdt,
}

impl Narrow {
    fn read(opened: &Opened, options: &CaseList) -> Result<Self, Error> {
        let before = match &options.older_than {
            None => None,
            Some(text) => {
                let field = "--older-than";
                let age = humantime::parse_duration(text)
                    .map_err(|why| input(field, format!("`{text}` is no duration: {why}")))?;
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                Some(Time(opened.books.clock.now().0.saturating_sub(age)))
            }
        };
        let least = match &options.min_amount {
            None => Usdt::ZERO,
            Some(text) => Usdt::parse(text).map_err(|why| input("--min-amount", why))?,
        };
        Ok(Self { kind: options.kind.as_deref().and_then(CaseKind::parse), before, least })
    }

    fn fits(&self, case: &Case) -> bool {
        self.kind.is_none_or(|kind| case.kind == kind)
            && self.before.is_none_or(|before| case.opened_at <= before)
    }
}

/// A case and what is at stake in it.
type Listed = (Case, Usdt);

/// The cases that fit, and where to go on where there may be more.
async fn select(opened: &Opened, options: &CaseList) -> Result<(Vec<Listed>, Option<u64>), Error> {
    let narrow = Narrow::read(opened, options)?;
    let chain = match &options.chain {
        Some(chain) => Some(opened.config.chain(chain)?.0.clone()),
        None => None,
    };
    let order = options.order.as_deref().map(OrderId::new).transpose();
    let order = order.map_err(|why| input("--order", why))?;
    let filter = CaseFilter { open: !options.all, order, chain, ..CaseFilter::default() };
    let wanted = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let (mut after, mut cases) = (options.after, Vec::new());
    loop {
        let page = opened.books.store.cases_of(&filter, after, options.limit).await?;
        let is_last = page.len() < wanted;
        for (number, case) in page {
            after = number;
            if narrow.fits(&case) {
                let at_stake = stake_of(opened, &case).await?;
                cases.extend((at_stake >= narrow.least).then_some((case, at_stake)));
            }
            if cases.len() == wanted {
                return Ok((cases, Some(after)));
            }
        }
        if is_last {
            return Ok((cases, None));
        }
    }
}

/// Seconds since it was opened.
const fn age(now: Time, case: &Case) -> i64 {
    let age = now.0.saturating_sub(case.opened_at.0);
    if age > 0 { age / 1000 } else { 0 }
}

fn row(now: Time, (case, at_stake): &Listed) -> Vec<String> {
    let age = std::time::Duration::from_secs(u64::try_from(age(now, case)).unwrap_or_default());
    vec![
        case.kind.word().to_owned(),
        at_stake.to_string(),
        case.chain.to_string(),
        case.order.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        humantime::format_duration(age).to_string(),
        standing(case),
        case.id.to_string(),
    ]
}

/// Open, waiting for a second person, or how it was decided and how far a refund is.
fn standing(case: &Case) -> String {
    match (&case.decision, case.proposal(), case.refund()) {
        (None, Some((proposed, step)), _) => {
            format!("{} proposed by {}", proposed.word(), step.by)
        }
        (None, None, _) => "open".to_owned(),
        (Some(_), _, Some(refund)) => format!("refund {}", refund.state.word()),
        (Some(decision), _, None) => decision.resolution.word().to_owned(),
    }
}
