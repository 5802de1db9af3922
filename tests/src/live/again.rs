//! Looking again: what was recorded stays as it is, what was missed is found.

use super::shop::{
    Engine, FRESH_ADDRESSES, Setup, Shop, USDT, deposits, list, on_both_engines, text,
};

on_both_engines!(
    what_is_read_again_is_not_recorded_twice,
    a_deposit_that_was_missed_is_found_by_looking_again,
);

async fn what_is_read_again_is_not_recorded_twice(engine: Engine) {
    let shop = Shop::open(engine).await;
    let mut daemon = shop.watching().await;
    let paid = shop.order("PAID", "100").await;
    let part = shop.order("PART", "100").await;
    let tx = shop.pay(paid, 100 * USDT).await;
    shop.pay(part, 60 * USDT).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    // One that is not final yet is read again as well.
    let pending = shop.pay(part, 40 * USDT).await;
    shop.anvil.mine(1).await;
    daemon.told("order.confirming", "PART").await;
    let events = shop.events().await;
    let last = shop.anvil.height().await.to_string();
    for what in [
        vec!["--from", "0", "--to", &last],
        vec!["--from", &last, "--to", &last],
        vec!["--tx", &tx.to_string()],
        vec!["--tx", &pending.to_string()],
        vec!["--address", &paid.to_string()],
    ] {
        let mut arguments = vec!["rescan", "--chain", "ethereum"];
        arguments.extend(&what);
        let done = shop.bursar(&arguments).await;
        assert_eq!(done["found"].as_u64(), Some(0), "{what:?}: {done}");
    }
    assert_eq!(shop.events().await, events);
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    shop.audit(&[("PAID", "10000.00"), ("PART", "10000.00")]).await;
}

/// An address that was paid before it was imported: nobody watched it then.
async fn a_deposit_that_was_missed_is_found_by_looking_again(engine: Engine) {
    let setup = Setup { addresses: "imported = true".to_owned(), ..Setup::new(engine) };
    let shop = Shop::with(setup).await;
    let [known, late, later] = FRESH_ADDRESSES;
    import(&shop, known).await;
    let mut daemon = shop.watching().await;
    assert_eq!(shop.order("KNOWN", "100").await.to_string(), known);
    shop.pay(known.parse().expect("an address"), 100 * USDT).await;
    let by_tx = shop.pay(late.parse().expect("an address"), 50 * USDT).await;
    shop.anvil.mine(1).await;
    let by_height = shop.pay(later.parse().expect("an address"), 7 * USDT).await;
    shop.anvil.mine(1).await;
    let height = shop.anvil.height().await.to_string();
    shop.settle(&mut daemon).await;
    for address in [late, later] {
        import(&shop, address).await;
    }
    shop.settle(&mut daemon).await;
    let told = shop.bursar(&["explain", &by_tx.to_string()]).await;
    assert_eq!(text(&told["kind"]), "foreign_transaction");
    assert_eq!(told["chains"][0]["answer"]["transfers"][0]["ours"], true, "{told}");
    assert_eq!(list(&shop.bursar(&["explain", late]).await["story"]).len(), 0);
    for (found, what) in [
        (1, vec!["--tx", &by_tx.to_string()]),
        (1, vec!["--from", &height, "--to", &height]),
        (0, vec!["--from", &height, "--to", &height]),
    ] {
        let mut arguments = vec!["rescan", "--chain", "ethereum"];
        arguments.extend(&what);
        let done = shop.bursar(&arguments).await;
        assert_eq!(done["found"].as_u64(), Some(found), "{what:?}: {done}");
    }
    for (address, tx, amount) in [(late, by_tx, "50.00"), (later, by_height, "7.00")] {
        let told = shop.bursar(&["explain", address]).await;
        assert_eq!(text(&told["story"][0]["id"]), format!("ethereum:{tx}:0"));
        let facts = (text(&told["story"][0]["case"]), text(&told["story"][0]["amount"]));
        assert_eq!(facts, ("unassigned", amount));
    }
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    assert_eq!(deposits(&shop.show("KNOWN").await).len(), 1);
    shop.audit(&[("KNOWN", "10000.00")]).await;
    assert_eq!(shop.balances().await["suspense:unassigned"], "57.00");
}

async fn import(shop: &Shop, address: &str) {
    std::fs::write(shop.folder.path().join("list"), address).expect("a list");
    let done = shop.bursar(&["address", "import", "list"]).await;
    assert_eq!(done["imported"].as_u64(), Some(1), "{done}");
}
