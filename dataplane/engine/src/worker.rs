//! A worker: the stages over whole bursts.

mod common;
mod plain;

use std::sync::Arc;

use weir_mem::prefetch_start;
use weir_wire::Address;
use weir_wire::gtpu::G_PDU;

use crate::Nanos;
use crate::account::Tally;
use crate::attribute::{Attributor, Others};
use crate::beginnings::Beginnings;
use crate::classify::{classify, look_inside};
use crate::decode::{Common, Ports, Wrapper, decode, walk};
use crate::exhibits::{Cause, FIRST, Keeping, cause_of};
use crate::finding::is_suspicious;
use crate::frame::{BURST, Frame, TapId};
use crate::gather::{Shown, listen, sight, uplink};
use crate::pairs::{NONE, OF_FRAGMENTS, Pair, PairKey, Pairs, Run};
use crate::proof::{Digester, UsersPacket};
use crate::record::{Flags, Kind, Record};
use crate::report::Report;
use crate::rules::{Link, Party, Rules};
use crate::sample::Sampler;
use crate::series::Series;
use crate::shed::{self, Overload};
use crate::signalling::{HeaderShape, N4Datagram, Pouch, Room};
use crate::track::{
    Ledger, Prepared, concerns_equipment, has_any_source_port, is_between_equipment,
};
use crate::tunnels::{Access, Sender};

/// What a worker is told at its start.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The links of the taps, by [`crate::TapId`].
    pub links: Vec<Link>,
    /// What their brokers wrap frames in; taps beyond the list have no wrapper.
    pub wrappers: Vec<Option<Wrapper>>,
    /// Where GTP-U and PFCP are tried.
    pub ports: Ports,
    /// The secret of the flow index.
    pub hash_key: u64,
    /// The site's secret by which users' packets are chosen for proof.
    pub sample_key: u64,
    /// Whether packets come as they happen. N4 of undeclared peers then has only a share of
    /// the room on its way; a replay waits until there is room.
    pub live: bool,
}

impl Setup {
    #[inline]
    pub(crate) fn link(&self, tap: TapId) -> Link {
        self.links.get(usize::from(tap.0)).copied().unwrap_or(Link::Mixed)
    }

    #[inline]
    pub(crate) fn wrapper(&self, tap: TapId) -> Option<Wrapper> {
        self.wrappers.get(usize::from(tap.0)).copied().flatten()
    }
}

/// One worker's engine.
#[derive(Debug)]
pub struct Worker {
    setup: Setup,
    rules: Option<Arc<Rules>>,
    records: [Record; BURST],
    /// The records' outer addresses, source first, which two stages need.
    ends: [Option<(Address, Address)>; BURST],
    pairs: Pairs,
    /// Pairs of equipment between which fragments went.
    fragment_pairs: Pairs,
    /// Where the records' pairs are.
    places: [u16; BURST],
    pending: [Pending; BURST],
    /// The numbers of the burst's frames that have records, in the records' order.
    others: [u8; BURST],
    series: Series,
    sampler: Sampler,
    digester: Digester,
    attributor: Attributor,
    ledger: Ledger,
    beginnings: Beginnings,
    tally: Tally,
    report: Report,
}

/// A packet that `track` has prepared.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    record: usize,
    packet: Prepared,
}

impl Worker {
    /// A worker without rules: it decodes, attributes and counts.
    ///
    /// # Errors
    /// If there is no memory for its ledger.
    pub fn new(setup: Setup, tunnels: Access) -> std::io::Result<Self> {
        let mut report = Report::with_room();
        report.under(setup.hash_key);
        Ok(Self {
            attributor: Attributor::new(tunnels),
            series: Series::new(setup.hash_key),
            sampler: Sampler::new(setup.sample_key),
            digester: Digester::new(setup.sample_key),
            ledger: Ledger::new(setup.hash_key)?,
            beginnings: Beginnings::new(setup.hash_key),
            tally: Tally::new(setup.hash_key),
            pairs: Pairs::new(setup.hash_key),
            fragment_pairs: Pairs::new(setup.hash_key),
            setup,
            rules: None,
            records: [Record::default(); BURST],
            ends: [None; BURST],
            places: [NONE; BURST],
            pending: [Pending::default(); BURST],
            others: [0; BURST],
            report,
        })
    }

