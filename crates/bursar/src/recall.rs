//! Addresses that were handed out and that the books have forgotten.
//!
//! In: the marks outside the database. Out: their addresses, watched again, as nobody's.
//! Never: one that an order may still get. Why: books that were put back from a backup are older
//! than what customers were shown, and what those pay is theirs.

use payments::address::Address;
use payments::name::ChainName;
use store::Store;

use crate::address::derived;
use crate::config::{AddressSource, Chain};
use crate::derive::Account;
use crate::error::Error;
use crate::high_water::HighWater;
use crate::taken::Taken;

/// Addresses that are derived, or asked about, at once.
const AT_ONCE: u32 = 1024;

/// Watches the addresses of a chain's source that somebody was shown and the books do not have.
/// The number of them.
///
/// # Errors
/// When a mark cannot be read, and what the database says.
pub async fn all(store: &Store, name: &ChainName, chain: &Chain) -> Result<u64, Error> {
    match &chain.addresses {
        None => Ok(0),
        Some(AddressSource::Imported { high_water, .. }) => {
            let shown: Vec<Address> = Taken::peek(high_water)?.into_iter().collect();
            let mut recalled = 0u64;
            for some in shown.chunks(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)) {
                recalled = recalled.saturating_add(these(store, some).await?);
            }
            tell(name, recalled, "imported");
            Ok(recalled)
        }
        Some(AddressSource::Account { account, high_water }) => {
            let next = HighWater::peek(high_water, account.fingerprint())?;
            derived_below(store, name, account, next).await
        }
    }
}

/// Watches the addresses below `next`, the mark of an account, that the books do not have.
pub(crate) async fn derived_below(
    store: &Store,
    name: &ChainName,
    account: &Account,
    next: u32,
) -> Result<u64, Error> {
    let first = store.next_index(account.fingerprint()).await?;
    let (mut from, mut recalled) = (first, 0u64);
    while from < next {
        let to = from.saturating_add(AT_ONCE).min(next);
        let shown: Vec<Address> =
            (from..to).map(|index| derived(account, index)).collect::<Result<_, _>>()?;
        recalled = recalled.saturating_add(these(store, &shown).await?);
        from = to;
    }
    tell(name, recalled, &format!("index {first} to {}", next.saturating_sub(1)));
    Ok(recalled)
}

async fn these(store: &Store, shown: &[Address]) -> Result<u64, Error> {
    let forgotten = store.unknown(shown).await?;
    if forgotten.is_empty() {
        return Ok(0);
    }
    Ok(store.recall(&forgotten).await?)
}

fn tell(name: &ChainName, recalled: u64, which: &str) {
    if recalled > 0 {
        tracing::warn!(
            chain = %name,
            addresses = recalled,
            which,
            "handed out before, and the books did not have them: were they put back from a backup? \
             They are watched now, and what they get becomes a case; for blocks that are recorded \
             already, run `bursar rescan --chain {name} --from HEIGHT --to HEIGHT`"
        );
    }
}
