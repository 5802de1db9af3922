//! Blocks and transaction infos, straight from the bytes of a body.
//!
//! In: what `getblockbynum` and `gettransactioninfobyblocknum` answered. Out: headers whose id was
//! recomputed, and every Transfer of the token. Never: an id believed because it stands beside
//! the fields; a Transfer from calldata or `contractResult`; infos of another fork.
//! Why: the header binds the transactions and says nothing of their logs, so
//! all that can be checked of the logs is whose block and transaction they belong to.

use std::collections::BTreeMap;

use payments::address::Address;
use payments::chain::{BlockHash, BlockId, Header, Transfer, TxHash};
use payments::notice::{Notice, TOPICS, What};
use ruint::aliases::U256;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use crate::header::{self, WrittenHeader};
use crate::hex;

/// `keccak256("Transfer(address,address,uint256)")`, the first topic of every Transfer.
pub const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// No notice has more arguments; one that has is none of those that are read.
const LONGEST_NOTICE: usize = 3;

/// A block whose header and transaction ids were recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What is kept of its header.
    pub header: Header,
    /// Its transactions in order.
    pub transactions: Vec<Outcome>,
}

/// A transaction of a block, and what the block says became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Its id.
    pub tx: TxHash,
    /// Whether its `contractRet` is SUCCESS.
    pub succeeded: bool,
}

/// Why a body is not an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is not the JSON it should be; truncated, for instance.
    #[error("the answer is not what it should be: {0}")]
    Garbled(String),
    /// The body is well-formed, and cannot be the truth.
    #[error("the answer cannot be true: {0}")]
    Lie(String),
    /// It is not there, or there is another fork there: asking again may help.
    #[error("{0}")]
    Absent(String),
}

/// A log read whole, without what its block already says. A notice moves nothing from anybody to
/// anybody: those fields are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The place of its block in its stretch.
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
    /// The transaction.
    pub tx: TxHash,
    /// The value in base units.
    pub raw: U256,
}

impl Row {
    /// The notice, in its block, where it is one.
    #[must_use]
    pub fn said(&self, header: &Header) -> Option<Notice> {
        let Self { tx, n, log_index, .. } = *self;
        let (block, time) = (header.id, header.time);
        self.notice.map(|what| Notice { tx, n, log_index, block, time, what })
    }

    /// The transfer, in its block and with its token; none where it is a notice.
    #[must_use]
    pub fn transfer(&self, header: &Header, token: Address) -> Option<Transfer> {
        self.notice.is_none().then(|| Transfer {
            tx: self.tx,
            n: self.n,
            log_index: self.log_index,
            block: header.id,
            time: header.time,
            token: self.other.unwrap_or(token),
            from: self.from,
            to: self.to,
            raw: self.raw,
        })
    }
}

/// A block of which only the header is read; its transactions are passed over.
#[derive(Deserialize)]
struct WrittenHead<'a> {
    #[serde(borrow, default, rename = "blockID")]
    id: Option<&'a str>,
    #[serde(borrow, default)]
    block_header: Option<WrittenHeader<'a>>,
}

#[derive(Deserialize)]
struct WrittenBlock<'a> {
    #[serde(borrow, default, rename = "blockID")]
    id: Option<&'a str>,
    #[serde(borrow, default)]
    block_header: Option<WrittenHeader<'a>>,
    #[serde(borrow, default)]
    transactions: Vec<WrittenTransaction<'a>>,
}

#[derive(Deserialize)]
struct WrittenBlocks<'a> {
    #[serde(borrow, default)]
    block: Vec<WrittenBlock<'a>>,
}

#[derive(Deserialize)]
struct WrittenTransaction<'a> {
    #[serde(rename = "txID")]
    id: &'a str,
    raw_data_hex: &'a str,
    #[serde(borrow, default)]
    ret: Vec<WrittenRet<'a>>,
}

#[derive(Deserialize)]
struct WrittenRet<'a> {
    #[serde(borrow, default, rename = "contractRet")]
    contract: Option<&'a str>,
}

#[derive(Deserialize)]
struct WrittenInfo<'a> {
    id: &'a str,
    #[serde(default, rename = "blockNumber")]
    number: u64,
    #[serde(default, rename = "blockTimeStamp")]
    time: i64,
    #[serde(borrow, default)]
    receipt: WrittenReceipt<'a>,
    #[serde(borrow, default)]
    result: Option<&'a str>,
    #[serde(borrow, default)]
    log: Vec<WrittenLog<'a>>,
}

#[derive(Default, Deserialize)]
struct WrittenReceipt<'a> {
    #[serde(borrow, default)]
    result: Option<&'a str>,
}

/// A log; what is empty is left out.
#[derive(Deserialize)]
struct WrittenLog<'a> {
    #[serde(borrow, default)]
    address: &'a str,
    #[serde(borrow, default)]
    topics: Vec<&'a str>,
    #[serde(borrow, default)]
    data: &'a str,
}

