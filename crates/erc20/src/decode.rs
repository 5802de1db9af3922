//! `eth_getLogs` answers, straight from the bytes of the body.
//!
//! In: a body, and the verified blocks its logs may sit in. Out: each Transfer and each notice of
//! the issuer, checked, borrowed from the body until somebody wants it. Never: a log of another
//! contract, event or block, out of order, twice, or taken back; a count that was not earned by
//! reading the log.
//! Why: nothing on the chain binds this answer (see `proof`), so all that can be checked is, and
//! at catch-up speed this is where the time goes.

use std::fmt;

use alloy::primitives::Bloom;
use hashbrown::{HashMap, HashSet};
use payments::address::Address;
use payments::chain::{BlockHash, Header, Transfer, TxHash};
use payments::notice::{Notice, What};
use payments::watch::WatchSet;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::header::first_line;
use crate::hex;
use crate::notice;
use crate::token::{TRANSFER_TEXT, Token};

/// A block whose header was verified, with what bounds the logs it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// What is kept of the header.
    pub header: Header,
    /// The root of its receipts.
    pub receipts_root: [u8; 32],
    /// What its bloom says about Transfers of the token.
    pub bloom: BloomSays,
}

/// What a header's bloom says about Transfers of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloomSays {
    /// There is provably none, nor anything else that is asked for.
    None,
    /// There is provably none; another contract may have some, or the token's issuer spoke.
    Others(Bloom),
    /// There may be some; usually there are. It may also say whose.
    Perhaps(Bloom),
    /// Nothing: the header's hash was not recomputed, so its bloom binds nobody.
    Nothing,
}

/// Why a body is not an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is a JSON-RPC error: its `error` member as JSON.
    #[error("the node answered with an error")]
    Refused(String),
    /// The body is not the JSON it should be; truncated, for instance.
    #[error("the answer is not what eth_getLogs answers: {0}")]
    Garbled(String),
    /// The body is well-formed, and cannot be the truth.
    #[error("the answer cannot be true: {0}")]
    Lie(String),
}

impl BloomSays {
    /// The bloom, where it says that there may be anything.
    pub(crate) const fn bloom(&self) -> Option<&Bloom> {
        match self {
            Self::Others(bloom) | Self::Perhaps(bloom) => Some(bloom),
            Self::None | Self::Nothing => None,
        }
    }
}

/// One log that passed every check, borrowed from the body.
#[derive(Debug)]
pub struct Log<'a> {
    /// The place of its block among the blocks given.
    pub at: usize,
    /// The account debited.
    pub from: Address,
    /// The account credited.
    pub to: Address,
    /// Its contract, where that is not the token.
    pub other: Option<Address>,
    /// What the token's issuer says in it; none where it is a Transfer.
    pub notice: Option<What>,
    /// Its place among its contract's Transfer logs, or notices, inside its transaction.
    pub n: u32,
    /// Its place among all logs of the block.
    pub log_index: u64,
    tx: &'a str,
    data: &'a str,
}

/// A log read whole, without what its block already says. A notice moves nothing from anybody to
/// anybody: those fields are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The place of its block among the blocks given.
    pub at: u32,
    /// Its contract, where that is not the token.
    pub other: Option<Address>,
    /// What the token's issuer says in it; none where it is a Transfer.
    pub notice: Option<What>,
    /// Its place among its contract's Transfer logs, or notices, inside its transaction.
    pub n: u32,
    /// Its place among all logs of the block.
    pub log_index: u64,
    /// The account debited.
    pub from: Address,
    /// The account credited.
    pub to: Address,
    /// The transaction, as the node names it: the receipts root does not bind it.
    pub tx: [u8; 32],
    /// The value in base units, big-endian.
    pub raw: [u8; 32],
}

impl Log<'_> {
    /// Reads the rest of the log.
    ///
    /// # Errors
    /// [`DecodeError::Lie`] when the transaction or the value is not hex.
    pub fn row(&self) -> Result<Row, DecodeError> {
        let hex = |text, what: &str| {
            hex::fixed::<32>(text).ok_or_else(|| DecodeError::Lie(format!("its {what} is not hex")))
        };
        Ok(Row {
            at: u32::try_from(self.at).unwrap_or(u32::MAX),
            other: self.other,
            notice: self.notice,
            n: self.n,
            log_index: self.log_index,
            from: self.from,
            to: self.to,
            tx: hex(self.tx, "transaction")?,
            raw: match self.notice {
                None => hex(self.data, "value")?,
                Some(_) => [0; 32],
            },
        })
    }
}

impl Row {
    /// Whether it is a Transfer of the token itself.
    pub(crate) const fn is_of_token(&self) -> bool {
        self.other.is_none() && self.notice.is_none()
    }

