//! The rates at which nothing, and one frame of a thousand, is lost: a bisecting search in the words of
//! RFC 2544 §26.1 and RFC 9411 §7.1. A *trial* sends frames of the mix at an *offered load* for the
//! *trial duration*; its *frame loss rate* is what did not get through inspection of what was offered.
//! The *throughput* is the largest offered load at which no frame is lost. Since a kernel that gives a
//! core to somebody else loses frames that no engine lost, a trial that fails is repeated (the loss
//! verification of ETSI GS NFV-TST 009 §12.3.3), and every repetition is shown.

mod trials;

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

pub use trials::{Devices, Ring};

/// Shares of the frames that may be lost: none, and one of a thousand.
const TOLERANCES: [f64; 2] = [0.0, 0.001];

/// A generator that brings less than this share of what it was asked for is itself the limit.
const KEPT_UP: f64 = 0.98;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The trial duration, milliseconds.
    #[arg(long, default_value_t = 1_000)]
    trial_ms: u64,
    /// The resolution: the search ends when the bounds are so close, in per cent.
    #[arg(long, default_value_t = 1.0)]
    resolution: f64,
    /// The largest offered load, million frames a second.
    #[arg(long, default_value_t = 20.0)]
    most_mpps: f64,
    /// How often a load is tried before its loss is believed.
    #[arg(long, default_value_t = 3)]
    attempts: u32,
    /// What an inspected packet costs beyond its inspection, nanoseconds.
    #[arg(long, default_value_t = 0)]
    slowness_ns: u64,
    /// Tunnels of the mix.
    #[arg(long, default_value_t = 100_000)]
    tunnels: u32,
    /// The virtual device that frames are sent into, in DPDK's words; a net_ring within this process
    /// unless it is given.
    #[arg(long, requires = "receive")]
    send: Option<String>,
    /// The virtual device that the engine is behind.
    #[arg(long, requires = "send")]
    receive: Option<String>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Options {
    /// Searches and prints.
    ///
    /// # Errors
    /// When DPDK or the engine can't start, or a number is none to search by.
    pub fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.most_mpps > 0.0 && self.resolution > 0.0 && self.trial_ms > 0,
            "nothing to search by; --most-mpps, --resolution, --trial-ms; more than 0"
        );
        let plan = Plan {
            trial: Duration::from_millis(self.trial_ms),
            resolution: self.resolution / 100.0,
            most: self.most_mpps * 1e6,
            attempts: self.attempts.max(1),
        };
        let slowness = Duration::from_nanos(self.slowness_ns);
        let (outcome, octets) = match (&self.send, &self.receive) {
            (Some(send), Some(receive)) => {
                let mut devices = Devices::new(send, receive, self.tunnels, slowness)?;
                let outcome = search(&plan, |rate| devices.trial(rate, plan.trial))?;
                (outcome, devices.mean_frame())
            }
            _ => {
                let mut ring = Ring::new(self.tunnels, slowness)?;
                let outcome = search(&plan, |rate| ring.trial(rate, plan.trial))?;
                (outcome, ring.mean_frame())
            }
        };
        if self.json {
            println!("{:#}", outcome.json(&plan, octets));
        } else {
            print!("{}", Told { outcome: &outcome, plan: &plan, octets });
        }
        Ok(())
    }
}

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The trial duration.
    pub trial: Duration,
    /// The search ends when the bounds differ by less than this share of the upper one.
    pub resolution: f64,
    /// The largest offered load, frames a second.
    pub most: f64,
    /// How often a load is tried before its loss is believed.
    pub attempts: u32,
}

/// What a trial came to.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The load that the generator was asked for, frames a second.
    pub asked: f64,
    /// Frames that it sent.
    pub offered: u64,
    /// Frames of these that were not inspected.
    pub lost: u64,
    /// How long it sent.
    pub seconds: f64,
}

impl Trial {
    /// The offered load, frames a second.
    pub fn load(&self) -> f64 {
        self.offered as f64 / self.seconds
    }

    /// The frame loss rate.
    pub fn loss(&self) -> f64 {
        self.lost as f64 / self.offered.max(1) as f64
    }

    /// Whether the generator did not come to what it was asked for.
    fn is_short(&self) -> bool {
        self.load() < KEPT_UP * self.asked
    }
}

