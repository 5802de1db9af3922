//! Refunds: requested, sent, and what the chain says.

use payments::case::{CaseId, RefundState};
use payments::chain::Transfer;
use payments::changes::{Changes, RefundFact};
use payments::lookup::{Mined, Transaction};
use payments::{PlanError, Update};

use super::resolve::{of, refund, refused};
use super::world::{LOOKALIKE, TOKEN, World, address, chain, id, pay, says, tx, usdt};

impl World {
    pub(super) fn fact(&mut self, case: &CaseId, fact: RefundFact) -> Result<Changes, PlanError> {
        self.apply(&Update::Refund { case: case.clone(), by: "ann".to_owned(), fact })
    }

    pub(super) fn sent(&mut self, case: &CaseId, name: &str) -> Result<Changes, PlanError> {
        self.fact(case, RefundFact::Sent(tx(name)))
    }

    /// The chain shows a transaction at this height, with one transfer.
    pub(super) fn seen(
        &mut self,
        case: &CaseId,
        (name, height): (&str, usize),
        change: impl FnOnce(&mut Mined),
    ) -> Result<Changes, PlanError> {
        let header = self.lines["ethereum"].blocks[height].0;
        let transfer = Transfer {
            tx: tx(name),
            n: 0,
            log_index: 0,
            block: header.id,
            time: header.time,
            token: TOKEN,
            from: address("hot"),
            to: address("back"),
            raw: usdt("99.20").to_raw(6).unwrap(),
        };
        let (block, time, transfers) = (header.id, header.time, vec![transfer]);
        let mut mined = Mined { succeeded: true, block, time, transfers, others: Vec::new() };
        change(&mut mined);
        self.fact(case, RefundFact::Seen(tx(name), Transaction::Mined(mined)))
    }

    pub(super) fn standing(&self, case: &CaseId) -> RefundState {
        let cases = self.memory.cases().iter();
        let found = cases.filter(|known| known.id == *case).find_map(|case| case.refund());
        found.unwrap().state
    }

    /// Order A paid twice, the second payment to be refunded; more blocks are final since.
    fn owing() -> (Self, CaseId) {
        let (mut world, case) = Self::paid_twice();
        world.says("ann", &case, refund("back", "0.80")).unwrap();
        world.mine("ethereum", &[]);
        world.mine("ethereum", &[]);
        world.finalize("ethereum", 3);
        world.skip();
        (world, case)
    }
}

#[test]
fn a_refund_is_verified_in_a_final_block() {
    let (mut world, case) = World::owing();
    world.sent(&case, "t3").unwrap();
    assert!(world.sent(&case, "t3").unwrap().is_empty());
    refused(world.sent(&case, "t4"), "is said to be paid by");
    let waits = [Transaction::NotFound, Transaction::Pending];
    for waits in waits {
        assert!(world.fact(&case, RefundFact::Seen(tx("t3"), waits)).unwrap().is_empty());
    }
    // Mined, and not final yet.
    assert!(world.seen(&case, ("t3", 4), |_| {}).unwrap().is_empty());
    world.skip();
    world.seen(&case, ("t3", 3), |_| {}).unwrap();
    says(
        &world.news(),
        "refund:duplicate:ethereum:t2:0: refunds_payable -> treasury:ethereum 99.20 USDT.ethereum
         refund.verified A ethereum:t2:0 duplicate:ethereum:t2:0 tx=t3 to=@back amount=99.20 fee=0.80 height=3",
    );
    assert!(world.state("A").contains("t2:0 100.00 refunded"));
    assert!(world.seen(&case, ("t3", 3), |_| {}).unwrap().is_empty());
    refused(world.sent(&case, "t4"), "is refunded");
}

#[test]
fn what_does_not_pay_it_is_told_and_another_may() {
    type Change = fn(&mut Mined);
    let wrong: [(Change, &str); 6] = [
        (|mined| mined.succeeded = false, "the transaction failed"),
        (|mined| mined.transfers.clear(), "it sends no USDT to"),
        (|mined| mined.transfers[0].to = address("other"), "it sends no USDT to"),
        (|mined| mined.transfers[0].token = LOOKALIKE, "it sends no USDT to"),
        (|mined| mined.transfers[0].raw = usdt("99.10").to_raw(6).unwrap(), "99.10 reached"),
        (|mined| mined.transfers[0].raw = usdt("100").to_raw(6).unwrap(), "100.00 reached"),
    ];
    for (change, why) in wrong {
        let (mut world, case) = World::owing();
        world.sent(&case, "t3").unwrap();
        world.skip();
        world.seen(&case, ("t3", 3), change).unwrap();
        let news = world.news();
        assert!(news.starts_with("refund.failed") && news.contains(why), "{news}");
        assert_eq!(world.standing(&case), RefundState::Failed);
        world.sent(&case, "t4").unwrap();
        world.seen(&case, ("t4", 3), |_| {}).unwrap();
        assert_eq!(world.standing(&case), RefundState::Verified);
    }
}

#[test]
fn no_refund_was_sent_before_its_deposit() {
    let (mut world, case) = World::owing();
    world.sent(&case, "t3").unwrap();
    world.seen(&case, ("t3", 2), |_| {}).unwrap();
    assert!(world.news().contains("it was mined before the deposit"));
}

