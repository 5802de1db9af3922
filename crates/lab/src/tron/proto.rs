//! Protocol buffers, as far as TRON hashes them.
//!
//! In: fields in rising order. Out: their canonical bytes. Never: a zero or an empty field, which
//! proto3 leaves out. Why: a transaction id and a block id are hashes of exactly these bytes.
//! Source: the Protocol Buffers encoding guide; java-tron `protocol/core/Tron.proto`.

/// A message being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A whole number; zero is left out.
    pub(crate) fn number(self, field: u64, value: u64) -> Self {
        if value == 0 { self } else { self.tag(field, VARINT).varint(value) }
    }

    /// Bytes or text; nothing is left out.
    pub(crate) fn bytes(self, field: u64, value: &[u8]) -> Self {
        if value.is_empty() { self } else { self.always(field, value) }
    }

    /// A message inside this one, or an entry of a list, which is there even if it is empty.
    pub(crate) fn always(self, field: u64, value: &[u8]) -> Self {
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
        let mut this = self.tag(field, LENGTH).varint(length);
        this.0.extend_from_slice(value);
        this
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }

    fn tag(self, field: u64, wire: u64) -> Self {
        self.varint(field.wrapping_shl(3) | wire)
    }

    fn varint(mut self, mut value: u64) -> Self {
        loop {
            let [low, ..] = value.to_le_bytes();
            value = value.wrapping_shr(7);
            if value == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_varints_and_nothing_is_left_out() {
        let bytes = Message::new().number(1, 300).number(2, 0).bytes(3, b"").bytes(4, b"ab");
        assert_eq!(bytes.done(), [0x08, 0xac, 0x02, 0x22, 0x02, b'a', b'b']);
        assert_eq!(Message::new().number(18, 1).done(), [0x90, 0x01, 0x01]);
        assert_eq!(Message::new().always(2, b"").done(), [0x12, 0x00]);
        assert_eq!(Message::new().number(1, u64::MAX).done().len(), 11);
    }
}
