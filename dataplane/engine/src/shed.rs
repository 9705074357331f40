//! Overload: users' flows are left out whole, so that N4, what equipment itself sends, and the
//! flows that are left are inspected as ever.
//!
//! What may be left out: G-PDUs, by their tunnel, and on the link to the data network packets with
//! no equipment at either end, by the pair of their addresses. All else is kept: N4, GTP-U's
//! other messages, fragments, whatever is not read in one look, and G-PDUs on the link to the data
//! network, where there should be none. Which flows go is drawn under a secret, so that nobody can
//! send in the shadow, and anew each time that overload begins, so that no flow stays in it.

use weir_wire::Address;
use weir_wire::ethernet::{self, Ethernet, Vlan};
use weir_wire::ipv4::Ipv4;

use crate::Nanos;
use crate::decode::protocol;
use crate::frame::{BURST, Frame, LinkType};
use crate::keyed_hash::fold;
use crate::rules::{Link, Party, Rules};
use crate::worker::Setup;

/// Of so many flows a share is counted.
pub const FLOWS: u32 = 256;

/// How long a queue must go without an end to be overload, and how many full polls must show it:
/// twice what a port holds, so that a backlog alone is none.
const PERIOD: Nanos = Nanos(100_000);
const POLLS: u32 = 32;
/// What such a period adds to the share.
const RISE: u32 = 16;
/// How often the share goes down while queues have ends, and after how many times by one more.
const PATIENCE: Nanos = Nanos(2_000_000);
const HASTE: u32 = 8;

/// Whether a worker has more to do than it can, and which share of users' flows it leaves out.
///
/// A queue that does not come to its end in 32 full polls and a tenth of a millisecond is overload:
/// the share goes up by 16 of 256 flows. It goes down every two milliseconds without, first by one,
/// later by more. So the share is found by the load itself, to some hundredths, and what is lost
/// meanwhile unasked is what a port's descriptors or a ring can't hold for some periods.
///
/// The period begins with the first full burst, and is that long, so that a backlog of which the
/// kernel was the cause, when it gave the core to somebody else, is no overload. And each queue has
/// an end of its own: an empty one says nothing about a full one beside it.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    share: u32,
    /// When the period began, and full polls in it.
    begun: Nanos,
    polls: u32,
    /// The queues that had no end in it, and those that had one: a bit for each.
    endless: u64,
    ended: u64,
    /// When the share last changed, and how often it went down since it went up.
    changed: Nanos,
    falls: u32,
    /// How often overload began.
    episodes: u32,
}

impl Overload {
    /// No overload at that time of any steady clock.
    pub fn new(now: Nanos) -> Self {
        Self {
            share: 0,
            begun: now,
            polls: 0,
            endless: 0,
            ended: 0,
            changed: now,
            falls: 0,
            episodes: 0,
        }
    }

    /// Notes a poll that brought `frames` of at most [`BURST`] from a worker's queue of that number;
    /// queues 64 apart count as one.
    #[inline]
    pub fn polled(&mut self, queue: usize, frames: usize, now: Nanos) {
        let queue = 1 << (queue % 64);
        if frames < BURST {
            self.ended |= queue;
            self.endless &= !queue;
            if self.endless == 0 {
                self.calm(now);
            }
        } else {
            self.endless |= queue & !self.ended;
            if self.polls == 0 {
                self.begun = now;
            }
            self.polls += 1;
            if self.endless != 0 && now.since(self.begun) >= PERIOD && self.polls >= POLLS {
                self.rise(now);
            }
        }
    }

    /// No queue is without an end: the period begins anew.
    #[inline]
    fn calm(&mut self, now: Nanos) {
        (self.polls, self.ended) = (0, 0);
        if self.share > 0 && now.since(self.changed) >= PATIENCE {
            self.share = self.share.saturating_sub(1 + self.falls / HASTE);
            self.falls += 1;
            self.changed = now;
        }
    }