    /// The notice, in its block, where it is one.
    #[must_use]
    pub fn said(&self, header: &Header) -> Option<Notice> {
        let (tx, block, time) = (TxHash(self.tx), header.id, header.time);
        let (n, log_index) = (self.n, self.log_index);
        self.notice.map(|what| Notice { tx, n, log_index, block, time, what })
    }

    /// The transfer, in its block and with its token; none where it is a notice.
    #[must_use]
    pub fn transfer(&self, header: &Header, token: Address) -> Option<Transfer> {
        self.notice.is_none().then(|| Transfer {
            tx: TxHash(self.tx),
            n: self.n,
            log_index: self.log_index,
            block: header.id,
            time: header.time,
            token: self.other.unwrap_or(token),
            from: self.from,
            to: self.to,
            raw: alloy::primitives::U256::from_be_bytes(self.raw),
        })
    }
}

/// Reads a body of `eth_getLogs`, checks every log and hands it to `each`. `body` is a whole
/// JSON-RPC answer or its bare result; `blocks` are the contiguous blocks that were asked for.
/// Answers how many Transfers of the token each block had.
///
/// # Errors
/// [`DecodeError`]; what `each` refuses is passed on.
pub fn logs<'b>(
    body: &'b [u8],
    token: &Token,
    blocks: &[Block],
    each: impl FnMut(&Log<'b>) -> Result<(), DecodeError>,
) -> Result<Vec<u32>, DecodeError> {
    let mut checker = Checker::new(token, blocks, each);
    let mut refused = None;
    let mut reader = sonic_rs::Deserializer::from_slice(body);
    let bare = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let read = if bare {
        Logs(&mut checker).deserialize(&mut reader).map(|()| true)
    } else {
        Answer { checker: &mut checker, refused: &mut refused }.deserialize(&mut reader)
    };
    if let Some(found) = checker.found {
        return Err(found);
    }
    if let Some(refused) = refused {
        return Err(DecodeError::Refused(refused));
    }
    match read.and_then(|seen| reader.end().map(|()| seen)) {
        Ok(true) => Ok(checker.counts),
        Ok(false) => Err(DecodeError::Garbled("neither a result nor an error".to_owned())),
        Err(error) => Err(DecodeError::Garbled(first_line(&error))),
    }
}

/// The Transfers of `body` with an address of `watch` at either end, as [`logs`] reads them.
///
/// # Errors
/// As [`logs`].
pub fn matching(
    body: &[u8],
    token: &Token,
    blocks: &[Block],
    watch: &WatchSet,
) -> Result<Vec<Transfer>, DecodeError> {
    let mut found = Vec::new();
    logs(body, token, blocks, |log| {
        let sent = log.other.is_none() && watch.contains(&log.from);
        if (watch.contains(&log.to) || sent)
            && let Some(block) = blocks.get(log.at)
        {
            found.extend(log.row()?.transfer(&block.header, token.address()));
        }
        Ok(())
    })?;
    Ok(found)
}

/// A log as nodes write it. An escaped character does not parse.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    address: &'a str,
    #[serde(borrow)]
    topics: Topics<'a>,
    data: &'a str,
    block_number: &'a str,
    block_hash: &'a str,
    transaction_hash: &'a str,
    transaction_index: &'a str,
    log_index: &'a str,
    #[serde(default)]
    removed: Option<bool>,
}

/// The topics of a log. The Transfer of an ERC-721 has a fourth one, and is none of a sum.
#[derive(Default)]
struct Topics<'a> {
    count: usize,
    first: [&'a str; 3],
}

impl<'a, 'de: 'a> Deserialize<'de> for Topics<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_seq(TopicsVisitor)
    }
}

struct TopicsVisitor;

impl<'de> Visitor<'de> for TopicsVisitor {
    type Value = Topics<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of topics")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Topics<'de>, A::Error> {
        let mut topics = Topics::default();
        while let Some(topic) = list.next_element::<&'de str>()? {
            if let Some(place) = topics.first.get_mut(topics.count) {
                *place = topic;
            }
            topics.count = topics.count.saturating_add(1);
        }
        Ok(topics)
    }
}

/// Holds every log against the one before it and against its block.
struct Checker<'b, 'e, F> {
    token: &'e Token,
    blocks: &'e [Block],
    each: F,
    counts: Vec<u32>,
    found: Option<DecodeError>,
    last: Option<Last<'b>>,
    /// The transactions of the current block that were left behind.
    left: HashSet<&'b str>,
    /// How many Transfers the token has in the current transaction so far, and how many notices.
    placed: u32,
    noticed: u32,
    /// The same of other contracts.
    others: HashMap<Address, u32>,
}

