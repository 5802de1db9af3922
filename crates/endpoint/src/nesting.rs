//! Whether a JSON text can be read without exhausting the stack.
//!
//! In: bytes that may be JSON. Out: whether brackets stand inside brackets too deep. Never: a
//! judgement about anything else in the text. Why: parsers descend, one call a bracket; a body of
//! brackets alone, well below the size limit, ends the process and not the request.

/// The most brackets inside each other. No node needs a tenth of it.
const DEPTH: usize = 200;
/// How many bytes are counted at once: where so few cannot reach the limit, nobody looks closer.
const PART: usize = 1_024;
/// How many bytes are counted in a sum of one byte: a compiler does that sixteen at a time.
const AT_ONCE: usize = 128;

/// Whether brackets are never more than 200 deep. Brackets inside strings are counted as well.
#[must_use]
pub fn is_shallow(json: &[u8]) -> bool {
    Depth::default().goes_on(json)
}

/// How deep a text has come that is read piece by piece.
#[derive(Default)]
pub(crate) struct Depth(usize);

impl Depth {
    /// Whether the text is still shallow with `piece` behind what came before.
    pub(crate) fn goes_on(&mut self, piece: &[u8]) -> bool {
        for part in piece.chunks(PART) {
            let opening = count(part, |byte| matches!(byte, b'[' | b'{'));
            let closing = count(part, |byte| matches!(byte, b']' | b'}'));
            if self.0.saturating_add(opening) > DEPTH && deepest(part, self.0) > DEPTH {
                return false;
            }
            self.0 = self.0.saturating_add(opening).saturating_sub(closing);
        }
        true
    }
}

fn count(part: &[u8], counts: impl Fn(u8) -> bool) -> usize {
    // It cannot wrap; saturating, one addition would have to wait for the one before.
    let one = |sum: u8, byte: &u8| sum.wrapping_add(u8::from(counts(*byte)));
    part.chunks(AT_ONCE).map(|some| usize::from(some.iter().fold(0, one))).sum()
}

/// How deep the brackets of `part` are that begins at `depth`.
fn deepest(part: &[u8], mut depth: usize) -> usize {
    let mut deepest = depth;
    for byte in part {
        match byte {
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn depth_counts_and_length_does_not() {
        assert!(is_shallow(b""));
        assert!(is_shallow(nested(DEPTH).as_bytes()));
        assert!(!is_shallow(nested(DEPTH + 1).as_bytes()));
        assert!(!is_shallow("{\"x\":".repeat(DEPTH + 1).as_bytes()));
        let flat = format!("[{}0]", "[{},{}],".repeat(10_000));
        assert!(is_shallow(flat.as_bytes()));
        // One more bracket in every part: none of them is deep alone.
        let slow = format!("[{}", " ".repeat(PART)).repeat(DEPTH + 1);
        assert!(!is_shallow(slow.as_bytes()));
        for length in PART - 3..PART + 3 {
            let text = format!("{}{}", " ".repeat(length), nested(DEPTH + 1));
            assert!(!is_shallow(text.as_bytes()));
        }
    }

    #[test]
    fn a_text_is_as_deep_in_pieces() {
        for (text, shallow) in [(nested(DEPTH), true), (nested(DEPTH + 1), false)] {
            for size in [1, 7, DEPTH, PART] {
                let mut depth = Depth::default();
                let goes_on = text.as_bytes().chunks(size).all(|piece| depth.goes_on(piece));
                assert_eq!(goes_on, shallow, "{size}");
            }
        }
    }
}
