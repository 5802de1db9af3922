//! Decisions about cases: what each does to the books, what fits, who must agree.

use payments::Update;
use payments::case::{CaseId, CaseKind, RESOLUTIONS, Resolution};
use payments::changes::Changes;
use payments::{PlanError, Refusal};

use super::world::{LOOKALIKE, World, address, chain, id, pay, says, seconds, tx, usdt};

pub(super) fn case(kind: &str, subject: &str) -> CaseId {
    CaseId(format!("{kind}:{subject}"))
}

/// The case of the first transfer of a transaction.
pub(super) fn of(kind: &str, name: &str, transaction: &str) -> CaseId {
    case(kind, &format!("{name}:{}:0", tx(transaction)))
}

pub(super) fn refund(to: &str, fee: &str) -> Resolution {
    Resolution::Refund { to: address(to), fee: usdt(fee) }
}

impl World {
    /// What a person says about a case.
    pub(super) fn says(
        &mut self,
        by: &str,
        case: &CaseId,
        resolution: Resolution,
    ) -> Result<Changes, PlanError> {
        let (case, by, why) = (case.clone(), by.to_owned(), "so".to_owned());
        self.apply(&Update::Resolve { case, resolution, by, why })
    }

    /// Everything so far is final.
    pub(super) fn all_final(&mut self, name: &'static str) {
        let last = self.lines[name].blocks.len() - 1;
        self.finalize(name, u64::try_from(last).unwrap());
    }

    /// Order A of 100 with a refund address, paid twice; the second payment waits for a person.
    pub(super) fn paid_twice() -> (Self, CaseId) {
        let mut world = Self::new();
        world.order("A", |order| order.refund_to = Some(address("back")));
        world.mine("ethereum", &[pay("t1", "A", "100")]);
        world.mine("ethereum", &[pay("t2", "A", "100")]);
        world.all_final("ethereum");
        world.skip();
        (world, of("duplicate", "ethereum", "t2"))
    }
}

