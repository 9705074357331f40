//! The command line, joined with `weir.toml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use weir_policy::{
    Config, EvidenceConfig, Retention, Rotation, ServerTls, SinksConfig, config_from_str,
    load_config,
};

use crate::api::tokens::{self, Role, Tokens};
use crate::evidence::{EVIDENCE, Limits};
use crate::refusal::Refusal;

/// The control process: reads what the sensor says, keeps alerts, serves metrics.
#[derive(Debug, Parser)]
#[command(name = "weir-control", version, about)]
pub struct Options {
    /// The site's weir.toml; without it, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is installed; instead of the configuration's
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// What the equipment may do; instead of the configuration's
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The sensor's socket [default: sensor/sensor.sock in the state directory]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Where state is kept; instead of the configuration's
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where HTTP is served, or "none"; instead of the configuration's. Off loopback the
    /// configuration must have [control.tls], and there must be a token
    #[arg(long, value_name = "ADDR|none")]
    listen: Option<Listen>,
    /// Events as EVE JSON lines, "-" for standard output [default: eve.json in the state directory]
    #[arg(long, value_name = "FILE|-")]
    events: Option<Destination>,
    /// Events that only a named role may see, in a file of mode 0600; instead of the
    /// configuration's [default: restricted.json in the state directory; of a replay, --events]
    #[arg(long, value_name = "FILE", value_parser = restricted_file)]
    restricted_events: Option<PathBuf>,
    /// Where the frames of alerts go, as captures; without it, in a replay nowhere
    /// [default: evidence in the state directory]
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// The summary as JSON at the end, "-" for standard output
    #[arg(long, value_name = "FILE|-")]
    summary: Option<Destination>,
    /// End when the replay has ended
    #[arg(long)]
    until_end: bool,
    /// Print each alert as one line on standard output
    #[arg(long)]
    print_alerts: bool,
    /// Make a token for the interface, print it once, and end
    #[arg(long, value_name = "NAME", requires = "role")]
    new_token: Option<String>,
    /// What the new token may do: viewer, analyst, restricted or admin
    #[arg(long, value_name = "ROLE", requires = "new_token")]
    role: Option<Role>,
    /// For how long the new token holds; without it, until it is taken out of tokens.toml
    #[arg(long, value_name = "DAYS", requires = "new_token", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    valid_days: Option<u32>,
}

/// A token that somebody wants.
#[derive(Debug)]
pub struct NewToken {
    state_dir: PathBuf,
    name: String,
    role: Role,
    expires: Option<jiff::Timestamp>,
}

impl NewToken {
    /// Makes it: its only copy.
    ///
    /// # Errors
    /// That its name can't be used; what the system says.
    pub fn issue(&self) -> Result<String, Refusal> {
        tokens::issue(&self.state_dir, &self.name, self.role, self.expires).map_err(|error| {
            Refusal::new(
                &format!("no token can be made: {error}"),
                &self.state_dir.join("tokens.toml").display().to_string(),
                "mend that and try again",
            )
        })
    }
}

/// Standard output has no mode that would keep others out.
fn restricted_file(text: &str) -> Result<PathBuf, &'static str> {
    if matches!(text, "-" | "") { Err("name a file") } else { Ok(text.into()) }
}

/// Where HTTP is served, if it is.
#[derive(Clone, Copy, Debug)]
struct Listen(Option<SocketAddr>);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            address => address
                .parse()
                .map(|address| Self(Some(address)))
                .map_err(|_| "write an address and a port as in 127.0.0.1:9810, or none".into()),
        }
    }
}

/// A file, or standard output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl FromStr for Destination {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdout } else { Self::File(text.into()) })
    }
}

/// What the process does, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The site's name until the sensor says its own.
    pub site: String,
    /// `inventory.toml`.
    pub inventory: Option<PathBuf>,
    /// `policy.toml`.
    pub policy: Option<PathBuf>,
    /// `li.toml`.
    pub interception: Option<PathBuf>,
    /// The sensor's socket.
    pub socket: PathBuf,
    /// Where state is kept.
    pub state_dir: PathBuf,
    /// Where HTTP is served.
    pub listen: Option<SocketAddr>,
    /// The certificates for it, if it is HTTPS.
    pub tls: Option<ServerTls>,
    /// How much is kept.
    pub retention: Retention,
    /// Where events go.
    pub events: Destination,
    /// Where restricted events go.
    pub restricted: PathBuf,
    /// Whether they go there in a replay, too: somebody asked for it, or events leave the machine.
    pub guarded: bool,
    /// Where events go beside the files.
    pub sinks: SinksConfig,
    /// How large the files may become.
    pub rotation: Option<Rotation>,
    /// Where the frames of alerts go, and how many may lie there.
    pub evidence: Option<(PathBuf, Limits)>,
    /// Where the summary goes.
    pub summary: Option<Destination>,
    /// Whether the end of the replay is the end.
    pub until_end: bool,
    /// Whether alerts are printed.
    pub print_alerts: bool,
}