/// What kept the search from a larger rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// Frames were lost.
    Engine,
    /// The generator sends no more.
    Generator,
    /// Nothing larger was to be tried.
    Bound,
}

impl Limit {
    const fn name(self) -> &'static str {
        match self {
            Limit::Engine => "engine",
            Limit::Generator => "generator",
            Limit::Bound => "bound",
        }
    }
}

/// The largest load of which no more was lost than is tolerated.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The frame loss rate that is tolerated.
    pub tolerance: f64,
    /// That load, frames a second; 0 if every trial lost more.
    pub rate: f64,
    /// What keeps it from being larger.
    pub limit: Limit,
}

/// The rates, and every trial on the way.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// By tolerance: none lost, one of a thousand.
    pub found: [Found; TOLERANCES.len()],
    /// In their order.
    pub trials: Vec<Trial>,
}

/// Searches for both rates.
///
/// # Errors
/// What a trial says.
pub fn search(
    plan: &Plan,
    mut trial: impl FnMut(f64) -> anyhow::Result<Trial>,
) -> anyhow::Result<Outcome> {
    let mut trials = Vec::new();
    let mut from = 0.0;
    let mut found = TOLERANCES.map(|tolerance| Found { tolerance, rate: 0.0, limit: Limit::Bound });
    for one in &mut found {
        *one = bisect(plan, one.tolerance, from, &mut trials, &mut trial)?;
        from = one.rate;
    }
    Ok(Outcome { found, trials })
}

/// Searches for the rate up to which nothing is lost alone.
///
/// # Errors
/// What a trial says.
pub fn throughput(
    plan: &Plan,
    mut trial: impl FnMut(f64) -> anyhow::Result<Trial>,
) -> anyhow::Result<Found> {
    bisect(plan, TOLERANCES[0], 0.0, &mut Vec::new(), &mut trial)
}

fn bisect(
    plan: &Plan,
    tolerance: f64,
    from: f64,
    trials: &mut Vec<Trial>,
    trial: &mut impl FnMut(f64) -> anyhow::Result<Trial>,
) -> anyhow::Result<Found> {
    let (mut low, mut high, mut limit) = (from, plan.most, Limit::Bound);
    let (mut asked, mut rate) = (plan.most, from);
    while low < high {
        // What speaks for a load is one trial that got through; against it, every attempt.
        let mut got_through: Option<Trial> = None;
        let mut last = None;
        for _ in 0..plan.attempts {
            let tried = trial(asked)?;
            trials.push(tried);
            last = Some(tried);
            let is_better = got_through.is_none_or(|best| best.load() < tried.load());
            if tried.loss() <= tolerance && is_better {
                got_through = Some(tried);
            }
            if got_through.is_some_and(|best| !best.is_short()) {
                break;
            }
        }
        match (got_through, last) {
            (Some(best), _) => {
                rate = best.load().max(rate);
                if best.is_short() {
                    // More can't be asked for.
                    (low, high, limit) = (low.max(best.load()), asked, Limit::Generator);
                } else {
                    low = low.max(asked);
                }
            }
            (None, Some(last)) => {
                (high, limit) = (asked.min(last.load()).max(low), Limit::Engine);
            }
            (None, None) => break,
        }
        if high - low <= plan.resolution * high {
            break;
        }
        asked = (low + high) / 2.0;
    }
    Ok(Found { tolerance, rate, limit })
}

impl Outcome {
    /// All of it, for machines; `octets` is the mean length of a frame.
    pub fn json(&self, plan: &Plan, octets: f64) -> Value {
        let found = |one: &Found| {
            json!({
                "frame_loss_rate": one.tolerance, "rate_fps": one.rate,
                "rate_bits_per_second": one.rate * octets * 8.0, "limited_by": one.limit.name(),
            })
        };
        let trial = |one: &Trial| {
            json!({
                "asked_fps": one.asked, "offered_load_fps": one.load(), "offered": one.offered,
                "lost": one.lost, "frame_loss_rate": one.loss(),
            })
        };
        json!({
            "trial_seconds": plan.trial.as_secs_f64(), "resolution": plan.resolution,
            "attempts": plan.attempts, "mean_frame_octets": octets,
            "throughput": found(&self.found[0]), "rate_at_loss": found(&self.found[1]),
            "trials": self.trials.iter().map(trial).collect::<Vec<_>>(),
        })
    }
}

