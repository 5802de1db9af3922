//! A look that takes long, and what is told of it meanwhile.
//!
//! In: a look under way. Out: what it brings, and a mark on its chain where that took too long.
//! Never: a look cut short: with a plan of few requests it may be a long one, and what it read is
//! recorded. Why: an endpoint that answers slowly fails nothing, and nobody would be told.

use std::time::Duration;

use payments::Update;
use payments::name::ChainName;

use crate::books::Books;

/// Watches over the looks at one chain.
pub(crate) struct Vigil {
    books: Books,
    chain: ChainName,
    stalled_after: Duration,
    /// What is borne now: a chain that is caught up with by long looks is told once.
    patience: Duration,
}

impl Vigil {
    pub(crate) fn new(books: Books, chain: ChainName, stalled_after: Duration) -> Self {
        Self { books, chain, stalled_after, patience: stalled_after }
    }

    /// What `look` brings, and the generation that a mark was made over, where it took too long.
    pub(crate) async fn over<T>(&mut self, look: impl Future<Output = T>) -> (T, Option<u64>) {
        let mut look = std::pin::pin!(look);
        tokio::select! {
            biased;
            brought = &mut look => {
                self.patience = self.stalled_after;
                return (brought, None);
            }
            () = tokio::time::sleep(self.patience) => {}
        }
        let done = tokio::join!(look, self.mark());
        self.patience = self.patience.saturating_mul(2);
        done
    }

    /// Marks the chain, so that every process can say so. The generation it was marked over; none
    /// where another mark stands.
    async fn mark(&self) -> Option<u64> {
        let seconds = self.patience.as_secs_f32();
        let why = format!("a look at it takes longer than {seconds} s: see `bursar check`");
        let marked = async {
            let generation = self.books.store.cursor(&self.chain).await?.generation;
            let update = Update::Stall { chain: self.chain.clone(), why };
            let is_written = self.books.mark(generation, &update).await?;
            Ok::<_, crate::error::Error>(is_written.then_some(generation))
        };
        match marked.await {
            Ok(marked) => {
                let chain = &self.chain;
                tracing::warn!(%chain, seconds, "this look takes long, and goes on");
                marked
            }
            Err(error) => {
                let error = error.line();
                tracing::warn!(chain = %self.chain, error, "not marked as stalled");
                None
            }
        }
    }
}