#[test]
fn a_transfer_pays_one_refund() {
    let (mut world, case) = World::owing();
    world.mine("ethereum", &[pay("t5", "A", "100")]);
    world.finalize("ethereum", 5);
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 6);
    let other = of("duplicate", "ethereum", "t5");
    world.says("ann", &other, refund("back", "0.80")).unwrap();
    world.sent(&case, "t3").unwrap();
    world.seen(&case, ("t3", 6), |_| {}).unwrap();
    world.sent(&other, "t3").unwrap();
    world.skip();
    world.seen(&other, ("t3", 6), |_| {}).unwrap();
    assert!(world.news().contains("pay another refund"));
    // A second transfer of the same transaction is another one.
    world.sent(&other, "t3").unwrap();
    let both = |mined: &mut Mined| {
        let second = Transfer { n: 1, ..mined.transfers[0].clone() };
        mined.transfers.push(second);
    };
    world.seen(&other, ("t3", 6), both).unwrap();
    assert_eq!(world.standing(&other), RefundState::Verified);
}

#[test]
fn a_transaction_is_given_up_by_a_person() {
    let (mut world, case) = World::owing();
    world.sent(&case, "t3").unwrap();
    let why = "replaced by another".to_owned();
    // Another one than is said to pay it is none to give up.
    let other = RefundFact::GivenUp(tx("t4"), why.clone());
    assert!(world.fact(&case, other).unwrap().is_empty());
    world.fact(&case, RefundFact::GivenUp(tx("t3"), why)).unwrap();
    assert_eq!(world.standing(&case), RefundState::Failed);
    world.sent(&case, "t4").unwrap();
    assert_eq!(world.standing(&case), RefundState::Sent);
    // What was given up is no longer asked about.
    assert!(world.seen(&case, ("t3", 3), |_| {}).unwrap().is_empty());
}

#[test]
fn only_what_was_decided_is_sent() {
    let (mut world, case) = World::paid_twice();
    refused(world.sent(&case, "t3"), "has no refund that was decided");
    let unknown = CaseId("late:nothing".to_owned());
    refused(world.sent(&unknown, "t3"), "there is no case `late:nothing`");
    assert!(world.memory.dossier(&id("A")).is_some());
}

/// The deposit is gone with its branch, and the refund that was under way is paid on the new one.
#[test]
fn a_refund_of_what_is_gone_is_told_and_holds_up_nothing() {
    let (mut world, case) = World::owing();
    world.sent(&case, "t3").unwrap();
    world.lose("ethereum", 1);
    world.scan("ethereum").unwrap();
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 3);
    world.skip();
    world.seen(&case, ("t3", 3), |_| {}).unwrap();
    let news = world.news();
    assert!(news.starts_with("refund.failed"), "{news}");
    for line in ["99.20 USDT reached @back", "nothing was owed any more", "Send nothing again"] {
        assert!(news.contains(line), "{line} is not in {news}");
    }
    assert_eq!(world.standing(&case), RefundState::Failed);
    assert!(!world.balances().contains("refunds_payable"), "{}", world.balances());
    refused(world.sent(&case, "t4"), "has no deposit any more");
}

/// Two orders share nothing but their chain, so the chain's cursor keeps what is said of a refund
/// and what a scan judges apart.
#[test]
fn what_is_said_of_a_refund_is_in_turn_with_the_scans() {
    let (mut world, case) = World::owing();
    let generation = |world: &World| world.memory.cursor(&chain("ethereum")).unwrap().generation;
    let before = generation(&world);
    let said = world.sent(&case, "t3").unwrap();
    assert_eq!(said.cursor.map(|mv| mv.generation), Some(before));
    let seen = world.seen(&case, ("t3", 3), |_| {}).unwrap();
    assert_eq!(seen.cursor.map(|mv| mv.generation), Some(before + 1));
    assert_eq!(generation(&world), before + 2);
}

/// What arrived is mined again after its branch was lost, and a person decides anew: the refund
/// that was under way before pays the new case as little as any other transaction.
#[test]
fn a_refund_of_what_is_gone_is_not_one_of_what_came_back() {
    let (mut world, case) = World::owing();
    world.sent(&case, "t3").unwrap();
    world.lose("ethereum", 1);
    world.scan("ethereum").unwrap();
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    world.mine("ethereum", &[]);
    world.finalize("ethereum", 4);
    let again = CaseId(format!("{}#2", case.0));
    world.says("ann", &again, refund("back", "0.80")).unwrap();
    let owed = world.balances();
    assert!(owed.contains("refunds_payable"), "{owed}");
    world.skip();
    world.seen(&case, ("t3", 4), |_| {}).unwrap();
    assert!(world.news().contains("nothing was owed any more"), "it pays nothing that is owed");
    assert_eq!(world.standing(&case), RefundState::Failed);
    assert_eq!(world.balances(), owed, "what came back is owed still");
    world.sent(&again, "t5").unwrap();
    world.seen(&again, ("t5", 4), |_| {}).unwrap();
    assert_eq!(world.standing(&again), RefundState::Verified);
    assert!(!world.balances().contains("refunds_payable"), "{}", world.balances());
}
