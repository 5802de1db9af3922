//! One endpoint: its places, its limits, its health.
//!
//! In: typed questions. Out: answers, or a classified refusal. Never: a request without a
//! deadline, past its rate, past its day's budget, or while it asked for silence.
//! Why: requests during a suspension are refused too and prolong it, and which endpoint failed,
//! and how, must be known where the failure is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use endpoint::{Bucket, Conduct, Fault, Quota, Rest};
use payments::chain::{BlockHash, Header, TxHash};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::config::{EndpointConfig, Key, Place};
use crate::decode::{self, Block};
use crate::refusal::{Class, Refusal};
use crate::wire::{Question, Wire};

/// `getblockbylimitnext` answers no more (java-tron's BLOCK_LIMIT_NUM).
const BLOCKS_LIMIT: u64 = 100;

/// One endpoint.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) full: Place,
    pub(crate) solidity: Place,
    pub(crate) index: Option<Place>,
    wire: Wire,
    bucket: Bucket,
    pub(crate) quota: Quota,
    /// The requests under way, over all endpoints.
    gate: Arc<Semaphore>,
    deadline: Duration,
    rest: Rest,
    requests: AtomicU64,
    /// The most blocks one request asks for; 0 where it answers only one at a time.
    blocks_at_once: AtomicU64,
    /// Its two sides were seen not to answer `getblock`: whole blocks are asked for where a header
    /// would do.
    whole_only: (AtomicBool, AtomicBool),
    state: Mutex<State>,
}

/// What is known of an endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Its genesis, token and solidity were checked.
    pub(crate) verified: bool,
    pub(crate) conduct: Conduct,
    pub(crate) tip: Option<u64>,
    pub(crate) solidified: Option<u64>,
    pub(crate) latency: Option<Duration>,
}

/// Which of an endpoint's two nodes is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The full node: everything it has seen.
    Full,
    /// The solidity node: what can no longer change.
    Solidity,
}

impl Node {
    pub(crate) fn new(
        config: &EndpointConfig,
        (deadline, window): (Duration, u64),
        gate: Arc<Semaphore>,
        rest: Rest,
    ) -> Result<Self, Fault> {
        Ok(Self {
            name: config.name.clone(),
            full: config.full.clone(),
            solidity: config.solidity.clone(),
            index: config.index.clone(),
            wire: Wire::new(deadline)?,
            bucket: Bucket::new(config.requests_per_second, config.burst),
            quota: Quota::new(config.requests_per_day),
            gate,
            deadline,
            rest,
            requests: AtomicU64::new(0),
            blocks_at_once: AtomicU64::new(window.clamp(1, BLOCKS_LIMIT)),
            whole_only: (AtomicBool::new(false), AtomicBool::new(false)),
            state: Mutex::default(),
        })
    }

