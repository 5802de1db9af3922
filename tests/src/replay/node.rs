//! The recording side: a live anvil that does the node's lines of a script.
//!
//! In: what is to happen on the chain. Out: the chain, and a tape of what it answered.
//! Never: a line of ours; the daemon asks through the recorder like any client.
//! Why: fixtures that anybody can make again, from the same text that replays them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address as Account, B256, U256};
use alloy::providers::ext::AnvilApi;
use alloy::rpc::types::anvil::TransactionData;
use lab::tape::Recorder;
use payments::address::Address;

use super::script::{Node, Payment};
use crate::anvil::{self, Anvil, Options, Token};

/// Where the first contract of anvil's first account always is.
pub(super) const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
/// Base units of the token that the payer begins with: a million USDT.
const PURSE: u128 = 1_000_000_000_000;
/// Ether that lets an address of ours send something, in wei.
const ETHER: u128 = 1_000_000_000_000_000_000;

/// A node that is being recorded.
pub(super) struct Live {
    anvil: Anvil,
    token: Token,
    other: Token,
    multisend: Account,
    recorder: Recorder,
    folder: PathBuf,
    note: String,
    frame: u64,
    finished: Vec<Recorder>,
    /// Transactions by the name that the script gave them.
    sent: BTreeMap<String, B256>,
    remembered: Option<U256>,
}

impl Live {
    /// A chain with the token, a payer, and a few blocks, recorded as a tape of this name.
    pub(super) async fn start(folder: &Path, tape: &str, note: &str) -> Self {
        let options = Options { accounts: 3, slots_in_an_epoch: 4, ..Options::default() };
        let anvil = Anvil::start(options).await;
        let token = anvil.deploy_token(2 * PURSE, 6).await;
        assert_eq!(token.address.to_string(), TOKEN);
        let other = anvil.deploy_token(PURSE, 6).await;
        let payer = anvil.account(1);
        anvil.transfer(token, anvil.owner(), payer, PURSE).await;
        let multisend = anvil.deploy_multisend(payer, &[token]).await;
        anvil.mine(6).await;
        let recorder = record(&anvil, folder, tape, note).await;
        let (folder, note) = (folder.to_owned(), note.to_owned());
        let (sent, finished) = (BTreeMap::new(), Vec::new());
        let remembered = None;
        let frame = 0;
        Self {
            anvil,
            token,
            other,
            multisend,
            recorder,
            folder,
            note,
            frame,
            finished,
            sent,
            remembered,
        }
    }

    pub(super) fn url(&self) -> String {
        self.recorder.http_url()
    }

    /// From now on the answers are those of another moment.
    pub(super) fn next_frame(&mut self) {
        self.frame = self.recorder.next_frame();
    }

    /// Records another tape from now on, in the frame it is in.
    pub(super) async fn switch(&mut self, tape: &str) {
        let recorder = record(&self.anvil, &self.folder, tape, &self.note).await;
        while recorder.next_frame() < self.frame {}
        self.finished.push(std::mem::replace(&mut self.recorder, recorder));
    }

    /// Writes every tape.
    pub(super) async fn finish(self) {
        for recorder in self.finished.into_iter().chain([self.recorder]) {
            recorder.finish().await.expect("the tape is written");
        }
    }

