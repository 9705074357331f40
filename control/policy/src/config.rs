//! `weir.toml`: the taps of a site and how its two processes run.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;

use crate::closed::{Direction, Link, Wrapper};
use crate::diagnostic::{Checked, Diagnostic, Mistake, Severity};
use crate::document::{self, Findings};
use crate::evidence::{EvidenceConfig, evidence};
use crate::nearest::{quoted, remedy};
use crate::section::Section;
use crate::serving::{self, Retention, Serving};
use crate::sinks::{self, Rotation, SinksConfig};
use crate::source::PacketSource;
use crate::values::{FilePath, Text};

const MAX_TAPS: usize = 1024;
const MAX_CORE: u64 = 1023;
const MAX_TUNNELS: u64 = 100_000_000;
/// A tenth of a live slice: more would show in alerts' latency.
const MAX_NAP_US: u64 = 2_000;

/// What `weir.toml` says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the site in events; `weir` when none is given.
    pub site: String,
    /// The taps, in file order. May be empty: a replay brings its own.
    pub taps: Vec<Tap>,
    /// The dataplane process.
    pub sensor: SensorConfig,
    /// The control process.
    pub control: ControlConfig,
    /// The other files.
    pub paths: Paths,
}

/// One `[[tap]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tap {
    /// Its name in events; unique.
    pub name: String,
    /// The link that it sees; `mixed` when not given.
    pub link: Link,
    /// The directions that it delivers; both when not given.
    pub direction: Direction,
    /// Where its frames come from. A file's path is resolved against the directory of `weir.toml`.
    pub source: PacketSource,
    /// Line and column of `source`, for findings about what it names.
    pub source_place: (u32, u32),
    /// The broker's VLAN ids whose frames are this tap; empty: every frame of the source.
    pub vlans: Vec<u16>,
    /// Whether every parallel path of the link is tapped; false when not given.
    pub complete: bool,
    /// Bytes that the broker appends to each frame.
    pub trailer_bytes: u16,
    /// What the broker wraps each frame in; `None`: nothing.
    pub wrapper: Option<Wrapper>,
}

/// `[sensor]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SensorConfig {
    /// Cores of the workers; empty: the sensor chooses.
    pub workers: Vec<u16>,
    /// UDP ports on which GTP-U is tried; 2152 when not given.
    pub gtpu_ports: Vec<u16>,
    /// UDP ports on which PFCP is tried; 8805 when not given.
    pub pfcp_ports: Vec<u16>,
    /// Core of the sensor's slower threads; `None`: the sensor chooses.
    pub control_core: Option<u16>,
    /// Rows of the tunnel table; 2,000,000 when not given.
    pub tunnels: u32,
    /// Cores of threads that receive for the workers; empty: the workers receive themselves.
    pub receive_cores: Vec<u16>,
    /// How long who polls in vain sleeps, in microseconds; 0: it never does. 100 when not given.
    pub idle_nap_us: u32,
}

/// `[control]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ControlConfig {
    /// Where HTTP is served, and to whom.
    pub serving: Serving,
    /// How much of what was found is kept.
    pub retention: Retention,
    /// Where control keeps its state; /var/lib/weir when not given.
    pub state_dir: PathBuf,
    /// Where events go that only a named role may see; in the state directory when not given.
    pub restricted_events: Option<PathBuf>,
    /// Where events go beside the event files.
    pub sinks: SinksConfig,
    /// How large an event file may become; `None`: it grows.
    pub rotation: Option<Rotation>,
    /// What is kept of the frames of alerts.
    pub evidence: EvidenceConfig,
}

/// `[paths]`, each resolved against the directory of `weir.toml`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Paths {
    /// `inventory.toml`.
    pub inventory: Option<PathBuf>,
    /// `policy.toml`.
    pub policy: Option<PathBuf>,
    /// The file of authorised interceptions.
    pub lawful_intercept: Option<PathBuf>,
}

