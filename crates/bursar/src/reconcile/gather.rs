//! The chain's side, read by a path of its own.
//!
//! In: one chain's nodes, where the books stop. Out: transfers, balances, what could not be had.
//! Never: a height from the daemon's cursor believed; a gap passed over; a wait without an end.
//! Why: whatever is missing here is said, and then nothing is called clean.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use payments::address::{Address, Spelling};
use payments::chain::{BlockHash, Cursor, Header, Transfer, TxHash};
use payments::name::ChainName;
use payments::notice::{Notice, What};
use payments::reconcile::{Disagreement, Gap, Seen, TokenEvent};
use payments::watch::WatchSet;
use ruint::aliases::U256;
use store::Store;

use super::evidence::{Held, Pin, Stretch, read_held, write_held};
use crate::error::Error;
use crate::node::Node;
use crate::retry::Retry;

/// Blocks of a piece of evidence.
const PIECE: u64 = 1_000;
/// Pieces, or batches of balances, under way at once.
const IN_FLIGHT: usize = 4;
/// Accounts of a piece of balances.
const ACCOUNTS: usize = 200;
/// How often a question is asked that gets no answer.
const ATTEMPTS: u32 = 4;
/// How far below the newest final block the books may end, by the chain's time.
const BEHIND: Duration = Duration::from_secs(3_600);
/// How often a balance is asked for again that moved while it was told.
const MOVED: u32 = 5;

/// Where evidence is kept, so that a run can be resumed; nowhere where nothing is remembered.
#[derive(Clone)]
pub(super) struct Keep {
    pub(super) store: Store,
    pub(super) run: Option<u64>,
}

impl Keep {
    pub(super) async fn known(&self, chain: &str) -> Result<BTreeMap<String, String>, Error> {
        match self.run {
            Some(run) => Ok(self.store.evidence(run, chain).await?),
            None => Ok(BTreeMap::new()),
        }
    }

    async fn put(&self, chain: &str, piece: &str, body: &str) -> Result<(), Error> {
        if let Some(run) = self.run {
            self.store.keep_evidence(run, chain, piece, body).await?;
        }
        Ok(())
    }
}

/// One chain being read.
pub(super) struct Gather<'a> {
    pub(super) name: &'a ChainName,
    /// The endpoints, each alone: the first tells, the others confirm.
    pub(super) nodes: Vec<(String, Node)>,
    pub(super) watched: Arc<WatchSet>,
    pub(super) keep: Keep,
    pub(super) cursor: Cursor,
    /// Whether a balance can be asked for as it was after one block.
    pub(super) pinned_balances: bool,
    /// The token whose balances are compared.
    pub(super) token: Address,
    /// How addresses are spelled there.
    pub(super) spelling: Spelling,
    pub(super) progress: &'a (dyn Fn(&str) + Sync),
}

/// What one endpoint shows of the blocks, and the stretches of them that it could not.
#[derive(Default)]
struct Shown {
    transfers: Vec<Transfer>,
    notices: Vec<Notice>,
    unread: Vec<(u64, u64)>,
}

/// The last height wanted, and the first.
pub(super) struct Bounds {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    /// Whether everything that is final now is meant.
    pub(super) newest: bool,
}

