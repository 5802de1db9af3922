//! What a token's issuer did, recorded and acted upon.
//!
//! In: the notices of a scan. Out: facts, their events, and whether crediting must wait.
//! Never: a deposit passed over because of one. Why: the contract of the token is somebody else's,
//! and what its owner does with it is to be known before a customer tells of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::Transfer;
use crate::changes::{ChainRules, Changes, CursorMove, Snapshot};
use crate::desk::Desk;
use crate::event::EventKind;
use crate::name::ChainName;
use crate::notice::{Noted, Notice, NoticeId, What};
use crate::outflow::Outflow;
use crate::outflows;
use crate::plan::PlanError;

/// Characters of a standing pause's reason that are kept before another one.
const KEPT: usize = 500;

/// The notices that an update may touch.
#[derive(Clone)]
pub(crate) struct Issuer {
    known: usize,
    all: Vec<Noted>,
    at: BTreeMap<NoticeId, usize>,
    moved: BTreeSet<usize>,
    /// Why crediting must wait because of this update.
    stops: Option<String>,
}

impl Issuer {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let all = snapshot.notices.clone();
        let at = all.iter().enumerate().map(|(at, noted)| (noted.id(), at)).collect();
        Self { known: all.len(), all, at, moved: BTreeSet::new(), stops: None }
    }

    /// Whether this outflow is what the token burnt of what its owner destroyed: some contracts log
    /// both.
    pub(crate) fn burnt(&self, outflow: &Outflow) -> bool {
        let mut standing = self.all.iter().filter(|noted| !noted.orphaned);
        let Outflow { id, from, to, raw, .. } = outflow;
        standing.any(|noted| noted.notice.is_burnt_by(id.tx, [*from, *to], *raw))
    }

    /// Whether the contract itself has said this of a later block, so that it was heeded.
    fn has_told(&self, notice: &Notice) -> bool {
        self.all.iter().any(|noted| {
            let known = &noted.notice;
            let later = known.is_asked() && known.block.height >= notice.block.height;
            !noted.orphaned && later && known.what == notice.what && known.tx != notice.tx
        })
    }

    pub(crate) fn finish(self, changes: &mut Changes) {
        let (known, moved) = (self.known, self.moved);
        let all = self.all.into_iter().enumerate();
        let changed = all.filter(|(at, _)| *at >= known || moved.contains(at));
        changes.notices.extend(changed.map(|(_, noted)| noted));
    }
}

impl Desk {
    /// Records what the issuer of the token did, or finds it again. `transfers` are those of the
    /// same blocks.
    pub(crate) fn observe_notices(
        &mut self,
        rules: &ChainRules,
        chain: &ChainName,
        snapshot: &Snapshot,
        notices: &[Notice],
        transfers: &[Transfer],
    ) -> Result<(), PlanError> {
        for notice in notices {
            let about = notice.what.account();
            let owner = about.and_then(|account| snapshot.owners.get(&account));
            if about.is_some() && owner.is_none() {
                continue;
            }
            let order = owner.and_then(Clone::clone);
            let (chain, notice) = (chain.clone(), notice.clone());
            let seen = Noted { chain, notice, order, orphaned: false, round: 1 };
            let mut own = transfers.iter().filter(|transfer| transfer.token == rules.token);
            let burnt = own.any(|t| seen.notice.is_burnt_by(t.tx, [t.from, t.to], t.raw));
            let lost = outflows::destroyed(rules, &seen)?.filter(|_| !burnt);
            self.observe_notice(seen)?;
            if let Some(lost) = lost {
                self.outflows.observe(lost)?;
            }
        }
        Ok(())
    }

