//! Tunnels, by their TEIDs, and which of them a pass has anew.

use std::collections::HashSet;

use weir_wire::gtpu::{Gtpu, Message};
use weir_wire::gtpu_element::{Elements, TEID_DATA_I};

/// The most TEIDs of a kind that are known.
const TUNNELS: usize = 1 << 22;

/// What a pass adds to a TEID: the fraction of √2. Its multiples lie far apart however many passes
/// there are, and consecutive numbers stay consecutive. (The golden ratio's lie further apart, but
/// UPFs and generators spread their TEIDs by those.)
const STEP: u32 = 0x6a09_e667;

/// The fields of a GTP-U message that hold TEIDs: its header's, and those that an Error Indication is
/// about.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = &[u8; 4]> {
    let gtpu = Gtpu::parse(message).ok();
    let header = gtpu.and_then(|_| message.get(4..)?.first_chunk());
    let indication = gtpu.filter(|gtpu| gtpu.message() == Message::ErrorIndication);
    let elements = Elements::new(indication.and_then(body).unwrap_or_default());
    let about = elements.map_while(Result::ok).filter(|element| element.kind == TEID_DATA_I);
    header.into_iter().chain(about.filter_map(|element| element.value.first_chunk()))
}

/// What follows a message's extension headers, if they are whole.
fn body(gtpu: Gtpu<'_>) -> Option<&[u8]> {
    let mut extensions = gtpu.extensions();
    extensions.all(|extension| extension.is_ok()).then(|| extensions.rest())
}

/// Which TEIDs keep their number. What counts is settled at the end of the survey.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunnels {
    signalled: HashSet<u32>,
    /// Carried something and, once it is settled, were never set up by N4 that is there.
    unsignalled: HashSet<u32>,
}

impl Tunnels {
    /// Notes that N4 set a tunnel up.
    pub(crate) fn signalled(&mut self, teid: u32) {
        if self.signalled.len() < TUNNELS {
            self.signalled.insert(teid);
        }
    }

    /// Notes that a tunnel carried something.
    pub(crate) fn seen(&mut self, teid: u32) {
        if self.unsignalled.len() < TUNNELS {
            self.unsignalled.insert(teid);
        }
    }

    /// Settles which tunnels keep their TEIDs: those that no N4 of the captures set up, unless
    /// there is none at all. A session from before the capture stays what it is, and so does what
    /// nobody ever set up.
    pub(crate) fn settle(&mut self) {
        let signalled = std::mem::take(&mut self.signalled);
        self.unsignalled.retain(|teid| !signalled.is_empty() && !signalled.contains(teid));
    }

    /// A tunnel's TEID in a pass: a permutation of those that do not keep theirs. Zero is no
    /// tunnel's.
    pub(crate) fn moved(&self, teid: u32, pass: u32) -> u32 {
        if teid == 0 || self.unsignalled.contains(&teid) {
            return teid;
        }
        let step = u64::from(STEP) * u64::from(pass) % u64::from(u32::MAX);
        let mut to = teid;
        loop {
            // The numbers from 1 on, in a circle: the walk ends at `teid` at the latest.
            to = ((u64::from(to - 1) + step) % u64::from(u32::MAX)) as u32 + 1;
            if !self.unsignalled.contains(&to) {
                return to;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_stay_apart_pass_after_pass_and_zero_stays_none() {
        let tunnels = Tunnels::default();
        let mut all = HashSet::new();
        for pass in 0..1_000 {
            assert_eq!(tunnels.moved(0, pass), 0);
            assert!((1..=500).all(|teid| all.insert(tunnels.moved(teid, pass))), "{pass}");
            assert_ne!(tunnels.moved(u32::MAX, pass), 0);
        }
    }

    #[test]
    fn a_tunnel_that_no_n4_set_up_keeps_its_teid_and_nobody_else_gets_it() {
        let mut tunnels = Tunnels::default();
        (1..=9).for_each(|teid| tunnels.signalled(teid));
        let taken = tunnels.moved(5, 1);
        [3, 77, taken].into_iter().for_each(|teid| tunnels.seen(teid));
        let mut without_n4 = Tunnels { signalled: HashSet::new(), ..tunnels.clone() };
        without_n4.settle();
        assert_ne!(without_n4.moved(77, 1), 77);
        tunnels.settle();
        assert_eq!((tunnels.moved(77, 1), tunnels.moved(taken, 1)), (77, taken));
        assert_ne!(tunnels.moved(3, 1), 3);
        let all: HashSet<_> = (1..=9).map(|teid| tunnels.moved(teid, 1)).collect();
        assert!(all.len() == 9 && !all.contains(&taken));
    }
}
