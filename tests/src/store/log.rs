//! The log of journals: what it holds, who is told, and what it shows.

use payments::Update;
use payments::address::Address;
use payments::chain::Transfer;
use payments::leaf::leaf;
use payments::ledger::{Account, Asset, Entry, Journal};
use payments::merkle::{Frontier, TreeHead};
use payments::name::CustomerId;
use payments::time::Time;
use store::{Engine, OutflowFilter, Store};

use super::shop::{address, header, opened, order, record, scan, transfer};
use super::{Place, on_both, run};

on_both!(
    every_commit_with_journals_has_a_head_and_tells_it,
    the_database_refuses_another_head,
    a_tail_that_was_cut_off_is_seen,
    a_journal_that_nothing_leads_to_is_seen,
    a_journal_that_an_outflow_seems_to_lead_to_is_seen,
);

/// The heads that the feed of events tells, in order.
async fn told(store: &Store) -> Vec<TreeHead> {
    let events = store.events(0, u32::MAX).await.unwrap();
    events.into_iter().filter_map(|event| event.head).collect()
}

/// Two commits with journals.
async fn grown(place: &Place) {
    opened(&place.store).await;
    record(&place.store, &Update::Create(order("C"))).await.unwrap();
    let pays = [(3, 4, address("C"), "100")];
    record(&place.store, &scan(3..=3, 0, &pays, Some(3))).await.unwrap();
}

async fn every_commit_with_journals_has_a_head_and_tells_it(place: Place) {
    grown(&place).await;
    let journals = place.store.journals(0, u32::MAX).await.unwrap();
    let mut log = Frontier::default();
    let heads: Vec<TreeHead> = journals
        .iter()
        .map(|(seq, journal)| {
            log.push(leaf(*seq, journal));
            log.head()
        })
        .collect();
    let told = told(&place.store).await;
    assert_eq!(told.len(), 2, "two commits wrote journals: {told:?}");
    for head in &told {
        assert_eq!(Some(head), heads.get(usize::try_from(head.size).unwrap() - 1));
    }
    assert_eq!(told.last(), heads.last());
    // With the last event of its commit, so that whoever has it has what it is about.
    let events = place.store.events(0, u32::MAX).await.unwrap();
    assert!(events.last().unwrap().head.is_some());
    assert_eq!(place.store.verify_against(&told).await.unwrap().findings, []);
    let mut reading = place.store.read().await.unwrap();
    let sealed = reading.sealed().await.unwrap();
    assert_eq!((sealed.journals, sealed.log_root), (log.size(), log.head().root));
    assert_eq!(sealed.log_peaks, log.peaks_text());
    reading.end().await.unwrap();
}

async fn the_database_refuses_another_head(place: Place) {
    grown(&place).await;
    let root = "f".repeat(64);
    for statement in [
        "DELETE FROM tree_heads".to_owned(),
        format!("UPDATE tree_heads SET root = '{root}'"),
        format!("INSERT INTO tree_heads VALUES (1000, '{root}', 1)"),
        "INSERT INTO tree_heads SELECT size + 1, root, event FROM tree_heads".to_owned(),
        format!("UPDATE counters SET log_root = '{root}'"),
        "UPDATE counters SET log_peaks = ''".to_owned(),
    ] {
        assert!(run(&place.url, &statement).await.is_err(), "{statement}");
    }
    assert_eq!(place.store.verify().await.unwrap(), []);
}

/// Whatever is cut off with its traces, the head that somebody else kept is still there.
async fn a_tail_that_was_cut_off_is_seen(place: Place) {
    grown(&place).await;
    let told = told(&place.store).await;
    let (first, last) = (told[0], told[1]);
    let tables = ["entries", "journals", "tree_heads", "events"];
    for table in tables.into_iter().chain(["counters", "balances"]) {
        for trigger in triggers(table, place.store.engine()) {
            let drop = match place.store.engine() {
                Engine::Sqlite => format!("DROP TRIGGER {trigger}"),
                Engine::Postgres => format!("ALTER TABLE {table} DISABLE TRIGGER {trigger}"),
            };
            run(&place.url, &drop).await.unwrap();
        }
    }
    let end = first.size;
    for statement in [
        format!("DELETE FROM entries WHERE journal > {end}"),
        format!("DELETE FROM journals WHERE seq > {end}"),
    ] {
        run(&place.url, &statement).await.unwrap();
    }
    let found = || async {
        let findings = place.store.verify_against(&[last]).await.unwrap().findings;
        findings.into_iter().map(|finding| finding.name).collect::<Vec<_>>()
    };
    let names = found().await;
    assert!(names.contains(&"log_truncated") && names.contains(&"journal_gap"), "{names:?}");
    // Now with the log, the numbers and the balances as they were then.
    let heads = told_at(&place, end).await;
    for statement in [
        format!("DELETE FROM tree_heads WHERE size > {end}"),
        format!(
            "UPDATE counters SET journals = {end}, sealed_journals = {end}, log_root = '{}', \
             log_peaks = '{}'",
            heads.0, heads.1
        ),
    ] {
        run(&place.url, &statement).await.unwrap();
    }
    let findings = place.store.verify().await.unwrap();
    assert!(findings.iter().all(|finding| !finding.name.starts_with("log_")), "{findings:?}");
    assert!(found().await.contains(&"log_truncated"));
}

