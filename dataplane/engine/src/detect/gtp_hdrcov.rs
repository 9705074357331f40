//! GTP-HDRCOV: data hidden in GTP-U headers. Spare bits, bytes behind the
//! header's length, Private Extensions, elements' padding, extension headers
//! that have no business on their link, and Echoes that are too frequent.
//!
//! Echo Requests repeat while a path fails; only answered ones tell, and a path
//! that works has one a minute (TS 29.281 §7.2.1).

use std::collections::BTreeMap;

use weir_wire::Address;

use crate::Nanos;
use crate::detect::Detection;
use crate::rules::Link;

/// The standing data.
pub const DETECTION: Detection = Detection {
    id: "GTP-HDRCOV",
    signature_id: 5_290_020,
    signature: "GTP-U headers hold what their standard does not ask for",
    category: "Misc activity",
    rank: 3,
    technique: &["T1001", "T1095"],
    restricted: false,
};

/// Whether an extension header is standard on a link and in a message (TS 29.281
/// §5.2). An unknown link allows what any link does.
pub fn is_standard(extension: u8, link: Link, message: u8) -> bool {
    const ERROR_INDICATION: u8 = 26;
    let any_of = |links: &[Link]| link == Link::Mixed || links.contains(&link);
    match extension {
        // Service Class Indicator: towards GERAN.
        0x20 => any_of(&[]),
        // UDP Port: only in Error Indications.
        0x40 => message == ERROR_INDICATION,
        // RAN Container: between eNBs, and between gNBs that serve EN-DC.
        0x81 => any_of(&[Link::Xn]),
        // Long PDCP PDU Number, PDCP PDU Number: forwarding at handovers, direct or indirect.
        0x82 | 0x03 | 0xc0 => any_of(&[Link::Xn, Link::F1, Link::N3, Link::N9, Link::S1u]),
        // Xw RAN Container: towards WLAN.
        0x83 => any_of(&[]),
        // NR RAN Container: between parts of the RAN.
        0x84 => any_of(&[Link::Xn, Link::F1]),
        0x85 => any_of(&[Link::N3, Link::N9, Link::Xn, Link::F1]),
        _ => false,
    }
}

/// Paths that are watched at a time.
const PATHS: usize = 1 << 14;

/// Echo Requests and their answers of every path, to the last few.
#[derive(Debug, Default)]
pub(crate) struct Echoes {
    /// By (who asks, who answers).
    paths: BTreeMap<(Address, Address), Path>,
    evictions: u64,
}

#[derive(Debug, Default)]
struct Path {
    /// The window's begin, and the requests and answers in it.
    begin: Nanos,
    requests: u64,
    responses: u64,
    last: Nanos,
}

impl Echoes {
    /// Counts Echo Requests of a path, or Responses; gives how many more were
    /// answered within the window than a path needs, if any were.
    pub(crate) fn count(
        &mut self,
        (asks, answers): (Address, Address),
        is_request: bool,
        packets: u64,
        at: Nanos,
        (most, window): (u64, Nanos),
    ) -> Option<u64> {
        if self.paths.len() >= PATHS && !self.paths.contains_key(&(asks, answers)) {
            let idle = self.paths.iter().min_by_key(|(_, path)| path.last).map(|(key, _)| *key);
            if let Some(idle) = idle {
                self.paths.remove(&idle);
                self.evictions += 1;
            }
        }
        let path = self.paths.entry((asks, answers)).or_default();
        if at.since(path.begin) >= window || at < path.begin {
            *path = Path { begin: at, ..Path::default() };
        }
        path.last = path.last.max(at);
        let answered = path.requests.min(path.responses);
        *if is_request { &mut path.requests } else { &mut path.responses } += packets;
        let more = path.requests.min(path.responses) - answered;
        (more > 0 && path.requests.min(path.responses) > most).then_some(more)
    }

    /// Paths given up for others so far.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: (Address, Address) = (Address(1), Address(2));
    const BOUND: (u64, Nanos) = (2, Nanos::from_secs(60));

    #[test]
    fn extensions_belong_to_links() {
        assert!(is_standard(0x85, Link::N3, 255));
        assert!(is_standard(0x84, Link::F1, 255) && !is_standard(0x84, Link::N3, 255));
        assert!(is_standard(0x40, Link::N3, 26) && !is_standard(0x40, Link::N3, 255));
        assert!(is_standard(0x20, Link::Mixed, 255) && !is_standard(0x20, Link::N3, 255));
        assert!(!is_standard(0x5a, Link::Mixed, 255));
    }

    #[test]
    fn answered_echoes_beyond_the_bound_are_too_many() {
        let mut echoes = Echoes::default();
        let mut ask = |second: u64, is_request| {
            echoes.count(PATH, is_request, 1, Nanos::from_secs(second), BOUND)
        };
        for second in [0, 20] {
            assert_eq!((ask(second, true), ask(second, false)), (None, None));
        }
        assert_eq!((ask(40, true), ask(40, false)), (None, Some(1)));
        assert_eq!((ask(61, true), ask(61, false)), (None, None), "another window");
    }

    #[test]
    fn requests_without_answers_are_a_path_that_fails() {
        let mut echoes = Echoes::default();
        for second in 0..30 {
            assert_eq!(echoes.count(PATH, true, 1, Nanos::from_secs(second), BOUND), None);
        }
        assert_eq!(echoes.count(PATH, false, 1, Nanos::from_secs(30), BOUND), None);
    }

    #[test]
    fn the_paths_are_bounded_and_the_longest_idle_one_gives_way() {
        let mut echoes = Echoes::default();
        for n in 0..PATHS as u128 + 1 {
            let path = (Address(n), Address(u128::MAX));
            echoes.count(path, true, 1, Nanos::from_secs(n as u64), BOUND);
        }
        assert_eq!((echoes.paths.len(), echoes.evictions()), (PATHS, 1));
        assert!(!echoes.paths.contains_key(&(Address(0), Address(u128::MAX))));
    }
}
