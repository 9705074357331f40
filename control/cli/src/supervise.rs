//! Runs sensor and control to their end: passes a stop on, starts a killed control again, and never
//! leaves a process behind.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::failure::Failure;
use crate::programs;

/// How often a control that was killed is started again.
const RESTARTS: u32 = 3;
/// How long control may write after a sensor that ended well; it has read every record by then.
const WRITING: Duration = Duration::from_secs(15);
/// How long control may take to notice that a sensor failed.
const NOTICING: Duration = Duration::from_secs(3);
/// How long a process may take to stop once it is asked to.
const STOPPING: Duration = Duration::from_secs(10);

/// What to run.
pub(crate) struct Plan {
    /// The arguments of weir-sensor.
    pub(crate) sensor: Vec<OsString>,
    /// Whether the sensor reads our standard input.
    pub(crate) passes_input: bool,
    /// The arguments of weir-control.
    pub(crate) control: Vec<OsString>,
    /// What to say when the sensor has read everything and control stays up; `None`: control ends
    /// on its own then.
    pub(crate) staying: Option<String>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Outcome {
    /// The worse of the two exit codes.
    pub(crate) code: u8,
    /// How long the sensor had run when it failed, if it did.
    pub(crate) sensor_failed: Option<Duration>,
    /// Whether someone asked it to stop.
    pub(crate) interrupted: bool,
}

/// Runs both processes until both have ended.
pub(crate) fn run(plan: &Plan) -> Result<Outcome, Failure> {
    let programs = [programs::find(programs::SENSOR)?, programs::find(programs::CONTROL)?];
    let signals = SignalQueue::open()?;
    let [sensor, control] = &programs;
    let input = if plan.passes_input { Stdio::inherit() } else { Stdio::null() };
    let mut watch = Watch {
        plan,
        program: control,
        control: Some(Process::start(programs::CONTROL, control, &plan.control, Stdio::null())?),
        sensor: Some(Process::start(programs::SENSOR, sensor, &plan.sensor, input)?),
        started: Instant::now(),
        restarts: 0,
        deadline: None,
        outcome: Outcome::default(),
    };
    while watch.sensor.is_some() || watch.control.is_some() {
        match signals.next(watch.deadline) {
            Some(SIGCHLD) => {}
            Some(_) => watch.interrupt(),
            None => watch.press(),
        }
        watch.reap()?;
    }
    Ok(watch.outcome)
}

struct Watch<'p> {
    plan: &'p Plan,
    program: &'p Path,
    sensor: Option<Process>,
    control: Option<Process>,
    started: Instant,
    restarts: u32,
    deadline: Option<Instant>,
    outcome: Outcome,
}

