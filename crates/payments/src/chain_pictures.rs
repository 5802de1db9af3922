//! Pictures of a recorded chain and of a scan, as the tests of `chain` draw them.
//!
//! In: lines that each begin with a word. Out: a cursor and a scan.

use crate::chain::{BlockHash, BlockId, Cursor, Header, Scan};
use crate::name::ChainName;
use crate::time::Time;

fn hash(height: u64, branch: &str) -> BlockHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&height.to_be_bytes());
    bytes[31] = branch.as_bytes()[0];
    BlockHash(bytes)
}

pub(super) fn block(text: &str) -> BlockId {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let height = digits.parse().unwrap();
    BlockId { height, hash: hash(height, text.strip_prefix(digits).unwrap()) }
}

/// Seconds are ten times the height, and the branch's place in the alphabet.
fn time(id: BlockId) -> Time {
    Time::from_seconds(id.height * 10 + u64::from(id.hash.0[31] - b'a')).unwrap()
}

fn row(base: Option<BlockId>, text: &str) -> Vec<Header> {
    let mut below = base;
    let mut headers = Vec::new();
    for word in text.split_whitespace() {
        let id = block(word.trim_end_matches('!'));
        let under = id.height.checked_sub(1).map(|height| hash(height, &word[word.len() - 1..]));
        let parent = match below {
            _ if word.ends_with('!') => BlockHash([9; 32]),
            Some(below) => below.hash,
            None => under.unwrap_or(BlockHash([0; 32])),
        };
        headers.push(Header { id, parent, time: time(id) });
        below = Some(id);
    }
    headers
}

pub(super) fn read(picture: &str) -> (Cursor, Scan) {
    let chain = ChainName::new("c").unwrap();
    let mut cursor = Cursor::new(chain.clone());
    let mut scan = Scan {
        chain,
        base: None,
        blocks: Vec::new(),
        transfers: Vec::new(),
        notices: Vec::new(),
        finalized: None,
        safe: None,
        tip: 0,
    };
    for line in picture.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim();
        match word {
            "kept" => cursor.kept = row(None, rest),
            "known" => cursor.finalized = Some(block(rest)),
            "was-safe" => cursor.safe = rest.parse().ok(),
            "scan" => {
                let (base, blocks) = rest.split_once('|').unwrap_or(("", rest));
                scan.base = (!base.trim().is_empty()).then(|| block(base.trim()));
                scan.blocks = row(scan.base, blocks);
            }
            "final" => scan.finalized = Some(block(rest)),
            "safe" => scan.safe = rest.parse().ok(),
            _ => panic!("{word}"),
        }
    }
    (cursor, scan)
}

pub(super) fn word(id: BlockId) -> String {
    format!("{}{}", id.height, char::from(id.hash.0[31]))
}

pub(super) fn words(headers: &[Header]) -> String {
    let words: Vec<String> = headers.iter().map(|header| word(header.id)).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}
