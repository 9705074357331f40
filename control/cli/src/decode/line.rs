//! The line of a frame: the engine's own walk, followed, with the headers read again at the places
//! that its record names.

use std::fmt;
use std::io::{self, Write};

use serde::{Serialize, Serializer};
use weir_capture::{LinkType, Packet};
use weir_engine::decode::{Ports, Trail, decode};
use weir_engine::record::Kind;
use weir_engine::{Frame, Nanos, Record, RxMeta, TapId};
use weir_wire::Layer;

use super::ends::Ends;
use super::{gtpu, pfcp};

/// Writes frames as lines. What is kept between them is memory, and the count.
pub(super) struct Lines {
    ports: Ports,
    count: u64,
    path: Path,
}

/// The layers of one frame.
#[derive(Default)]
struct Path {
    layers: Vec<&'static str>,
    vlans: Vec<u16>,
}

impl Trail for Path {
    fn layer(&mut self, layer: Layer) {
        self.layers.push(layer.name());
    }

    fn vlan(&mut self, id: u16) {
        self.vlans.push(id);
    }
}

#[derive(Serialize)]
struct Line<'a> {
    n: u64,
    ts: Time,
    caplen: usize,
    len: u32,
    layers: &'a [&'static str],
    vlan: &'a [u16],
    mpls: &'a [u32],
    #[serde(skip_serializing_if = "Option::is_none")]
    outer: Option<Ends<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gtpu: Option<gtpu::Header>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner: Option<Ends<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pfcp: Vec<pfcp::Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

/// What ended the decoding.
#[derive(Serialize)]
struct Fault {
    layer: &'static str,
    kind: &'static str,
    offset: usize,
}

/// Seconds with nine decimals.
struct Time(Nanos);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.0 / 1_000_000_000, self.0.0 % 1_000_000_000)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Lines {
    /// Nothing written yet.
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports, count: 0, path: Path::default() }
    }

    /// Writes the line of the next frame.
    pub(super) fn write(&mut self, packet: &Packet<'_>, out: &mut impl Write) -> io::Result<()> {
        self.count += 1;
        self.path.layers.clear();
        self.path.vlans.clear();
        let mut record = Record::default();
        if packet.link_type == LinkType::Ethernet {
            let meta = RxMeta {
                time: packet.time,
                wire_len: packet.wire_len,
                tap: TapId::default(),
                link_type: packet.link_type,
                stripped_vlan: None,
            };
            record = decode(&Frame { bytes: packet.bytes, meta }, &self.ports, &mut self.path);
        } else {
            self.path.layer(Layer::Other);
        }
        let mut line = Line {
            n: self.count,
            ts: Time(packet.time),
            caplen: packet.bytes.len(),
            len: packet.wire_len,
            layers: &self.path.layers,
            vlan: &self.path.vlans,
            mpls: &[],
            outer: None,
            gtpu: None,
            inner: None,
            pfcp: Vec::new(),
            error: record.error().map(|error| Fault {
                layer: error.layer.name(),
                kind: error.kind.name(),
                offset: record.error_offset.into(),
            }),
        };
        line.fill(packet.bytes, &record);
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")
    }
}

impl<'a> Line<'a> {
    fn fill(&mut self, frame: &'a [u8], record: &Record) {
        if record.outer_ip == 0 {
            return;
        }
        self.outer = frame.get(usize::from(record.outer_ip)..).and_then(Ends::read);
        let Some(payload) = self.outer.as_ref().and_then(Ends::udp_payload) else { return };
        match record.kind {
            Kind::Gtpu => {
                let Some((header, rest)) = gtpu::Header::read(payload) else { return };
                self.gtpu = Some(header);
                if record.inner_ip != 0 {
                    self.inner = Ends::read(rest).map(Ends::without_fragment);
                }
            }
            Kind::Pfcp => {
                let (messages, fault) = pfcp::read(payload);
                self.pfcp = messages;
                if let (None, Some((error, at))) = (&self.error, fault) {
                    self.error = Some(Fault {
                        layer: error.layer.name(),
                        kind: error.kind.name(),
                        offset: usize::from(record.gtp) + at,
                    });
                }
            }
            Kind::NotIp | Kind::Ip => {}
        }
    }
}
