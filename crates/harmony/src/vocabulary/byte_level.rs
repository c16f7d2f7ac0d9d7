//! GPT-2's alphabet: each byte as one printable character, as tokenizer files write their tokens.

/// The bytes that a token's spelling stands for, or the first character that stands for none.
pub(super) fn bytes_of(spelling: &str) -> Result<Vec<u8>, char> {
    spelling.chars().map(|character| byte_of(character).ok_or(character)).collect()
}

/// Printable Latin-1 characters stand for themselves; the other 68 bytes, in order, for U+0100 and following.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => u8::try_from(code).ok(),
        0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        0x121..=0x142 => u8::try_from(code - 0x121 + 0x7F).ok(),
        0x143 => Some(0xAD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::byte_of;

    #[test]
    fn the_alphabet_is_the_one_gpt_2_defines() {
        // The definition: printable bytes first as themselves, then the rest counted up from U+0100.
        let printable =
            |byte: u32| (33..127).contains(&byte) || (161..173).contains(&byte) || (174..256).contains(&byte);
        let mut next = 0x100;
        for byte in 0..256u32 {
            let code = if printable(byte) {
                byte
            } else {
                next += 1;
                next - 1
            };
            let character = char::from_u32(code).expect("below the surrogates");
            assert_eq!(byte_of(character).map(u32::from), Some(byte));
        }
        assert_eq!(byte_of('\u{144}'), None);
        assert_eq!(byte_of(' '), None);
    }
}
