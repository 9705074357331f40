//! The sensor's life: everything opened before anything starts, then the
//! threads, then the end in a fixed order.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use weir_capture::{Source, is_standard_input};
#[cfg(feature = "dpdk")]
use weir_dpdk::Memory;
use weir_engine::contract::SCHEMA;
use weir_engine::contract::greeting::{Greeting, LaneName};
use weir_engine::contract::words::BLOCK;
#[cfg(feature = "dpdk")]
use weir_engine::contract::words::{PortWords, Words};
use weir_engine::signalling::{LAB_KEY, sample_key};
use weir_engine::time::{LIVE_SLICE, REPLAY_SLICE};
use weir_engine::worker::Setup;
use weir_engine::{Nanos, Signalling, SignallingSetup, TapId, Worker};
use weir_playback::{Content, bar};
use weir_shm::channel::Listener;
use weir_shm::{BlockWriter, RingWriter, Segment, Shape};

use crate::clock;
use crate::courier::Courier;
use crate::court::{Court, Notice};
#[cfg(feature = "dpdk")]
use crate::device::{self, Devices, Feed};
use crate::evidence::EvidenceWriter;
use crate::fitness;
use crate::options::Speed;
use crate::plan::{FileSource, Plan, Sources};
use crate::policy::{LastGood, PolicySlot};
use crate::reader::{self, Capture, Course, Progress, Repetition};
use crate::site_key::site_key;
use crate::station::{Desk, Outfit, Station, WatchSlot};
use crate::stop::Stop;
#[cfg(feature = "dpdk")]
use crate::threads;

/// Verdicts that control may be behind.
const RING: usize = 1 << 16;
/// Slots of the evidence ring: the frames of some hundred alerts.
const EVIDENCE: usize = 1 << 13;
/// How long a replay waits for control to say what the policy is.
const BRIEFING: Duration = Duration::from_secs(10);
/// How long the end waits for control to read the last verdict: while it is
/// attached, and while it might come back.
const FAREWELL: Duration = Duration::from_secs(30);
const ABSENCE: Duration = Duration::from_secs(5);
/// How often ports and progress are looked at.
pub(crate) const ROUND: Duration = Duration::from_millis(50);
/// How often the end of a capture is looked for: small ones should end at once.
const GLANCE: Duration = Duration::from_millis(5);

/// The opened sources.
enum Opened {
    /// Captures, and the streams of those that have no map.
    Captures(Vec<Capture>, Vec<Option<File>>),
    #[cfg(feature = "dpdk")]
    Devices(Box<Devices>, Vec<Feed>),
}

/// A sensor with everything open and nothing started.
pub(crate) struct Sensor {
    plan: Plan,
    opened: Opened,
    lanes: Vec<LaneName>,
    ports: Vec<String>,
    receivers: u16,
    segment: Segment,
    listener: Listener,
    policy: Arc<PolicySlot>,
    last_good: LastGood,
    stop: Stop,
}

impl Sensor {
    /// Opens the sources, the shared memory and the socket.
    ///
    /// # Errors
    /// What can't be opened: a matter of configuration.
    pub(crate) fn prepare(plan: Plan, stop: Stop) -> anyhow::Result<Self> {
        let opened = open(&plan)?;
        let receivers = receivers(&opened, &plan);
        let (ports, lanes) = name(&opened, plan.workers, receivers);
        let threads = usize::from(plan.workers) + usize::from(receivers);
        let blocks = lanes.len() + threads + ports.len() + 1;
        let shape = Shape {
            blocks,
            words_per_block: BLOCK,
            ring_slots: RING,
            evidence_slots: EVIDENCE,
            schema: SCHEMA,
        };
        let segment = Segment::create(&shape, clock::now().0)?;
        std::fs::create_dir_all(&plan.state_dir).with_context(|| {
            format!("can't make the state directory; {}; choose another", plan.state_dir.display())
        })?;
        let listener = Listener::bind(&plan.socket)?;
        let policy = Arc::new(PolicySlot::default());
        let last_good = LastGood::in_directory(&plan.state_dir);
        match last_good.load() {
            Ok(None) => {}
            Ok(Some(rules)) => policy.put(Arc::new(rules)),
            Err(error) => eprintln!(
                "warning: the last good policy is not usable; {error:#}; control will send one"
            ),
        }
        Ok(Self {
            plan,
            opened,
            lanes,
            ports,
            receivers,
            segment,
            listener,
            policy,
            last_good,
            stop,
        })
    }