#[track_caller]
pub(super) fn refused(found: Result<Changes, PlanError>, words: &str) {
    let error = found.expect_err("a refusal").to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_duplicate_is_refunded_less_the_fee() {
    let (mut world, case) = World::paid_twice();
    world.says("ann", &case, refund("back", "0.80")).unwrap();
    says(
        &world.news(),
        "resolve:duplicate:ethereum:t2:0: suspense:duplicate -> refunds_payable 99.20 USDT.ethereum
         resolve:duplicate:ethereum:t2:0: suspense:duplicate -> fees 0.80 USDT.ethereum
         case.resolved A ethereum:t2:0 duplicate:ethereum:t2:0 kind=duplicate resolution=refund \
         amount=100.00 by=ann why=so to=@back fee=0.80
         refund.requested A ethereum:t2:0 duplicate:ethereum:t2:0 to=@back amount=99.20 fee=0.80",
    );
    says(
        &world.state("A"),
        "paid
         ethereum:t1:0 100.00 credited
         ethereum:t2:0 100.00 refunding
         case duplicate:ethereum:t2:0 100.00: so",
    );
}

#[test]
fn the_same_again_changes_nothing_and_another_is_refused() {
    let (mut world, case) = World::paid_twice();
    world.says("ann", &case, refund("back", "0.80")).unwrap();
    assert!(world.says("bob", &case, refund("back", "0.80")).unwrap().is_empty());
    refused(world.says("bob", &case, refund("back", "0.79")), "is decided: refund by ann: so");
    let found = world.says("bob", &case, Resolution::Credit).unwrap_err();
    let PlanError::Undecidable { why: Refusal::Decided(decision), .. } = found else {
        panic!("{found}")
    };
    assert_eq!((decision.by.as_str(), decision.resolution), ("ann", refund("back", "0.80")));
}

#[test]
fn a_duplicate_is_credited_at_the_order_s_rate() {
    let (mut world, case) = World::paid_twice();
    world.says("ann", &case, Resolution::Credit).unwrap();
    says(
        &world.news(),
        "resolve:duplicate:ethereum:t2:0: suspense:duplicate -> sales 100.00 USDT.ethereum
         resolve:duplicate:ethereum:t2:0: issued -> customer:acme 10000.00 CREDIT
         case.resolved A ethereum:t2:0 duplicate:ethereum:t2:0 kind=duplicate resolution=credit \
         amount=100.00 by=ann why=so
         credits.granted A ethereum:t2:0 customer=acme credits=10000",
    );
    assert!(world.state("A").contains("t2:0 100.00 granted"));
}

#[test]
fn what_is_dismissed_is_kept() {
    let (mut world, case) = World::paid_twice();
    world.says("ann", &case, Resolution::Dismiss).unwrap();
    assert!(world.news().contains("suspense:duplicate -> kept 100.00 USDT.ethereum"));
    assert!(world.state("A").contains("t2:0 100.00 dismissed"));
}

#[test]
fn a_late_payment_that_is_credited_pays_the_order() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine_at("ethereum", 1_600, &[]);
    world.all_final("ethereum");
    world.mine_at("ethereum", 1_700, &[pay("t1", "A", "100")]);
    world.all_final("ethereum");
    world.skip();
    let late = of("late", "ethereum", "t1");
    world.says("ann", &late, Resolution::Credit).unwrap();
    says(
        &world.news(),
        "resolve:late:ethereum:t1:0: suspense:late -> order:A 100.00 USDT.ethereum
         paid:A: order:A -> sales 100.00 USDT.ethereum
         paid:A: issued -> customer:acme 10000.00 CREDIT
         case.resolved A ethereum:t1:0 late:ethereum:t1:0 kind=late resolution=credit \
         amount=100.00 by=ann why=so
         order.paid A late:ethereum:t1:0 amount=100.00 credits=10000
         credits.granted A customer=acme credits=10000",
    );
    says(
        &world.state("A"),
        "paid
         ethereum:t1:0 100.00 credited late
         case late:ethereum:t1:0 100.00: so",
    );
}

#[test]
fn a_payment_on_the_wrong_network_pays_its_order() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "40")]);
    world.mine("bsc", &[pay("t2", "A", "99.95")]);
    world.all_final("bsc");
    world.skip();
    let wrong = of("wrong_network", "bsc", "t2");
    world.says("ann", &wrong, Resolution::Credit).unwrap();
    says(
        &world.news(),
        "resolve:wrong_network:bsc:t2:0: suspense:wrong_network -> order:A 99.95 USDT.bsc
         paid:A: order:A -> sales 99.95 USDT.bsc
         paid:A: issued -> customer:acme 10000.00 CREDIT
         suspend:ethereum:t1:0:duplicate: order:A -> suspense:duplicate 40.00 USDT.ethereum
         case.resolved A bsc:t2:0 wrong_network:bsc:t2:0 kind=wrong_network resolution=credit \
         amount=99.95 by=ann why=so
         order.paid A wrong_network:bsc:t2:0 amount=99.95 credits=10000
         credits.granted A customer=acme credits=10000
         case.opened A ethereum:t1:0 duplicate:ethereum:t1:0 kind=duplicate amount=40.00",
    );
}

#[test]
fn an_underpaid_order_is_credited_deposit_by_deposit() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "20"), pay("t2", "A", "30")]);
    world.mine_at("ethereum", 2_000, &[]);
    world.all_final("ethereum");
    world.skip();
    world.says("ann", &case("underpaid", "A"), Resolution::Credit).unwrap();
    let news = world.news();
    assert!(news.contains("resolve:underpaid:A:ethereum:t1:0: issued -> customer:acme 2000.00"));
    assert!(news.contains("resolve:underpaid:A:ethereum:t2:0: issued -> customer:acme 3000.00"));
    assert_eq!(world.memory.dossier(&id("A")).unwrap().paid, None);
}

