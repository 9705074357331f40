//! What one worker saw in one slice.

use weir_wire::Address;

use crate::detect::cov_icmp::Echo;
use crate::detect::cov_time::Ntp;
use crate::exhibits::{Cause, Exhibits, FIRST};
use crate::finding::{Findings, INSIDE};
use crate::frame::TapId;
use crate::proof::Samples;
use crate::record::{Flags, Record};
use crate::rules::{EquipmentId, Link, Rules};
use crate::series::Evictions;
use crate::signalling::Pouch;
use crate::track::{FlowDelta, FlowKey};
use crate::tunnels::unresolved::Unresolved;
use crate::vendor_elements::VendorElements;
use crate::{Frame, Nanos};

/// Something about listed equipment that its entry does not list.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Sighting {
    /// The equipment.
    pub equipment: EquipmentId,
    /// What it showed.
    pub trait_seen: Trait,
    /// When first in this slice.
    pub time: Nanos,
    /// How many packets.
    pub packets: u64,
    /// How many bytes.
    pub bytes: u64,
    /// On which tap.
    pub tap: u16,
}

impl Sighting {
    #[inline]
    fn is(&self, equipment: EquipmentId, trait_seen: Trait) -> bool {
        self.equipment == equipment && self.trait_seen == trait_seen
    }

    /// Adds a packet.
    #[inline]
    fn again(&mut self, frame: &Frame<'_>) {
        (self.time, self.tap) = (self.time, self.tap).min((frame.meta.time, frame.meta.tap.0));
        self.packets += 1;
        self.bytes += u64::from(frame.meta.wire_len);
    }
}

/// The kinds of sightings.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Trait {
    /// Sent from this MAC address.
    Mac([u8; 6]),
    /// Sent in this VLAN.
    Vlan(u16),
    /// Sent a frame of this EtherType.
    EtherType(u16),
}

/// The kinds of messages from which equipment's names for addresses are learned, and which names
/// it asks for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Speech {
    /// A DNS answer to the equipment, whole.
    DnsAnswer,
    /// The beginning of a TLS ClientHello of the equipment to this address.
    ClientHello(Address),
    /// The beginning of a DNS question of the equipment.
    DnsQuestion,
    /// A QUIC Initial of the equipment, whole.
    Quic,
    /// The beginning of an SSH banner or key exchange of the equipment.
    Ssh,
    /// The beginning of an HTTP request of the equipment.
    Http,
    /// The beginning of what the equipment sends on a service in clear text.
    Clear,
}

/// A packet of equipment, or to it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Seen {
    /// Its time.
    pub time: Nanos,
    /// Which equipment asked, answers, or says hello.
    pub client: EquipmentId,
    /// Its flow.
    pub flow: FlowKey,
    /// Whether it goes from the flow's low end to its high end.
    pub upward: bool,
    /// Its bytes on the wire.
    pub bytes: u32,
    /// Its tap.
    pub tap: TapId,
    /// Its link.
    pub link: Link,
}

/// A message that was kept; its bytes stand in [`Report::heard_bytes`].
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// The packet that it came in.
    pub seen: Seen,
    /// What the message is.
    pub speech: Speech,
    /// Where the message starts.
    pub start: u32,
    /// How long it is.
    pub len: u32,
}

/// What a packet of equipment shows of echoes and time synchronisation.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mark {
    /// The packet.
    pub seen: Seen,
    /// What it shows.
    pub shows: Shows,
}

/// What single packets show.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Shows {
    /// An ICMP echo, or its reply.
    Echo(Echo),
    /// NTP.
    Ntp(Ntp),
    /// PTP with an element of this type, which is not usual.
    Ptp(u16),
}

