//! N4 by the million, for measuring: datagrams of PFCP without frames around them. Each message is
//! built once with marks in it, and for each session the marks are written over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::n4::rules::{self, Terms};
use crate::pfcp::{self, Identity, Usage};
use crate::plan::Realm;
use crate::scenario::Slice;

/// A datagram of PFCP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Datagram {
    /// Address and UDP port that it comes from.
    pub source: (IpAddr, u16),
    /// Address and UDP port that it goes to.
    pub destination: (IpAddr, u16),
    /// The UDP payload: one PFCP message.
    pub payload: Vec<u8>,
}

/// The two ends of a session's tunnels, as TEID and address, and whose they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tunnels {
    /// At the UPF.
    pub uplink: (u32, Ipv4Addr),
    /// At the gNB.
    pub downlink: (u32, Ipv4Addr),
    /// The subscriber's address; of IPv6, the first of its /64.
    pub ue: IpAddr,
}

/// Sessions that are alive at once while cycles pass.
const BLOCK: u64 = 1_024;
/// gNBs, whose addresses follow each other.
const GNBS: u64 = 1_024;
const FIRST_GNB: Ipv4Addr = Ipv4Addr::new(10, 0, 128, 0);
const FIRST_UPF: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 0);
const FIRST_UPF_N4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 0);
const SMFS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 3, 1), Ipv4Addr::new(10, 0, 3, 2)];
const UE4: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 0);
const UE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);

/// Establishment, modification and deletion of each session, with their answers: six datagrams a
/// session, about a thousand sessions at a time. The same arguments give the same bytes.
///
/// # Panics
/// If `upfs` is 0 or above 250.
pub fn cycles(seed: u64, sessions: u64, upfs: u8) -> impl Iterator<Item = Datagram> {
    datagrams(seed, sessions, upfs, &[Step::Establish, Step::Modify, Step::Delete])
}

/// Establishment and modification of each session, which stays: four datagrams and two tunnels a
/// session.
///
/// # Panics
/// If `upfs` is 0 or above 250.
pub fn established(seed: u64, sessions: u64, upfs: u8) -> impl Iterator<Item = Datagram> {
    datagrams(seed, sessions, upfs, &[Step::Establish, Step::Modify])
}

/// The tunnels of the session of that number, from 0, in either load of the same seed and UPFs.
///
/// # Panics
/// If `upfs` is 0 or above 250.
#[must_use]
pub fn tunnels(seed: u64, session: u64, upfs: u8) -> Tunnels {
    check(upfs);
    let facts = Facts::new(seed, session, upfs);
    Tunnels {
        uplink: (facts.uplink_teid, nth(FIRST_UPF, facts.upf as u64)),
        downlink: (facts.downlink_teid, facts.gnb),
        ue: facts.ue,
    }
}

fn check(upfs: u8) {
    assert!((1..=250).contains(&upfs), "a load needs 1 to 250 UPFs, not {upfs}");
}

fn nth(first: Ipv4Addr, number: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits().wrapping_add(number as u32))
}

/// What happens to a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Establish,
    Modify,
    Delete,
}

/// How a session is described: one of these after its number.
#[derive(Clone, Copy)]
struct Form {
    chooses: bool,
    endpoints: bool,
    six: bool,
}

const fn form(chooses: bool, endpoints: bool, six: bool) -> Form {
    Form { chooses, endpoints, six }
}

const FORMS: [Form; 8] = [
    form(false, false, false),
    form(true, false, false),
    form(false, false, false),
    form(true, true, false),
    form(false, false, false),
    form(true, false, false),
    form(true, false, false),
    form(true, false, true),
];

/// What is a session's own.
struct Facts {
    form: usize,
    upf: usize,
    gnb: Ipv4Addr,
    ue: IpAddr,
    cp_seid: u64,
    up_seid: u64,
    uplink_teid: u32,
    downlink_teid: u32,
    number: u64,
}

impl Facts {
    fn new(seed: u64, number: u64, upfs: u8) -> Self {
        let (upf, at_upf) = (number % u64::from(upfs), number / u64::from(upfs) + 1);
        let form = (at_upf.wrapping_add(seed) % FORMS.len() as u64) as usize;
        // The odd factor spreads numbers over all 32 bits without repeating, and so does the seed.
        let teid = |count: u64| (count as u32).wrapping_mul(0x9e37_79b1) ^ (seed as u32);
        let ue = match FORMS[form].six {
            true => IpAddr::V6(Ipv6Addr::from_bits(UE6.to_bits() | u128::from(at_upf) << 64)),
            false => IpAddr::V4(nth(UE4, at_upf)),
        };
        Self {
            form,
            upf: upf as usize,
            gnb: nth(FIRST_GNB, number % GNBS),
            ue,
            cp_seid: number + 1,
            up_seid: at_upf | (upf + 1) << 40,
            uplink_teid: teid(at_upf),
            downlink_teid: teid(number + 1),
            number,
        }
    }
}

