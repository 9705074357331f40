//! Where attacks are made: a network on a good day, with everything in it that looks like an attack
//! and is none.

use std::fmt::Write;

use weir_pcaps::bundled;

/// A network on a good day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Site {
    /// Minutes of a small network: scanners, NAT, ICMP errors, protocols of the link, machine-made names,
    /// pings and probes of all sizes, starts of clocks.
    Plain,
    /// Minutes with what looks like an evasion in the user plane.
    Evasions,
    /// Minutes with everything that happens to sessions.
    Sessions,
    /// Minutes of two UPFs whose subscribers' packets are followed from tap to tap.
    Proof,
    /// A quarter of an hour of two UPFs with lawful interception, some of which is told late.
    Interception,
    /// Days or weeks of many gNBs of three makers: timers, backups, update services, busy hours,
    /// announced work.
    Weeks {
        /// How long.
        days: u64,
        /// How many gNBs.
        gnbs: u32,
    },
}

/// gNBs of a site of weeks that an attack may be made with.
pub const SUSPECTS: u32 = 24;

const WEEKS_START: &str = "2026-01-05T00:00:00Z";
const DAY_SECONDS: u64 = 86_400;

impl Site {
    /// The scenario without any attack, to which attacks can be added as text.
    #[must_use]
    pub fn text(self, name: &str, seed: u64) -> String {
        let bundled = match self {
            Self::Plain => bundled::BENIGN,
            Self::Evasions => bundled::EVASION,
            Self::Sessions => bundled::SESSIONS,
            Self::Proof => bundled::PROOF,
            Self::Interception => bundled::INTERCEPTION,
            Self::Weeks { days, gnbs } => return weeks(name, seed, days, gnbs),
        };
        let until = bundled.find("[[theft").unwrap_or(bundled.len());
        let lines = bundled[..until].lines().map(|line| {
            let key = line.split(" = ").next().unwrap_or_default();
            match key {
                "name" => format!("name = \"{name}\"\n"),
                "seed" => format!("seed = {seed}\n"),
                _ => format!("{line}\n"),
            }
        });
        lines.collect()
    }
}

/// The id of a gNB of a site of weeks.
#[must_use]
pub fn gnb(number: u32) -> String {
    format!("gnb-{}", number + 1)
}

/// The maker and the build of a gNB of a site of weeks: three makers in turn, each with two builds.
fn make(number: u32) -> (char, &'static str, &'static str) {
    let old = (number / 3).is_multiple_of(2);
    match number % 3 {
        0 => ('A', "AAU5613", if old { "V3.00.30" } else { "V3.01.02" }),
        1 => ('B', "AIR6449", if old { "22.Q4.1" } else { "23.Q2.3" }),
        _ => ('C', "RU-8T", if old { "5.4.1" } else { "5.6.0" }),
    }
}

/// The gNBs of one build, of so many.
#[must_use]
pub fn of_build_with(number: u32, gnbs: u32) -> Vec<String> {
    (0..gnbs).filter(|other| make(*other) == make(number)).map(gnb).collect()
}

fn weeks(name: &str, seed: u64, days: u64, gnbs: u32) -> String {
    let seconds = days * DAY_SECONDS;
    let mut text = format!(
        r#"name = "{name}"
seed = {seed}
start = {WEEKS_START}
duration_seconds = {seconds}

[plan]
n3 = "10.0.0.0/23"
n4 = "10.0.2.0/24"
n6 = "10.0.6.0/24"
oam = "10.0.10.0/24"
infrastructure = ["10.0.0.0/16"]
ue4 = "10.60.0.0/16"
ue6 = "2001:db8:60::/48"
internet4 = "198.18.0.0/15"
internet6 = "2001:db8:f000::/48"
dnn = "internet"
slice = "1-010203"

[tap]
snap_bytes = 640

[subscribers]
count = 12
attach_seconds = 600
hold_seconds = 40000
pause_seconds = 7200
mix = {{ dns = 60, web = 5, ping = 5 }}

[background]
echo_seconds = 3600
heartbeat_seconds = 50
dns_seconds = 3600
ntp_seconds = 2048
syslog_seconds = 1800
netconf_seconds = 7200
ping_seconds = 1800
arp_seconds = 14400
lldp_seconds = 14400

[confounders]
n6_scans_per_minute = 1
icmp_errors_seconds = 3600
link_protocols_seconds = 3600
content = {{ every_seconds = 600, upstream = "192.0.2.53" }}
scanner = {{ address = "10.0.10.240", mac = "00:1b:bb:60:01:00", start_seconds = 30000, ports = [22, 23, 80, 161, 443, 8080] }}
"#
    );
    equipment(&mut text, gnbs);
    routines(&mut text, days, gnbs);
    text
}

