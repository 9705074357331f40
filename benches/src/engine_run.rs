//! The engine as the sensor drives it: bursts in, a report per slice out, and
//! the judge merging the reports when the worker is not being timed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_engine::account::Tally;
use weir_engine::detect::ops_blind::Vitals;
use weir_engine::frame::BURST;
use weir_engine::rules::{Link, Rules};
use weir_engine::time::REPLAY_SLICE;
use weir_engine::tunnels::Access;
use weir_engine::worker::Setup;
use weir_engine::{Frame, Judge, Nanos, Report, Signalling, SignallingSetup, Worker};

use crate::sessions::{self, Sessions};
use crate::traffic;

/// Reports that may wait for the judge: more slices than a pass closes.
const SPARE: usize = 8;

/// A worker, its judge and the reports between them.
#[derive(Debug)]
pub struct EngineRun {
    worker: Worker,
    slice: Option<u64>,
    closed: Vec<Report>,
    empty: Vec<Report>,
    attributed: u64,
    judge: Judge,
    judged: Judged,
}

/// What the judge did and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged {
    /// Slices judged.
    pub slices: u64,
    /// Verdicts said.
    pub verdicts: u64,
    /// Time spent in it.
    pub took: Duration,
}

impl EngineRun {
    /// A worker on a tap of this link, under these rules, where N4 has established these
    /// sessions.
    ///
    /// # Errors
    /// When there is no memory for its ledger or the table of tunnels.
    pub fn new(link: Link, rules: Arc<Rules>, sessions: Sessions) -> std::io::Result<Self> {
        let (access, signalling) = Self::established(&rules, sessions)?;
        Self::on(link, rules, access, signalling)
    }

    /// Two workers that look tunnels up in one table.
    ///
    /// # Errors
    /// When there is no memory for their ledgers or the table of tunnels.
    pub fn two(link: Link, rules: Arc<Rules>, sessions: Sessions) -> std::io::Result<[Self; 2]> {
        let (access, mut signalling) = Self::established(&rules, sessions)?;
        let other = signalling.enlist()?;
        // What the second one's judge hears is no business of the first one's.
        let aside = Signalling::new(&SignallingSetup { tunnels: 1, ..SignallingSetup::default() })?;
        Ok([
            Self::on(link, rules.clone(), access, signalling)?,
            Self::on(link, rules, other, aside)?,
        ])
    }

    fn established(
        rules: &Arc<Rules>,
        sessions: Sessions,
    ) -> std::io::Result<(Access, Signalling)> {
        let room = (sessions.tunnels as usize).max(1 << 16);
        let setup = SignallingSetup { tunnels: room, ..SignallingSetup::default() };
        let mut signalling = Signalling::new(&setup)?;
        signalling.set_rules(rules.clone(), Nanos(0));
        sessions::establish(&mut signalling, sessions, traffic::START);
        drop(signalling.records());
        Ok((signalling.enlist()?, signalling))
    }

    /// A worker that looks tunnels up in what `access` shows, whoever wrote it.
    ///
    /// # Errors
    /// When there is no memory for its ledger.
    pub fn on(
        link: Link,
        rules: Arc<Rules>,
        access: Access,
        signalling: Signalling,
    ) -> std::io::Result<Self> {
        let setup = Setup { links: vec![link], hash_key: 0x7765_6972, ..Setup::default() };
        let mut worker = Worker::new(setup, access)?;
        worker.set_rules(Some(rules.clone()));
        let mut judge = Judge::new([], signalling);
        judge.set_rules(rules, Nanos(0), &mut |_| {});
        // A report gets its room for flows when it is first exchanged.
        let empty =
            (0..SPARE).map(|_| worker.close(0, Nanos(0), false, Report::with_room())).collect();
        Ok(Self {
            worker,
            slice: None,
            closed: Vec::with_capacity(SPARE),
            empty,
            attributed: 0,
            judge,
            judged: Judged::default(),
        })
    }

    /// Takes one burst through the engine; a burst that begins a slice closes the one before.
    #[inline]
    pub fn burst(&mut self, frames: &[Frame<'_>]) {
        let Some(first) = frames.first() else { return };
        let slice = first.meta.time.slice(REPLAY_SLICE);
        if self.slice.is_some_and(|open| open < slice) || self.worker.is_full() {
            self.close(first.meta.time);
        }
        self.slice = Some(slice);
        self.worker.burst(frames);
    }

    /// Takes all frames through the engine.
    #[inline(never)]
    pub fn engine_pass(&mut self, frames: &[Frame<'_>]) {
        for burst in frames.chunks(BURST) {
            self.burst(burst);
        }
    }

    #[cold]
    fn close(&mut self, latest: Nanos) {
        let Some(slice) = self.slice else { return };
        if self.empty.is_empty() {
            self.judge();
        }
        let Some(empty) = self.empty.pop() else { return };
        let partial = latest.slice(REPLAY_SLICE) == slice;
        self.closed.push(self.worker.close(slice, latest, partial, empty));
    }

    /// Lets the judge merge the slices that were closed, and gets their reports back.
    pub fn judge(&mut self) {
        let began = Instant::now();
        for report in &self.closed {
            let begin = Nanos(report.slice * REPLAY_SLICE.0);
            let end = begin.plus(REPLAY_SLICE);
            let reports = std::slice::from_ref(report);
            let verdicts = &mut self.judged.verdicts;
            self.judge.slice(begin, end, reports, &Vitals::default(), &mut |_| *verdicts += 1);
            self.judged.slices += 1;
            self.attributed += report.unresolved.attributed;
        }
        self.judged.took += began.elapsed();
        self.empty.append(&mut self.closed);
    }

    /// What the judge has done so far.
    pub fn judged(&self) -> Judged {
        self.judged
    }

    /// G-PDUs of judged slices whose tunnel was found.
    pub fn attributed(&self) -> u64 {
        self.attributed
    }

    /// Sessions that N4 established before the judge's eyes.
    pub fn sessions_established(&self) -> u64 {
        self.judge.words().sessions_established
    }

    /// Flows that the judge knows.
    pub fn flows(&self) -> u64 {
        self.judge.words().flows
    }

    /// The worker's counters.
    pub fn tally(&mut self) -> &mut Tally {
        self.worker.tally()
    }
}
