//! What is to be done: taps, sources and workers, from options and configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use weir_capture::is_standard_input;
use weir_engine::TapId;
use weir_engine::contract::greeting::TapName;
use weir_engine::decode::{Ports, Wrapper};
use weir_engine::rules::Link;
use weir_policy::{Config, Direction, PacketSource};

use crate::options::{Options, SourceKind, Speed};
use crate::tap::{Share, Shares, Tap};

/// Where frames come from.
#[derive(Clone, Debug)]
pub(crate) enum Sources {
    /// Captures, read by the engine's own reader.
    Files(Vec<FileSource>),
    /// DPDK devices.
    #[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
    Devices(Vec<DeviceSource>),
}

/// A capture and its taps.
#[derive(Clone, Debug)]
pub(crate) struct FileSource {
    pub(crate) path: PathBuf,
    pub(crate) shares: Shares,
}

/// A DPDK device and its taps.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
pub(crate) struct DeviceSource {
    pub(crate) device: Device,
    pub(crate) shares: Shares,
    /// The capture that a replay reads through the device.
    pub(crate) capture: Option<PathBuf>,
}

/// A DPDK device.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
pub(crate) enum Device {
    /// A card, by its PCI address.
    Pci(String),
    /// A virtual device: its name and EAL's whole argument.
    Virtual { name: String, argument: String },
}

/// Everything that the sensor was told, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) site: String,
    pub(crate) taps: Vec<Tap>,
    /// What the taps' brokers wrap frames in, by tap; taps beyond the list have no wrapper.
    pub(crate) wrappers: Vec<Option<Wrapper>>,
    pub(crate) sources: Sources,
    /// Whether the input ends: captures, not live taps.
    pub(crate) replay: bool,
    /// Whether the captures are the command line's, which must be judged or refused.
    pub(crate) judged_whole: bool,
    pub(crate) speed: Speed,
    /// How often the captures are played.
    pub(crate) passes: u32,
    /// Whether they are read into memory first.
    pub(crate) preload: bool,
    pub(crate) workers: u16,
    /// Cores to pin the workers to; empty: none.
    pub(crate) cores: Vec<usize>,
    pub(crate) control_core: Option<usize>,
    /// Cores of threads that receive for the workers; empty: the workers receive themselves.
    #[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
    pub(crate) receive_cores: Vec<usize>,
    /// How long who polls in vain sleeps; zero: it never does.
    #[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
    pub(crate) idle_nap: Duration,
    /// Tunnels that there is room for.
    pub(crate) tunnels: usize,
    /// Whether every path of the N3 links is tapped.
    pub(crate) is_complete: bool,
    /// Whether every path of the N6 links is tapped.
    pub(crate) is_n6_complete: bool,
    pub(crate) ports: Ports,
    /// The ports of N4, for devices that can give it a queue of its own.
    #[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
    pub(crate) n4_ports: Vec<u16>,
    pub(crate) state_dir: PathBuf,
    pub(crate) socket: PathBuf,
}