impl Gather<'_> {
    /// Everything there is to know of the chain's side, up to a block that is final on both.
    pub(super) async fn all(
        &self,
        bounds: &Bounds,
        holders: &[Address],
    ) -> Result<Result<Seen, String>, Error> {
        let known = self.keep.known(self.name.as_str()).await?;
        let (pin, behind) = match self.pinned(bounds, &known).await? {
            Ok(pinned) => pinned,
            Err(why) => return Ok(Err(why)),
        };
        let mut seen = Seen::new(pin.from, pin.block, pin.time);
        seen.tip = pin.tip;
        if let Some(why) = self.cursor.stalled.as_ref().filter(|_| bounds.newest) {
            // Nodes that stand still agree with books that stand with them.
            seen.gaps.push(Gap { subject: "stalled".to_owned(), why: why.clone() });
        }
        if let Some(why) = behind.filter(|_| bounds.newest) {
            seen.gaps.push(Gap { subject: "books".to_owned(), why });
        }
        for (number, (endpoint, node)) in self.nodes.iter().enumerate() {
            let Shown { transfers, notices, unread } =
                self.blocks(&mut seen, number, endpoint, node, pin, &known).await?;
            // What either of them shows of the issuer is worth a look.
            for event in notices.iter().filter_map(admin) {
                if !seen.token_events.contains(&event) {
                    seen.token_events.push(event);
                }
            }
            if number == 0 {
                (seen.transfers, seen.unread) = (transfers, unread);
            } else {
                let name = &self.nodes.first().map(|(name, _)| name.clone()).unwrap_or_default();
                let spell = |address: Address| address.spell(self.spelling);
                compare(&mut seen, (name, endpoint), (&transfers, &unread), spell);
            }
        }
        for transfer in &seen.transfers {
            let ends = [transfer.from, transfer.to].into_iter();
            seen.ours.extend(ends.filter(|end| self.watched.contains(end)));
        }
        let holders: BTreeSet<Address> = holders.iter().chain(&seen.ours).copied().collect();
        let holders: Vec<Address> = holders.into_iter().collect();
        for (number, (endpoint, node)) in self.nodes.iter().enumerate() {
            self.balances(&mut seen, number, endpoint, node, &holders, &known).await?;
        }
        self.still_pinned(&mut seen).await;
        Ok(Ok(seen))
    }

    /// The block to stop at, and why it is too far below what is final now, where it is; of a run
    /// that goes on, the same as before.
    async fn pinned(
        &self,
        bounds: &Bounds,
        known: &BTreeMap<String, String>,
    ) -> Result<Result<(Pin, Option<String>), String>, Error> {
        if let Some(pin) = known.get("pin").and_then(|text| Pin::read(text)) {
            return Ok(Ok((pin, known.get("behind").cloned())));
        }
        let (pin, behind) = match self.pin(bounds).await {
            Ok(pinned) => pinned,
            Err(why) => return Ok(Err(why)),
        };
        // Before the pin, without which it is asked for again.
        if let Some(why) = &behind {
            self.keep.put(self.name.as_str(), "behind", why).await?;
        }
        self.keep.put(self.name.as_str(), "pin", &pin.write()).await?;
        Ok(Ok((pin, behind)))
    }

    /// The block to stop at: final for every endpoint and for the books, and the same in all.
    /// Beside it, why the books are too far behind: any endpoint may be the one that stands still,
    /// and none can make up a later final block that would make a run pass.
    async fn pin(&self, bounds: &Bounds) -> Result<(Pin, Option<String>), String> {
        let books = self.cursor.finalized.ok_or("the books have no final block yet")?;
        let height = bounds.to.map_or(books.height, |to| to.min(books.height));
        let (mut pin, mut behind) = (None::<Pin>, None);
        for (endpoint, node) in &self.nodes {
            let newest = self.again(|| node.newest_final()).await;
            let newest = newest.map_err(|why| format!("{endpoint}: {why}"))?;
            let (newest, tip) = newest.ok_or_else(|| format!("{endpoint}: nothing is final"))?;
            if newest.id.height < height {
                let at = newest.id.height;
                let why = "lags: the books know a final block above its own";
                return Err(format!("{endpoint} {why}, {height} above {at}"));
            }
            let header = self.again(|| node.header(height)).await;
            let header = header.map_err(|why| format!("{endpoint}: {why}"))?;
            let header = header.ok_or_else(|| format!("{endpoint} has no block {height}"))?;
            let recorded = match self.cursor.at(height) {
                Some(kept) => Some(kept.id.hash),
                None => (books.height == height).then_some(books.hash),
            };
            if let Some(recorded) = recorded.filter(|hash| *hash != header.id.hash) {
                let found = header.id.hash;
                return Err(format!(
                    "{endpoint} has {found} at the final height {height}, the books {recorded}"
                ));
            }
            behind = behind.or_else(|| far_below(self.name, endpoint, &newest, &header));
            match pin {
                Some(first) if first.block != header.id => {
                    return Err(format!(
                        "the endpoints have two blocks at the final height {height}"
                    ));
                }
                Some(_) => {}
                None => {
                    let (block, time) = (header.id, header.time);
                    let from = bounds.from.max(1).min(height.max(1));
                    pin = Some(Pin { from, block, time, tip });
                }
            }
        }
        let pin = pin.ok_or_else(|| "no endpoint is configured".to_owned())?;
        Ok((pin, behind))
    }

    /// The block is still the chain's after everything was read.
    async fn still_pinned(&self, seen: &mut Seen) {
        for (endpoint, node) in &self.nodes {
            let why = match self.again(|| node.header(seen.cut.height)).await {
                Ok(Some(header)) if header.id == seen.cut => continue,
                Ok(_) => "the block at the cut-off is another one now".to_owned(),
                Err(why) => why,
            };
            seen.gaps.push(Gap { subject: format!("pin:{endpoint}"), why });
        }
    }

    /// All transfers of ours, and what the token's issuer did, as one endpoint tells them, piece by
    /// piece, each linked to the next.
    async fn blocks(
        &self,
        seen: &mut Seen,
        number: usize,
        endpoint: &str,
        node: &Node,
        pin: Pin,
        known: &BTreeMap<String, String>,
    ) -> Result<Shown, Error> {
        let mut pieces = Vec::new();
        let mut from = pin.from;
        while from <= pin.block.height {
            let to = from.saturating_add(PIECE.saturating_sub(1)).min(pin.block.height);
            pieces.push((from, to));
            from = to.saturating_add(1);
        }
        let all = pieces.len();
        let read = pieces.into_iter().map(|(from, to)| async move {
            let piece = format!("blocks:{number}:{from}-{to}");
            if let Some(stretch) = known.get(&piece).and_then(|text| Stretch::read(text)) {
                return Ok::<_, Error>((from, to, Ok(stretch)));
            }
            let stretch = self.again(|| self.piece(node, from, to)).await;
            if let Ok(stretch) = &stretch {
                self.keep.put(self.name.as_str(), &piece, &stretch.write()).await?;
            }
            Ok((from, to, stretch))
        });
        let mut read = stream::iter(read).buffered(IN_FLIGHT);
        let (mut below, mut done) = (None::<BlockHash>, 0usize);
        let mut shown = Shown::default();
        while let Some(piece) = read.next().await {
            let (from, to, stretch) = piece?;
            done = done.saturating_add(1);
            (self.progress)(&format!("{} {endpoint}: blocks, {done} of {all}", self.name));
            let subject = format!("blocks:{from}-{to}");
            match stretch {
                Ok(stretch) => {
                    let linked =
                        below.is_none() || stretch.below.is_none() || stretch.below == below;
                    if !linked {
                        let why = format!("{endpoint}: they do not follow from the ones below");
                        seen.gaps.push(Gap { subject, why });
                    }
                    below = Some(stretch.last);
                    shown.transfers.extend(stretch.transfers);
                    shown.notices.extend(stretch.notices);
                }
                Err(why) => {
                    below = None;
                    shown.unread.push((from, to));
                    seen.gaps.push(Gap { subject, why: format!("{endpoint}: {why}") });
                }
            }
        }
        if below.is_some_and(|last| last != pin.block.hash) {
            let why = format!("{endpoint}: they do not lead to the cut-off block");
            seen.gaps.push(Gap { subject: "blocks".to_owned(), why });
        }
        Ok(shown)
    }

    /// One piece, window by window.
    async fn piece(
        &self,
        node: &Node,
        from: u64,
        to: u64,
    ) -> Result<Stretch, crate::node::NodeError> {
        let (mut at, mut below, mut last) = (from, None, None::<BlockHash>);
        let (mut transfers, mut notices) = (Vec::new(), Vec::new());
        while at <= to {
            let scan = node.rescan(at, to, &self.watched).await?;
            let Some(top) = scan.blocks.last() else { break };
            let base = scan.base.map(|base| base.hash);
            if at == from {
                below = base;
            } else if base.is_some() && base != last {
                return Err(node.unread(at, "it does not follow from the block below"));
            }
            at = top.id.height.saturating_add(1);
            last = Some(top.id.hash);
            transfers.extend(scan.transfers);
            notices.extend(scan.notices);
        }
        Ok(Stretch { below, last: last.unwrap_or(BlockHash([0; 32])), transfers, notices })
    }

    /// What each address held at the cut-off, as one endpoint tells it.
    async fn balances(
        &self,
        seen: &mut Seen,
        number: usize,
        endpoint: &str,
        node: &Node,
        holders: &[Address],
        known: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let cut = seen.cut;
        let all = holders.len();
        let asked = holders.chunks(ACCOUNTS).enumerate().map(|(part, accounts)| async move {
            let piece = format!("balances:{number}:{part}");
            let held = known.get(&piece).and_then(|text| read_held(text));
            // What was found since may have put other accounts into this part.
            let same = |held: &Held| held.iter().map(|(address, _)| address).eq(accounts);
            if let Some(held) = held.filter(same) {
                return Ok::<_, Error>(Ok(held));
            }
            let held = self.again(|| node.balances(accounts, cut)).await;
            let held = held.map(|held| accounts.iter().copied().zip(held).collect::<Held>());
            if let Ok(held) = &held {
                self.keep.put(self.name.as_str(), &piece, &write_held(held)).await?;
            }
            Ok(held)
        });
        let mut asked = stream::iter(asked).buffered(IN_FLIGHT);
        let mut held = Held::new();
        while let Some(part) = asked.next().await {
            match part? {
                Ok(part) => held.extend(part),
                Err(why) => {
                    let why = format!("{endpoint}: {why}");
                    seen.gaps.push(Gap { subject: format!("balances:{endpoint}"), why });
                    break;
                }
            }
            (self.progress)(&format!(
                "{} {endpoint}: balances, {} of {all}",
                self.name,
                held.len()
            ));
        }
        drop(asked);
        let held = if self.pinned_balances {
            held.into_iter().map(|(address, at)| (address, at.raw)).collect()
        } else {
            self.brought_back(seen, endpoint, node, held).await
        };
        for (address, raw) in held {
            match seen.balances.get(&address) {
                None => {
                    seen.balances.insert(address, raw);
                }
                Some(first) if *first != raw => {
                    let what =
                        format!("one endpoint tells a balance of {first}, {endpoint} of {raw}");
                    let subject = format!("balance:{}", address.spell(self.spelling));
                    seen.disagreements.push(Disagreement { subject, what });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Balances told after a later block, brought back to the cut-off by the transfers in between.
    /// One that moved while it was told is asked for again.
    async fn brought_back(
        &self,
        seen: &mut Seen,
        endpoint: &str,
        node: &Node,
        held: Held,
    ) -> Vec<(Address, U256)> {
        let subject = || format!("balances:{endpoint}");
        let mut later: Vec<Transfer> = Vec::new();
        let mut read = seen.cut.height;
        let mut done = Vec::with_capacity(held.len());
        for (address, mut at) in held {
            let (mut attempt, mut retry) = (0, Retry::default());
            let raw = loop {
                if at.to > read {
                    match self.again(|| self.piece(node, read.saturating_add(1), at.to)).await {
                        Ok(stretch) => later.extend(moved(stretch, self.token)),
                        Err(why) => break Err(why),
                    }
                    read = at.to;
                }
                match back(&later, address, at, seen.cut.height) {
                    Some(raw) => break Ok(raw),
                    None if attempt >= MOVED => {
                        let (address, cut) = (address.spell(self.spelling), seen.cut.height);
                        break Err(match at.from < cut {
                            true => format!("it is behind block {cut}, at {}", at.from),
                            false => format!("{address} moves all the time"),
                        });
                    }
                    None => attempt = attempt.saturating_add(1),
                }
                if at.from < seen.cut.height && attempt > 1 {
                    // Another server behind the same name is a block behind.
                    tokio::time::sleep(retry.next_wait()).await;
                }
                match self.again(|| node.balances(std::slice::from_ref(&address), seen.cut)).await {
                    Ok(again) => at = again.first().copied().unwrap_or(at),
                    Err(why) => break Err(why),
                }
            };
            match raw {
                Ok(raw) => done.push((address, raw)),
                Err(why) => {
                    seen.gaps.push(Gap { subject: subject(), why: format!("{endpoint}: {why}") });
                    break;
                }
            }
        }
        done
    }

    /// What the chain knows of single transactions; what it does not answer is left out.
    pub(super) async fn outcomes(&self, seen: &mut Seen, suspects: &[TxHash]) {
        let Some((endpoint, node)) = self.nodes.first() else { return };
        for tx in suspects {
            match self.again(|| node.transaction(*tx)).await {
                Ok(outcome) => {
                    seen.outcomes.insert(*tx, outcome);
                }
                Err(why) => {
                    let subject = format!("transaction:{tx}");
                    seen.gaps.push(Gap { subject, why: format!("{endpoint}: {why}") });
                }
            }
        }
    }

    /// Asks again where there is no answer, for a while.
    async fn again<T, F>(&self, question: impl Fn() -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, crate::node::NodeError>>,
    {
        let mut retry = Retry::default();
        let mut attempt = 1u32;
        loop {
            match question().await {
                Ok(answer) => return Ok(answer),
                Err(error) if attempt >= ATTEMPTS => {
                    return Err(Error::chain(self.name, error).line());
                }
                Err(_) => attempt = attempt.saturating_add(1),
            }
            tokio::time::sleep(retry.next_wait()).await;
        }
    }
}

/// Why books that end at `end` are too far behind what an endpoint calls final.
fn far_below(chain: &ChainName, endpoint: &str, newest: &Header, end: &Header) -> Option<String> {
    let behind = newest.time.since(end.time);
    let (minutes, end, newest) = (behind.as_secs().div_euclid(60), end.id.height, newest.id.height);
    (behind > BEHIND).then(|| {
        format!(
            "they end at height {end}, {minutes} minutes below the newest final block of \
             {endpoint}, {newest}: does the daemon run? `bursar status` says how far it is; \
             --chain {chain} --to {end} compares what they have"
        )
    })
}

/// What the token's owner did, where it is more than taking back what was done before.
fn admin(notice: &Notice) -> Option<TokenEvent> {
    let taken = match notice.what {
        What::Unpaused | What::Released(_) | What::Fee { points: 0, .. } => return None,
        What::Destroyed { raw, .. } => raw,
        What::Paused | What::Deprecated(_) | What::Fee { .. } | What::Blacklisted(_) => U256::ZERO,
    };
    Some(TokenEvent {
        tx: notice.tx,
        n: notice.n,
        log_index: notice.log_index,
        block: notice.block,
        time: notice.time,
        what: notice.what.word().to_owned(),
        address: notice.what.account(),
        taken,
    })
}

/// What a stretch moved of `token`: its transfers, and what was destroyed in it where no transfer
/// says so.
fn moved(stretch: Stretch, token: Address) -> Vec<Transfer> {
    let Stretch { mut transfers, notices, .. } = stretch;
    transfers.retain(|transfer| transfer.token == token);
    for notice in notices {
        let What::Destroyed { from, raw } = notice.what else { continue };
        let burnt = |t: &Transfer| notice.is_burnt_by(t.tx, [t.from, t.to], t.raw);
        if !transfers.iter().any(burnt) {
            let Notice { tx, n, log_index, block, time, .. } = notice;
            let to = Address::NOBODY;
            transfers.push(Transfer { tx, n, log_index, block, time, token, from, to, raw });
        }
    }
    transfers
}

/// The balance at `cut` of an address that held `at` later; none where it moved while it was told,
/// or may be that of an earlier block.
fn back(later: &[Transfer], address: Address, at: trc20::Balance, cut: u64) -> Option<U256> {
    if at.from < cut {
        return None;
    }
    let mut raw = at.raw;
    for transfer in later.iter().filter(|transfer| transfer.block.height > cut) {
        let (came, went) = (transfer.to == address, transfer.from == address);
        let height = transfer.block.height;
        if came == went || height > at.to {
            continue;
        }
        if height > at.from {
            return None;
        }
        raw = if came { raw.checked_sub(transfer.raw)? } else { raw.checked_add(transfer.raw)? };
    }
    Some(raw)
}

/// What two endpoints tell of the same blocks: of those that both could read.
fn compare(
    seen: &mut Seen,
    (one, other): (&str, &str),
    (told, unread): (&[Transfer], &[(u64, u64)]),
    spell: impl Fn(Address) -> String,
) {
    let missed: Vec<(u64, u64)> = seen.unread.iter().chain(unread).copied().collect();
    let is_read =
        |t: &&Transfer| !missed.iter().any(|(from, to)| (*from..=*to).contains(&t.block.height));
    let place = |t: &Transfer| (t.tx, t.n, t.token, t.block, t.to, t.from, t.raw);
    let first: BTreeSet<_> = seen.transfers.iter().filter(is_read).map(place).collect();
    let second: BTreeSet<_> = told.iter().filter(is_read).map(place).collect();
    for (only, by) in [(first.difference(&second), one), (second.difference(&first), other)] {
        for (tx, n, _, block, to, ..) in only {
            let (to, height) = (spell(*to), block.height);
            let what = format!("only {by} has the transfer to {to} in block {height}");
            let subject = format!("transfer:{tx}:{n}:{by}");
            seen.disagreements.push(Disagreement { subject, what });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server behind the same name may be a block behind the one that was asked for the cut-off.
    #[test]
    fn a_balance_that_may_be_of_an_earlier_block_is_none() {
        let whose = Address([7; 20]);
        let told = |from| trc20::Balance { raw: U256::from(5), from, to: 12 };
        assert_eq!(back(&[], whose, told(9), 10), None);
        assert_eq!(back(&[], whose, told(10), 10), Some(U256::from(5)));
    }
}
