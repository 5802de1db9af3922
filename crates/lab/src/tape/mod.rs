//! Tapes: the exact exchange with a real node, kept to be played again.
//!
//! In: JSON lines; first what was recorded, then each answer with the frame it was first given in.
//! Out: for a request, what the node would have said in a frame. Never: a JSON-RPC id, which a
//! client chooses as it likes, or a header of a request, where keys are. Why: a test against what
//! a node really said needs no node, and a request that was never recorded is a change of
//! behaviour that a test should fail on.

mod player;
mod recorder;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use player::Player;
pub use recorder::Recorder;

use crate::Error;
use crate::jsonrpc::{self, Call, Packet};
use crate::server::Incoming;

/// The format this code writes.
const FORMAT: u32 = 1;

/// What a node answered, frame by frame. A frame is a moment in which its answers do not change.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    /// What was recorded.
    pub header: Header,
    entries: Vec<Entry>,
}

/// A tape's first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The format, 1.
    pub tape: u32,
    /// As the node answers `eth_chainId`; for TRON the last four bytes of the genesis block's id,
    /// which is the same number.
    pub chain_id: u64,
    /// The node's name and version.
    pub recorded_from: String,
    /// What happens on it, in words.
    #[serde(default)]
    pub note: String,
}

/// An answer, and the first frame it was given in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    frame: u64,
    request: Asked,
    status: u16,
    /// The content type where it is not JSON's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The body without its id; as text where it was no JSON, or for JSON-RPC no object.
    response: Value,
}

/// What identifies a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Asked {
    /// A JSON-RPC call, to whichever path.
    Rpc { method: String, params: Value },
    /// Any other HTTP request.
    Http { http: Plain },
}

/// An HTTP request without its headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plain {
    method: String,
    path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    /// As JSON where it is any, else as text; null for none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    body: Value,
}

impl Tape {
    /// Reads a tape's file.
    ///
    /// # Errors
    /// [`Error::TapeFile`] if it cannot be read, and what [`Tape::from_str`] says of it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        std::fs::read_to_string(path).map_err(|source| no_file(path, source))?.parse()
    }

    /// Writes a tape's file.
    ///
    /// # Errors
    /// [`Error::TapeFile`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        std::fs::write(path, self.to_string()).map_err(|source| no_file(path, source))
    }

    /// The last frame with an answer of its own.
    #[must_use]
    pub fn last_frame(&self) -> u64 {
        self.entries.iter().map(|entry| entry.frame).max().unwrap_or(0)
    }

    /// The answer to a request in a frame: the one given last until then.
    fn answer(&self, asked: &Asked, frame: u64) -> Option<&Entry> {
        let known = self.entries.iter().filter(|entry| entry.request == *asked);
        known.filter(|entry| entry.frame <= frame).max_by_key(|entry| entry.frame)
    }
}

impl FromStr for Tape {
    type Err = Error;

    /// Reads a tape's text; lines without a letter are passed over.
    ///
    /// # Errors
    /// [`Error::TapeLine`] with the line that is none of a tape's, [`Error::TapeEmpty`].
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
        let (line, first) = lines.next().ok_or(Error::TapeEmpty)?;
        let wrong = |line| move |source| Error::TapeLine { line, source };
        let header = serde_json::from_str(first).map_err(wrong(line))?;
        let entries = lines.map(|(line, text)| serde_json::from_str(text).map_err(wrong(line)));
        Ok(Self { header, entries: entries.collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |text: Result<String, _>| text.map_err(|_| fmt::Error);
        writeln!(f, "{}", line(serde_json::to_string(&self.header))?)?;
        for entry in &self.entries {
            writeln!(f, "{}", line(serde_json::to_string(entry))?)?;
        }
        Ok(())
    }
}

impl Asked {
    fn of(call: &Call) -> Self {
        Self::Rpc { method: call.method.clone(), params: call.params.clone() }
    }

    fn plain(incoming: &Incoming) -> Self {
        let Incoming { method, uri, body, .. } = incoming;
        let query = uri.query().unwrap_or_default().to_owned();
        let body = json_or_text(body);
        let (method, path) = (method.as_str().to_owned(), uri.path().to_owned());
        Self::Http { http: Plain { method, path, query, body } }
    }
}

/// The calls of a request, if it is one of JSON-RPC.
fn packet(incoming: &Incoming) -> Option<Packet> {
    jsonrpc::parse(&incoming.body).ok().filter(|_| incoming.method == Method::POST)
}

/// A body as a tape holds it.
fn json_or_text(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    let text = || Value::from(String::from_utf8_lossy(body));
    // A JSON text on its own would be played without its quotes.
    let read = serde_json::from_slice(body).ok().filter(|value: &Value| !value.is_string());
    read.unwrap_or_else(text)
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rpc { method, params } => write!(f, "{method} {params}"),
            Self::Http { http: Plain { method, path, query, body } } => {
                write!(f, "{method} {path}")?;
                if !query.is_empty() {
                    write!(f, "?{query}")?;
                }
                if body.is_null() { Ok(()) } else { write!(f, " {body}") }
            }
        }
    }
}

fn no_file(path: &Path, source: std::io::Error) -> Error {
    Error::TapeFile { path: path.display().to_string(), source }
}
