//! A proof report beside the books it was made of.
//!
//! In: a report, the books. Out: the first thing that they tell otherwise, and what they tell more.
//! Never: a field taken as right because it can be: what the books do not keep stays the report's
//! word. Why: whoever changes a report can make its digest anew.

use payments::leaf::leaf;
use payments::merkle::Frontier;
use store::{Reading, Run};

use super::make::{Movements, accounts, custody, liabilities, reconciled, settled};
use super::report::Report;
use crate::clock::rfc3339;
use crate::error::Error;
use crate::open::Opened;

/// Rows that are read at once.
const PAGE: u32 = 2_000;

/// What the books tell beside a report that they do not contradict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// As few, and as many, events as there were while the journals of the report were all.
    pub(super) events: (u64, u64),
    /// The last run, where the report tells of another one or of none.
    pub(super) run: Option<Run>,
}

/// The same journals, from the books: the same root, the same balances, the same last run.
pub(super) async fn against(
    opened: &Opened,
    report: &Report,
) -> Result<Result<Told, String>, Error> {
    let mut reading = opened.books.store.read().await?;
    let same = match journals(&mut reading, report).await? {
        Ok(()) => events(&mut reading, report).await?,
        Err(why) => Err(why),
    };
    reading.end().await?;
    let events = match same {
        Ok(events) => events,
        Err(why) => return Ok(Err(why)),
    };
    Ok(runs(opened, report).await?.map(|run| Told { events, run }))
}

async fn journals(reading: &mut Reading, report: &Report) -> Result<Result<(), String>, Error> {
    let (mut log, mut movements) = (Frontier::default(), Movements::default());
    let (end, mut recorded) = (report.as_of.journals, None);
    while log.size() < end {
        let page = reading.journals(log.size(), PAGE).await?;
        let before = log.size();
        for (seq, journal) in page.iter().take_while(|(seq, _)| *seq <= end) {
            movements.add(journal, *seq < report.as_of.first_journal);
            log.push(leaf(*seq, journal));
            recorded = Some(journal.recorded);
        }
        if log.size() == before {
            break;
        }
    }
    if log.size() < end {
        let why = format!("they have {} of its {end} journals", log.size());
        return Ok(Err(why));
    }
    if log.head().root.to_string() != report.as_of.log_root {
        return Ok(Err("the root of their log is another".to_owned()));
    }
    let same = accounts(&movements) == report.accounts
        && custody(&movements) == report.custody
        && liabilities(&movements) == report.liabilities
        && settled(&movements) == report.settled_orders;
    if !same {
        return Ok(Err("the balances of its journals are others".to_owned()));
    }
    let recorded = recorded.map(rfc3339);
    if recorded != report.as_of.recorded_at {
        let at = recorded.unwrap_or_else(|| "never".to_owned());
        return Ok(Err(format!("recorded_at: its last journal was recorded {at}")));
    }
    Ok(Ok(()))
}

/// How many events there can have been: as many as told its last journal, and no more than told
/// the next one.
async fn events(
    reading: &mut Reading,
    report: &Report,
) -> Result<Result<(u64, u64), String>, Error> {
    let end = report.as_of.journals;
    let heads = reading.heads(end.saturating_sub(1), 2).await?;
    let own = heads.iter().find(|(head, _)| head.size == end).map(|(_, event)| *event);
    let next = heads.iter().find(|(head, _)| head.size > end).map(|(_, event)| *event);
    let Some(least) = own.or((end == 0).then_some(0)) else {
        return Ok(Err(format!("journals: no commit of theirs ended with journal {end}")));
    };
    let most = match next {
        Some(event) => event,
        None => reading.sealed().await?.events,
    };
    let told = report.as_of.events;
    if told < least || told > most {
        let words = if least == most { String::new() } else { format!(" to {most}") };
        return Ok(Err(format!("events: there were {least}{words} then, not {told}")));
    }
    Ok(Ok((least, most)))
}

/// What they remember of its run; the last one, where that is another.
async fn runs(opened: &Opened, report: &Report) -> Result<Result<Option<Run>, String>, Error> {
    let store = &opened.books.store;
    if let Some(told) = &report.reconciled {
        let number = told.run;
        let Some(run) = store.run_of(number).await? else {
            return Ok(Err(format!("reconciled: they know no run {number}")));
        };
        if reconciled(&run).as_ref() != Some(told) {
            return Ok(Err(format!("reconciled: what they remember of run {number} is another")));
        }
    }
    let cited = report.reconciled.as_ref().map(|told| told.run);
    Ok(Ok(store.last_run().await?.filter(|last| Some(last.seq) != cited)))
}
