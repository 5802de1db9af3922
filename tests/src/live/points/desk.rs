//! What a person decides in a world, and what must have been paid before.
//!
//! In: an order of its own. Out: deposits that are final, the case of one, a refund that is mined.
//! Never: an order that anybody pays beside, or a block that a reorg takes away.
//! Why: a decision is about what is final, and two worlds must have the same before it.

use alloy::primitives::Address as RawAddress;
use lab::evm;
use payments::name::OrderId;

use super::super::daemon::Daemon;
use super::world::{TREASURY, World};

/// Where refunds go.
const BACK: RawAddress = RawAddress::repeat_byte(0xbb);
/// What is due, in cents, and in the token's units; what goes back of it.
const DUE: u64 = 10_000;
const UNITS: u64 = DUE * 10_000;
const NET: u64 = UNITS - 800_000;

/// What a person types about.
#[derive(Default)]
pub(super) struct Decided {
    /// The case.
    pub(super) case: String,
    /// The transaction of its refund.
    tx: String,
}

impl Decided {
    pub(super) fn sent(&self) -> String {
        format!("refund sent {} --tx {} --by ann", self.case, self.tx)
    }
}

impl World {
    /// An order that is paid, and whose payment is final.
    pub(super) async fn pay_once(&mut self, id: &str, daemon: &mut Daemon) {
        self.create(id, "ethereum").await;
        let payment = self.payment(id, DUE).await;
        self.mine(vec![payment]);
        self.settle(daemon).await;
    }

    /// An order that is paid twice, and the case of the second payment.
    pub(super) async fn pay_twice(&mut self, id: &str, daemon: &mut Daemon) {
        let what = format!("--id {id} --customer {id} --chain ethereum --amount 100");
        self.typed(&format!("order create {what} --refund-to {BACK}")).await;
        let payments = vec![self.payment(id, DUE).await, self.payment(id, DUE).await];
        self.mine(payments);
        self.settle(daemon).await;
        let order = OrderId::new(id).expect("an id");
        let dossier = self.store().order(&order).await.expect("the books").expect("an order");
        self.decided.case = dossier.cases.first().expect("a case of a duplicate").id.to_string();
    }

    /// The same, decided to go back, and mined on its way.
    pub(super) async fn refund(&mut self, id: &str, daemon: &mut Daemon) {
        self.pay_twice(id, daemon).await;
        let why = "--by ann --why so";
        self.typed(&format!("case resolve {} refund --fee 0.80 {why}", self.decided.case)).await;
        let refund = self.tagged(evm::Tx::transfer(TREASURY, BACK, NET));
        self.mine(vec![refund]);
        let tx = self.ethereum.transactions(self.ethereum.tip().height)[0];
        self.decided.tx = tx.to_string();
        self.settle(daemon).await;
    }

    /// What was paid leaves for the treasury; the height of its block.
    pub(super) async fn sweep(&mut self, id: &str) -> u64 {
        let from = self.address(id).await;
        let sweep = self.tagged(evm::Tx::transfer(from, TREASURY, UNITS));
        self.mine(vec![sweep]);
        self.ethereum.tip().height
    }

    /// Everything so far is final, and recorded as final.
    async fn settle(&mut self, daemon: &mut Daemon) {
        self.bury();
        daemon.recorded_on("ethereum", self.ethereum.tip().height).await;
        // What is final is asked for before the newest blocks are read.
        self.recover(daemon).await;
    }
}
