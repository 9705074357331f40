//! `weir replay`: sensor and control as two processes over captures, to their end.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tempfile::TempDir;
use weir_capture::is_standard_input;
use weir_policy::Link;

use crate::check::{Files, Findings};
use crate::decode::unreadable;
use crate::failure::Failure;
use crate::output::print;
use crate::programs;
use crate::summary::Summary;
use crate::supervise::{self, Outcome, Plan};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rules: Files,
    /// A capture of one link (n2 n3 n4 n6 n9 xn f1 s1u sbi oam mixed)
    #[arg(long = "tap", value_name = "LINK=FILE")]
    taps: Vec<TapFile>,
    /// Captures, as one tap of all links; - for standard input. Without any, and without --tap, those
    /// that weir.toml names
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How fast: max, recorded, or a multiple of recorded such as 60x
    #[arg(long, default_value = "max", value_name = "max|recorded|Nx")]
    speed: Speed,
    /// How often the captures are played: from the second time on later, and with TEIDs, SEIDs and
    /// users' addresses of their own
    #[arg(long = "loop", value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    passes: u32,
    /// Read the captures into memory, whole, before the first packet, so that no disk limits the rate
    #[arg(long)]
    preload: bool,
    /// Send the captures' frames into a port instead, inspecting nothing: pci:ADDRESS,
    /// vdev:NAME,ARGUMENTS in DPDK's form, or a network interface's name
    #[arg(long, value_name = "DEVICE")]
    #[arg(conflicts_with_all = ["config", "inventory", "policy", "taps", "source", "workers"])]
    #[arg(conflicts_with_all = ["events", "restricted_events", "evidence"])]
    to: Option<String>,
    /// What reads the captures
    #[arg(long, value_enum, default_value_t = Source::File)]
    source: Source,
    /// How many workers share the frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: Option<u16>,
    /// Where each event goes as one line of JSON; - for standard output
    #[arg(long, value_name = "FILE|-")]
    events: Option<PathBuf>,
    /// A directory for the frames of each alert, as captures
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// Where events go that only a named role may see, in a file of mode 0600; without it they go
    /// where all others go
    #[arg(long, value_name = "FILE")]
    restricted_events: Option<PathBuf>,
    /// Where the summary goes as JSON; - for standard output
    #[arg(long, value_name = "FILE|-")]
    summary: Option<PathBuf>,
}

/// `LINK=FILE`.
#[derive(Clone, Debug)]
struct TapFile {
    text: String,
    file: PathBuf,
}

impl FromStr for TapFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (link, file) = text.split_once('=').ok_or("write LINK=FILE, as in n3=east.pcap")?;
        link.parse::<Link>().map_err(|mistake| mistake.to_string())?;
        Ok(Self { text: text.into(), file: file.into() })
    }
}

/// A replay's speed, checked here and read by the sensor.
#[derive(Clone, Debug)]
struct Speed(String);

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let multiple = || {
            let factor: f64 = text.strip_suffix('x')?.parse().ok()?;
            (factor.is_finite() && factor > 0.0).then_some(())
        };
        if matches!(text, "max" | "recorded") || multiple().is_some() {
            Ok(Self(text.into()))
        } else {
            Err("write max, recorded, or a multiple such as 60x")
        }
    }
}

/// The reader of a replay's captures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Source {
    /// The engine's own reader
    File,
    /// DPDK's net_pcap
    Dpdk,
}

impl Source {
    /// As the sensor's option writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dpdk => "dpdk",
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    options.judge()?;
    if let Some(device) = &options.to {
        let arguments = options.sending(device);
        return programs::become_program(programs::SENDER, arguments).map(|never| match never {});
    }
    options.empty_events()?;
    let place = Place::make()?;
    let outcome = supervise::run(&options.plan(&place))?;
    if options.summary.is_none() {
        match Summary::read(&place.summary()) {
            // Between lines of JSON there is no room for prose.
            Ok(summary) if is_stdout(options.events.as_ref()) => eprintln!("{summary}"),
            Ok(summary) => print(summary)?,
            Err(failure) if outcome.code == 0 && !outcome.interrupted => return Err(failure),
            // What kept control from its summary has been said.
            Err(_) => {}
        }
    }
    if outcome.interrupted {
        return Err(Failure::work(
            "stopped before the end; the captures; run the replay again for the whole of them",
        ));
    }
    if outcome.code == 0 { Ok(()) } else { Err(Failure::Said(outcome.code)) }
}

