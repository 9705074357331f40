//! The line of a frame: the engine's own walk, followed, with the headers read again at the places
//! that it went through.

use std::fmt;
use std::io;

use serde::{Serialize, Serializer};
use weir_capture::Packet;
use weir_engine::decode::{Ports, decode};
use weir_engine::frame::LinkType;
use weir_engine::reassembly::GiveUp;
use weir_engine::{Frame, Nanos, Record, RxMeta};
use weir_wire::Layer;

use super::datagram::{Datagrams, Standing};
use super::ends::Ends;
use super::path::Path;
use super::{gtpu, pfcp};

/// Writes frames as lines. What is kept between them is memory, the count, and the datagrams
/// of which fragments are missing.
pub(super) struct Lines {
    ports: Ports,
    count: u64,
    path: Path,
    /// The path through a datagram put together.
    onward: Path,
    datagrams: Datagrams,
    layers: Vec<&'static str>,
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
    outer: Option<Ends>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gtpu: Option<gtpu::Header<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner: Option<Ends>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pfcp: Vec<pfcp::Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

/// What ended the decoding. The offset counts from the frame's first byte, or from the first byte
/// of the IP packet that fragments were put together to.
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
        Self {
            ports,
            count: 0,
            path: Path::default(),
            onward: Path::default(),
            datagrams: Datagrams::new(),
            layers: Vec::new(),
        }
    }

    /// Writes the line of the next frame at the end of a page: memory, which costs less than an
    /// output that may fail at each comma.
    pub(super) fn write(&mut self, packet: &Packet<'_>, page: &mut Vec<u8>) -> io::Result<()> {
        self.count += 1;
        self.path.begin(packet.bytes);
        let meta = RxMeta { link_type: packet.link_type, ..RxMeta::default() };
        let frame = Frame { bytes: packet.bytes, meta };
        let mut record = decode(&frame, None, &self.ports, &mut self.path);
        let standing = self.standing(packet);
        match standing {
            Standing::Whole => {}
            // A piece that is cut will never be part of more: all there is stands in it.
            Standing::GivenUp(GiveUp::Cut) => {}
            Standing::Part | Standing::GivenUp(_) => record = Record::default(),
            Standing::Completes => {
                let bytes = self.datagrams.whole();
                self.onward.begin(bytes);
                let meta = RxMeta { link_type: LinkType::Raw, ..RxMeta::default() };
                record = decode(&Frame { bytes, meta }, None, &self.ports, &mut self.onward);
            }
        }
        self.layers.clear();
        self.layers.extend(self.path.names());
        let (path, bytes) = if standing == Standing::Completes {
            self.layers.extend(self.onward.names());
            (&self.onward, self.datagrams.whole())
        } else {
            (&self.path, packet.bytes)
        };
        let mut line = Line {
            n: self.count,
            ts: Time(packet.time),
            caplen: packet.bytes.len(),
            len: packet.wire_len,
            layers: &self.layers,
            vlan: &self.path.vlans,
            mpls: &self.path.mpls,
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
        line.fill(path, bytes);
        if let Standing::GivenUp(reason) = standing {
            line.error = path.carrier().map(|position| Fault {
                layer: path.name(position),
                kind: reason.name(),
                offset: path.offset(position),
            });
        }
        if standing == Standing::Completes {
            line.outer = line.outer.map(Ends::reassembled);
        }
        serde_json::to_writer(&mut *page, &line)?;
        page.push(b'\n');
        Ok(())
    }

    /// What the frame is to its datagram. The path keeps what can be said of a part alone.
    fn standing(&mut self, packet: &Packet<'_>) -> Standing {
        let Some(position) = self.path.innermost_carrier() else { return Standing::Whole };
        let Some(carrier) = self.path.bytes(position, packet.bytes) else {
            return Standing::Whole;
        };
        let standing = self.datagrams.take(carrier, packet.time);
        match standing {
            Standing::Whole | Standing::GivenUp(GiveUp::Cut) => {}
            Standing::Part | Standing::GivenUp(_) => self.path.cut_behind_transport(position),
            Standing::Completes => self.path.cut(position),
        }
        standing
    }
}

impl<'a> Line<'a> {
    /// Reads the headers that the path names out of the bytes that it is about.
    fn fill(&mut self, path: &Path, bytes: &'a [u8]) {
        let at = |position: usize| path.bytes(position, bytes);
        self.outer = path.carrier().and_then(at).and_then(Ends::read);
        if let Some(position) = path.first(Layer::Gtpu) {
            self.gtpu = at(position).and_then(gtpu::Header::read);
            let inner = path.ip_behind(position).filter(|_| self.gtpu.is_some());
            self.inner = inner.and_then(at).and_then(Ends::read).map(Ends::without_fragment);
        }
        if let Some(position) = path.first(Layer::Pfcp) {
            let (messages, fault) = pfcp::read(at(position).unwrap_or_default());
            self.pfcp = messages;
            if let (None, Some((error, within))) = (&self.error, fault) {
                self.error = Some(Fault {
                    layer: error.layer.name(),
                    kind: error.kind.name(),
                    offset: path.offset(position) + within,
                });
            }
        }
    }
}
