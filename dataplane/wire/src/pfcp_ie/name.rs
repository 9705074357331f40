//! Names: Network Instance (§8.2.4), APN/DNN (§8.2.117) and FQDNs.
//!
//! The standard wants RFC 1035 labels (a length before each), and some cores
//! write those and others plain text. A name is the same in either form, so that
//! an SMF and a UPF that differ in it still mean one network.

use core::{fmt, str};

use crate::WireError;

/// The longest name of a network in octets (TS 23.003 §9.1); more is not written.
const LONGEST: usize = 100;

/// A name, borrowed as it stands.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    octets: &'a [u8],
    has_lengths: bool,
}

/// Whether labels, each behind its length, are all of the octets. A text that
/// looks so has a digit or a hyphen first and exactly as many octets behind it as
/// that one's code, 45 to 57: no name of a network is like that.
fn has_lengths(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let [length @ 1..=63, behind @ ..] = rest {
        match behind.split_at_checked(usize::from(*length)) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    // The root's empty label may end a name; alone, it is the root.
    rest.is_empty() && !octets.is_empty() || rest == [0]
}

impl<'a> Name<'a> {
    /// Reads the value of an element that is a name; any octets are one.
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        Ok(Self { octets: value, has_lengths: has_lengths(value) })
    }

    /// The octets as they stand.
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The labels, of a name in plain text what is between its dots.
    pub const fn labels(&self) -> Labels<'a> {
        Labels { rest: Some(self.octets), has_lengths: self.has_lengths }
    }

    /// The name's octets with dots between its labels and capitals made small:
    /// equal names give equal ones, whatever their form, so that they may be hashed.
    pub fn folded(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.dotted().map(|octet| octet.to_ascii_lowercase())
    }

    /// Writes the name with dots between its labels and `?` for what can't be
    /// printed. A longer name is cut.
    pub fn write<'b>(&self, into: &'b mut [u8; LONGEST]) -> &'b str {
        let mut length = 0;
        for (octet, printed) in into.iter_mut().zip(self.dotted().map(printable)) {
            *octet = printed;
            length += 1;
        }
        // What is printable is ASCII, so that it is UTF-8 too.
        str::from_utf8(&into[..length]).unwrap_or_default()
    }

    /// Whether both are one name, whatever their forms and capitals.
    pub fn eq_ignore_ascii_case(&self, other: &Name<'_>) -> bool {
        self.folded().eq(other.folded())
    }

    /// Whether this is the name that is written so, with dots.
    pub fn is(&self, dotted: &str) -> bool {
        self.folded().eq(dotted.bytes().map(|octet| octet.to_ascii_lowercase()))
    }

    fn dotted(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.labels().enumerate().flat_map(|(index, label)| {
            let dot: &[u8] = if index == 0 { b"" } else { b"." };
            dot.iter().chain(label).copied()
        })
    }
}

const fn printable(octet: u8) -> u8 {
    if octet.is_ascii_graphic() || octet == b' ' { octet } else { b'?' }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; LONGEST]))
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.write(&mut [0; LONGEST]))
    }
}

/// The labels of a name.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    rest: Option<&'a [u8]>,
    has_lengths: bool,
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        if self.has_lengths {
            let (length, behind) = rest.split_first()?;
            let (label, behind) = behind.split_at_checked(usize::from(*length))?;
            self.rest = Some(behind);
            return Some(label).filter(|label| !label.is_empty());
        }
        match rest.iter().position(|octet| *octet == b'.') {
            Some(dot) => {
                self.rest = rest.get(dot + 1..);
                rest.get(..dot)
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::seeded::Seeded;
    use std::string::String;
    use std::vec::Vec;

    fn name(octets: &[u8]) -> Name<'_> {
        Name::parse(octets).unwrap()
    }

    fn written(octets: &[u8]) -> String {
        name(octets).write(&mut [0; 100]).into()
    }

    #[test]
    fn both_forms_are_one_name() {
        let labels = name(b"\x08internet\x03MNC\x03org");
        let text = name(b"Internet.mnc.org");
        assert!(labels.eq_ignore_ascii_case(&text) && text.eq_ignore_ascii_case(&labels));
        assert!(labels.is("internet.mnc.ORG") && text.is("internet.mnc.org"));
        assert!(labels.folded().eq(text.folded()));
        assert!(!labels.is("internet.mnc") && !labels.is("internet.mnc.org.x"));
        let split: Vec<_> = labels.labels().collect();
        assert_eq!(split, [&b"internet"[..], b"MNC", b"org"]);
        assert_eq!(text.labels().count(), 3);
        assert_eq!(written(b"\x08internet\x03MNC\x03org"), "internet.MNC.org");
    }

    #[test]
    fn a_name_may_end_in_the_root_or_be_none() {
        assert!(name(b"\x04ims1\0").is("ims1"));
        assert!(name(b"\0").is("") && name(b"").is(""));
        assert_eq!((written(b""), written(b"\0")), (String::new(), String::new()));
    }

    #[test]
    fn lengths_that_lie_make_it_text() {
        // One octet short, and one of another label behind: nothing is dropped.
        assert_eq!(written(b"\x09internet"), "?internet");
        assert_eq!(written(b"\x08internetx"), "?internetx");
        assert_eq!(written(b"\xc0\x0c"), "??");
        assert_eq!(written(b"a\0\x1b[2J\n\xff"), "a??[2J??");
        assert_eq!(name(b".a..b.").labels().count(), 5);
    }

    #[test]
    fn a_longer_name_is_cut_in_writing_and_compared_whole() {
        let long: Vec<u8> = b"\x3f".iter().copied().chain([b'a'; 63]).cycle().take(256).collect();
        let mut other = long.clone();
        other[255] = b'b';
        assert_eq!(written(&long).len(), 100);
        assert_eq!(written(&long), written(&other));
        assert!(!name(&long).eq_ignore_ascii_case(&name(&other)));
    }

    #[test]
    fn whatever_is_written_as_labels_is_read_as_they_stand() {
        let mut seeded = Seeded::new(22);
        for _ in 0..500 {
            let labels: Vec<Vec<u8>> = (0..1 + seeded.next() % 4)
                .map(|_| (0..1 + seeded.next() % 63).map(|_| seeded.next() as u8).collect())
                .collect();
            let octets: Vec<u8> = labels
                .iter()
                .flat_map(|label| [&[label.len() as u8], &label[..]].concat())
                .collect();
            assert!(name(&octets).labels().eq(labels.iter().map(|label| &label[..])));
            assert!(written(&octets).len() <= 100);
        }
    }
}