    /// Runs until the input ends or a signal comes.
    ///
    /// # Errors
    /// What went wrong with the input, after everything readable was read.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Self {
            plan,
            opened,
            lanes,
            ports,
            receivers,
            segment,
            listener,
            policy,
            last_good,
            stop,
        } = self;
        let started = clock::now();
        let notice = Arc::new(Notice::default());
        let Segment { blocks, ring, evidence, status, handover } = segment;
        let mut blocks = blocks.into_iter();
        let mut take = |count| blocks.by_ref().take(count).collect::<Vec<_>>();
        let lane_blocks = take(lanes.len());
        let worker_blocks = take(usize::from(plan.workers));
        let port_blocks = take(ports.len());
        let receiver_blocks = take(usize::from(receivers));
        let judge_block = take(1).pop().context("no block for the judge")?;
        let captured = plan.replay || is_captured(&opened);
        let slice = if captured { REPLAY_SLICE } else { LIVE_SLICE };
        if !captured {
            fitness::remark(&plan.cores, is_on_ordinary_pages(&opened));
        }

        let (briefed, briefing) = crossbeam::channel::bounded(1);
        let hanging_up = Stop::default();
        let courier = Courier {
            listener,
            handover,
            greeting: Greeting {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                site: plan.site.clone(),
                replay: plan.replay,
                taps: plan.taps.iter().map(|tap| tap.name.clone()).collect(),
                ports,
                lanes: lanes.clone(),
                workers: plan.workers,
                receivers,
                policy: None,
            },
            policy: policy.clone(),
            last_good,
            notice: notice.clone(),
            briefed,
            stop: hanging_up.clone(),
        };
        let courier = spawn("courier", move || courier.serve())?;

        // Nothing is secret in a lab.
        let site_key = if captured { *LAB_KEY } else { site_key(&plan.state_dir)? };
        let setup = setup_of(&plan, slice, &site_key)?;
        if !captured {
            weir_mem::keep_at_hand();
        }
        let mut signalling = signalling(&plan, setup.hash_key, site_key)?;
        let watch = Arc::new(WatchSlot::default());
        // Workers whose slices one thread cuts wait for each other's.
        let lockstep = captured && (plan.workers == 1 || cuts_for_all(&opened, receivers));
        let shared = Shared { policy: &policy, notice: &notice, watch: &watch, slice, lockstep };
        let outfits =
            outfits(&setup, &lanes, lane_blocks, worker_blocks, &shared, &mut signalling)?;
        let (stations, desks): (Vec<Station>, Vec<Desk>) =
            outfits.into_iter().map(Station::new).unzip();
        // What was captured waits for its policy; a live tap does not wait for anybody.
        if captured && !await_briefing(&briefing, &policy, &stop) && plan.judged_whole {
            hanging_up.ask();
            let _ = courier.join();
            if stop.is_asked() {
                return Ok(());
            }
            bail!("no control attached within 10 s; {}; start weir-control", plan.socket.display());
        }
        let court = Court {
            desks,
            block: judge_block,
            ring,
            evidence: EvidenceWriter::new(evidence),
            status: status.clone(),
            policy,
            notice: notice.clone(),
            two_way: two_way(&plan),
            watch,
            slice,
            live: !captured,
            patient: plan.replay && plan.speed == Speed::Max,
            started,
            until: None,
        };
        let control_core = plan.control_core;
        let court = spawn("judge", move || {
            pin(control_core);
            court.sit(signalling)
        })?;

        let outcome = inspect(
            &plan,
            &setup,
            opened,
            stations,
            Ports { blocks: port_blocks, receivers: receiver_blocks, notice: &notice },
            &stop,
        );
        notice.settled.store(true, Ordering::Release);
        let ring = court.join().map_err(|_| anyhow::anyhow!("the judge's thread failed"))?;
        say_farewell(ring, &notice, &status);
        hanging_up.ask();
        let _ = courier.join();
        outcome
    }
}

