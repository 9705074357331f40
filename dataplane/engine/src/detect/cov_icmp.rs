//! COV-ICMP: echoes that carry data: content that is none of the patterns by which pings and IP-SLA fill
//! theirs and that changes from one to the next, replies that do not repeat their requests, large
//! ones to who is not declared.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::detect::Detection;
use crate::report::Seen;
use crate::track::FlowKey;

/// The detection.
pub const DETECTION: Detection = Detection {
    id: "COV-ICMP",
    signature_id: 5_290_010,
    signature: "Echoes of equipment carry what no ping carries",
    category: "Potential Corporate Privacy Violation",
    rank: 2,
    technique: &["T1095", "T1048.003"],
    restricted: false,
};

/// What an echo shows, whoever saw it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Echo {
    /// Whether it answers another.
    pub is_reply: bool,
    /// Identifier and sequence number, by which a reply finds its request.
    pub number: (u16, u16),
    /// Octets of its content.
    pub octets: u16,
    /// Whether the rest of it comes in further fragments.
    pub is_part: bool,
    /// A digest of its content's beginning, for replies repeat no more as a rule.
    pub beginning: u64,
    /// A digest of what stands behind the time stamp; none if it is filled as pings are.
    pub content: Option<u64>,
}

/// Octets of a reply that are compared with its request: some hosts cut the rest off.
const REPEATED: usize = 48;

impl Echo {
    /// Reads an echo behind type, code and checksum.
    pub(crate) fn parse(is_reply: bool, is_part: bool, body: &[u8]) -> Option<Self> {
        let (&[a, b, c, d], content) = body.split_first_chunk()?;
        let behind = behind_time(content);
        Some(Self {
            is_reply,
            number: (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            octets: content.len().min(u16::MAX.into()) as u16,
            is_part,
            beginning: digest(content.get(..REPEATED).unwrap_or(content)),
            content: (!is_filled(behind)).then(|| digest(behind)),
        })
    }
}

/// Equal for equal octets. Its key is no secret: whoever would have two contents taken for one must
/// find them, and carries nothing by it.
fn digest(octets: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x7765_6972, 0x6563_686f);
    hasher.write(octets);
    hasher.finish()
}

/// What stands behind the time stamp that pings begin with: seconds and a fraction of 64 bits each,
/// else whatever 8 octets hold.
fn behind_time(content: &[u8]) -> &[u8] {
    let is_time = content.first_chunk::<16>().is_some_and(|stamp| {
        let (mut whole, mut part) = ([0; 8], [0; 8]);
        whole.copy_from_slice(&stamp[..8]);
        part.copy_from_slice(&stamp[8..]);
        let is = |whole: u64, part: u64| whole >> 33 == 0 && part < 1_000_000_000;
        is(u64::from_le_bytes(whole), u64::from_le_bytes(part))
            || is(u64::from_be_bytes(whole), u64::from_be_bytes(part))
    });
    content.get(if is_time { 16 } else { 8 }..).unwrap_or_default()
}

/// Whether octets stay the same or count up or down by one; or are the letters of Windows, a to w
/// and from a again.
fn is_filled(octets: &[u8]) -> bool {
    let mut pairs = octets.windows(2).map(|pair| (pair[0], pair[1]));
    let Some((first, second)) = pairs.next() else { return true };
    let step = second.wrapping_sub(first);
    let is_even = |(a, b): (u8, u8)| b.wrapping_sub(a) == step;
    let is_letter =
        |(a, b): (u8, u8)| (b'a'..b'w').contains(&a) && b == a + 1 || (a, b) == (b'w', b'a');
    matches!(step, 0 | 1 | 0xff) && pairs.all(is_even)
        || octets.windows(2).all(|pair| is_letter((pair[0], pair[1])))
}

/// Contents of a flow that are remembered: a filling of some vendor's comes again and again.
const CONTENTS: usize = 16;
/// Replies unlike their requests before that is told: one may be a damaged frame.
const UNLIKE: u64 = 2;

/// What the echoes of two nodes showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echoes {
    contents: Vec<u64>,
    /// Of each way, low to high first: echoes whose content was another one each time.
    pub(crate) changing: [u64; 2],
    /// Replies unlike their requests, by the way of the replies.
    pub(crate) unlike: [u64; 2],
    /// Packets and bytes that no alert counts yet, by their way.
    pub(crate) uncounted: [(u64, u64); 2],
}

impl Echoes {
    /// Adds an echo, and whether it repeats its request; says whether it is one to tell of.
    pub(crate) fn add(&mut self, seen: &Seen, echo: &Echo, is_unlike: bool, least: u64) -> bool {
        let way = usize::from(!seen.upward);
        let mut is_odd = is_unlike;
        self.unlike[way] += u64::from(is_unlike);
        if let Some(content) = echo.content
            && !self.contents.contains(&content)
        {
            if self.contents.len() == CONTENTS {
                self.contents.remove(0);
            }
            self.contents.push(content);
            self.changing[way] += 1;
            is_odd = true;
        }
        if is_odd {
            let (packets, bytes) = &mut self.uncounted[way];
            (*packets, *bytes) = (*packets + 1, *bytes + u64::from(seen.bytes));
        }
        is_odd && (self.changing[way] >= least || self.unlike[way] >= UNLIKE)
    }

    /// What is given up last: flows that show much.
    pub(crate) fn rank(&self) -> u64 {
        self.changing.iter().chain(&self.unlike).sum()
    }
}

/// A request that waits for its reply.
pub(crate) type Asked = (FlowKey, u16, u16);

#[cfg(test)]
mod tests {
    use super::*;

    fn is_plain(content: &[u8]) -> bool {
        let body = [&[0, 7, 0, 1][..], content].concat();
        Echo::parse(false, false, &body).unwrap().content.is_none()
    }

    #[test]
    fn pings_of_all_makers_are_plain() {
        let counting: Vec<u8> = (0..=255).cycle().take(1_400).collect();
        let mut linux = counting.clone();
        linux[..16].copy_from_slice(b"\x80\x2a\x56\x69\0\0\0\0\x21\x0b\x0c\0\0\0\0\0");
        let mut unset = linux.clone();
        unset[..8].copy_from_slice(&77_u64.to_le_bytes());
        let mut bsd = counting.clone();
        bsd[..8].copy_from_slice(b"\x69\x56\x2a\x80\0\x0c\x0b\x21");
        let windows: Vec<u8> = (b'a'..=b'w').cycle().take(1_400).collect();
        for whole in [&counting[..], &linux, &unset, &bsd, &windows, &[0; 1_400], &[0xff; 1_400]] {
            for size in [0, 1, 8, 16, 18, 32, 56, 64, 1_400] {
                assert!(is_plain(&whole[..size]), "{size} of {:x?}", &whole[..20]);
            }
        }
    }

    #[test]
    fn words_and_noise_are_not() {
        assert!(!is_plain(b"01234567root:x:0:0:root:/root:/bin/bash"));
        assert!(!is_plain(&[[0; 8], *b"abcdefgi"].concat()));
        assert!(!is_plain(&[[0; 8], [0, 2, 4, 6, 8, 10, 12, 14]].concat()));
        assert_eq!(Echo::parse(true, false, &[1, 2, 3]), None);
        // Beyond what replies repeat, requests may differ.
        let one = Echo::parse(false, false, &[0; 200]).unwrap();
        let other = Echo::parse(true, false, &[[0; 100], [1; 100]].concat()).unwrap();
        assert_eq!((one.beginning, one.number), (other.beginning, other.number));
    }
}