/// The log before this one.
struct Last<'b> {
    at: usize,
    /// Whether it was a Transfer of the token: what its block's bloom says of the next is known.
    is_transfer: bool,
    number: &'b str,
    hash: &'b str,
    tx: &'b str,
    tx_index: u64,
    log_index: u64,
}

impl<'b, 'e, F: FnMut(&Log<'b>) -> Result<(), DecodeError>> Checker<'b, 'e, F> {
    fn new(token: &'e Token, blocks: &'e [Block], each: F) -> Self {
        let counts = vec![0; blocks.len()];
        Self {
            token,
            blocks,
            each,
            counts,
            found: None,
            last: None,
            left: HashSet::new(),
            placed: 0,
            noticed: 0,
            others: HashMap::new(),
        }
    }

    fn take(&mut self, log: &Written<'b>) -> Result<(), DecodeError> {
        let [topic, from, to] = log.topics.first;
        let is_token = log.address.eq_ignore_ascii_case(self.token.text());
        if !is_token && !self.token.has_others() {
            return lie(log, "is of another contract");
        }
        let is_transfer = topic == TRANSFER_TEXT || topic.eq_ignore_ascii_case(TRANSFER_TEXT);
        let notice = if is_transfer { None } else { Some(said(log)?) };
        if log.removed == Some(true) {
            return lie(log, "was removed");
        }
        let is_transfer = is_token && is_transfer;
        let at = self.block(log, is_transfer, is_token && !is_transfer)?;
        let log_index = number(log, log.log_index)?;
        let tx_index = number(log, log.transaction_index)?;
        self.follow(log, at, log_index, tx_index)?;
        let (number, hash, tx) = (log.block_number, log.block_hash, log.transaction_hash);
        self.last = Some(Last { at, is_transfer, number, hash, tx, tx_index, log_index });
        let other = if is_token { None } else { Some(other(log)?) };
        if let Some(notice) = notice {
            return self.notice(log, at, log_index, notice.filter(|_| is_token));
        }
        let whole = log.data.len() == 66 && log.topics.count == 3;
        let (Some(from), Some(to), true) = (hex::padded(from), hex::padded(to), whole) else {
            // Another contract may call what it likes a Transfer.
            return match other {
                Some(_) => Ok(()),
                None if !whole => lie(log, "does not carry one value of two accounts"),
                None => lie(log, "names something else than two accounts"),
            };
        };
        let n = self.place(other);
        let (from, to, data) = (Address(from), Address(to), log.data);
        let notice = None;
        (self.each)(&Log { at, other, notice, from, to, n, log_index, tx, data })?;
        if let Some(count) = self.counts.get_mut(at).filter(|_| is_token) {
            *count = count.saturating_add(1);
        }
        Ok(())
    }

    /// What the token's issuer says; another contract's owner says nothing to us.
    fn notice(
        &mut self,
        log: &Written<'b>,
        at: usize,
        log_index: u64,
        notice: Option<What>,
    ) -> Result<(), DecodeError> {
        if notice.is_none() {
            return Ok(());
        }
        let n = self.noticed;
        self.noticed = n.saturating_add(1);
        let (from, to) = (Address::NOBODY, Address::NOBODY);
        let (other, tx, data) = (None, log.transaction_hash, log.data);
        (self.each)(&Log { at, other, notice, from, to, n, log_index, tx, data })
    }

    /// Which of the blocks the log is in.
    fn block(
        &self,
        log: &Written<'b>,
        is_transfer: bool,
        is_notice: bool,
    ) -> Result<usize, DecodeError> {
        if let Some(last) = &self.last
            && last.is_transfer
            && is_transfer
            && last.number == log.block_number
            && last.hash == log.block_hash
        {
            return Ok(last.at);
        }
        let height = number(log, log.block_number)?;
        let offset =
            self.blocks.first().and_then(|first| height.checked_sub(first.header.id.height));
        let at = offset.and_then(|at| usize::try_from(at).ok());
        let Some((at, block)) = at.and_then(|at| Some((at, self.blocks.get(at)?))) else {
            return lie(log, "is outside the blocks that were asked for");
        };
        if hex::fixed(log.block_hash).map(BlockHash) != Some(block.header.id.hash) {
            return lie(log, "names another block at that height");
        }
        let excluded = match block.bloom {
            BloomSays::None => true,
            BloomSays::Others(_) if is_transfer => true,
            BloomSays::Others(bloom) | BloomSays::Perhaps(bloom) => {
                is_notice && !self.token.notices_may_be_in(&bloom)
            }
            BloomSays::Nothing => false,
        };
        if excluded {
            return lie(log, "is not in the bloom of its block");
        }
        if self.last.as_ref().is_some_and(|last| at < last.at) {
            return lie(log, "comes after a later block");
        }
        Ok(at)
    }

    /// That the log comes behind the one before it; with another transaction, places begin anew.
    fn follow(
        &mut self,
        log: &Written<'b>,
        at: usize,
        log_index: u64,
        tx_index: u64,
    ) -> Result<(), DecodeError> {
        let Some(last) = self.last.as_ref().filter(|last| last.at == at) else {
            self.left.clear();
            return self.begin(log);
        };
        if log_index == last.log_index {
            return lie(log, "comes twice");
        }
        if log_index < last.log_index {
            return lie(log, "is out of order");
        }
        if log.transaction_hash == last.tx {
            return if tx_index == last.tx_index {
                Ok(())
            } else {
                lie(log, "puts one transaction in two places")
            };
        }
        self.left.insert(last.tx);
        if tx_index <= last.tx_index || self.left.contains(log.transaction_hash) {
            return lie(log, "has its transaction out of order");
        }
        self.begin(log)
    }

    fn begin(&mut self, log: &Written<'b>) -> Result<(), DecodeError> {
        (self.placed, self.noticed) = (0, 0);
        self.others.clear();
        if log.transaction_hash.len() == 66 { Ok(()) } else { lie(log, "has no hash") }
    }

    /// The log's place among its contract's Transfers of its transaction.
    fn place(&mut self, other: Option<Address>) -> u32 {
        let placed = match other {
            None => &mut self.placed,
            Some(contract) => self.others.entry(contract).or_default(),
        };
        let n = *placed;
        *placed = placed.saturating_add(1);
        n
    }
}

