//! One answer over HTTP: a client that goes nowhere else, a body that has a limit.
//!
//! In: a deadline, a response. Out: a client, a body, or why not. Never: a redirect followed (a
//! key would go with it), a body without a limit, a URL in an error.
//! Why: whoever answers decides how much comes back and from where it says it comes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response};

use crate::nesting::Depth;

/// The largest body that is read, in bytes.
pub const BODY_LIMIT: usize = 64 << 20;

/// What goes wrong on the wire itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The body is beyond the limit.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body is brackets inside brackets, more than any answer has.
    #[error("the body is nested too deep to be an answer")]
    TooDeep,
    /// The connection failed before a whole body came.
    #[error("the connection failed: {0}")]
    Broken(String),
}

impl From<reqwest::Error> for Fault {
    /// What reqwest says, with its causes and without the URL.
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Broken(text)
    }
}

/// A client that follows no redirect. `deadline` bounds connecting; whole requests are bounded by
/// whoever asks.
///
/// # Errors
/// [`Fault::Broken`] where the machine offers no TLS.
pub fn client(deadline: Duration) -> Result<Client, Fault> {
    let builder = Client::builder()
        .connect_timeout(deadline)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        // A connection that died without a word is noticed; requests would wait on it for ever.
        .http2_keep_alive_interval(deadline)
        .http2_keep_alive_timeout(deadline);
    Ok(builder.build()?)
}

/// The body of `response`, up to `limit` bytes, and safe to be parsed.
///
/// # Errors
/// [`Fault`], also where the body ends before its announced length.
pub async fn read(response: &mut Response, limit: usize) -> Result<Bytes, Fault> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Fault::TooLarge { limit });
    }
    let mut body = BytesMut::with_capacity(announced.unwrap_or_default());
    let mut depth = Depth::default();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(Fault::TooLarge { limit });
        }
        // Of a large body the beginning has left the processor's cache when the end is here.
        if !depth.goes_on(&chunk) {
            return Err(Fault::TooDeep);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
