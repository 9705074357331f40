//! More than a worker can inspect: where every frame went, to the packet, and what overload spares.
//!
//! Another core feeds a net_ring, in place of a wire, with three times what the worker can inspect;
//! what the ring has no room for is what a port would have missed. The worker is slowed by a fixed
//! cost for each packet that it inspects, so that the figures do not depend on the machine. N4 comes
//! among users' frames, or, as behind a card that sorts it out, through a ring of its own.

mod ledger;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use weir_dpdk::{Eal, EalConfig, Hugepages, Pool, Port, PortConfig, RingFeeder, RxQueue};
use weir_engine::frame::BURST;
use weir_engine::rules::Rules;
use weir_engine::shed::{FLOWS, Overload};
use weir_engine::{Nanos, Signalling, SignallingSetup, Worker, worker::Setup};

pub(crate) use ledger::equipment_frame;
pub use ledger::{Class, Ledger, Outcome, Row};

use crate::inspector::{Inspector, Manner};
use crate::paced::{AT_ONCE, paced};
use crate::rounds::Samples;
use crate::traffic::Traffic;
use crate::{machine, n4, sessions, traffic};

/// Of so many frames one is N4, and of so many one is sent by equipment itself.
const N4_SHARE: u64 = 100;
const EQUIPMENT_SHARE: u64 = 100;
/// How often equipment turns to another peer, each of which is an alert.
const PEER: Duration = Duration::from_millis(20);
/// How long OPS-BLIND looks at losses before it tells.
const LOSS_WINDOW: Nanos = Nanos(200_000_000);
/// mbufs: two rings' and what is on its way.
const MBUFS: u32 = 4_095;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// What an inspected packet costs beyond its inspection, nanoseconds.
    #[arg(long, default_value_t = 1_000)]
    slowness_ns: u64,
    /// How much comes, in per cent of what the worker can inspect.
    #[arg(long, default_value_t = 300.0)]
    load: f64,
    /// For how long, seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Options {
    /// Measures and prints.
    ///
    /// # Errors
    /// As [`measure`].
    pub fn run(&self) -> anyhow::Result<()> {
        let in_range = self.seconds > 0.0 && self.seconds <= 600.0 && self.load > 0.0;
        anyhow::ensure!(in_range, "not a load; --load, --seconds; more than 0, at most 600 s");
        let outcome = measure(&Plan {
            slowness: Duration::from_nanos(self.slowness_ns),
            load: self.load / 100.0,
            span: Duration::from_secs_f64(self.seconds),
            tunnels: 100_000,
            frames: 1 << 16,
            rounds: 9,
        })?;
        if self.json {
            println!("{:#}", outcome.json());
        } else {
            print!("{outcome}");
        }
        Ok(())
    }
}

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What an inspected packet costs beyond its inspection.
    pub slowness: Duration,
    /// How much comes, as a multiple of what the worker can inspect.
    pub load: f64,
    /// For how long.
    pub span: Duration,
    /// Tunnels of the mix, and its frames, which come again and again.
    pub tunnels: u32,
    /// See [`Plan::tunnels`].
    pub frames: usize,
    /// Rounds in which the cost of a packet that is left out is compared with that of another.
    pub rounds: usize,
}

/// Measures overload twice, with N4 among users' frames and with a ring of its own, in this process,
/// where EAL must not have been started.
///
/// # Errors
/// When DPDK or the engine can't start.
pub fn measure(plan: &Plan) -> anyhow::Result<Outcome> {
    let cores = machine::cores()?;
    let (&feeding, &inspecting) = match cores.as_slice() {
        [first, .., last] => (first, last),
        [only] => (only, only),
        [] => anyhow::bail!("the kernel names no core; it must be able to say its affinity"),
    };
    let eal = Eal::init(&EalConfig {
        program: "weir-bench".into(),
        hugepages: Hugepages::Never,
        vdevs: vec!["net_ring0".into(), "net_ring1".into()],
        memory_mib: 128,
        ..EalConfig::default()
    })?;
    let pool = Pool::new(&eal, "overload", MBUFS, Pool::DEFAULT_DATA_ROOM, None)?;
    let mut rings = Vec::new();
    for name in ["net_ring0", "net_ring1"] {
        let (port, queues) = Port::open(name, &PortConfig::default(), pool.clone())?;
        let queue = queues.into_iter().next().context("a net_ring has a queue")?;
        rings.push((queue, RingFeeder::of(&port)?));
    }
    let (mut queues, mut feeders): (Vec<RxQueue>, Vec<RingFeeder>) = rings.into_iter().unzip();
    let mut set = n4::rule_set();
    set.settings.blind_loss_window = LOSS_WINDOW;
    let mut bench = Bench {
        plan: *plan,
        eal,
        rules: Arc::new(Rules::compile(set)?),
        mix: Traffic::imix(plan.tunnels, plan.frames),
        feeding,
        inspecting,
    };
    let (inspected_ns, shed_ns) = bench.costs()?;
    let capacity = 1e9 / (plan.slowness.as_nanos() as f64 + inspected_ns);
    let rate = capacity * plan.load;
    let among = bench.run(&mut queues, &mut feeders, Course::Among(rate))?;
    let apart = bench.run(&mut queues, &mut feeders, Course::Apart(rate))?;
    Ok(Outcome { plan: *plan, capacity, among, apart, inspected_ns, shed_ns })
}

