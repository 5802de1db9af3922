//! How much a chain may credit within an hour before a person looks.
//!
//! In: what is to be settled, and what was credited within the last hour. Out: the credits that
//! fit, in the order of the chain, and a pause where one did not.
//! Never: a credit that overshoots; a deposit lost: what does not fit stays pending.
//! Why: a lying node, a broken token or a mistake of ours costs at most an hour's ceiling.

use crate::amount::Usdt;
use crate::changes::CursorMove;
use crate::desk::Desk;
use crate::event::EventKind;
use crate::plan::PlanError;
use crate::time::Time;
use crate::view::View;

/// Confirms what is final and expires what is over, as far as the ceiling of the view's chain
/// allows; pauses the chain of `mv` where it does not.
pub(crate) fn settle(
    desk: &mut Desk,
    mut view: View<'_>,
    mv: &mut CursorMove,
    now: Time,
) -> Result<(), PlanError> {
    let Some(ceiling) = view.rules.bounds.hourly_credits else {
        all(desk, &view)?;
        mv.recent.credited.add(now, desk.granted());
        return Ok(());
    };
    let before = desk.clone();
    all(desk, &view)?;
    let spent = mv.recent.credited.sum(now);
    let room = micro(ceiling).saturating_sub(spent);
    // What is given again after a reorg took it is not held up by a pause, nor by this.
    if desk.granted() > room && !view.is_paused() {
        let (fitting, beyond) = fitting(&before, &mut view, room)?;
        *desk = fitting;
        let why = why(spent.saturating_add(desk.granted()), beyond, ceiling);
        desk.tell_chain(EventKind::ChainPaused, &view.chain, vec![("why", why.clone())]);
        mv.paused = Some(why);
    }
    mv.recent.credited.add(now, desk.granted());
    Ok(())
}

/// The desk with everything settled that is settled in the chain's order before `room` is
/// overshot; and what the first that overshoots would have credited.
fn fitting(before: &Desk, view: &mut View<'_>, room: u64) -> Result<(Desk, u64), PlanError> {
    let places = before.places(view);
    // Each place may credit more than the ones before it, never less.
    let (mut fits, mut beyond) = (0usize, places.len());
    let mut best = None;
    let mut over = u64::MAX;
    while fits <= beyond {
        let middle = fits.midpoint(beyond);
        view.settle_below(places.get(middle).copied());
        let mut desk = before.clone();
        all(&mut desk, view)?;
        if desk.granted() > room {
            over = desk.granted();
            let Some(below) = middle.checked_sub(1) else { break };
            beyond = below;
        } else {
            fits = middle.saturating_add(1);
            best = Some(desk);
        }
    }
    let desk = match best {
        Some(desk) => desk,
        // What expires would be too much by itself.
        None => {
            view.pause();
            let mut desk = before.clone();
            all(&mut desk, view)?;
            desk
        }
    };
    let beyond = over.saturating_sub(desk.granted());
    Ok((desk, beyond))
}

fn all(desk: &mut Desk, view: &View<'_>) -> Result<(), PlanError> {
    desk.each(|work| work.settle(view))?;
    desk.loose.settle(view);
    Ok(())
}

/// Whether `amount` more may be credited at `now`.
pub(crate) fn admits(mv: &CursorMove, ceiling: Option<Usdt>, amount: u64, now: Time) -> bool {
    let spent = mv.recent.credited.sum(now);
    ceiling.is_none_or(|ceiling| spent.saturating_add(amount) <= micro(ceiling))
}

fn micro(amount: Usdt) -> u64 {
    u64::try_from(amount.micro()).unwrap_or(0)
}

fn why(credited: u64, beyond: u64, ceiling: Usdt) -> String {
    let text = |micro: u64| {
        let micro = i64::try_from(micro).ok().and_then(Usdt::from_micro);
        micro.unwrap_or(Usdt::MAX).to_string()
    };
    let mut why = format!(
        "hourly credit ceiling: {} USDT were credited within the last hour, {} more would exceed \
         {ceiling}",
        text(credited),
        text(beyond),
    );
    if beyond > micro(ceiling) {
        why.push_str(" by itself; only a higher hourly_credit_ceiling lets it pass");
    }
    why
}
