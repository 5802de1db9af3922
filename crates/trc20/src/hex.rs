//! Hex text as TRON's JSON has it: bare digits.
//!
//! In: digits without a prefix. Out: bytes, or nothing. Never: a shorter or longer value taken
//! for the right one. Why: a block is mostly hex, so it is read by a table.

/// What no digit is.
const NONE: u8 = 0xff;
/// The value of each byte as a hex digit.
const VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut digit = 0u8;
    // Four ranges of one table, written before anything runs.
    while digit < 16 {
        let (lower, upper) = match digit {
            0..=9 => (b'0'.wrapping_add(digit), b'0'.wrapping_add(digit)),
            _ => {
                let letter = digit.wrapping_sub(10);
                (b'a'.wrapping_add(letter), b'A'.wrapping_add(letter))
            }
        };
        set(&mut values, lower, digit);
        set(&mut values, upper, digit);
        digit = digit.wrapping_add(1);
    }
    values
}

#[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "256 values, and a u8")]
const fn set(values: &mut [u8; 256], at: u8, digit: u8) {
    values[at as usize] = digit;
}

#[expect(clippy::indexing_slicing, reason = "256 values, and a u8")]
fn value(digit: u8) -> u8 {
    VALUES[usize::from(digit)]
}

/// Puts the bytes of `digits` into `into`; false, and what is in it is nothing, where they are
/// not pairs of hex digits.
pub(crate) fn decode(digits: &str, into: &mut Vec<u8>) -> bool {
    into.clear();
    let pairs = digits.as_bytes().chunks_exact(2);
    let odd = !pairs.remainder().is_empty();
    let mut bad = 0u8;
    into.extend(pairs.map(|pair| {
        let (high, low) = match *pair {
            [high, low] => (value(high), value(low)),
            _ => (NONE, NONE),
        };
        // A digit is below 16, so anything else shows in the high half.
        bad |= (high | low) & 0xf0;
        (high << 4) | (low & 0x0f)
    }));
    !odd && bad == 0
}

/// Exactly `N` bytes.
pub(crate) fn fixed<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let text = digits.as_bytes();
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    let mut bytes = [0u8; N];
    let mut bad = 0u8;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        let (high, low) = (value(high), value(low));
        bad |= (high | low) & 0xf0;
        *byte = (high << 4) | (low & 0x0f);
    }
    (bad == 0).then_some(bytes)
}

/// The 20 bytes of an account in a 32-byte word; nothing where its padding is not zero.
pub(crate) fn padded(word: &str) -> Option<[u8; 20]> {
    fixed(word.strip_prefix("000000000000000000000000")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_nothing_else() {
        let mut into = vec![9; 9];
        for byte in 0..=255u8 {
            assert_eq!(fixed::<1>(&format!("{byte:02x}")), Some([byte]));
            assert_eq!(fixed::<1>(&format!("{byte:02X}")), Some([byte]));
            assert!(decode(&format!("{byte:02x}ff"), &mut into) && into == [byte, 255]);
            let digit = char::from(byte).is_ascii_hexdigit();
            if byte.is_ascii() {
                assert_eq!(fixed::<1>(&format!("0{}", char::from(byte))).is_some(), digit);
                assert_eq!(decode(&format!("{}0", char::from(byte)), &mut into), digit);
            }
        }
        assert!(decode("", &mut into) && into.is_empty());
        for text in ["0", "0x", "abc", "é"] {
            assert!(!decode(text, &mut into), "{text}");
        }
        for text in ["beef", "bee", "0xbe", ""] {
            assert_eq!(fixed::<3>(text), None, "{text}");
        }
    }

    #[test]
    fn an_account_is_clean() {
        let word = format!("{}{}", "0".repeat(24), "ab".repeat(20));
        assert_eq!(padded(&word), Some([0xab; 20]));
        // 41 in front of the account: calldata may have it, a log never.
        assert_eq!(padded(&word.replacen("00ab", "41ab", 1)), None);
        assert_eq!(padded(&word[..62]), None);
    }
}