impl Options {
    /// The token that somebody wants instead of a process, if so.
    pub fn token(&self) -> Option<Result<NewToken, Refusal>> {
        let (name, role) = (self.new_token.clone()?, self.role?);
        let hours =
            self.valid_days.map(|days| jiff::SignedDuration::from_hours(24 * i64::from(days)));
        let expires = hours.map(|hours| jiff::Timestamp::now() + hours);
        Some(self.configuration().map(|config| NewToken {
            state_dir: self.state_dir.clone().unwrap_or(config.control.state_dir),
            name,
            role,
            expires,
        }))
    }

    fn configuration(&self) -> Result<Config, Refusal> {
        let config = match &self.config {
            Some(path) => load_config(path),
            None => config_from_str("weir.toml", ""),
        };
        Ok(config.map_err(Refusal::files)?.value)
    }

    /// Joins the options with the configuration that they name.
    ///
    /// # Errors
    /// Mistakes of the configuration, options that contradict each other, an
    /// address off loopback.
    pub fn plan(self) -> Result<Plan, Refusal> {
        let config = self.configuration()?;
        let serving = config.control.serving;
        let state_dir = self.state_dir.unwrap_or(config.control.state_dir);
        let (listen, place) = match self.listen {
            Some(Listen(listen)) => (listen, None),
            None => (Some(serving.listen), serving.place),
        };
        if let Some(address) = listen.filter(|address| !address.ip().is_loopback()) {
            let place = place.unwrap_or_else(|| format!("--listen {address}"));
            may_serve(&place, serving.tls.is_some(), &state_dir)?;
        }
        let events = self.events.unwrap_or(Destination::File(state_dir.join("eve.json")));
        // The configuration's file and sinks are those of the live process: whoever replays an old
        // capture raises no alarm with it.
        let configured = config.control.restricted_events.filter(|_| !self.until_end);
        let sinks = if self.until_end { SinksConfig::default() } else { config.control.sinks };
        let rotation = config.control.rotation.filter(|_| !self.until_end);
        // What leaves this machine is sorted whatever the sensor reads.
        let guarded = self.restricted_events.is_some() || !sinks.is_empty();
        let restricted = self.restricted_events.or(configured);
        let restricted = restricted.unwrap_or_else(|| state_dir.join("restricted.json"));
        if events == Destination::File(restricted.clone()) {
            return Err(Refusal::new(
                "restricted events and all others can't go to one file",
                &restricted.display().to_string(),
                "give --restricted-events a file of its own",
            ));
        }
        let evidence = evidence(self.evidence, config.control.evidence, &state_dir, self.until_end);
        let printing = [
            ("--events -", events == Destination::Stdout),
            ("--summary -", self.summary == Some(Destination::Stdout)),
            ("--print-alerts", self.print_alerts),
        ];
        let printing: Vec<&str> =
            printing.iter().filter(|(_, prints)| *prints).map(|(option, _)| *option).collect();
        if printing.len() > 1 {
            return Err(Refusal::new(
                "two results on one standard output",
                &printing.join(", "),
                "give all but one of them a file",
            ));
        }
        Ok(Plan {
            site: config.site,
            inventory: self.inventory.or(config.paths.inventory),
            policy: self.policy.or(config.paths.policy),
            interception: config.paths.lawful_intercept,
            socket: self.socket.unwrap_or_else(|| state_dir.join("sensor/sensor.sock")),
            state_dir,
            listen,
            tls: serving.tls.filter(|_| listen.is_some()),
            retention: config.control.retention,
            events,
            restricted,
            guarded,
            sinks,
            rotation,
            evidence,
            summary: self.summary,
            until_end: self.until_end,
            print_alerts: self.print_alerts,
        })
    }
}

