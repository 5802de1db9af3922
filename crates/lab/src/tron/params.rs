//! What a request asks, however it was sent.
//!
//! In: a JSON body, or the query of a GET. Out: numbers, ids, addresses, flags by name. Never: a
//! default a real node does not have. Why: java-tron reads a message by its fields' names from
//! either, and its refusals of what it cannot read come under HTTP 200.

use alloy::primitives::{Address, B256, hex};
use axum::http::{Method, Uri};
use serde_json::{Map, Value};

use super::address::{Spelling, parse};

/// Named parameters.
#[derive(Clone, Debug)]
pub(crate) struct Params(Value);

/// A refusal: the text of `{"Error": …}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal(pub(crate) String);

impl Params {
    /// Reads a request's parameters; the error is what java-tron says to a body that is no JSON.
    pub(crate) fn read(method: &Method, uri: &Uri, body: &[u8]) -> Result<Self, Refusal> {
        if method != Method::POST || body.is_empty() {
            return Ok(Self(query(uri)));
        }
        let said = "class com.alibaba.fastjson.JSONException : expect ':' at 0, actual \u{1a}";
        let body = serde_json::from_slice(body).map_err(|_| Refusal(said.to_owned()))?;
        Ok(Self(body))
    }

    /// As they are kept in the log of requests.
    pub(crate) fn value(&self) -> &Value {
        &self.0
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A whole number, also where it was sent as text; zero where it was not sent.
    pub(crate) fn number(&self, name: &str) -> Result<i64, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(0),
            Some(value) => {
                let text = value.as_str().and_then(|text| text.parse().ok());
                value.as_i64().or(text).ok_or_else(|| unreadable("Couldn't parse integer"))
            }
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let value = self.0.get(name)?;
        value.as_bool().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    }

    /// A hash; `None` where it has not 32 bytes, which finds nothing.
    pub(crate) fn hash(&self, name: &str) -> Result<Option<B256>, Refusal> {
        let text = self.text(name).unwrap_or_default();
        let bytes = hex::decode(text).map_err(|_| unreadable("INVALID hex String"))?;
        Ok(B256::try_from(bytes.as_slice()).ok())
    }

    /// An account; `None` where there is none or it is none.
    pub(crate) fn address(&self, name: &str) -> Option<Address> {
        self.text(name).and_then(parse)
    }

    pub(crate) fn spelling(&self) -> Spelling {
        if self.flag("visible").unwrap_or(false) { Spelling::Visible } else { Spelling::Hex }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }
}

/// The words of java-tron's JSON reader. The place it names is the same here for every refusal.
fn unreadable(what: &str) -> Refusal {
    let class = "class org.tron.core.services.http.JsonFormat$ParseException";
    Refusal(format!("{class} : 1:11: {what}"))
}

/// A query as an object of texts. What is percent-encoded in practice is only `,` and `:`.
pub(crate) fn query(uri: &Uri) -> Value {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace("%2C", ",").replace("%2c", ",").replace("%3A", ":");
        (name.to_owned(), Value::String(value))
    };
    Value::Object(pairs.map(pair).collect::<Map<_, _>>())
}
