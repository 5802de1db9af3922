//! One request over HTTP to one place.
//!
//! In: a place, a path, a body or a query. Out: the body that came back, or a refusal. Never: the
//! key sent to any place but its own, a redirect followed, a URL or a key in an error.
//! Why: a key in the wrong log or at the wrong host is spent by somebody else.

use std::time::Duration;

use bytes::Bytes;
use endpoint::{BODY_LIMIT, Fault};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder};

use crate::config::Place;
use crate::refusal::{self, Class, Refusal};

/// The header `TronGrid` reads a key from.
const KEY_HEADER: &str = "TRON-PRO-API-KEY";

/// What requests are sent with.
#[derive(Clone)]
pub(crate) struct Wire {
    client: Client,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question<'a> {
    /// A POST of this JSON.
    Post(&'a serde_json::Value),
    /// A GET with these parameters.
    Get(&'a [(&'a str, &'a str)]),
}

impl Wire {
    pub(crate) fn new(deadline: Duration) -> Result<Self, Fault> {
        Ok(Self { client: endpoint::client(deadline)? })
    }

    /// The body of an answer that is no refusal.
    pub(crate) async fn ask(
        &self,
        place: &Place,
        path: &str,
        question: Question<'_>,
    ) -> Result<Bytes, Refusal> {
        let mut url = place.location.below(path);
        let request = match question {
            Question::Post(json) => self
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(json.to_string()),
            Question::Get(pairs) => {
                url.query_pairs_mut().extend_pairs(pairs);
                self.client.get(url)
            }
        };
        let mut response = keyed(request, place)?.send().await.map_err(Fault::from)?;
        let status = response.status().as_u16();
        let pause = endpoint::pause(response.headers());
        let body = endpoint::read(&mut response, BODY_LIMIT).await?;
        match refusal::of(status, &body) {
            Some(refusal) => Err(refusal.with(pause)),
            None => Ok(body),
        }
    }
}

fn keyed(request: RequestBuilder, place: &Place) -> Result<RequestBuilder, Refusal> {
    let Some(key) = &place.key else { return Ok(request) };
    let mut value = HeaderValue::from_str(key.secret())
        .map_err(|_| Refusal::new(Class::Caller, "the api key cannot be sent as a header"))?;
    value.set_sensitive(true);
    Ok(request.header(KEY_HEADER, value))
}