/// What a log says whose first topic is of the issuer's events; none where it is another event
/// under that signature's hash.
fn said(log: &Written<'_>) -> Result<Option<What>, DecodeError> {
    let topics = log.topics.first.get(..log.topics.count);
    match notice::is_one(log.topics.first[0]) {
        // None of them indexes three arguments.
        true => Ok(topics.and_then(|topics| notice::read(topics, log.data))),
        false => lie(log, "is of another event"),
    }
}

fn other(log: &Written<'_>) -> Result<Address, DecodeError> {
    hex::fixed(log.address).map_or_else(|| lie(log, "has no contract"), |other| Ok(Address(other)))
}

fn lie<T>(log: &Written<'_>, what: &str) -> Result<T, DecodeError> {
    let short = |text: &str| text.chars().take(66).collect::<String>();
    let (index, block) = (short(log.log_index), short(log.block_number));
    Err(DecodeError::Lie(format!("log {index} of block {block} {what}")))
}

fn number(log: &Written<'_>, text: &str) -> Result<u64, DecodeError> {
    hex::quantity(text).map_or_else(|| lie(log, "has a number that is none"), Ok)
}

/// The list of logs.
struct Logs<'c, C>(&'c mut C);

impl<'b, F> DeserializeSeed<'b> for Logs<'_, Checker<'b, '_, F>>
where
    F: FnMut(&Log<'b>) -> Result<(), DecodeError>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'b, F> Visitor<'b> for Logs<'_, Checker<'b, '_, F>>
where
    F: FnMut(&Log<'b>) -> Result<(), DecodeError>,
{
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of logs")
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(log) = list.next_element::<Written<'b>>()? {
            if let Err(found) = self.0.take(&log) {
                self.0.found = Some(found);
                return Err(de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// A JSON-RPC answer around the list.
struct Answer<'c, C> {
    checker: &'c mut C,
    refused: &'c mut Option<String>,
}

impl<'b, F> DeserializeSeed<'b> for Answer<'_, Checker<'b, '_, F>>
where
    F: FnMut(&Log<'b>) -> Result<(), DecodeError>,
{
    type Value = bool;

    fn deserialize<D: Deserializer<'b>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'b, F> Visitor<'b> for Answer<'_, Checker<'b, '_, F>>
where
    F: FnMut(&Log<'b>) -> Result<(), DecodeError>,
{
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON-RPC answer")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut seen = false;
        while let Some(member) = members.next_key::<&'b str>()? {
            match member {
                "result" if seen => return Err(de::Error::custom("two results")),
                "result" => {
                    members.next_value_seed(Logs(&mut *self.checker))?;
                    seen = true;
                }
                "error" => {
                    let error = members.next_value::<serde_json::Value>()?;
                    if !error.is_null() {
                        *self.refused = Some(error.to_string());
                    }
                }
                _ => {
                    members.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