#[test]
fn the_fee_of_several_deposits_is_borne_by_the_first() {
    let mut world = World::new();
    world.order("A", |order| order.refund_to = Some(address("back")));
    world.mine("ethereum", &[pay("t1", "A", "2"), pay("t2", "A", "30")]);
    world.mine_at("ethereum", 2_000, &[]);
    world.all_final("ethereum");
    world.says("ann", &case("underpaid", "A"), refund("back", "3")).unwrap();
    says(
        &world.balances(),
        "USDT.ethereum custody:ethereum:@A -32000000
         USDT.ethereum refunds_payable 29000000
         USDT.ethereum fees 3000000",
    );
}

#[test]
fn an_excess_is_credited_or_sent_back() {
    for (resolution, account) in [
        (Resolution::Credit, "sales 130000000"),
        (refund("back", "0.80"), "refunds_payable 29200000"),
        (Resolution::Dismiss, "kept 30000000"),
    ] {
        let mut world = World::new();
        world.order("A", |order| order.refund_to = Some(address("back")));
        world.mine("ethereum", &[pay("t1", "A", "130")]);
        world.all_final("ethereum");
        world.says("ann", &of("overpaid", "ethereum", "t1"), resolution).unwrap();
        assert!(world.balances().contains(account), "{account}: {}", world.balances());
        assert!(world.state("A").contains("t1:0 130.00 credited"));
    }
}

#[test]
fn a_reassigned_deposit_counts_for_the_other_order() {
    let (mut world, case) = World::paid_twice();
    world.order("B", |order| order.due = Some(usdt("80")));
    world.skip();
    world.says("ann", &case, Resolution::Reassign(id("B"))).unwrap();
    says(
        &world.news(),
        "resolve:duplicate:ethereum:t2:0: suspense:duplicate -> order:B 100.00 USDT.ethereum
         paid:B: order:B -> sales 80.00 USDT.ethereum
         paid:B: issued -> customer:acme 10000.00 CREDIT
         suspend:ethereum:t2:0@B:overpaid: order:B -> suspense:overpaid 20.00 USDT.ethereum
         case.resolved A ethereum:t2:0 duplicate:ethereum:t2:0 kind=duplicate resolution=reassign \
         amount=100.00 by=ann why=so order=B
         order.paid B amount=80.00 credits=10000
         credits.granted B customer=acme credits=10000
         case.opened B ethereum:t2:0 overpaid:ethereum:t2:0@B kind=overpaid amount=20.00",
    );
    assert!(world.state("A").contains("t2:0 100.00 reassigned"));
    says(
        &world.state("B"),
        "paid
         ethereum:t2:0 100.00 credited
         case overpaid:ethereum:t2:0@B 20.00: open",
    );
    // Its excess may go on, and never back.
    let excess = CaseId(format!("overpaid:ethereum:{}:0@B", tx("t2")));
    refused(world.says("ann", &excess, Resolution::Reassign(id("A"))), "it is paid");
    world.open_order("C", |_| {});
    world.says("ann", &excess, Resolution::Reassign(id("C"))).unwrap();
    assert!(world.state("C").contains("t2:0 20.00 credited"));
    // Reading the block again finds what is recorded.
    let scan = world.look_from("ethereum", None);
    let transfers = scan.transfers;
    let again = world
        .apply(&Update::Rescan { chain: chain("ethereum"), transfers, notices: Vec::new() })
        .unwrap();
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn what_a_decision_counted_stays_where_a_reorg_takes_the_rest() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "130")]);
    world.all_final("ethereum");
    world.order("B", |order| order.due = Some(usdt("45")));
    let excess = of("overpaid", "ethereum", "t1");
    world.says("ann", &excess, Resolution::Reassign(id("B"))).unwrap();
    world.mine("ethereum", &[pay("t2", "B", "15")]);
    assert!(world.news().contains("order.paid B"));
    world.fork("ethereum", 1);
    world.mine("ethereum", &[]);
    assert!(world.news().contains("credits.reversed B"));
    says(
        &world.state("B"),
        "partially_paid
         ethereum:t1:0 30.00 confirmed
         ethereum:t2:0 15.00 reversed
         case reversed_after_credit:B 0.00: open",
    );
    let balances = world.balances();
    assert!(balances.contains("USDT.ethereum order:B 30000000"), "{balances}");
    assert!(!balances.contains("suspense"), "{balances}");
}

