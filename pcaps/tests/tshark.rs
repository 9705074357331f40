//! tshark as the judge of generated captures: nothing malformed, every checksum right, as many
//! messages as the labels say.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use weir_pcaps::Scenario;

/// Subscribers' datagrams on port 8805 are not PFCP; tshark believes in the port alone.
const NOT_PFCP: &str = "(udp.port == 8805 && (ip.addr == 10.60.0.0/16 || ipv6))";

fn tshark(capture: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("tshark")
        .args(["-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"])
        .args(["-o", "tcp.check_checksum:TRUE", "--disable-heuristic", "cltp_udp"])
        .arg("-r")
        .arg(capture)
        .args(arguments)
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: tshark not installed");
            None
        }
        Err(error) => panic!("tshark: {error}"),
    }
}

/// How often each value of a field occurs in the frames of a filter.
fn tally(capture: &Path, filter: &str, field: &str) -> Option<BTreeMap<u8, u64>> {
    let text = tshark(capture, &["-Y", filter, "-T", "fields", "-e", field])?;
    let mut counts = BTreeMap::new();
    for value in text.lines().flat_map(|line| line.split(',')).filter(|value| !value.is_empty()) {
        let value = match value.strip_prefix("0x") {
            Some(hex) => u8::from_str_radix(hex, 16).unwrap(),
            None => value.parse().unwrap(),
        };
        *counts.entry(value).or_default() += 1;
    }
    Some(counts)
}

fn judge(scenario: &Scenario) {
    let directory = tempfile::tempdir().unwrap();
    let report = scenario.write_to(directory.path(), |_| ()).unwrap();
    let capture = &report.captures[0];
    let malformed = format!("_ws.malformed && !{NOT_PFCP}");
    let Some(frames) = tshark(capture, &["-Y", &malformed]) else { return };
    assert_eq!(frames, "", "malformed");
    let bad = ["ip", "udp", "tcp", "icmp", "icmpv6", "vrrp"]
        .map(|protocol| format!("{protocol}.checksum.status == 0"))
        .join(" || ");
    assert_eq!(tshark(capture, &["-Y", &bad]).unwrap(), "", "checksums");
    assert_eq!(tally(capture, "gtp", "gtp.message").unwrap(), report.labels.messages.gtpu);
    let pfcp = "pfcp && ip.src == 10.0.2.0/24 && !gtp";
    assert_eq!(tally(capture, pfcp, "pfcp.msg_type").unwrap(), report.labels.messages.pfcp);
}

fn load(name: &str) -> Scenario {
    Scenario::load(format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_small_scenario_is_sound() {
    judge(&load("small"));
}

#[test]
fn the_benign_scenario_is_sound() {
    judge(&load("benign"));
}

#[test]
fn fragments_are_sound() {
    let path = format!("{}/scenarios/small.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let cut = "[subscribers]\ninner_mtu = 1500\nouter_mtu = 1500";
    judge(&text.replace("[subscribers]", cut).parse().unwrap());
}

#[test]
fn names_are_readable_where_a_thief_shows_them() {
    let directory = tempfile::tempdir().unwrap();
    let report = load("small").write_to(directory.path(), |_| ()).unwrap();
    let from = "ip.dst == 198.51.100.7 && tls.handshake.type == 1";
    let field = "tls.handshake.extensions_server_name";
    let arguments = ["-Y", from, "-T", "fields", "-e", field];
    let Some(sni) = tshark(&report.captures[0], &arguments) else { return };
    assert_eq!(sni.trim(), "telemetry.vendor-a-cloud.example");
    let answers = ["-Y", "dns.a == 198.51.100.7", "-T", "fields", "-e", "dns.qry.name"];
    assert_eq!(tshark(&report.captures[0], &answers).unwrap().trim(), sni.trim());
}
