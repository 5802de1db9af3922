//! Reconciliations as they are remembered, and from where the next one may go on.

use payments::name::ChainName;
use payments::reconcile::{Code, Finding};
use payments::time::Time;
use store::{Ended, Mark, Store};

use super::{Place, on_both};

on_both!(what_a_run_missed_is_read_again, a_run_that_was_killed_keeps_its_evidence);

const LIGHT: &str = "{\"light\":true}";

async fn ended(store: &Store, found: &[Finding]) -> u64 {
    let number = store.begin_run(LIGHT, Time(1)).await.unwrap();
    let ended =
        Ended { at: Time(2), as_of: None, ledger_seq: 0, code: 1, summary: "{}", whole: false };
    store.end_run(number, found, &ended).await.unwrap();
    number
}

/// A gap is missed, and so is what an endpoint may have left out, until a person has said which of
/// two is right. Whatever else is found was seen.
async fn what_a_run_missed_is_read_again(place: Place) {
    let store = &place.store;
    let on = |name: &str| ChainName::new(name).unwrap();
    let of = |code, key: &str| {
        let chain = Some(on("ethereum"));
        Finding { chain, ..Finding::new(code, key.to_owned(), "found".to_owned()) }
    };
    let last =
        async |name: &str| store.last_without_gap(LIGHT, name).await.unwrap().map(|run| run.seq);
    assert_eq!(last("ethereum").await, None);
    let first = ended(store, &[of(Code::ChainOnly, "ethereum:a")]).await;
    assert_eq!(last("ethereum").await, Some(first));
    let gap = ended(store, &[of(Code::CoverageGap, "ethereum:blocks:1-2")]).await;
    assert_eq!((last("ethereum").await, last("tron").await), (Some(first), Some(gap)));
    let lie = of(Code::EndpointsDisagree, "ethereum:b");
    let other = ended(store, std::slice::from_ref(&lie)).await;
    assert_eq!((last("ethereum").await, last("tron").await), (Some(first), Some(other)));
    assert!(
        store.mark(&lie.id, Mark::Acknowledged, "ann", "the spare lies", Time(3)).await.unwrap()
    );
    assert_eq!(last("ethereum").await, Some(other));
    // A balance is asked again at each look, whatever blocks it reads.
    let lie = of(Code::EndpointsDisagree, "ethereum:balance:0x1");
    let balance = ended(store, &[lie]).await;
    assert_eq!(last("ethereum").await, Some(balance));
}

/// The daemon looks meanwhile, and has evidence of its own; a look at everything makes it needless.
async fn a_run_that_was_killed_keeps_its_evidence(place: Place) {
    let store = &place.store;
    let finding = Finding::new(Code::ChainOnly, "tron:a".to_owned(), "found".to_owned());
    let killed = store.begin_run("{}", Time(1)).await.unwrap();
    store.keep_evidence(killed, "tron", "pin", "a block").await.unwrap();
    let kept = async || store.evidence(killed, "tron").await.unwrap().len();
    let light = ended(store, std::slice::from_ref(&finding)).await;
    assert_eq!((light, kept().await), (killed + 1, 1));
    let all = store.begin_run("{}", Time(1)).await.unwrap();
    let whole =
        Ended { at: Time(2), as_of: None, ledger_seq: 0, code: 0, summary: "{}", whole: true };
    store.end_run(all, std::slice::from_ref(&finding), &whole).await.unwrap();
    assert_eq!(kept().await, 0);
    // One that is resumed saw what it found before the others did.
    store.end_run(killed, &[finding], &Ended { whole: false, ..whole }).await.unwrap();
    let known = store.discrepancies(false).await.unwrap();
    assert_eq!(known.iter().map(|known| known.last.0).collect::<Vec<_>>(), [all]);
}
