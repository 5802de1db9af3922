//! The demo's story, scene by scene, and how each order must end.
//!
//! In: the stage. Out: payments that are exact, split, lost in a reorg, doubled, too much, absent.
//! Never: an ending that is not checked. Why: each scene is a way money gets lost elsewhere.

use payments::case::CaseKind;
use payments::order::{Dossier, Status};

use super::stage::{Stage, transfer, transfers};
use crate::cli::OrderCreate;
use crate::error::Error;

/// How an order must end.
pub(super) struct End {
    pub(super) order: &'static str,
    status: Status,
    deposits: usize,
    credits: i64,
    cases: &'static [CaseKind],
}

impl End {
    /// In what `dossier` differs, if it does.
    pub(super) fn differs(&self, dossier: &Dossier) -> Option<String> {
        let status = dossier.status();
        if status != self.status {
            return Some(format!("is {}, not {}", status.word(), self.status.word()));
        }
        let deposits = dossier.deposits.len();
        if deposits != self.deposits {
            return Some(format!("has {deposits} deposits, not {}", self.deposits));
        }
        let cases: Vec<CaseKind> = dossier.cases.iter().map(|case| case.kind).collect();
        if cases != self.cases {
            return Some(format!("has the cases {cases:?}, not {:?}", self.cases));
        }
        let credits: i64 = dossier
            .journals
            .iter()
            .flat_map(|journal| &journal.entries)
            .filter(|entry| entry.asset == payments::ledger::Asset::Credit)
            .fold(0, |sum, entry| sum.saturating_add(entry.amount));
        let wanted = self.credits.saturating_mul(1_000_000);
        (credits != wanted).then(|| format!("moved {credits} millionths of credits, not {wanted}"))
    }
}

fn asked(id: &str) -> OrderCreate {
    OrderCreate {
        id: id.to_owned(),
        customer: "acme".to_owned(),
        chain: "ethereum".to_owned(),
        amount: None,
        credits: None,
        plan: None,
        top_up: false,
        expires_after: None,
        refund_to: None,
        metadata: None,
    }
}

fn plan(id: &str, plan: &str) -> OrderCreate {
    OrderCreate { plan: Some(plan.to_owned()), ..asked(id) }
}

/// Plays every scene; how each order must end.
pub(super) async fn play(stage: &mut Stage, hides: bool) -> Result<Vec<End>, Error> {
    stage.say(
        "Bursar demo: a scripted Ethereum and TRON on loopback, the real daemon, a scratch database.",
    )?;
    stage.say(
        "Up to 1000 USDT are final after 3 confirmations on Ethereum, on TRON when solidified.\n",
    )?;
    paid(stage).await?;
    split(stage).await?;
    reorg(stage).await?;
    mistakes(stage).await?;
    expiry(stage).await?;
    tron(stage).await?;
    wrong_network(stage).await?;
    if hides {
        hidden(stage).await?;
    }
    let end =
        |order, status, deposits, credits, cases| End { order, status, deposits, credits, cases };
    let mut ends = vec![
        end("TEAM-1", Status::Paid, 2, 10_000, &[CaseKind::Duplicate]),
        end("TOPUP-1", Status::Paid, 1, 2_000, &[]),
        end("SPLIT-1", Status::Paid, 2, 10_000, &[]),
        end("PACK-1", Status::Paid, 1, 500, &[]),
        end("MORE-1", Status::Paid, 1, 10_000, &[CaseKind::Overpaid]),
        end("LESS-1", Status::Expired, 1, 0, &[CaseKind::Underpaid]),
        end("NONE-1", Status::Expired, 0, 0, &[]),
        end("TRON-1", Status::Paid, 1, 1_000, &[]),
        end("TRON-2", Status::AwaitingPayment, 1, 0, &[CaseKind::WrongNetwork]),
        end("ETH-2", Status::AwaitingPayment, 1, 0, &[CaseKind::WrongNetwork]),
    ];
    if hides {
        ends.push(end("TRON-3", Status::AwaitingPayment, 0, 0, &[]));
    }
    Ok(ends)
}