#[test]
fn a_part_of_an_expired_order_waits_for_a_person_there_too() {
    let (mut world, duplicate) = World::paid_twice();
    world.order("B", |order| {
        order.due = Some(usdt("300"));
        order.expires_at = Some(seconds(1_001));
    });
    world.mine_at("ethereum", 9_000, &[]);
    world.all_final("ethereum");
    world.says("ann", &duplicate, Resolution::Reassign(id("B"))).unwrap();
    says(
        &world.state("B"),
        "expired
         ethereum:t2:0 100.00 suspended underpaid
         case underpaid:B 100.00: open",
    );
    // Once it was there, it cannot come back.
    let back = Resolution::Reassign(id("A"));
    refused(world.says("ann", &case("underpaid", "B"), back), "it is paid");
}

#[test]
fn nobody_s_money_finds_its_order() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "100")]);
    world.all_final("ethereum");
    world.order("A", |_| {});
    world.skip();
    let found = of("unassigned", "ethereum", "t1");
    refused(world.says("ann", &found, Resolution::Credit), "no order says what it is worth");
    world.says("ann", &found, Resolution::Reassign(id("A"))).unwrap();
    let news = world.news();
    assert!(news.contains("suspense:unassigned -> order:A 100.00"), "{news}");
    assert!(news.contains("order.paid A"), "{news}");
    assert!(world.says("bob", &found, Resolution::Reassign(id("A"))).unwrap().is_empty());
}

#[test]
fn what_fits_a_kind_is_one_table() {
    for kind in CaseKind::ALL {
        assert!(kind.resolutions().contains(&"dismiss"), "{kind:?} can never be closed");
        assert!(kind.resolutions().iter().all(|word| RESOLUTIONS.contains(word)));
    }
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100").of(LOOKALIKE)]);
    world.all_final("ethereum");
    world.skip();
    let token = payments::address::lower_hex(&LOOKALIKE.0);
    let case = CaseId(format!("wrong_asset:ethereum:{}:0:0x{token}", tx("t1")));
    for resolution in [Resolution::Credit, refund("back", "0"), Resolution::Reassign(id("A"))] {
        refused(world.says("ann", &case, resolution), "it is another token");
    }
    refused(world.says("ann", &case, Resolution::Itself), "cannot be resolved by itself");
    world.says("ann", &case, Resolution::Dismiss).unwrap();
    assert!(!world.news().contains("USDT"));
    assert!(world.state("A").contains("dismissed"));
}

#[test]
fn nothing_is_decided_that_a_reorg_may_undo() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    world.mine("ethereum", &[pay("t2", "A", "100")]);
    let duplicate = of("duplicate", "ethereum", "t2");
    let words = "can be decided once block 2 of ethereum is final; up to 0 is now";
    refused(world.says("ann", &duplicate, Resolution::Dismiss), words);
    world.finalize("ethereum", 2);
    world.says("ann", &duplicate, Resolution::Dismiss).unwrap();
}

#[test]
fn an_excess_is_decided_once_all_that_made_it_is_final() {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[]);
    // Mined late and found first.
    world.mine("ethereum", &[pay("t1", "A", "60")]);
    world.mine("ethereum", &[pay("t2", "A", "70")]);
    world.finalize("ethereum", 2);
    let excess = of("overpaid", "ethereum", "t2");
    refused(world.says("ann", &excess, Resolution::Dismiss), "once block 3 of ethereum is final");
    world.finalize("ethereum", 3);
    world.says("ann", &excess, Resolution::Dismiss).unwrap();
}

