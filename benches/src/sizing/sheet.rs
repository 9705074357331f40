//! The sizing sheet, in words for who buys the servers, from a run's figures.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::{MIXES, TUNNELS};

/// What a frame takes of a link beyond its own octets: FCS, preamble, start, gap (IEEE 802.3).
const OVERHEAD: f64 = 24.0;

/// The share of a core that a link at its full rate may take.
const LOAD: f64 = 0.8;

/// What a card's own driver takes for a packet, ns; taken as given, since none was measured.
const DRIVER: f64 = 15.0;

/// Links, Gbit/s.
const LINKS: [u32; 4] = [10, 25, 40, 100];

const MIB: f64 = 1_048_576.0;
const DAY: f64 = 86_400.0;

/// The sheet of these figures; what was not measured is called so.
pub(super) fn of(figures: &Map<String, Value>) -> String {
    let sheet = Sheet { figures };
    let mut text = String::from("# Sizing\n\n");
    let machine = figures.get("machine");
    let about = |key: &str| machine.and_then(|machine| machine[key].as_str()).unwrap_or("unknown");
    let _ = writeln!(
        text,
        "Made by `make bench` (this part alone: `weir-bench sizing`) on {}. One core, everything on, \
         frames in memory.\n",
        about("cpu")
    );
    text += &sheet.packets();
    text += &sheet.cores();
    text += &sheet.memory();
    text += &sheet.events();
    text += &sheet.latency();
    text
}

struct Sheet<'a> {
    figures: &'a Map<String, Value>,
}

impl Sheet<'_> {
    fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name)?.as_f64()
    }

    fn say(&self, name: &str, how: impl Fn(f64) -> String) -> String {
        self.figure(name).map_or("not measured".into(), how)
    }

    fn packets(&self) -> String {
        let mut text = String::from("## Packets a second on one core\n\n| frames | octets |");
        for (_, _, count) in TUNNELS {
            let _ = write!(text, " {count} tunnels |");
        }
        text += "\n|---|---:|---:|---:|---:|---:|\n";
        for mix in &MIXES {
            let name = format!("{}_frame_octets", mix.name);
            let octets = self.figure(&name).unwrap_or(f64::NAN);
            let length = self.say(&name, |octets| format!("{octets:.0}"));
            let _ = write!(text, "| {} | {length} |", mix.title);
            for (_, name, _) in TUNNELS {
                let cell = self.say(&format!("sizing_{}_{name}_ns", mix.name), |ns| {
                    format!("{:.1} Mpps, {:.0} Gbit/s", 1e3 / ns, 8.0 * octets / ns)
                });
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
        text + "\nEvery packet's tunnel is drawn from all, which no cache outlives: real users come in \
                trains and cost less.\n\n"
    }

    fn cores(&self) -> String {
        let mut text =
            String::from("## Cores for a link at its full rate, one direction\n\n| link |");
        for mix in &MIXES {
            let _ = write!(text, " {} |", mix.title);
        }
        text += "\n|---|---:|---:|---:|\n";
        for link in LINKS {
            let _ = write!(text, "| {link} GbE |");
            for mix in &MIXES {
                let octets = self.figure(&format!("{}_frame_octets", mix.name)).unwrap_or(f64::NAN);
                let cell = self.say(&format!("sizing_{}_1m_ns", mix.name), |ns| {
                    let packets = f64::from(link) * 1e9 / 8.0 / (octets + OVERHEAD);
                    let cores = packets * (ns + DRIVER) / 1e9 / LOAD;
                    format!("{:.0} ({:.1} Mpps)", cores.ceil(), packets / 1e6)
                });
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "\nAmong a million tunnels, at {:.0} % of a core, with {DRIVER:.0} ns a packet for the card's \
             driver: that is an assumption, `dpdk-testpmd` in mode rxonly on your card tells it. One more \
             core judges, writes and answers. A tap sees both directions: twice the table where both are \
             full.\n",
            LOAD * 100.0
        );
        text
    }

    fn memory(&self) -> String {
        let mib = |octets: f64| format!("{:.0} MiB", octets * 1e6 / MIB);
        let table = self.say("tunnel_table_bytes_per_tunnel", mib);
        let rows = self.say("usage_bytes_per_tunnel", mib);
        let sessions = self.say("session_bytes_with_tunnels", mib);
        let flow = self.say("flow_bytes", |octets| format!("{octets:.0} bytes"));
        format!(
            "## Memory\n\n| what | takes |\n|---|---:|\n\
             | a million tunnels, the table | {table} |\n\
             | a million tunnels, counted by one worker | {rows} |\n\
             | a million sessions of two tunnels, with their tunnels | {sessions} |\n\
             | a flow of equipment; at most 262,144 are kept | {flow} |\n\n\
             `[sensor] tunnels` sets how many there is room for. A live sensor takes the tables' memory when it \
             starts.\n\n"
        )
    }

    fn events(&self) -> String {
        let rate = self.say("events_per_second", |rate| format!("{rate:.0} events a second"));
        let mut text = format!(
            "## Events and disk\n\nFrom frames to lines of JSON, sensor and control together: {rate}.\n\n\
             | event | octets | one a second, a day |\n|---|---:|---:|\n"
        );
        for kind in ["session", "flow", "alert"] {
            let name = format!("event_octets_{kind}");
            let octets = self.say(&name, |octets| format!("{octets:.0}"));
            let day = self.say(&name, |octets| format!("{:.0} MiB", octets * DAY / MIB));
            let _ = writeln!(text, "| {kind} | {octets} | {day} |");
        }
        text + "\nA session has two events: when it is agreed and when it has ended.\n"
    }

    fn latency(&self) -> String {
        let within = self.say("sensor_alert_latency_ms_p99_at_most", |ms| format!("{ms:.1} ms"));
        let target = self.say("sensor_alert_latency_ms_p99_target", |ms| format!("{ms:.0} ms"));
        let rate = self.say("sensor_load_mfps", |rate| format!("{rate:.2} Mfps"));
        format!(
            "\n## Alerts\n\nFrom the frame that makes it to an alert's record, 99 of 100, the whole sensor at \
             80 % of the rate up to which it lost nothing on a veth pair: at most {within} (target: {target}), at \
             {rate}.\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sheet_says_what_the_figures_mean_and_what_is_absent() {
        let Value::Object(figures) = json!({
            "machine": { "cpu": "a processor" },
            "imix_frame_octets": 390.0,
            "sizing_imix_1k_ns": 30.0,
            "sizing_imix_1m_ns": 50.0,
            "tunnel_table_bytes_per_tunnel": 81.25,
            "event_octets_alert": 1890.0,
            "sensor_alert_latency_ms_p99_at_most": 33.5544,
        }) else {
            unreachable!("it was written as an object")
        };
        let sheet = of(&figures);
        assert!(sheet.contains("on a processor."), "{sheet}");
        assert!(sheet.contains("| IMIX | 390 | 33.3 Mpps, 104 Gbit/s | not measured |"), "{sheet}");
        // 100 Gbit/s of 414 octets: 30.2 million, each 65 ns, on cores of 80 %.
        assert!(
            sheet.contains("| 100 GbE | not measured | 3 (30.2 Mpps) | not measured |"),
            "{sheet}"
        );
        assert!(sheet.contains("the table | 77 MiB |"), "{sheet}");
        assert!(sheet.contains("| alert | 1890 | 156 MiB |"), "{sheet}");
        assert!(sheet.contains("| flow | not measured | not measured |"), "{sheet}");
        assert!(sheet.contains("at most 33.6 ms (target: not measured)"), "{sheet}");
    }
}