    fn observe_notice(&mut self, seen: Noted) -> Result<(), PlanError> {
        let issuer = &mut self.issuer;
        let id = seen.id();
        let noted = match issuer.at.get(&id).copied() {
            None => {
                issuer.at.insert(id, issuer.all.len());
                issuer.all.push(seen.clone());
                seen
            }
            Some(at) => {
                let Some(known) = issuer.all.get_mut(at) else { return Ok(()) };
                if !known.orphaned {
                    return same(known, &seen);
                }
                let (order, round) = (known.order.clone(), known.round.saturating_add(1));
                *known = Noted { order, round, ..seen };
                issuer.moved.insert(at);
                known.clone()
            }
        };
        if let What::Deprecated(to) = noted.notice.what
            && !issuer.has_told(&noted.notice)
        {
            let height = noted.notice.block.height;
            let how = match noted.notice.is_asked() {
                true => "is deprecated, as its contract says after",
                false => "was deprecated in",
            };
            let why = format!(
                "the token {how} block {height}: {to} goes on in its place, and what arrives \
                 there is not read"
            );
            issuer.stops.get_or_insert(why);
        }
        let kind = match noted.notice.what {
            What::Paused => EventKind::TokenPaused,
            What::Unpaused => EventKind::TokenUnpaused,
            What::Deprecated(_) => EventKind::TokenDeprecated,
            What::Fee { .. } => EventKind::TokenFeeSet,
            What::Blacklisted(_) => EventKind::AddressBlacklisted,
            What::Released(_) => EventKind::AddressReleased,
            What::Destroyed { .. } => EventKind::AddressEmptied,
        };
        self.tell_notice(kind, &noted);
        Ok(())
    }

    /// Takes back every notice on `chain` at or above `fork`. What the contract was asked after a
    /// final block, which may be above all that is recorded, goes where finality itself falls.
    pub(crate) fn orphan_notices(&mut self, chain: &ChainName, fork: u64, falls: bool) {
        for at in 0..self.issuer.all.len() {
            let Some(noted) = self.issuer.all.get_mut(at) else { continue };
            if noted.orphaned || noted.chain != *chain || noted.notice.block.height < fork {
                continue;
            }
            if noted.notice.is_asked() && !falls {
                continue;
            }
            noted.orphaned = true;
            let noted = noted.clone();
            self.issuer.moved.insert(at);
            self.tell_notice(EventKind::NoticeOrphaned, &noted);
        }
    }

    /// Stops crediting on the chain of `mv` where the issuer gave a reason to. Where it waits for a
    /// person already, for that reason too: who ends the pause is to know of both.
    pub(crate) fn heed_issuer(&mut self, mv: &mut CursorMove) {
        let Some(why) = self.issuer.stops.take() else { return };
        if mv.paused.as_ref().is_some_and(|standing| standing.contains(&why)) {
            return;
        }
        self.tell_chain(EventKind::ChainPaused, &mv.chain, vec![("why", why.clone())]);
        mv.paused = Some(match mv.paused.take() {
            None => why,
            Some(standing) => {
                let kept: String = standing.chars().take(KEPT).collect();
                format!("{kept}; {why}")
            }
        });
    }

    fn tell_notice(&mut self, kind: EventKind, noted: &Noted) {
        let notice = &noted.notice;
        let mut data = vec![("notice", noted.id().to_string())];
        match notice.what {
            What::Paused | What::Unpaused => {}
            What::Deprecated(to) => data.push(("to", to.to_string())),
            What::Fee { points, most } => {
                data.push(("points", points.to_string()));
                data.push(("most", most.to_string()));
            }
            What::Blacklisted(of) | What::Released(of) => data.push(("address", of.to_string())),
            What::Destroyed { from, raw } => {
                data.push(("address", from.to_string()));
                data.push(("raw", raw.to_string()));
            }
        }
        if notice.is_asked() {
            data.push(("told_by", "contract".to_owned()));
        }
        if kind == EventKind::NoticeOrphaned {
            data.push(("what", notice.what.word().to_owned()));
        }
        data.push(("height", notice.block.height.to_string()));
        self.tell_of(kind, &noted.chain, noted.order.clone(), data);
    }
}

/// That what was seen of a recorded notice is a repeated answer.
fn same(recorded: &Noted, seen: &Noted) -> Result<(), PlanError> {
    let differs = [
        ("block", recorded.notice.block != seen.notice.block),
        ("text", recorded.notice.what != seen.notice.what),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(PlanError::NoticeContradiction { notice: seen.id(), what }),
    }
}