    /// Does one line. `address` knows the orders' addresses.
    pub(super) async fn act(&mut self, step: &Node, address: impl Fn(&str) -> Address) {
        let account = |who: &str| match who {
            "nobody" => Account::repeat_byte(0x99),
            "treasury" => Account::repeat_byte(0x88),
            order => Account::from(address(order).0),
        };
        match step {
            Node::Pay { payments, from, label } => {
                let from = match from.as_deref() {
                    None => self.anvil.account(1),
                    Some("broke") => self.anvil.account(2),
                    Some(order) => self.unlocked(account(order)).await,
                };
                let tx = self.pay(payments, from, account).await;
                if let Some(label) = label {
                    self.sent.insert(label.clone(), tx);
                }
            }
            Node::LookAlike(payment) => {
                let (owner, to) = (self.anvil.owner(), account(&payment.to));
                self.anvil.transfer(self.other, owner, to, units(payment)).await;
            }
            Node::Undone(payment) => {
                let undone = anvil::payment(self.token, account(&payment.to), units(payment));
                let kept = anvil::payment(self.token, account("nobody"), 1);
                let payer = self.anvil.account(1);
                let (undone, kept) = (vec![undone], vec![kept]);
                self.anvil.multisend_after_revert(self.multisend, payer, undone, kept).await;
            }
            Node::Fee(points, most) => self.anvil.set_fee(self.token, *points, *most).await,
            Node::Pause(true) => drop(self.anvil.pause(self.token).await),
            Node::Pause(false) => drop(self.anvil.unpause(self.token).await),
            Node::Deprecate => drop(self.anvil.deprecate(self.token, self.other).await),
            Node::Blacklist(order) => {
                drop(self.anvil.blacklist(self.token, account(order)).await);
            }
            Node::Destroy(order) => {
                drop(self.anvil.destroy_funds(self.token, account(order)).await);
            }
            Node::Mine(blocks) => self.anvil.mine(*blocks).await,
            Node::Later(seconds) => self.anvil.advance_time(*seconds).await,
            Node::Reorg { depth, again } => self.reorg(*depth, again).await,
            Node::Remember => self.remembered = Some(self.anvil.snapshot().await),
            Node::Back => {
                let remembered = self.remembered.take().expect("`remember` comes before `back`");
                self.anvil.revert(remembered).await;
            }
            of_tron => panic!("no anvil does this: {of_tron:?}"),
        }
    }

    async fn pay(
        &self,
        payments: &[Payment],
        from: Account,
        account: impl Fn(&str) -> Account,
    ) -> B256 {
        if let [payment] = payments {
            let (to, amount) = (account(&payment.to), units(payment));
            return self.anvil.transfer(self.token, from, to, amount).await;
        }
        let payments = payments
            .iter()
            .map(|payment| anvil::payment(self.token, account(&payment.to), units(payment)));
        self.anvil.multisend(self.multisend, from, payments.collect()).await
    }

    /// Replaces blocks. Before each transaction that is mined again stands one of somebody else, so
    /// that it has another place in its block.
    async fn reorg(&self, depth: u64, again: &[(String, u64)]) {
        let sent = |label: &String| {
            self.sent.get(label).unwrap_or_else(|| panic!("nothing was sent as {label}"))
        };
        let mut mined = Vec::new();
        for (label, block) in again {
            let tx = sent(label);
            let (owner, nobody) = (self.anvil.owner(), Account::repeat_byte(0x99));
            let first = anvil::transfer_request(self.token, owner, nobody, 1);
            mined.push((TransactionData::JSON(first), *block));
            mined.push((self.anvil.again(*tx).await, *block));
        }
        self.anvil.reorg(depth, mined).await;
        // A transaction whose sender has one before it that is gone cannot be mined.
        for (label, _) in again {
            assert!(self.anvil.receipt(*sent(label)).await.is_some(), "{label} was not mined");
        }
    }

    /// An address whose key the node does not have, made able to send.
    async fn unlocked(&self, account: Account) -> Account {
        let provider = &self.anvil.provider;
        provider.anvil_impersonate_account(account).await.expect("anvil_impersonateAccount");
        let set = provider.anvil_set_balance(account, U256::from(ETHER)).await;
        set.expect("anvil_setBalance");
        account
    }
}

async fn record(anvil: &Anvil, folder: &Path, tape: &str, note: &str) -> Recorder {
    let out = folder.join(tape).with_extension("jsonl");
    let recorder = Recorder::start(&anvil.http_url(), out).await.expect("anvil answers");
    recorder.note(note);
    recorder
}

/// The token has six decimals, as the books do.
fn units(payment: &Payment) -> u128 {
    payment.amount.micro().try_into().expect("an amount is not below zero")
}
