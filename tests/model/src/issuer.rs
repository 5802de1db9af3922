//! What a token's issuer does, and what its contract answers when it is asked.
//!
//! In: chances, the chains as they are. Out: notices in their blocks, answers as of a final block,
//! and which notices the books must hold, counted again.
//! Never: a log of a burn shown without the other; both are of one transaction.
//! Why: what is told too late, or twice, stops a shop, and what is destroyed is money gone.

use std::collections::BTreeMap;

use payments::Update;
use payments::address::Address;
use payments::chain::TxHash;
use payments::contract::Answers;
use payments::notice::{Notice, NoticeId, What};
use payments::outflow::{Explanation, OutflowId, OutflowState, Way};
use ruint::aliases::U256;

use crate::nature::address;
use crate::reference::{Block, Chain};
use crate::transitions::World;

/// Something that the issuer does in a block.
#[derive(Clone)]
pub(crate) struct Act {
    pub(crate) tx: TxHash,
    pub(crate) what: What,
    /// Whether what is destroyed is logged as a Transfer to nobody too.
    pub(crate) burns: bool,
}

/// A notice that the books must hold, and as the how many-th it came there.
#[derive(Clone)]
pub(crate) struct Said {
    place: usize,
    pub(crate) notice: Notice,
}

/// What the books must hold of a token's issuer.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    pub(crate) said: BTreeMap<(TxHash, u32), Said>,
    /// How many answers were ever recorded as of a block.
    answers: BTreeMap<TxHash, u32>,
    count: usize,
}