#[test]
fn a_paused_chain_gives_no_credits() {
    let (mut world, case) = World::paid_twice();
    world.order("B", |_| {});
    let why = "the token is frozen".to_owned();
    world.apply(&Update::Pause { chain: chain("ethereum"), why }).unwrap();
    for resolution in [Resolution::Credit, Resolution::Reassign(id("B"))] {
        refused(world.says("ann", &case, resolution), "ethereum is paused: the token is frozen");
    }
    world.says("ann", &case, refund("back", "0.80")).unwrap();
}

#[test]
fn a_fee_leaves_something_and_a_refund_leaves_us() {
    let (mut world, case) = World::paid_twice();
    refused(world.says("ann", &case, refund("back", "100")), "a fee of 100.00 leaves nothing");
    refused(world.says("ann", &case, refund("A", "1")), "a deposit address of ours");
    let token = Resolution::Refund { to: super::world::TOKEN, fee: usdt("1") };
    refused(world.says("ann", &case, token), "the token's own contract");
    let nobody = payments::address::Address([0; 20]);
    let nobody = Resolution::Refund { to: nobody, fee: usdt("1") };
    refused(world.says("ann", &case, nobody), "nobody's");
}

#[test]
fn a_target_must_be_able_to_take_it() {
    let (mut world, case) = World::paid_twice();
    let to = |name: &str| Resolution::Reassign(id(name));
    refused(world.says("ann", &case, to("A")), "it is that order's already");
    refused(world.says("ann", &case, to("X")), "it does not exist");
    world.order("T", |order| order.chain = chain("tron"));
    refused(world.says("ann", &case, to("T")), "to be paid on tron");
    world.order("C", |_| {});
    world.apply(&Update::Cancel(id("C"))).unwrap();
    refused(world.says("ann", &case, to("C")), "it is cancelled");
    world.order("D", |order| {
        order.due = Some(usdt("300"));
        order.terms.dust = usdt("100.000001");
    });
    refused(world.says("ann", &case, to("D")), "it counts nothing below 100.000001");
}

#[test]
fn a_stated_address_needs_a_second_person() {
    let (mut world, case) = World::paid_twice();
    world.says("ann", &case, refund("other", "0.80")).unwrap();
    says(
        &world.news(),
        "case.proposed A ethereum:t2:0 duplicate:ethereum:t2:0 kind=duplicate resolution=refund \
         amount=100.00 by=ann why=so to=@other fee=0.80",
    );
    assert!(world.state("A").contains("t2:0 100.00 suspended duplicate"));
    assert!(world.says(" ANN ", &case, refund("other", "0.80")).unwrap().is_empty());
    refused(world.says("bob", &case, refund("other", "0.70")), "ann proposed refund to");
    refused(world.says("bob", &case, Resolution::Dismiss), "waits for a second person");
    world.says("bob", &case, refund("other", "0.80")).unwrap();
    assert!(world.news().contains("refunds_payable 99.20"));
    let dossier = world.memory.dossier(&id("A")).unwrap();
    assert_eq!(dossier.cases[0].decision.as_ref().unwrap().by, "bob");
}

#[test]
fn a_proposal_is_taken_back() {
    let (mut world, case) = World::paid_twice();
    let (by, why) = ("bob".to_owned(), "the wrong address".to_owned());
    let withdraw = Update::Withdraw { case: case.clone(), by, why };
    refused(world.apply(&withdraw), "has no proposal to withdraw");
    world.says("ann", &case, refund("other", "0.80")).unwrap();
    world.skip();
    world.apply(&withdraw).unwrap();
    says(
        &world.news(),
        "case.withdrawn A ethereum:t2:0 duplicate:ethereum:t2:0 by=bob why=the wrong address",
    );
    assert!(world.apply(&withdraw).unwrap().is_empty());
    world.says("bob", &case, Resolution::Dismiss).unwrap();
}

/// An order of 100 that is over with 30, of which ann proposes to send them to `other`.
fn proposed_of_a_part() -> (World, CaseId) {
    let mut world = World::new();
    world.order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "30")]);
    world.mine_at("ethereum", 1_100, &[]);
    world.all_final("ethereum");
    let case = case("underpaid", "A");
    world.says("ann", &case, refund("other", "0.80")).unwrap();
    world.skip();
    (world, case)
}

