//! `bursar case resolve` and `withdraw`: a person decides.
//!
//! In: a case, a decision, who and why. Out: what it did, or that a second person is asked.
//! Never: an amount but a fee; a refund to the sender by itself: it may be an exchange's wallet.
//! Why: the rules decide what fits; here is only what was typed.

use payments::address::Address;
use payments::amount::Usdt;
use payments::case::{Case, CaseId, Resolution, Step, StepKind};
use payments::name::OrderId;
use payments::{PlanError, Refusal, Update};
use serde_json::{Value, json};
use store::point;

use crate::case_story::{CaseStory, usual_fee};
use crate::chains::words;
use crate::cli::{CaseResolve, CaseWithdraw};
use crate::clock::rfc3339;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::Output;

/// `bursar case resolve`
///
/// # Errors
/// Exit 2 for what was asked or does not fit the case.
pub async fn resolve(opened: &Opened, asked: &CaseResolve, output: Output) -> Result<(), Error> {
    let case = known(opened, &asked.id).await?;
    let (by, why) = (words("--by", &asked.by)?, words("--why", &asked.why)?);
    let resolution = read(opened, &case, asked).await?;
    let update = Update::Resolve { case: case.id.clone(), resolution, by, why };
    point!("resolve.read");
    record(opened, &case, &update, output).await
}

/// `bursar case withdraw`
///
/// # Errors
/// Exit 2 where nothing is proposed.
pub async fn withdraw(opened: &Opened, asked: &CaseWithdraw, output: Output) -> Result<(), Error> {
    let case = known(opened, &asked.id).await?;
    let (by, why) = (words("--by", &asked.by)?, words("--why", &asked.why)?);
    let update = Update::Withdraw { case: case.id.clone(), by, why };
    record(opened, &case, &update, output).await
}

/// The case that was typed.
pub(crate) async fn known(opened: &Opened, id: &str) -> Result<Case, Error> {
    let known = opened.books.store.case(&CaseId(id.to_owned())).await?;
    known.map(|(_, case)| case).ok_or_else(|| {
        let id: String = id.chars().take(200).collect();
        input("case", format!("there is no case `{id}`"))
    })
}

/// Records it and shows the case as it is then.
pub(crate) async fn record(
    opened: &Opened,
    before: &Case,
    update: &Update,
    output: Output,
) -> Result<(), Error> {
    let changes = opened.books.record(update).await;
    let changes = changes.map_err(|error| worded(opened, before, error))?;
    point!("resolve.recorded");
    let case = known(opened, &before.id.0).await?;
    let story = CaseStory::gather(opened, case).await?;
    let mut value = story.json(opened);
    if let Value::Object(fields) = &mut value {
        fields.insert("changed".to_owned(), json!(!changes.is_empty()));
    }
    output.print(&value, || {
        let heading = if changes.is_empty() { "Nothing new: it stands as it was.\n" } else { "" };
        format!("{heading}{}", story.text(opened))
    })
}

/// What was decided is told with when, and addresses as their chain spells them.
fn worded(opened: &Opened, case: &Case, error: Error) -> Error {
    let Error::Refused(why) = &error else { return error };
    let PlanError::Undecidable { why, .. } = why.as_ref() else { return error };
    let id = &case.id;
    match why {
        Refusal::Decided(decision) => {
            let terms = opened.view.terms(case, &decision.resolution);
            let (at, by, why) = (rfc3339(decision.at), &decision.by, &decision.why);
            input("case", format!("{id} was decided at {at} by {by}: {terms}: {why}"))
        }
        Refusal::Proposed(step, _) => {
            let StepKind::Proposed(resolution) = &step.kind else { return error };
            waits(opened, case, (resolution, step))
        }
        Refusal::Destination(to, what) => {
            let to = opened.view.spelled(&case.chain, to);
            input("--to", format!("{to} is {what}"))
        }
        _ => error,
    }
}

/// What waits for a second person, and what that person types to agree.
fn waits(opened: &Opened, case: &Case, (resolution, step): (&Resolution, &Step)) -> Error {
    let (id, by, terms) = (&case.id, &step.by, opened.view.terms(case, resolution));
    let typed = opened.view.arguments(case, resolution);
    let waits = format!("{id} waits for a second person: {by} proposed {terms}");
    let typed = format!("bursar case resolve {id} {typed} --by NAME --why TEXT");
    input("case", format!("{waits}; confirm that with `{typed}`, or withdraw it"))
}

async fn read(opened: &Opened, case: &Case, asked: &CaseResolve) -> Result<Resolution, Error> {
    let word = asked.resolution.as_str();
    for (option, fits, given) in [
        ("--to", "refund", asked.to.is_some()),
        ("--fee", "refund", asked.fee.is_some()),
        ("--order", "reassign", asked.order.is_some()),
    ] {
        if given && word != fits {
            return Err(input(option, format!("belongs to `{fits}`, not to `{word}`")));
        }
    }
    match word {
        "credit" => Ok(Resolution::Credit),
        "reassign" => {
            let why = "say which order its deposits are to count for";
            let order = asked.order.as_deref().ok_or_else(|| input("--order", why))?;
            let order = OrderId::new(order).map_err(|why| input("--order", why))?;
            Ok(Resolution::Reassign(order))
        }
        "refund" => read_refund(opened, case, asked).await,
        _ => Ok(Resolution::Dismiss),
    }
}

/// Where to and for what fee: as stated, else as it was decided, else as the order and the config
/// have it. Never as it was proposed: a second person agrees to what they typed themselves.
async fn read_refund(
    opened: &Opened,
    case: &Case,
    asked: &CaseResolve,
) -> Result<Resolution, Error> {
    let (_, chain) = opened.config.chain(case.chain.as_str())?;
    let decided = case.refund().map(|refund| (refund.to, refund.fee));
    let to = match (&asked.to, decided) {
        (Some(text), _) => {
            Address::parse_as(text, chain.node.spelling()).map_err(|why| input("--to", why))?
        }
        (None, Some((to, _))) => to,
        (None, None) => of_order(opened, case).await?,
    };
    let fee = match (&asked.fee, decided) {
        (Some(text), _) => Usdt::parse(text).map_err(|why| input("--fee", why))?,
        (None, Some((_, fee))) => fee,
        (None, None) => usual_fee(chain, case),
    };
    Ok(Resolution::Refund { to, fee })
}

/// The refund address of the case's order, where the money is on that order's chain.
async fn of_order(opened: &Opened, case: &Case) -> Result<Address, Error> {
    let dossier = match &case.order {
        Some(order) => opened.books.store.order(order).await?,
        None => None,
    };
    let order = dossier.map(|dossier| dossier.order).filter(|order| order.chain == case.chain);
    order.and_then(|order| order.refund_to).ok_or_else(|| match case.proposal() {
        Some(proposal) => waits(opened, case, proposal),
        None => {
            let why = "no refund address is known for this money; ask the customer for one. The \
                       sender's may be an exchange's own wallet";
            input("--to", why)
        }
    })
}
