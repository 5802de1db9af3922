//! What must hold at the end of every scenario, whatever happened in it.
//!
//! In: a shop whose daemon has recorded a final chain, and what each customer is due.
//! Out: nothing, or the first thing that is wrong. Never: a look at what the scenario was.
//! Why: money is right or it is not; the same questions are asked every time.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Address;
use store::{OpenMode, Store, Told};

use super::shop::{Shop, list, text};

/// Events that an order is told once in its life unless a reorg or a person comes between.
const ONCE: [&str; 5] =
    ["order.created", "order.paid", "credits.granted", "order.expired", "order.cancelled"];

impl Shop {
    /// `ledger verify` finds nothing; customers have exactly `due` (name and credits) and nobody
    /// else has anything; custody is what the token says at the finalized block; the orders' own
    /// accounts are cleared; events have no gap. The events, for what a scenario asks further.
    pub(crate) async fn audit(&self, due: &[(&str, &str)]) -> Vec<Told> {
        let verified = self.bursar(&["ledger", "verify"]).await;
        assert_eq!(list(&verified["findings"]), [] as [serde_json::Value; 0]);
        let balances = self.balances().await;
        let mut credits: BTreeMap<&str, &str> = BTreeMap::new();
        for (account, balance) in &balances {
            if let Some(customer) = account.strip_prefix("customer:").filter(|_| balance != "0.00")
            {
                credits.insert(customer, balance);
            }
        }
        assert_eq!(credits, due.iter().copied().collect(), "credits of customers");
        self.audit_orders(&balances).await;
        let events = self.events().await;
        let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
        let gapless: Vec<u64> = (1..=u64::try_from(events.len()).expect("few")).collect();
        assert_eq!(numbers, gapless, "event numbers");
        events
    }

    /// Custody of every order, and of every address with custody, against the chain.
    async fn audit_orders(&self, balances: &BTreeMap<String, String>) {
        let mut ours: BTreeSet<String> = BTreeSet::new();
        let orders = self.bursar(&["order", "list", "--limit", "1000"]).await;
        for order in list(&orders["orders"]) {
            assert!(ours.insert(text(&order["address"]).to_lowercase()), "used twice: {order}");
            let account = format!("order:{}", text(&order["id"]));
            let cleared = balances.get(&account).is_none_or(|balance| balance == "0.00");
            let is_partial = order["status"] == "partially_paid";
            assert!(cleared || is_partial, "{account} has {:?}: {order}", balances.get(&account));
        }
        let custody =
            |account: &String| account.strip_prefix("custody:ethereum:").map(str::to_lowercase);
        ours.extend(balances.keys().filter_map(custody));
        for address in &ours {
            let holder: Address = address.parse().expect("an address");
            let raw = self.final_balance(holder).await;
            let micro = raw / 10_u128.pow(u32::from(self.token.decimals - 6));
            let held = bursar::view::micro(-i128::try_from(micro).expect("in range"));
            let account =
                balances.iter().find(|(account, _)| custody(account).as_ref() == Some(address));
            let booked = account.map_or("0.00", |(_, balance)| balance);
            assert_eq!(booked.to_owned(), held, "custody of {address}, at {raw} base units");
        }
    }

    /// Every account and its balance, credits less debits.
    pub(crate) async fn balances(&self) -> BTreeMap<String, String> {
        let answer = self.bursar(&["ledger", "balance"]).await;
        let rows = list(&answer["balances"]).iter();
        rows.map(|row| (text(&row["account"]).to_owned(), text(&row["balance"]).to_owned()))
            .collect()
    }

    /// Every event that was told.
    pub(crate) async fn events(&self) -> Vec<Told> {
        let store = Store::open(&self.url, OpenMode::Use).await.expect("the books");
        let events = store.events(0, 100_000).await.expect("events");
        store.close().await;
        events
    }
}

/// The types of the events of one order, in their order.
pub(crate) fn told_of(events: &[Told], order: &str) -> Vec<&'static str> {
    let of = |event: &&Told| event.order.as_ref().is_some_and(|id| id.as_str() == order);
    events.iter().filter(of).map(|event| event.kind.word()).collect()
}

/// No order was told anything twice that happens once.
pub(crate) fn assert_told_once(events: &[Told]) {
    let mut told = BTreeSet::new();
    for event in events.iter().filter(|event| ONCE.contains(&event.kind.word())) {
        let order = event.order.as_ref().map(ToString::to_string);
        assert!(told.insert((order, event.kind)), "told twice: {event:?}");
    }
}

/// Each event about an order and a deposit was told once, but of the orders that a reorg `moved`.
pub(crate) fn assert_each_told_once(events: &[Told], moved: &BTreeSet<String>) {
    let mut told = BTreeSet::new();
    for event in events {
        let order = event.order.as_ref().map(ToString::to_string);
        if order.as_ref().is_some_and(|order| moved.contains(order)) {
            continue;
        }
        assert!(told.insert((order, event.kind, event.deposit.clone())), "twice: {event:?}");
    }
}