impl Plan {
    /// Makes the plan.
    ///
    /// # Errors
    /// What is missing or contradicts itself: a matter of usage.
    pub(crate) fn of(options: &Options, config: Option<&Config>) -> anyhow::Result<Self> {
        let state_dir = match (&options.state_dir, config) {
            (Some(given), _) => given.clone(),
            (None, Some(config)) => config.control.state_dir.join("sensor"),
            (None, None) => bail!("no state directory; command line; give --config or --state-dir"),
        };
        let socket = options.socket.clone().unwrap_or_else(|| state_dir.join("sensor.sock"));
        let (taps, sources) = if options.is_replay() {
            replayed(options)?
        } else {
            let config =
                config.context("nothing to watch; command line; give FILEs or --config")?;
            configured(config)?
        };
        if (options.passes > 1 || options.preload) && matches!(sources, Sources::Devices(_)) {
            bail!(
                "what a device gives is not at hand to be loaded or played again; --loop, --preload; \
                 use --source file, or name captures"
            );
        }
        let wrappers = match config {
            Some(config) if !options.is_replay() => config.taps.iter().map(wrapper).collect(),
            _ => Vec::new(),
        };
        let cores: Vec<usize> = match (options.workers, config) {
            (None, Some(config)) => config.sensor.workers.iter().map(|c| usize::from(*c)).collect(),
            _ => Vec::new(),
        };
        let ports = config.map_or_else(Ports::default, |config| {
            Ports::new(&config.sensor.gtpu_ports, &config.sensor.pfcp_ports)
        });
        let is_capture = matches!(sources, Sources::Files(_)) || options.is_replay();
        let default_speed = if options.is_replay() { Speed::Max } else { Speed::Times(1.0) };
        Ok(Self {
            site: config.map_or_else(|| "lab".to_owned(), |config| config.site.clone()),
            taps,
            wrappers,
            sources,
            replay: is_capture,
            judged_whole: options.is_replay(),
            speed: options.speed.unwrap_or(default_speed),
            passes: options.passes,
            preload: options.preload,
            workers: options.workers.unwrap_or(cores.len().max(1) as u16),
            cores,
            control_core: config.and_then(|config| config.sensor.control_core).map(usize::from),
            receive_cores: config.map_or_else(Vec::new, |config| {
                config.sensor.receive_cores.iter().map(|core| usize::from(*core)).collect()
            }),
            idle_nap: config.map_or(IDLE_NAP, |config| {
                Duration::from_micros(u64::from(config.sensor.idle_nap_us))
            }),
            tunnels: config.map_or(TUNNELS, |config| config.sensor.tunnels as usize),
            is_complete: options.is_replay() || is_complete(config, &[Link::N3, Link::N9]),
            is_n6_complete: options.is_replay() || is_complete(config, &[Link::N6]),
            ports,
            n4_ports: config.map_or_else(
                || vec![weir_wire::pfcp::PORT],
                |config| config.sensor.pfcp_ports.clone(),
            ),
            state_dir,
            socket,
        })
    }
}

/// Tunnels that there is room for, and the nap of who polls in vain, where the configuration does
/// not say.
const TUNNELS: usize = 2_000_000;
const IDLE_NAP: Duration = Duration::from_micros(100);

/// Whether the taps that see these links are all complete.
fn is_complete(config: Option<&Config>, links: &[Link]) -> bool {
    let sees = |link: weir_policy::Link| {
        Link::from_code(link.code())
            .is_some_and(|link| link == Link::Mixed || links.contains(&link))
    };
    let mut taps = config.iter().flat_map(|config| &config.taps).filter(|tap| sees(tap.link));
    taps.all(|tap| tap.complete)
}

fn replayed(options: &Options) -> anyhow::Result<(Vec<Tap>, Sources)> {
    let named = options.tap.iter().map(|tap| &tap.file).chain(&options.files);
    if named.filter(|file| is_standard_input(file)).count() > 1 {
        bail!("standard input is one capture; the command line; name - once");
    }
    let mut taps = Vec::new();
    let mut files = Vec::new();
    let tap = |name: &str, link| Tap {
        name: TapName { name: name.to_owned(), link },
        // A lab's capture may well hold one direction.
        two_way: false,
    };
    for given in &options.tap {
        let id =
            taps.iter().position(|tap: &Tap| tap.name.link == given.link).unwrap_or_else(|| {
                taps.push(tap(given.link.name(), given.link));
                taps.len() - 1
            });
        files.push((given.file.clone(), TapId(id as u16)));
    }
    if !options.files.is_empty() {
        taps.push(tap("replay", Link::Mixed));
        let id = TapId((taps.len() - 1) as u16);
        files.extend(options.files.iter().map(|file| (file.clone(), id)));
    }
    let sources = match options.source {
        SourceKind::File => Sources::Files(
            files
                .into_iter()
                .map(|(path, tap)| FileSource { path, shares: Shares::whole(tap) })
                .collect(),
        ),
        SourceKind::Dpdk => Sources::Devices(
            files
                .into_iter()
                .enumerate()
                .map(|(number, (path, tap))| net_pcap(number, &path, Shares::whole(tap)))
                .collect::<anyhow::Result<_>>()?,
        ),
    };
    Ok((taps, sources))
}

