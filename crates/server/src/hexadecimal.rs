//! Bytes as hexadecimal digits, and back. It must not know what they are.

/// Two small digits for each byte.
pub(crate) fn write(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly so many bytes, from digits small or large; `None` for anything else.
pub(crate) fn read<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let is_plain = text.len() == 2 * BYTES && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut bytes = [0; BYTES];
    for (index, byte) in bytes.iter_mut().enumerate().filter(|_| is_plain) {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    is_plain.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_nothing_else_is_read() {
        let bytes = [0x00, 0x0f, 0xa5, 0xff];
        assert_eq!(write(&bytes), "000fa5ff");
        assert_eq!((read("000fa5ff"), read("000FA5FF")), (Some(bytes), Some(bytes)));
        for wrong in ["", "000fa5f", "000fa5ff0", "000fa5fg", "+00fa5ff", "00\u{e9}a5ff"] {
            assert_eq!(read::<4>(wrong), None, "{wrong}");
        }
    }
}