    #[cold]
    fn rise(&mut self, now: Nanos) {
        self.episodes = self.episodes.wrapping_add(u32::from(self.share == 0));
        self.share = (self.share + RISE).min(FLOWS);
        (self.begun, self.polls, self.endless, self.ended) = (now, 0, 0, 0);
        (self.changed, self.falls) = (now, 0);
    }

    /// How many of 256 flows are left out.
    #[inline]
    pub fn share(&self) -> u32 {
        self.share
    }

    /// How often overload began.
    pub fn episodes(&self) -> u32 {
        self.episodes
    }
}

/// Which of the first [`BURST`] frames stay: a bit for each, by its place.
pub(crate) fn staying(
    frames: &[Frame<'_>],
    overload: &Overload,
    setup: &Setup,
    rules: Option<&Rules>,
) -> u64 {
    // So little is done with a frame that memory is asked for long before.
    const AHEAD: usize = 16;
    const { assert!(BURST <= 64, "a word has a bit for each frame") };
    // A driver's frames begin a cache line, others may go on into a second one.
    let ask_for = |frame: &Frame<'_>| {
        weir_mem::prefetch_slice(frame.bytes, 0);
        weir_mem::prefetch_slice(frame.bytes, TEID_AT);
    };
    let secret = setup.hash_key.wrapping_add(u64::from(overload.episodes) << 1 | 1);
    let multiplier = secret.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15 | 1;
    let share = u64::from(overload.share);
    frames.iter().take(AHEAD).for_each(ask_for);
    let mut staying = 0;
    for (place, frame) in frames.iter().take(BURST).enumerate() {
        if let Some(next) = frames.get(place + AHEAD) {
            ask_for(next);
        }
        let stays = users_flow(frame, setup, rules)
            .is_none_or(|flow| fold(secret ^ flow, multiplier) >> 56 >= share);
        staying |= u64::from(stays) << place;
    }
    staying
}

/// Where a G-PDU's TEID stands, in plain Ethernet.
const TEID_AT: usize = 46;

/// Puts the frames that stay side by side, in their order, and gives their number.
pub(crate) fn keep<'f>(frames: &[Frame<'f>], staying: u64, kept: &mut [Frame<'f>; BURST]) -> usize {
    let mut left = staying;
    let mut count = 0;
    while left != 0 {
        kept[count % BURST] = frames[left.trailing_zeros() as usize];
        left &= left - 1;
        count += 1;
    }
    count
}

/// A number of the user's flow that a frame belongs to; none of what must be kept.
#[inline]
fn users_flow(frame: &Frame<'_>, setup: &Setup, rules: Option<&Rules>) -> Option<u64> {
    if setup.link(frame.meta.tap) == Link::N6 {
        return users_pair(frame, setup, rules?);
    }
    let tunnel = setup.tunnel(frame)?;
    Some(tunnel.address.0 as u64 ^ u64::from(tunnel.teid) << 32)
}