    /// Takes other rules from the next burst on. A report speaks for one policy:
    /// close the slice in part before.
    pub fn set_rules(&mut self, rules: Option<Arc<Rules>>) {
        self.end_runs();
        let keeping = match &rules {
            None => Keeping::Nothing,
            Some(rules) if rules.settings().subscriber_payload => Keeping::Whole,
            Some(_) => Keeping::Headers,
        };
        self.report.exhibits.keep_so(keeping, self.setup.ports);
        self.rules = rules;
        self.pairs.forget();
        self.fragment_pairs.forget();
        self.beginnings.forget();
    }

    /// Takes other sources to look for on the link to the data network.
    pub fn watch(&mut self, sources: Arc<[Address]>) {
        self.attributor.watch(sources);
    }

    /// Whether the slice's ledger, its N4 or its chosen packets must be handed over before the next
    /// burst.
    pub fn is_full(&self) -> bool {
        self.ledger.is_full() || self.report.n4.is_filling() || self.report.samples.is_filling()
    }

    /// Whether flows of the open slice must be given up unless they are handed over.
    pub fn is_out_of_rows(&self) -> bool {
        self.ledger.is_full()
    }

    /// The worker's counters.
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Notes steps of the clock that the source saw.
    pub fn clock_step(&mut self, back: Nanos, ahead: Nanos) {
        if back > Nanos(0) {
            self.report.clock_steps += 1;
        }
        self.report.clock_back = self.report.clock_back.max(back);
        self.report.clock_ahead = self.report.clock_ahead.max(ahead);
    }

