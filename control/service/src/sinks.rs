//! Events into the tools that a SOC has: syslog and IPFIX, beside the event file.
//!
//! Each sink has a bounded queue and a thread. Control formats an event, puts it into the queues of
//! those that want it, and goes on: a collector that hangs, refuses or is gone costs its own events,
//! each counted, and nothing else. The event file has all of them.

mod cef;
mod connection;
mod delivery;
mod ipfix;
mod queue;
mod syslog;
mod tls;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use weir_policy::{IpfixConfig, SinksConfig, SyslogConfig, Transport};

use crate::eve::Event;
use crate::refusal::Refusal;
use delivery::{Delivery, Protocol};
use queue::{Item, Queue};

pub use ipfix::Flows;

/// How long the end waits for the sinks.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Changes of sinks' health that wait to be told.
const NOTICES: usize = 64;

/// Why events did not reach a collector.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Lost {
    /// The queue was full.
    Full,
    /// The event is larger than a message may be.
    TooLong,
    /// The collector's host refused the datagram.
    Refused,
    /// The process ended before they were sent.
    Stop,
}

impl Lost {
    /// Every reason, in the order of its counter.
    pub const ALL: [Lost; 4] = [Lost::Full, Lost::TooLong, Lost::Refused, Lost::Stop];

    /// The metric label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Lost::Full => "full",
            Lost::TooLong => "too_long",
            Lost::Refused => "refused",
            Lost::Stop => "stop",
        }
    }
}

/// Why a collector can't be reached, or not any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum Failure {
    /// Its name has no address.
    Resolve,
    /// No connection is made.
    Connect,
    /// Our own certificate files can't be used.
    Files,
    /// Its certificate is over.
    Expired,
    /// Its certificate is not what it should be.
    Certificate,
    /// TLS came to nothing for another reason.
    Tls,
    /// It took nothing, or the connection broke.
    Send,
    /// It refused a datagram.
    Refused,
    /// It closed the connection.
    Closed,
}

impl Failure {
    /// Every kind, in the order of its counter.
    pub const ALL: [Failure; 9] = [
        Failure::Resolve,
        Failure::Connect,
        Failure::Files,
        Failure::Expired,
        Failure::Certificate,
        Failure::Tls,
        Failure::Send,
        Failure::Refused,
        Failure::Closed,
    ];

    /// The metric label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Failure::Resolve => "resolve",
            Failure::Connect => "connect",
            Failure::Files => "files",
            Failure::Expired => "expired",
            Failure::Certificate => "certificate",
            Failure::Tls => "tls",
            Failure::Send => "send",
            Failure::Refused => "refused",
            Failure::Closed => "closed",
        }
    }

    /// What an event says. Nothing of what the other side sent is in it.
    const fn sentence(self) -> &'static str {
        match self {
            Failure::Resolve => "its name has no address",
            Failure::Connect => "no connection can be made",
            Failure::Files => "the certificate files of weir.toml can't be used",
            Failure::Expired => "its certificate has expired",
            Failure::Certificate => {
                "its certificate is not signed by whom weir.toml names, or for another name"
            }
            Failure::Tls => "TLS can't be agreed on",
            Failure::Send => "it takes nothing, or the connection broke",
            Failure::Refused => "it refuses datagrams",
            Failure::Closed => "it closes the connection",
        }
    }

    const fn is_certificates(self) -> bool {
        matches!(self, Failure::Files | Failure::Expired | Failure::Certificate)
    }
}

/// What is counted of a sink.
#[derive(Debug)]
pub struct Meter {
    /// The sink's name.
    pub name: String,
    queue: Arc<Queue>,
    sent: [AtomicU64; 2],
    lost: [AtomicU64; Lost::ALL.len()],
    failures: [AtomicU64; Failure::ALL.len()],
    up: AtomicBool,
    in_hand: AtomicU64,
    ended: AtomicBool,
}

impl Meter {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            queue: Arc::new(Queue::new()),
            sent: Default::default(),
            lost: Default::default(),
            failures: Default::default(),
            up: AtomicBool::default(),
            in_hand: AtomicU64::default(),
            ended: AtomicBool::default(),
        }
    }

    /// Events given to the system for the collector: whole, and cut to what a datagram holds.
    pub fn counts(&self) -> [u64; 2] {
        [0, 1].map(|kind| self.sent[kind].load(Ordering::Relaxed))
    }

    /// Events lost for this reason.
    pub fn lost_by(&self, reason: Lost) -> u64 {
        self.lost[reason as usize].load(Ordering::Relaxed)
    }

    /// How often this happened.
    pub fn failures(&self, failure: Failure) -> u64 {
        self.failures[failure as usize].load(Ordering::Relaxed)
    }

    /// Whether there is a connection; of datagrams, an address.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Events that are not sent yet.
    pub fn waiting(&self) -> u64 {
        self.queue.depth() + self.in_hand.load(Ordering::Relaxed)
    }

    fn lost(&self) -> u64 {
        Lost::ALL.into_iter().map(|reason| self.lost_by(reason)).sum()
    }

    /// An event of those in hand was sent.
    fn sent(&self, cut: bool) {
        self.sent[usize::from(cut)].fetch_add(1, Ordering::Relaxed);
        self.in_hand.fetch_sub(1, Ordering::Relaxed);
    }

    fn lose(&self, reason: Lost, events: u64) {
        self.lost[reason as usize].fetch_add(events, Ordering::Relaxed);
    }

    fn fail(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn connected(&self, is: bool) {
        self.up.store(is, Ordering::Relaxed);
    }

    fn in_hand(&self, events: usize) {
        self.in_hand.store(events as u64, Ordering::Relaxed);
    }

    /// The thread has ended, and so many were not sent.
    fn end(&self, unsent: u64) {
        self.lose(Lost::Stop, unsent);
        self.ended.store(true, Ordering::Release);
    }

    fn put(&self, item: Item) {
        let lost = self.queue.put(item);
        if lost > 0 {
            self.lose(Lost::Full, lost);
        }
    }
}