impl World {
    /// What the issuer does in a block to come: something new, or what a reorg left outside.
    pub(crate) fn issue(&mut self, at: usize) -> Vec<Act> {
        let mut acts = Vec::new();
        if !self.loses {
            return acts;
        }
        while self.random.chance(50)
            && let Some(act) = self.chains[at].unsaid.pop()
        {
            acts.push(act);
        }
        while self.random.chance(6) {
            self.transactions += 1;
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&self.transactions.to_be_bytes());
            let what = match self.random.below(30) {
                0..4 => What::Paused,
                4..8 => What::Unpaused,
                8 => What::Deprecated(address("token", self.random.below(2))),
                9..13 => self.some_fee(),
                13..18 => What::Blacklisted(self.somebody()),
                18..22 => What::Released(self.somebody()),
                _ => What::Destroyed { from: self.somebody_rich(at), raw: U256::ZERO },
            };
            acts.push(Act { tx: TxHash(hash), what, burns: self.random.chance(50) });
        }
        acts
    }

    fn some_fee(&mut self) -> What {
        let points = *self.random.pick(&[0, 0, 10, 20]);
        What::Fee { points, most: U256::from(self.random.below(3)) }
    }

    /// Mostly an address of ours.
    fn somebody(&mut self) -> Address {
        let ours: Vec<Address> = self.memory.owners().keys().copied().collect();
        if self.random.chance(15) { address("stranger", 0) } else { *self.random.pick(&ours) }
    }

    fn somebody_rich(&mut self, at: usize) -> Address {
        let ours = |of: &Address| self.memory.owners().contains_key(of);
        let balances = self.chains[at].balances();
        let rich = balances.iter().filter(|(of, raw)| ours(of) && !raw.is_zero());
        let rich: Vec<Address> = rich.map(|(of, _)| *of).collect();
        if rich.is_empty() { self.somebody() } else { *self.random.pick(&rich) }
    }

    /// The contract is asked after a block that is final, or was when it was asked.
    pub(crate) fn question(&mut self, at: usize) -> Update {
        let chain = &self.chains[at];
        let final_one = usize::try_from(chain.finalized).unwrap();
        let place = final_one.saturating_sub(self.random.place(4));
        let all: Vec<Notice> =
            chain.truth[..=place].iter().flat_map(|at| chain.blocks[*at].notices.clone()).collect();
        let header = chain.blocks[chain.truth[place]].header;
        let last = |of| all.iter().rev().map(|n| n.what).find(|what| subject(what) == of);
        let mut asked: Vec<Address> = (0..3).map(|_| self.somebody()).collect();
        let listed = all.iter().filter_map(|notice| notice.what.account());
        asked.extend(listed.filter(|_| self.random.chance(60)));
        let ours = asked.into_iter().filter(|of| self.memory.owners().contains_key(of));
        let is_listed = |of: &Address| last((3, Some(*of))) == Some(What::Blacklisted(*of));
        let answers = ours.map(|of| (of, is_listed(&of))).collect();
        let deprecated = match last((1, None)) {
            Some(What::Deprecated(to)) => Some(to),
            _ => None,
        };
        let fee = match last((2, None)) {
            Some(What::Fee { points, most }) => (points, most),
            _ => (0, U256::ZERO),
        };
        let paused = last((0, None)) == Some(What::Paused);
        let mut knows = || !self.random.chance(10);
        let answers = Answers {
            block: header.id,
            time: header.time,
            paused: Some(paused).filter(|_| knows()),
            deprecated: Some(deprecated).filter(|_| knows()),
            fee: Some(fee).filter(|_| knows()),
            blacklisted: Some(answers).filter(|_| knows()),
        };
        Update::Asked { chain: self.chains[at].name.clone(), answers }
    }

    /// What of these blocks' notices is shown: all but a few.
    pub(crate) fn notices_of(&mut self, at: usize, blocks: &[usize], missing: u64) -> Vec<Notice> {
        let blocks = blocks.iter().map(|block| &self.chains[at].blocks[*block]);
        let all = blocks.flat_map(|block| block.notices.iter().map(move |notice| (block, notice)));
        let shown = all.filter(|(block, n)| block.burns(n.tx) || !self.random.chance(missing));
        shown.map(|(_, notice)| notice.clone()).collect()
    }

    /// Those of these notices that concern everybody, or an address of ours.
    pub(crate) fn concerning(&self, notices: &[Notice]) -> Vec<Notice> {
        let ours = |of: Address| self.memory.owners().contains_key(&of);
        notices.iter().filter(|n| n.what.account().is_none_or(ours)).cloned().collect()
    }

    /// The notices in the books are those that were shown or answered, and what was destroyed has
    /// left.
    pub(crate) fn check_notices(&self, chain: &Chain) -> Result<(), String> {
        let noted = self.memory.notices().iter();
        let noted = noted.filter(|noted| noted.chain == chain.name && !noted.orphaned);
        let mut count = 0;
        for noted in noted {
            count += 1;
            let said = chain.heard.said.get(&(noted.notice.tx, noted.notice.n));
            if said.is_none_or(|said| said.notice != noted.notice) {
                return Err(format!("nobody said notice {}", noted.id()));
            }
        }
        if count != chain.heard.said.len() {
            return Err(format!(
                "{} notices of {} are missing",
                chain.heard.said.len(),
                chain.name
            ));
        }
        let mut gone = 0;
        for said in chain.heard.said.values() {
            let What::Destroyed { from, raw } = said.notice.what else { continue };
            let at = chain.find(&said.notice.block.hash);
            let burns = at.is_some_and(|at| chain.blocks[at].burns(said.notice.tx));
            if burns || raw.is_zero() {
                continue;
            }
            gone += 1;
            self.check_destroyed(chain, &said.notice, (from, raw))?;
        }
        let destroyed = self.memory.outflows().iter();
        let destroyed = destroyed.filter(|o| {
            o.id.chain == chain.name && o.id.way == Way::Destroyed && o.state.is_on_chain()
        });
        if destroyed.count() == gone { Ok(()) } else { Err("nobody destroyed that".to_owned()) }
    }

    fn check_destroyed(
        &self,
        chain: &Chain,
        notice: &Notice,
        (from, raw): (Address, U256),
    ) -> Result<(), String> {
        let (tx, n, way) = (notice.tx, notice.n, Way::Destroyed);
        let id = OutflowId { chain: chain.name.clone(), tx, n, way };
        let Some(outflow) = self.memory.outflow(&id) else {
            return Err(format!("outflow {id} is missing"));
        };
        let same = (outflow.from, outflow.to, outflow.raw, outflow.block, outflow.log_index)
            == (from, Address::NOBODY, raw, notice.block, notice.log_index);
        if !same || outflow.time != notice.time || !outflow.state.is_on_chain() {
            return Err(format!("outflow {id} is not what was destroyed"));
        }
        let judged = outflow.state != OutflowState::Pending;
        if judged && chain.known_final.is_none_or(|known| notice.block.height > known) {
            return Err(format!("outflow {id} is judged and is not final"));
        }
        if judged && outflow.explained != Some(Explanation::Destroyed) {
            return Err(format!("outflow {id} is explained by {:?}", outflow.explained));
        }
        Ok(())
    }

    /// The notices that must be in the books, by their names.
    pub(crate) fn all_said(&self) -> impl Iterator<Item = String> {
        self.chains.iter().flat_map(|chain| {
            let id =
                |(tx, n): &(TxHash, u32)| NoticeId { chain: chain.name.clone(), tx: *tx, n: *n };
            chain.heard.said.keys().map(move |of| id(of).to_string())
        })
    }
}

