//! Handing out deposit addresses, each once for ever.
//!
//! In: a chain's address source. Out: an address that no order has and the chain does not know.
//! Never: the same index twice, also after a restored backup; never shown before it is watched.
//! Why: two orders with one address cannot be told apart, and one of them is somebody's money.

use payments::address::Address;
use payments::name::ChainName;
use store::{Store, point};

use crate::config::{AddressSource, Chain};
use crate::derive::{Account, LAST_INDEX};
use crate::error::{Error, input};
use crate::high_water::HighWater;
use crate::node::Node;
use crate::recall;
use crate::taken::Taken;

/// How many used addresses in a row are passed over before a person must look.
const PASSED_OVER: u32 = 1000;
/// How many of the newest, and of the oldest, issued addresses are derived again at start-up.
const SAMPLE: u32 = 32;

/// An address that may be given to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh {
    /// The address.
    pub address: Address,
    /// The index it was derived at; none for an imported one.
    pub index: Option<u32>,
}

/// Takes the next address of a chain. It is marked as used outside the database, on disk, before
/// this returns; it is used up even if no order is made of it.
///
/// # Errors
/// When the chain has no address source, the file or the database cannot be written, or no
/// endpoint can say whether the address is new.
pub async fn next(
    store: &Store,
    name: &ChainName,
    chain: &Chain,
    node: &Node,
) -> Result<Fresh, Error> {
    match &chain.addresses {
        None => {
            let why = "is missing; give an xpub, or imported = true";
            Err(input(&format!("chains.{name}.addresses"), why))
        }
        Some(AddressSource::Imported { high_water, .. }) => {
            let path = high_water.clone();
            let open = tokio::task::spawn_blocking(move || Taken::open(&path));
            let taken = open.await.map_err(|why| Error::Failed(why.to_string()))??;
            import_unused(store, name, node, taken).await
        }
        Some(AddressSource::Account { account, high_water }) => {
            // Another process that makes an order waits here until this one has its index.
            let (path, fingerprint) = (high_water.clone(), account.fingerprint().to_owned());
            let open = tokio::task::spawn_blocking(move || HighWater::open(&path, &fingerprint));
            let mark = open.await.map_err(|why| Error::Failed(why.to_string()))??;
            derive_unused(store, name, node, account, mark).await
        }
    }
}

async fn import_unused(
    store: &Store,
    name: &ChainName,
    node: &Node,
    mut taken: Taken,
) -> Result<Fresh, Error> {
    while let Some(address) = store.take_imported().await? {
        // One that the database has forgotten is taken in it from now on, as are the used ones.
        if !taken.take(address)? {
            tracing::warn!(chain = %name, %address, "was handed out before, passed over");
        } else if !is_used(name, node, address).await? {
            return Ok(Fresh { address, index: None });
        }
    }
    let why = "all imported addresses are taken; import more";
    Err(Error::Failed(format!("chains.{name}.addresses: {why}")))
}

async fn derive_unused(
    store: &Store,
    name: &ChainName,
    node: &Node,
    account: &Account,
    mut mark: HighWater,
) -> Result<Fresh, Error> {
    // Before an index above those is taken, by which it would show no more that they are missing.
    recall::derived_below(store, name, account, mark.next()).await?;
    let mut used = 0;
    while used < PASSED_OVER {
        let index = store.reserve_index(account.fingerprint(), mark.next()).await?;
        if index > LAST_INDEX {
            return Err(Error::Failed("the account has no further addresses".to_owned()));
        }
        mark.raise(index.saturating_add(1))?;
        let address = derived(account, index)?;
        if store.unknown(&[address]).await?.is_empty() {
            tracing::warn!(chain = %name, index, "the books have this address already, passed over");
            continue;
        }
        if !is_used(name, node, address).await? {
            return Ok(Fresh { address, index: Some(index) });
        }
        // It may be another program's, so it is not watched unasked.
        tracing::warn!(
            chain = %name,
            index,
            %address,
            "the chain knows this address already, passed over; if the books were put back from a \
             backup, somebody may have been shown it: \
             `bursar address import --watch-only FILE` has it watched"
        );
        used = used.saturating_add(1);
    }
    Err(Error::Failed(format!(
        "the chain knows the next {PASSED_OVER} addresses of the account already; is it the right xpub?"
    )))
}

/// Whether the chain knows an address that is about to be handed out for the first time.
async fn is_used(name: &ChainName, node: &Node, address: Address) -> Result<bool, Error> {
    let used = node.is_used(address).await.map_err(|source| Error::chain(name, source))?;
    point!("address.asked_about");
    Ok(used)
}

pub(crate) fn derived(account: &Account, index: u32) -> Result<Address, Error> {
    account.address(index).map_err(|why| Error::Failed(format!("index {index}: {why}")))
}

/// Derives a sample of the addresses handed out on a chain again and compares them: the newest,
/// the oldest, and some between.
///
/// # Errors
/// When one differs: the config has another xpub than the one the orders were made with.
pub async fn verify_sample(store: &Store, name: &ChainName, chain: &Chain) -> Result<u32, Error> {
    let Some(AddressSource::Account { account, .. }) = &chain.addresses else {
        return Ok(0);
    };
    let issued = store.issued(name, SAMPLE).await?;
    let mut compared = 0u32;
    for (address, index) in issued {
        if derived(account, index)? != address {
            let field = format!("chains.{name}.addresses.xpub");
            let why = format!(
                "index {index} was handed out as {address}; this xpub gives another address there"
            );
            return Err(input(&field, why));
        }
        compared = compared.saturating_add(1);
    }
    Ok(compared)
}