/// How N4 comes, and at which rate all frames do, a second.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// Among users' frames.
    Among(f64),
    /// Through a ring of its own.
    Apart(f64),
}

struct Bench {
    plan: Plan,
    eal: Arc<Eal>,
    rules: Arc<Rules>,
    mix: Traffic,
    feeding: usize,
    inspecting: usize,
}

impl Bench {
    fn run(
        &mut self,
        queues: &mut [RxQueue],
        feeders: &mut [RingFeeder],
        course: Course,
    ) -> anyhow::Result<Ledger> {
        let missed = Arc::new(AtomicU64::new(0));
        let manner = Manner { tunnels: self.plan.tunnels, slowness: self.plan.slowness };
        let mut inspector = Inspector::new(manner, self.rules.clone(), missed.clone())?;
        let is_over = AtomicBool::new(false);
        let is_ready = AtomicBool::new(false);
        let Self { eal, plan, mix, .. } = &*self;
        let (inspecting, feeding) = (self.inspecting, self.feeding);
        let mut feed = Feed::new(mix, course, plan);
        std::thread::scope(|scope| {
            let (is_over, is_ready) = (&is_over, &is_ready);
            let worker = scope.spawn(move || -> anyhow::Result<_> {
                machine::pin(inspecting)?;
                let _registration = eal.register_thread();
                let mut seen = ledger::Seen::of_tunnels(plan.tunnels);
                is_ready.store(true, Ordering::Release);
                loop {
                    let was_over = is_over.load(Ordering::Acquire);
                    let mut frames = 0;
                    // N4's ring first.
                    for (number, queue) in queues.iter_mut().enumerate().rev() {
                        let episode = inspector.overload().episodes();
                        frames += inspector.poll((number, queue), |frame, stays, share| {
                            seen.frame(frame.bytes, stays, (episode, share));
                        });
                    }
                    if frames == 0 && was_over {
                        inspector.finish();
                        return Ok((inspector, seen));
                    }
                }
            });
            machine::pin(feeding).inspect_err(|_| is_over.store(true, Ordering::Release))?;
            let _registration = eal.register_thread();
            while !is_ready.load(Ordering::Acquire) && !worker.is_finished() {
                std::hint::spin_loop();
            }
            let fed = feed.send(feeders, &missed);
            is_over.store(true, Ordering::Release);
            let (mut inspector, seen) =
                worker.join().map_err(|_| anyhow::anyhow!("the worker's thread failed"))??;
            let seconds = fed?.as_secs_f64();
            Ok(Ledger::of(&feed.fed, seen, &mut inspector, seconds))
        })
    }

