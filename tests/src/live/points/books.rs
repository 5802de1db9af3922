//! The books as text that two worlds of one history share, and what must be true of any books.
//!
//! In: a world's books. Out: one line a fact, without what a kill may change for good.
//! Never: an address, a transaction, a time of the machine's: an order whose making was killed has
//! the next address. Why: what is compared whole cannot hide a part.

use std::fmt::Write as _;

use alloy::primitives::Address as RawAddress;
use payments::event::EventKind;
use payments::ledger::{Account, Asset};
use payments::order::Dossier;
use store::{OrderFilter, Told};

use super::world::World;

impl World {
    async fn orders(&self) -> Vec<Dossier> {
        let all = self.store().orders(&OrderFilter::default(), 0, 10_000).await;
        let mut orders: Vec<Dossier> =
            all.expect("the orders").into_iter().map(|(_, order)| order).collect();
        orders.sort_by(|a, b| a.order.id.cmp(&b.order.id));
        orders
    }

    /// Orders, deposits, cases, journals and events.
    pub(super) async fn books(&self) -> String {
        let events = self.store().events(0, u32::MAX).await.expect("the events");
        let numbers = events.iter().map(|event| event.seq);
        assert!(numbers.eq(1..=u64::try_from(events.len()).expect("few")), "events have a gap");
        let mut text = String::new();
        for dossier in self.orders().await {
            order(&mut text, &dossier);
            let of = |event: &&Told| event.order.as_ref() == Some(&dossier.order.id);
            for event in events.iter().filter(of).filter(|event| is_fact(event.kind)) {
                let at = event.deposit.as_ref();
                let at = dossier.deposits.iter().position(|deposit| Some(&deposit.id) == at);
                let _ = writeln!(text, "  told {} of {at:?}", event.kind.word());
            }
        }
        for cursor in self.store().cursors().await.expect("the cursors") {
            let marks = (&cursor.paused, &cursor.stalled);
            let _ = writeln!(text, "{} {marks:?}", cursor.chain);
        }
        text
    }

    /// The books prove themselves, and hold of every address what the token says.
    pub(super) async fn audit(&self) {
        assert_eq!(self.store().verify().await.expect("read"), []);
        let balances = self.store().balances("custody:", "", 100_000).await.expect("balances");
        for dossier in self.orders().await {
            let address = dossier.order.address;
            for (name, held) in self.balances(RawAddress::from(address.0)) {
                let chain = payments::name::ChainName::new(name).expect("a name");
                let at = (Asset::Usdt(chain.clone()), Account::Custody(chain, address));
                let booked = balances.0.get(&at).map_or(0, |sides| -sides.net());
                assert_eq!(booked, held, "{} on {name}", dossier.order.id);
            }
        }
    }
}

/// Whether an event tells a fact, and not how far an order has come when it was looked at.
const fn is_fact(kind: EventKind) -> bool {
    !matches!(kind, EventKind::OrderConfirming | EventKind::OrderPartiallyPaid)
}

fn order(text: &mut String, dossier: &Dossier) {
    let times = (dossier.paid.is_some(), dossier.expired.is_some(), dossier.cancelled.is_some());
    let (id, status) = (&dossier.order.id, dossier.status().word());
    let _ = writeln!(text, "order {id} {status} {times:?}");
    let mut names = Vec::new();
    for (at, deposit) in dossier.deposits.iter().enumerate() {
        let (chain, height) = (&deposit.id.chain, deposit.block.height);
        let (amount, state, late) = (deposit.amount, deposit.state, deposit.late);
        let _ = writeln!(text, "  deposit {at} {chain} {height} {amount} {state:?} late {late}");
        names.push((deposit.id.to_string(), format!("deposit-{at}")));
    }
    let plain = |line: String| {
        let named = names.iter().fold(line, |line, (id, name)| line.replace(id.as_str(), name));
        named.replace(&dossier.order.address.to_string().to_lowercase(), "the address")
    };
    for case in &dossier.cases {
        let decided = case.decision.as_ref().map(|decision| (&decision.resolution, &decision.why));
        let line = format!("  case {} holds {} {decided:?}", case.id, case.amount);
        let _ = writeln!(text, "{}", plain(line));
    }
    for journal in &dossier.journals {
        let (key, remainder) = (&journal.key, journal.remainder);
        let _ = writeln!(text, "{}", plain(format!("  journal {key} remainder {remainder}")));
        for entry in &journal.entries {
            let (debit, credit, amount) = (&entry.debit, &entry.credit, entry.amount);
            let _ = writeln!(text, "{}", plain(format!("    {debit} -> {credit} {amount}")));
        }
    }
}