/// The header of a block that was answered with or without its transactions; none where the
/// answer is `{}`.
///
/// # Errors
/// [`DecodeError`] where its id is not the hash of its fields.
pub fn head(body: &[u8]) -> Result<Option<Header>, DecodeError> {
    let head: WrittenHead<'_> = read(body)?;
    match (head.id, &head.block_header) {
        (None, None) => Ok(None),
        (Some(id), Some(written)) => header::verified(id, written).map(|(header, _)| Some(header)),
        _ => Err(half()),
    }
}

/// The id that a node claims for a block, not recomputed: block 0's header holds words instead of
/// a witness, and its id is compared with a pinned one.
///
/// # Errors
/// [`DecodeError::Garbled`] where there is none.
pub fn claimed_id(body: &[u8]) -> Result<Option<BlockHash>, DecodeError> {
    let head: WrittenHead<'_> = read(body)?;
    let Some(id) = head.id else { return Ok(None) };
    hex::fixed(id)
        .map(|id| Some(BlockHash(id)))
        .ok_or_else(|| DecodeError::Garbled("a block's id is not hex".to_owned()))
}

/// The block of a `getblockbynum` or `getblockbyid`; none where the answer is `{}`.
///
/// # Errors
/// [`DecodeError`] where its id, or one of its transactions', is not the hash of what it names.
pub fn block(body: &[u8]) -> Result<Option<Block>, DecodeError> {
    whole(&read::<WrittenBlock<'_>>(body)?, &mut Vec::new())
}

/// The blocks of a `getblockbylimitnext`, in the order they came.
///
/// # Errors
/// As [`block`].
pub fn blocks(body: &[u8]) -> Result<Vec<Block>, DecodeError> {
    let written: WrittenBlocks<'_> = read(body)?;
    let mut bytes = Vec::new();
    written.block.iter().map(|block| whole(block, &mut bytes)?.ok_or_else(half)).collect()
}

fn whole(written: &WrittenBlock<'_>, bytes: &mut Vec<u8>) -> Result<Option<Block>, DecodeError> {
    let (id, head) = match (written.id, &written.block_header) {
        (None, None) => return Ok(None),
        (Some(id), Some(head)) => (id, head),
        _ => return Err(half()),
    };
    let (header, root) = header::verified(id, head)?;
    let height = header.id.height;
    // The root of no transactions is zero, and of none else.
    if written.transactions.is_empty() != (root == [0; 32]) {
        return Err(DecodeError::Lie(format!(
            "the block at height {height} has {} transactions and another root",
            written.transactions.len()
        )));
    }
    let mut transactions = Vec::with_capacity(written.transactions.len());
    for transaction in &written.transactions {
        let id = hex::fixed::<32>(transaction.id);
        let raw = hex::decode(transaction.raw_data_hex, bytes);
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        if !raw || id != Some(hash) {
            let shown: String = transaction.id.chars().take(64).collect();
            return Err(DecodeError::Lie(format!(
                "transaction {shown} at height {height} does not hash to its id"
            )));
        }
        let succeeded = transaction.ret.first().and_then(|ret| ret.contract) == Some("SUCCESS");
        transactions.push(Outcome { tx: TxHash(hash), succeeded });
    }
    Ok(Some(Block { header, transactions }))
}

/// Which contracts' Transfers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The token.
    pub token: Address,
    /// Whether those of every other contract are read too.
    pub others: bool,
}

/// The Transfers that are asked for, and the notices of the token's issuer, in a
/// `gettransactioninfobyblocknum` answer to `block`, which is the `at`-th of its stretch.
///
/// # Errors
/// [`DecodeError::Absent`] where the infos are not there or are another fork's,
/// [`DecodeError::Lie`] where they do not fit the block or contradict it.
pub fn infos(body: &[u8], asked: Asked, block: &Block, at: u32) -> Result<Vec<Row>, DecodeError> {
    let height = block.header.id.height;
    // A height without infos is `[]`, and block 0 `{}`.
    if body.trim_ascii() == b"{}" {
        return Err(DecodeError::Absent(format!("it has no transaction infos of height {height}")));
    }
    let infos: Vec<WrittenInfo<'_>> = read(body)?;
    let found = infos.len();
    let expected = block.transactions.len();
    if found == 0 && expected > 0 {
        return Err(DecodeError::Absent(format!("it has no transaction infos of height {height}")));
    }
    if infos.iter().any(|info| info.number != height) {
        return lie(height, "have another height");
    }
    if infos.iter().any(|info| info.time != block.header.time.0) {
        let why = format!("its transaction infos of height {height} are another fork's");
        return Err(DecodeError::Absent(why));
    }
    if found != expected {
        return lie(height, &format!("are {found}, its transactions {expected}"));
    }
    let token = payments::address::lower_hex(&asked.token.0);
    let mut reader = Reader { token, others: asked.others, at, logs: 0 };
    let mut rows = Vec::new();
    for (info, outcome) in infos.iter().zip(&block.transactions) {
        if hex::fixed(info.id).map(TxHash) != Some(outcome.tx) {
            return lie(height, "are of other transactions");
        }
        reader.transaction(info, *outcome, height, &mut rows)?;
    }
    Ok(rows)
}

