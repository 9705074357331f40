//! `weir sessions`: every PFCP session of a capture, one JSON object a line.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use weir_capture::{LinkType, OpenError, Packet, Reader, Source, Stream, open};
use weir_engine::contract::session::{Few, SessionRecord, SessionState, ShortName, TunnelEnd};
use weir_engine::signalling::{ListedFar, ListedPdr, Listing};
use weir_engine::time::REPLAY_SLICE;
use weir_engine::worker::Setup;
use weir_engine::{Frame, Nanos, Report, RxMeta, Signalling, SignallingSetup, Worker};
use weir_wire::pfcp_ie::{ApplyAction, Interface};

use crate::decode::{End, unreadable};
use crate::failure::Failure;
use crate::output::written;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A pcap or pcapng capture, plain or packed with gzip or zstd; - for standard input
    file: PathBuf,
    /// Show the sessions as they stood at this moment, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Nanos>,
}

fn moment(text: &str) -> Result<Nanos, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|why| format!("no moment: {why}; write it as 2026-01-02T03:04:05.123456Z"))?;
    u64::try_from(time.as_nanosecond()).map(Nanos).map_err(|_| "before 1970".to_owned())
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let source = open(&options.file).map_err(|why| unreadable(&options.file, &why))?;
    let until = options.at.unwrap_or(Nanos::MAX);
    let mut follower = Follower::new()
        .map_err(|why| Failure::work(format!("no memory for the sessions; {why}; free some")))?;
    let mut end = End::default();
    match source {
        Source::Mapped(map) => match Reader::open(&map) {
            Ok(packets) => end.trouble = follower.follow(packets, until, &mut end.undecoded),
            Err(error) => end.trouble = Some(error),
        },
        Source::Stream(input) => match Stream::open(input) {
            Ok(mut packets) => {
                while let Some(packet) = packets.next() {
                    match packet {
                        Ok(packet) if packet.time > until => break,
                        Ok(packet) => follower.take(&packet),
                        Err(damage) => {
                            end.trouble = Some(damage.into());
                            break;
                        }
                    }
                }
            }
            Err(error) => end.trouble = Some(error),
        },
    }
    let lines = follower.finish(options.at.is_some());
    let mut out = io::stdout().lock();
    written(out.write_all(&lines).and_then(|()| out.flush()))?;
    end.judge(&options.file)
}

/// Follows N4 and attributes G-PDUs, slice by slice as a replay does.
struct Follower {
    worker: Worker,
    signalling: Signalling,
    spare: Option<Report>,
    slice: Option<u64>,
    packets: usize,
    latest: Nanos,
    listed: Arc<Mutex<Vec<Line>>>,
}

/// Packets after which N4 is heard before a slice goes on.
const STEP: usize = 1 << 12;

impl Follower {
    fn new() -> io::Result<Self> {
        let setup = SignallingSetup {
            site_key: *weir_engine::signalling::LAB_KEY,
            ..SignallingSetup::default()
        };
        let mut signalling = Signalling::new(&setup)?;
        let worker = Worker::new(Setup::default(), signalling.enlist()?)?;
        let listed = Arc::new(Mutex::new(Vec::new()));
        let shared = listed.clone();
        signalling.show_forgotten(Box::new(move |listing| {
            shared.lock().unwrap_or_else(PoisonError::into_inner).push(Line::of(listing));
        }));
        Ok(Self {
            worker,
            signalling,
            spare: Some(Report::with_room()),
            slice: None,
            packets: 0,
            latest: Nanos(0),
            listed,
        })
    }

    fn follow(
        &mut self,
        packets: Reader<'_>,
        until: Nanos,
        undecoded: &mut std::collections::BTreeSet<u16>,
    ) -> Option<OpenError> {
        for packet in packets {
            match packet {
                Ok(packet) if packet.time > until => break,
                Ok(packet) => {
                    if let LinkType::Other(code) = packet.link_type {
                        undecoded.insert(code);
                    }
                    self.take(&packet);
                }
                Err(damage) => return Some(damage.into()),
            }
        }
        None
    }

    fn take(&mut self, packet: &Packet<'_>) {
        self.latest = self.latest.max(packet.time);
        let slice = self.latest.slice(REPLAY_SLICE);
        if self.slice.is_some_and(|open| open != slice) || self.packets >= STEP {
            self.close();
        }
        self.slice = Some(slice);
        self.packets += 1;
        let meta = RxMeta {
            time: packet.time,
            wire_len: packet.wire_len,
            link_type: packet.link_type,
            ..RxMeta::default()
        };
        self.worker.burst(&[Frame { bytes: packet.bytes, meta }]);
    }

