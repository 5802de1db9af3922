//! A shop with one chain: orders, and blocks that pay them, through the real rules.
//!
//! In: names and amounts. Out: what was planned and committed.

use std::collections::BTreeMap;

use payments::address::Address;
use payments::amount::{Credits, Usdt};
use payments::chain::{BlockHash, BlockId, Header, Scan, Transfer, TxHash};
use payments::changes::{Bounds, ChainRules, Rules};
use payments::name::{ChainName, CustomerId, OrderId};
use payments::order::{Order, Policy, Price, Terms};
use payments::time::Time;
use payments::{Changes, Update, plan};
use store::{Committed, Error, Store};

pub(super) const TOKEN: Address = Address([0xda; 20]);

pub(super) fn chain() -> ChainName {
    ChainName::new("ethereum").unwrap()
}

pub(super) fn id(name: &str) -> OrderId {
    OrderId::new(name).unwrap()
}

/// The address of the order of that name.
pub(super) fn address(name: &str) -> Address {
    let mut bytes = [0x0a; 20];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Address(bytes)
}

pub(super) fn tx(number: u8) -> TxHash {
    TxHash([number; 32])
}

/// 100 USDT for 10,000 credits, expiring at ten minutes.
pub(super) fn order(name: &str) -> Order {
    Order {
        id: id(name),
        customer: CustomerId::new("acme").unwrap(),
        chain: chain(),
        due: Some(Usdt::parse("100").unwrap()),
        price: Price::Fixed(Credits::parse("10000").unwrap()),
        created_at: Time(0),
        expires_at: Some(Time(600_000)),
        address: address(name),
        address_index: None,
        refund_to: Some(Address([0xcc; 20])),
        metadata: Some(r#"{"plan":"Team","note":"\u001f"}"#.to_owned()),
        terms: Terms {
            tolerance: Usdt::parse("0.10").unwrap(),
            dust: Usdt::parse("0.10").unwrap(),
            late_window: 1000,
            underpaid: Policy::Hold,
            overpaid: Policy::Hold,
            late: Policy::Hold,
        },
    }
}

pub(super) fn header(height: u64, branch: u8) -> Header {
    let hash = |height: u64, branch: u8| {
        let mut bytes = [branch; 32];
        bytes[..8].copy_from_slice(&height.to_be_bytes());
        BlockHash(bytes)
    };
    // Branches part after block 1.
    let below = if height <= 2 { 0 } else { branch };
    let parent = hash(height.saturating_sub(1), below);
    let time = Time(i64::try_from(height).unwrap() * 12_000);
    let branch = if height <= 1 { 0 } else { branch };
    Header { id: BlockId { height, hash: hash(height, branch) }, parent, time }
}

pub(super) fn transfer(at: &Header, number: u8, to: Address, amount: &str) -> Transfer {
    Transfer {
        tx: tx(number),
        n: 0,
        log_index: u64::from(number),
        block: at.id,
        time: at.time,
        token: TOKEN,
        from: Address([0xee; 20]),
        to,
        raw: Usdt::parse(amount).unwrap().to_raw(6).unwrap(),
    }
}

/// Blocks `from..=to` on a branch, with these transfers as (height, transaction, to, amount).
pub(super) fn scan(
    range: std::ops::RangeInclusive<u64>,
    branch: u8,
    pays: &[(u64, u8, Address, &str)],
    finalized: Option<u64>,
) -> Update {
    let blocks: Vec<Header> = range.clone().map(|height| header(height, branch)).collect();
    let base = range.start().checked_sub(1).map(|height| header(height, branch).id);
    let transfers = pays.iter().map(|(height, number, to, amount)| {
        transfer(&header(*height, branch), *number, *to, amount)
    });
    Update::Scan(Scan {
        chain: chain(),
        base,
        transfers: transfers.collect(),
        notices: Vec::new(),
        blocks,
        finalized: finalized.map(|height| header(height, branch).id),
        safe: None,
        tip: *range.end(),
    })
}

pub(super) fn rules() -> Rules {
    let bounds = Bounds::default();
    let rules = ChainRules {
        token: TOKEN,
        decimals: 6,
        max_reorg: 64,
        finality: Vec::new(),
        treasury: Vec::new(),
        bounds,
    };
    BTreeMap::from([(chain(), rules)])
}

/// What the rules make of an update, now.
pub(super) async fn planned(store: &Store, update: &Update) -> Changes {
    let snapshot = store.snapshot(update).await.unwrap();
    plan(&rules(), &snapshot, update, Time(1_000_000)).unwrap()
}

pub(super) async fn record(store: &Store, update: &Update) -> Result<Committed, Error> {
    let changes = planned(store, update).await;
    store.commit(&changes).await
}

/// Order A paid by block 2 and credited, B paid in part, and 5 USDT to an imported address.
pub(super) async fn opened(store: &Store) {
    store.import(&[address("pool")]).await.unwrap();
    for name in ["A", "B"] {
        record(store, &Update::Create(order(name))).await.unwrap();
    }
    let pays =
        [(1, 1, address("A"), "100"), (2, 2, address("B"), "40"), (2, 3, address("pool"), "5")];
    record(store, &scan(0..=2, 0, &pays, Some(2))).await.unwrap();
}