/// A change of a sink's health, for an event.
#[derive(Debug)]
pub struct Notice {
    /// down, refused or recovered.
    pub state: &'static str,
    /// A sentence.
    pub observed: String,
    /// Events lost meanwhile.
    pub lost: Option<u64>,
}

/// Notices on their way from the sinks' threads to control.
#[derive(Debug, Default)]
struct Notices(Mutex<Vec<Notice>>);

impl Notices {
    fn say(&self, notice: Notice) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Control hears them many times a second: only one that is stuck itself misses any.
        if waiting.len() < NOTICES {
            waiting.push(notice);
        }
    }

    fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where events of one kind of secrecy go.
#[derive(Clone, Debug, Default)]
pub struct Feed(Vec<(Arc<Meter>, Arc<syslog::Form>)>);

impl Feed {
    /// Puts an event, and its line, into the queue of everybody who wants it.
    pub fn event(&self, event: &Event<'_>, line: &[u8]) {
        for (meter, form) in &self.0 {
            match form.item(event, line) {
                None => {}
                Some(Ok(item)) => meter.put(item),
                Some(Err(lost)) => meter.lose(lost, 1),
            }
        }
    }
}

/// All sinks.
#[derive(Debug, Default)]
pub struct Sinks {
    meters: Vec<Arc<Meter>>,
    open: Feed,
    restricted: Feed,
    flows: Vec<Arc<Meter>>,
    notices: Arc<Notices>,
}

impl Sinks {
    /// Checks what is configured and starts a thread for each sink.
    ///
    /// # Errors
    /// Certificates that can't be used.
    pub fn start(config: &SinksConfig) -> Result<Self, Refusal> {
        let mut sinks = Self::default();
        for syslog in &config.syslog {
            sinks.syslog(syslog)?;
        }
        for ipfix in &config.ipfix {
            sinks.ipfix(ipfix)?;
        }
        Ok(sinks)
    }

    fn syslog(&mut self, config: &SyslogConfig) -> Result<(), Refusal> {
        if let Some(files) = &config.tls {
            tls::client(files).map_err(|bad| {
                Refusal::new(
                    &format!("the sink {} can't use TLS: {}", config.name, bad.reason),
                    &bad.path,
                    "name PEM files that this process may read",
                )
            })?;
        }
        let meter = self.meter(&config.name);
        let form = Arc::new(syslog::Form::of(config));
        self.open.0.push((Arc::clone(&meter), Arc::clone(&form)));
        if config.restricted && config.transport == Transport::Tls {
            self.restricted.0.push((Arc::clone(&meter), form));
        }
        self.spawn(Delivery {
            queue: Arc::clone(&meter.queue),
            meter,
            notices: Arc::clone(&self.notices),
            collector: config.collector.clone(),
            transport: config.transport,
            tls: config.tls.clone(),
            protocol: Protocol::Syslog,
        })
    }

    fn ipfix(&mut self, config: &IpfixConfig) -> Result<(), Refusal> {
        let meter = self.meter(&config.name);
        self.flows.push(Arc::clone(&meter));
        self.spawn(Delivery {
            queue: Arc::clone(&meter.queue),
            meter,
            notices: Arc::clone(&self.notices),
            collector: config.collector.clone(),
            transport: config.transport,
            tls: None,
            protocol: Protocol::Ipfix(Box::new(ipfix::Exporter::of(config))),
        })
    }

    fn meter(&mut self, name: &str) -> Arc<Meter> {
        let meter = Arc::new(Meter::new(name));
        self.meters.push(Arc::clone(&meter));
        meter
    }

    fn spawn(&self, delivery: Delivery) -> Result<(), Refusal> {
        let name = delivery.meter.name.clone();
        let thread = thread::Builder::new().name(name.clone());
        let spawned = thread.spawn(move || delivery.run());
        spawned.map(drop).map_err(|error: io::Error| {
            let what = format!("the sink {name} has no thread: {error}");
            Refusal::new(&what, "weir-control", "raise the limit of threads")
        })
    }

    /// What is counted of each.
    pub fn meters(&self) -> &[Arc<Meter>] {
        &self.meters
    }

    /// Where events for everybody go.
    pub fn open(&self) -> Feed {
        self.open.clone()
    }

    /// Where restricted events go.
    pub fn restricted(&self) -> Feed {
        self.restricted.clone()
    }

    /// Where flows go.
    pub fn flows(&self) -> Flows {
        Flows::into_sinks(self.flows.clone())
    }

    /// Changes of health since the last time.
    pub fn notices(&self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Gives the sinks a bounded time to send what waits; the name of each that did not, and how many
    /// events that were.
    pub fn stop(&self) -> Vec<(String, u64)> {
        let deadline = Instant::now() + LAST_WORDS;
        self.meters.iter().for_each(|meter| meter.queue.close(deadline));
        let ended = |meter: &Arc<Meter>| meter.ended.load(Ordering::Acquire);
        while !self.meters.iter().all(ended) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        let unsent = |meter: &Arc<Meter>| match ended(meter) {
            true => meter.lost_by(Lost::Stop),
            // It is stuck in a connection: what it holds and what waits behind.
            false => meter.waiting(),
        };
        let all = self.meters.iter().map(|meter| (meter.name.clone(), unsent(meter)));
        all.filter(|(_, events)| *events > 0).collect()
    }
}

#[cfg(test)]
mod tests;
