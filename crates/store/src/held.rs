//! What the books hold of an address, and how it came to that: what an outflow may take.
//!
//! In: addresses, each with the heights that are asked about. Out: custody, and what moved above
//! the lowest of them. Never: a verdict; that is `payments::outflows`'. Why: custody alone does not
//! say what was there at a height.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use payments::address::Address;
use payments::changes::Held;
use payments::name::ChainName;

use crate::error::Error;
use crate::row::{self, Fields, hex, signed};
use crate::sql::{Binds, Bulk, Link};

/// What is held of each of these addresses on `chain`, with what moved above its lowest height.
pub(crate) async fn of(
    link: &mut Link<'_>,
    chain: &ChainName,
    places: Vec<(Address, u64)>,
) -> Result<BTreeMap<Address, Held>, Error> {
    let mut lowest: BTreeMap<Address, u64> = BTreeMap::new();
    for (sender, height) in places {
        let least = lowest.entry(sender).or_insert(height);
        *least = height.min(*least);
    }
    let wanted: Vec<(Address, u64)> = lowest.iter().map(|(of, height)| (*of, *height)).collect();
    let bind = |binds: &mut Binds, (sender, height): &(Address, u64)| {
        binds.text(hex(&sender.0))?;
        binds.text(chain.to_string())?;
        binds.int(signed("outflows", "height", sender, *height)?)
    };
    let (mut held, mut away) = (BTreeMap::new(), BTreeSet::new());
    link.read(&HELD, &wanted, bind, |line| {
        let mut fields = Fields::new("balances", line);
        let sender = fields.parse("account", row::address)?;
        let (now, rounded) = (fields.int("debits")?, fields.int("rounded")?);
        // Something came that is another order's.
        if fields.int("credits")? != now {
            away.insert(sender);
        }
        held.insert(sender, Held { now, rounded, moves: Vec::new() });
        Ok(())
    })
    .await?;
    link.read(&MOVES, &wanted, bind, |line| {
        let (sender, moved) = moved(line)?;
        held.entry(sender).or_default().moves.push(moved);
        Ok(())
    })
    .await?;
    let others = wanted.into_iter().filter(|(sender, _)| away.contains(sender));
    link.read(&AWAY, &others.collect::<Vec<_>>(), bind, |line| {
        let (sender, moved) = moved(line)?;
        let held = held.entry(sender).or_default();
        held.rounded = held.rounded.saturating_add(1);
        if lowest.get(&sender).is_some_and(|lowest| moved.0 > *lowest) {
            held.moves.push(moved);
        }
        Ok(())
    })
    .await?;
    held.values_mut().for_each(|held| held.moves.sort_unstable());
    Ok(held)
}

/// An address, and what moved there: the height, and millionths.
fn moved(line: &str) -> Result<(Address, (u64, i64)), Error> {
    let mut fields = Fields::new("deposits", line);
    let sender = fields.parse("receiver", row::address)?;
    let height = fields.parse("height", |text| text.parse().ok())?;
    Ok((sender, (height, fields.int("amount")?)))
}