/// Whoever may write can announce a journal, seal it and carry the log on, with no trigger in the
/// way. That no payment leads to it remains.
async fn a_journal_that_nothing_leads_to_is_seen(place: Place) {
    grown(&place).await;
    forged(&place, "paid:X").await;
}

/// An outflow's id can be read in more spellings than it has.
async fn a_journal_that_an_outflow_seems_to_lead_to_is_seen(place: Place) {
    let store = &place.store;
    opened(store).await;
    let to = Address([0x99; 20]);
    let head = header(3, 0);
    let left = Transfer { from: address("A"), ..transfer(&head, 0, to, "10") };
    let tx = left.tx;
    let mut scan = scan(3..=3, 0, &[], Some(3));
    let Update::Scan(seen) = &mut scan else { panic!("a scan") };
    seen.transfers.push(left);
    record(store, &scan).await.unwrap();
    let outflow = store.outflows(&OutflowFilter::default(), 0, 9).await.unwrap();
    assert_eq!(outflow.len(), 1, "{outflow:?}");
    forged(&place, &format!("sweep:ethereum:{tx}:00")).await;
}

/// Somebody with the database's password books himself credits by a journal of that key.
async fn forged(place: &Place, key: &str) {
    let mut log = Frontier::default();
    let journals = place.store.journals(0, u32::MAX).await.unwrap();
    for (seq, journal) in &journals {
        log.push(leaf(*seq, journal));
    }
    let seq = journals.last().unwrap().0 + 1;
    let customer = Account::Customer(CustomerId::new("mallory").unwrap());
    let given = Entry { asset: Asset::Credit, debit: Account::Issued, credit: customer, amount: 9 };
    let forged = Journal {
        key: key.to_owned(),
        order: None,
        deposit: None,
        effective: Time(1),
        recorded: Time(1),
        remainder: 0,
        entries: vec![given],
    };
    log.push(leaf(seq, &forged));
    let text = format!(
        "BEGIN; UPDATE counters SET journals = journals + 1, events = events + 1; \
         INSERT INTO journals SELECT journals, '{key}', NULL, NULL, 1, 1, 0, 1 FROM counters; \
         INSERT INTO entries SELECT journals, 0, 'CREDIT', 'issued', 'customer:mallory', 9 \
         FROM counters; \
         INSERT INTO events SELECT events, 'credits.granted', 1, NULL, NULL, NULL, NULL, '{{}}' \
         FROM counters; \
         UPDATE counters SET sealed_journals = journals, sealed_events = events, \
         log_root = '{}', log_peaks = '{}'; COMMIT;",
        log.head().root,
        log.peaks_text()
    );
    run(&place.url, &text).await.unwrap();
    let findings = place.store.verify().await.unwrap();
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(finding.name, "journal_astray");
    assert!(finding.detail.contains(key), "{findings:?}");
}

/// Root and peaks of the log of the first `size` journals.
async fn told_at(place: &Place, size: u64) -> (String, String) {
    let mut log = Frontier::default();
    for (seq, journal) in place.store.journals(0, u32::try_from(size).unwrap()).await.unwrap() {
        log.push(leaf(seq, &journal));
    }
    (log.head().root.to_string(), log.peaks_text())
}

/// What stands in the way of whoever cuts the ledger short.
fn triggers(table: &str, engine: Engine) -> &'static [&'static str] {
    match (table, engine) {
        ("entries", _) => &["entries_stay"],
        ("journals", _) => &["journals_stay"],
        ("tree_heads", _) => &["tree_heads_stay"],
        ("counters", _) => &["counters_rise", "counters_log", "counters_seal", "counters_announce"],
        _ => &[],
    }
}