impl Watch<'_> {
    /// Sees which processes have ended.
    fn reap(&mut self) -> Result<(), Failure> {
        if let Some((status, asked)) = ended(&mut self.sensor)? {
            self.sensor_ended(status, asked);
        }
        if let Some((status, asked)) = ended(&mut self.control)? {
            self.control_ended(status, asked)?;
        }
        Ok(())
    }

    fn sensor_ended(&mut self, status: ExitStatus, asked: bool) {
        let failed = !asked && !status.success();
        self.outcome.sensor_failed = failed.then(|| self.started.elapsed());
        self.settle(programs::SENSOR, status, asked);
        if asked || (failed && (status.code() != Some(1) || self.plan.staying.is_some())) {
            self.stop_control();
        } else if failed {
            self.deadline = Some(Instant::now() + NOTICING);
        } else if let Some(staying) = &self.plan.staying {
            eprintln!("{staying}");
        } else {
            self.deadline = Some(Instant::now() + WRITING);
        }
    }

    fn control_ended(&mut self, status: ExitStatus, asked: bool) -> Result<(), Failure> {
        let killed = status.signal().is_some() && !asked;
        if killed && self.sensor.is_some() && self.restarts < RESTARTS {
            self.restarts += 1;
            eprintln!(
                "weir-control ended by {}; it is started again ({} of {RESTARTS}), the sensor \
                 goes on",
                cause(status),
                self.restarts
            );
            let (program, arguments) = (self.program, &self.plan.control);
            let again = Process::start(programs::CONTROL, program, arguments, Stdio::null())?;
            self.control = Some(again);
            return Ok(());
        }
        self.settle(programs::CONTROL, status, asked);
        if let Some(sensor) = &mut self.sensor {
            // After the end of the records the sensor ends by itself; without control it can't go on.
            if status.success() && self.plan.staying.is_none() {
                self.deadline = Some(Instant::now() + WRITING);
            } else {
                sensor.ask();
                self.deadline = Some(Instant::now() + STOPPING);
            }
        }
        Ok(())
    }

    /// Takes the exit of a process into the outcome; one that was asked to stop has not failed.
    fn settle(&mut self, name: &str, status: ExitStatus, asked: bool) {
        if asked && !matches!(status.code(), Some(1..)) {
            return;
        }
        let code = match status.code() {
            Some(0) => return,
            Some(2) => 2,
            // Its own message stands on stderr.
            Some(1) => 1,
            _ => {
                eprintln!(
                    "error: {name} ended by {}; what it had handed on is kept; run it again",
                    cause(status)
                );
                1
            }
        };
        self.outcome.code = self.outcome.code.max(code);
    }

    /// Someone wants it to stop: the sensor first, so that control can read what it still has.
    fn interrupt(&mut self) {
        self.outcome.interrupted = true;
        match &mut self.sensor {
            Some(sensor) => {
                sensor.ask();
                self.deadline = Some(Instant::now() + STOPPING);
            }
            None => self.stop_control(),
        }
    }

    fn stop_control(&mut self) {
        if let Some(control) = &mut self.control {
            control.ask();
            self.deadline = Some(Instant::now() + STOPPING);
        }
    }

    /// The deadline has passed: asks what was not asked to stop, and kills what was.
    fn press(&mut self) {
        for process in [&mut self.sensor, &mut self.control].into_iter().flatten() {
            if process.asked {
                eprintln!("warning: {} does not stop; it is killed", process.name);
                process.kill();
            } else {
                process.ask();
            }
        }
        self.deadline = Some(Instant::now() + STOPPING);
    }
}

/// A running process in a group of its own, so that Ctrl-C reaches it only through us.
struct Process {
    name: &'static str,
    child: Child,
    asked: bool,
}

impl Process {
    fn start(
        name: &'static str,
        program: &Path,
        arguments: &[OsString],
        input: Stdio,
    ) -> Result<Self, Failure> {
        let child =
            Command::new(program).args(arguments).stdin(input).process_group(0).spawn().map_err(
                |why| {
                    Failure::work(format!(
                        "can't run {name}: {why}; {}; check that it is a program of this machine",
                        program.display()
                    ))
                },
            )?;
        Ok(Self { name, child, asked: false })
    }

    fn ask(&mut self) {
        self.asked = true;
        if let Ok(id) = i32::try_from(self.child.id()) {
            // It may have ended just now; that is what was wanted.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
    }

    fn kill(&mut self) {
        // As above.
        let _ = self.child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Takes a process out of its place once it has ended, with whether it was asked to.
fn ended(place: &mut Option<Process>) -> Result<Option<(ExitStatus, bool)>, Failure> {
    let Some(process) = place else { return Ok(None) };
    let status = process.child.try_wait().map_err(|why| {
        Failure::work(format!("lost sight of {}: {why}; the system; run it again", process.name))
    })?;
    let asked = process.asked;
    Ok(status.map(|status| {
        *place = None;
        (status, asked)
    }))
}

fn cause(status: ExitStatus) -> String {
    match (status.signal().map(Signal::try_from), status.code()) {
        (Some(Ok(signal)), _) => signal.to_string(),
        (_, Some(code)) => format!("exit code {code}"),
        _ => "an unknown signal".into(),
    }
}

/// The signals that concern the supervision, in order of arrival.
struct SignalQueue {
    queue: Receiver<i32>,
    handle: Handle,
}

impl SignalQueue {
    fn open() -> Result<Self, Failure> {
        let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM]).map_err(|why| {
            Failure::work(format!("can't listen for signals: {why}; the system; run it again"))
        })?;
        let handle = signals.handle();
        let (sender, queue) = mpsc::channel();
        thread::spawn(move || {
            for signal in signals.forever() {
                if sender.send(signal).is_err() {
                    return;
                }
            }
        });
        Ok(Self { queue, handle })
    }

    /// The next signal; none if the deadline comes first.
    fn next(&self, deadline: Option<Instant>) -> Option<i32> {
        let Some(deadline) = deadline else { return self.queue.recv().ok() };
        self.queue.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }
}

impl Drop for SignalQueue {
    fn drop(&mut self) {
        self.handle.close();
    }
}
