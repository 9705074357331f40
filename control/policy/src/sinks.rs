//! `[[control.syslog]]`, `[[control.ipfix]]` and `[control.events]` of `weir.toml`: where events go
//! beside the event file, and how large that may become.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;

use crate::closed::{EventFormat, EventType, Transport};
use crate::diagnostic::Mistake;
use crate::nearest::{quoted, remedy};
use crate::section::Section;
use crate::values::FilePath;

/// Sinks of one kind: each has a thread and a queue.
const MAX_SINKS: usize = 16;
/// Event files that are kept: the oldest would not be found among more.
const MAX_KEPT: u64 = 1000;
/// The enterprise number that RFC 5612 sets aside for examples.
const EXAMPLE_ENTERPRISE: u32 = 32473;

/// Where events go beside the event file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SinksConfig {
    /// `[[control.syslog]]`.
    pub syslog: Vec<SyslogConfig>,
    /// `[[control.ipfix]]`.
    pub ipfix: Vec<IpfixConfig>,
}

impl SinksConfig {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.syslog.is_empty() && self.ipfix.is_empty()
    }
}

/// A collector's address: a name or a literal address, and a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Collector {
    /// The name, or the address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// One `[[control.syslog]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyslogConfig {
    /// Its name in metrics and messages: `syslog-1` and so on when none is given.
    pub name: String,
    /// Where the collector listens.
    pub collector: Collector,
    /// What carries the messages.
    pub transport: Transport,
    /// What stands in a message; eve when not given.
    pub format: EventFormat,
    /// The certificates of a TLS sink; `None` for the other transports.
    pub tls: Option<TlsConfig>,
    /// The types of events that go there.
    pub events: Vec<EventType>,
    /// Whether restricted events go there too.
    pub restricted: bool,
    /// The private enterprise number of the structured data.
    pub enterprise: u32,
}

/// The files of a TLS sink, resolved against the directory of `weir.toml`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsConfig {
    /// Who signs the collector.
    pub ca: PathBuf,
    /// Our own certificate and key, where the collector asks for them.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// One `[[control.ipfix]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IpfixConfig {
    /// Its name in metrics and messages: `ipfix-1` and so on when none is given.
    pub name: String,
    /// Where the collector listens.
    pub collector: Collector,
    /// What carries the messages: udp or tcp.
    pub transport: Transport,
    /// The observation domain (RFC 7011 §3.1); 1 when not given.
    pub observation_domain: u32,
    /// The private enterprise number of what no registered element says.
    pub enterprise: u32,
}

/// `[control.events]`: how large an event file may become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// A file that reached this many bytes is put aside.
    pub max_bytes: u64,
    /// How many are kept beside the one that is written.
    pub keep: u32,
}

/// `HOST:PORT`, the host a name, an IPv4 address or an IPv6 address in brackets.
impl FromStr for Collector {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let mistake = || {
            let message = format!("{} is not a host with port", quoted(text));
            Mistake::new(message, "write siem.example:6514, 192.0.2.9:514 or [2001:db8::9]:514")
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(mistake)?;
        let digits = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port > 0).ok_or_else(mistake)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(literal) => {
                literal.parse::<std::net::Ipv6Addr>().map_err(|_| mistake())?.to_string()
            }
            None if is_name(host) => host.to_owned(),
            None => return Err(mistake()),
        };
        Ok(Self { host, port })
    }
}

/// Whether it may be a host's name or an IPv4 address.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

/// A sink's name, which becomes a label of metrics.
struct SinkName(String);