/// Whether HTTP may be served where others can reach it.
fn may_serve(place: &str, has_tls: bool, state_dir: &Path) -> Result<(), Refusal> {
    if !has_tls {
        return Err(Refusal::new(
            "HTTP off loopback needs TLS",
            place,
            "add [control.tls] with `certificate` and `key` to weir.toml, or listen on 127.0.0.1",
        ));
    }
    let tokens = Tokens::read(state_dir).map_err(|error| {
        let path = state_dir.join("tokens.toml");
        Refusal::new(&error.to_string(), &path.display().to_string(), "mend it, or move it away")
    })?;
    if tokens.is_empty() {
        let state_dir = state_dir.display();
        return Err(Refusal::new(
            "HTTP off loopback needs a token, and there is none",
            place,
            &format!("weir control --state-dir {state_dir} --new-token NAME --role admin"),
        ));
    }
    Ok(())
}

/// A replay keeps evidence where it is asked for, and all of it: it is to be the same every time.
fn evidence(
    asked: Option<PathBuf>,
    config: EvidenceConfig,
    state_dir: &Path,
    is_replay: bool,
) -> Option<(PathBuf, Limits)> {
    let usual = (config.enabled && !is_replay).then(|| state_dir.join(EVIDENCE));
    let limits = Limits {
        bytes: config.mebibytes << 20,
        age: Duration::from_secs(config.days * 86_400),
        is_paced: !is_replay,
    };
    Some((asked.or(usual)?, limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Result<Plan, String> {
        let arguments = [&["weir-control"], arguments].concat();
        Options::try_parse_from(arguments)
            .map_err(|error| error.to_string())?
            .plan()
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn defaults_lie_in_the_state_directory() {
        let plan = plan(&["--state-dir", "/s"]).unwrap();
        assert_eq!(plan.socket, PathBuf::from("/s/sensor/sensor.sock"));
        assert_eq!(plan.events, Destination::File("/s/eve.json".into()));
        assert_eq!(plan.listen, Some("127.0.0.1:9810".parse().unwrap()));
        assert_eq!(self::plan(&["--listen", "none"]).unwrap().listen, None);
    }

    #[test]
    fn restricted_events_have_a_file_of_their_own() {
        let planned =
            |arguments: &[&str]| plan(arguments).map(|plan| (plan.restricted, plan.guarded));
        let place = |path: &str, guarded| Ok((PathBuf::from(path), guarded));
        assert_eq!(planned(&["--state-dir", "/s"]), place("/s/restricted.json", false));
        assert_eq!(planned(&["--restricted-events", "/r"]), place("/r", true));
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("weir.toml");
        let text = "[control]\nstate_dir = \"/s\"\nrestricted_events = \"/c\"\n";
        std::fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap();
        assert_eq!(planned(&["--config", config]), place("/c", false));
        let replay = planned(&["--config", config, "--until-end"]);
        assert_eq!(replay, place("/s/restricted.json", false), "the live process's file is left");
        for one in ["/s/eve.json", "/s/e"] {
            let arguments = ["--state-dir", "/s", "--events", one, "--restricted-events", one];
            assert!(plan(&arguments).unwrap_err().contains("file of its own"), "{one}");
        }
        assert!(plan(&["--restricted-events", "-"]).unwrap_err().contains("name a file"));
    }

    #[test]
    fn a_replay_feeds_no_sinks_and_whoever_feeds_some_keeps_restricted_events_apart() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("weir.toml");
        let text = "[[control.syslog]]\naddress = \"192.0.2.9:514\"\ntransport = \"udp\"\n\
                    [control.events]\nmax_bytes = 1_000_000\nkeep = 2\n";
        std::fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap();
        let live = plan(&["--config", config]).unwrap();
        assert_eq!((live.sinks.syslog.len(), live.guarded), (1, true));
        assert!(live.rotation.is_some());
        let replay = plan(&["--config", config, "--until-end"]).unwrap();
        assert!(replay.sinks.is_empty() && !replay.guarded && replay.rotation.is_none());
    }

    #[test]
    fn off_loopback_and_two_results_on_one_output_are_refused() {
        for address in ["0.0.0.0:9810", "192.0.2.1:80", "[::]:1"] {
            let refused = plan(&["--listen", address]).unwrap_err();
            assert!(refused.contains("TLS") && refused.contains(address), "{refused}");
        }
        assert!(plan(&["--listen", "[::1]:0"]).is_ok());
        let refused = plan(&["--events", "-", "--print-alerts"]).unwrap_err();
        assert!(refused.contains("--events -, --print-alerts"), "{refused}");
        assert!(plan(&["--listen", "9810"]).unwrap_err().contains("127.0.0.1:9810"));
    }
}