impl Paths {
    /// What is amiss when one of inventory and policy is there without the other.
    pub fn unpaired(&self) -> Option<Diagnostic> {
        let (file, message, missing) = match (&self.inventory, &self.policy) {
            (Some(inventory), None) => {
                let message = "an inventory without a policy: no flow of its equipment is allowed";
                (inventory, message, "policy")
            }
            (None, Some(policy)) => {
                (policy, "a policy without an inventory: nothing can be judged", "inventory")
            }
            _ => return None,
        };
        Some(Diagnostic {
            severity: Severity::Warning,
            file: file.display().to_string(),
            line: 0,
            column: 0,
            message: message.into(),
            remedy: format!("name it with --{missing} or under [paths] of weir.toml"),
        })
    }
}

/// Reads and checks the `weir.toml` at `path`.
///
/// # Errors
/// Every mistake of the file, in file order, and its warnings among them.
pub fn load_config(path: &Path) -> Result<Checked<Config>, Vec<Diagnostic>> {
    config_from_str(&path.display().to_string(), &document::read(path)?)
}

/// The files that the `weir.toml` at `path` names, whatever mistakes it makes elsewhere: so that
/// they can be checked all the same.
pub fn load_paths(path: &Path) -> Paths {
    let text = document::read(path).unwrap_or_default();
    let base = path.parent().unwrap_or(Path::new(""));
    Findings::salvage("", &text, |findings, root| {
        let root = Section::open(findings, "weir.toml", root, &["paths"]);
        root.map_or_else(Paths::default, |root| paths(&root, base))
    })
}

/// Checks the text of a `weir.toml`. `name` stands in diagnostics, and relative paths are resolved
/// against its directory.
///
/// # Errors
/// As [`load_config`].
pub fn config_from_str(name: &str, text: &str) -> Result<Checked<Config>, Vec<Diagnostic>> {
    let base = Path::new(name).parent().unwrap_or(Path::new(""));
    Findings::check(name, text, |findings, root| {
        let keys = ["site", "tap", "sensor", "control", "paths"];
        let root = Section::open(findings, "weir.toml", root, &keys)?;
        let site = root.table("site", "[site]", &["name"]);
        let site = site.and_then(|site| site.parsed::<Text>("name"));
        Some(Config {
            site: site.map_or_else(|| "weir".into(), |site| site.into_inner().0),
            taps: taps(&root, base),
            sensor: sensor(&root),
            control: control(&root, name, base),
            paths: paths(&root, base),
        })
    })
}

fn taps(root: &Section<'_>, base: &Path) -> Vec<Tap> {
    const KEYS: &[&str] =
        &["name", "link", "direction", "source", "vlan", "complete", "trailer_bytes", "wrapper"];
    let mut names = HashMap::new();
    let mut sources: HashMap<PacketSource, Frames> = HashMap::new();
    let mut taps = Vec::new();
    for section in root.tables("tap", "[[tap]]", KEYS, MAX_TAPS) {
        let name = section.required("name", section.parsed::<Text>("name"));
        let source = section.required("source", section.parsed::<PacketSource>("source"));
        let link = section.parsed("link").map_or(Link::Mixed, Spanned::into_inner);
        let direction = section.parsed("direction").map_or(Direction::Both, Spanned::into_inner);
        let complete = section.boolean("complete").unwrap_or(false);
        let trailer_bytes = section.integer("trailer_bytes", 0..=255).unwrap_or(0) as u16;
        let vlans = distinct(&section, "vlan", 1..=4094);
        let wrapper = section.parsed::<Wrapping>("wrapper").and_then(|it| it.into_inner().0);
        if let Some(name) = &name
            && let Some(line) =
                names.insert(name.get_ref().0.clone(), root.findings.line(name.span().start))
        {
            let message =
                format!("the tap {} is already on line {line}", quoted(&name.get_ref().0));
            root.findings.error(name.span(), Mistake::new(message, "give each tap its own name"));
        }
        let (Some(name), Some(source)) = (name, source) else { continue };
        let place = source.span();
        let source = match source.into_inner() {
            PacketSource::File(path) => PacketSource::File(base.join(path)),
            other => other,
        };
        let source_place = root.findings.place(place.start);
        let line = root.findings.line(place.start);
        if let Some(line) = sources.entry(source.clone()).or_default().take(&vlans, line) {
            let message = format!("the tap on line {line} takes the same frames of this source");
            let remedy = "give each tap of one source `vlan` ids of its own";
            root.findings.error(place, Mistake::new(message, remedy));
        }
        let name = name.into_inner().0;
        taps.push(Tap {
            name,
            link,
            direction,
            source,
            source_place,
            vlans,
            complete,
            trailer_bytes,
            wrapper,
        });
    }
    taps
}