/// The pair of addresses of a TCP or UDP packet in plain Ethernet that has no equipment at either
/// end; the same for both directions. GTP and PFCP have no place there, and are kept.
fn users_pair(frame: &Frame<'_>, setup: &Setup, rules: &Rules) -> Option<u64> {
    let ethernet = match frame.meta.link_type {
        LinkType::Ethernet => Ethernet::parse(frame.bytes).ok()?,
        _ => return None,
    };
    let packet = match ethernet.ether_type() {
        ethernet::VLAN => Vlan::parse(ethernet.payload()).ok()?.payload(),
        _ => ethernet.payload(),
    };
    let (ends, protocol, transport) = match packet.first()? >> 4 {
        4 => {
            let ip = Ipv4::parse(packet).ok()?;
            if ip.more_fragments() || ip.fragment_offset() != 0 {
                return None;
            }
            ((ip.source(), ip.destination()), ip.protocol(), ip.payload())
        }
        6 => {
            let (header, payload) = packet.split_first_chunk::<40>()?;
            let address = |at: usize| header[at..].first_chunk().copied().map(Address::v6);
            ((address(8)?, address(24)?), header[6], payload)
        }
        _ => return None,
    };
    let [source_port, destination_port] = {
        let [a, b, c, d] = *transport.first_chunk()?;
        [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
    };
    let is_users = |end| !matches!(Party::unpack(rules.party(end)), Party::Equipment(_));
    let may_go = matches!(protocol, protocol::TCP | protocol::UDP)
        && !setup.ports.may_be_signalling(source_port, destination_port)
        && is_users(ends.0)
        && is_users(ends.1);
    let folded = |end: Address| (end.0 >> 64) as u64 ^ end.0 as u64;
    // A sum is the same both ways.
    may_go.then(|| folded(ends.0).wrapping_add(folded(ends.1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Equipment, Roles, RuleSet};
    use crate::{RxMeta, lpm::Prefix};

    fn overload(share: u32) -> Overload {
        Overload { share, ..Overload::new(Nanos(0)) }
    }

    /// Polls every microsecond, each of which brings so many frames.
    fn poll(overload: &mut Overload, from: u64, micros: u64, frames: usize) -> u64 {
        (from..from + micros).for_each(|at| overload.polled(0, frames, Nanos(at * 1_000)));
        from + micros
    }

    #[test]
    fn the_share_rises_while_queues_have_no_end_and_falls_slowly_after() {
        let mut load = Overload::new(Nanos(0));
        let now = poll(&mut load, 0, 50_000, BURST - 1);
        assert_eq!((load.share(), load.episodes()), (0, 0));
        let now = poll(&mut load, now, 1_000, BURST);
        assert!((128..=176).contains(&load.share()), "{}", load.share());
        let now = poll(&mut load, now, 10_000, BURST);
        assert_eq!((load.share(), load.episodes()), (FLOWS, 1));
        let now = poll(&mut load, now, 16_000, 3);
        assert!((FLOWS - 8..=FLOWS - 6).contains(&load.share()), "{}", load.share());
        let now = poll(&mut load, now, 84_000, 3);
        assert!((40..=80).contains(&load.share()), "{}", load.share());
        let now = poll(&mut load, now, 100_000, 0);
        assert_eq!(load.share(), 0);
        poll(&mut load, now, 300, BURST);
        assert_eq!(load.episodes(), 2, "overload began again");
    }

    #[test]
    fn each_queue_has_an_end_of_its_own() {
        let mut load = Overload::new(Nanos(0));
        // Two queues that are full by turns are no overload, however many polls go by.
        for at in 0..10_000 {
            let full = at as usize / 10 % 2;
            for queue in 0..2 {
                let frames = if queue == full { BURST } else { 5 };
                load.polled(queue, frames, Nanos(at * 3_000));
            }
        }
        assert_eq!(load.share(), 0);
        // One that is always full is, whatever is beside it.
        for at in 10_000..10_100 {
            load.polled(0, BURST, Nanos(at * 3_000));
            load.polled(1, 0, Nanos(at * 3_000 + 1_000));
        }
        assert!((16..=48).contains(&load.share()), "{}", load.share());
    }

    #[test]
    fn a_backlog_that_is_worked_off_in_time_is_no_overload() {
        let mut load = Overload::new(Nanos(0));
        for episode in 0..100_u64 {
            // The kernel had the core for five milliseconds: a port's 1,024 descriptors are full.
            let at = episode * 10_000_000;
            load.polled(0, 3, Nanos(at));
            (0..16).for_each(|n| load.polled(0, BURST, Nanos(at + 5_000_000 + n * 4_000)));
            load.polled(0, 9, Nanos(at + 5_070_000));
        }
        assert_eq!((load.share(), load.episodes()), (0, 0));
    }

    fn rules() -> Rules {
        let equipment = Equipment {
            roles: Roles::UPF,
            prefixes: vec![Prefix::new(Address::v4([10, 0, 1, 0]), 24).unwrap()],
            macs: vec![],
        };
        Rules::compile(RuleSet { version: 1, equipment: vec![equipment], ..RuleSet::default() })
            .unwrap()
    }

    fn kept(frames: &[Vec<u8>], link: Link, share: u32) -> Vec<Vec<u8>> {
        let setup = Setup { links: vec![link], hash_key: 7, ..Setup::default() };
        let mut kept = Vec::new();
        for burst in frames.chunks(BURST) {
            let burst: Vec<Frame<'_>> =
                burst.iter().map(|bytes| Frame { bytes, meta: RxMeta::default() }).collect();
            let mut some = [Frame::default(); BURST];
            let stay = staying(&burst, &overload(share), &setup, Some(&rules()));
            let count = keep(&burst, stay, &mut some);
            kept.extend(some[..count].iter().map(|frame| frame.bytes.to_vec()));
        }
        kept
    }

    fn ip(from: [u8; 4], to: [u8; 4], ports: (u16, u16), protocol: u8) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0];
        frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend(from.into_iter().chain(to));
        frame.extend(ports.0.to_be_bytes().into_iter().chain(ports.1.to_be_bytes()));
        frame.extend([0, 12, 0, 0, 1, 2, 3, 4]);
        frame
    }

    #[test]
    fn tunnels_go_whole_and_as_many_as_the_share_says() {
        let frames = weir_pcaps::imix::frames(4_000, 40_000, 1);
        let teid = |frame: &Vec<u8>| frame[46..50].to_vec();
        let kept = kept(&frames, Link::N3, 64);
        let stay: std::collections::HashSet<_> = kept.iter().map(teid).collect();
        let all: std::collections::HashSet<_> = frames.iter().map(teid).collect();
        assert!((70..=80).contains(&(stay.len() * 100 / all.len())), "{}", stay.len());
        let of_those: Vec<_> =
            frames.iter().filter(|frame| stay.contains(&teid(frame))).cloned().collect();
        assert_eq!(kept, of_those, "no tunnel was cut, and the order stays");
    }

    #[test]
    fn n4_and_equipment_and_what_is_odd_always_stay() {
        let mut frames = vec![
            ip([10, 0, 2, 1], [10, 0, 1, 1], (8805, 8805), 17),
            ip([10, 0, 1, 7], [192, 0, 2, 1], (40_000, 443), 6),
            ip([192, 0, 2, 1], [10, 0, 1, 7], (443, 40_000), 6),
            ip([10, 60, 0, 1], [192, 0, 2, 1], (40_000, 2152), 17),
            ip([10, 60, 0, 1], [192, 0, 2, 1], (0, 0), 47),
        ];
        // A fragment, a frame of nothing, and one that is cut.
        let mut fragment = ip([10, 60, 0, 1], [192, 0, 2, 1], (40_000, 443), 17);
        fragment[20] = 0x20;
        frames.extend([fragment, vec![], frames[0][..30].to_vec()]);
        for link in [Link::N3, Link::N6, Link::Mixed] {
            assert_eq!(kept(&frames, link, FLOWS), frames, "{link:?}");
        }
        let users = vec![
            ip([10, 60, 0, 1], [192, 0, 2, 1], (40_000, 443), 6),
            ip([192, 0, 2, 1], [10, 60, 0, 1], (443, 40_000), 6),
        ];
        assert_eq!(kept(&users, Link::N6, FLOWS), Vec::<Vec<u8>>::new());
        assert_eq!(kept(&users, Link::N3, FLOWS), users, "on N3 that would be odd");
        let g_pdus = weir_pcaps::imix::frames(10, 10, 1);
        assert_eq!(kept(&g_pdus, Link::N6, FLOWS), g_pdus, "there should be none");
        for share in 0..=FLOWS {
            let both = kept(&users, Link::N6, share).len();
            assert!(both == 0 || both == 2, "a conversation was cut in two");
        }
    }
}
