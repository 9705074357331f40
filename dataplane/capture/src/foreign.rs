//! What a file that is no capture seems to be: half the remedy.

use std::borrow::Cow;

use crate::packing::Packing;

/// First bytes of what people hand over instead of a capture.
const KNOWN: [(&[u8], &str); 13] = [
    (b"BZh", "is compressed with bzip2; unpack it"),
    (b"\xfd7zXZ\0", "is compressed with xz; unpack it"),
    (b"\x04\x22\x4d\x18", "is compressed with lz4; unpack it"),
    (b"PK\x03\x04", "is a zip archive; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it"),
    (b"snoop\0\0\0", "is a snoop capture; convert it with editcap"),
    (b"TRSNIFF data", "is a Sniffer capture; convert it with editcap"),
    (b"RTSS", "is a Network Monitor capture; convert it with editcap"),
    (b"GMBU", "is a Network Monitor capture; convert it with editcap"),
    (b"\x7fELF", "is a program"),
    (b"%PDF-", "is a PDF document"),
    (b"SQLite format 3\0", "is a database"),
    (b"\0\0\0\0\0\0\0\0", "begins with zeros"),
];

/// What it is, as the rest of a sentence about it.
pub(crate) fn guess(head: &[u8]) -> Cow<'static, str> {
    if head.is_empty() {
        return "is empty".into();
    }
    if let Some(packing) = Packing::of(head) {
        return format!("is compressed with {packing} once more; unpack it").into();
    }
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return (*what).into();
    }
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    if head.iter().all(is_text) {
        return match head.trim_ascii_start().first() {
            Some(b'{' | b'[') => "seems to be JSON",
            Some(b'<') => "seems to be HTML or XML",
            _ => "seems to be text",
        }
        .into();
    }
    let first: Vec<String> = head.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("begins with the bytes {}, as no known format does", first.join(" ")).into()
}

#[cfg(test)]
mod tests {
    use crate::{OpenError, Reader};

    #[test]
    fn what_is_no_capture_is_named() {
        for (bytes, expected) in [
            (&b""[..], "is empty"),
            (b"\x1f\x8b\x08\0", "gzip once more"),
            (b"BZh91AY", "bzip2"),
            (b"{\"n\":1}", "JSON"),
            (b"  <html>", "HTML"),
            (b"a", "text"),
            (b"No. Time Source\n", "text"),
            (b"\xde\xad\xbe\xef\x01", "de ad be ef"),
            (b"\x7fELF\x02\x01", "a program"),
        ] {
            let Err(OpenError::Foreign(said)) = Reader::open(bytes) else { panic!("{bytes:?}") };
            assert!(said.contains(expected), "{said}");
        }
    }
}
