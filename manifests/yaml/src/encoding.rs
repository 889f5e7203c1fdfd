//! Bytes as text.

use crate::YamlError;

/// The text of a file: UTF-8, or UTF-16 with a byte order mark, as editors on Windows and PowerShell's `>` write it.
///
/// # Errors
/// It is neither.
pub fn decode(bytes: &[u8]) -> Result<String, YamlError> {
    let none = |what: &str| YamlError::at(0, format!("this is not text: {what}"));
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(none("UTF-16 with half a character at the end"));
        }
        let units = pairs.iter().map(|pair| unit(*pair));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| none("not UTF-16"))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        bytes => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            str::from_utf8(bytes).map(ToOwned::to_owned).map_err(|error| {
                let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
                YamlError::at(line, "this is not UTF-8")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect()
    }

    proptest! {
        #[test]
        fn every_encoding_of_a_text_is_that_text(text in "\\PC{0,40}") {
            prop_assume!(!text.starts_with('\u{feff}'));
            prop_assert_eq!(&decode(text.as_bytes()).unwrap(), &text);
            prop_assert_eq!(&decode(format!("\u{feff}{text}").as_bytes()).unwrap(), &text);
            prop_assert_eq!(&decode(&utf16(&text, u16::to_le_bytes)).unwrap(), &text);
            prop_assert_eq!(&decode(&utf16(&text, u16::to_be_bytes)).unwrap(), &text);
        }

        #[test]
        fn any_bytes_are_text_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        assert_eq!(decode(b"a\nb\xe9\n").unwrap_err().line, 2);
        assert!(decode(b"\xff\xfea").is_err());
        assert!(decode(b"\xff\xfe\x00\xd8").is_err());
    }
}