const SEQUENCE: [u8; 3] = [0xe1, 0xe2, 0xe3];
const CP_SEID: u64 = 0xc1c2_c3c4_c5c6_c7c8;
const UP_SEID: u64 = 0xd1d2_d3d4_d5d6_d7d8;
const UPLINK_TEID: u32 = 0xa1a2_a3a4;
const DOWNLINK_TEID: u32 = 0x9192_9394;
const UE4_MARK: Ipv4Addr = Ipv4Addr::new(0xb1, 0xb2, 0xb3, 0xb4);
const UE6_MARK: Ipv6Addr =
    Ipv6Addr::new(0xb1b2, 0xb3b4, 0xb5b6, 0xb7b8, 0xb9ba, 0xbbbc, 0xbdbe, 0xbfb0);
const GNB_MARK: Ipv4Addr = Ipv4Addr::new(0x81, 0x82, 0x83, 0x84);
/// Eight digits of the IMSI, at an even place: four octets.
const DIGITS_MARK: &str = "98765432";
const DIGITS: [u8; 4] = [0x89, 0x67, 0x45, 0x23];

#[derive(Clone, Copy)]
enum Mark {
    Sequence,
    CpSeid,
    UpSeid,
    UplinkTeid,
    DownlinkTeid,
    Ue4,
    Ue6,
    Gnb,
    Digits,
}

const MARKS: [(Mark, &[u8]); 9] = [
    (Mark::Sequence, &SEQUENCE),
    (Mark::CpSeid, &CP_SEID.to_be_bytes()),
    (Mark::UpSeid, &UP_SEID.to_be_bytes()),
    (Mark::UplinkTeid, &UPLINK_TEID.to_be_bytes()),
    (Mark::DownlinkTeid, &DOWNLINK_TEID.to_be_bytes()),
    (Mark::Ue4, &UE4_MARK.octets()),
    (Mark::Ue6, &UE6_MARK.octets()),
    (Mark::Gnb, &GNB_MARK.octets()),
    (Mark::Digits, &DIGITS),
];

/// A message with the places of its marks.
struct Template {
    bytes: Vec<u8>,
    places: Vec<(Mark, usize)>,
}

impl Template {
    fn new(bytes: Vec<u8>) -> Self {
        let mut places = Vec::new();
        for (mark, pattern) in MARKS {
            let windows = bytes.windows(pattern.len()).enumerate();
            places.extend(windows.filter(|(_, w)| *w == pattern).map(|(at, _)| (mark, at)));
        }
        Self { bytes, places }
    }

    fn filled(&self, facts: &Facts, sequence: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        for (mark, at) in &self.places {
            match (mark, facts.ue) {
                (Mark::Sequence, _) => put(*at, &sequence.to_be_bytes()[1..]),
                (Mark::CpSeid, _) => put(*at, &facts.cp_seid.to_be_bytes()),
                (Mark::UpSeid, _) => put(*at, &facts.up_seid.to_be_bytes()),
                (Mark::UplinkTeid, _) => put(*at, &facts.uplink_teid.to_be_bytes()),
                (Mark::DownlinkTeid, _) => put(*at, &facts.downlink_teid.to_be_bytes()),
                (Mark::Gnb, _) => put(*at, &facts.gnb.octets()),
                (Mark::Digits, _) => put(*at, &digits(facts.number)),
                (Mark::Ue4, IpAddr::V4(four)) => put(*at, &four.octets()),
                (Mark::Ue6, IpAddr::V6(six)) => put(*at, &six.octets()),
                // A template has the mark of its own family alone.
                (Mark::Ue4 | Mark::Ue6, _) => {}
            }
        }
        bytes
    }
}

/// The last eight decimal digits of a number in telephony BCD.
fn digits(number: u64) -> [u8; 4] {
    let mut rest = number;
    let mut coded = [0; 4];
    for octet in coded.iter_mut().rev() {
        let (pair, more) = ((rest % 100) as u8, rest / 100);
        *octet = (pair / 10) | ((pair % 10) << 4);
        rest = more;
    }
    coded
}

