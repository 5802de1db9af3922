//! Where the books of a chain begin, and whether that is a place from which payments are seen.
//!
//! In: a chain's config, its nodes, the books. Out: books that have begun, or what is wrong.
//! Never: an address shown whose payment would be below the first block that is read.
//! Why: the first block is chosen once, and nobody looks at it again.

use std::sync::Arc;

use payments::name::ChainName;
use store::Store;

use crate::config::Chain;
use crate::error::{Error, input};
use crate::node::Node;
use crate::open::Opened;
use crate::watch::Watcher;

/// Makes sure that the books of a chain begin before its first address is shown. A daemon that
/// starts later would begin at the finalized block of that moment, above a payment made meanwhile.
///
/// # Errors
/// Exit 2 where they are to begin above the chain's end; where the nodes or the database fail.
pub(crate) async fn before_an_order(
    opened: &Opened,
    name: &ChainName,
    chain: &Chain,
    node: Node,
) -> Result<Watcher, Error> {
    let store = &opened.books.store;
    let (books, watched) = (opened.books.clone(), Arc::default());
    let mut watcher = Watcher::new(name.clone(), chain, node, books, watched);
    if has_begun(store, name).await? {
        return Ok(watcher);
    }
    if chain.node.start_height().is_some() {
        within_the_chain(name, chain, watcher.node()).await?;
        return Ok(watcher);
    }
    // Boxed, for it is needed once in the life of the books, and large.
    match Box::pin(watcher.step()).await {
        Ok(_) => Ok(watcher),
        // A daemon that was started in this moment has begun them.
        Err(_) if has_begun(store, name).await? => Ok(watcher),
        Err(error) => Err(error),
    }
}

/// Whether anything of the chain is recorded.
///
/// # Errors
/// When the database fails.
pub(crate) async fn has_begun(store: &Store, name: &ChainName) -> Result<bool, Error> {
    Ok(store.cursor(name).await?.last().is_some())
}

/// Refuses a first height that the chain has not come to: nothing would be read, and what is paid
/// until then never.
///
/// # Errors
/// Exit 2 where it is above the block after the newest; where the nodes do not answer.
pub(crate) async fn within_the_chain(
    name: &ChainName,
    chain: &Chain,
    node: &Node,
) -> Result<(), Error> {
    let wrong = |source| Error::chain(name, source);
    // Block 0 is there.
    let height = chain.node.start_height().unwrap_or_default();
    let Some(below) = height.checked_sub(1).filter(|below| *below > 0) else { return Ok(()) };
    let is_there = match node.newest_final().await.map_err(wrong)? {
        Some((_, newest)) => below <= newest,
        // On a chain on which nothing is final yet.
        None => node.header(below).await.map_err(wrong)?.is_some(),
    };
    if is_there {
        return Ok(());
    }
    let why = format!("is {height}, above the newest block: what is paid before is never read");
    Err(input(&format!("chains.{name}.start"), why))
}