fn open(plan: &Plan) -> anyhow::Result<Opened> {
    match &plan.sources {
        Sources::Files(files) => {
            let mut captures = Vec::with_capacity(files.len());
            let mut inputs = Vec::with_capacity(files.len());
            for FileSource { path, shares } in files {
                let source = weir_capture::open(path).with_context(|| cannot_read(path))?;
                let (content, input) = match source {
                    Source::Mapped(map) => (Some(Content::Mapped(map)), None),
                    Source::Stream(input) => (None, Some(input)),
                };
                let name = capture_name(path);
                captures.push(Capture { name, content, shares: shares.clone() });
                inputs.push(input);
            }
            Ok(Opened::Captures(captures, inputs))
        }
        #[cfg(feature = "dpdk")]
        Sources::Devices(devices) => {
            if devices.iter().filter(|device| device.capture.is_some()).count() > 1 {
                bail!(
                    "DPDK can't merge captures by time; --source dpdk; give one FILE or use --source file"
                );
            }
            let (devices, feeds) = device::open(devices, plan)?;
            Ok(Opened::Devices(Box::new(devices), feeds))
        }
        #[cfg(not(feature = "dpdk"))]
        Sources::Devices(_) => bail!(
            "this build has no DPDK; weir-sensor --version; build it with the feature dpdk or use captures"
        ),
    }
}

/// The complaint about a capture that can't be opened.
pub(crate) fn cannot_read(path: &Path) -> String {
    format!("can't read the capture; {}; check the name and its permissions", capture_name(path))
}

fn capture_name(path: &Path) -> String {
    if is_standard_input(path) {
        return "standard input".to_owned();
    }
    path.display().to_string()
}

/// The names of ports and lanes. A port's queues go to the workers in turn, or, with receive threads
/// between, to all.
fn name(
    opened: &Opened,
    workers: u16,
    #[allow(unused)] receivers: u16,
) -> (Vec<String>, Vec<LaneName>) {
    match opened {
        Opened::Captures(captures, _) => {
            let ports = captures.iter().map(|capture| port_name(&capture.name)).collect();
            let lanes = (0..workers)
                .flat_map(|worker| {
                    (0..captures.len() as u16).map(move |port| LaneName { port, queue: 0, worker })
                })
                .collect();
            (ports, lanes)
        }
        #[cfg(feature = "dpdk")]
        Opened::Devices(devices, feeds) => {
            let lane =
                |feed: &Feed, worker| LaneName { port: feed.port, queue: feed.queue(), worker };
            let lanes = if receivers == 0 {
                feeds.iter().map(|feed| lane(feed, feed.queue() % workers)).collect()
            } else {
                (0..workers)
                    .flat_map(|worker| feeds.iter().map(move |feed| lane(feed, worker)))
                    .collect()
            };
            (devices.names(), lanes)
        }
    }
}

/// A capture's name as a port: its file's, without the way to it.
fn port_name(path: &str) -> String {
    Path::new(path)
        .file_name()
        .map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn is_captured(opened: &Opened) -> bool {
    match opened {
        Opened::Captures(..) => true,
        #[cfg(feature = "dpdk")]
        Opened::Devices(_, feeds) => feeds.iter().all(|feed| feed.captured),
    }
}

/// Whether one thread cuts the slices of all workers.
fn cuts_for_all(opened: &Opened, #[allow(unused)] receivers: u16) -> bool {
    match opened {
        Opened::Captures(..) => true,
        #[cfg(feature = "dpdk")]
        Opened::Devices(_, feeds) => threads::cuts_for_all(feeds, usize::from(receivers)),
    }
}

/// Threads that receive for the workers: no more than there are queues.
fn receivers(opened: &Opened, #[allow(unused)] plan: &Plan) -> u16 {
    match opened {
        Opened::Captures(..) => 0,
        #[cfg(feature = "dpdk")]
        Opened::Devices(_, feeds) => plan.receive_cores.len().min(feeds.len()) as u16,
    }
}

fn is_on_ordinary_pages(opened: &Opened) -> bool {
    match opened {
        Opened::Captures(..) => false,
        #[cfg(feature = "dpdk")]
        Opened::Devices(devices, _) => devices.eal.memory() == Memory::OrdinaryPages,
    }
}

fn two_way(plan: &Plan) -> Vec<TapId> {
    plan.taps
        .iter()
        .enumerate()
        .filter(|(_, tap)| tap.two_way)
        .map(|(number, _)| TapId(number as u16))
        .collect()
}

/// What every worker is told. A replay has no secret to keep, and the same
/// input must meet the same tables.
fn setup_of(plan: &Plan, slice: Nanos, site_key: &[u8; 32]) -> anyhow::Result<Setup> {
    let mut key = *b"weir lab";
    if slice == LIVE_SLICE {
        getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("no random bytes; {error}"))?;
    }
    Ok(Setup {
        links: plan.taps.iter().map(|tap| tap.name.link).collect(),
        wrappers: plan.wrappers.clone(),
        ports: plan.ports,
        hash_key: u64::from_ne_bytes(key),
        sample_key: sample_key(site_key),
        live: slice == LIVE_SLICE,
    })
}