    fn close(&mut self) {
        let (Some(slice), Some(spare)) = (self.slice, self.spare.take()) else { return };
        let report = self.worker.close(slice, self.latest, false, spare);
        let reports = [report];
        self.signalling.hear(&reports);
        self.signalling.settle(&reports, self.latest);
        // Nobody asks for them here.
        drop((self.signalling.accusations(), self.signalling.records()));
        let [report] = reports;
        self.spare = Some(report);
        self.packets = 0;
    }

    /// All lines, in the order of establishment. `with_pending` adds what was asked for
    /// and not answered yet.
    fn finish(mut self, with_pending: bool) -> Vec<u8> {
        self.close();
        self.signalling.list_all(with_pending);
        let mut lines =
            std::mem::take(&mut *self.listed.lock().unwrap_or_else(PoisonError::into_inner));
        lines.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut page = Vec::new();
        for line in &lines {
            if serde_json::to_writer(&mut page, line).is_ok() {
                page.push(b'\n');
            }
        }
        page
    }
}

/// A session as its line shows it.
#[derive(Serialize)]
struct Line {
    cp_seid: String,
    up_seid: String,
    cp: Option<IpAddr>,
    up: Option<IpAddr>,
    generation: u32,
    state: SessionState,
    established: Option<String>,
    ended: Option<String>,
    ue: Few<IpAddr>,
    network_instance: Option<ShortName>,
    dnn: Option<ShortName>,
    supi: Option<String>,
    slice: Option<String>,
    uplink: Few<TunnelEnd>,
    downlink: Few<TunnelEnd>,
    pdr: Vec<PdrLine>,
    far: Vec<FarLine>,
    modifications: u32,
    reports: u32,
    packets: Ways,
    bytes: Ways,
    qfi: Flows,
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<Ways>,
    usage_mismatch: bool,
}

#[derive(Serialize)]
struct PdrLine {
    id: u16,
    precedence: Option<u32>,
    source: &'static str,
}

#[derive(Serialize)]
struct FarLine {
    id: u32,
    apply: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<TunnelEnd>,
}

#[derive(Serialize)]
struct Flows {
    ul: Few<u8>,
    dl: Few<u8>,
}

#[derive(Serialize)]
struct Ways {
    ul: u64,
    dl: u64,
}

impl Line {
    fn of(listing: &Listing<'_>) -> Self {
        let record: &SessionRecord = listing.record;
        let usage = &record.usage;
        Self {
            cp_seid: hex(record.cp_seid),
            up_seid: hex(record.up_seid),
            cp: record.cp,
            up: record.up,
            generation: record.generation,
            state: record.state,
            established: record.established.map(rfc3339),
            ended: record.ended.map(rfc3339),
            ue: record.ue.clone(),
            network_instance: record.network_instance,
            dnn: record.dnn.or(record.network_instance),
            supi: record.supi.map(|supi| format!("h:{supi:016x}")),
            slice: record.slice.map(|slice| slice.to_string()),
            uplink: record.uplink.clone(),
            downlink: record.downlink.clone(),
            pdr: listing.pdrs.iter().map(PdrLine::of).collect(),
            far: listing.fars.iter().map(FarLine::of).collect(),
            modifications: record.modifications,
            reports: record.reports,
            packets: Ways { ul: usage.uplink_packets, dl: usage.downlink_packets },
            bytes: Ways { ul: usage.uplink_bytes, dl: usage.downlink_bytes },
            qfi: {
                let [ul, dl] = record.qfi.clone();
                Flows { ul, dl }
            },
            reported: record.reported.map(|(ul, dl)| Ways { ul, dl }),
            usage_mismatch: record.usage_mismatch,
        }
    }

    fn order(&self) -> (&Option<String>, &Option<IpAddr>, &str, &str) {
        (&self.established, &self.cp, &self.cp_seid, &self.up_seid)
    }
}

impl PdrLine {
    fn of(pdr: &ListedPdr) -> Self {
        let source = Interface(pdr.source).source_name();
        Self { id: pdr.id, precedence: pdr.precedence, source }
    }
}

impl FarLine {
    /// Who is copied is nobody's to see here.
    fn of(far: &ListedFar) -> Self {
        let apply = ApplyAction(far.rule.apply & !ApplyAction::DUPL);
        Self { id: far.rule.far, apply: apply.names().collect(), to: far.rule.to }
    }
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

fn rfc3339(time: Nanos) -> String {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default();
    format!("{moment:.9}")
}