    /// Takes at most [`BURST`] frames through all stages; further ones are not
    /// looked at, and the number that was is given back.
    pub fn burst(&mut self, frames: &[Frame<'_>]) -> usize {
        self.stages::<true>(frames)
    }

    /// The same without the common path: what a test compares it with.
    pub fn burst_by_complete_stages(&mut self, frames: &[Frame<'_>]) -> usize {
        self.stages::<false>(frames)
    }

    /// The complete stages stand by themselves: amid them the common path would lack registers.
    fn stages<const COMMON: bool>(&mut self, frames: &[Frame<'_>]) -> usize {
        let frames = frames.get(..BURST).unwrap_or(frames);
        let rules = self.rules.clone();
        let count = self.read::<COMMON>(frames, rules.as_deref());
        let gathered;
        let others = if count == 0 {
            &[]
        } else {
            gathered = self.gather(frames, count);
            &gathered[..count]
        };
        match &rules {
            Some(rules) => self.classify(others, rules),
            None => self.link(others),
        }
        self.attribute(frames, others, rules.as_deref());
        if let Some(rules) = &rules {
            self.track(others, rules);
        }
        self.tally.g_pdus((frames.len() - count) as u64);
        self.account(others, rules.is_some());
        self.series.count(&mut self.tally);
        self.gather_n4(others);
        frames.len()
    }

    /// Leaves out the frames of users' flows that overload says, and takes the others of at most
    /// [`BURST`] through all stages; gives a bit for each of these, by its place.
    pub fn burst_in_overload(&mut self, frames: &[Frame<'_>], overload: &Overload) -> u64 {
        let frames = frames.get(..BURST).unwrap_or(frames);
        let staying = shed::staying(frames, overload, &self.setup, self.rules.as_deref());
        if staying != 0 {
            let mut kept = [Frame::default(); BURST];
            let count = shed::keep(frames, staying, &mut kept);
            self.burst(&kept[..count]);
        }
        staying
    }

    /// Closes the slice: what was seen in it, in exchange for an empty report.
    /// `partial` says that more of the same slice follows.
    pub fn close(&mut self, slice: u64, latest: Nanos, partial: bool, mut empty: Report) -> Report {
        self.end_runs();
        empty.under(self.setup.hash_key);
        empty.exhibits.keep_as(&self.report.exhibits);
        let rows = std::mem::take(&mut empty.flows);
        let mut report = std::mem::replace(&mut self.report, empty);
        report.flows = self.ledger.hand_over(rows);
        report.evictions = self.series.evictions();
        self.tally.exchange(&mut report.vendors);
        report.slice = slice;
        report.latest = latest;
        report.partial = partial;
        report.policy = self.rules.as_ref().map_or(0, |rules| rules.identity());
        report
    }

    /// Gives up the flows of the open slice, and counts them as not reported.
    pub fn discard(&mut self) {
        self.end_runs();
        self.report.dropped += self.ledger.discard() as u64;
    }

    /// Notes the end of the input: what waits for more of it is given up, and counted.
    pub fn finish(&mut self) {
        self.series.finish(&mut self.tally);
    }

    /// Reads every frame: a G-PDU of the common shape between remembered ends goes through
    /// `classify` and `track` at once, any other is decoded and, unless it is plain, noted among
    /// the others, whose number is given. All ask for their tunnels.
    fn read<const COMMON: bool>(&mut self, frames: &[Frame<'_>], rules: Option<&Rules>) -> usize {
        const AHEAD: usize = 8;
        frames.iter().take(AHEAD).for_each(|frame| prefetch_start(frame.bytes));
        let mut count = 0;
        for (i, frame) in frames.iter().enumerate() {
            if let Some(next) = frames.get(i + AHEAD) {
                prefetch_start(next.bytes);
            }
            if COMMON
                && let Some(rules) = rules
                && let Some(common) = Common::read(frame, &self.setup.ports)
                && self.pass(i, frame, &common, rules)
            {
                continue;
            }
            self.others[count % BURST] = i as u8;
            count += usize::from(self.uncommon::<COMMON>(count, frame, rules));
        }
        count
    }

    /// The first `count` of the other frames, side by side.
    #[inline(never)]
    fn gather<'f>(&self, frames: &[Frame<'f>], count: usize) -> [Frame<'f>; BURST] {
        let mut others = [Frame::default(); BURST];
        for (place, number) in others.iter_mut().zip(self.others).take(count) {
            *place = frames[usize::from(number)];
        }
        others
    }

    /// A call that the compiler takes for seldom, so that it keeps the common path's words in
    /// registers around it and not its own.
    #[cold]
    #[inline(never)]
    fn uncommon<const COMMON: bool>(
        &mut self,
        number: usize,
        frame: &Frame<'_>,
        rules: Option<&Rules>,
    ) -> bool {
        self.decode::<COMMON>(number, frame, rules)
    }

    /// Decodes a frame into the record of that number, and finds its ends; no if it is a plain
    /// G-PDU, about which nothing is left to do but its tunnel.
    #[inline(never)]
    fn decode<const COMMON: bool>(
        &mut self,
        number: usize,
        frame: &Frame<'_>,
        rules: Option<&Rules>,
    ) -> bool {
        let record = &mut self.records[number];
        let (wrapper, ports) = (self.setup.wrapper(frame.meta.tap), &self.setup.ports);
        if COMMON && rules.is_some() {
            // It was not of the common shape, or wants the complete stages.
            walk(frame, wrapper, ports, record, &mut ());
        } else {
            *record = decode(frame, wrapper, ports, &mut ());
        }
        if record.is_fragment() {
            let pouch = &mut self.report.n4;
            let (rules, live) = (self.rules.as_deref(), self.setup.live);
            let read = *record;
            self.series.take(
                frame,
                record,
                &self.setup.ports,
                &mut self.tally,
                &mut |source_port, destination_port, payload| {
                    let ports = (source_port, destination_port);
                    pack(pouch, frame, &read, ports, payload, rules, live);
                },
            );
        }
        if COMMON
            && let Some(rules) = rules
            && self.pass_decoded(number, frame, rules)
        {
            return false;
        }
        let record = &mut self.records[number];
        self.ends[number] = record.outer_addresses(frame.bytes);
        if let Some((_, to)) = self.ends[number] {
            self.attributor.ask_for(number, record, to);
        }
        true
    }

    /// The link, where no rules tell more.
    fn link(&mut self, frames: &[Frame<'_>]) {
        for (record, _) in self.records.iter_mut().zip(frames) {
            record.link = self.setup.link(record.tap);
        }
    }

    fn attribute(&mut self, frames: &[Frame<'_>], others: &[Frame<'_>], rules: Option<&Rules>) {
        let Self { setup, records, ends, attributor, report, .. } = self;
        let others = Others { frames: others, records, ends };
        attributor.fetch();
        attributor.look_around(&others, report);
        let recall = |frame: &Frame<'_>| common::recall(frame, setup, rules);
        attributor.settle(frames, &others, recall, report);
    }

    /// Packs N4's datagrams for the session machine.
    #[inline(never)]
    fn gather_n4(&mut self, frames: &[Frame<'_>]) {
        for (frame, record) in frames.iter().zip(&self.records) {
            if record.kind == Kind::Pfcp && !record.is_fragment() {
                let start = usize::from(record.gtp);
                let end = start + usize::from(record.payload_len);
                let payload = frame.bytes.get(start..end.min(frame.bytes.len()));
                let ports = (record.source_port, record.destination_port);
                let (rules, live) = (self.rules.as_deref(), self.setup.live);
                let pouch = &mut self.report.n4;
                pack(pouch, frame, record, ports, payload.unwrap_or_default(), rules, live);
                if let Some(ends) = record.outer_addresses(frame.bytes) {
                    let declared = is_between_equipment(record.source, record.destination);
                    let strangers = Cause::StrangersSignalling;
                    let cause = if declared { Cause::Signalling } else { strangers };
                    self.report.exhibits.keep(frame, record, cause, ends);
                }
            }
        }
    }

    #[inline(never)]
    fn classify(&mut self, frames: &[Frame<'_>], rules: &Rules) {
        let Self { setup, records, ends, pairs, fragment_pairs, places, ledger, report, .. } = self;
        for (i, (frame, record)) in frames.iter().zip(records.iter_mut()).enumerate() {
            places[i] = NONE;
            let (key, pairs, table) = if let Some(key) = PairKey::of(record, frame) {
                (key, &mut *pairs, 0)
            } else if let Some(key) = PairKey::of_fragment(record, frame) {
                (key, &mut *fragment_pairs, OF_FRAGMENTS)
            } else {
                classify(record, frame.bytes, ends[i], setup.link(record.tap), rules);
                continue;
            };
            let is_from_any = has_any_source_port(record);
            let found = if is_from_any { pairs.find_of_users(&key) } else { pairs.find(&key) };
            if let Some((place, pair)) = found {
                (record.source, record.destination) = (pair.source, pair.destination);
                record.link = pair.link;
                look_inside(record, frame.bytes, rules);
                places[i] = place | table;
                continue;
            }
            classify(record, frame.bytes, ends[i], setup.link(record.tap), rules);
            let is_of_equipment = is_between_equipment(record.source, record.destination);
            if table == OF_FRAGMENTS && !is_of_equipment {
                // Of strangers' fragments there may be any number.
                continue;
            }
            let key = if is_from_any && is_of_equipment { key.of_any_source() } else { key };
            let place = pairs.room(&key);
            // Whoever had the place before has none.
            if let Some(before) = pairs.at(place) {
                common::end_run(before, ledger, report, rules);
            }
            places[..i].iter_mut().filter(|of| **of == place | table).for_each(|of| *of = NONE);
            pairs.put(place, get_to_know(record, key, ledger, rules));
            places[i] = place | table;
        }
    }

    #[inline(never)]
    fn track(&mut self, frames: &[Frame<'_>], rules: &Rules) {
        let Self { setup, records, ends, places, pending, ledger, beginnings, report, .. } = self;
        let (pairs, fragment_pairs) = (&mut self.pairs, &mut self.fragment_pairs);
        let mut ready = 0;
        for (i, (frame, record)) in frames.iter().zip(records.iter()).enumerate() {
            let pair = pair_at(pairs, fragment_pairs, places[i]);
            let to_local_scope = match &pair {
                Some(pair) => pair.to_local_scope,
                None => ends[i].is_some_and(|(_, to)| to.is_local_scope()),
            };
            if pair.as_ref().is_none_or(|pair| pair.is_sighted) {
                sight(report, frame, record, to_local_scope, rules);
            }
            let Some((source, destination)) = ends[i] else { continue };
            let is_between_nodes = match &pair {
                Some(pair) => pair.is_between_nodes,
                None => !to_local_scope && !source.is_local_scope(),
            };
            if is_between_nodes && concerns_equipment(record) {
                pending[ready].record = i;
                if pair.is_none() {
                    pending[ready].packet = ledger.prepare(record, source, destination);
                }
                ready += 1;
            }
            if is_suspicious(record) {
                let ends = (source, destination);
                report.examine(frame, record, ends, rules);
            }
            match pair {
                Some(pair) if record.message == G_PDU => {
                    if let Some(uplink) = pair.uplink {
                        report.direction(record.tap, uplink, 1);
                    }
                }
                _ => listen(report, beginnings, frame, record, rules),
            }
        }
        for Pending { record: i, packet } in &mut pending[..ready] {
            let record = &records[*i];
            let pair = pair_at(pairs, fragment_pairs, places[*i]);
            let flow = pair.map_or(packet, |pair| &mut pair.flow);
            let packets = ledger.add(record, setup.link(record.tap), frames[*i].bytes, flow);
            if packets <= FIRST
                && let (Some(cause), Some(ends)) = (cause_of(record), ends[*i])
            {
                report.exhibits.keep(&frames[*i], record, cause, ends);
            }
        }
    }

    #[inline(never)]
    fn account(&mut self, frames: &[Frame<'_>], is_judged: bool) {
        for (frame, record) in frames.iter().zip(&self.records) {
            self.tally.frame(record, frame.bytes);
            if let Some(packet) = UsersPacket::of(frame, record)
                && self.sampler.chooses(packet.bytes, packet.transport)
            {
                self.tally.sampled();
                if is_judged {
                    self.report.samples.add(frame, record, &packet, &self.digester);
                }
            }
        }
    }
}

/// The pair in a place of one of both tables.
#[inline]
fn pair_at<'p>(
    pairs: &'p mut Pairs,
    fragment_pairs: &'p mut Pairs,
    place: u16,
) -> Option<&'p mut Pair> {
    if place & OF_FRAGMENTS == 0 {
        pairs.at(place)
    } else {
        fragment_pairs.at(place ^ OF_FRAGMENTS)
    }
}

/// What follows from a pair's ends, found out for the first packet between them.
#[cold]
fn get_to_know(record: &Record, key: PairKey, ledger: &Ledger, rules: &Rules) -> Pair {
    let (from, to) = key.ends();
    let is_between_nodes = !from.is_local_scope() && !to.is_local_scope();
    let sender = Party::unpack(record.source).equipment().and_then(|id| rules.equipment(id));
    let mut users_packet = *record;
    users_packet.flags.set(Flags::VERIFIED_GPDU);
    Pair {
        key,
        source: record.source,
        destination: record.destination,
        link: record.link,
        uplink: uplink(record, rules),
        sender: Sender::of(record.source, from),
        shown: Shown::default(),
        run: Run::NONE,
        is_sighted: sender.is_some_and(|equipment| !equipment.macs.is_empty()),
        to_local_scope: to.is_local_scope(),
        is_between_nodes,
        is_tracked: is_between_nodes && concerns_equipment(&users_packet),
        flow: ledger.prepare(record, from, to),
    }
}

/// Puts a PFCP datagram into the pouch. On a live tap with rules, only peers that are both in
/// the inventory have reserved room there.
#[cold]
fn pack(
    pouch: &mut Pouch,
    frame: &Frame<'_>,
    record: &Record,
    (source_port, destination_port): (u16, u16),
    payload: &[u8],
    rules: Option<&Rules>,
    live: bool,
) {
    let Some((source, destination)) = record.outer_addresses(frame.bytes) else { return };
    let is_listed =
        |rules: &Rules, address| Party::unpack(rules.party(address)).equipment().is_some();
    let room = match rules {
        _ if !live => Room::More,
        Some(rules) if !is_listed(rules, source) || !is_listed(rules, destination) => Room::Share,
        _ => Room::All,
    };
    let header = frame.bytes.get(usize::from(record.outer_ip)..).unwrap_or_default();
    let shape = match header {
        [first, ..] if first >> 4 == 4 => HeaderShape {
            hops: header.get(8).copied().unwrap_or(0),
            options: (first & 0xf).saturating_sub(5) * 4,
        },
        _ => HeaderShape { hops: header.get(7).copied().unwrap_or(0), options: 0 },
    };
    let datagram = N4Datagram {
        time: record.time,
        source,
        source_port,
        destination,
        destination_port,
        tap: record.tap,
        link: record.link,
        shape,
        wire_len: record.wire_len,
        payload,
    };
    pouch.put(&datagram, room);
}
