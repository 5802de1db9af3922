//! What a shop writes beside an order, kept as it was written.
//!
//! In: JSON text. Out: the same, its members in the order of their names. Never: a number that
//! comes back as another one; a member dropped because its name is there twice.
//! Why: the shop finds its own order by it, and the same order typed again is compared by it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The text to keep.
///
/// # Errors
/// Why it cannot be kept as it is.
pub(crate) fn read(text: &str) -> Result<String, String> {
    // Whole first: this is where its depth is bounded.
    serde_json::from_str::<Value>(text).map_err(garbled)?;
    Ok(faithful(text.trim())?.to_string())
}

fn garbled(why: serde_json::Error) -> String {
    format!("is not JSON: {why}")
}

fn faithful(text: &str) -> Result<Value, String> {
    match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(garbled)?;
            let mut map = Map::new();
            for (name, value) in members {
                if map.contains_key(&name) {
                    return Err(format!("has `{name}` twice"));
                }
                map.insert(name, faithful(value.get())?);
            }
            Ok(Value::Object(map))
        }
        Some(b'[') => {
            let list: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(garbled)?;
            list.iter().map(|value| faithful(value.get())).collect()
        }
        _ => {
            let value: Value = serde_json::from_str(text).map_err(garbled)?;
            let kept = value.to_string();
            if value.is_number() && kept != text {
                return Err(format!("has {text}, which would be kept as {kept}: write it as text"));
            }
            Ok(value)
        }
    }
}

/// The members of an object as they stand there.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_can_be_kept_is_kept() {
        for (text, kept) in [
            ("7", "7"),
            (
                " [1, -2, 1.5, 18446744073709551615, null, true] ",
                "[1,-2,1.5,18446744073709551615,null,true]",
            ),
            (r#"{"b": {"c": "1e3"}, "a": "\u00e9"}"#, r#"{"a":"é","b":{"c":"1e3"}}"#),
        ] {
            assert_eq!(read(text).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn what_would_be_another_is_refused() {
        for (text, why) in [
            (
                r#"{"ref":12345678901234567890123}"#,
                "has 12345678901234567890123, which would be kept as 1.2345678901234568e+22: write it as text",
            ),
            (r#"[{"price":1.10}]"#, "has 1.10, which would be kept as 1.1: write it as text"),
            (r#"{"a":{"b":1,"b":2}}"#, "has `b` twice"),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
        assert!(read("{").unwrap_err().starts_with("is not JSON: "));
        assert!(read(&format!("{}{}", "[".repeat(500), "]".repeat(500))).is_err());
    }
}