impl FromStr for SinkName {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&text.len()) || !text.bytes().all(fits) {
            let message = format!("{} can't name a sink", quoted(text));
            return Err(Mistake::new(message, "write 1 to 32 of a–z, 0–9 and -"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What carries flow records: TLS over TCP is not among it.
struct Plain(Transport);

impl FromStr for Plain {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        match text {
            "udp" => Ok(Self(Transport::Udp)),
            "tcp" => Ok(Self(Transport::Tcp)),
            _ => {
                let message = format!("IPFIX is not sent by {}", quoted(text));
                Err(Mistake::new(message, remedy(text, ["udp", "tcp"])))
            }
        }
    }
}

/// The sinks under `[control]`.
pub(crate) fn sinks(control: &Section<'_>, base: &Path) -> SinksConfig {
    let mut names = Names::default();
    SinksConfig { syslog: syslog(control, base, &mut names), ipfix: ipfix(control, &mut names) }
}

/// Names that are taken, and on which line.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    /// The name of a section: its own, or that of its place in the file.
    fn take(&mut self, section: &Section<'_>, fallback: String) -> String {
        let given = section.parsed::<SinkName>("name");
        let span: Range<usize> = given.as_ref().map_or_else(|| section.span(), Spanned::span);
        let name = given.map_or(fallback, |name| name.into_inner().0);
        let line = section.findings.line(span.start);
        if let Some(before) = self.0.insert(name.clone(), line) {
            let message = format!("the sink {} is already on line {before}", quoted(&name));
            section.findings.error(span, Mistake::new(message, "give each sink its own name"));
        }
        name
    }
}

fn syslog(control: &Section<'_>, base: &Path, names: &mut Names) -> Vec<SyslogConfig> {
    const KEYS: &[&str] = &[
        "name",
        "address",
        "transport",
        "format",
        "ca",
        "certificate",
        "key",
        "events",
        "restricted",
        "enterprise",
    ];
    let mut found = Vec::new();
    let sections = control.tables("syslog", "[[control.syslog]]", KEYS, MAX_SINKS);
    for (number, section) in (1..).zip(sections) {
        let name = names.take(&section, format!("syslog-{number}"));
        let collector = section.required("address", section.parsed::<Collector>("address"));
        let transport = section.required("transport", section.parsed::<Transport>("transport"));
        let format = section.parsed("format").map_or(EventFormat::Eve, Spanned::into_inner);
        let restricted = section.boolean("restricted").unwrap_or(false);
        let events = events(&section);
        let enterprise = enterprise(&section);
        let path = |key| section.parsed::<FilePath>(key).map(|it| base.join(it.into_inner().0));
        let (ca, certificate, key) = (path("ca"), path("certificate"), path("key"));
        let (Some(collector), Some(transport)) = (collector, transport) else { continue };
        let transport = transport.into_inner();
        let mut tls = None;
        if transport == Transport::Tls {
            let ca = section.required("ca", ca);
            for (given, missing) in [("certificate", "key"), ("key", "certificate")] {
                if section.place(given).is_some() && section.place(missing).is_none() {
                    let message = format!("`{given}` without `{missing}`");
                    section.error(given, Mistake::new(message, format!("add `{missing} = …`")));
                }
            }
            tls = ca.map(|ca| TlsConfig { ca, client: certificate.zip(key) });
        } else {
            for key in ["ca", "certificate", "key"] {
                if section.place(key).is_some() {
                    let message = format!("`{key}` is for TLS, and this sink has {transport}");
                    let remedy = "write transport = \"tls\" or remove the key";
                    section.error(key, Mistake::new(message, remedy));
                }
            }
            if restricted {
                let message = format!("restricted events don't go over {transport}");
                let remedy =
                    "write transport = \"tls\": whoever reads them learns who is intercepted";
                section.error("restricted", Mistake::new(message, remedy));
            }
        }
        found.push(SyslogConfig {
            name,
            collector: collector.into_inner(),
            transport,
            format,
            tls,
            events,
            restricted,
            enterprise,
        });
    }
    found
}

fn events(section: &Section<'_>) -> Vec<EventType> {
    if section.place("events").is_none() {
        return vec![EventType::Alert, EventType::Health, EventType::Policy, EventType::Audit];
    }
    let mut events = Vec::new();
    for kind in section.required_list::<EventType>("events") {
        if events.contains(kind.get_ref()) {
            let message = format!("`events` names {} twice", kind.get_ref());
            section.findings.error(kind.span(), Mistake::new(message, "remove one of them"));
        }
        events.push(kind.into_inner());
    }
    events
}

fn enterprise(section: &Section<'_>) -> u32 {
    let number = section.integer("enterprise", 1..=u64::from(u32::MAX));
    number.map_or(EXAMPLE_ENTERPRISE, |number| number as u32)
}

fn ipfix(control: &Section<'_>, names: &mut Names) -> Vec<IpfixConfig> {
    const KEYS: &[&str] = &["name", "address", "transport", "observation_domain", "enterprise"];
    let mut found = Vec::new();
    let sections = control.tables("ipfix", "[[control.ipfix]]", KEYS, MAX_SINKS);
    for (number, section) in (1..).zip(sections) {
        let name = names.take(&section, format!("ipfix-{number}"));
        let collector = section.required("address", section.parsed::<Collector>("address"));
        let transport = section.required("transport", section.parsed::<Plain>("transport"));
        let domain = section.integer("observation_domain", 0..=u64::from(u32::MAX));
        let enterprise = enterprise(&section);
        let (Some(collector), Some(transport)) = (collector, transport) else { continue };
        found.push(IpfixConfig {
            name,
            collector: collector.into_inner(),
            transport: transport.into_inner().0,
            observation_domain: domain.map_or(1, |domain| domain as u32),
            enterprise,
        });
    }
    found
}

/// `[control.events]`.
pub(crate) fn rotation(control: &Section<'_>) -> Option<Rotation> {
    let section = control.table("events", "[control.events]", &["max_bytes", "keep"])?;
    // A file that holds no batch of records would be put aside at every one.
    let max_bytes = section.integer("max_bytes", 1_000_000..=1 << 50);
    let keep = section.integer("keep", 1..=MAX_KEPT);
    let max_bytes = section.required("max_bytes", max_bytes);
    let keep = section.required("keep", keep);
    Some(Rotation { max_bytes: max_bytes?, keep: keep? as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::config_from_str;

    fn control(text: &str) -> crate::ControlConfig {
        config_from_str("/etc/weir/weir.toml", text).unwrap().value.control
    }

    fn mistakes(text: &str) -> Vec<String> {
        let found = config_from_str("weir.toml", text).unwrap_err();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_is_sent_unless_it_is_asked_for() {
        assert!(control("").sinks.is_empty());
        assert_eq!(control("").rotation, None);
    }

    #[test]
    fn sinks_have_defaults_and_paths_beside_the_file() {
        let control = control(
            "[[control.syslog]]\naddress = \"siem.example:6514\"\ntransport = \"tls\"\n\
             ca = \"ca.pem\"\ncertificate = \"weir.pem\"\nkey = \"/k/weir.key\"\nrestricted = true\n\
             [[control.syslog]]\nname = \"soc\"\naddress = \"[2001:db8::9]:514\"\ntransport = \"udp\"\n\
             format = \"cef\"\nevents = [\"alert\", \"flow\"]\nenterprise = 99\n\
             [[control.ipfix]]\naddress = \"192.0.2.9:4739\"\ntransport = \"tcp\"\n\
             [control.events]\nmax_bytes = 1_000_000_000\nkeep = 8\n",
        );
        let [first, second] = &control.sinks.syslog[..] else { panic!("{control:?}") };
        assert_eq!(first.name, "syslog-1");
        assert_eq!(first.collector, Collector { host: "siem.example".into(), port: 6514 });
        let client = (Path::new("/etc/weir/weir.pem").into(), Path::new("/k/weir.key").into());
        let tls = TlsConfig { ca: "/etc/weir/ca.pem".into(), client: Some(client) };
        assert_eq!((first.format, first.tls.as_ref()), (EventFormat::Eve, Some(&tls)));
        assert_eq!(
            first.events,
            [EventType::Alert, EventType::Health, EventType::Policy, EventType::Audit]
        );
        assert_eq!((first.restricted, first.enterprise), (true, 32473));
        assert_eq!(second.collector.host, "2001:db8::9");
        assert_eq!(
            (second.name.as_str(), second.enterprise, second.restricted),
            ("soc", 99, false)
        );
        assert_eq!(second.events, [EventType::Alert, EventType::Flow]);
        let flows = &control.sinks.ipfix[0];
        assert_eq!((flows.name.as_str(), flows.transport), ("ipfix-1", Transport::Tcp));
        assert_eq!((flows.observation_domain, flows.enterprise), (1, 32473));
        assert_eq!(control.rotation, Some(Rotation { max_bytes: 1_000_000_000, keep: 8 }));
    }

    #[test]
    fn every_mistake_of_a_sink_has_its_place_and_remedy() {
        let text = "\
[[control.syslog]]
address = \"siem.example\"
transport = \"tsl\"
colour = 1
[[control.syslog]]
name = \"SOC\"
address = \"10.0.0.9:0\"
[[control.syslog]]
address = \"a:514\"
transport = \"udp\"
ca = \"ca.pem\"
restricted = true
events = [\"alert\", \"alert\"]
[[control.syslog]]
name = \"syslog-3\"
address = \"a:6514\"
transport = \"tls\"
key = \"k.pem\"
[[control.ipfix]]
address = \"a:4739\"
transport = \"tls\"
[control.events]
max_bytes = 10
";
        assert_eq!(
            mistakes(text),
            [
                "error: `siem.example` is not a host with port; weir.toml:2:11; \
                 write siem.example:6514, 192.0.2.9:514 or [2001:db8::9]:514",
                "error: unknown transport `tsl`; weir.toml:3:13; did you mean `tls`?",
                "error: unknown key `colour` in [[control.syslog]]; weir.toml:4:1; use one of: name, \
                 address, transport, format, ca, certificate, key, events, restricted, enterprise",
                "error: [[control.syslog]] has no `transport`; weir.toml:5:1; add `transport = …`",
                "error: `SOC` can't name a sink; weir.toml:6:8; write 1 to 32 of a–z, 0–9 and -",
                "error: `10.0.0.9:0` is not a host with port; weir.toml:7:11; \
                 write siem.example:6514, 192.0.2.9:514 or [2001:db8::9]:514",
                "error: `ca` is for TLS, and this sink has udp; weir.toml:11:6; \
                 write transport = \"tls\" or remove the key",
                "error: restricted events don't go over udp; weir.toml:12:14; \
                 write transport = \"tls\": whoever reads them learns who is intercepted",
                "error: `events` names alert twice; weir.toml:13:20; remove one of them",
                "error: [[control.syslog]] has no `ca`; weir.toml:14:1; add `ca = …`",
                "error: the sink `syslog-3` is already on line 8; weir.toml:15:8; \
                 give each sink its own name",
                "error: `key` without `certificate`; weir.toml:18:7; add `certificate = …`",
                "error: IPFIX is not sent by `tls`; weir.toml:21:13; use one of: udp, tcp",
                "error: [control.events] has no `keep`; weir.toml:22:1; add `keep = …`",
                "error: `max_bytes` is out of range: `10`; weir.toml:23:13; \
                 write a whole number from 1000000 to 1125899906842624",
            ]
        );
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        let host = |text: &str| text.parse::<Collector>().map(|it| (it.host, it.port));
        assert_eq!(host("a-b.example.:514"), Ok(("a-b.example.".into(), 514)));
        assert_eq!(host("[::1]:1"), Ok(("::1".into(), 1)));
        for wrong in
            ["", ":514", "a:", "a:+1", "a:65536", "::1:514", "[a]:514", "a b:514", "a..b:1"]
        {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }
}