#[test]
fn a_proposal_ends_where_its_case_comes_to_hold_more() {
    let (mut world, case) = proposed_of_a_part();
    world.mine("ethereum", &[pay("t2", "A", "60")]);
    let told = "case.withdrawn A ethereum:t1:0 underpaid:A by=bursar why=the case holds 90.00 now, \
         and held 30.00 when this was proposed";
    assert_eq!(world.news().matches(told).count(), 1);
    world.all_final("ethereum");
    // Who would have confirmed it proposes it now.
    world.says("bob", &case, refund("other", "0.80")).unwrap();
    says(
        &world.news(),
        "case.proposed A ethereum:t1:0 underpaid:A kind=underpaid resolution=refund amount=90.00 \
         by=bob why=so to=@other fee=0.80",
    );
    world.says("ann", &case, refund("other", "0.80")).unwrap();
    assert!(world.balances().contains("refunds_payable 89200000"), "{}", world.balances());
}

#[test]
fn a_proposal_ends_where_its_case_comes_to_hold_less() {
    let (mut world, case) = proposed_of_a_part();
    world.mine("ethereum", &[pay("t2", "A", "60")]);
    world.finalize("ethereum", 3);
    world.says("ann", &case, refund("other", "0.80")).unwrap();
    world.skip();
    world.lose("ethereum", 2);
    let told = "case.withdrawn A ethereum:t1:0 underpaid:A by=bursar why=the case holds 30.00 now, \
         and held 90.00 when this was proposed";
    assert!(world.news().contains(told));
    assert!(world.state("A").contains("case underpaid:A 30.00: open"));
}

/// What a decision about another order's case brings changes a case too.
#[test]
fn a_proposal_ends_where_a_decision_adds_to_its_case() {
    let (mut world, case) = proposed_of_a_part();
    world.order("B", |order| order.expires_at = Some(seconds(2_000)));
    let pays = [pay("t3", "B", "100"), pay("t4", "B", "50")];
    world.mine("ethereum", &pays);
    world.all_final("ethereum");
    world.skip();
    let duplicate = of("duplicate", "ethereum", "t4");
    world.says("ann", &duplicate, Resolution::Reassign(id("A"))).unwrap();
    let news = world.news();
    assert!(news.contains("case.withdrawn A ethereum:t1:0 underpaid:A by=bursar"), "{news}");
    assert!(world.state("A").contains("case underpaid:A 80.00: open"));
    let (by, why) = ("bob".to_owned(), "gone already".to_owned());
    assert!(world.apply(&Update::Withdraw { case, by, why }).unwrap().is_empty());
}

#[test]
fn a_large_amount_needs_a_second_person() {
    let (mut world, case) = World::paid_twice();
    let rules = world.rules.get_mut(&chain("ethereum")).unwrap();
    rules.bounds.two_person_above = Some(usdt("99.999999"));
    world.says("ann", &case, Resolution::Credit).unwrap();
    assert!(world.state("A").contains("suspended duplicate"));
    world.rules.get_mut(&chain("ethereum")).unwrap().bounds.two_person_above = Some(usdt("100"));
    // What was proposed waits for its second person whatever the bound is now.
    assert!(world.says("ann", &case, Resolution::Credit).unwrap().is_empty());
    world.says("bob", &case, Resolution::Credit).unwrap();
    assert!(world.state("A").contains("t2:0 100.00 granted"));
}

#[test]
fn a_refund_address_of_another_chain_needs_a_second_person() {
    let mut world = World::new();
    world.order("A", |order| order.refund_to = Some(address("back")));
    world.mine("bsc", &[pay("t1", "A", "100")]);
    world.all_final("bsc");
    let wrong = of("wrong_network", "bsc", "t1");
    world.says("ann", &wrong, refund("back", "5")).unwrap();
    assert!(world.news().contains("case.proposed"));
}
