//! What was seen: flow and alert events of an event file, one line at a time.

use std::io::{self, BufRead, Read};
use std::net::IpAddr;

use serde::Deserialize;
use weir_engine::Nanos;

/// A line is an event of some kilobytes; what is longer is none.
const LONGEST: u64 = 1 << 20;

/// A record of a flow: as it stood after an hour, or at its end.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Of the flow, for its life.
    pub(crate) flow_id: String,
    /// Initiator first, as far as it is known.
    pub(crate) source: (IpAddr, u16),
    /// The other side.
    pub(crate) destination: (IpAddr, u16),
    /// The IP protocol.
    pub(crate) protocol: u8,
    /// The id of the equipment that the event is about.
    pub(crate) equipment: String,
    /// The address of the other side, and its id if that is equipment too.
    pub(crate) peer: (IpAddr, Option<String>),
    /// What the peer is called.
    pub(crate) name: Option<String>,
    /// Whether it is known who opened it.
    pub(crate) is_opener_known: bool,
    /// Whether the policy in force allowed it.
    pub(crate) is_allowed: bool,
    /// Whether further records of it follow.
    pub(crate) goes_on: bool,
    /// The first packet's time.
    pub(crate) first: Nanos,
    /// The last packet's time.
    pub(crate) last: Nanos,
    /// Packets and bytes of the first side so far.
    pub(crate) to_server: (u64, u64),
    /// Those of the other side.
    pub(crate) to_client: (u64, u64),
    /// The TCP flags of the other side.
    pub(crate) answer_flags: u8,
}

/// An alert about equipment and a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Flagged {
    pub(crate) detection: String,
    pub(crate) equipment: String,
    pub(crate) peer: IpAddr,
    pub(crate) peer_equipment: Option<String>,
    pub(crate) last: Nanos,
}

/// What a line says.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Flow(Box<Record>),
    Flagged(Flagged),
}

/// How an event file was read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lines {
    /// All lines.
    pub(crate) read: u64,
    /// Those that are no events: cut, or of something else.
    pub(crate) broken: u64,
}