/// Request and answer of the three steps, for one UPF and form.
fn templates(upf: u64, form: Form) -> [[Template; 2]; 3] {
    let (cp, up) = (smf(upf), nth(FIRST_UPF_N4, upf));
    let realm = Realm { dnn: "internet".into(), slice: Slice { sst: 1, sd: [1, 2, 3] } };
    let identity = Identity {
        imsi: format!("001010{DIGITS_MARK}0"),
        imei: "3587500012345670".into(),
        msisdn: "882101234567".into(),
    };
    let terms = Terms {
        cp_seid: CP_SEID,
        cp: cp.into(),
        ue: if form.six { UE6_MARK.into() } else { UE4_MARK.into() },
        realm: &realm,
        identity: Some(&identity),
        uplink_teid: UPLINK_TEID,
        user_plane: nth(FIRST_UPF, upf),
        chooses: form.chooses,
        endpoints: form.endpoints,
        report_seconds: Some(600),
        set: None,
    };
    let usage = Usage {
        urr: rules::URR,
        number: 0,
        trigger: pfcp::TRIGGER_TERMINATION,
        from: 0xed00_0000,
        to: 0xed00_003c,
        bytes: [12_000, 340_000],
        packets: [90, 310],
    };
    let accepted = pfcp::accepted;
    let mut made = vec![pfcp::node_id(up), accepted(), pfcp::f_seid(UP_SEID, up)];
    made.extend(rules::created(&terms));
    let change = [rules::redirection(&realm, (DOWNLINK_TEID, GNB_MARK), false)];
    let ended = [accepted(), pfcp::usage_report(pfcp::USAGE_REPORT_OF_DELETION, &usage)];
    let [high, middle, low] = SEQUENCE;
    let sequence = u32::from_be_bytes([0, high, middle, low]);
    let message = |kind, seid, elements: &[Vec<u8>]| {
        Template::new(pfcp::session_message(kind, seid, sequence, elements))
    };
    [
        [
            message(pfcp::ESTABLISHMENT_REQUEST, 0, &rules::establishment(&terms)),
            message(pfcp::ESTABLISHMENT_RESPONSE, CP_SEID, &made),
        ],
        [
            message(pfcp::MODIFICATION_REQUEST, UP_SEID, &change),
            message(pfcp::MODIFICATION_RESPONSE, CP_SEID, &[accepted()]),
        ],
        [
            message(pfcp::DELETION_REQUEST, UP_SEID, &[]),
            message(pfcp::DELETION_RESPONSE, CP_SEID, &ended),
        ],
    ]
}

fn smf(upf: u64) -> Ipv4Addr {
    SMFS[(upf % SMFS.len() as u64) as usize]
}

fn datagrams(
    seed: u64,
    sessions: u64,
    upfs: u8,
    steps: &'static [Step],
) -> impl Iterator<Item = Datagram> {
    check(upfs);
    let templates: Vec<_> =
        (0..u64::from(upfs)).map(|upf| FORMS.map(|form| templates(upf, form))).collect();
    let mut sequence = seed as u32 & 0xff_ffff;
    let transactions = (0..sessions).step_by(BLOCK as usize).flat_map(move |first| {
        let block = first..(first + BLOCK).min(sessions);
        steps.iter().flat_map(move |step| block.clone().map(move |number| (*step, number)))
    });
    transactions.flat_map(move |(step, number)| {
        sequence = sequence % 0xff_ffff + 1;
        let facts = Facts::new(seed, number, upfs);
        let pair = &templates[facts.upf][facts.form][step as usize];
        let upf = facts.upf as u64;
        let cp = (IpAddr::V4(smf(upf)), pfcp::PORT);
        let up = (IpAddr::V4(nth(FIRST_UPF_N4, upf)), pfcp::PORT);
        let filled = pair.each_ref().map(|template| template.filled(&facts, sequence));
        let [request, response] = filled;
        [
            Datagram { source: cp, destination: up, payload: request },
            Datagram { source: up, destination: cp, payload: response },
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_load_repeats_and_each_cycle_is_whole() {
        let once: Vec<Datagram> = cycles(7, 3_000, 4).collect();
        assert_eq!(once.len(), 18_000);
        assert!(once == cycles(7, 3_000, 4).collect::<Vec<_>>());
        assert!(once != cycles(8, 3_000, 4).collect::<Vec<_>>());
        for kind in 50..=55 {
            let of_kind = once.iter().filter(|datagram| datagram.payload[1] == kind);
            assert_eq!(of_kind.count(), 3_000, "{kind}");
        }
        let whole = |d: &&Datagram| {
            usize::from(u16::from_be_bytes([d.payload[2], d.payload[3]])) + 4 == d.payload.len()
        };
        assert_eq!(once.iter().filter(whole).count(), once.len());
    }

    #[test]
    fn no_mark_is_left_and_every_tunnel_is_there_once() {
        let sessions = 5_000;
        let load: Vec<Datagram> = established(7, sessions, 3).collect();
        let holds = |payload: &[u8], wanted: &[u8]| {
            payload.windows(wanted.len()).any(|window| window == wanted)
        };
        for datagram in &load {
            for (_, pattern) in MARKS.iter().filter(|(_, pattern)| pattern.len() > 3) {
                assert!(!holds(&datagram.payload, pattern));
            }
        }
        let mut ends = BTreeSet::new();
        for number in 0..sessions {
            let Tunnels { uplink, downlink, ue } = tunnels(7, number, 3);
            assert!(ends.insert(uplink) && ends.insert(downlink), "{number}");
            let request = &load[(number / BLOCK * 4 * BLOCK + number % BLOCK * 2) as usize];
            let octets = match ue {
                IpAddr::V4(four) => four.octets().to_vec(),
                IpAddr::V6(six) => six.octets().to_vec(),
            };
            assert!(holds(&request.payload, &octets), "{number}");
        }
        assert_eq!(digits(12_345_678), [0x21, 0x43, 0x65, 0x87]);
    }
}
