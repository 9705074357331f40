//! A sink's thread: takes what waits, sends it, and looks for the collector again when it is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_policy::{Collector, TlsConfig, Transport};

use super::connection::Connection;
use super::ipfix::Exporter;
use super::queue::{Item, Queue};
use super::{Failure, Lost, Meter, Notice, Notices, syslog};

/// Events, or records, and bytes that are taken at a time.
const BATCH: (usize, usize) = (256, 256 << 10);
/// How long an idle thread waits until it looks whether the collector is still there.
const LOOK: Duration = Duration::from_secs(1);
/// Between two attempts: at first, and at most. Each is drawn from the upper half, so that many
/// sensors do not come back to one collector at the same moment.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// A connection that lasted for this long is one: before that nothing is said to be well again.
const STEADY: Duration = Duration::from_secs(10);
/// How long a collector may be away before it is worth an event.
const GRACE: Duration = Duration::from_secs(2);

/// What is sent, and how.
pub(super) enum Protocol {
    /// Messages as they are.
    Syslog,
    /// Records, which become messages here.
    Ipfix(Box<Exporter>),
}

/// A sink's thread.
pub(super) struct Delivery {
    pub(super) queue: Arc<Queue>,
    pub(super) meter: Arc<Meter>,
    pub(super) notices: Arc<Notices>,
    pub(super) collector: Collector,
    pub(super) transport: Transport,
    pub(super) tls: Option<TlsConfig>,
    pub(super) protocol: Protocol,
}

/// How the attempts go.
struct Trouble {
    /// Since when nothing went well.
    since: Option<Instant>,
    attempts: u32,
    /// Whether it was said.
    said: bool,
    /// Events that were lost before it began.
    lost: u64,
}

impl Delivery {
    /// Runs until the queue is closed and empty, or its time is over.
    pub(super) fn run(mut self) {
        let mut connection: Option<(Connection, Instant)> = None;
        let mut trouble = Trouble { since: None, attempts: 0, said: false, lost: 0 };
        let mut hand: Vec<Item> = Vec::new();
        loop {
            let deadline = self.queue.deadline();
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
            let Some((way, since)) = &mut connection else {
                match Connection::open(&self.collector, self.transport, self.tls.as_ref()) {
                    Ok(opened) => {
                        self.meter.connected(true);
                        self.begin();
                        connection = Some((opened, Instant::now()));
                    }
                    Err(failure) => {
                        self.failed(failure, &mut trouble);
                        // One more attempt is all that the end allows.
                        if deadline.is_some() {
                            break;
                        }
                        self.pause(&mut trouble);
                    }
                }
                continue;
            };
            if trouble.since.is_some() && since.elapsed() >= STEADY {
                self.recovered(&mut trouble);
            }
            let went = way.check().and_then(|()| {
                if hand.is_empty() {
                    hand = self.queue.take(BATCH.0, BATCH.1, LOOK);
                    self.meter.in_hand(hand.len());
                    // Time has passed, in which the collector may have gone.
                    way.check()?;
                }
                send(&mut self.protocol, &self.meter, way, &mut hand)
            });
            self.meter.in_hand(hand.len());
            match went {
                Ok(()) => {
                    if self.queue.deadline().is_some() && self.queue.depth() == 0 {
                        break;
                    }
                }
                Err(failure) => {
                    if failure == Failure::Refused {
                        self.meter.lose(Lost::Refused, self.last());
                    }
                    connection = None;
                    self.meter.connected(false);
                    self.failed(failure, &mut trouble);
                    if self.queue.deadline().is_none() {
                        self.pause(&mut trouble);
                    }
                }
            }
        }
        if let Some((way, _)) = connection {
            way.close();
        }
        self.meter.connected(false);
        self.meter.end(hand.len() as u64 + self.queue.depth());
    }

    fn begin(&mut self) {
        if let Protocol::Ipfix(exporter) = &mut self.protocol {
            exporter.begin();
        }
    }

    /// What the last datagram held: a port that is closed is told of by the next one.
    fn last(&self) -> u64 {
        match &self.protocol {
            Protocol::Syslog => 1,
            Protocol::Ipfix(exporter) => exporter.last(),
        }
    }

    fn failed(&self, failure: Failure, trouble: &mut Trouble) {
        self.meter.fail(failure);
        let since = *trouble.since.get_or_insert_with(|| {
            trouble.lost = self.meter.lost();
            Instant::now()
        });
        // No patience mends a certificate.
        if !trouble.said && (since.elapsed() >= GRACE || failure.is_certificates()) {
            trouble.said = true;
            self.notices.say(Notice {
                state: if failure.is_certificates() { "refused" } else { "down" },
                observed: format!(
                    "Events don't reach the sink {}: {}.",
                    self.meter.name,
                    failure.sentence()
                ),
                lost: None,
            });
        }
    }

    fn recovered(&self, trouble: &mut Trouble) {
        if trouble.said {
            let lost = self.meter.lost() - trouble.lost;
            self.notices.say(Notice {
                state: "recovered",
                observed: format!(
                    "Events reach the sink {} again; {lost} were lost.",
                    self.meter.name
                ),
                lost: Some(lost),
            });
        }
        *trouble = Trouble { since: None, attempts: 0, said: false, lost: 0 };
    }

    fn pause(&self, trouble: &mut Trouble) {
        let pause = PAUSE.0.saturating_mul(1 << trouble.attempts.min(10)).min(PAUSE.1);
        trouble.attempts += 1;
        // Without a source of chance all pauses are whole, which serves as well.
        let chance = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        self.queue.sleep(pause.mul_f64(0.5 + 0.5 * chance));
    }
}

/// Sends what is in hand; what is not sent stays there.
fn send(
    protocol: &mut Protocol,
    meter: &Meter,
    way: &mut Connection,
    hand: &mut Vec<Item>,
) -> Result<(), Failure> {
    match protocol {
        Protocol::Syslog => {
            let mut sent = 0;
            let went = hand.iter().try_for_each(|item| {
                way.send(&item.bytes)?;
                meter.sent(item.tag == syslog::CUT);
                sent += 1;
                Ok(())
            });
            hand.drain(..sent);
            went
        }
        Protocol::Ipfix(exporter) => {
            exporter.refresh(&mut |message| way.send(message))?;
            while !hand.is_empty() {
                let records = exporter.pack(hand, &mut |message| way.send(message))?;
                hand.drain(..records);
                (0..records).for_each(|_| meter.sent(false));
            }
            Ok(())
        }
    }
}