/// Which frames of a source are taken, and by the tap on which line.
#[derive(Default)]
struct Frames {
    whole: Option<usize>,
    vlans: HashMap<u16, usize>,
}

impl Frames {
    /// Takes the frames of `vlans`, or all when there are none; the line of a tap that took some of
    /// them before comes back.
    fn take(&mut self, vlans: &[u16], line: usize) -> Option<usize> {
        let before = match vlans {
            [] => self.whole.or(self.vlans.values().min().copied()),
            _ => self.whole.or(vlans.iter().find_map(|vlan| self.vlans.get(vlan).copied())),
        };
        match vlans {
            [] => self.whole = self.whole.or(Some(line)),
            _ => self.vlans.extend(vlans.iter().map(|vlan| (*vlan, line))),
        }
        before
    }
}

/// A broker's wrapper, or `none`.
struct Wrapping(Option<Wrapper>);

impl FromStr for Wrapping {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        if text == "none" {
            return Ok(Self(None));
        }
        let names = || ["none"].into_iter().chain(Wrapper::ALL.iter().map(|one| one.name()));
        text.parse()
            .map(|wrapper| Self(Some(wrapper)))
            .map_err(|Mistake { message, .. }| Mistake::new(message, remedy(text, names())))
    }
}

fn sensor(root: &Section<'_>) -> SensorConfig {
    const KEYS: &[&str] = &[
        "workers",
        "receive_cores",
        "idle_nap_us",
        "gtpu_ports",
        "pfcp_ports",
        "policy_signing_key",
        "control_core",
        "tunnels",
    ];
    let mut sensor = SensorConfig {
        workers: Vec::new(),
        gtpu_ports: vec![2152],
        pfcp_ports: vec![8805],
        control_core: None,
        tunnels: 2_000_000,
        receive_cores: Vec::new(),
        idle_nap_us: 100,
    };
    let Some(section) = root.table("sensor", "[sensor]", KEYS) else { return sensor };
    if section.place("policy_signing_key").is_some() {
        let message = "`policy_signing_key` is not in this version";
        let remedy = "remove the key: the policy is taken unsigned over the sensor's own socket";
        section.error("policy_signing_key", Mistake::new(message, remedy));
    }
    sensor.workers = distinct(&section, "workers", 0..=MAX_CORE);
    sensor.receive_cores = distinct(&section, "receive_cores", 0..=MAX_CORE);
    if let Some(core) = sensor.receive_cores.iter().find(|core| sensor.workers.contains(core)) {
        let message = format!("core {core} is a worker's, which never lets go of it");
        section.error("receive_cores", Mistake::new(message, "name cores outside `workers`"));
    }
    if let Some(nap) = section.integer("idle_nap_us", 0..=MAX_NAP_US) {
        sensor.idle_nap_us = nap as u32;
    }
    if section.place("gtpu_ports").is_some() {
        sensor.gtpu_ports = distinct(&section, "gtpu_ports", 1..=65535);
    }
    if section.place("pfcp_ports").is_some() {
        sensor.pfcp_ports = distinct(&section, "pfcp_ports", 1..=65535);
    }
    let gtpu_ports: HashSet<_> = sensor.gtpu_ports.iter().collect();
    if let Some(port) = sensor.pfcp_ports.iter().find(|port| gtpu_ports.contains(port)) {
        let message = format!("port {port} is GTP-U's and PFCP's");
        let given = if section.place("pfcp_ports").is_some() { "pfcp_ports" } else { "gtpu_ports" };
        section.error(given, Mistake::new(message, "give each protocol its own ports"));
    }
    sensor.control_core = section.integer("control_core", 0..=MAX_CORE).map(|core| core as u16);
    if let Some(core) = sensor.control_core.filter(|core| sensor.workers.contains(core)) {
        let message = format!("core {core} is a worker's, which never lets go of it");
        section.error("control_core", Mistake::new(message, "name a core outside `workers`"));
    }
    if let Some(core) = sensor.control_core.filter(|core| sensor.receive_cores.contains(core)) {
        let message = format!("core {core} is a receive thread's, which never lets go of it");
        section.error("control_core", Mistake::new(message, "name a core outside `receive_cores`"));
    }
    if let Some(tunnels) = section.integer("tunnels", 1..=MAX_TUNNELS) {
        sensor.tunnels = tunnels as u32;
    }
    sensor
}

