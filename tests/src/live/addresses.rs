//! Deposit addresses: none is handed out twice, none that the chain knows is handed out at all.

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::future::join_all;

use super::shop::{
    Engine, FRESH_ADDRESSES, KNOWN, Setup, Shop, USDT, deposits, on_both_engines, run, text,
};

on_both_engines!(
    an_address_that_the_chain_knows_is_passed_over,
    orders_made_at_once_have_addresses_of_their_own,
);

/// By a token it received, by one it received and spent, and by the chain's own coin.
async fn an_address_that_the_chain_knows_is_passed_over(engine: Engine) {
    let shop = Shop::open(engine).await;
    let [first, second, third] = FRESH_ADDRESSES;
    shop.pay(first.parse().expect("an address"), 1).await;
    shop.anvil.mine(1).await;
    assert_eq!(shop.order("NEXT", "100").await.to_string(), second);
    assert_eq!(shop.order("LAST", "100").await.to_string(), third);

    let addresses = format!("xpub = \"{KNOWN}\"");
    let shop = Shop::with(Setup { addresses, ..Setup::new(engine) }).await;
    let fresh = shop.order("NEXT", "100").await;
    for n in 0..10 {
        assert_ne!(fresh, shop.anvil.account(n));
    }
    let mut daemon = shop.watching().await;
    shop.pay(fresh, 100 * USDT).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    shop.audit(&[("NEXT", "10000.00")]).await;
}

/// Nine processes: six orders, one of them asked for by four at once.
async fn orders_made_at_once_have_addresses_of_their_own(engine: Engine) {
    let shop = Shop::open(engine).await;
    let ids = ["A", "B", "C", "D", "E", "SAME", "SAME", "SAME", "SAME"];
    let made = join_all(ids.map(|id| shop.order(id, "100"))).await;
    let of_same: BTreeSet<_> = made[5..].iter().collect();
    assert_eq!(of_same.len(), 1, "one order, one address");
    let all: BTreeSet<_> = made.iter().collect();
    assert_eq!(all.len(), 6, "an address was handed out twice: {made:?}");
    let mut daemon = shop.watching().await;
    for address in &all {
        shop.pay(**address, 100 * USDT).await;
    }
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    shop.audit(&["A", "B", "C", "D", "E", "SAME"].map(|id| (id, "10000.00"))).await;
}

/// The file beside the database remembers what the restored database has forgotten; where that
/// file is gone too, the chain remembers what was paid.
#[tokio::test]
async fn a_restored_backup_hands_out_no_address_again() {
    let shop = Shop::open(Engine::Sqlite).await;
    let before = shop.order("BEFORE", "100").await;
    let backup = tempfile::tempdir().expect("a folder");
    copy_books(shop.folder.path(), backup.path());
    let mut lost = Vec::new();
    for id in ["LOST-1", "LOST-2"] {
        let address = shop.order(id, "100").await;
        shop.pay(address, 100 * USDT).await;
        lost.push(address);
    }
    // Shown and not yet paid: of this one the chain knows nothing.
    lost.push(shop.order("LOST-3", "100").await);
    shop.anvil.mine(1).await;

    copy_books(backup.path(), shop.folder.path());
    let after = shop.order("AFTER", "100").await;
    assert!(after != before && !lost.contains(&after), "{after} was handed out before");
    shop.pay(after, 100 * USDT).await;
    shop.anvil.mine(1).await;

    copy_books(backup.path(), shop.folder.path());
    let marks = files(shop.folder.path(), ".index");
    let [mark] = marks.as_slice() else { panic!("one high-water mark: {marks:?}") };
    std::fs::remove_file(mark).expect("the mark");
    let last = shop.order("LAST", "100").await;
    assert!(![before, after].contains(&last) && !lost[..2].contains(&last), "{last} was known");

    let mut daemon = shop.watching().await;
    shop.pay(before, 100 * USDT).await;
    shop.pay(last, 100 * USDT).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    assert_eq!(deposits(&shop.show("LAST").await).len(), 1);
    assert_eq!(text(&shop.show("BEFORE").await["status"]), "paid");
    daemon.stop().await;
    shop.audit(&[("BEFORE", "10000.00"), ("LAST", "10000.00")]).await;
}

/// What was shown before the database was put back is paid for all the same: before, when the
/// database did not have it, and after.
#[tokio::test]
async fn a_restored_backup_loses_no_payment_to_what_it_forgot() {
    let shop = Shop::open(Engine::Sqlite).await;
    let backup = tempfile::tempdir().expect("a folder");
    copy_books(shop.folder.path(), backup.path());
    let paid = shop.order("PAID", "100").await;
    shop.pay(paid, 100 * USDT).await;
    shop.anvil.mine(1).await;
    let open = shop.order("OPEN", "100").await;
    copy_books(backup.path(), shop.folder.path());

    let mut daemon = shop.watching().await;
    shop.pay(open, 100 * USDT).await;
    shop.anvil.mine(1).await;
    // One more, as a settled shop has orders; the restored one has none.
    let after = shop.order("AFTER", "100").await;
    assert!(after != paid && after != open, "{after} was shown before");
    shop.pay(after, 100 * USDT).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    unassigned(&shop, &[paid.to_string(), open.to_string()]).await;
}

