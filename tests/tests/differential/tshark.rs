//! The readings of tshark.
//!
//! It gives every field of a frame as a list, over all layers. What belongs to which layer is told
//! by `frame.protocols`, which names the layers in order: the second `ip` there has the second
//! `ip.src`.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::field::{ALL, Field, Reading};
use crate::oracle::Theirs;

/// The fields asked for.
const COLUMNS: &[&str] = &[
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ip.proto",
    "ip.flags.mf",
    "ip.frag_offset",
    "ip.reassembled.length",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.nxt",
    "ipv6.hopopts.nxt",
    "ipv6.dstopts.nxt",
    "ipv6.routing.nxt",
    "ipv6.fraghdr.nxt",
    "ipv6.fraghdr.more",
    "ipv6.fraghdr.offset",
    "ipv6.reassembled.length",
    "udp.srcport",
    "udp.dstport",
    "tcp.srcport",
    "tcp.dstport",
    "sctp.srcport",
    "sctp.dstport",
    "vlan.id",
    "ieee8021ad.id",
    "ieee8021ad.svid",
    "ieee8021ad.cvid",
    "mpls.label",
    "gtp.flags",
    "gtp.message",
    "gtp.teid",
    "gtp.length",
    "gtp.seq_number",
    "gtp.npdu_number",
    "gtp.ext_hdr.next",
    "gtp.ext_hdr.length",
    "gtp.ext_hdr.pdu_ses_con.pdu_type",
    "gtp.ext_hdr.pdu_ses_con.qos_flow_id",
    "gtp.ext_hdr.pdu_ses_cont.rqi",
    "gtp.ext_hdr.pdu_ses_cont.ppp",
    "gtp.ext_hdr.pdu_ses_cont.ppi",
    "pfcp.version",
    "pfcp.msg_type",
    "pfcp.s",
    "pfcp.seid",
    "pfcp.seqno",
    "pfcp.length",
    "pfcp.ie_type",
    "pfcp.enterprise_ie",
];

/// What tshark can be asked about.
pub(crate) fn fields() -> Vec<Field> {
    // Version 4.0 does not know the first two; elements are listed in two columns.
    let unknown = [Field::Qmp, Field::Snp, Field::PfcpElements];
    ALL.iter().copied().filter(|field| !unknown.contains(field)).collect()
}

/// The first `most` frames of a capture; none if there is no tshark. A damaged file
/// is read up to the damage.
///
/// # Panics
/// If tshark does not take its arguments.
pub(crate) fn read(capture: &Path, most: usize) -> Option<Vec<Theirs>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-c", &most.to_string(), "-T", "fields", "-r"]).arg(capture);
    for column in COLUMNS {
        command.args(["-e", column]);
    }
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("tshark: {error}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || !text.is_empty(), "{complaint}");
    Some(text.lines().map(|line| Row::new(line).reading()).collect())
}

/// The fields of one frame.
struct Row<'a> {
    cells: Vec<&'a str>,
}

/// An IP packet of the frame, with the header that follows it.
#[derive(Default)]
struct Packet {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    protocol: Option<u64>,
    ports: Option<(u64, u64)>,
    fragment: Fragment,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Fragment {
    #[default]
    None,
    First,
    Later,
    Reassembled,
}

/// The packets down to the first tunnel and the user's, and which tunnel it is.
#[derive(Default)]
struct Walk {
    vlans: Vec<u64>,
    packets: Vec<Packet>,
    /// How many packets there were when a wrapper of frames came.
    wrapper: usize,
    /// Whether PFCP comes somewhere, be it in a tunnel.
    pfcp: bool,
    carries: Option<&'static str>,
    /// How many packets there were when the tunnel came.
    outside: usize,
}

impl<'a> Row<'a> {
    fn new(line: &'a str) -> Self {
        Self { cells: line.split('\t').collect() }
    }

    fn all(&self, column: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let index = COLUMNS.iter().position(|one| *one == column).expect("the column is asked for");
        let cell = self.cells.get(index).copied().unwrap_or_default();
        cell.split(',').filter(|value| !value.is_empty())
    }

    fn nth(&self, column: &str, n: usize) -> Option<&'a str> {
        self.all(column).nth(n)
    }

    fn number(&self, column: &str, n: usize) -> Option<u64> {
        self.nth(column, n).map(number)
    }

    fn numbers(&self, column: &str) -> Vec<u64> {
        self.all(column).map(number).collect()
    }