/// The numbers of a list that should not name one twice.
fn distinct(section: &Section<'_>, key: &str, range: RangeInclusive<u64>) -> Vec<u16> {
    let mut numbers = HashSet::new();
    let mut list = Vec::new();
    for number in section.integers(key, range) {
        // Every range that is asked for ends below 65,536.
        let value = *number.get_ref() as u16;
        if numbers.insert(value) {
            list.push(value);
        } else {
            let message = format!("`{key}` names {value} twice");
            section.findings.error(number.span(), Mistake::new(message, "remove one of them"));
        }
    }
    list
}

fn control(root: &Section<'_>, name: &str, base: &Path) -> ControlConfig {
    let keys = [
        "listen",
        "tls",
        "state_dir",
        "retention",
        "restricted_events",
        "syslog",
        "ipfix",
        "events",
        "evidence",
    ];
    let section = root.table("control", "[control]", &keys);
    let section = section.as_ref();
    let path = |key| {
        let path = section.and_then(|section| section.parsed::<FilePath>(key));
        path.map(|path| path.into_inner().0)
    };
    ControlConfig {
        serving: serving::serving(section, name, base),
        retention: section.map(serving::retention).unwrap_or_default(),
        state_dir: base.join(path("state_dir").unwrap_or("/var/lib/weir".into())),
        restricted_events: path("restricted_events").map(|path| base.join(path)),
        sinks: section.map(|section| sinks::sinks(section, base)).unwrap_or_default(),
        rotation: section.and_then(sinks::rotation),
        evidence: section.map(evidence).unwrap_or_default(),
    }
}

