//! How many transfers of other tokens are recorded.
//!
//! In: such a transfer to one of our addresses. Out: whether it is recorded, or counted only.
//! Never: one of the configured token. Why: any contract can name any account in any number of
//! logs; what costs its author next to nothing must not fill the books.

use crate::changes::Bounds;
use crate::desk::Desk;
use crate::event::EventKind;
use crate::name::{ChainName, OrderId};
use crate::recent::Recent;
use crate::time::Time;

/// The bounds of one update.
pub(crate) struct Others<'a> {
    bounds: Bounds,
    recent: &'a mut Recent,
    now: Time,
    /// Transfers below this height were counted by an earlier update, if at all.
    counted_from: Option<u64>,
    turned_away: u64,
}

impl<'a> Others<'a> {
    pub(crate) const fn new(
        bounds: Bounds,
        recent: &'a mut Recent,
        now: Time,
        counted_from: Option<u64>,
    ) -> Self {
        Self { bounds, recent, now, counted_from, turned_away: 0 }
    }

    /// Whether one more at `height` is recorded, where its order has so many already.
    pub(crate) fn admit(&mut self, of_order: usize, height: u64) -> bool {
        let most = usize::try_from(self.bounds.others_per_order).unwrap_or(usize::MAX);
        let hourly = u64::from(self.bounds.others_per_hour);
        if of_order < most && self.recent.others.sum(self.now) < hourly {
            self.recent.others.add(self.now, 1);
            return true;
        }
        if self.counted_from.is_some_and(|from| height >= from) {
            self.turned_away = self.turned_away.saturating_add(1);
        }
        false
    }

    /// Counts what was turned away, and tells it once an hour.
    pub(crate) fn finish(self, desk: &mut Desk, chain: &ChainName) {
        if self.turned_away == 0 {
            return;
        }
        if self.recent.unrecorded.sum(self.now) == 0 {
            let why = format!(
                "transfers of other tokens beyond {} an order or {} an hour are counted, not \
                 recorded",
                self.bounds.others_per_order, self.bounds.others_per_hour
            );
            let data = vec![("unrecorded", self.turned_away.to_string()), ("why", why)];
            desk.tell_chain(EventKind::ChainFlooded, chain, data);
        }
        self.recent.unrecorded.add(self.now, self.turned_away);
    }
}

impl Desk {
    /// How many transfers of other tokens are recorded of an order.
    pub(crate) fn others_of(&mut self, order: &OrderId) -> usize {
        let Ok(work) = self.work(order) else { return 0 };
        work.dossier.deposits.iter().filter(|d| d.id.other_token.is_some()).count()
    }
}
