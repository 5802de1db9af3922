//! Where an endpoint is, as far as it may be told.
//!
//! In: an endpoint's URL, whose path, query or user part may be an API key. Out: scheme, host
//! and port. Never: anything behind them in a log, an error or a `Debug`.
//! Why: provider keys sit inside URLs, and error texts travel far.

use std::fmt;

use reqwest::Url;

/// Shorter parts of a URL are words such as `v3`.
const SECRET_LENGTH: usize = 6;

/// A URL that shows only its scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Location(Url);

/// Why a text is not an endpoint's URL. The text itself is not repeated: it may hold a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It is not a URL with a host.
    #[error("the endpoint's url is not a url with a host")]
    NotAUrl,
    /// Its scheme is none of ours.
    #[error("the endpoint's url begins with none of http, https, ws, wss")]
    Scheme,
}

impl Location {
    /// Parses `http`, `https`, `ws` and `wss` URLs.
    ///
    /// # Errors
    /// [`LocationError`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let url = Url::parse(text.trim()).map_err(|_| LocationError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            return Err(LocationError::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(LocationError::NotAUrl);
        }
        Ok(Self(url))
    }

    /// Whether it is spoken to over a WebSocket.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        matches!(self.0.scheme(), "ws" | "wss")
    }

    /// `text` without any part of the URL that may be a secret.
    #[must_use]
    pub fn hide_in(&self, text: &str) -> String {
        let segments = self.0.path_segments().into_iter().flatten();
        let values = self.0.query().into_iter().flat_map(|query| query.split(['&', '=']));
        let user = [self.0.username(), self.0.password().unwrap_or_default()];
        let secrets = segments.chain(values).chain(user).filter(|part| part.len() >= SECRET_LENGTH);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }

    /// Whether both are one server, which agrees with itself whatever it says: the same host and
    /// port, by whatever path or key.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        let port = |url: &Url| url.port_or_known_default();
        host(&self.0) == host(&other.0) && port(&self.0) == port(&other.0)
    }

    /// The URL of `path` below this one, secrets included; `path` begins with a slash.
    #[must_use]
    pub fn below(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let whole = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        url
    }

    /// The whole URL, secrets included: for the connection and nothing else.
    #[must_use]
    pub const fn secret(&self) -> &Url {
        &self.0
    }
}

/// A URL's host, by one name where it is this machine.
fn host(url: &Url) -> &str {
    match url.host_str().unwrap_or_default() {
        "localhost" | "[::1]" => "127.0.0.1",
        host => host,
    }
}

impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(out, ":{port}")?;
        }
        if self.0.path().len() > 1 || self.0.query().is_some() {
            out.write_str("/…")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_by_two_ways() {
        for (one, other, same) in [
            ("https://host/key-one", "https://HOST:443/key-two?x", true),
            ("https://host", "http://host", false),
            ("http://localhost:1", "http://127.0.0.1:1", true),
            ("http://localhost:1", "http://127.0.0.1:2", false),
            ("https://host", "https://other", false),
        ] {
            let location = |url| Location::parse(url).unwrap();
            assert_eq!(location(one).is_same_server(&location(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for (url, shown) in [
            ("https://mainnet.infura.io/v3/0123456789abcdef", "https://mainnet.infura.io/…"),
            ("https://user:pa55@node.example:8545", "https://node.example:8545"),
            ("wss://node.example/?apikey=k3y", "wss://node.example/…"),
            ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
            ("http://[::1]:8545", "http://[::1]:8545"),
        ] {
            let location = Location::parse(url).unwrap();
            assert_eq!(location.to_string(), shown);
            assert_eq!(format!("{location:?}"), shown);
        }
        let below = Location::parse("https://h/k3y/?q=1").unwrap().below("/wallet/getblock");
        assert_eq!(below.as_str(), "https://h/k3y/wallet/getblock?q=1");
        let location = Location::parse("https://u:passw0rd@h/v3/0123456789ab?k=c0ffee00").unwrap();
        let said = "v3 key 0123456789ab, c0ffee00 and passw0rd are over quota";
        assert_eq!(location.hide_in(said), "v3 key …, … and … are over quota");
        for url in ["k3y", "ftp://host/k3y", "http://", "file:///k3y"] {
            let error = Location::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("k3y"));
        }
    }
}
