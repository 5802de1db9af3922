//! What left is found late, below what is in the books already.
//!
//! In: a node that kept part of some blocks back. Out: which outflow finds what it took, and which
//! waits.
//! Never: later money that hides what is missing below it.
//! Why: a person may go back to any height, and the books then hold what was there.

use payments::Update;
use payments::case::Resolution;
use payments::chain::Transfer;
use payments::ledger::{Account, Asset};
use payments::outflow::{OutflowId, OutflowState, Way};

use super::resolve::of;
use super::world::{Pay, World, address, chain, id, pay, tx};

impl World {
    /// A block of which the node keeps everything back but the first transfers.
    fn mine_hidden(&mut self, shown: usize, pays: &[Pay]) -> Vec<Transfer> {
        let line = &self.lines["ethereum"];
        let second = line.blocks.last().map_or(0, |(header, _)| header.time.0 / 1000) + 10;
        self.mine_unseen("ethereum", second, pays);
        let mut scan = self.look("ethereum");
        let hidden = scan.transfers.split_off(shown);
        self.apply(&Update::Scan(scan)).unwrap();
        hidden
    }

    fn find(&mut self, transfers: Vec<Transfer>) {
        let (chain, notices) = (chain("ethereum"), Vec::new());
        self.apply(&Update::Rescan { chain, transfers, notices }).unwrap();
    }

    fn left(&self, hash: &str) -> OutflowState {
        let id = OutflowId { chain: chain("ethereum"), tx: tx(hash), n: 0, way: Way::Transfer };
        self.memory.outflow(&id).unwrap().state
    }

    fn custody_of(&self, who: &str) -> i128 {
        let account = Account::Custody(chain("ethereum"), address(who));
        -self.memory.net(&Asset::Usdt(chain("ethereum")), &account)
    }
}

/// 100 came in block 1; in block 2 came 50, and in block 3 left 50, neither of which was shown; in
/// block 4 left 100.
fn half_hidden() -> (World, [Vec<Transfer>; 2]) {
    let mut world = World::new();
    world.open_order("A", |_| {});
    world.mine("ethereum", &[pay("t1", "A", "100")]);
    let came = world.mine_hidden(0, &[pay("t2", "A", "50")]);
    let left = world.mine_hidden(0, &[pay("t3", "thief", "50").from("A")]);
    world.mine("ethereum", &[pay("t4", "treasury", "100").from("A")]);
    (world, [came, left])
}

#[test]
fn what_a_later_one_took_is_not_there_for_an_earlier_one() {
    let (mut world, [came, left]) = half_hidden();
    world.mine("ethereum", &[pay("t5", "A", "70")]);
    world.finalize("ethereum", 5);
    assert_eq!((world.left("t4"), world.custody_of("A")), (OutflowState::Booked, 70_000_000));
    world.find(left);
    assert_eq!(world.left("t3"), OutflowState::Waiting, "50 were there below it, and 0 above");
    // The books go back to where there was nothing left.
    world.lose("ethereum", 4);
    assert_eq!(world.custody_of("A"), 0);
    world.find(came);
    assert_eq!((world.left("t3"), world.custody_of("A")), (OutflowState::Booked, 0));
}

#[test]
fn what_it_took_may_be_found_with_it_between_it_and_a_later_one() {
    let (mut world, [came, left]) = half_hidden();
    world.finalize("ethereum", 4);
    world.find([left, came].concat());
    assert_eq!((world.left("t3"), world.custody_of("A")), (OutflowState::Booked, 0));
}

#[test]
fn what_a_lost_branch_gives_back_is_there_for_what_left_below_it() {
    let (mut world, [_, left]) = half_hidden();
    world.finalize("ethereum", 4);
    world.find(left);
    assert_eq!((world.left("t3"), world.custody_of("A")), (OutflowState::Waiting, 0));
    world.lose("ethereum", 3);
    assert_eq!(world.left("t4"), OutflowState::Orphaned);
    assert_eq!((world.left("t3"), world.custody_of("A")), (OutflowState::Booked, 50_000_000));
}

#[test]
fn what_came_in_its_own_block_is_there() {
    let mut world = World::new();
    world.open_order("A", |_| {});
    let both = [pay("t1", "A", "100"), pay("t2", "treasury", "100").from("A")];
    world.mine_unseen("ethereum", 10, &both);
    world.finalize("ethereum", 1);
    assert_eq!((world.left("t2"), world.custody_of("A")), (OutflowState::Booked, 0));
    // Found by itself, beside one below it that waits.
    let (mut world, [_, left]) = half_hidden();
    let both = [pay("t5", "A", "70"), pay("t6", "treasury", "70").from("A")];
    let swept = world.mine_hidden(1, &both);
    world.finalize("ethereum", 5);
    world.find(left);
    world.find(swept);
    assert_eq!((world.left("t3"), world.left("t6")), (OutflowState::Waiting, OutflowState::Booked));
    assert_eq!(world.custody_of("A"), 0);
}

/// An order that has the address by now gets what had come there before.
#[test]
fn what_was_reassigned_to_the_owner_of_its_address_came_once() {
    let mut world = World::new();
    world.memory.import(&[address("pool")]);
    world.mine("ethereum", &[pay("t1", "pool", "7")]);
    let left = world.mine_hidden(0, &[pay("t2", "thief", "7").from("pool")]);
    world.mine("ethereum", &[pay("t3", "pool", "5")]);
    world.all_final("ethereum");
    world.open_order("A", |order| order.address = address("pool"));
    let unassigned = of("unassigned", "ethereum", "t3");
    world.says("ann", &unassigned, Resolution::Reassign(id("A"))).unwrap();
    world.find(left);
    assert_eq!((world.left("t2"), world.custody_of("pool")), (OutflowState::Booked, 5_000_000));
}

/// A transaction that had paid A is mined again to B's address, and stays A's.
#[test]
fn what_a_reorg_brought_of_another_order_s_is_later_money_too() {
    let mut world = World::new();
    world.open_order("A", |_| {});
    world.open_order("B", |_| {});
    world.mine("ethereum", &[pay("t1", "B", "10")]);
    world.mine("ethereum", &[pay("t2", "A", "50")]);
    world.fork("ethereum", 1);
    world.mine_unseen("ethereum", 90, &[]);
    let left = world.mine_hidden(0, &[pay("t3", "thief", "40").from("B")]);
    world.mine("ethereum", &[pay("t2", "B", "50")]);
    world.finalize("ethereum", 4);
    assert!(world.state("A").contains("t2:0 50.00"), "{}", world.state("A"));
    world.find(left);
    assert_eq!((world.left("t3"), world.custody_of("B")), (OutflowState::Waiting, 60_000_000));
    world.lose("ethereum", 3);
    assert_eq!(world.custody_of("B"), 10_000_000);
}