fn paths(root: &Section<'_>, base: &Path) -> Paths {
    let keys = ["inventory", "policy", "lawful_intercept"];
    let Some(section) = root.table("paths", "[paths]", &keys) else { return Paths::default() };
    let path = |key| section.parsed::<FilePath>(key).map(|path| base.join(path.into_inner().0));
    Paths {
        inventory: path("inventory"),
        policy: path("policy"),
        lawful_intercept: path("lawful_intercept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let found = config_from_str("weir.toml", text).unwrap_err();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = config_from_str("/etc/weir/weir.toml", "").unwrap().value;
        assert_eq!((config.site.as_str(), config.taps.len()), ("weir", 0));
        assert_eq!((config.sensor.gtpu_ports[0], config.sensor.pfcp_ports[0]), (2152, 8805));
        assert_eq!(config.sensor.tunnels, 2_000_000);
        assert_eq!(config.control.serving.listen.to_string(), "127.0.0.1:9810");
        assert_eq!(config.control.state_dir, Path::new("/var/lib/weir"));
        assert_eq!(config.paths, Paths::default());
        assert_eq!(config.control.restricted_events, None);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text = "[paths]\ninventory = \"i.toml\"\npolicy = \"/p.toml\"\n\
                    lawful_intercept = \"li.toml\"\n\
                    [control]\nrestricted_events = \"li/events.json\"\n\
                    [[tap]]\nname = \"a\"\nsource = \"file:f.pcap\"\n";
        let config = config_from_str("/etc/weir/weir.toml", text).unwrap().value;
        assert_eq!(config.paths.inventory.unwrap(), Path::new("/etc/weir/i.toml"));
        assert_eq!(config.paths.policy.unwrap(), Path::new("/p.toml"));
        assert_eq!(config.paths.lawful_intercept.unwrap(), Path::new("/etc/weir/li.toml"));
        let restricted = config.control.restricted_events.unwrap();
        assert_eq!(restricted, Path::new("/etc/weir/li/events.json"));
        assert_eq!(config.taps[0].source, PacketSource::File("/etc/weir/f.pcap".into()));
    }

    #[test]
    fn every_mistake_is_reported_with_its_place_and_remedy() {
        let text = r#"
[site]
nam = "lab"
[[tap]]
link = "n33"
direction = "up"
vlan = [0, 7, 7]
complete = "yes"
trailer_bytes = 300
[sensor]
workers = [2, 2]
control_core = 2
gtpu_ports = [8805]
tunnels = 0
[control]
listen = "0.0.0.0:9810"
[paths]
policy = ""
"#;
        assert_eq!(
            mistakes(text),
            [
                "error: unknown key `nam` in [site]; weir.toml:3:1; did you mean `name`?",
                "error: [[tap]] has no `name`; weir.toml:4:1; add `name = …`",
                "error: [[tap]] has no `source`; weir.toml:4:1; add `source = …`",
                "error: unknown link `n33`; weir.toml:5:8; did you mean `n3`?",
                "error: unknown direction `up`; weir.toml:6:13; did you mean `ul`?",
                "error: `vlan` is out of range: `0`; weir.toml:7:9; write a whole number from 1 to 4094",
                "error: `vlan` names 7 twice; weir.toml:7:15; remove one of them",
                "error: `complete` should be true or false, not text; weir.toml:8:12; \
                 write true or false, without quotation marks",
                "error: `trailer_bytes` is out of range: `300`; weir.toml:9:17; \
                 write a whole number from 0 to 255",
                "error: `workers` names 2 twice; weir.toml:11:15; remove one of them",
                "error: core 2 is a worker's, which never lets go of it; weir.toml:12:16; \
                 name a core outside `workers`",
                "error: port 8805 is GTP-U's and PFCP's; weir.toml:13:14; give each protocol its own ports",
                "error: `tunnels` is out of range: `0`; weir.toml:14:11; \
                 write a whole number from 1 to 100000000",
                "error: 0.0.0.0:9810 is off loopback, where TLS is needed; weir.toml:16:10; \
                 add [control.tls] with `certificate` and `key`, or listen on 127.0.0.1",
                "error: `` is not a path; weir.toml:18:10; name a file, relative to weir.toml or absolute",
            ]
        );
    }

    #[test]
    fn each_thread_that_polls_has_a_core_of_its_own() {
        let apart = "[sensor]\nworkers = [2, 3]\nreceive_cores = [4, 5]\ncontrol_core = 1\n";
        let sensor = config_from_str("weir.toml", apart).unwrap().value.sensor;
        assert_eq!((sensor.receive_cores, sensor.idle_nap_us), (vec![4, 5], 100));
        let sensor = config_from_str("weir.toml", "[sensor]\nidle_nap_us = 0\n").unwrap().value;
        assert_eq!((sensor.sensor.receive_cores, sensor.sensor.idle_nap_us), (vec![], 0));
        let shared = "[sensor]\nworkers = [2, 3]\nreceive_cores = [4, 3]\ncontrol_core = 4\n\
                      idle_nap_us = 2001\n";
        assert_eq!(
            mistakes(shared),
            [
                "error: core 3 is a worker's, which never lets go of it; weir.toml:3:17; \
                 name cores outside `workers`",
                "error: core 4 is a receive thread's, which never lets go of it; weir.toml:4:16; \
                 name a core outside `receive_cores`",
                "error: `idle_nap_us` is out of range: `2001`; weir.toml:5:15; \
                 write a whole number from 0 to 2000",
            ]
        );
    }

    #[test]
    fn what_this_version_cannot_do_is_refused_not_ignored() {
        let signed = "[sensor]\npolicy_signing_key = \"k.pub\"\n";
        let found = mistakes(signed);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with(
            "error: `policy_signing_key` is not in this version; weir.toml:2:22; remove the key"
        ));
    }

    #[test]
    fn a_brokers_wrapper_is_one_of_a_few_or_none() {
        let tap = "[[tap]]\nname = \"a\"\nsource = \"vdev:net_null0\"\n";
        let wrapper = |line: &str| {
            config_from_str("weir.toml", &format!("{tap}{line}")).unwrap().value.taps[0].wrapper
        };
        assert_eq!((wrapper(""), wrapper("wrapper = \"none\"")), (None, None));
        for wrapped in Wrapper::ALL {
            assert_eq!(wrapper(&format!("wrapper = \"{wrapped}\"")), Some(*wrapped));
        }
        let found = mistakes(&format!("{tap}wrapper = \"vxlam\""));
        assert_eq!(
            found,
            ["error: unknown wrapper `vxlam`; weir.toml:4:11; did you mean `vxlan`?"]
        );
        let found = mistakes(&format!("{tap}wrapper = \"geneve\""));
        assert!(found[0].ends_with("use one of: none, gre, erspan, vxlan"), "{found:?}");
    }

    #[test]
    fn the_other_files_are_named_in_spite_of_mistakes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.toml");
        let named = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load_paths(&path).policy
        };
        let policy = Some(directory.path().join("p.toml"));
        let paths = "[paths]\npolicy = \"p.toml\"\ninventory = 7\n";
        assert_eq!(named(&format!("[site]\nnam = 5\n{paths}")), policy);
        assert_eq!(named(&format!("[site]\nname = lab\n{paths}")), policy, "not even TOML");
        assert_eq!(named("policy = \"p.toml\"\n"), None);
        assert_eq!(load_paths(Path::new("no/such/weir.toml")), Paths::default());
    }

    #[test]
    fn an_inventory_and_a_policy_belong_together() {
        let unpaired = |inventory: Option<&str>, policy: Option<&str>| {
            let paths = Paths {
                inventory: inventory.map(PathBuf::from),
                policy: policy.map(PathBuf::from),
                lawful_intercept: None,
            };
            paths.unpaired().map(|found| found.to_string())
        };
        assert_eq!(unpaired(None, None), None);
        assert_eq!(unpaired(Some("i.toml"), Some("p.toml")), None);
        assert_eq!(
            unpaired(None, Some("p.toml")).unwrap(),
            "warning: a policy without an inventory: nothing can be judged; p.toml; \
             name it with --inventory or under [paths] of weir.toml"
        );
        assert!(unpaired(Some("i.toml"), None).unwrap().ends_with(
            "no flow of its equipment is allowed; i.toml; \
             name it with --policy or under [paths] of weir.toml"
        ));
    }

    #[test]
    fn taps_of_one_source_must_not_share_frames() {
        let tap = |name: &str, vlan: &str| {
            format!("[[tap]]\nname = \"{name}\"\nsource = \"pci:0000:3b:00.0\"\n{vlan}\n")
        };
        let apart = tap("a", "vlan = [1]") + &tap("b", "vlan = [2, 3]");
        assert_eq!(config_from_str("weir.toml", &apart).unwrap().value.taps[1].vlans, [2, 3]);
        for (first, second) in [("vlan = [1, 2]", "vlan = [2]"), ("", ""), ("", "vlan = [1]")] {
            let found = mistakes(&(tap("a", first) + &tap("b", second)));
            assert_eq!(found.len(), 1, "{first} {second}");
            assert!(
                found[0].contains("line 3 takes the same frames of this source; weir.toml:7:10")
            );
        }
        let named = mistakes(&(tap("a", "vlan = [1]") + &tap("a", "vlan = [2]")));
        assert!(named[0].contains("tap `a` is already on line 2; weir.toml:6:8"), "{named:?}");
    }
}