    fn reading(&self) -> Theirs {
        let protocols = self.cells[0];
        let layers: Vec<&str> = protocols.split(':').collect();
        let walk = self.walk(&layers);
        let mut reading = Reading::default();
        reading.put(Field::Carries, walk.carries.unwrap_or("neither"));
        reading.put_list(Field::Vlan, &walk.vlans);
        reading.put_list(Field::Mpls, self.numbers("mpls.label"));
        if let Some(outer) = walk.outer() {
            put_outer(outer, &mut reading);
        }
        let mut user_fragment = false;
        if walk.carries == Some("gtpu") {
            self.gtpu(&mut reading);
            if let Some(inner) = walk.packets.get(walk.outside) {
                put_inner(inner, &mut reading);
                user_fragment = inner.fragment != Fragment::None;
            }
        }
        if walk.pfcp {
            self.pfcp(&mut reading);
        }
        let versions = self.numbers("pfcp.version");
        Theirs { reading, layers: protocols.to_owned(), versions, user_fragment }
    }

    /// Goes through the layers down to an ICMP header: behind it are quotes.
    fn walk(&self, layers: &[&str]) -> Walk {
        let mut walk = Walk::default();
        let mut seen = std::collections::BTreeMap::new();
        for (at, layer) in layers.iter().enumerate() {
            let count = seen.entry(*layer).or_insert(0);
            let n = *count;
            *count += 1;
            match *layer {
                "ip" => walk.packets.push(self.v4(n, layers.get(at + 1))),
                "ipv6" => walk.packets.push(Packet {
                    source: self.nth("ipv6.src", n).and_then(|text| text.parse().ok()),
                    destination: self.nth("ipv6.dst", n).and_then(|text| text.parse().ok()),
                    protocol: self.number("ipv6.nxt", n),
                    ..Packet::default()
                }),
                "icmp" | "icmpv6" => break,
                "vlan" => walk.vlans.extend(self.number("vlan.id", n)),
                // One tag, or two of its kind with a name for each.
                "ieee8021ad" => {
                    let ids = ["id", "svid", "cvid"].map(|id| format!("ieee8021ad.{id}"));
                    walk.vlans.extend(ids.iter().filter_map(|column| self.number(column, n)));
                }
                "vxlan" | "erspan" if walk.carries.is_none() => walk.wrapper = walk.packets.len(),
                "gtp" if walk.carries.is_none() && self.is_gtpu(n, layers.get(at + 1)) => {
                    (walk.carries, walk.outside) = (Some("gtpu"), walk.packets.len());
                }
                "pfcp" => {
                    walk.pfcp = true;
                    if walk.carries.is_none() {
                        (walk.carries, walk.outside) = (Some("pfcp"), walk.packets.len());
                    }
                }
                _ => {
                    if let Some(packet) = walk.packets.last_mut() {
                        self.follow(layer, n, packet);
                    }
                }
            }
        }
        walk
    }

    fn v4(&self, n: usize, next: Option<&&str>) -> Packet {
        let more = self.number("ip.flags.mf", n) == Some(1);
        let offset = self.number("ip.frag_offset", n).unwrap_or_default();
        let whole = self.nth("ip.reassembled.length", 0).is_some() && next != Some(&"data");
        Packet {
            source: self.nth("ip.src", n).and_then(|text| text.parse().ok()),
            destination: self.nth("ip.dst", n).and_then(|text| text.parse().ok()),
            protocol: self.number("ip.proto", n),
            ports: None,
            fragment: Fragment::of(more, offset, whole),
        }
    }

    /// Adds a header that follows an IP header.
    fn follow(&self, layer: &str, n: usize, packet: &mut Packet) {
        match layer {
            "udp" | "tcp" | "sctp" => {
                let port = |end: &str| self.number(&format!("{layer}.{end}"), n);
                packet.ports = packet.ports.or(port("srcport").zip(port("dstport")));
            }
            "ipv6.hopopts" | "ipv6.dstopts" | "ipv6.routing" => {
                packet.protocol = self.number(&format!("{layer}.nxt"), n).or(packet.protocol);
            }
            "ipv6.fraghdr" => {
                packet.protocol = self.number("ipv6.fraghdr.nxt", n).or(packet.protocol);
                let more = self.number("ipv6.fraghdr.more", n) == Some(1);
                let offset = self.number("ipv6.fraghdr.offset", n).unwrap_or_default();
                let whole = self.nth("ipv6.reassembled.length", 0).is_some();
                packet.fragment = Fragment::of(more, offset, whole);
            }
            _ => {}
        }
    }

    /// tshark names GTP of any version and purpose alike.
    fn is_gtpu(&self, n: usize, next: Option<&&str>) -> bool {
        let version_and_type = self.number("gtp.flags", n).map(|flags| flags & 0xf0);
        next != Some(&"gtpv2")
            && version_and_type == Some(0x30)
            && self.all("udp.srcport").chain(self.all("udp.dstport")).any(|port| port == "2152")
    }

