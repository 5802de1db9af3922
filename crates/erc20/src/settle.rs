//! What a block holds where an endpoint's word is not enough.
//!
//! In: blocks that were silent, and blocks that are doubted. Out: their Transfers, proved by their
//! receipts. Never: a doubt that is dropped because nobody answers; the block waits. Why: silence
//! and omission look like an empty block, and each of them is somebody's payment.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use payments::watch::WatchSet;

use crate::decode::{Block, Row};
use crate::doubt;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::pool::{Exhausted, Pool};
use crate::proof;
use crate::read::{self, Read, Stretch, place};
use crate::refusal::Refusal;

/// How many blocks of one window are questioned at once.
const QUESTIONED: usize = 4;

/// Asks about several blocks at once; the first that cannot be read fails them all.
pub(crate) async fn each<F>(
    places: impl IntoIterator<Item = usize>,
    question: impl Fn(usize) -> F,
) -> Result<BTreeMap<usize, Read>, Error>
where
    F: Future<Output = Result<Read, Error>>,
{
    let (found, failed) = as_far(places, question).await;
    failed.map_or(Ok(found), |(_, error)| Err(error))
}

/// Asks about several blocks at once, and stops at the first that cannot be read.
async fn as_far<F>(
    places: impl IntoIterator<Item = usize>,
    question: impl Fn(usize) -> F,
) -> (BTreeMap<usize, Read>, Option<(usize, Error)>)
where
    F: Future<Output = Result<Read, Error>>,
{
    let asked = stream::iter(places).map(|at| {
        let answer = question(at);
        async move { (at, answer.await) }
    });
    let mut answers = std::pin::pin!(asked.buffered(QUESTIONED));
    let mut found = BTreeMap::new();
    while let Some((at, answer)) = answers.next().await {
        match answer {
            Ok(read) => found.insert(at, read),
            Err(error) => return (found, Some((at, error))),
        };
    }
    (found, None)
}

/// The silent blocks of a stretch, settled; and where one was not empty, the last block that was
/// heard before it: an answer that was cut short in silence ends in the middle of a block.
pub(crate) async fn silence(
    pool: &Pool,
    stretch: &Stretch,
    places: Vec<usize>,
) -> Result<BTreeMap<usize, Read>, Error> {
    let mut found = each(places, |at| silent(pool, &stretch.blocks, at)).await?;
    let broken = found.iter().filter(|(_, read)| !read::are_silent(&read.rows)).map(|(at, _)| *at);
    let mut heard: Vec<usize> = broken
        .filter_map(|at| {
            let below = stretch.rows.partition_point(|row| row.at < place(at));
            let last = stretch.rows.get(below.checked_sub(1)?)?;
            usize::try_from(last.at).ok()
        })
        .collect();
    heard.dedup();
    found.append(&mut each(heard, |at| doubted(pool, stretch, at)).await?);
    Ok(found)
}

/// Settles whether a silent block is empty: the same question again, for a node that has caught
/// up meanwhile; then the receipts of whoever can prove them; and where nobody can, another
/// endpoint's logs. Receipts come before the other endpoint's word because they decide for good,
/// and an honestly empty block costs one question less.
pub(crate) async fn silent(pool: &Pool, blocks: &[Block], at: usize) -> Result<Read, Error> {
    let Some(block) = blocks.get(at) else { return Ok(Read { rows: Vec::new(), word: None }) };
    let height = block.header.id.height;
    let mut said = Exhausted::default();
    let usable = pool.usable().await;
    let mut silent: Vec<&Arc<Endpoint>> = Vec::new();
    if let Some(endpoint) = usable.first() {
        match read::by_hash(endpoint, &pool.facts, block, at).await {
            Ok(rows) if read::are_silent(&rows) => silent.push(endpoint),
            Ok(rows) => return Ok(Read { rows, word: Some(Arc::clone(endpoint)) }),
            Err(refusal) => blame(pool, &mut said, endpoint, refusal),
        }
    }
    for endpoint in &usable {
        match proof::transfers(endpoint, &pool.facts.token, block, at).await {
            Ok(rows) => {
                if !read::are_silent(&rows) {
                    accuse(pool, &silent, height);
                }
                return Ok(Read { rows, word: None });
            }
            Err(refusal) => blame(pool, &mut said, endpoint, refusal),
        }
    }
    for endpoint in usable.iter().skip(1) {
        match read::by_hash(endpoint, &pool.facts, block, at).await {
            Ok(rows) if read::are_silent(&rows) => silent.push(endpoint),
            Ok(rows) => {
                accuse(pool, &silent, height);
                return Ok(Read { rows, word: Some(Arc::clone(endpoint)) });
            }
            Err(refusal) => blame(pool, &mut said, endpoint, refusal),
        }
    }
    let names: Vec<&str> = silent.iter().map(|endpoint| endpoint.name.as_str()).collect();
    let why = format!(
        "its bloom speaks of a transfer, no log came from {}, and nobody proves its receipts: {}",
        if names.is_empty() { "anybody".to_owned() } else { names.join(", ") },
        said.why()
    );
    Err(Error::Unread { height, why })
}

