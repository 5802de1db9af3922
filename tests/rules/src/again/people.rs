//! What people decided, run again.
//!
//! In: decisions as they are recorded, or one of them altered. Out: that they lead to what is
//! stored, or that the rules refuse them as they would have then. Never: a difference further on.
//! Why: whoever can write one row of a decision can write the others that go with it.

use payments::case::Resolution;
use payments::replay::{Fact, What, replay};

use super::refunded;
use crate::resolve::{case, refund};
use crate::world::{World, id, pay, says, seconds, usdt};

/// Why the rules refuse these facts.
fn refused(alter: impl Fn(&mut Vec<Fact>)) -> String {
    let (stored, mut facts) = refunded();
    alter(&mut facts);
    match replay(stored.group(), &facts, false) {
        Ok(replayed) => panic!("nothing refused them: {:?}", replayed.difference),
        Err(why) => crate::world::named(&why.to_string()),
    }
}

/// Bob's decision, which ann had proposed.
fn decided(facts: &mut [Fact], by: &str, resolution: Resolution) {
    for fact in facts {
        if let What::Decided(_, decision) = &mut fact.what {
            decision.by = by.to_owned();
            decision.resolution = resolution.clone();
        }
    }
}

fn is_step(fact: &Fact) -> bool {
    matches!(fact.what, What::Step(..))
}

#[test]
fn who_could_not_decide_it_alone_did_not() {
    let alone = "case `unassigned:ethereum:t1:0#2` was decided by ann alone: a refund to there needs \
                 a second person";
    assert_eq!(refused(|facts| decided(facts, "ann", refund("back", "0.80"))), alone);
    // Nor was it there for anybody to agree with.
    let unheard = refused(|facts| {
        let at = facts.iter().position(is_step).unwrap();
        facts.remove(at);
    });
    assert_eq!(unheard, alone.replace("ann", "bob"));
}

#[test]
fn what_was_not_proposed_was_not_agreed_upon() {
    assert_eq!(
        refused(|facts| decided(facts, "bob", refund("thief", "0.80"))),
        "case `unassigned:ethereum:t1:0#2` waits for a second person: ann proposed refund to @back \
         less a fee of 0.80; confirm that, or withdraw it"
    );
}

#[test]
fn what_does_not_fit_its_case_was_not_decided() {
    let unfit = refused(|facts| {
        facts.retain(|fact| !is_step(fact));
        decided(facts, "bob", Resolution::Credit);
    });
    assert_eq!(
        unfit,
        "case `unassigned:ethereum:t1:0#2` cannot be resolved by credit: no order says what it is \
         worth; reassign it to one first; what fits is refund, reassign, dismiss"
    );
}

/// B had 50 of its own and 100 that a person counted for it when it expired, and both go on to C:
/// what was written of that is found again, whoever had it before.
#[test]
fn what_was_given_on_twice_is_found_again() {
    let (mut world, duplicate) = World::paid_twice();
    world.order("B", |order| {
        order.due = Some(usdt("300"));
        order.expires_at = Some(seconds(1_001));
    });
    world.order("C", |order| {
        order.due = Some(usdt("200"));
        order.expires_at = None;
    });
    world.mine("ethereum", &[pay("t3", "B", "50")]);
    world.says("ann", &duplicate, Resolution::Reassign(id("B"))).unwrap();
    world.mine_at("ethereum", 1_010, &[]);
    world.all_final("ethereum");
    world.skip();
    world.says("ann", &case("underpaid", "B"), Resolution::Reassign(id("C"))).unwrap();
    says(
        &world.news(),
        "resolve:underpaid:B:ethereum:t3:0: suspense:underpaid -> order:C 50.00 USDT.ethereum
        resolve:underpaid:B:ethereum:t2:0: suspense:underpaid -> order:C 100.00 USDT.ethereum
        case.resolved B ethereum:t3:0 underpaid:B kind=underpaid resolution=reassign \
        amount=150.00 by=ann why=so order=C
        order.partially_paid C counted=150.00 pending=0.00",
    );
}