    fn gtpu(&self, reading: &mut Reading) {
        reading.put_some(Field::GtpuType, self.number("gtp.message", 0));
        reading.put_some(Field::GtpuTeid, self.number("gtp.teid", 0));
        reading.put_some(Field::GtpuLength, self.number("gtp.length", 0));
        // The lists also have what a GTP-U header inside has: the flags tell.
        let flags = self.number("gtp.flags", 0).unwrap_or_default();
        if flags & 2 != 0 {
            reading.put_some(Field::GtpuSequence, self.number("gtp.seq_number", 0));
        }
        if flags & 1 != 0 {
            reading.put_some(Field::GtpuNPdu, self.number("gtp.npdu_number", 0));
        }
        if flags & 4 == 0 {
            return;
        }
        let types = self.numbers("gtp.ext_hdr.next").into_iter().take_while(|next| *next != 0);
        let lengths = self.numbers("gtp.ext_hdr.length");
        let chain: Vec<(u64, u64)> = types.zip(lengths.into_iter().map(|len| len * 4)).collect();
        reading.put_list(Field::Extensions, chain.iter().map(|(kind, _)| kind));
        reading.put_list(Field::ExtensionLengths, chain.iter().map(|(_, len)| len));
        if chain.iter().any(|(kind, _)| *kind == 0x85) {
            self.container(reading);
        }
    }

    fn container(&self, reading: &mut Reading) {
        let kind = self.number("gtp.ext_hdr.pdu_ses_con.pdu_type", 0);
        reading.put_some(Field::ContainerType, kind);
        let qfi = self.number("gtp.ext_hdr.pdu_ses_con.qos_flow_id", 0);
        reading.put_some(Field::Qfi, qfi);
        if kind == Some(0) {
            let flag = |column| self.nth(column, 0).map(|value| value == "1" || value == "True");
            reading.put_some(Field::Rqi, flag("gtp.ext_hdr.pdu_ses_cont.rqi"));
            let policy = flag("gtp.ext_hdr.pdu_ses_cont.ppp");
            reading.put_some(Field::Ppp, policy);
            if policy == Some(true) {
                let indicator = self.number("gtp.ext_hdr.pdu_ses_cont.ppi", 0);
                reading.put_some(Field::Ppi, indicator);
            }
        }
    }

    fn pfcp(&self, reading: &mut Reading) {
        reading.put_list(Field::PfcpType, self.numbers("pfcp.msg_type"));
        reading.put_list(Field::PfcpSequence, self.numbers("pfcp.seqno"));
        reading.put_list(Field::PfcpLength, self.numbers("pfcp.length"));
        reading.put_list(Field::StandardElements, self.numbers("pfcp.ie_type"));
        reading.put_list(Field::VendorElements, self.numbers("pfcp.enterprise_ie"));
        // The list has the SEIDs of headers and of F-SEIDs, the first header's first.
        let headers = self.numbers("pfcp.s").iter().filter(|flag| **flag == 1).count();
        let seids = self.numbers("pfcp.seid").into_iter().take(headers);
        reading.put_list(Field::PfcpSeid, seids.map(|seid| format!("{seid:#x}")));
    }
}

impl Walk {
    /// The packet that carries the tunnel; without one the outermost, of a wrapper the first in it.
    fn outer(&self) -> Option<&Packet> {
        match self.carries {
            Some(_) => self.packets[..self.outside].last(),
            None => self.packets.get(self.wrapper).or(self.packets.first()),
        }
    }
}

impl Fragment {
    fn of(more: bool, offset: u64, whole: bool) -> Self {
        match (more, offset) {
            (false, 0) => Self::None,
            _ if whole => Self::Reassembled,
            (true, 0) => Self::First,
            _ => Self::Later,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::First => "first",
            Self::Later => "later",
            Self::Reassembled => "reassembled",
        }
    }
}

fn put_outer(packet: &Packet, reading: &mut Reading) {
    reading.put_some(Field::OuterSource, packet.source);
    reading.put_some(Field::OuterDestination, packet.destination);
    reading.put_some(Field::OuterProtocol, packet.protocol);
    reading.put_some(Field::OuterSourcePort, packet.ports.map(|(port, _)| port));
    reading.put_some(Field::OuterDestinationPort, packet.ports.map(|(_, port)| port));
    reading.put(Field::Fragment, packet.fragment.name());
}

fn put_inner(packet: &Packet, reading: &mut Reading) {
    reading.put_some(Field::InnerSource, packet.source);
    reading.put_some(Field::InnerDestination, packet.destination);
    reading.put_some(Field::InnerProtocol, packet.protocol);
    reading.put_some(Field::InnerSourcePort, packet.ports.map(|(port, _)| port));
    reading.put_some(Field::InnerDestinationPort, packet.ports.map(|(_, port)| port));
}

/// tshark writes some numbers in hexadecimal.
fn number(text: &str) -> u64 {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.unwrap_or_else(|_| panic!("tshark's {text} is no number"))
}
