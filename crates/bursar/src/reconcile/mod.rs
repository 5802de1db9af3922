//! `bursar reconcile`: chain against books.
//!
//! In: the books, and the chains read again by a path of their own. Out: a report, an exit code.
//! Never: "clean" where evidence is missing; a change of the books without `--repair`.
//! Why: whoever runs this every morning has to be able to rely on a zero.

mod diff;
mod evidence;
mod gather;
mod history;
mod light;
mod matching;
mod options;
mod print;
mod repair;
mod run;

pub(crate) use light::on_schedule;
pub use options::{Command, Format, Reconcile, Run};

use std::path::Path;

use tokio::sync::watch;

use crate::error::Error;
use crate::open::Opened;
use crate::output::Output;

/// `bursar reconcile …`
///
/// # Errors
/// [`Error::Exit`] with the code the command ends with, where that is not 0.
pub async fn command(
    config: &Path,
    asked: &Reconcile,
    output: Output,
    stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    match &asked.command {
        None => {
            // Books that do not open are no discrepancy.
            let opened = Opened::open(config).await.map_err(run::internal)?;
            run::run(&opened, &asked.run, output, stopped).await
        }
        Some(command) => history::command(&Opened::open(config).await?, command, output).await,
    }
}