/// Marks per slice.
const MARKS: usize = 4096;
/// Sightings per slice.
const SIGHTINGS: usize = 1024;
/// Messages with names per slice.
const HEARD: usize = 4096;
/// Their bytes per slice.
const HEARD_BYTES: usize = 256 << 10;
/// Bytes per slice beyond which no ClientHello is kept: equipment that says
/// hello without end leaves room for the answers that it gets.
const HELLO_BYTES: usize = HEARD_BYTES / 2;
/// Hellos per slice beyond which no more are kept, for the same reason.
const HELLOS: usize = HEARD / 2;
/// Questions per slice beyond which no more are kept, and their bytes.
const QUESTIONS: usize = 3 * HEARD / 4;
const QUESTION_BYTES: usize = 3 * HEARD_BYTES / 4;
/// How much is read of a question: the header and the longest name, its type and class.
const QUESTION_LARGEST: usize = 12 + 255 + 4;
/// Beginnings of clear text per slice beyond which no more are kept, their bytes, and how much is
/// read of a packet of them.
const SAMPLES: usize = HELLOS / 2;
const SAMPLE_BYTES: usize = HELLO_BYTES / 2;
const SAMPLE_LARGEST: usize = 512;
/// The largest DNS answer that is read; UDP answers are smaller as a rule.
const DNS_LARGEST: usize = 4096;
/// How much is read of a ClientHello; what follows is not looked at.
const HELLO_LARGEST: usize = 2048;

/// What one worker saw in one slice, or in a part of it if the slice was full.
#[derive(Debug, Default)]
pub struct Report {
    /// The slice's number.
    pub slice: u64,
    /// The largest packet time seen so far, whatever the slice.
    pub latest: Nanos,
    /// The identity of the policy that told equipment from others, 0 for none.
    pub policy: u64,
    /// Whether further reports for this slice follow.
    pub partial: bool,
    /// What each flow did.
    pub flows: Vec<FlowDelta>,
    /// What listed equipment showed.
    pub sightings: Vec<Sighting>,
    /// Where an equipment's last sighting stands, by its number.
    pub(crate) hints: Vec<u16>,
    /// Messages that name the addresses equipment talks to.
    pub heard: Vec<Heard>,
    /// Their bytes.
    pub heard_bytes: Vec<u8>,
    /// Echoes and time synchronisation of equipment.
    pub marks: Vec<Mark>,
    /// What single packets of GTP-U showed.
    pub findings: Findings,
    /// User packets per direction and tap: (tap, uplink, downlink).
    pub directions: Vec<(TapId, u64, u64)>,
    /// Sightings, findings, marks and messages that found no room.
    pub dropped: u64,
    /// What the worker's tables of fragments gave up for lack of room.
    pub evictions: Evictions,
    /// Vendors' PFCP elements.
    pub vendors: VendorElements,
    /// N4's datagrams.
    pub n4: Pouch,
    /// G-PDUs that only the session machine can place.
    pub unresolved: Unresolved,
    /// Packets chosen for proof.
    pub samples: Samples,
    /// Frames that an alert may ask for.
    pub exhibits: Exhibits,
    /// The largest backward step of the clock in the slice.
    pub clock_back: Nanos,
    /// The largest forward step of the clock in the slice.
    pub clock_ahead: Nanos,
    /// Backward steps beyond reordering.
    pub clock_steps: u64,
}

impl Report {
    /// An empty report with room for a slice.
    pub fn with_room() -> Self {
        Self {
            sightings: Vec::with_capacity(SIGHTINGS),
            hints: vec![0; SIGHTINGS],
            heard: Vec::with_capacity(HEARD),
            heard_bytes: Vec::with_capacity(HEARD_BYTES),
            marks: Vec::with_capacity(MARKS),
            findings: Findings::with_room(),
            directions: Vec::with_capacity(64),
            vendors: VendorElements::with_room(),
            n4: Pouch::with_room(),
            unresolved: Unresolved::with_room(),
            samples: Samples::with_room(),
            exhibits: Exhibits::with_room(),
            ..Self::default()
        }
    }