/// What a `gettransactioninfobyid` says; none where the transaction is not known.
///
/// # Errors
/// [`DecodeError`] where it is no answer.
pub fn info(body: &[u8]) -> Result<Option<(TxHash, u64)>, DecodeError> {
    if body.trim_ascii() == b"{}" {
        return Ok(None);
    }
    let info: WrittenInfo<'_> = read(body)?;
    let id = hex::fixed(info.id).map(TxHash);
    let id = id.ok_or_else(|| DecodeError::Garbled("a transaction's id is not hex".to_owned()))?;
    Ok(Some((id, info.number)))
}

/// Whether an answer is anything but `{}`.
///
/// # Errors
/// [`DecodeError::Garbled`] where it is no object.
pub fn is_there(body: &[u8]) -> Result<bool, DecodeError> {
    let members: std::collections::BTreeMap<&str, IgnoredAny> = read(body)?;
    Ok(!members.is_empty())
}

/// Counts logs and reads those of the token.
struct Reader {
    token: String,
    others: bool,
    at: u32,
    logs: u64,
}

impl Reader {
    fn transaction(
        &mut self,
        info: &WrittenInfo<'_>,
        outcome: Outcome,
        height: u64,
        rows: &mut Vec<Row>,
    ) -> Result<(), DecodeError> {
        let succeeded = [
            outcome.succeeded,
            info.receipt.result == Some("SUCCESS"),
            // The default is left out; it was once spelled like this.
            matches!(info.result, None | Some("SUCESS")),
        ];
        let mut places: BTreeMap<(Option<Address>, bool), u32> = BTreeMap::new();
        for log in &info.log {
            let log_index = self.logs;
            self.logs = self.logs.saturating_add(1);
            let is_token = log.address.eq_ignore_ascii_case(&self.token);
            let is_transfer =
                log.topics.first().is_some_and(|topic| topic.eq_ignore_ascii_case(TRANSFER));
            let notice = if is_token && !is_transfer { notice(log) } else { None };
            if notice.is_none() && !(is_transfer && (is_token || self.others)) {
                continue;
            }
            match succeeded {
                [true, true, true] => {}
                // A transaction that ran out of time keeps the logs it had made by then:
                // nothing of them happened.
                [false, false, false] => continue,
                _ => return lie(height, "contradict the block about what succeeded"),
            }
            let row = match notice {
                Some(_) => Some(self.notice(notice, log_index, outcome.tx)),
                None => self.row(log, log_index, outcome.tx),
            };
            let Some(mut row) = row else {
                // Another contract may call what it likes a Transfer.
                if is_token {
                    return lie(height, "have a Transfer that is none");
                }
                continue;
            };
            let n = places.entry((row.other, notice.is_some())).or_default();
            row.n = *n;
            rows.push(row);
            *n = n.saturating_add(1);
        }
        Ok(())
    }

    const fn notice(&self, notice: Option<What>, log_index: u64, tx: TxHash) -> Row {
        let nobody = Address::NOBODY;
        Row {
            at: self.at,
            other: None,
            notice,
            n: 0,
            log_index,
            from: nobody,
            to: nobody,
            tx,
            raw: U256::ZERO,
        }
    }

    fn row(&self, log: &WrittenLog<'_>, log_index: u64, tx: TxHash) -> Option<Row> {
        let &[_, from, to] = log.topics.as_slice() else { return None };
        let other = if log.address.eq_ignore_ascii_case(&self.token) {
            None
        } else {
            Some(Address(hex::fixed(log.address)?))
        };
        Some(Row {
            at: self.at,
            other,
            notice: None,
            n: 0,
            log_index,
            from: Address(hex::padded(from)?),
            to: Address(hex::padded(to)?),
            tx,
            raw: U256::from_be_bytes(hex::fixed::<32>(log.data)?),
        })
    }
}

/// What the token's issuer says in a log: here the arguments are indexed that are not elsewhere.
fn notice(log: &WrittenLog<'_>) -> Option<What> {
    let (topic, indexed) = log.topics.split_first()?;
    let topic = hex::fixed::<32>(topic).filter(|topic| TOPICS.contains(topic))?;
    let indexed = indexed.iter().map(|word| hex::fixed::<32>(word));
    let data = log.data.as_bytes().chunks(64).map(|word| {
        let text = std::str::from_utf8(word).ok()?;
        hex::fixed::<32>(text)
    });
    let words: Option<Vec<[u8; 32]>> = indexed.chain(data).take(LONGEST_NOTICE).collect();
    What::read(&topic, &words?)
}

pub(crate) fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, DecodeError> {
    sonic_rs::from_slice(body).map_err(|error| {
        // The rest of such an error is an excerpt of the body.
        DecodeError::Garbled(error.to_string().lines().next().unwrap_or_default().to_owned())
    })
}

fn half() -> DecodeError {
    DecodeError::Garbled("a block without an id or a header".to_owned())
}

fn lie<T>(height: u64, what: &str) -> Result<T, DecodeError> {
    Err(DecodeError::Lie(format!("the transaction infos of height {height} {what}")))
}

/// `height` and `hash` as the chain types spell them.
pub(crate) const fn block_id(height: u64, hash: [u8; 32]) -> BlockId {
    BlockId { height, hash: BlockHash(hash) }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
