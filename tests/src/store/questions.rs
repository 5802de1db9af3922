//! What commands and the API ask, answered alike on both engines.

use payments::amount::Usdt;
use payments::case::CaseKind;
use payments::deposit::DepositId;
use payments::event::EventKind;
use payments::ledger::{Account, Asset, Balances, Entry, Journal};
use payments::name::{ChainName, CustomerId};
use payments::{Changes, Update};
use store::{Found, OrderFilter, Pins, Standing};

use super::shop::{TOKEN, address, chain, id, opened, order, record, scan, tx};
use super::{Place, on_both};

on_both!(
    orders_are_listed,
    deposits_are_found,
    cases_are_listed,
    the_ledger_is_read_in_pages,
    an_account_of_two_assets_is_on_one_page,
    every_account_has_its_entries,
    events_are_read_in_pages,
    terms_find_what_they_name,
    pins_are_set_once,
    who_could_lose_money_is_known,
);

async fn orders_are_listed(place: Place) {
    let store = &place.store;
    opened(store).await;
    record(store, &Update::Create(order("C"))).await.unwrap();
    record(store, &Update::Cancel(id("C"))).await.unwrap();
    let listed = |filter: OrderFilter, after, limit| async move {
        let found = store.orders(&filter, after, limit).await.unwrap();
        found.into_iter().map(|(number, d)| (number, d.order.id.to_string())).collect::<Vec<_>>()
    };
    let owned = |found: &[(u64, &str)]| -> Vec<(u64, String)> {
        found.iter().map(|(number, id)| (*number, (*id).to_owned())).collect()
    };
    let all = OrderFilter::default();
    assert_eq!(listed(all.clone(), 0, 9).await, owned(&[(1, "A"), (2, "B"), (3, "C")]));
    assert_eq!(listed(all.clone(), 1, 1).await, owned(&[(2, "B")]));
    for (standing, found) in
        [(Standing::Open, (2, "B")), (Standing::Paid, (1, "A")), (Standing::Cancelled, (3, "C"))]
    {
        let filter = OrderFilter { standing: Some(standing), ..all.clone() };
        assert_eq!(listed(filter, 0, 9).await, owned(&[found]));
    }
    let of = |name: &str| Some(CustomerId::new(name).unwrap());
    let acme = OrderFilter { customer: of("acme"), chain: Some(chain()), ..all.clone() };
    assert_eq!(listed(acme, 0, 9).await.len(), 3);
    let nobody = OrderFilter { customer: of("nobody"), ..all.clone() };
    assert_eq!(listed(nobody, 0, 9).await, []);
    let elsewhere = OrderFilter { chain: Some(ChainName::new("tron").unwrap()), ..all };
    assert_eq!(listed(elsewhere, 0, 9).await, []);
}

async fn who_could_lose_money_is_known(place: Place) {
    let store = &place.store;
    opened(store).await;
    let exposed = |limit| async move { store.exposed(&chain(), limit).await.unwrap() };
    // A holds 100 though its order is paid, B 40, and what was imported 5.
    let held = vec![address("A"), address("B"), address("pool")];
    assert_eq!(exposed(9).await, (held.clone(), 3));
    record(store, &Update::Create(order("C"))).await.unwrap();
    record(store, &Update::Create(order("D"))).await.unwrap();
    record(store, &Update::Create(order("E"))).await.unwrap();
    record(store, &Update::Cancel(id("E"))).await.unwrap();
    let all = [held, vec![address("D"), address("C")]].concat();
    assert_eq!(exposed(9).await, (all.clone(), 5));
    assert_eq!(exposed(2).await, (all[..2].to_vec(), 5));
    let elsewhere = ChainName::new("tron").unwrap();
    assert_eq!(store.exposed(&elsewhere, 9).await.unwrap(), (Vec::new(), 0));
}

async fn deposits_are_found(place: Place) {
    let store = &place.store;
    opened(store).await;
    // In a block that can still go: no journal leads to it yet.
    record(store, &scan(3..=3, 0, &[(3, 4, address("B"), "7")], Some(2))).await.unwrap();
    for (number, amount) in [(1, "100"), (2, "40"), (3, "5"), (4, "7")] {
        let found = store.deposits_of_tx(&tx(number)).await.unwrap();
        assert_eq!(found.len(), 1, "transaction {number}");
        assert_eq!(found[0].amount, Usdt::parse(amount).unwrap());
    }
    assert_eq!(store.deposits_of_tx(&tx(9)).await.unwrap(), []);
    assert_eq!(store.deposits_to(&address("B")).await.unwrap().len(), 2);
    assert_eq!(store.deposits_to(&address("pool")).await.unwrap().len(), 1);
    assert_eq!(store.deposits_to(&address("none")).await.unwrap(), []);
}