    /// Whether both are ways to one server, such as two keys of one provider: it agrees with
    /// itself whatever it says.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        self.full.location.is_same_server(&other.full.location)
    }

    /// Whether both say the same of what is solidified, whatever it is: one server, or two full
    /// nodes beside one solidity node.
    pub(crate) fn has_the_voice_of(&self, other: &Self) -> bool {
        self.is_same_server(other)
            || self.solidity.location.is_same_server(&other.solidity.location)
    }

    /// The header of its newest block, or of its newest solidified one.
    pub(crate) async fn newest(&self, side: Side) -> Result<Header, Refusal> {
        let body = self.head_or_block(side, json!({"detail": false}), "getnowblock", json!({}));
        let head = decode::head(&body.await?)?;
        head.ok_or_else(|| Refusal::behind("it has no newest block"))
    }

    /// The header at `height`; none above its tip.
    pub(crate) async fn header(&self, height: u64) -> Result<Option<Header>, Refusal> {
        let Some(body) = self.at(height).await? else { return Ok(None) };
        let head = decode::head(&body)?;
        if head.is_some_and(|head| head.id.height != height) {
            return Err(Refusal::lie(format!("asked for height {height}, got another")));
        }
        Ok(head)
    }

    /// The id of block 0, as it tells it.
    pub(crate) async fn genesis(&self) -> Result<BlockHash, Refusal> {
        let body = self.at(0).await?;
        let id = body.map(|body| decode::claimed_id(&body)).transpose()?.flatten();
        id.ok_or_else(|| Refusal::behind("it does not have block 0"))
    }

    async fn at(&self, height: u64) -> Result<Option<Bytes>, Refusal> {
        let head = json!({"id_or_num": height.to_string(), "detail": false});
        let block = json!({"num": height});
        let body = self.head_or_block(Side::Full, head, "getblockbynum", block).await?;
        Ok(decode::is_there(&body)?.then_some(body))
    }

    /// A header where it answers that (java-tron since 4.5), and the whole block by another method
    /// where it does not.
    async fn head_or_block(
        &self,
        side: Side,
        head: Value,
        method: &str,
        block: Value,
    ) -> Result<Bytes, Refusal> {
        let whole_only = match side {
            Side::Full => &self.whole_only.0,
            Side::Solidity => &self.whole_only.1,
        };
        if !whole_only.load(Ordering::Relaxed) {
            match self.post(side, "getblock", &head).await {
                Err(Refusal { class: Class::Unsupported, .. }) => {}
                answer => return answer,
            }
        }
        let body = self.post(side, method, &block).await?;
        // Only now is it known that the place is right and the method is what is missing.
        whole_only.store(true, Ordering::Relaxed);
        Ok(body)
    }

    /// The block with this id; none where the node does not have it.
    pub(crate) async fn block_by_id(&self, id: BlockHash) -> Result<Option<Block>, Refusal> {
        let body = self.post(Side::Full, "getblockbyid", &json!({"value": id.bare()})).await?;
        Ok(decode::block(&body)?)
    }

    /// The blocks from `from` to `to` by height; fewer where its chain ends earlier. They are not
    /// yet known to follow from each other.
    pub(crate) async fn blocks(&self, from: u64, to: u64) -> Result<Vec<Block>, Refusal> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut next = from;
        while next <= to {
            let left = to.saturating_sub(next).saturating_add(1);
            let count = self.blocks_at_once.load(Ordering::Relaxed).min(left);
            let part = if count > 1 {
                match self.several(next, count).await {
                    Ok(part) => part,
                    Err(refusal) => {
                        self.fewer(count, refusal)?;
                        continue;
                    }
                }
            } else {
                let body = self.post(Side::Full, "getblockbynum", &json!({"num": next})).await?;
                decode::block(&body)?.into_iter().collect()
            };
            if part.is_empty() {
                break;
            }
            for block in part {
                if block.header.id.height != next {
                    return Err(Refusal::lie(format!("asked for height {next}, got another")));
                }
                next = next.saturating_add(1);
                blocks.push(block);
            }
        }
        Ok(blocks)
    }

    async fn several(&self, from: u64, count: u64) -> Result<Vec<Block>, Refusal> {
        let question = json!({"startNum": from, "endNum": from.saturating_add(count)});
        let body = self.post(Side::Full, "getblockbylimitnext", &question).await?;
        let blocks = decode::blocks(&body)?;
        if usize::try_from(count).is_ok_and(|count| blocks.len() > count) {
            let given = blocks.len();
            return Err(Refusal::lie(format!("asked for {count} blocks, got {given}")));
        }
        Ok(blocks)
    }

    /// Asks for fewer blocks from here on; passes on what that does not help against.
    fn fewer(&self, count: u64, refusal: Refusal) -> Result<(), Refusal> {
        match refusal.class {
            Class::Large => self.blocks_at_once.store(count >> 1, Ordering::Relaxed),
            Class::Unsupported => self.blocks_at_once.store(0, Ordering::Relaxed),
            Class::Timeout => {
                self.blocks_at_once.store(count >> 1, Ordering::Relaxed);
                return Err(refusal);
            }
            _ => return Err(refusal),
        }
        Ok(())
    }

    /// The transaction infos of a height, as they came.
    pub(crate) async fn infos(&self, height: u64) -> Result<Bytes, Refusal> {
        self.post(Side::Full, "gettransactioninfobyblocknum", &json!({"num": height})).await
    }

    /// The height of a transaction that is in a block; none where it is not known.
    pub(crate) async fn height_of(&self, side: Side, tx: TxHash) -> Result<Option<u64>, Refusal> {
        let question = json!({"value": tx.bare()});
        let body = self.post(side, "gettransactioninfobyid", &question).await?;
        match decode::info(&body)? {
            Some((found, _)) if found != tx => {
                Err(Refusal::lie("asked for one transaction, got another"))
            }
            found => Ok(found.map(|(_, height)| height)),
        }
    }

    /// One POST to a method of one side.
    pub(crate) async fn post(
        &self,
        side: Side,
        method: &str,
        question: &Value,
    ) -> Result<Bytes, Refusal> {
        let (place, prefix) = match side {
            Side::Full => (&self.full, "wallet"),
            Side::Solidity => (&self.solidity, "walletsolidity"),
        };
        self.ask(place, &format!("/{prefix}/{method}"), Question::Post(question)).await
    }

    /// One request to one of its places, when it may go.
    pub(crate) async fn ask(
        &self,
        place: &Place,
        path: &str,
        question: Question<'_>,
    ) -> Result<Bytes, Refusal> {
        self.bucket.take(1).await;
        // The gate is never closed.
        let permit = self.gate.acquire().await;
        if let Some(left) = self.state().conduct.silent_for() {
            return Err(Refusal::new(Class::Rate { after: Some(left) }, "it asked for silence"));
        }
        if let Err(left) = self.quota.take() {
            let why = "its budget of requests for 24 hours is spent";
            self.state().conduct.throttled(why, left);
            return Err(Refusal::new(Class::Rate { after: Some(left) }, why));
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        let answer = timeout(self.deadline, self.wire.ask(place, path, question)).await;
        drop(permit);
        let mut refusal = match answer {
            Ok(Ok(body)) => {
                self.state().latency = Some(asked.elapsed());
                return Ok(body);
            }
            Ok(Err(refusal)) => refusal,
            Err(_) => {
                let why = format!("no answer within {} ms", self.deadline.as_millis());
                Refusal::new(Class::Timeout, why)
            }
        };
        refusal.why = self.hidden(&refusal.why);
        if let Class::Rate { after } = refusal.class {
            let silence = after.unwrap_or_else(|| (self.rest)(1));
            self.state().conduct.throttled(&refusal.why, silence);
        }
        Err(refusal)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How long it still rests.
    pub(crate) fn rests_for(&self) -> Option<Duration> {
        self.state().conduct.rests_for()
    }

    /// An answer passed its checks.
    pub(crate) fn answered(&self) {
        self.state().conduct.answered();
    }

    /// What a refusal costs it: how many failures in a row, and the rest; nothing where asking
    /// another time or another endpoint is enough.
    pub(crate) fn strike(&self, refusal: &Refusal) -> Option<(u32, Duration)> {
        let why = self.hidden(&refusal.why);
        let mut state = self.state();
        match refusal.class {
            Class::Down | Class::Lie | Class::Timeout => {}
            // Its silence was kept when it asked for it.
            Class::Rate { .. } => return None,
            Class::Behind | Class::Unsupported | Class::Large | Class::Caller => {
                state.conduct.noted(&why);
                return None;
            }
        }
        let failures = state.conduct.failed(&why);
        let rest = (self.rest)(failures);
        state.conduct.rest(rest);
        Some((failures, rest))
    }

    /// What it said, without the secrets it may repeat: a reader of JSON shows what it could not
    /// read, and providers show the key they refuse.
    pub(crate) fn hidden(&self, said: &str) -> String {
        let places = [Some(&self.full), Some(&self.solidity), self.index.as_ref()];
        places.into_iter().flatten().fold(said.to_owned(), |said, place| {
            let said = place.location.hide_in(&said);
            match place.key.as_ref().map(Key::secret).filter(|key| !key.is_empty()) {
                Some(key) => said.replace(key, "…"),
                None => said,
            }
        })
    }
}
