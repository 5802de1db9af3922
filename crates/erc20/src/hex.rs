//! Hex text of the few shapes a node writes.
//!
//! In: `0x` and digits. Out: bytes or a number, or nothing. Never: a shorter or longer value
//! taken for the right one. Why: called a dozen times a log, so it allocates nothing.

/// Exactly `N` bytes behind `0x`.
pub(crate) fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x")?;
    let mut bytes = [0u8; N];
    alloy::hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// The 20 bytes of an account in a 32-byte topic; nothing where its padding is not zero.
pub(crate) fn padded(topic: &str) -> Option<[u8; 20]> {
    let digits = topic.strip_prefix("0x000000000000000000000000")?;
    let mut bytes = [0u8; 20];
    alloy::hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// A JSON-RPC quantity: `0x` and 1 to 16 hex digits.
pub(crate) fn quantity(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.bytes().try_fold(0u64, |value, digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some((value << 4) | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_values_are_read() {
        assert_eq!(fixed::<2>("0xBEef"), Some([0xbe, 0xef]));
        for text in ["beef", "0xbee", "0xbeef00", "0xbe", "0xbeeg", "", "0x", "0x0xbe"] {
            assert_eq!(fixed::<2>(text), None, "{text}");
        }
        assert_eq!(quantity("0x0"), Some(0));
        assert_eq!(quantity("0xffffffffffffffff"), Some(u64::MAX));
        for text in ["0x", "10", "0x10000000000000000", "0x+1", "0xg", "-0x1"] {
            assert_eq!(quantity(text), None, "{text}");
        }
        let topic = format!("0x{}{}", "0".repeat(24), "ab".repeat(20));
        assert_eq!(padded(&topic), Some([0xab; 20]));
        assert_eq!(padded(&topic.replacen("00", "01", 6)), None);
        assert_eq!(padded(&topic[..64]), None);
    }
}