/// What a notice is about: two about one thing follow each other.
fn subject(what: &What) -> (u8, Option<Address>) {
    match what {
        What::Paused | What::Unpaused => (0, None),
        What::Deprecated(_) => (1, None),
        What::Fee { .. } => (2, None),
        What::Blacklisted(of) | What::Released(of) => (3, Some(*of)),
        What::Destroyed { .. } => (4, None),
    }
}

impl Block {
    /// Whether a transaction burns what is destroyed by a Transfer.
    pub(crate) fn burns(&self, tx: TxHash) -> bool {
        self.transfers.iter().any(|t| t.tx == tx && t.to == Address::NOBODY)
    }
}

impl Chain {
    /// Notes what was shown. Whether another contract goes on in this one's place, and it was not
    /// known: of what the contract answered, only what is above `seen` is looked at.
    pub(crate) fn hear(&mut self, notices: Vec<Notice>, seen: Option<u64>) {
        for notice in notices {
            let at = self.find(&notice.block.hash);
            if !notice.is_asked() && !at.is_some_and(|at| self.is_recorded(at)) {
                continue;
            }
            if self.heard.said.contains_key(&(notice.tx, notice.n)) {
                continue;
            }
            let told = self.heard.said.values().map(|said| &said.notice).any(|known| {
                let later = known.is_asked() && known.block.height >= notice.block.height;
                let near = seen.is_none_or(|seen| known.block.height > seen);
                later && near && known.what == notice.what && known.tx != notice.tx
            });
            self.paused |= matches!(notice.what, What::Deprecated(_)) && !told;
            self.heard.count += 1;
            let place = self.heard.count;
            self.heard.said.insert((notice.tx, notice.n), Said { place, notice });
        }
    }

    /// Notes what the contract answered otherwise than was known, if anything.
    pub(crate) fn answer(&mut self, answers: &Answers) -> bool {
        let news = self.news_of(answers);
        let tx = TxHash(answers.block.hash.0);
        let first = self.heard.answers.get(&tx).copied().unwrap_or(0);
        let notice = |(n, what)| {
            let (n, log_index) = (first + n, u64::from(u32::MAX));
            Notice { tx, n, log_index, block: answers.block, time: answers.time, what }
        };
        let notices: Vec<Notice> = (0..).zip(news).map(notice).collect();
        let count = u32::try_from(notices.len()).unwrap();
        *self.heard.answers.entry(tx).or_default() += count;
        self.hear(notices, None);
        count > 0
    }

    fn news_of(&self, answers: &Answers) -> Vec<What> {
        let mut said = Vec::new();
        said.extend(answers.paused.map(|is| if is { What::Paused } else { What::Unpaused }));
        said.extend(answers.deprecated.flatten().map(What::Deprecated));
        said.extend(answers.fee.map(|(points, most)| What::Fee { points, most }));
        for (of, is) in answers.blacklisted.iter().flatten() {
            said.push(if *is { What::Blacklisted(*of) } else { What::Released(*of) });
        }
        let until = answers.block.height;
        said.into_iter().filter(|what| self.is_news(what, until)).collect()
    }

    fn is_news(&self, what: &What, until: u64) -> bool {
        let about = |said: &&Said| subject(&said.notice.what) == subject(what);
        let until = |said: &&Said| said.notice.block.height <= until;
        let place = |said: &&Said| (said.notice.block.height, said.notice.log_index, said.place);
        let known = self.heard.said.values().filter(about).filter(until).max_by_key(place);
        match (what, known.map(|said| said.notice.what)) {
            (What::Unpaused | What::Released(_) | What::Fee { points: 0, .. }, None) => false,
            (What::Fee { points: 0, .. }, Some(What::Fee { points, .. })) => points != 0,
            (what, known) => known != Some(*what),
        }
    }

    /// A block is no longer recorded, and no notice of it stands.
    pub(crate) fn forget_notices(&mut self, at: usize) {
        let block = self.id(at);
        for notice in &self.blocks[at].notices {
            let id = (notice.tx, notice.n);
            if self.heard.said.get(&id).is_some_and(|said| said.notice.block == block) {
                self.heard.said.remove(&id);
            }
        }
    }

    /// Finality falls to a height: what the contract answered above it goes too.
    pub(crate) fn forget_answers(&mut self, above: u64) {
        self.heard.said.retain(|_, said| said.notice.block.height <= above);
    }
}