fn equipment(text: &mut String, gnbs: u32) {
    let mut entry =
        |id: &str, role: &str, maker: &str, build: &str, addresses: &str, mac: String| {
            // Writing to a String can't fail.
            let _ = writeln!(
                text,
                "\n[[equipment]]\nid = \"{id}\"\nrole = \"{role}\"\nvendor = \"{maker}\"\n{build}\n\
             serial = \"{id}\"\nlocation = \"site of {id}\"\nmac = \"{mac}\"\n{addresses}"
            );
        };
    for number in 0..gnbs {
        let (maker, model, build) = make(number);
        let host = number + 1;
        entry(
            &gnb(number),
            "gnb",
            &format!("Vendor {maker}"),
            &format!("model = \"{model}\"\nbuild = \"{build}\""),
            &format!("n3 = \"10.0.0.{host}\"\noam = \"10.0.10.{host}\""),
            format!("00:1b:54:10:{host:02x}:00"),
        );
    }
    let core = [
        ("upf-1", "upf", 'A', "n3 = \"10.0.1.1\"\nn4 = \"10.0.2.1\"\nn6 = \"10.0.6.1\"", 231),
        ("upf-2", "upf", 'B', "n3 = \"10.0.1.2\"\nn4 = \"10.0.2.2\"\nn6 = \"10.0.6.2\"", 232),
        ("smf-1", "smf", 'C', "n4 = \"10.0.2.100\"", 233),
        ("router-1", "router", 'D', "n3 = \"10.0.1.254\"\nn6 = \"10.0.6.254\"", 234),
        ("dns-1", "dns", 'O', "", 235),
        ("ntp-1", "ntp", 'O', "", 236),
        ("syslog-1", "syslog", 'O', "", 237),
        ("ems-1", "oam", 'O', "", 238),
    ];
    for (id, role, maker, addresses, host) in core {
        entry(
            id,
            role,
            &format!("Vendor {maker}"),
            "model = \"core\"\nbuild = \"1.0\"",
            &format!("{addresses}\noam = \"10.0.10.{host}\""),
            format!("00:1b:54:20:{host:02x}:00"),
        );
    }
}

/// What is declared and looks like a patient theft.
fn routines(text: &mut String, days: u64, gnbs: u32) {
    let seconds = days * DAY_SECONDS;
    let mut routine = |id: &str, declared: &str, nodes: &[String], visits: String| {
        let nodes = nodes.iter().map(|node| format!("\"{node}\"")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "\n[[confounders.routine]]\nid = \"{id}\"\ndeclared = \"{declared}\"\n\
             [confounders.routine.visits]\nequipment = [{nodes}]\n{visits}"
        );
    };
    let all: Vec<String> = (0..gnbs).map(gnb).collect();
    let of = |maker: char| -> Vec<String> {
        (0..gnbs).filter(|number| make(*number).0 == maker).map(gnb).collect()
    };
    // A maker's update service: all of its equipment turns there, and nobody else.
    routine(
        "updates",
        "allowed",
        &of('A'),
        format!(
            "peers = [\"192.0.2.10\"]\nserver_name = \"updates.vendor-a.example\"\n\
             start_seconds = 7000\nevery_seconds = 80000\nvisits = {}\njitter = 0.9\n\
             sent_bytes = 1500\nreceived_bytes = 40000\nspread = 0.3",
            seconds / 40_000
        ),
    );
    // A licence check every half an hour, as regular as any implant.
    routine(
        "licences",
        "periodic",
        &of('B'),
        format!(
            "peers = [\"192.0.2.20\"]\nserver_name = \"licence.vendor-b.example\"\n\
             start_seconds = 900\nevery_seconds = 1800\nvisits = {}\njitter = 0.02\n\
             sent_bytes = 700\nreceived_bytes = 500",
            seconds / 1_800
        ),
    );
    // Backups every night.
    routine(
        "backups",
        "periodic",
        &all[..(all.len() / 6).max(1)],
        format!(
            "peers = [\"192.0.2.30\"]\nstart_seconds = 7300\nevery_seconds = {DAY_SECONDS}\n\
             visits = {days}\njitter = 0.005\nsent_bytes = 62000000\nreceived_bytes = 4000\n\
             spread = 0.05"
        ),
    );
    // Telemetry that has its busy hours, at times of chance.
    routine(
        "telemetry",
        "allowed",
        &of('C'),
        format!(
            "peers = [\"192.0.2.40\"]\nserver_name = \"telemetry.vendor-c.example\"\n\
             start_seconds = 1800\nevery_seconds = 2400\nvisits = {}\njitter = 2.0\n\
             quiet_hours = [1, 6]\nsent_bytes = 1200000\nreceived_bytes = 900\nspread = 0.8",
            seconds / 1_200
        ),
    );
    // The maker's engineers, announced.
    routine(
        "support",
        "in-windows",
        &all[..3.min(all.len())],
        format!(
            "peers = [\"192.0.2.50\"]\nport = 22\nincoming = true\nstart_seconds = 36000\n\
             every_seconds = {}\nvisits = {}\nsent_bytes = 31000000\nreceived_bytes = 60000\n\
             spread = 0.2",
            3 * DAY_SECONDS,
            days / 3
        ),
    );
    // Another TLS library, which comes with announced work on the last day, and stays.
    let upgrade = (days - 1) * DAY_SECONDS + 36_000;
    let visits = |start: u64, count: u64| {
        format!(
            "peers = [\"192.0.2.60\"]\nserver_name = \"portal.vendor.example\"\n\
             library = \"other\"\nstart_seconds = {start}\nevery_seconds = 3600\n\
             visits = {count}\nsent_bytes = 3000\nreceived_bytes = 9000\nspread = 0.5"
        )
    };
    let upgraded = &all[..3.min(all.len())];
    routine("upgrade", "in-windows", upgraded, visits(upgrade, 1));
    routine("upgraded", "allowed", upgraded, visits(upgrade + 7_200, 6) + "\njitter = 0.4");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use weir_pcaps::Scenario;

    use super::*;

    #[test]
    fn every_site_is_a_scenario() {
        let weeks = Site::Weeks { days: 2, gnbs: SUSPECTS };
        for site in
            [Site::Plain, Site::Evasions, Site::Sessions, Site::Proof, Site::Interception, weeks]
        {
            let text = site.text("quiet", 3);
            let scenario = Scenario::parse(&text, Path::new("site.toml"));
            assert!(scenario.is_ok(), "{site:?}: {scenario:?}");
            assert!(!text.contains("[[theft"));
        }
    }

    #[test]
    fn a_build_is_a_sixth_of_the_gnbs() {
        assert_eq!(of_build_with(0, SUSPECTS), ["gnb-1", "gnb-7", "gnb-13", "gnb-19"]);
    }
}
