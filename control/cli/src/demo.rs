//! `weir demo`: a generated network with four thefts, through the DPDK sensor into a live control.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use weir_pcaps::{Report, Scenario, bundled};

use crate::check::Files;
use crate::failure::Failure;
use crate::output::print;
use crate::replay::{Place, Source, Words};
use crate::supervise::{self, Outcome, Plan};
use crate::verdict::Verdict;
use crate::{generate, programs};

/// A DPDK that can't start says so within this time; a later failure is no matter of its set-up.
const STARTING: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Exit when the replay has ended, as fast as it goes
    #[arg(long)]
    once: bool,
    /// Where the page and /metrics are served
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9810")]
    listen: SocketAddr,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let place = Place::make()?;
    let scenario = Scenario::parse(bundled::DEMO, Path::new("pcaps/scenarios/demo.toml"))
        .map_err(generate::refuse)?;
    let report = generate::write(&scenario, place.path())?;
    let (frames, thefts) = (report.labels.frames, report.labels.thefts.len());
    print(format_args!("{frames} frames of a generated network, {thefts} thefts among them"))?;
    print(format_args!("alerts follow as they come; metrics: http://{}/metrics", options.listen))?;

    let mut source = source()?;
    let mut outcome = play(options, &report, &place, source)?;
    let early = outcome.sensor_failed.is_some_and(|after| after < STARTING);
    if source == Source::Dpdk && early && !outcome.interrupted {
        eprintln!(
            "warning: the sensor can't use DPDK here, see above; make setup installs it; the demo \
             goes on with the file source"
        );
        source = Source::File;
        outcome = play(options, &report, &place, source)?;
    }
    if outcome.code != 0 {
        return Err(Failure::Said(outcome.code));
    }
    let verdict = Verdict::reach(&report.labels.thefts, &events(&place, source))?;
    print(format_args!("\n{verdict}"))?;
    // Who stops early has not seen everything, and knows it.
    if outcome.interrupted || verdict.is_clean() {
        return Ok(());
    }
    Err(Failure::work(
        "the alerts are not the injected thefts; the table above; report it as a mistake of Weir's",
    ))
}

/// DPDK, unless the sensor was built without it.
fn source() -> Result<Source, Failure> {
    let sensor = programs::find(programs::SENSOR)?;
    let version = Command::new(&sensor).arg("--version").output().map_err(|why| {
        Failure::work(format!(
            "can't run weir-sensor: {why}; {}; build it again with `make build`",
            sensor.display()
        ))
    })?;
    if String::from_utf8_lossy(&version.stdout).contains("dpdk") {
        return Ok(Source::Dpdk);
    }
    eprintln!(
        "warning: weir-sensor was built without DPDK; `make build` builds it in; the demo goes on \
         with the file source"
    );
    Ok(Source::File)
}

fn play(
    options: &Options,
    report: &Report,
    place: &Place,
    source: Source,
) -> Result<Outcome, Failure> {
    let mut sensor = Words::default();
    sensor.option("--source", Some(Path::new(source.name())));
    sensor.option("--speed", Some(Path::new(if options.once { "max" } else { "60x" })));
    place.enter(&mut sensor, &format!("sensor-{}", source.name()));
    sensor.0.extend(report.captures.iter().map(Into::into));

    let mut control = Words::default();
    let rules = Files {
        config: None,
        inventory: Some(report.inventory_file.clone()),
        policy: Some(report.policy_file.clone()),
    };
    rules.pass(&mut control);
    let state = format!("control-{}", source.name());
    place.enter(&mut control, &state);
    if !options.once {
        let token = token(&place.path().join(&state))?;
        print(format_args!("the analyst's page: http://{}/#token={token}", options.listen))?;
    }
    control.option("--listen", Some(Path::new(&options.listen.to_string())));
    control.option("--events", Some(&events(place, source)));
    control.0.push("--print-alerts".into());
    if options.once {
        control.0.push("--until-end".into());
    }
    let staying = (!options.once).then(|| {
        let page = format!("http://{}/", options.listen);
        format!("the replay has ended; {page} stays up; Ctrl-C shows what was caught and ends")
    });
    supervise::run(&Plan { sensor: sensor.0, passes_input: false, control: control.0, staying })
}

/// A token for the page, good for as long as the demo's state is there.
fn token(state_dir: &Path) -> Result<String, Failure> {
    let control = programs::find(programs::CONTROL)?;
    let made = Command::new(&control)
        .args(["--new-token", "demo", "--role", "analyst", "--state-dir"])
        .arg(state_dir)
        .output();
    match made {
        Ok(made) if made.status.success() => {
            Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned())
        }
        Ok(made) => {
            let said = String::from_utf8_lossy(&made.stderr);
            Err(Failure::work(format!(
                "no token for the page; weir-control said: {}; look at that",
                said.trim()
            )))
        }
        Err(why) => Err(Failure::work(format!(
            "can't run weir-control: {why}; {}; build it again with `make build`",
            control.display()
        ))),
    }
}

fn events(place: &Place, source: Source) -> PathBuf {
    place.path().join(format!("events-{}.jsonl", source.name()))
}
