//! JSON-RPC 2.0 as nodes speak it over HTTP and WebSocket.
//!
//! In: a body. Out: calls, and the text of their answers. Never: a meaning; methods live with
//! the node that has them. Why: the scripted node, the tape and the bench node read and write
//! the same envelope.

use serde_json::{Map, Value, json};

/// One call of a packet.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// A body: one call, or a batch of them.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    One(Call),
    Many(Vec<Call>),
}

/// A refusal in JSON-RPC's terms, with the HTTP status a provider sends it under.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RpcError {
    pub(crate) http_status: u16,
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

pub(crate) type Answer = Result<Value, RpcError>;

impl RpcError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { http_status: 200, code, message: message.into(), data: None }
    }

    pub(crate) fn with_status(self, http_status: u16) -> Self {
        Self { http_status, ..self }
    }

    pub(crate) fn with_data(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }

    /// geth's words for a parameter it cannot read.
    pub(crate) fn invalid_argument(place: usize, why: &str) -> Self {
        Self::new(-32602, format!("invalid argument {place}: {why}"))
    }

    /// geth's words for a method it does not have.
    pub(crate) fn no_such_method(method: &str) -> Self {
        Self::new(-32601, format!("the method {method} does not exist/is not available"))
    }
}

/// Reads a body. The error is the text to answer instead, as geth words it.
pub(crate) fn parse(body: &[u8]) -> Result<Packet, String> {
    let broken = || {
        let error = RpcError::new(-32700, "parse error");
        render(&Value::Null, &Err(error))
    };
    match serde_json::from_slice::<Value>(body).map_err(|_| broken())? {
        Value::Array(items) if items.is_empty() => {
            Err(render(&Value::Null, &Err(RpcError::new(-32600, "empty batch"))))
        }
        Value::Array(items) => {
            Ok(Packet::Many(items.into_iter().map(call).collect::<Result<_, _>>()?))
        }
        item => Ok(Packet::One(call(item)?)),
    }
}

fn call(item: Value) -> Result<Call, String> {
    let refused = |id: &Value| render(id, &Err(RpcError::new(-32600, "invalid request")));
    let Value::Object(mut fields) = item else { return Err(refused(&Value::Null)) };
    let id = fields.remove("id").unwrap_or(Value::Null);
    let Some(Value::String(method)) = fields.remove("method") else { return Err(refused(&id)) };
    let params = fields.remove("params").unwrap_or_else(|| Value::Array(Vec::new()));
    Ok(Call { id, method, params })
}

/// The text of one answer.
pub(crate) fn render(id: &Value, answer: &Answer) -> String {
    body_without_id(answer, |fields| {
        fields.insert("id".to_owned(), id.clone());
    })
}

fn body_without_id(answer: &Answer, complete: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut fields = Map::new();
    fields.insert("jsonrpc".to_owned(), Value::from("2.0"));
    complete(&mut fields);
    match answer {
        Ok(result) => {
            // Rendered around the result, which may be megabytes, and so is not copied.
            let mut text = Value::Object(fields).to_string();
            text.pop();
            text.push_str(",\"result\":");
            text.push_str(&result.to_string());
            text.push('}');
            text
        }
        Err(error) => {
            let mut said = json!({ "code": error.code, "message": error.message });
            if let (Some(data), Some(said)) = (&error.data, said.as_object_mut()) {
                said.insert("data".to_owned(), data.clone());
            }
            fields.insert("error".to_owned(), said);
            Value::Object(fields).to_string()
        }
    }
}

/// A notification of a subscription.
pub(crate) fn notification(subscription: &str, result: &Value) -> String {
    json!({
        "jsonrpc": "2.0",
        "method": "eth_subscription",
        "params": { "subscription": subscription, "result": result },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_as_geth_reads_it() {
        let one = parse(br#"{"jsonrpc":"2.0","id":7,"method":"eth_chainId"}"#);
        assert!(matches!(one, Ok(Packet::One(call)) if call.id == 7 && call.params == json!([])));
        let many = parse(br#"[{"id":"a","method":"x","params":[1]},{"id":2,"method":"y"}]"#);
        assert!(matches!(many, Ok(Packet::Many(calls)) if calls.len() == 2));
        assert!(parse(b"[]").is_err_and(|said| said.contains("empty batch")));
        assert!(parse(b"{").is_err_and(|said| said.contains("-32700")));
        assert!(parse(br#"{"id":9}"#).is_err_and(|said| said.contains(r#""id":9"#)));
    }

    #[test]
    fn an_answer_carries_the_id_and_either_result_or_error() {
        let text = render(&json!(5), &Ok(json!(["0x1"])));
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, json!({"jsonrpc":"2.0","id":5,"result":["0x1"]}));
        let error = RpcError::new(-32005, "limit exceeded").with_data(json!({"to":"0x2"}));
        let read: Value = serde_json::from_str(&render(&json!("a"), &Err(error))).unwrap();
        assert_eq!(read["error"]["data"]["to"], "0x2");
        assert_eq!(read["id"], "a");
    }
}
