//! What a commit writes, made into statements ahead of the engine.
//!
//! In: rows, table by table, in the order in which they are written. Out: statements of a thousand
//! rows, taken one after the other as the engine is done with the one before.
//! Never: a query that is cut off because the next rows cannot be made; it ends first.
//! Why: some rows take longer to make than to write and some the other way round. Made ahead, also
//! beyond the end of a table, the one pays for the other, and the engine waits for neither.

use sqlx::SqlStr;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::engine::{Engine, heard};
use crate::error::Error;
use crate::sql::{Binds, Bulk, Link, Ready, Texts, chunks};
use crate::wire::Driver;

/// Statements that are ready at most: some tens of megabytes.
const AHEAD: usize = 24;
/// Rows of a `COPY`: each costs its server as much as a hundred rows do, and it keeps those of one
/// in memory for the triggers that look at them, up to `work_mem` (4 MB where nobody set it).
const COPY: usize = 8192;
/// Rows that are sent at once.
const LINES: usize = 1024;
/// Rows after which whoever waits for the engine is asked whether it is done.
const SLICE: usize = 64;

/// A piece of what is written.
enum Piece {
    Rows(Ready),
    /// Lines follow, and an end.
    Copy(SqlStr),
    Lines(Vec<u8>),
    EndOfCopy,
    EndOfTable,
}

/// Where statements are put.
pub(crate) struct Feed<'a> {
    pieces: mpsc::Sender<Result<Piece, Error>>,
    driver: Driver,
    engine: Engine,
    texts: &'a Texts,
}

/// Where they are taken.
pub(crate) struct Supply(mpsc::Receiver<Result<Piece, Error>>);

/// Both ends, for what is written through `link`.
pub(crate) fn feed<'a>(link: &Link<'a>) -> (Feed<'a>, Supply) {
    let (pieces, taken) = mpsc::channel(AHEAD);
    let feed = Feed { pieces, driver: link.wire.driver(), engine: link.engine, texts: link.texts };
    (feed, Supply(taken))
}

impl Feed<'_> {
    /// Makes the statements of a table, of which this is all.
    pub(crate) async fn table<T>(
        &self,
        bulk: &Bulk,
        items: &[T],
        mut bind: impl FnMut(&mut Binds, &T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(text) = bulk.copied(self.driver, self.texts, items.len()) {
            for rows in items.chunks(COPY) {
                self.put(Ok(Piece::Copy(text.clone()))).await;
                for chunk in rows.chunks(LINES) {
                    let lines = bound(bulk, chunk, &mut bind).await?.lines(bulk.columns)?;
                    self.put(Ok(Piece::Lines(lines))).await;
                }
                self.put(Ok(Piece::EndOfCopy)).await;
            }
        } else {
            for chunk in chunks(items) {
                let binds = bound(bulk, chunk, &mut bind).await?;
                let made_for = (self.driver, self.engine, self.texts);
                let ready = bulk.ready(made_for, chunk.len(), binds)?;
                self.put(Ok(Piece::Rows(ready))).await;
            }
        }
        self.put(Ok(Piece::EndOfTable)).await;
        Ok(())
    }

    /// Ends what is written by an error, behind what is ready.
    pub(crate) async fn fail(&self, error: Error) {
        self.put(Err(error)).await;
    }

    async fn put(&self, piece: Result<Piece, Error>) {
        // Nobody takes any more where the engine refused: that is told.
        let _ = self.pieces.send(piece).await;
    }
}

/// The values of a chunk of rows.
async fn bound<T>(
    bulk: &Bulk,
    chunk: &[T],
    mut bind: impl FnMut(&mut Binds, &T) -> Result<(), Error>,
) -> Result<Binds, Error> {
    let mut binds = bulk.binds(chunk.len());
    for slice in chunk.chunks(SLICE) {
        slice.iter().try_for_each(|item| bind(&mut binds, item))?;
        yield_now().await;
    }
    Ok(binds)
}

impl Supply {
    /// Writes the next table. The number of rows that were changed.
    pub(crate) async fn write(&mut self, link: &mut Link<'_>) -> Result<u64, Error> {
        let mut changed = 0u64;
        while let Some(piece) = self.0.recv().await {
            match piece? {
                Piece::Rows(Ready { text, bound }) => {
                    changed = changed.saturating_add(link.wire.execute(text, bound).await?);
                }
                Piece::Copy(text) => {
                    changed = changed.saturating_add(self.copy(link, &text).await?);
                }
                Piece::EndOfTable => return Ok(changed),
                Piece::Lines(_) | Piece::EndOfCopy => return Err(left_out()),
            }
        }
        Err(left_out())
    }

    /// Sends the lines of one `COPY`. It is ended also where the rest of them cannot be made: what
    /// it wrote is taken back with everything else.
    async fn copy(&mut self, link: &mut Link<'_>, text: &SqlStr) -> Result<u64, Error> {
        let mut copy = link.wire.copy(text).await?;
        let sent = loop {
            match self.0.recv().await {
                Some(Ok(Piece::Lines(lines))) => {
                    heard(copy.send(lines)).await?;
                }
                Some(Ok(Piece::EndOfCopy)) => break Ok(()),
                Some(Err(error)) => break Err(error),
                None | Some(Ok(_)) => break Err(left_out()),
            };
        };
        let written = heard(copy.finish()).await?;
        sent.map(|()| written)
    }

    /// Makes sure that no table is left.
    pub(crate) async fn end(&mut self) -> Result<(), Error> {
        match self.0.recv().await {
            None => Ok(()),
            Some(piece) => piece.and_then(|_| Err(left_out())),
        }
    }
}

/// Cannot be: every table is made, and has an end.
pub(crate) fn left_out() -> Error {
    Error::Database(sqlx::Error::Protocol("a table was left out".to_owned()))
}