    /// Empties the report, whose tables hash under this secret from now on.
    pub(crate) fn under(&mut self, secret: u64) {
        self.clear();
        self.findings.under(secret);
        self.unresolved.under(secret);
    }

    /// Empties the report and keeps its room.
    pub fn clear(&mut self) {
        self.flows.clear();
        self.sightings.clear();
        self.heard.clear();
        self.heard_bytes.clear();
        self.marks.clear();
        self.findings.clear();
        self.directions.clear();
        self.partial = false;
        self.dropped = 0;
        self.evictions = Evictions::default();
        self.vendors.clear();
        self.n4.clear();
        self.unresolved.clear();
        self.samples.clear();
        self.exhibits.clear();
        self.clock_back = Nanos(0);
        self.clock_ahead = Nanos(0);
        self.clock_steps = 0;
    }

    /// Notes a sighting, once per equipment and trait.
    #[inline]
    pub fn sight(&mut self, frame: &Frame<'_>, equipment: EquipmentId, trait_seen: Trait) {
        // Most packets show what the equipment's packet before showed.
        let hint = self.hints.get(equipment.0 as usize % SIGHTINGS);
        match hint.and_then(|place| self.sightings.get_mut(usize::from(*place))) {
            Some(seen) if seen.is(equipment, trait_seen) => seen.again(frame),
            _ => self.sight_another(frame, equipment, trait_seen),
        }
    }

    /// Notes what is wrong with a packet of GTP-U, and keeps the first ones of a kind.
    #[cold]
    pub(crate) fn examine(
        &mut self,
        frame: &Frame<'_>,
        record: &Record,
        ends: (Address, Address),
        rules: &Rules,
    ) {
        let (dropped, packets) = self.findings.examine(frame, record, ends, rules);
        self.dropped += dropped;
        if packets > FIRST {
            return;
        }
        if record.flags.has(Flags::NESTED) {
            self.exhibits.keep(frame, record, Cause::Nested, ends);
        } else if record.flags.any(INSIDE) {
            self.exhibits.keep(frame, record, Cause::Inside, ends);
        }
        if !record.oddities.is_empty() {
            self.exhibits.keep(frame, record, Cause::OddHeader, ends);
        }
    }

    /// Adds later packets to what equipment showed before.
    pub(crate) fn sight_more(
        &mut self,
        equipment: EquipmentId,
        trait_seen: Trait,
        packets: u64,
        bytes: u64,
    ) {
        match self.sightings.iter_mut().find(|seen| seen.is(equipment, trait_seen)) {
            Some(seen) => {
                seen.packets += packets;
                seen.bytes += bytes;
            }
            // Where the first one found no room, they find none.
            None => self.dropped += packets,
        }
    }

    #[inline(never)]
    fn sight_another(&mut self, frame: &Frame<'_>, equipment: EquipmentId, trait_seen: Trait) {
        let known = self.sightings.iter().position(|seen| seen.is(equipment, trait_seen));
        let place = known.unwrap_or(self.sightings.len());
        if let Some(hint) = self.hints.get_mut(equipment.0 as usize % SIGHTINGS) {
            *hint = place as u16;
        }
        if let Some(seen) = self.sightings.get_mut(place) {
            seen.again(frame);
        } else if place < SIGHTINGS {
            self.sightings.push(Sighting {
                equipment,
                trait_seen,
                time: frame.meta.time,
                packets: 1,
                bytes: u64::from(frame.meta.wire_len),
                tap: frame.meta.tap.0,
            });
        } else {
            self.dropped += 1;
        }
    }

