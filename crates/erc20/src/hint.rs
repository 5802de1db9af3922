//! The range a node says it would answer, found in the words of its refusal.
//!
//! In: a refusal's message and data. Out: spans in blocks, the most trustworthy first. Never: a
//! judgement; whoever asked keeps only a span between 1 and less than what was asked.
//! Why: every provider says it differently: hex, decimal, `10,000`, `10K`, a range, a limit, in
//! the message or in the data. Sources: the providers' own answers.

use serde_json::Value;

/// A number in a text, and where it stands.
struct Number {
    value: u64,
    start: usize,
    end: usize,
}

/// The spans that `message` and `data` suggest. `lone` allows a number that no word explains,
/// which in a refusal of a range is its limit and in a refusal of too many logs is not.
pub(crate) fn spans(message: &str, data: Option<&Value>, lone: bool) -> Vec<u64> {
    let mut found = Vec::new();
    found.extend(data.and_then(in_members));
    let payload = data.map(texts).unwrap_or_default();
    for text in [message, payload.as_str()] {
        let numbers = numbers(text);
        found.extend(ranges(text, &numbers));
        found.extend(numbers.iter().filter(|n| counts_blocks(text, n)).map(|n| n.value));
        if lone {
            found.extend(numbers.last().map(|number| number.value));
        }
    }
    found
}

/// `{"from": "0x…", "to": "0x…"}`, as Infura writes it.
fn in_members(data: &Value) -> Option<u64> {
    let height = |member: &str| numbers(data.get(member)?.as_str()?).first().map(|n| n.value);
    span(height("from")?, height("to")?)
}

/// Every text inside the data, so that a limit is found wherever it hides.
fn texts(data: &Value) -> String {
    match data {
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            members.get("payload").or_else(|| members.get("message")).map(texts).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// `[0x1, 0x2]` and `range 1-2`.
fn ranges(text: &str, numbers: &[Number]) -> Vec<u64> {
    let ends = numbers.iter().zip(numbers.iter().skip(1));
    ends.filter(|(low, high)| {
        let between = text.get(low.end..high.start).unwrap_or_default().trim();
        let before = text.get(..low.start).unwrap_or_default().trim_end();
        (between == "," && before.ends_with('[')) || (between == "-" && before.ends_with("range"))
    })
    .filter_map(|(low, high)| span(low.value, high.value))
    .collect()
}

fn span(low: u64, high: u64) -> Option<u64> {
    high.checked_sub(low)?.checked_add(1)
}

/// `10 block range`, `1000 blocks`.
fn counts_blocks(text: &str, number: &Number) -> bool {
    text.get(number.end..).unwrap_or_default().trim_start().starts_with("block")
}

/// The numbers of a text: `0x1f`, `10000`, `10,000`, `10K`.
fn numbers(text: &str) -> Vec<Number> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let inside_word = text.get(..at).is_some_and(|before| {
            before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        });
        let read = if inside_word { None } else { hex(rest).or_else(|| decimal(rest)) };
        let Some((value, length)) = read else {
            at = at.saturating_add(rest.chars().next().map_or(1, char::len_utf8));
            continue;
        };
        let end = at.saturating_add(length);
        found.push(Number { value, start: at, end });
        at = end;
    }
    found
}

fn hex(text: &str) -> Option<(u64, usize)> {
    let digits = text.strip_prefix("0x")?;
    let length = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    let value = u64::from_str_radix(digits.get(..length)?, 16).ok()?;
    Some((value, length.checked_add(2)?))
}

fn decimal(text: &str) -> Option<(u64, usize)> {
    let mut digits = String::new();
    let mut length = 0usize;
    let mut rest = text;
    loop {
        let run = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        digits.push_str(rest.get(..run)?);
        length = length.checked_add(run)?;
        rest = rest.get(run..)?;
        // A comma goes on with the number only in front of exactly three digits.
        let Some(group) = rest.strip_prefix(',') else { break };
        let three = group.find(|c: char| !c.is_ascii_digit()).unwrap_or(group.len()) == 3;
        if digits.is_empty() || !three {
            break;
        }
        length = length.checked_add(1)?;
        rest = group;
    }
    let value: u64 = digits.parse().ok()?;
    let follows = |letters: [char; 2]| {
        rest.starts_with(letters)
            && !rest.get(1..).unwrap_or_default().starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let (scale, letter) = match () {
        () if follows(['k', 'K']) => (1_000, 1),
        () if follows(['m', 'M']) => (1_000_000, 1),
        () => (1, 0),
    };
    Some((value.checked_mul(scale)?, length.checked_add(letter)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_in_every_spelling() {
        let values = |text| numbers(text).iter().map(|n| n.value).collect::<Vec<_>>();
        assert_eq!(
            values("10,000 range, 2K or 0x1F; 1M x86 a10 3,5"),
            [10_000, 2_000, 31, 1_000_000, 3, 5]
        );
        assert_eq!(values("17000000-17000345"), [17_000_000, 17_000_345]);
        assert!(values("kv3 18446744073709551616").is_empty());
    }

    #[test]
    fn the_most_trustworthy_first() {
        let alchemy = "up to a 2K block range and no limit, or a cap of 10K logs. Based on your \
                       parameters this block range should work: [0x0, 0xd043b8]";
        assert_eq!(spans(alchemy, None, false), [0xd043b9, 2_000]);
        let inverted = "up to a 2K block range. should work: [0x9, 0x1]";
        assert_eq!(spans(inverted, None, false), [2_000]);
        let infura = json!({"from": "0xA", "limit": 10000, "to": "0x13"});
        assert_eq!(spans("more than 10000 results", Some(&infura), false), [10]);
        let tenderly = json!({"payload": "range 9009594 is bigger than range limit 2000"});
        assert_eq!(spans("invalid params", Some(&tenderly), true), [2_000]);
        assert_eq!(spans("retry with the range 100-109", None, false), [10]);
        assert_eq!(spans("from 1 to 5000, maximum is set to 2048", None, true), [2_048]);
    }
}
