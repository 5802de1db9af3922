//! Recording: read, decide, write, and again where someone came between.
//!
//! In: an `Update`. Out: what was committed, in one transaction, or nothing.
//! Never: a decision of its own; never a second way into the books.
//! Why: every command and every watcher changes the books through these lines.

use std::sync::Arc;

use payments::changes::Rules;
use payments::{Changes, PlanError, Update, plan};
use store::{Store, point};

use crate::clock::Clock;
use crate::error::Error;

/// How often a commit is planned anew because another process came between.
const ATTEMPTS: u32 = 32;

/// The books with the rules they are kept by.
#[derive(Debug, Clone)]
pub struct Books {
    /// Where they are.
    pub store: Store,
    /// The rules of every configured chain.
    pub rules: Arc<Rules>,
    /// When something is recorded.
    pub clock: Clock,
}

impl Books {
    /// Records what happened, and says what that changed.
    ///
    /// # Errors
    /// When the rules refuse it or the database fails; nothing is written then.
    pub async fn record(&self, update: &Update) -> Result<Changes, Error> {
        for _ in 0..ATTEMPTS {
            let changes = self.judge(update).await?;
            if changes.is_empty() || self.write(&changes).await? {
                return Ok(changes);
            }
        }
        Err(Error::Failed(format!("the books were busy {ATTEMPTS} times in a row; try again")))
    }

    /// Records a mark on a chain as it stood at `generation`, and says whether it did. Where the
    /// chain was moved since, nothing: an adoption may have ended what the mark is about, and the
    /// next look says so again where it did not.
    ///
    /// # Errors
    /// When the rules refuse it or the database fails; nothing is written then.
    pub async fn mark(&self, generation: u64, update: &Update) -> Result<bool, Error> {
        let changes = self.judge(update).await?;
        if changes.cursor.as_ref().is_some_and(|mv| mv.generation == generation) {
            return self.write(&changes).await;
        }
        Ok(false)
    }

    /// Writes what the rules decided; false where somebody changed what they had read, and nothing
    /// is written.
    ///
    /// # Errors
    /// When the database fails or refuses it; nothing is written then.
    pub(crate) async fn write(&self, changes: &Changes) -> Result<bool, Error> {
        point!("record.planned");
        match self.store.commit(changes).await {
            Ok(_) => Ok(true),
            Err(store::Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What the rules say of `update` now, without writing anything.
    ///
    /// # Errors
    /// When the rules refuse it, or the database fails.
    pub async fn judge(&self, update: &Update) -> Result<Changes, Error> {
        let snapshot = self.store.snapshot(update).await?;
        point!("record.read");
        Ok(self.plan(snapshot, update)?)
    }

    fn plan(&self, snapshot: payments::Snapshot, update: &Update) -> Result<Changes, PlanError> {
        plan(&self.rules, &snapshot, update, self.clock.now())
    }
}