fn net_pcap(number: usize, path: &Path, shares: Shares) -> anyhow::Result<DeviceSource> {
    let text = path.to_str().filter(|text| !text.contains(',')).with_context(|| {
        format!(
            "DPDK's device arguments can't hold the name; {}; rename the file without commas",
            path.display()
        )
    })?;
    let name = format!("net_pcap{number}");
    let argument = format!("{name},rx_pcap={text}");
    Ok(DeviceSource {
        device: Device::Virtual { name, argument },
        shares,
        capture: Some(path.to_owned()),
    })
}

fn wrapper(tap: &weir_policy::Tap) -> Option<Wrapper> {
    Wrapper::ALL.get(usize::from(tap.wrapper?.code())).copied()
}

fn configured(config: &Config) -> anyhow::Result<(Vec<Tap>, Sources)> {
    let mut taps = Vec::new();
    // Taps of one source, told apart by their VLANs.
    let mut sources: Vec<(&PacketSource, Shares)> = Vec::new();
    for (number, tap) in config.taps.iter().enumerate() {
        let link = Link::from_code(tap.link.code()).unwrap_or_default();
        taps.push(Tap {
            name: TapName { name: tap.name.clone(), link },
            // Only here do roles tell which way a user's packet goes.
            two_way: tap.direction == Direction::Both && link == Link::N3,
        });
        let share = Share {
            tap: TapId(number as u16),
            vlans: tap.vlans.clone(),
            trailer: tap.trailer_bytes as usize,
        };
        match sources.iter_mut().find(|(source, _)| *source == &tap.source) {
            Some((_, shares)) => shares.0.push(share),
            None => sources.push((&tap.source, Shares(vec![share]))),
        }
    }
    let mut files = Vec::new();
    let mut devices = Vec::new();
    for (source, shares) in sources {
        match source {
            PacketSource::File(path) => files.push(FileSource { path: path.clone(), shares }),
            PacketSource::Pci(address) => devices.push(DeviceSource {
                device: Device::Pci(address.to_string()),
                shares,
                capture: None,
            }),
            PacketSource::Vdev { name, arguments } => devices.push(DeviceSource {
                device: Device::Virtual {
                    name: name.clone(),
                    argument: if arguments.is_empty() {
                        name.clone()
                    } else {
                        format!("{name},{arguments}")
                    },
                },
                shares,
                capture: None,
            }),
        }
    }
    match (files.is_empty(), devices.is_empty()) {
        (false, true) => Ok((taps, Sources::Files(files))),
        (true, false) => Ok((taps, Sources::Devices(devices))),
        (true, true) => bail!("no taps; [[tap]] in the configuration; declare at least one"),
        (false, false) => bail!(
            "captures and devices are mixed; [[tap]] source; a sensor reads one or the other: run two"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn each_tap_has_its_own_wrapper_and_a_replays_files_have_none() {
        let tap = |name: &str, wrapper: &str| {
            format!("[[tap]]\nname = \"{name}\"\nsource = \"file:{name}\"\n{wrapper}\n")
        };
        let text = tap("a", "wrapper = \"vxlan\"")
            + &tap("b", "")
            + &tap("c", "wrapper = \"gre\"")
            + &tap("d", "wrapper = \"erspan\"");
        let config = weir_policy::config_from_str("weir.toml", &text).unwrap().value;
        let wrappers = |words: &[&str]| {
            let options = Options::parse_from(["weir-sensor"].iter().chain(words));
            Plan::of(&options, Some(&config)).unwrap().wrappers
        };
        let wrapped = [Some(Wrapper::Vxlan), None, Some(Wrapper::Gre), Some(Wrapper::Erspan)];
        assert_eq!(wrappers(&[]), wrapped);
        assert_eq!(wrappers(&["own.pcap"]), []);
    }
}
