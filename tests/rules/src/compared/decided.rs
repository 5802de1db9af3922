//! What people decided: it moves money between orders, and the sums come out even.
//!
//! In: a world in which somebody decided about a case, then one thing altered.
//! Out: nothing found while nothing is altered, and what is found after that.

use payments::case::{Decision, Resolution};
use payments::ledger::{Account, Entry};
use payments::time::Time;

use super::{Sides, beyond, line};
use crate::adopt::given_away;
use crate::resolve::{case, of, refund};
use crate::world::{World, address, id, pay, says};

impl Sides {
    fn of(world: &World) -> Self {
        Self { books: super::books(world), observed: super::observed(world) }
    }

    /// All that is found, line by line.
    fn found(&self) -> String {
        self.report().findings.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// A was paid twice, and a person had the second payment counted for B.
fn counted_for_another() -> Sides {
    let (mut world, duplicate) = World::paid_twice();
    world.order("B", |_| {});
    world.says("ann", &duplicate, Resolution::Reassign(id("B"))).unwrap();
    Sides::of(&world)
}

#[test]
fn a_decision_leaves_nothing_to_find() {
    says(&counted_for_another().found(), "");
    for resolution in [Resolution::Credit, refund("back", "1"), Resolution::Dismiss] {
        let (mut world, duplicate) = World::paid_twice();
        world.says("ann", &duplicate, resolution).unwrap();
        says(&Sides::of(&world).found(), "");
    }
}

/// What A held went to B: each of them alone does not come out even.
#[test]
fn what_went_from_one_order_to_another_is_added_up_over_both() {
    let moved = |change: i64| {
        let mut sides = counted_for_another();
        sides.journal("B", "resolve:").entries[0].amount += change;
        sides.found()
    };
    says(
        &moved(5),
        "L303 critical 0.000005 [ethereum B - - -] order:B:ethereum: order B has 0.000005 more in \
        the ledger than waits for it
        L307 high 0.000005 [ethereum - - - -] suspense:duplicate:ethereum:decided: of what people \
        decided about, the ledger has 0.000005 less as duplicate than open cases",
    );
    says(
        &moved(-5),
        "L303 critical 0.000005 [ethereum B - - -] order:B:ethereum: order B has 0.000005 less in \
        the ledger than waits for it
        L307 high 0.000005 [ethereum - - - -] suspense:duplicate:ethereum:decided: of what people \
        decided about, the ledger has 0.000005 more as duplicate than open cases",
    );
}

/// What a person counted for another order is the other's, though what it exceeded is gone: it does
/// not wait for the order that it came to.
#[test]
fn what_was_given_away_does_not_wait_for_who_gave_it() {
    let mut world = given_away();
    let waits = "D209 low 40.00 [ethereum A - - 10] A: 40.00 of 100.00 arrived so far
        D209 low 40.00 [ethereum B - - 10] B: 40.00 of 100.00 arrived so far";
    let reversed = |order: &str| {
        format!(
            "L308 critical 0.00 [ethereum {order} - reversed_after_credit:{order} 120] \
             reversed_after_credit:{order}: credits of order {order} were taken back after they \
             were granted"
        )
    };
    let both = format!("{}\n{}\n{waits}", reversed("A"), reversed("B"));
    says(&Sides::of(&world).found(), &both);
    for order in ["A", "B"] {
        let reversed = case("reversed_after_credit", order);
        world.says("ann", &reversed, Resolution::Dismiss).unwrap();
    }
    says(&Sides::of(&world).found(), waits);
}

/// An open case about credits says nothing of what the ledger has.
#[test]
fn the_clearing_account_is_looked_at_where_credits_were_taken_back() {
    let mut sides = Sides::of(&given_away());
    sides.journal("B", "resolve:").entries[0].amount -= 5;
    let found = sides.found();
    let wanted = "L303 critical 0.000005 [ethereum B - - -] order:B:ethereum: order B has 0.000005 \
        less in the ledger than waits for it";
    assert!(found.contains(wanted), "{found}");
}

/// No person moved anything: what is held otherwise is said of the order itself.
#[test]
fn a_case_that_settled_itself_moves_nothing_between_orders() {
    let held = beyond(|s| {
        let case = &mut s.order("C").cases[0];
        let (by, why, at) = ("bursar".to_owned(), "so".to_owned(), Time(9));
        case.decision = Some(Decision { resolution: Resolution::Itself, by, why, at });
    });
    says(
        &held,
        "- D204 medium 100.00 [ethereum C - duplicate:ethereum:t3:0 30] \
        duplicate:ethereum:t3:0: 100.00 of order C is held as duplicate: ethereum:t3:0
        L307 high 100.00 [ethereum C - - -] suspense:duplicate:ethereum:order C: open cases of \
        order C hold 0.00 as duplicate, the ledger has 100.00",
    );
}

/// A payment to nobody was counted for B. Where the ledger lacks it, it lacks what was held of it
/// too: that sum would say the same again.
#[test]
fn what_the_ledger_lacks_of_a_deposit_of_nobody_is_said_once() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.order("B", |_| {});
    world.mine("ethereum", &[pay("t1", "pool", "100")]);
    world.all_final("ethereum");
    let found = of("unassigned", "ethereum", "t1");
    world.says("ann", &found, Resolution::Reassign(id("B"))).unwrap();
    let mut sides = Sides::of(&world);
    says(&sides.found(), "");
    sides.books.unassigned_journals.clear();
    says(
        &sides.found(),
        "L301 critical 100.00 [ethereum - ethereum:t1:0 - 20] ethereum:t1:0: it is reassigned and \
        the ledger does not have it",
    );
}

#[test]
fn the_clearing_account_of_an_order_holds_what_waits_for_it() {
    says(
        &beyond(|s| s.journal("B", "deposit:").entries[0].credit = Account::Order(id("C"))),
        "L303 critical 60.00 [ethereum B - - -] order:B:ethereum: order B has 60.00 less in the \
        ledger than waits for it",
    );
    let more = |s: &mut Sides| {
        let entries = &mut s.journal("B", "deposit:").entries;
        entries.push(Entry { debit: Account::Sales, ..entries[0].clone() });
    };
    says(
        &beyond(more),
        "L303 critical 60.00 [ethereum B - - -] order:B:ethereum: order B has 60.00 more in the \
        ledger than waits for it",
    );
}

/// Whoever paid within the tolerance has all that was agreed; whoever paid less has not, whatever a
/// person decided about something else.
#[test]
fn credits_are_what_the_price_makes_of_what_was_sold() {
    for paid in ["99.90", "100.10"] {
        let mut world = World::new();
        world.order("A", |_| {});
        world.mine("ethereum", &[pay("t1", "A", paid)]);
        world.all_final("ethereum");
        says(&Sides::of(&world).found(), "");
    }
    let (mut world, duplicate) = World::paid_twice();
    world.says("ann", &duplicate, Resolution::Credit).unwrap();
    let mut sides = Sides::of(&world);
    let entries = &mut sides.journal("A", "paid:").entries;
    let kept = Entry { amount: 60_000_000, credit: Account::Kept, ..entries[0].clone() };
    entries[0].amount -= kept.amount;
    entries.push(kept);
    says(
        &sides.found(),
        "L305 critical 10000.00 [ethereum A - - 20] paid:A: paid:A grants 10000 credits, the price \
        makes 4000 of 40.00",
    );
}
