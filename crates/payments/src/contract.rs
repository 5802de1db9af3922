//! What a token's contract answers when it is asked how things stand.
//!
//! In: its answers as of one final block, and what the books know. Out: what they do not know, as
//! notices. Never: an answer that it does not give taken for a no; a notice where both agree.
//! Why: the logs tell what its issuer does while somebody reads them; what was done before the
//! first block of the books no log will tell again.

use std::collections::BTreeMap;

use ruint::aliases::U256;

use crate::address::Address;
use crate::chain::{BlockId, ConnectError, Cursor, TxHash};
use crate::changes::{ChainRules, Changes, CursorMove, Snapshot};
use crate::desk::Desk;
use crate::name::ChainName;
use crate::notice::{Noted, Notice, Standing, What};
use crate::plan::PlanError;
use crate::time::Time;

/// Behind all logs of its block.
const LAST: u64 = 4_294_967_295;

/// What a contract answers. It need not have a method for everything: what it does not answer is
/// unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The final block after which it is so, or at some final block above it.
    pub block: BlockId,
    /// That block's time.
    pub time: Time,
    /// Whether nothing can be transferred.
    pub paused: Option<bool>,
    /// Whether another contract goes on in its place, and which.
    pub deprecated: Option<Option<Address>>,
    /// What it keeps of each transfer: parts of 10,000, and at most so many base units.
    pub fee: Option<(u32, U256)>,
    /// Whether each of the accounts that were asked about is blacklisted.
    pub blacklisted: Option<BTreeMap<Address, bool>>,
}

/// What a word answers to a question for yes or no; nothing where it is neither.
#[must_use]
pub fn truth(word: U256) -> Option<bool> {
    (word <= U256::ONE).then_some(word == U256::ONE)
}

/// The account in a word.
#[must_use]
pub const fn account(word: U256) -> Address {
    let [_, _, _, _, _, _, _, _, _, _, _, _, account @ ..] = word.to_be_bytes::<32>();
    Address(account)
}

/// The fee of a contract that answers for its rate and for its bound.
#[must_use]
pub fn fee(points: Option<U256>, most: Option<U256>) -> Option<(u32, U256)> {
    Some((u32::try_from(points?).unwrap_or(u32::MAX), most?))
}

impl Answers {
    /// All that it says.
    #[must_use]
    pub fn all(&self) -> Vec<What> {
        let paused = self.paused.map(|paused| if paused { What::Paused } else { What::Unpaused });
        let deprecated = self.deprecated.flatten().map(What::Deprecated);
        let fee = self.fee.map(|(points, most)| What::Fee { points, most });
        let accounts = self.blacklisted.iter().flatten();
        let accounts = accounts.map(|(account, blacklisted)| match blacklisted {
            true => What::Blacklisted(*account),
            false => What::Released(*account),
        });
        paused.into_iter().chain(deprecated).chain(fee).chain(accounts).collect()
    }

    /// What it says otherwise than these notices, whatever their order: what they say of later
    /// blocks is left out.
    #[must_use]
    pub fn news(&self, noted: &[Noted]) -> Vec<What> {
        let until = |noted: &&Noted| noted.notice.block.height <= self.block.height;
        let standing = Standing::of(noted.iter().filter(until).cloned().collect());
        self.all().into_iter().filter(|what| !standing.says(what)).collect()
    }
}

/// Records what the contract says and the books do not, as notices of the block it was asked at.
pub(crate) fn asked(
    rules: &ChainRules,
    snapshot: &Snapshot,
    chain: &ChainName,
    answers: &Answers,
    now: Time,
) -> Result<Changes, PlanError> {
    let cursor = snapshot.cursor.clone().unwrap_or_else(|| Cursor::new(chain.clone()));
    let block = answers.block;
    if cursor.at(block.height).is_some_and(|kept| kept.id != block) {
        let try_height = block.height.saturating_sub(1);
        return Err(ConnectError::CannotConnect { try_height }.into());
    }
    let tx = TxHash(block.hash.0);
    let known = snapshot.notices.iter().filter(|noted| noted.notice.tx == tx).count();
    let first = u32::try_from(known).unwrap_or(u32::MAX);
    let notice = |(n, what)| {
        let (n, time) = (first.saturating_add(n), answers.time);
        Notice { tx, n, log_index: LAST, block, time, what }
    };
    let notices: Vec<Notice> = (0..).zip(answers.news(&snapshot.notices)).map(notice).collect();
    if notices.is_empty() {
        return Ok(Changes::default());
    }
    let mut desk = Desk::new(snapshot, now);
    desk.observe_notices(rules, chain, snapshot, &notices, &[])?;
    let mut mv = CursorMove::still(&cursor);
    desk.heed_issuer(&mut mv);
    let mut changes = desk.finish();
    if !changes.is_empty() {
        changes.cursor = Some(mv);
    }
    Ok(changes)
}