/// All of it, for people.
struct Told<'a> {
    outcome: &'a Outcome,
    plan: &'a Plan,
    octets: f64,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, plan, octets } = self;
        writeln!(
            f,
            "{:>14}  {:>14}  {:>12}  {:>12}",
            "asked Mfps", "offered Mfps", "lost", "loss rate"
        )?;
        for trial in &outcome.trials {
            writeln!(
                f,
                "{:>14.3}  {:>14.3}  {:>12}  {:>12.6}",
                trial.asked / 1e6,
                trial.load() / 1e6,
                trial.lost,
                trial.loss()
            )?;
        }
        let seconds = plan.trial.as_secs_f64();
        writeln!(f, "trial duration {seconds} s, resolution {:.1} %", plan.resolution * 100.0)?;
        for (title, found) in ["throughput", "rate at 0.1 % loss"].into_iter().zip(&outcome.found) {
            let limit = match found.limit {
                Limit::Engine => "",
                Limit::Generator => "; the generator, not the engine, was the limit",
                Limit::Bound => "; nothing larger was tried: --most-mpps",
            };
            writeln!(
                f,
                "{title}: {:.3} Mfps, {:.2} Gbit/s of frames{limit}",
                found.rate / 1e6,
                found.rate * octets * 8.0 / 1e9
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan =
        Plan { trial: Duration::from_secs(1), resolution: 0.01, most: 10e6, attempts: 3 };

    /// An engine of this rate, a generator of that, and trials that somebody disturbs.
    fn trial(asked: f64, engine: f64, generator: f64, disturbed: bool) -> anyhow::Result<Trial> {
        let offered = asked.min(generator) as u64;
        let lost = (offered as f64 - engine).max(f64::from(u8::from(disturbed)) * 1e4) as u64;
        Ok(Trial { asked, offered, lost, seconds: 1.0 })
    }

    #[test]
    fn both_rates_are_found_to_the_resolution() {
        let outcome = search(&PLAN, |asked| trial(asked, 3e6, 20e6, false)).unwrap();
        let [throughput, at_loss] = outcome.found;
        assert!((2.96e6..=3e6).contains(&throughput.rate), "{throughput:?}");
        assert!((throughput.rate..=3.01e6).contains(&at_loss.rate), "{at_loss:?}");
        assert_eq!((throughput.limit, at_loss.limit), (Limit::Engine, Limit::Engine));
        let value = outcome.json(&PLAN, 400.0);
        assert_eq!(value["throughput"]["limited_by"], "engine");
        assert_eq!(value["trials"].as_array().unwrap().len(), outcome.trials.len());
    }

    #[test]
    fn a_generator_that_is_slower_than_the_engine_is_named() {
        let outcome = search(&PLAN, |asked| trial(asked, 30e6, 2e6, false)).unwrap();
        let [throughput, _] = outcome.found;
        assert!((1.95e6..=2e6).contains(&throughput.rate), "{throughput:?}");
        assert_eq!(throughput.limit, Limit::Generator);
        let told = Told { outcome: &outcome, plan: &PLAN, octets: 400.0 }.to_string();
        assert!(told.contains("the generator, not the engine"), "{told}");
        let outcome = search(&PLAN, |asked| trial(asked, 30e6, 20e6, false)).unwrap();
        assert_eq!((outcome.found[0].rate, outcome.found[0].limit), (10e6, Limit::Bound));
    }

    #[test]
    fn a_loss_is_believed_when_it_comes_again() {
        let mut number = 0;
        let outcome = search(&PLAN, |asked| {
            number += 1;
            trial(asked, 3e6, 20e6, number % 3 == 1)
        });
        let rate = outcome.unwrap().found[0].rate;
        assert!((2.96e6..=3e6).contains(&rate), "{rate}");
        let once = Plan { attempts: 1, ..PLAN };
        let outcome = search(&once, |asked| trial(asked, 3e6, 20e6, true)).unwrap();
        assert_eq!(outcome.found[0].rate, 0.0);
    }
}