async fn cases_are_listed(place: Place) {
    let store = &place.store;
    opened(store).await;
    record(store, &Update::Cancel(id("B"))).await.unwrap();
    let cases = store.cases(true, 0, 9).await.unwrap();
    let kinds: Vec<CaseKind> = cases.iter().map(|(_, case)| case.kind).collect();
    assert_eq!(kinds, [CaseKind::Unassigned, CaseKind::Underpaid]);
    assert_eq!(
        cases[1].1.deposits,
        [DepositId { chain: chain(), tx: tx(2), n: 0, other_token: None }]
    );
    assert_eq!(store.cases(true, cases[0].0, 9).await.unwrap(), cases[1..]);
    assert_eq!(store.cases(false, 0, 1).await.unwrap(), cases[..1]);
    // A later deposit inside the late window covers the order: the case closes by itself.
    record(store, &scan(3..=3, 0, &[(3, 4, address("B"), "60")], Some(3))).await.unwrap();
    let case = store.case(&cases[1].1.id).await.unwrap().unwrap().1;
    assert!(case.decision.is_some(), "{case:?}");
    assert_eq!(store.cases(true, 0, 9).await.unwrap(), cases[..1]);
    assert_eq!(store.cases(false, 0, 9).await.unwrap().len(), 2);
}

