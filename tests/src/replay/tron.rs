//! The recording side of TRON: `lab`'s node, which does the node's lines of a script.
//!
//! In: what is to happen on the chain. Out: the chain, and a tape of what its node answered.
//! Never: a line of ours; the daemon asks through the recorder like any client.
//! Why: java-tron is installed nowhere here; what this node says is what real ones were recorded
//! saying, and the tape says which of the two it is of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address as Account, B256, U256};
use lab::tape::Recorder;
use lab::tron::{Chain, ChainSpec, Fault, LogSpec, Node as Served, TokenSpec, Tx};
use payments::address::Address;

use super::script::{Index, Node, Payment};

/// Tether's contract, whose address this chain has as well.
pub(super) const TOKEN: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
/// Slot 0: the first slot that is not before anvil's genesis here, less one, in milliseconds.
const START_MS: u64 = 1_699_999_998_000;
/// Milliseconds from one slot to the next.
const SLOT_MS: u64 = 3_000;
/// So many blocks lie below the first line of a script: enough that some are solidified.
const BEFORE: u64 = 24;

const PAYER: Account = Account::repeat_byte(0xaa);
const OWNER: Account = Account::repeat_byte(0xcc);
const BATCHER: Account = Account::repeat_byte(0xdd);
const LOOK_ALIKE: Account = Account::repeat_byte(0xee);
const TREASURY: Account = Account::repeat_byte(0x88);
const NOBODY: Account = Account::repeat_byte(0x99);

/// A node that is being recorded.
pub(super) struct Live {
    chain: Chain,
    node: Served,
    recorder: Recorder,
    folder: PathBuf,
    note: String,
    frame: u64,
    finished: Vec<Recorder>,
    /// What waits for the next block, and how the script calls it.
    waiting: Vec<(Option<String>, Tx)>,
    sent: BTreeMap<String, Tx>,
    mined: BTreeMap<String, B256>,
    /// The fee's basis points, and its ceiling in base units.
    fee: (u64, u64),
    /// Milliseconds that pass before the next block, beside its slot.
    later: u64,
    /// Tells equal transactions apart.
    tag: u64,
}

