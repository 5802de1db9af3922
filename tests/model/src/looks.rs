//! What a watcher is shown when it looks: blocks, headers, a stretch read again.
//!
//! In: a chain as it is, chances. Out: a scan, with a log missing now and then, or one of before.
//! Never: a block that is not, but by chance one that is no longer recorded.
//! Why: nodes leave things out, and a watcher must come to the same books all the same.

use payments::address::Address;
use payments::chain::{Scan, Transfer};
use payments::changes::Update;

use crate::reference::{Block, Habit, wide};
use crate::transitions::World;

impl World {
    /// What a watcher finds when it looks now, or found when it looked before.
    pub(crate) fn look(&mut self, at: usize) -> Update {
        if !self.stale.is_empty() && self.random.chance(15) {
            let place = self.random.place(self.stale.len());
            let stale = self.stale[place].clone();
            if self.is_near(&stale) {
                return Update::Scan(stale);
            }
        }
        let most = self.random.chance(50).then(|| self.random.place(5) + 1);
        if self.chains[at].habit == Habit::Tron && self.random.chance(4) {
            self.chains[at].polled = !self.chains[at].polled;
        }
        let scan =
            if self.chains[at].polled { self.headers_of(at) } else { self.scan_of(at, most) };
        if self.random.chance(25) {
            self.stale.push(scan.clone());
        }
        Update::Scan(scan)
    }

    /// Whether the chain as it is can be reached again from the end of this scan.
    fn is_near(&self, scan: &Scan) -> bool {
        let chain = self.chain(&scan.chain);
        let last = scan.blocks.last().map(|header| header.id).or(scan.base);
        let Some(last) = last.and_then(|last| chain.find(&last.hash)) else { return false };
        let (shared, branch) = chain.leave(last, &chain.truth);
        let bound = usize::try_from(chain.habit.bound()).unwrap() - 4;
        branch.len() <= bound && wide(shared) > chain.finalized
    }

    /// An honest scan of at most so many blocks; now and then a log is missing.
    pub(crate) fn scan_of(&mut self, at: usize, most: Option<usize>) -> Scan {
        let chain = &self.chains[at];
        let line = &chain.truth;
        let (shared, _) = chain.leave(chain.tip(), &chain.path);
        let lower = if self.random.chance(20) { self.random.place(4) } else { 0 };
        let from = shared.saturating_sub(lower);
        let end = most.map_or(line.len(), |most| line.len().min(from + most));
        let blocks: Vec<&Block> = line[from..end].iter().map(|at| &chain.blocks[*at]).collect();
        let claim = usize::try_from(chain.finalized).ok().and_then(|at| line.get(at));
        let finalized = claim.map(|at| chain.id(*at)).filter(|_| self.random.chance(95));
        let all = blocks.iter().flat_map(|block| &block.transfers);
        let mut transfers: Vec<Transfer> =
            all.filter(|t| t.to == Address::NOBODY || !self.random.chance(2)).cloned().collect();
        if self.random.chance(4) {
            transfers.extend(transfers.clone());
        }
        let with_safe = chain.habit == Habit::Ethereum && self.random.chance(90);
        let read = line[from..end].to_vec();
        let notices = self.notices_of(at, &read, 10);
        let chain = &self.chains[at];
        Scan {
            chain: chain.name.clone(),
            base: from.checked_sub(1).map(|below| chain.id(chain.truth[below])),
            blocks: read.iter().map(|at| chain.blocks[*at].header).collect(),
            transfers,
            notices,
            finalized,
            safe: with_safe.then_some(chain.safe),
            tip: chain.height(chain.tip()),
        }
    }

    /// What account polling finds: headers up to the final block, of the transfers in them those
    /// that the index knows, each of them once or twice.
    fn headers_of(&mut self, at: usize) -> Scan {
        let chain = &self.chains[at];
        let (shared, _) = chain.leave(chain.tip(), &chain.path);
        let end = usize::try_from(chain.finalized).unwrap() + 1;
        let next = if end > chain.path.len() { shared.min(end) } else { end };
        // Nothing is final that is not recorded: it stands on what is.
        let recorded = chain.path.last().filter(|_| end <= chain.path.len()).copied();
        let below = next.checked_sub(1).map(|below| chain.truth[below]);
        let blocks = chain.truth[next..end].iter().map(|at| &chain.blocks[*at]);
        let mut transfers = Vec::new();
        for transfer in blocks.flat_map(|block| &block.transfers) {
            if transfer.to != Address::NOBODY && self.random.chance(25) {
                self.marks.insert("an index left a payment out");
                continue;
            }
            transfers.push(transfer.clone());
            if self.random.chance(10) {
                self.marks.insert("an index shows a payment twice");
                transfers.push(transfer.clone());
            }
        }
        let read = chain.truth[next..end].to_vec();
        let notices = self.notices_of(at, &read, 25);
        let chain = &self.chains[at];
        Scan {
            chain: chain.name.clone(),
            base: recorded.or(below).map(|at| chain.id(at)),
            blocks: read.iter().map(|at| chain.blocks[*at].header).collect(),
            transfers,
            notices,
            finalized: chain.truth.get(end - 1).map(|at| chain.id(*at)),
            safe: None,
            tip: chain.height(chain.tip()),
        }
    }

    /// A stretch of blocks read again; now and then some of them were orphaned meanwhile.
    pub(crate) fn rescan(&mut self, at: usize) -> Update {
        let chain = &self.chains[at];
        let known = chain.known_final.unwrap_or(0);
        let from = self.random.place(chain.path.len());
        let to = (from + self.random.place(12)).min(chain.path.len());
        let mut blocks: Vec<usize> = chain.path[from..to].to_vec();
        if self.random.chance(10) {
            let any = self.random.place(chain.blocks.len());
            // Below what is final a block of another branch would be taken on trust.
            if chain.height(any) >= known {
                blocks.push(any);
            }
        }
        let all = blocks.iter().flat_map(|at| &chain.blocks[*at].transfers);
        let mut transfers: Vec<Transfer> = all.cloned().collect();
        if self.random.chance(10) {
            transfers.extend(transfers.clone());
        }
        if transfers.iter().any(|transfer| self.was_missed(transfer)) {
            self.marks.insert("a payment that an index left out is found");
        }
        let notices = self.notices_of(at, &blocks, 10);
        Update::Rescan { chain: self.chains[at].name.clone(), transfers, notices }
    }
}