    /// Keeps a message. A DNS answer is kept whole or not at all, since a cut one can't
    /// be read; of a ClientHello, and of a question, only the beginning.
    pub fn hear(&mut self, seen: Seen, speech: Speech, message: &[u8]) {
        let (message, messages, bytes) = match speech {
            Speech::DnsAnswer => (message, HEARD, HEARD_BYTES),
            Speech::ClientHello(_) => {
                (message.get(..HELLO_LARGEST).unwrap_or(message), HELLOS, HELLO_BYTES)
            }
            Speech::Clear => {
                (message.get(..SAMPLE_LARGEST).unwrap_or(message), SAMPLES, SAMPLE_BYTES)
            }
            Speech::Quic | Speech::Ssh | Speech::Http => {
                (message.get(..HELLO_LARGEST).unwrap_or(message), HELLOS, HELLO_BYTES)
            }
            Speech::DnsQuestion => {
                let beginning = message.get(..QUESTION_LARGEST).unwrap_or(message);
                (beginning, QUESTIONS, QUESTION_BYTES)
            }
        };
        let room = self.heard.len() < messages
            && message.len() <= DNS_LARGEST
            && self.heard_bytes.len() + message.len() <= bytes;
        if !room {
            self.dropped += 1;
            return;
        }
        let start = self.heard_bytes.len() as u32;
        self.heard_bytes.extend_from_slice(message);
        self.heard.push(Heard { seen, speech, start, len: message.len() as u32 });
    }

    /// Notes what a packet shows.
    pub fn mark(&mut self, seen: Seen, shows: Shows) {
        if self.marks.len() < MARKS {
            self.marks.push(Mark { seen, shows });
        } else {
            self.dropped += 1;
        }
    }

    /// The bytes of a message that was heard.
    pub fn message(&self, heard: &Heard) -> &[u8] {
        let start = heard.start as usize;
        self.heard_bytes.get(start..start + heard.len as usize).unwrap_or_default()
    }

    /// Counts users' packets of a tap.
    #[inline]
    pub fn direction(&mut self, tap: TapId, uplink: bool, packets: u64) {
        let row = match self.directions.iter_mut().find(|(of, ..)| *of == tap) {
            Some(row) => row,
            None => {
                self.directions.push((tap, 0, 0));
                match self.directions.last_mut() {
                    Some(row) => row,
                    None => return,
                }
            }
        };
        row.1 += u64::from(uplink) * packets;
        row.2 += u64::from(!uplink) * packets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Speech = Speech::ClientHello(Address(7));

    fn hear(report: &mut Report, speech: Speech, len: usize) {
        let seen = Seen {
            time: Nanos(1),
            client: EquipmentId(2),
            flow: FlowKey::default(),
            upward: true,
            bytes: len as u32,
            tap: TapId(0),
            link: Link::Oam,
        };
        report.hear(seen, speech, &vec![3; len]);
    }

    #[test]
    fn of_a_hello_the_beginning_is_kept_of_an_answer_all_or_nothing() {
        let mut report = Report::with_room();
        hear(&mut report, SERVER, 65_000);
        hear(&mut report, Speech::DnsAnswer, DNS_LARGEST);
        hear(&mut report, Speech::DnsAnswer, DNS_LARGEST + 1);
        let kept: Vec<usize> = report.heard.iter().map(|it| report.message(it).len()).collect();
        assert_eq!((kept, report.dropped), (vec![HELLO_LARGEST, DNS_LARGEST], 1));
    }

    #[test]
    fn hellos_and_questions_leave_room_for_answers_and_nothing_grows_beyond_its_room() {
        for len in [0, 6, HELLO_LARGEST] {
            let mut report = Report::with_room();
            let capacity = (report.heard.capacity(), report.heard_bytes.capacity());
            for speech in [SERVER, Speech::DnsQuestion, Speech::DnsAnswer] {
                let before = report.heard.len();
                for _ in 0..10_000 {
                    hear(&mut report, speech, len);
                }
                assert!(report.heard.len() > before, "no room for {speech:?} of {len} bytes");
            }
            assert_eq!(report.dropped + report.heard.len() as u64, 30_000);
            assert_eq!((report.heard.capacity(), report.heard_bytes.capacity()), capacity);
        }
    }
}