async fn the_ledger_is_read_in_pages(place: Place) {
    let store = &place.store;
    opened(store).await;
    let all = store.journals(0, 99).await.unwrap();
    assert_eq!(all.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(store.journals(1, 2).await.unwrap(), all[1..3]);
    let found = store.journal("paid:A").await.unwrap().unwrap();
    assert!(all.contains(&found));
    assert_eq!(store.journal("paid:B").await.unwrap(), None);
    let balances = store.balances("custody:", "", 99).await.unwrap();
    let nets: Vec<i128> = balances.0.values().map(|sides| sides.net()).collect();
    assert_eq!(nets, [-100_000_000, -40_000_000, -5_000_000]);
    let one = store.balances("", "custody:", 1).await.unwrap();
    let account = one.0.keys().next().unwrap().1.clone();
    assert_eq!(account, Account::Custody(chain(), address("A")));
    let next = store.balances("", &account.to_string(), 1).await.unwrap();
    assert_eq!(next.0.keys().next().unwrap().1, Account::Custody(chain(), address("B")));
}

async fn an_account_of_two_assets_is_on_one_page(place: Place) {
    let store = &place.store;
    opened(store).await;
    let tron = ChainName::new("tron").unwrap();
    let custody = Account::Custody(tron.clone(), address("A"));
    let moved = Entry::usdt(&tron, custody, Account::Sales, Usdt::parse("7").unwrap());
    let journal = Journal {
        key: "of another chain".to_owned(),
        order: None,
        entries: moved.into_iter().collect(),
        ..store.journal("paid:A").await.unwrap().unwrap().1
    };
    let journal = Journal { deposit: None, ..journal };
    let changes = Changes { journals: vec![journal], ..Changes::default() };
    store.commit(&changes).await.unwrap();
    let whole = store.balances("", "", u32::MAX).await.unwrap();
    let sales = whole.0.keys().filter(|(_, account)| *account == Account::Sales);
    assert_eq!(sales.count(), 2);
    for limit in [1, 2, 3] {
        let (mut read, mut after) = (Balances::default(), String::new());
        loop {
            let page = store.balances("", &after, limit).await.unwrap();
            let accounts = page.0.keys().map(|(_, account)| account.to_string());
            let Some(last) = accounts.max() else { break };
            after = last;
            read.0.extend(page.0);
        }
        assert_eq!(read, whole, "pages of {limit}");
    }
}

async fn every_account_has_its_entries(place: Place) {
    let store = &place.store;
    opened(store).await;
    let usdt = Asset::Usdt(chain());
    for (account, expected) in [
        (Account::Order(id("A")), 2),
        (Account::Order(id("B")), 1),
        (Account::Custody(chain(), address("A")), 1),
        (Account::Custody(chain(), address("pool")), 1),
        (Account::Sales, 1),
        (Account::Issued, 1),
        (Account::Suspense(CaseKind::Unassigned), 1),
        (Account::Customer(CustomerId::new("acme").unwrap()), 1),
        (Account::Customer(CustomerId::new("ac").unwrap()), 0),
        (Account::Dust, 0),
        (Account::Treasury(chain()), 0),
    ] {
        let lines = store.entries(&account, None, 9).await.unwrap();
        assert_eq!(lines.len(), expected, "{account}");
        let net: i128 = lines
            .iter()
            .map(|line| {
                let amount = i128::from(line.entry.amount);
                if line.entry.credit == account { amount } else { -amount }
            })
            .sum();
        let known = store.balances(&account.to_string(), "", 1).await.unwrap();
        let asset = if net == 10_000_000_000 || account == Account::Issued {
            Asset::Credit
        } else {
            usdt.clone()
        };
        let known = known.0.get(&(asset, account.clone())).map_or(0, |sides| sides.net());
        assert_eq!(net, known, "{account}");
        if let [first, rest @ ..] = lines.as_slice() {
            let after = Some((first.journal, first.line));
            assert_eq!(store.entries(&account, after, 9).await.unwrap(), rest, "{account}");
        }
    }
}

async fn events_are_read_in_pages(place: Place) {
    let store = &place.store;
    opened(store).await;
    let all = store.events(0, 99).await.unwrap();
    assert_eq!(u64::try_from(all.len()).unwrap(), store.last_event().await.unwrap());
    assert!((1..).zip(&all).all(|(seq, told)| told.seq == seq));
    assert_eq!(store.events(2, 3).await.unwrap(), all[2..5]);
    assert_eq!(store.events(all.len() as u64, 9).await.unwrap(), []);
    let paid = all.iter().find(|told| told.kind == EventKind::OrderPaid).unwrap();
    assert_eq!(paid.order, Some(id("A")));
    assert!(paid.id.starts_with(&format!("evt_{}_", paid.seq)), "{}", paid.id);
    let data: serde_json::Value = serde_json::from_str(&paid.data).unwrap();
    assert_eq!(data["amount"], "100.00");
    let detected = all.iter().find(|told| told.kind == EventKind::DepositDetected).unwrap();
    assert!(detected.deposit.is_some());
}

async fn terms_find_what_they_name(place: Place) {
    let store = &place.store;
    opened(store).await;
    let deposit = DepositId { chain: chain(), tx: tx(1), n: 0, other_token: None };
    let owned = Found::Address(address("A"), Some(id("A")));
    for (term, found) in [
        ("A".to_owned(), vec![Found::Order(id("A"))]),
        (tx(1).to_string(), vec![Found::Deposit(deposit.clone())]),
        (tx(1).bare(), vec![Found::Deposit(deposit.clone())]),
        (deposit.to_string(), vec![Found::Deposit(deposit)]),
        (address("A").evm(), vec![owned.clone()]),
        (address("A").tron(), vec![owned]),
        (address("pool").evm(), vec![Found::Address(address("pool"), None)]),
        ("unknown".to_owned(), vec![]),
        ("'; DROP TABLE orders; --".to_owned(), vec![]),
    ] {
        let found_now = store.find(&term).await.unwrap();
        let found_now: Vec<Found> =
            found_now.into_iter().filter(|found| !matches!(found, Found::Case(_))).collect();
        assert_eq!(found_now, found, "{term}");
    }
    let (_, case) = store.cases(true, 0, 1).await.unwrap().remove(0);
    assert_eq!(store.find(&case.id.0).await.unwrap(), [Found::Case(case.id)]);
}

async fn pins_are_set_once(place: Place) {
    let store = &place.store;
    assert_eq!(store.pins(&chain()).await.unwrap(), None);
    let first = Pins {
        chain: chain(),
        chain_id: "1".to_owned(),
        genesis: tx(9).to_string(),
        token: TOKEN,
        decimals: 6,
    };
    assert_eq!(store.pin(&first).await.unwrap(), first);
    let other = Pins { decimals: 18, ..first.clone() };
    assert_eq!(store.pin(&other).await.unwrap(), first);
    assert_eq!(store.pins(&chain()).await.unwrap(), Some(first));
    assert!(super::run(&place.url, "UPDATE pins SET decimals = 18").await.is_err());
}