/// Replays captures for their events alone, which go to a file, restricted ones among them, and the
/// summary beside them. What is wrong with the captures or the files is said on stderr.
pub(crate) fn rehearse(
    rules: &Files,
    captures: &[PathBuf],
    place: &Place,
    events: &Path,
) -> Result<Outcome, Failure> {
    let options = Options {
        rules: rules.clone(),
        taps: Vec::new(),
        files: captures.to_vec(),
        speed: Speed("max".into()),
        passes: 1,
        preload: false,
        to: None,
        source: Source::File,
        workers: None,
        events: Some(events.to_owned()),
        restricted_events: None,
        evidence: None,
        summary: Some(events.with_extension("summary")),
    };
    options.judge()?;
    let outcome = supervise::run(&options.plan(place))?;
    if outcome.interrupted {
        return Err(Failure::work(
            "stopped before the end; the captures; run it again for the whole of them",
        ));
    }
    Ok(outcome)
}

impl Options {
    /// Refuses what can't come to a good end before anything is started.
    fn judge(&self) -> Result<(), Failure> {
        if is_stdout(self.events.as_ref()) && is_stdout(self.summary.as_ref()) {
            return Err(Failure::usage(
                "events and summary can't both go to standard output; --events - --summary -; \
                 give one of them a file",
            ));
        }
        if is_stdout(self.restricted_events.as_ref()) {
            return Err(Failure::usage(
                "restricted events can't go to standard output; --restricted-events -; \
                 give them a file",
            ));
        }
        if self.source == Source::Dpdk && (self.passes > 1 || self.preload) {
            return Err(Failure::usage(
                "net_pcap reads the file itself; --source dpdk; leave --loop and --preload out, or \
                 use --source file",
            ));
        }
        if self.captures().filter(|file| is_standard_input(file)).count() > 1 {
            return Err(Failure::usage(
                "standard input is one capture; the command line; name - once",
            ));
        }
        for file in self.captures() {
            can_be_opened(file).map_err(|why| unreadable(file, &why))?;
        }
        let mut findings = Findings::of(&self.rules);
        if let Some(config) = &self.rules.config {
            self.choose_captures(config, &mut findings)?;
        } else if self.captures().next().is_none() {
            return Err(Failure::usage(
                "nothing to replay; the command line; give captures, or --tap LINK=FILE",
            ));
        }
        let inputs = self.captures().chain(findings.captures());
        self.keeps_its_inputs(inputs)?;
        for error in findings.errors() {
            eprintln!("{error}");
        }
        if findings.has_errors() { Err(Failure::Said(2)) } else { Ok(()) }
    }

    /// The captures that the command line names.
    fn captures(&self) -> impl Iterator<Item = &Path> {
        self.taps.iter().map(|tap| &tap.file).chain(&self.files).map(PathBuf::as_path)
    }

    /// The command line's captures are replayed if there are any, else those of weir.toml.
    fn choose_captures(&self, config: &Path, findings: &mut Findings) -> Result<(), Failure> {
        let config_has_any = findings.captures().next().is_some();
        if self.captures().next().is_some() {
            if config_has_any {
                eprintln!(
                    "warning: the captures of the command line are replayed, not those that [[tap]] \
                     names; {}; leave them out to replay the taps",
                    config.display()
                );
            }
            return Ok(());
        }
        if !config_has_any && !findings.has_errors() {
            return Err(Failure::usage(format!(
                "nothing to replay; no tap of {} is a file:; give captures, or --tap LINK=FILE",
                config.display()
            )));
        }
        if self.source == Source::Dpdk {
            return Err(Failure::usage(
                "the captures of weir.toml are read by the sensor itself; --source dpdk; name the \
                 capture on the command line",
            ));
        }
        findings.check_captures(config);
        Ok(())
    }

