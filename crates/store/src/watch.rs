//! The addresses that are ours, read once whole and then only what is new.
//!
//! In: the number last seen. Out: the set, shared.
//! Never: a number below one that was seen: they are given out under the commit lock.
//! Why: the set is refreshed after every fetch, so it must cost one cheap statement.

use std::sync::Arc;

use payments::watch::WatchSet;
use sqlx::Row;

use crate::Store;
use crate::engine::heard_of_any;
use crate::error::Error;

/// Addresses joined into one text of one row; ten million rows of one each would take minutes.
const CHUNK: i64 = 20_000;
/// More than so many addresses are not made room for on the word of a number.
const ROOM: usize = 1 << 26;

/// What was read so far.
#[derive(Debug, Clone, Default)]
pub struct WatchState {
    seq: i64,
    set: Arc<WatchSet>,
}

impl Store {
    /// All addresses that are ours, those of orders and imported ones. The first call with a
    /// fresh state reads all of them, later ones what was added.
    ///
    /// # Errors
    /// [`Error::Broken`] where an address does not parse, and what the engine says. The state is
    /// then as it was.
    pub async fn watch(&self, state: &mut WatchState) -> Result<Arc<WatchSet>, Error> {
        let mut connection = self.reader().await?;
        let last = "SELECT coalesce(max(seq), 0) FROM addresses";
        let asking = sqlx::query(last).fetch_one(&mut *connection);
        let last: i64 = heard_of_any(self.engine, asking).await?.try_get(0)?;
        if last == state.seq {
            return Ok(Arc::clone(&state.set));
        }
        let query = "SELECT string_agg(address, '') FROM addresses WHERE seq > $1 AND seq <= $2";
        // Room for all at once: ten million that grow by doubling would need it twice.
        let room = usize::try_from(last.saturating_sub(state.seq)).unwrap_or(0);
        let mut found: Vec<[u8; 20]> = Vec::with_capacity(room.min(ROOM));
        let mut from = state.seq;
        while from < last {
            let to = from.saturating_add(CHUNK).min(last);
            let asking = sqlx::query(query).bind(from).bind(to).fetch_one(&mut *connection);
            let row = heard_of_any(self.engine, asking).await?;
            let text: Option<&str> = row.try_get(0)?;
            read(text.unwrap_or_default(), from, &mut found)?;
            from = to;
        }
        if state.seq == 0 {
            state.set = Arc::new(WatchSet::new(found));
        } else {
            Arc::make_mut(&mut state.set).add(&found);
        }
        state.seq = last;
        Ok(Arc::clone(&state.set))
    }
}

/// Reads addresses of `0x` and 40 digits each, one after the other.
fn read(text: &str, after: i64, found: &mut Vec<[u8; 20]>) -> Result<(), Error> {
    let (addresses, rest) = text.as_bytes().as_chunks::<42>();
    for address in addresses {
        found.push(bytes(address).ok_or_else(|| broken(after, address))?);
    }
    if rest.is_empty() { Ok(()) } else { Err(broken(after, rest)) }
}

fn broken(after: i64, text: &[u8]) -> Error {
    let text = String::from_utf8_lossy(text);
    let row = format!("after number {after}");
    let why = format!("is `{text}`, which does not parse");
    Error::Broken { table: "addresses", column: "address", row, why }
}

fn bytes(text: &[u8; 42]) -> Option<[u8; 20]> {
    let digits = text.strip_prefix(b"0x")?;
    let (pairs, _) = digits.as_chunks::<2>();
    let mut out = [0u8; 20];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(out)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a' - 10),
        _ => None,
    }
}