/// Hands on what an event file says of flows and alerts.
pub(crate) fn read(mut input: impl BufRead, mut take: impl FnMut(Seen)) -> io::Result<Lines> {
    let mut lines = Lines::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(lines);
        }
        lines.read += 1;
        if line.last() != Some(&b'\n') && line.len() as u64 == LONGEST {
            skip_line(&mut input)?;
            lines.broken += 1;
            continue;
        }
        match serde_json::from_slice::<Line>(&line) {
            Ok(event) => {
                if let Some(seen) = event.seen() {
                    take(seen);
                }
            }
            Err(_) => lines.broken += 1,
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let waiting = input.fill_buf()?;
        let end = waiting.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(waiting.len(), |at| at + 1);
        if length == 0 {
            return Ok(());
        }
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[derive(Deserialize)]
struct Line {
    event_type: String,
    flow_id: Option<String>,
    src_ip: Option<IpAddr>,
    #[serde(default)]
    src_port: u16,
    dest_ip: Option<IpAddr>,
    #[serde(default)]
    dest_port: u16,
    proto: Option<String>,
    flow: Option<Counts>,
    weir: Option<Body>,
}

#[derive(Deserialize)]
struct Counts {
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
    start: String,
    end: String,
    reason: String,
    tcp_flags_tc: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    detection: Option<String>,
    initiator: Option<String>,
    #[serde(default)]
    allowed: bool,
    equipment: Option<Named>,
    peer: Option<Peer>,
    last: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Peer {
    ip: IpAddr,
    equipment: Option<String>,
    name: Option<String>,
}

impl Line {
    fn seen(self) -> Option<Seen> {
        match self.event_type.as_str() {
            "flow" => self.record().map(|record| Seen::Flow(Box::new(record))),
            "alert" => self.flagged().map(Seen::Flagged),
            _ => None,
        }
    }

    fn record(self) -> Option<Record> {
        let (counts, weir) = (self.flow?, self.weir?);
        let peer = weir.peer?;
        Some(Record {
            flow_id: self.flow_id?,
            // A policy writes an IPv4 address in IPv6 form as IPv4.
            source: (self.src_ip?.to_canonical(), self.src_port),
            destination: (self.dest_ip?.to_canonical(), self.dest_port),
            protocol: protocol(&self.proto?)?,
            equipment: weir.equipment?.id?,
            peer: (peer.ip.to_canonical(), peer.equipment),
            name: peer.name,
            is_opener_known: weir.initiator.as_deref() != Some("unknown"),
            is_allowed: weir.allowed,
            goes_on: counts.reason == "hourly",
            first: moment(&counts.start)?,
            last: moment(&counts.end)?,
            to_server: (counts.pkts_toserver, counts.bytes_toserver),
            to_client: (counts.pkts_toclient, counts.bytes_toclient),
            answer_flags: counts
                .tcp_flags_tc
                .and_then(|flags| u8::from_str_radix(&flags, 16).ok())
                .unwrap_or_default(),
        })
    }

    fn flagged(self) -> Option<Flagged> {
        let weir = self.weir?;
        let peer = weir.peer?;
        Some(Flagged {
            detection: weir.detection?,
            equipment: weir.equipment?.id?,
            peer: peer.ip.to_canonical(),
            peer_equipment: peer.equipment,
            last: moment(&weir.last?)?,
        })
    }
}

/// The number behind Suricata's name of a protocol.
fn protocol(name: &str) -> Option<u8> {
    Some(match name {
        "ICMP" => 1,
        "TCP" => 6,
        "UDP" => 17,
        "IPv6-ICMP" => 58,
        "SCTP" => 132,
        number => number.parse().ok()?,
    })
}

/// Packet time; of before 1970 nothing is told.
fn moment(text: &str) -> Option<Nanos> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_nanosecond()).ok().map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = r#"{"timestamp":"2026-01-05T01:05:00Z","flow_id":"0xec","event_type":"flow",
        "src_ip":"10.0.10.1","src_port":4000,"dest_ip":"198.51.100.7","dest_port":443,"proto":"TCP",
        "flow":{"pkts_toserver":14,"pkts_toclient":7,"bytes_toserver":5545,"bytes_toclient":1857,
        "start":"2026-01-05T00:05:00.04Z","end":"2026-01-05T01:01:00.79Z","age":3360,
        "state":"established","reason":"hourly","tcp_flags_ts":"1a","tcp_flags_tc":"1b"},
        "weir":{"site":"lab","link":"oam","allowed":false,"initiator":"equipment",
        "equipment":{"id":"gnb-1","vendor":"A"},"peer":{"ip":"198.51.100.7","equipment":null,"name":"x.example"}}}"#;

    fn lines(text: &str) -> (Lines, Vec<Seen>) {
        let mut seen = Vec::new();
        let lines = read(text.as_bytes(), |it| seen.push(it)).unwrap();
        (lines, seen)
    }

    #[test]
    fn flows_are_read_and_what_is_no_event_is_counted() {
        let flow = FLOW.replace('\n', " ");
        let cut = &flow[..flow.len() / 2];
        let (read, seen) = lines(&format!("{flow}\nnoise\n{{\"event_type\":\"stats\"}}\n{cut}"));
        assert_eq!(read, Lines { read: 4, broken: 2 });
        let [Seen::Flow(record)] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!((record.protocol, record.answer_flags, record.goes_on), (6, 0x1b, true));
        assert_eq!((record.to_server, record.to_client), ((14, 5545), (7, 1857)));
        assert_eq!(record.name.as_deref(), Some("x.example"));
        assert!(record.is_opener_known && !record.is_allowed);
    }

    #[test]
    fn an_ipv4_address_in_ipv6_form_is_read_as_ipv4() {
        let mapped = FLOW.replace('\n', " ").replace("198.51.100.7", "::ffff:198.51.100.7");
        let (_, seen) = lines(&mapped);
        let [Seen::Flow(record)] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!(record.peer.0.to_string(), "198.51.100.7");
        assert_eq!(record.destination.0, record.peer.0);
    }

    #[test]
    fn a_line_without_end_costs_no_memory_and_hides_none_behind_it() {
        let long = "x".repeat(3 << 20);
        let (read, seen) = lines(&format!("{long}\n{}\n", FLOW.replace('\n', " ")));
        assert_eq!((read, seen.len()), (Lines { read: 2, broken: 1 }, 1));
    }

    #[test]
    fn protocols_have_the_names_that_events_give_them() {
        assert_eq!(protocol("IPv6-ICMP"), Some(58));
        assert_eq!((protocol("47"), protocol("what")), (Some(47), None));
    }
}