impl Live {
    /// A chain with the token and a few blocks, recorded as a tape of this name.
    pub(super) async fn start(folder: &Path, tape: &str, note: &str, index: bool) -> Self {
        let chain = Chain::new(ChainSpec { start_time: START_MS, ..ChainSpec::tron() });
        let usdt = chain.spec().token;
        chain.deploy(TokenSpec { address: LOOK_ALIKE, ..usdt });
        chain.mine_empty(BEFORE);
        let node = if index {
            Served::start_grid(chain.clone()).await
        } else {
            Served::start(chain.clone()).await
        };
        let node = node.expect("a port");
        let recorder = record(&node, folder, tape, note).await;
        let (folder, note) = (folder.to_owned(), note.to_owned());
        Self {
            chain,
            node,
            recorder,
            folder,
            note,
            frame: 0,
            finished: Vec::new(),
            waiting: Vec::new(),
            sent: BTreeMap::new(),
            mined: BTreeMap::new(),
            fee: (0, 0),
            later: 0,
            tag: 0,
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
        let recorder = record(&self.node, &self.folder, tape, &self.note).await;
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
    pub(super) fn act(&mut self, step: &Node, address: impl Fn(&str) -> Address) {
        let account = |who: &str| match who {
            "nobody" => NOBODY,
            "treasury" => TREASURY,
            order => Account::from(address(order).0),
        };
        match step {
            Node::Pay { payments, from, label } => {
                let broke = from.as_deref() == Some("broke");
                let from = from.as_deref().filter(|_| !broke).map_or(PAYER, account);
                let tx = self.payment(payments, from, account);
                self.wait(label.clone(), if broke { tx.reverted() } else { tx });
            }
            Node::LookAlike(payment) => {
                let to = account(&payment.to);
                self.wait(None, Tx::transfer_of(LOOK_ALIKE, OWNER, to, units(payment)));
            }
            Node::Undone(_) => {
                // Of the call that was reverted no log is left.
                let kept = Tx::batch(BATCHER, PAYER, PAYER, &[(NOBODY, 1)]);
                self.wait(None, kept.and_inner_call(BATCHER, true));
            }
            Node::OutOfTime(payment) => {
                let tx = Tx::transfer(PAYER, account(&payment.to), units(payment));
                self.wait(None, tx.out_of_time());
            }
            Node::Approve(payment) => {
                let (spender, value) = (account(&payment.to), units(payment).try_into());
                let value = value.expect("64 bits are fewer than 256");
                self.wait(
                    None,
                    Tx::empty().and(LogSpec::Approval { owner: PAYER, spender, value }),
                );
            }
            Node::Fee(points, most) => {
                self.fee = (*points, most * 1_000_000);
                let (basis_points, max_fee) = (U256::from(*points), U256::from(self.fee.1));
                self.announce(LogSpec::Params { basis_points, max_fee });
            }
            Node::Pause(true) => self.announce(LogSpec::Pause),
            Node::Pause(false) => self.announce(LogSpec::Unpause),
            Node::Deprecate => self.announce(LogSpec::Deprecate { successor: LOOK_ALIKE }),
            Node::Blacklist(order) => {
                self.announce(LogSpec::AddedBlackList { account: account(order) });
            }
            Node::Destroy(order) => {
                let account = account(order);
                let value = self.chain.balance(account, self.chain.tip().height);
                self.announce(LogSpec::DestroyedBlackFunds { account, value });
            }
            Node::Mine(blocks) => self.mine(*blocks),
            Node::Later(seconds) => self.later += seconds * 1_000,
            Node::Reorg { depth, again } => self.reorg(*depth, again),
            Node::Restart => drop(self.chain.restart()),
            Node::Resume => drop(self.chain.resume()),
            Node::Index(Index::Loses(label)) => {
                let tx = self.mined.get(label);
                let tx = *tx.unwrap_or_else(|| panic!("nothing was mined as {label}"));
                self.node.fault(Fault::LostRows { tx });
            }
            Node::Index(Index::Repeats) => drop(self.node.fault(Fault::DoubledRows)),
            Node::Index(Index::Approvals) => drop(self.node.fault(Fault::ApprovalRows)),
            of_others => panic!("no node of TRON does this here: {of_others:?}"),
        }
    }

    fn payment(
        &self,
        payments: &[Payment],
        from: Account,
        account: impl Fn(&str) -> Account,
    ) -> Tx {
        let each: Vec<(Account, u64)> =
            payments.iter().map(|payment| (account(&payment.to), units(payment))).collect();
        match each.as_slice() {
            [(to, value)] if self.fee.0 > 0 => {
                let fee = (value * self.fee.0 / 10_000).min(self.fee.1);
                Tx::transfer_with_fee(from, *to, *value, OWNER, fee)
            }
            [(to, value)] => Tx::transfer(from, *to, *value),
            several => Tx::batch(BATCHER, from, from, several),
        }
    }

    /// What the token's owner does, in a block.
    fn announce(&mut self, log: LogSpec) {
        self.wait(None, Tx::empty().and(log));
        self.mine(1);
    }

    fn wait(&mut self, label: Option<String>, tx: Tx) {
        self.tag += 1;
        let tx = tx.tagged(self.tag);
        if let Some(label) = &label {
            self.sent.insert(label.clone(), tx.clone());
        }
        self.waiting.push((label, tx));
    }

    fn mine(&mut self, blocks: u64) {
        let Some(empty) = blocks.checked_sub(1) else { return };
        let (labels, txs): (Vec<_>, Vec<_>) = self.waiting.drain(..).unzip();
        let later = std::mem::take(&mut self.later);
        let time = self.chain.time(self.chain.tip().height).expect("a tip");
        let block = self.chain.mine_at(time + SLOT_MS + later, txs);
        for (label, tx) in labels.into_iter().zip(self.chain.transactions(block.height)) {
            if let Some(label) = label {
                self.mined.insert(label, tx);
            }
        }
        self.chain.mine_empty(empty);
    }

    /// A fork switch: the new chain is longer by a block, which is why it wins. Before each
    /// transaction that is mined again stands one of somebody else.
    fn reorg(&mut self, depth: u64, again: &[(String, u64)]) {
        let count = usize::try_from(depth + 1).expect("a depth");
        let mut blocks = vec![Vec::new(); count];
        for (label, block) in again {
            let sent = self.sent.get(label);
            let sent = sent.unwrap_or_else(|| panic!("nothing was sent as {label}")).clone();
            let block = blocks.get_mut(usize::try_from(*block).expect("a place"));
            let block = block.unwrap_or_else(|| panic!("{label} is above the new chain"));
            self.tag += 1;
            block.push(Tx::transfer(OWNER, NOBODY, 1_u64).tagged(self.tag));
            block.push(sent);
        }
        self.chain.reorg(depth, blocks);
    }
}

async fn record(node: &Served, folder: &Path, tape: &str, note: &str) -> Recorder {
    let out = folder.join(tape).with_extension("jsonl");
    let (full, solidity) = (node.url(), node.solidity_url());
    let solidity = Some(solidity.as_str()).filter(|solidity| *solidity != full);
    let recorder = Recorder::start_tron(&full, solidity, out).await.expect("the node answers");
    recorder.note(note);
    recorder
}

/// The token has six decimals, as the books do.
fn units(payment: &Payment) -> u64 {
    payment.amount.micro().try_into().expect("an amount is not below zero, nor beyond the supply")
}