/// The session machine.
fn signalling(plan: &Plan, secret: u64, site_key: [u8; 32]) -> anyhow::Result<Signalling> {
    let setup = SignallingSetup {
        tunnels: plan.tunnels,
        secret,
        site_key,
        is_complete: plan.is_complete,
        is_n6_complete: plan.is_n6_complete,
    };
    Signalling::new(&setup).with_context(|| {
        format!("no memory for {} tunnels; [sensor] tunnels; lower it or add memory", plan.tunnels)
    })
}

/// What all stations share.
struct Shared<'a> {
    policy: &'a Arc<PolicySlot>,
    notice: &'a Arc<Notice>,
    watch: &'a Arc<WatchSlot>,
    slice: Nanos,
    lockstep: bool,
}

fn outfits(
    setup: &Setup,
    lanes: &[LaneName],
    lane_blocks: Vec<BlockWriter>,
    worker_blocks: Vec<BlockWriter>,
    shared: &Shared<'_>,
    signalling: &mut Signalling,
) -> anyhow::Result<Vec<Outfit>> {
    let mut of_worker: Vec<Vec<BlockWriter>> = worker_blocks.iter().map(|_| Vec::new()).collect();
    for (lane, block) in lanes.iter().zip(lane_blocks) {
        of_worker[usize::from(lane.worker)].push(block);
    }
    worker_blocks
        .into_iter()
        .zip(of_worker)
        .map(|(block, lanes)| {
            let access = signalling.enlist().context("no memory to count on tunnels in")?;
            let worker =
                Worker::new(setup.clone(), access).context("no memory for a worker's ledger")?;
            Ok(Outfit {
                worker,
                lanes,
                block,
                policy: shared.policy.clone(),
                notice: shared.notice.clone(),
                watch: shared.watch.clone(),
                slice: shared.slice,
                live: shared.slice == LIVE_SLICE,
                lockstep: shared.lockstep,
            })
        })
        .collect()
}

/// Whether a replay may begin: control has said what the policy is, or the
/// sensor has one of its own.
fn await_briefing(
    briefing: &crossbeam::channel::Receiver<()>,
    policy: &PolicySlot,
    stop: &Stop,
) -> bool {
    let began = Instant::now();
    while began.elapsed() < BRIEFING && !stop.is_asked() {
        if briefing.recv_timeout(ROUND).is_ok() {
            return true;
        }
    }
    !stop.is_asked() && policy.current().is_some()
}

/// Starts the workers and whatever feeds them, and waits until they have ended.
fn inspect(
    plan: &Plan,
    setup: &Setup,
    opened: Opened,
    stations: Vec<Station>,
    #[cfg_attr(not(feature = "dpdk"), expect(unused_variables))] ports: Ports<'_>,
    stop: &Stop,
) -> anyhow::Result<()> {
    match opened {
        Opened::Captures(captures, inputs) => {
            read_captures(plan, setup, captures, inputs, stations, stop)
        }
        #[cfg(feature = "dpdk")]
        Opened::Devices(devices, feeds) => {
            threads::watch_devices(plan, setup, &devices, feeds, stations, ports, stop)
        }
    }
}