/// The Transfers of `blocks[at]`, proved by the receipts of whichever endpoint has them.
pub(crate) async fn proved(pool: &Pool, blocks: &[Block], at: usize) -> Result<Read, Error> {
    let Some(block) = blocks.get(at) else { return Ok(Read { rows: Vec::new(), word: None }) };
    let height = block.header.id.height;
    let asked = pool.ask(Some(height), |endpoint| async move {
        proof::transfers(&endpoint, &pool.facts.token, block, at).await
    });
    match asked.await {
        Ok((rows, _)) => Ok(Read { rows, word: None }),
        Err(exhausted) => Err(match exhausted.unread(height) {
            Error::Unread { why, .. } | Error::GaveUp { why } => {
                Error::Unread { height, why: format!("nobody proves its receipts: {why}") }
            }
            error => error,
        }),
    }
}

/// The stretch with every doubted block proved, and of its Transfers those with an address of
/// `watch` at either end: all of it, or what is below the first block that nobody proves. `watch`
/// may be older than the receipts that are fetched here: it is newer than
/// the headers, and who was paid in a block was given the address before the block was there.
pub(crate) async fn believed(
    pool: &Pool,
    mut stretch: Stretch,
    watch: &WatchSet,
) -> Result<Stretch, Error> {
    // Asked once: of ten million addresses every look-up is a wait for memory.
    let ours = stretch.ours(watch);
    let places = doubt::doubted(&stretch, &ours, watch, (&pool.facts.token, pool.facts.prove));
    if places.is_empty() {
        return single(Stretch { rows: ours, ..stretch });
    }
    let (found, failed) = as_far(places, |at| doubted(pool, &stretch, at)).await;
    if let Some((at, error)) = failed {
        if at == 0 {
            return Err(error);
        }
        tracing::info!(
            chain = pool.facts.chain,
            blocks = at,
            why = %error,
            "a scan ends early: a block above could not be proved yet"
        );
        stretch.cut(at);
    }
    stretch.replace(found);
    let rows = stretch.ours(watch);
    single(Stretch { rows, ..stretch })
}

/// The stretch of our Transfers, if none is in it twice. No root binds the name of a transaction,
/// so receipts can agree with a lie about it; of two payments under one name one would be lost.
fn single(stretch: Stretch) -> Result<Stretch, Error> {
    let twice = doubt::twice(&stretch.rows);
    let Some(at) = twice.last() else { return Ok(stretch) };
    let at = usize::try_from(*at).unwrap_or(usize::MAX);
    let height = stretch.blocks.get(at).map_or(0, |block| block.header.id.height);
    let why = "a payment in it has the name of one in another block".to_owned();
    Err(Error::Unread { height, why })
}

/// The Transfers of a block that is doubted. Whoever told others loses its standing.
async fn doubted(pool: &Pool, stretch: &Stretch, at: usize) -> Result<Read, Error> {
    let read = proved(pool, &stretch.blocks, at).await?;
    // Where in the block a log stands is not always counted alike.
    let what = |row: &Row| Row { log_index: 0, ..*row };
    let told = stretch.rows.iter().filter(|row| row.at == place(at)).map(what);
    if !told.eq(read.rows.iter().map(what))
        && let (Some(Some(endpoint)), Some(block)) = (stretch.words.get(at), stretch.blocks.get(at))
    {
        let height = block.header.id.height;
        let why = format!("its logs of height {height} are not those of the receipts");
        pool.strike(endpoint, &Refusal::lie(why));
    }
    Ok(read)
}

fn blame(pool: &Pool, said: &mut Exhausted, endpoint: &Endpoint, refusal: Refusal) {
    pool.strike(endpoint, &refusal);
    said.failed(endpoint, refusal);
}

fn accuse(pool: &Pool, silent: &[&Arc<Endpoint>], height: u64) {
    for endpoint in silent {
        pool.strike(endpoint, &Refusal::lie(format!("it left out the logs of height {height}")));
    }
}