async fn paid(stage: &mut Stage) -> Result<(), Error> {
    stage.say("1. A plan for 100 USDT, and a top-up of 20")?;
    let team = stage.order(plan("TEAM-1", "team")).await?;
    let top_up = stage.order(OrderCreate { top_up: true, ..asked("TOPUP-1") }).await?;
    stage.pay(vec![transfer(team, 100), transfer(top_up, 20)]).await?;
    stage.wait(3).await?;
    stage.say("\n   TEAM-1 is paid once more: nothing is credited twice")?;
    stage.pay(vec![transfer(team, 100)]).await?;
    stage.wait(3).await
}

async fn split(stage: &mut Stage) -> Result<(), Error> {
    stage.say("\n2. 60 + 40 in one transaction are two deposits and one paid order")?;
    let split = stage.order(plan("SPLIT-1", "team")).await?;
    stage.pay(vec![transfers(split, 60, 40)]).await?;
    stage.wait(3).await
}

async fn reorg(stage: &mut Stage) -> Result<(), Error> {
    stage.say("\n3. A reorg takes a payment away, and mines it again in another place")?;
    let pack = stage.order(plan("PACK-1", "pack-500")).await?;
    let payment = transfer(pack, 45);
    let other = transfer(alloy::primitives::Address::repeat_byte(0xcc), 7).tagged(77);
    stage.pay(vec![payment.clone()]).await?;
    stage.wait(1).await?;
    stage.reorg(2, vec![vec![], vec![], vec![]]).await?;
    stage.wait(1).await?;
    stage.pay(vec![other, payment]).await?;
    stage.wait(3).await
}

async fn mistakes(stage: &mut Stage) -> Result<(), Error> {
    stage.say("\n4. 130 for 100: the order is paid, the excess waits for a person")?;
    let more = stage.order(plan("MORE-1", "team")).await?;
    stage.pay(vec![transfer(more, 130)]).await?;
    stage.wait(3).await
}

async fn expiry(stage: &mut Stage) -> Result<(), Error> {
    stage.say("\n5. Half an hour passes: one order half paid, one not at all")?;
    let less = stage.order(plan("LESS-1", "team")).await?;
    stage.order(plan("NONE-1", "team")).await?;
    stage.pay(vec![transfer(less, 50)]).await?;
    stage.wait(3).await?;
    stage.skip(31 * 60).await?;
    // An order expires by a finalized block past its time, never by the tip.
    stage.wait(8).await
}

async fn tron(stage: &mut Stage) -> Result<(), Error> {
    stage.say("\n6. A pack for 80 USDT, paid in TRC20: credited when its block is solidified")?;
    let pack = plan("TRON-1", "pack-1000");
    let pack = stage.order(OrderCreate { chain: "tron".to_owned(), ..pack }).await?;
    stage.pay_on_tron(pack, 80).await
}

async fn wrong_network(stage: &mut Stage) -> Result<(), Error> {
    stage.say(
        "\n7. A TRON order paid on Ethereum, an Ethereum order paid on TRON: the same 20 bytes",
    )?;
    let tron = OrderCreate { chain: "tron".to_owned(), ..plan("TRON-2", "team") };
    let tron = stage.order(tron).await?;
    stage.pay(vec![transfer(tron, 100)]).await?;
    stage.wait(3).await?;
    let ethereum = stage.order(plan("ETH-2", "team")).await?;
    stage.pay_on_tron(ethereum, 100).await
}

async fn hidden(stage: &mut Stage) -> Result<(), Error> {
    stage
        .say("\n8. A TRON node hides a payment: the daemon cannot know, `bursar reconcile` will")?;
    let pack = plan("TRON-3", "pack-500");
    let pack = stage.order(OrderCreate { chain: "tron".to_owned(), ..pack }).await?;
    stage.hide_on_tron(pack, 45).await
}
