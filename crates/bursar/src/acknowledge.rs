//! `bursar events ack`: what the billing service has.
//!
//! In: the number of the newest event it has, and the head of the log that it was told.
//! Out: kept in the books. Never: a head that is not of these books taken for granted.
//! Why: the billing service is the witness of every journal, from outside of the database.

use payments::merkle::TreeHead;
use serde_json::json;

use crate::cli::EventsAck;
use crate::error::{Error, input};
use crate::open::Opened;
use crate::output::Output;

/// Keeps it.
///
/// # Errors
/// Exit 2 where there is no such event, or the head is none; exit 4 where the billing service was
/// told of another log than these books have, or of more of it.
pub(crate) async fn run(opened: &Opened, asked: &EventsAck, output: Output) -> Result<(), Error> {
    let store = &opened.books.store;
    let head = asked.head.as_deref().map(read).transpose()?;
    let (through, last) = (asked.through, store.last_event().await?);
    match (through > last, head) {
        (true, None) => {
            let why = format!("{through} is above {last}, the last event there is");
            return Err(input("--through", why));
        }
        (true, Some(_)) => {
            return Err(Error::broken(format!(
                "the billing service has event {through}, and the books end with {last}: they are \
                 not the newest; stop, keep a copy"
            )));
        }
        (false, Some(head)) if store.head_told(through).await? != Some(head) => {
            return Err(Error::broken(format!(
                "with event {through} the billing service was told of the log {head}, and the \
                 books have another; stop, keep a copy"
            )));
        }
        (false, _) => {}
    }
    let through = store.acknowledge(through).await?;
    output.print(&json!({ "acknowledged": through, "last": last }), || {
        format!("Events 1 to {through} of {last} are acknowledged.")
    })
}

/// The head of a log that was typed.
pub(crate) fn read(text: &str) -> Result<TreeHead, Error> {
    TreeHead::parse(text).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        input("--head", format!("`{shown}` is no head of a log, such as 12:9f86d0…"))
    })
}