    /// Refuses results that would be written over an input, or over each other.
    fn keeps_its_inputs<'a>(&self, inputs: impl Iterator<Item = &'a Path>) -> Result<(), Failure> {
        let place = |path: &Path| path.canonicalize().ok();
        let inputs: Vec<PathBuf> = inputs.filter_map(place).collect();
        // DPDK's net_pcap writes a capture.
        let sent = self.to.as_deref().unwrap_or_default().split(',');
        let sent = sent.filter_map(|word| word.strip_prefix("tx_pcap=")).map(PathBuf::from).next();
        let results = [
            ("--events", &self.events),
            ("--restricted-events", &self.restricted_events),
            ("--summary", &self.summary),
            ("--to", &sent),
        ];
        for (option, path) in results {
            if path.as_deref().and_then(place).is_some_and(|path| inputs.contains(&path)) {
                return Err(Failure::usage(format!(
                    "{option} would be written over a capture that is read; the command line; \
                     give it a file of its own"
                )));
            }
        }
        for (at, (option, path)) in results.iter().enumerate() {
            let same = results[..at].iter().find(|(_, before)| path.is_some() && before == path);
            if let Some((before, _)) = same {
                return Err(Failure::usage(format!(
                    "two results can't go to one file; {before} {option}; give each its own"
                )));
            }
        }
        Ok(())
    }

    /// Empties the event files of an earlier replay: control appends, so that
    /// one that is started again goes on, but a replay tells its own story.
    fn empty_events(&self) -> Result<(), Failure> {
        let files = [("--events", &self.events), ("--restricted-events", &self.restricted_events)];
        for (option, path) in files {
            let Some(path) = path.as_ref().filter(|path| path.is_file()) else { continue };
            File::create(path).map_err(|why| {
                Failure::usage(format!(
                    "the events can't be written: {why}; {}; choose another file with {option}",
                    path.display()
                ))
            })?;
        }
        Ok(())
    }

    /// The arguments of weir-sender.
    fn sending(&self, device: &str) -> Vec<OsString> {
        let mut sender = Words::default();
        sender.option("--to", Some(Path::new(device)));
        self.course(&mut sender);
        sender.option("--summary", self.summary.as_deref());
        sender.0.push("--".into());
        sender.0.extend(self.files.iter().map(OsString::from));
        sender.0
    }

    /// How captures are played, whoever plays them.
    fn course(&self, words: &mut Words) {
        words.option("--speed", Some(Path::new(&self.speed.0)));
        let passes = (self.passes > 1).then(|| self.passes.to_string());
        words.option("--loop", passes.as_deref().map(Path::new));
        if self.preload {
            words.0.push("--preload".into());
        }
    }

    fn plan(&self, place: &Place) -> Plan {
        let mut sensor = Words::default();
        sensor.option("--config", self.rules.config.as_deref());
        for tap in &self.taps {
            sensor.option("--tap", Some(Path::new(&tap.text)));
        }
        self.course(&mut sensor);
        sensor.option("--source", Some(Path::new(self.source.name())));
        let workers = self.workers.map(|workers| workers.to_string());
        sensor.option("--workers", workers.as_deref().map(Path::new));
        place.enter(&mut sensor, "sensor");
        sensor.0.push("--".into());
        sensor.0.extend(self.files.iter().map(OsString::from));

        let mut control = Words::default();
        self.rules.pass(&mut control);
        place.enter(&mut control, "control");
        control.option("--listen", Some(Path::new("none")));
        control.option("--events", self.events.as_deref());
        control.option("--restricted-events", self.restricted_events.as_deref());
        control.option("--evidence", self.evidence.as_deref());
        let summary = self.summary.clone().unwrap_or_else(|| place.summary());
        control.option("--summary", Some(&summary));
        control.0.push("--until-end".into());
        if self.events.is_none() && !is_stdout(self.summary.as_ref()) {
            control.0.push("--print-alerts".into());
        }
        Plan {
            sensor: sensor.0,
            passes_input: self.captures().any(is_standard_input),
            control: control.0,
            staying: None,
        }
    }
}

impl Files {
    /// The options that name the files to weir-control.
    pub(crate) fn pass(&self, words: &mut Words) {
        words.option("--config", self.config.as_deref());
        words.option("--inventory", self.inventory.as_deref());
        words.option("--policy", self.policy.as_deref());
    }
}

/// The arguments of a process.
#[derive(Default)]
pub(crate) struct Words(pub(crate) Vec<OsString>);

impl Words {
    /// Adds an option and its value, if there is one.
    pub(crate) fn option(&mut self, name: &str, value: Option<&Path>) {
        if let Some(value) = value {
            self.0.extend([OsString::from(name), value.into()]);
        }
    }
}

/// Where the socket and the state of one run are: a directory that only its owner can enter, gone
/// when the run is over.
pub(crate) struct Place(TempDir);

impl Place {
    /// Makes the directory.
    pub(crate) fn make() -> Result<Self, Failure> {
        tempfile::Builder::new()
            .prefix("weir-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map(Self)
            .map_err(|why| {
                Failure::work(format!(
                    "can't make a temporary directory: {why}; {}; make room, or set TMPDIR",
                    std::env::temp_dir().display()
                ))
            })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Tells a process the socket and the directory of its own state.
    pub(crate) fn enter(&self, words: &mut Words, process: &str) {
        words.option("--socket", Some(&self.path().join("weir.sock")));
        words.option("--state-dir", Some(&self.path().join(process)));
    }

    fn summary(&self) -> PathBuf {
        self.path().join("summary.json")
    }
}

fn is_stdout(place: Option<&PathBuf>) -> bool {
    place.is_some_and(|path| path.as_os_str() == "-")
}

/// Whether a capture can be opened. What it holds is the sensor's to say.
fn can_be_opened(path: &Path) -> io::Result<()> {
    weir_capture::open(path).map(drop)
}