// Custody, and how many deposits and outflows it is made of. Deposits are those of the order that
// owns the address, and those that came before it had an owner: each through an index of its own.
// What was reassigned came once, however often it stands there. The third number is what these make
// of custody: where it is another, the rest is in AWAY.
static HELD: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "held",
    head: "WITH v (sender, chain, height) AS (VALUES".to_owned(),
    columns: 3,
    tail: ") SELECT string_agg(sender || '\u{1f}' || CAST(now AS TEXT) || '\u{1f}' || \
        CAST(rounded AS TEXT) || '\u{1f}' || CAST(known AS TEXT), '\u{1e}') \
        FROM (SELECT v.sender, \
        coalesce((SELECT b.debits - b.credits FROM balances AS b \
            WHERE b.account = 'custody:' || v.chain || ':' || v.sender \
            AND b.asset = 'USDT.' || v.chain), 0) AS now, \
        (SELECT count(*) FROM outflows AS w WHERE w.sender = v.sender AND w.chain = v.chain \
            AND w.state = 'booked') \
        + (SELECT count(*) FROM addresses AS a JOIN deposits AS d ON d.order_id = a.order_id \
            WHERE a.address = v.sender AND d.receiver = v.sender AND d.chain = v.chain \
            AND d.assigned_by IS NULL \
            AND d.state NOT IN ('pending', 'orphaned', 'reversed')) \
        + (SELECT count(*) FROM deposits AS d \
            WHERE d.order_id IS NULL AND d.receiver = v.sender AND d.chain = v.chain \
            AND d.state NOT IN ('pending', 'orphaned', 'reversed')) AS rounded, \
        coalesce((SELECT sum(d.amount) FROM addresses AS a \
            JOIN deposits AS d ON d.order_id = a.order_id \
            WHERE a.address = v.sender AND d.receiver = v.sender AND d.chain = v.chain \
            AND d.assigned_by IS NULL \
            AND d.state NOT IN ('pending', 'orphaned', 'reversed')), 0) \
        + coalesce((SELECT sum(d.amount) FROM deposits AS d \
            WHERE d.order_id IS NULL AND d.receiver = v.sender AND d.chain = v.chain \
            AND d.state NOT IN ('pending', 'orphaned', 'reversed')), 0) \
        - coalesce((SELECT sum(w.amount) FROM outflows AS w WHERE w.sender = v.sender \
            AND w.chain = v.chain AND w.state = 'booked'), 0) AS known \
        FROM v) AS lines",
});

// The same above a height, one by one.
static MOVES: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "moves above a height",
    head: "WITH v (sender, chain, height) AS (VALUES".to_owned(),
    columns: 3,
    tail: ") SELECT string_agg(sender || '\u{1f}' || CAST(height AS TEXT) || '\u{1f}' || \
        CAST(amount AS TEXT), '\u{1e}') \
        FROM (SELECT v.sender, w.height, 0 - w.amount AS amount FROM v JOIN outflows AS w \
            ON w.sender = v.sender AND w.chain = v.chain AND w.height > v.height \
            AND w.state = 'booked' \
        UNION ALL SELECT v.sender, d.height, d.amount FROM v \
            JOIN addresses AS a ON a.address = v.sender \
            JOIN deposits AS d ON d.order_id = a.order_id AND d.receiver = v.sender \
            AND d.assigned_by IS NULL AND d.chain = v.chain AND d.height > v.height \
            AND d.amount > 0 AND d.state NOT IN ('pending', 'orphaned', 'reversed') \
        UNION ALL SELECT v.sender, d.height, d.amount FROM v \
            JOIN deposits AS d ON d.order_id IS NULL AND d.receiver = v.sender \
            AND d.chain = v.chain AND d.height > v.height AND d.amount > 0 \
            AND d.state NOT IN ('pending', 'orphaned', 'reversed')) AS lines",
});

// What a transaction brought that had paid another order before a reorg, and stays that order's. No
// index leads from an address to these: a reorg that does it is rare, and is paid for here.
static AWAY: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "moves of other orders",
    head: "WITH v (sender, chain, height) AS (VALUES".to_owned(),
    columns: 3,
    tail: ") SELECT string_agg(sender || '\u{1f}' || CAST(height AS TEXT) || '\u{1f}' || \
        CAST(amount AS TEXT), '\u{1e}') \
        FROM (SELECT v.sender, d.height, d.amount FROM v \
            JOIN deposits AS d ON d.receiver = v.sender AND d.chain = v.chain \
            AND d.order_id IS NOT NULL AND d.assigned_by IS NULL AND d.amount > 0 \
            AND d.state NOT IN ('pending', 'orphaned', 'reversed') \
            LEFT JOIN addresses AS a ON a.address = v.sender \
            WHERE a.order_id IS NULL OR a.order_id <> d.order_id) AS lines",
});