fn read_captures(
    plan: &Plan,
    setup: &Setup,
    mut captures: Vec<Capture>,
    mut inputs: Vec<Option<File>>,
    stations: Vec<Station>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let repetition = match Repetition::of(plan, &mut captures, &mut inputs, stop) {
        Ok(repetition) => repetition,
        Err(error) => {
            // Their last word lets the judge end.
            stations.into_iter().for_each(Station::finish);
            return Err(error);
        }
    };
    let captures: Arc<[Capture]> = captures.into();
    let progress = Arc::new(Progress::default());
    let mut dealers = Vec::new();
    let mut workers = Vec::new();
    for (number, station) in stations.into_iter().enumerate() {
        let (dealer, player) = reader::deal();
        dealers.push(dealer);
        let (captures, core) = (captures.clone(), plan.cores.get(number).copied());
        let anew = repetition.anew.clone();
        workers.push(spawn(&format!("worker-{number}"), move || {
            pin(core);
            reader::play(&player, &captures, anew.as_deref(), station);
        })?);
    }
    let reading = {
        let (captures, progress, stop) = (captures.clone(), progress.clone(), stop.clone());
        let (setup, speed) = (setup.clone(), plan.speed);
        spawn("reader", move || {
            let (setup, repetition, progress) = (&setup, &repetition, &progress);
            let course = Course { setup, speed, repetition, progress, stop: &stop };
            reader::read(&captures, inputs, dealers, &course)
        })?
    };
    // How much a stream holds is not known before its end.
    let once: Option<u64> =
        captures.iter().map(|capture| Some(capture.content.as_ref()?.len() as u64)).sum();
    let total = once.map(|once| once.saturating_mul(u64::from(plan.passes)));
    let bar = match total {
        Some(total) => bar(total, "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        None => bar(0, "{bytes} read, {bytes_per_sec}"),
    };
    while workers.iter().any(|worker| !worker.is_finished()) {
        bar.set_position(progress.0.load(Ordering::Relaxed));
        thread::sleep(GLANCE);
    }
    bar.finish_and_clear();
    for worker in workers {
        worker.join().map_err(|_| anyhow::anyhow!("a worker's thread failed"))?;
    }
    let out = reading.join().map_err(|_| anyhow::anyhow!("the reader's thread failed"))?;
    out.complain(&captures)
}

/// Where it is published what ports and receive threads say.
#[cfg_attr(not(feature = "dpdk"), expect(dead_code))]
pub(crate) struct Ports<'a> {
    blocks: Vec<BlockWriter>,
    pub(crate) receivers: Vec<BlockWriter>,
    notice: &'a Notice,
}

#[cfg(feature = "dpdk")]
impl Ports<'_> {
    pub(crate) fn publish(&mut self, ports: &[PortWords]) {
        let mut words = vec![0; BLOCK];
        for (port, block) in ports.iter().zip(&mut self.blocks) {
            port.store(&mut words);
            block.publish(&words);
        }
        let lost = ports.iter().flat_map(|port| port.not_inspected).sum();
        self.notice.lost.store(lost, Ordering::Relaxed);
    }
}

pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<T>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .with_context(|| format!("can't start the thread {name}"))
}

/// Pins this thread to a core.
pub(crate) fn pin(core: Option<usize>) {
    let Some(core) = core else { return };
    let mut set = CpuSet::new();
    let pinned = set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        eprintln!(
            "warning: not pinned to core {core}: {error}; [sensor] workers; name cores that this machine has"
        );
    }
}

/// Waits until control has read every verdict: as long as it is attached and
/// alive, and a moment for one that might come back.
fn say_farewell(mut ring: RingWriter, notice: &Notice, status: &weir_shm::Status) {
    let began = Instant::now();
    let mut seen = Instant::now();
    while ring.acknowledged() < ring.written() && began.elapsed() < FAREWELL {
        if notice.attached.load(Ordering::Relaxed) {
            seen = Instant::now();
        } else if seen.elapsed() > ABSENCE {
            return;
        }
        status.heartbeat(clock::now().0);
        thread::sleep(Duration::from_millis(1));
    }
}
