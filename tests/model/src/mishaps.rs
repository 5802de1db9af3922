//! What goes wrong beside a watcher: two daemons at once, restarts, nodes that lie.
//!
//! In: a history on its way. Out: the same history, or the first thing that should not have been.
//! Never: something written that was overtaken, or that cannot be.
//! Why: each of them is a day in the life of a daemon.

use payments::chain::{BlockId, Header, Scan};
use payments::changes::Update;
use payments::order::Order;
use payments::plan;
use payments::time::Time;

use crate::invariants::Decided;
use crate::reference::hash_of;
use crate::transitions::World;

/// Events of books that are copied whole without a thought.
const SMALL: usize = 300;

impl World {
    /// Two daemons read the same books; one is a moment slower.
    pub(crate) fn two_at_once(&mut self) -> Result<(), String> {
        let (one, other) = (self.some_update(), self.some_update());
        self.now += 1;
        let at = Time(self.now);
        let planned = plan(&self.rules, &self.memory.snapshot(&one), &one, at);
        self.note(&one, &planned);
        self.foretold(&one, &planned)?;
        self.past.steps.push(Decided::Before(one.clone(), at));
        self.apply(&other)?;
        let Ok(changes) = planned else { return Ok(()) };
        if changes.is_empty() {
            return Ok(());
        }
        let moved = |mv: &payments::changes::CursorMove| {
            let cursor = self.memory.cursor(&mv.chain);
            cursor.map_or(0, |cursor| cursor.generation) != mv.generation
        };
        let touched = |touched: &payments::changes::Touched| {
            let dossier = self.memory.dossier(&touched.order);
            dossier.is_none_or(|dossier| dossier.version != touched.version)
        };
        let created = |order: &Order| self.memory.dossier(&order.id).is_some();
        let overtaken = changes.cursor.as_ref().is_some_and(moved)
            || changes.touched.iter().any(touched)
            || changes.created.as_ref().is_some_and(created);
        // What is left behind in larger books is found when the rules are run again.
        let small = self.memory.events().len() < SMALL;
        let before = (overtaken && small).then(|| self.memory.clone());
        match self.commit(&one, &changes, Decided::Then) {
            Ok(()) if overtaken => Err("a commit that was overtaken was written".to_owned()),
            Ok(()) => self.check(&one, &changes),
            Err(refused) if !overtaken && self.mutated == 0 => {
                Err(format!("the books refuse {refused:?}"))
            }
            Err(_) if before.is_some_and(|before| before != self.memory) => {
                Err("a refused commit left something behind".to_owned())
            }
            Err(_) => Ok(()),
        }
    }

    /// The daemon stops and starts: all that is left is what was committed.
    pub(crate) fn start_again(&mut self) -> Result<(), String> {
        self.stale.clear();
        if self.mutation.is_none() { self.decided_again() } else { Ok(()) }
    }

    /// A node shows what cannot be: nothing may be written.
    pub(crate) fn lie(&mut self, at: usize) -> Result<(), String> {
        let mut scan = self.scan_of(at, None);
        let other = self.random.below(6);
        match (other, scan.blocks.len(), scan.base.is_some()) {
            (0, 3.., _) => drop(scan.blocks.remove(1)),
            (1, 1.., true) => {
                if let Some(header) = scan.blocks.first_mut() {
                    header.parent.0[31] ^= 1;
                }
            }
            (2, 1.., true) => {
                if let Some(base) = &mut scan.base {
                    base.height += 1;
                }
            }
            (3, 1.., _) if !scan.transfers.is_empty() => scan.transfers[0].block.hash.0[31] ^= 1,
            (4, ..) => match self.rogue(at) {
                Some(rogue) => scan = rogue,
                None => return Ok(()),
            },
            (5, ..) if scan.finalized.is_some_and(|claim| claim.height > 0) => {
                return self.lie_about_finality(scan);
            }
            _ => return Ok(()),
        }
        self.refused(scan)
    }

    fn lie_about_finality(&mut self, mut scan: Scan) -> Result<(), String> {
        let known = self.chain(&scan.chain).known_final.unwrap_or(0);
        let last = scan.blocks.last().map_or(0, |header| header.id.height);
        if let Some(claim) = &mut scan.finalized {
            claim.hash.0[31] ^= 1;
            if claim.height <= known || claim.height > last {
                return Ok(());
            }
        }
        self.refused(scan)
    }

    fn refused(&mut self, scan: Scan) -> Result<(), String> {
        let update = Update::Scan(scan);
        let planned = plan(&self.rules, &self.memory.snapshot(&update), &update, Time(self.now));
        self.note(&update, &planned);
        match planned {
            Ok(_) => Err("a lie was believed".to_owned()),
            Err(_) => Ok(()),
        }
    }

    /// A branch from below what is final, or deeper than the bound.
    fn rogue(&mut self, at: usize) -> Option<Scan> {
        let chain = &self.chains[at];
        let known = usize::try_from(chain.known_final?).ok()?;
        let bound = usize::try_from(chain.habit.bound()).ok()?;
        let deep = chain.path.len().checked_sub(bound + 2);
        let fork = if self.random.chance(50) { known.checked_sub(1)? } else { deep? };
        let below = chain.blocks[chain.path[fork]].header;
        let hash = hash_of(chain.name.as_str(), chain.blocks.len());
        let id = BlockId { height: below.id.height + 1, hash };
        let header = Header { id, parent: below.id.hash, time: Time(below.time.0 + 1000) };
        let (base, name, safe, tip) = (below.id, chain.name.clone(), None, id.height);
        let (transfers, blocks) = (Vec::new(), vec![header]);
        let (base, notices, finalized) = (Some(base), Vec::new(), None);
        Some(Scan { chain: name, base, blocks, transfers, notices, finalized, safe, tip })
    }
}
