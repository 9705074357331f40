//! The line of a frame: the engine's own walk, followed, with the headers read again at the places
//! that it went through.

use weir_capture::Packet;
use weir_engine::decode::{Ports, decode};
use weir_engine::frame::LinkType;
use weir_engine::reassembly::GiveUp;
use weir_engine::{Frame, Record, RxMeta};
use weir_wire::{Layer, WireError};

use super::datagram::{Datagrams, Standing};
use super::ends::Ends;
use super::json::Json;
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
}

/// What ended the decoding. The offset counts from the frame's first byte, or from the first byte
/// of the IP packet that fragments were put together to.
struct Fault {
    layer: &'static str,
    kind: &'static str,
    offset: usize,
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
        }
    }

    /// Writes the line of the next frame at the end of a page.
    pub(super) fn write(&mut self, packet: &Packet<'_>, page: &mut Vec<u8>) {
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
        let fault = match standing {
            Standing::GivenUp(reason) => self.given_up(reason),
            _ => record.error().map(|error| Fault::of(error, record.error_offset.into())),
        };
        Json::at_end(page).line(|json| {
            json.key("n").number(self.count);
            json.key("ts").seconds(packet.time);
            json.key("caplen").number(packet.bytes.len());
            json.key("len").number(packet.wire_len);
            json.key("layers").list(|json| {
                self.path.names().for_each(|name| json.name(name));
                if standing == Standing::Completes {
                    self.onward.names().for_each(|name| json.name(name));
                }
            });
            json.key("vlan").numbers(self.path.vlans.iter().copied());
            json.key("mpls").numbers(self.path.mpls.iter().copied());
            if standing == Standing::Completes {
                headers(&self.onward, self.datagrams.whole(), Ends::reassembled, fault, json);
            } else {
                headers(&self.path, packet.bytes, |outer| outer, fault, json);
            }
        });
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

    /// Why the frame's datagram, or the frame's piece of it, was given up.
    fn given_up(&self, reason: GiveUp) -> Option<Fault> {
        self.path.carrier().map(|position| Fault {
            layer: self.path.name(position),
            kind: reason.name(),
            offset: self.path.offset(position),
        })
    }
}

/// Reads the headers that the path names out of the bytes that it is about; `fault` is what the
/// walk met, and `seen` says how the outer packet came.
fn headers(
    path: &Path,
    bytes: &[u8],
    seen: impl FnOnce(Ends) -> Ends,
    mut fault: Option<Fault>,
    json: &mut Json<'_>,
) {
    let at = |position: usize| path.bytes(position, bytes);
    let ends = |position: usize| at(position).and_then(Ends::read);
    if let Some(outer) = path.carrier().and_then(ends) {
        json.key("outer").object(|json| seen(outer).write(json));
    }
    if let Some(position) = path.first(Layer::Gtpu)
        && let Some(bytes) = at(position).filter(|bytes| bytes.len() > 1)
    {
        json.key("gtpu").object(|json| gtpu::write(bytes, json));
        if let Some(inner) = path.ip_behind(position).and_then(ends) {
            json.key("inner").object(|json| inner.without_fragment().write(json));
        }
    }
    if let Some(position) = path.first(Layer::Pfcp) {
        let wrong = pfcp::write(at(position).unwrap_or_default(), json);
        fault =
            fault.or(wrong.map(|(error, within)| Fault::of(error, path.offset(position) + within)));
    }
    if let Some(fault) = fault {
        json.key("error").object(|json| fault.write(json));
    }
}

impl Fault {
    fn of(error: WireError, offset: usize) -> Self {
        Self { layer: error.layer.name(), kind: error.kind.name(), offset }
    }

    /// The fields.
    fn write(&self, json: &mut Json<'_>) {
        json.key("layer").name(self.layer);
        json.key("kind").name(self.kind);
        json.key("offset").number(self.offset);
    }
}