    /// What a packet costs that is inspected, and one that is left out, ns, without the slow-down:
    /// medians of interleaved rounds over frames in memory.
    fn costs(&mut self) -> anyhow::Result<(f64, f64)> {
        let room = (self.plan.tunnels as usize).max(1 << 16);
        let setup = SignallingSetup { tunnels: room, ..SignallingSetup::default() };
        let mut signalling = Signalling::new(&setup)?;
        signalling.set_rules(self.rules.clone(), Nanos(0));
        sessions::establish(&mut signalling, self.mix.sessions, traffic::START);
        let mut worker = Worker::new(Setup::default(), signalling.enlist()?)?;
        worker.set_rules(Some(self.rules.clone()));
        let frames = self.mix.arrivals();
        let all = everything();
        let [mut inspected, mut shed] = [const { Samples::new() }; 2];
        for round in 0..=self.plan.rounds {
            let began = Instant::now();
            for burst in frames.chunks(BURST) {
                worker.burst(burst);
            }
            inspected.push_from(round, began.elapsed().as_nanos() as f64 / frames.len() as f64);
            let began = Instant::now();
            let stayed: u64 = (frames.chunks(BURST))
                .map(|burst| u64::from(worker.burst_in_overload(burst, &all).count_ones()))
                .sum();
            anyhow::ensure!(stayed == 0, "{stayed} of users' packets were not left out");
            shed.push_from(round, began.elapsed().as_nanos() as f64 / frames.len() as f64);
        }
        Ok((inspected.median(), shed.median()))
    }
}

/// A load under which all users' flows are left out.
fn everything() -> Overload {
    let mut overload = Overload::new(Nanos(0));
    let mut at = 0;
    while overload.share() < FLOWS {
        at += 1_000;
        overload.polled(0, BURST, Nanos(at));
    }
    overload
}

/// What is sent, and how much of it there was room for.
struct Feed<'a> {
    mix: &'a Traffic,
    rate: f64,
    is_apart: bool,
    span: Duration,
    n4: Vec<Vec<u8>>,
    /// One packet to each peer, in turn.
    equipment: Vec<Vec<u8>>,
    /// By class: offered, missed.
    fed: [(u64, u64); Class::ALL.len()],
}

impl<'a> Feed<'a> {
    fn new(mix: &'a Traffic, course: Course, plan: &Plan) -> Self {
        let (rate, is_apart) = match course {
            Course::Among(rate) => (rate, false),
            Course::Apart(rate) => (rate, true),
        };
        let span = plan.span;
        // Each message comes once: a sender that begins again would be doubted.
        let messages = (rate * span.as_secs_f64() * 1.1) as u64 / N4_SHARE;
        let n4 = n4::frames(1, messages / n4::MESSAGES as u64 + 1).collect();
        let peers = span.as_nanos().div_ceil(PEER.as_nanos()) as u16;
        let equipment = (0..peers).map(equipment_frame).collect();
        Self { mix, rate, is_apart, span, n4, equipment, fed: Default::default() }
    }

    /// Sends all; gives the time that it took.
    fn send(&mut self, feeders: &mut [RingFeeder], missed: &AtomicU64) -> anyhow::Result<Duration> {
        let Self { mix, rate, is_apart, span, n4, equipment, fed } = self;
        let [users_wire, n4_wire] = feeders else {
            anyhow::bail!("there are two rings");
        };
        let (mut users, mut n4) = (mix.frames().iter().cycle(), n4.iter());
        let began = Instant::now();
        let (mut number, mut lost) = (0, 0);
        let burst = || {
            let peer = (began.elapsed().as_nanos() / PEER.as_nanos()) as usize;
            let mut frames: [&[u8]; AT_ONCE] = [&[]; AT_ONCE];
            let mut classes = [Class::Users; AT_ONCE];
            let mut count = 0;
            for _ in 0..AT_ONCE {
                number += 1;
                let (class, frame) = match number {
                    n if n % EQUIPMENT_SHARE == 7 => (Class::Equipment, equipment.get(peer)),
                    n if n % N4_SHARE == 3 => (Class::N4, n4.next()),
                    _ => (Class::Users, users.next()),
                };
                let Some(frame) = frame else { continue };
                if class == Class::N4 && *is_apart {
                    let taken = n4_wire.offer(&[frame])?;
                    note(fed, &[class], taken, &mut lost);
                    continue;
                }
                (frames[count], classes[count]) = (frame, class);
                count += 1;
            }
            let taken = users_wire.offer(&frames[..count])?;
            note(fed, &classes[..count], taken, &mut lost);
            missed.store(lost, Ordering::Relaxed);
            Ok(())
        };
        Ok(paced(*rate, *span, None, burst)?.took)
    }
}

/// Counts what was offered, of which the first `taken` found room.
fn note(fed: &mut [(u64, u64); Class::ALL.len()], classes: &[Class], taken: usize, lost: &mut u64) {
    for (place, class) in classes.iter().enumerate() {
        let (offered, missed) = &mut fed[*class as usize];
        *offered += 1;
        *missed += u64::from(place >= taken);
        *lost += u64::from(place >= taken);
    }
}
