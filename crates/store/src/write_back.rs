//! SQLite's write-ahead log, written back to its file beside the writer.
//!
//! In: what a commit wrote. Out: nothing; the books are the same before and after.
//! Never: a commit that waits for it, or fails with it.
//! Why: the writer would do it itself where the log is long, and while it syncs the file the next
//! turn of a long way waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use payments::changes::Changes;

use crate::{Engine, Store};

/// Events of a commit that is worth it. What many small ones leave in the log is written back by
/// the writer, when there is enough of it (`wal_autocheckpoint`).
const WORTH: usize = 1_024;

/// Whether the log is being written back now.
pub(crate) type Running = Arc<AtomicBool>;

impl Store {
    /// Begins to write back what `changes` left in the log, where there is a log and nobody is at
    /// it. A passive checkpoint waits for nobody, and nobody waits for it; where it cannot be done,
    /// the writer does it later.
    pub(crate) fn write_back(&self, changes: &Changes) {
        if self.engine != Engine::Sqlite || changes.events.len() < WORTH {
            return;
        }
        if self.writing_back.swap(true, Ordering::AcqRel) {
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            if let Ok(mut reader) = store.reader().await {
                let query = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)");
                let _ = query.fetch_one(&mut *reader).await;
            }
            store.writing_back.store(false, Ordering::Release);
        });
    }
}