/// An order made before the daemon starts takes an index above those the database forgot, and
/// they are watched all the same. So are imported addresses that it does not list any more.
#[tokio::test]
async fn an_order_made_first_hides_nothing_that_was_forgotten() {
    let shop = Shop::open(Engine::Sqlite).await;
    let backup = tempfile::tempdir().expect("a folder");
    copy_books(shop.folder.path(), backup.path());
    let lost = shop.order("LOST", "100").await;
    copy_books(backup.path(), shop.folder.path());
    // Nothing of it is to be seen later, so it is told now.
    let made = ["order", "create", "--id=AFTER", "--customer=AFTER", "--chain=ethereum"];
    let made = run(shop.folder.path(), &[&made[..], &["--amount=100"]].concat()).await;
    assert_eq!(made.0, Some(0), "{made:?}");
    assert!(made.2.contains("handed out before, and the books did not have them"), "{made:?}");
    let mut daemon = shop.watching().await;
    shop.pay(lost, 100 * USDT).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    unassigned(&shop, &[lost.to_string()]).await;

    let addresses = "imported = true".to_owned();
    let shop = Shop::with(Setup { addresses, ..Setup::new(Engine::Sqlite) }).await;
    copy_books(shop.folder.path(), backup.path());
    std::fs::write(shop.folder.path().join("list"), FRESH_ADDRESSES.join("\n")).expect("a list");
    shop.bursar(&["address", "import", "list"]).await;
    let lost = shop.order("LOST", "100").await;
    copy_books(backup.path(), shop.folder.path());
    let mut daemon = shop.watching().await;
    shop.pay(lost, 100 * USDT).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    daemon.stop().await;
    unassigned(&shop, &[lost.to_string()]).await;
}

/// There is a case of 100 USDT for each of these addresses, and none for another.
async fn unassigned(shop: &Shop, addresses: &[String]) {
    let list = shop.bursar(&["case", "list"]).await;
    let cases = list["cases"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let found: BTreeSet<String> = cases
        .iter()
        .map(|case| format!("{} {} {}", text(&case["kind"]), text(&case["amount"]), case))
        .collect();
    assert_eq!(found.len(), addresses.len(), "{found:?}");
    for address in addresses {
        let told = shop.bursar(&["explain", address]).await.to_string();
        assert!(told.contains("unassigned") && told.contains("100.00"), "{address}: {told}");
    }
}

/// The file beside the database remembers which imported addresses the restored one has forgotten.
#[tokio::test]
async fn a_restored_backup_hands_out_no_imported_address_again() {
    let addresses = "imported = true".to_owned();
    let shop = Shop::with(Setup { addresses, ..Setup::new(Engine::Sqlite) }).await;
    let [first, second, third] = FRESH_ADDRESSES;
    // One that somebody else gave out is watched, and no order gets it.
    let other = alloy::primitives::Address::repeat_byte(0x5b).to_string();
    std::fs::write(shop.folder.path().join("list"), &other).expect("a list");
    for more in [&["address", "import", "list"][..], &["address", "import", "--watch-only", "list"]]
    {
        let done = shop.bursar(more).await;
        assert_eq!(done["imported"].as_u64(), Some(1), "{done}");
    }
    let again = shop.bursar(&["address", "import", "list"]).await;
    assert_eq!(again["imported"].as_u64(), Some(0), "{again}");
    assert!(shop.bursar(&["explain", &other]).await.to_string().contains("address"));
    std::fs::write(shop.folder.path().join("list"), FRESH_ADDRESSES.join("\n")).expect("a list");
    let done = shop.bursar(&["address", "import", "list"]).await;
    assert_eq!(done["imported"].as_u64(), Some(3), "{done}");
    let backup = tempfile::tempdir().expect("a folder");
    copy_books(shop.folder.path(), backup.path());
    // Both are shown and not yet paid: of these the chain knows nothing.
    let shown: BTreeSet<_> = [shop.order("LOST-1", "100").await, shop.order("LOST-2", "100").await]
        .map(|address| address.to_string())
        .into();

    copy_books(backup.path(), shop.folder.path());
    // A write that was cut short was followed by no order.
    let marks = files(shop.folder.path(), ".taken");
    let [mark] = marks.as_slice() else { panic!("one list of taken addresses: {marks:?}") };
    let kept = std::fs::read_to_string(mark).expect("the mark");
    std::fs::write(mark, format!("{kept}0x12")).expect("the mark");
    let after = shop.order("AFTER", "100").await.to_string();
    let all: BTreeSet<_> = [first, second, third].map(str::to_owned).into();
    assert!(!shown.contains(&after), "{after} was handed out before");
    assert_eq!(shown.into_iter().chain([after]).collect::<BTreeSet<_>>(), all);
}

/// The database alone, as a backup has it; nothing runs meanwhile.
fn copy_books(from: &Path, to: &Path) {
    for file in ["bursar.db", "bursar.db-wal", "bursar.db-shm"] {
        let (source, target) = (from.join(file), to.join(file));
        if source.is_file() {
            std::fs::copy(source, target).expect("a copy");
        } else if target.is_file() {
            std::fs::remove_file(target).expect("no longer part of it");
        }
    }
}

fn files(folder: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("one"));
    let named = |path: &std::path::PathBuf| path.to_string_lossy().ends_with(ending);
    entries.map(|entry| entry.path()).filter(named).collect()
}
