//! `bursar reconcile` on a live node: found, explained, repaired.
//!
//! In: a payment that nobody watched, money that leaves, money that comes without a log.
//! Out: exit codes and reports. Why: a scripted node agrees with whoever wrote it.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::providers::ext::AnvilApi as _;
use alloy::sol_types::SolValue as _;
use serde_json::Value;

use super::shop::{Engine, FRESH_ADDRESSES, Setup, Shop, USDT, list, on_both_engines, run, text};

on_both_engines!(what_is_wrong_is_found_explained_and_repaired);

/// Where the token of the tests keeps its balances.
const BALANCES: u64 = 6;

impl Shop {
    async fn reconcile(&self, options: &[&str]) -> (i32, Value) {
        let arguments = [&["reconcile"], options].concat();
        let (code, stdout, stderr) = run(self.folder.path(), &arguments).await;
        let report = serde_json::from_str(&stdout).unwrap_or_else(|why| panic!("{why}: {stderr}"));
        (code.expect("a code"), report)
    }

    /// Exactly these codes are found.
    async fn finds(&self, options: &[&str], codes: &[&str]) -> Value {
        let (code, report) = self.reconcile(options).await;
        let found = list(&report["discrepancies"]).iter().map(|finding| text(&finding["code"]));
        assert_eq!(found.collect::<Vec<_>>(), codes, "{report:#}");
        assert_eq!(code, i32::from(!codes.is_empty()), "{report:#}");
        report
    }

    async fn import_one(&self, address: &str) {
        std::fs::write(self.folder.path().join("list"), address).expect("a list");
        let done = self.bursar(&["address", "import", "list"]).await;
        assert_eq!(done["imported"].as_u64(), Some(1), "{done}");
    }

    async fn dismiss(&self, case: &Value) {
        let decide = ["case", "resolve", text(case), "dismiss", "--by", "maria", "--why", "a test"];
        self.bursar(&decide).await;
    }
}

async fn what_is_wrong_is_found_explained_and_repaired(engine: Engine) {
    let setup = Setup { addresses: "imported = true".to_owned(), ..Setup::new(engine) };
    let shop = Shop::with(setup).await;
    let [known, late, _] = FRESH_ADDRESSES;
    shop.import_one(known).await;
    let mut daemon = shop.watching().await;
    let order = shop.order("KNOWN", "100").await;
    shop.pay(order, 100 * USDT).await;
    let lost = shop.pay(late.parse().expect("an address"), 50 * USDT).await;
    shop.anvil.mine(1).await;
    shop.settle(&mut daemon).await;
    shop.finds(&[], &[]).await;

    // The address is ours from now on, and what reached it before nobody recorded.
    shop.import_one(late).await;
    shop.settle(&mut daemon).await;
    let report = shop.finds(&[], &["C101"]).await;
    let finding = &report["discrepancies"][0];
    assert_eq!(finding["key"], format!("ethereum:{lost}:0"));
    assert_eq!((&finding["amount"], &finding["repairable"]), (&"50.00".into(), &true.into()));
    let told = shop.bursar(&["explain", &lost.to_string()]).await;
    assert_eq!(told["chains"][0]["answer"]["transfers"][0]["ours"], true, "{told}");
    let report = shop.finds(&["--repair", "--dry-run"], &["C101"]).await;
    assert!(text(&report["repair"][0]).starts_with("would ingest"), "{report:#}");
    let report = shop.finds(&["--repair"], &["D201"]).await;
    assert!(text(&report["repair"][0]).starts_with("ingested"), "{report:#}");
    let told = shop.bursar(&["explain", &lost.to_string()]).await;
    assert_eq!(
        (&told["kind"], &told["story"][0]["amount"]),
        (&"transaction".into(), &"50.00".into())
    );
    assert!(told["story"][0]["final"]["final_since"].is_string(), "{told:#}");
    assert_eq!(told["story"][0]["events"][0]["kind"], "deposit.detected", "{told:#}");
    shop.dismiss(&report["discrepancies"][0]["case"]).await;
    shop.finds(&[], &[]).await;

    // Money leaves: custody follows the token, and a person is asked.
    shop.take(order, 30 * USDT).await;
    shop.settle(&mut daemon).await;
    let report = shop.finds(&[], &["B502"]).await;
    shop.dismiss(&report["discrepancies"][0]["case"]).await;
    shop.finds(&[], &[]).await;

    // More than any transfer brought.
    let surplus = 75 * USDT;
    shop.give_without_a_log(order, surplus).await;
    shop.settle(&mut daemon).await;
    let report = shop.finds(&[], &["B501"]).await;
    let finding = &report["discrepancies"][0];
    assert_eq!((&finding["amount"], &finding["repairable"]), (&"5.00".into(), &false.into()));
    assert!(text(&finding["what"]).contains("holds 75.00, its transfers make 70.00"), "{finding}");
    let report = shop.finds(&["--repair"], &["B501"]).await;
    assert_eq!(list(&report["repair"]).len(), 0, "{report:#}");
    daemon.stop().await;
}

impl Shop {
    /// Sends from an address of ours, as who holds its key can.
    async fn take(&self, from: Address, micro: u128) {
        let provider = &self.anvil.provider;
        let ether = U256::from(10).pow(U256::from(18));
        provider.anvil_set_balance(from, ether).await.expect("anvil_setBalance");
        provider.anvil_impersonate_account(from).await.expect("anvil_impersonateAccount");
        let to = Address::repeat_byte(0x66);
        self.anvil.transfer(self.token, from, to, self.units(micro)).await;
        self.anvil.mine(1).await;
    }

    /// Writes a balance into the token's storage.
    async fn give_without_a_log(&self, to: Address, micro: u128) {
        let slot = keccak256((to, U256::from(BALANCES)).abi_encode());
        let value = B256::from(U256::from(self.units(micro)));
        let slot = U256::from_be_bytes(slot.0);
        let provider = &self.anvil.provider;
        let written = provider.anvil_set_storage_at(self.token.address, slot, value).await;
        assert!(written.expect("anvil_setStorageAt"), "the balance is written");
        let held = self.anvil.balance_of(self.token, to).await;
        assert_eq!(held, self.units(micro), "the slot is the balances'");
    }
}
