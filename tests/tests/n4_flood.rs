//! A flood of PFCP from addresses that nobody declared, live: sensor and control as processes, and a
//! DPDK device that plays frames as fast as it is polled. Declared nodes set sessions up amid the
//! flood and lose no N4; what finds no room is counted and told of. A device that never comes to its
//! end is overload, so users' flows are left out meanwhile, each packet counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use etherparse::{PacketBuilder, PacketBuilderStep, UdpHeader};
use nix::sys::signal::Signal;
use serde_json::Value;
use weir_pcaps::n4_load::{self, Tunnels};
use weir_tests::*;

const SEED: u64 = 20_260_105;
/// Sessions of the declared nodes: two requests, two answers and two tunnels each.
const SESSIONS: u64 = 512;
/// G-PDUs each way of a session.
const ROUNDS: u64 = 20;
const G_PDUS: u64 = 2 * ROUNDS * SESSIONS;
/// Datagrams of the flood, and the addresses that take turns in sending them.
const STRANGE: u32 = 200_000;
const STRANGERS: u32 = 1 << 16;
/// Requests in each of them: reading them takes the judge far longer than taking them in takes a
/// worker, so that the flood overruns it on any machine.
const BUNDLE: u32 = 20;
/// What a flood may add to the sensor's memory, which is tables of a fixed size that it fills: 64
/// bytes a request, fewer than a trace of each would take.
const GROWTH_KIB: u64 = (STRANGE as u64 * BUNDLE as u64 * 64) >> 10;

const DROPPED: &str = "weir_n4_dropped_datagrams_total{reason=\"undeclared_peer\"}";
const DECLARED_DROPPED: &str = "weir_n4_dropped_datagrams_total{reason=\"declared_peer\"}";
const NO_ROOM: &str = "weir_table_evictions_total{table=\"pfcp_transactions\"}";
const UNANSWERED: &str = "weir_n4_transactions_total{kind=\"unanswered\"}";
const WHOLE: &str = "weir_n4_transactions_total{kind=\"whole\"}";
/// What OPS-BLIND says of a number.
const FOUND_NO_ROOM: &str = " datagrams of N4 found no room on the way to the session machine.";

const PFCP: u16 = 8805;
const GTPU: u16 = 2152;
const UPF_N4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 0);
const FIRST_STRANGER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

const INVENTORY: &str = r#"
[[equipment]]
id = "smf-1"
vendor = "Vendor A"
model = "SMF"
build = "1"
roles = ["smf"]
addresses = ["10.0.3.0/28"]
[[equipment]]
id = "upf-1"
vendor = "Vendor B"
model = "UPF"
build = "1"
roles = ["upf"]
addresses = ["10.0.1.0", "10.0.2.0"]
[[equipment]]
id = "gnb-1"
vendor = "Vendor C"
model = "gNB"
build = "1"
roles = ["gnb"]
addresses = ["10.0.128.0/22"]
"#;

const POLICY: &str = r#"
ue_pools = ["11.0.0.0/8", "2001:db8::/48"]
infrastructure = ["10.0.0.0/16"]
[[allow]]
from = { role = "smf" }
to = { role = "upf" }
services = ["pfcp"]
[[allow]]
from = { role = "gnb" }
to = { role = "upf" }
services = ["gtpu"]
"#;

fn ethernet() -> PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

fn written(step: PacketBuilderStep<UdpHeader>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(step.size(payload.len()));
    step.write(&mut bytes, payload).unwrap();
    bytes
}

fn datagram(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let step = ethernet().ipv4(from.0.octets(), to.0.octets(), 64).udp(from.1, to.1);
    written(step, payload)
}

/// A user's packet without the Ethernet header that the builder puts before it.
fn user_packet(from: IpAddr, to: IpAddr) -> Vec<u8> {
    let step = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet().ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet().ipv6(from.octets(), to.octets(), 64),
        _ => unreachable!("both ends have one family"),
    };
    written(step.udp(40_000, 443), &[0x40; 32]).split_off(14)
}

fn g_pdu(from: Ipv4Addr, (teid, to): (u32, Ipv4Addr), packet: &[u8]) -> Vec<u8> {
    let length = (packet.len() as u16).to_be_bytes();
    let message = [&[0x30, 255][..], &length, &teid.to_be_bytes(), packet].concat();
    datagram((from, GTPU), (to, GTPU), &message)
}

/// One packet of a session each way.
fn both_ways(Tunnels { uplink, downlink, ue }: &Tunnels) -> [Vec<u8>; 2] {
    let server: IpAddr = match ue {
        IpAddr::V4(_) => Ipv4Addr::new(203, 0, 113, 9).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1).into(),
    };
    [
        g_pdu(downlink.1, *uplink, &user_packet(*ue, server)),
        g_pdu(uplink.1, *downlink, &user_packet(server, *ue)),
    ]
}

/// What the declared nodes send: N4, and when every session is set up, its packets.
fn declared() -> [Vec<Vec<u8>>; 2] {
    let four = |(address, port)| match address {
        IpAddr::V4(four) => (four, port),
        IpAddr::V6(_) => unreachable!("the load speaks IPv4"),
    };
    let n4 = n4_load::established(SEED, SESSIONS, 1)
        .map(|load| datagram(four(load.source), four(load.destination), &load.payload));
    let users: Vec<Vec<u8>> =
        (0..SESSIONS).flat_map(|n| both_ways(&n4_load::tunnels(SEED, n, 1))).collect();
    [n4.collect(), (0..ROUNDS).flat_map(|_| users.iter().cloned()).collect()]
}

/// A PFCP request (TS 29.244 §7.2.2), of a node or of a session; `more` follow in the datagram.
fn request(number: u32, from: Ipv4Addr, more: bool) -> Vec<u8> {
    let node_id = [&[0, 60, 0, 5, 0][..], &from.octets()].concat();
    let recovery = [0, 96, 0, 4, 0xee, 0, 0, 0].to_vec();
    let seid = u64::from(number).to_be_bytes();
    let f_seid = [&[0, 57, 0, 13, 2][..], &seid, &from.octets()].concat();
    // Orders about sessions name those of the declared nodes.
    let victim = ((1 << 40) + u64::from(number) % SESSIONS + 1).to_be_bytes().to_vec();
    let (kind, session, elements) = match number % 5 {
        0 => (1, vec![], recovery),
        1 => (5, vec![], [node_id, recovery].concat()),
        2 => (50, vec![0; 8], [node_id, f_seid].concat()),
        3 => (52, victim, f_seid),
        _ => (54, victim, vec![]),
    };
    let flags = 0x20 | u8::from(more) << 2 | u8::from(!session.is_empty());
    let [_, sequence @ ..] = number.to_be_bytes();
    let length = ((session.len() + 4 + elements.len()) as u16).to_be_bytes();
    [&[flags, kind][..], &length, &session, &sequence, &[0], &elements].concat()
}

/// A stranger's datagram to the UPF. No number comes twice.
fn strange(number: u32) -> Vec<u8> {
    let from = Ipv4Addr::from_bits(FIRST_STRANGER.to_bits() + number % STRANGERS);
    let requests = (0..BUNDLE).flat_map(|n| request(number * BUNDLE + n, from, n + 1 < BUNDLE));
    datagram((from, PFCP), (UPF_N4, PFCP), &requests.collect::<Vec<u8>>())
}

/// Writes a capture of so many strangers' datagrams, with the declared nodes' N4 evenly among a half
/// of them and the users' packets among the next eighth; gives the number of frames.
fn write(path: &Path, strange_ones: u32) -> u64 {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut put = |words: &[u32], frame: &[u8]| {
        words.iter().for_each(|word| file.write_all(&word.to_le_bytes()).unwrap());
        file.write_all(frame).unwrap();
    };
    put(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1], &[]);
    // A live device's frames are as old as their arrival: these times are looked at by nobody.
    let mut frame = |frame: &[u8]| put(&[0, 0, frame.len() as u32, frame.len() as u32], frame);
    let mut flood = (0..strange_ones).map(strange);
    let mut frames = u64::from(strange_ones);
    for (theirs, eighths) in declared().into_iter().zip([4, 1]) {
        frames += theirs.len() as u64;
        let each = strange_ones as usize / 8 * eighths / theirs.len();
        for one in theirs {
            frame(&one);
            flood.by_ref().take(each).for_each(|strange| frame(&strange));
        }
    }
    flood.for_each(|strange| frame(&strange));
    frames
}

/// A site whose sensor starts more than once.
struct Site {
    directory: tempfile::TempDir,
    address: String,
}

impl Site {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts a program on a capture. net_pcap alone is taken for a replay, which waits for its
    /// judge; behind net_failsafe it is a device like a card, which waits for nobody.
    fn start(&self, name: &str, capture: &str) -> Running {
        let config = self.file("weir.toml");
        let text = format!(
            "[site]\nname = \"lab\"\n[[tap]]\nname = \"core\"\nlink = \"mixed\"\n\
             source = \"vdev:net_failsafe0,dev(net_pcap0,rx_pcap={})\"\n[sensor]\nworkers = [0]\n\
             tunnels = 65536\n[control]\nlisten = \"{}\"\nstate_dir = \"state\"\n\
             [paths]\ninventory = \"inventory.toml\"\npolicy = \"policy.toml\"\n",
            text(&self.file(capture)),
            self.address,
        );
        std::fs::write(&config, text).unwrap();
        let said = File::create(self.file(name)).unwrap();
        let mut command = Command::new(program(name));
        command.arg("--config").arg(&config);
        Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said))
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    fn metrics(&self) -> Option<String> {
        get(&self.address, "/metrics").map(|(_, body)| body)
    }

    /// Ends a sensor's input, which gives up what waits; gives its last counts, which stay.
    fn stopped(&self, sensor: &mut Running) -> String {
        sensor.signal(Signal::SIGTERM);
        assert_eq!(sensor.end(), Some(0), "{}", self.said("weir-sensor"));
        await_that("control has let go of the sensor", || {
            self.metrics().filter(|body| metric(body, "weir_sensor_up") == Some(0.0))
        })
    }
}

/// The sum of a metric's series.
fn sum(body: &str, name: &str) -> u64 {
    let values = body.lines().filter_map(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        rest.rsplit(' ').next()?.parse::<f64>().ok()
    });
    values.sum::<f64>() as u64
}

fn count(body: &str, series: &str) -> u64 {
    metric(body, series).unwrap_or_else(|| panic!("{series} is absent")) as u64
}

/// Users' packets that were left out in overload.
fn shed(body: &str) -> u64 {
    let series = body.lines().filter(|line| {
        line.starts_with("weir_not_inspected_packets_total") && line.contains("reason=\"shed\"")
    });
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// What is taken in is told of: frames, PFCP messages and G-PDUs, at any end of the input.
fn assert_accounts(body: &str) {
    let inspected = sum(body, "weir_inspected_packets_total");
    let not_inspected = sum(body, "weir_not_inspected_packets_total");
    assert_eq!(sum(body, "weir_received_packets_total"), inspected + not_inspected);
    // A datagram that is dropped is a stranger's whole bundle. A request that is read is answered,
    // given up when its time has come, or finds no room beside others that wait.
    assert_eq!(count(body, DECLARED_DROPPED), 0);
    let waited = count(body, UNANSWERED) + 2 * count(body, WHOLE);
    let read_or_dropped = count(body, DROPPED) * u64::from(BUNDLE) + count(body, NO_ROOM) + waited;
    assert_eq!(sum(body, "weir_pfcp_messages_total"), read_or_dropped);
    let attributed = sum(body, "weir_gpdu_attribution_total");
    assert_eq!(count(body, "weir_gtpu_packets_total{message=\"g_pdu\"}"), attributed);
}

/// The most memory that a process ever had resident.
fn peak_kib(process: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A site that has seen the declared nodes alone, with its control. Its sensor has kept the policy
/// for the next one, which is flooded from its first poll; the number is the memory that it took.
/// None if this machine has no such device.
fn calm() -> Option<(Site, Running, u64)> {
    let site = Site { directory: tempfile::tempdir().unwrap(), address: free_address() };
    std::fs::write(site.file("inventory.toml"), INVENTORY).unwrap();
    std::fs::write(site.file("policy.toml"), POLICY).unwrap();
    let frames = write(&site.file("calm.pcap"), 0);
    let control = site.start("weir-control", "calm.pcap");
    let mut sensor = site.start("weir-sensor", "calm.pcap");
    let is_there = await_that("the calm traffic is seen, and the policy there", || {
        if sensor.0.try_wait().unwrap().is_some() {
            return Some(false);
        }
        let body = site.metrics()?;
        let is_all = sum(&body, "weir_received_packets_total") == frames
            && sum(&body, "weir_gpdu_attribution_total") + shed(&body) == G_PDUS
            && metric(&body, "weir_policy_info{version=\"1\"}") == Some(1.0);
        is_all.then_some(true)
    });
    if !is_there {
        let why = site.said("weir-sensor");
        assert!(why.contains("librte-net-") || why.contains("has no DPDK"), "{why}");
        eprintln!("skipped: {why}");
        return None;
    }
    let peak = peak_kib(&sensor);
    let body = site.stopped(&mut sensor);
    assert_accounts(&body);
    Some((site, control, peak))
}

#[test]
fn a_flood_of_strangers_costs_declared_nodes_nothing_and_is_told_of() {
    let Some((site, mut control, before)) = calm() else { return };
    let frames = write(&site.file("flood.pcap"), STRANGE);
    let told_before = events(&site.file("state/eve.json")).len();
    let began = Instant::now();
    let mut sensor = site.start("weir-sensor", "flood.pcap");
    let body = await_that("the flood is received, and every user's packet attributed", || {
        site.metrics().filter(|body| {
            sum(body, "weir_received_packets_total") == frames
                && sum(body, "weir_gpdu_attribution_total") + shed(body) == G_PDUS
                && metric(body, "weir_sessions_active") == Some(SESSIONS as f64)
        })
    });
    let took = began.elapsed();
    // What strangers ask in vain is no gap in the sight of N4.
    assert_eq!(metric(&body, "weir_n4_coverage_ratio"), Some(1.0));
    let growth = peak_kib(&sensor).saturating_sub(before);
    assert!(growth <= GROWTH_KIB, "{growth} KiB on {before} KiB");

    let body = site.stopped(&mut sensor);
    assert_accounts(&body);
    for (series, expected) in [
        ("weir_sessions", SESSIONS),
        ("weir_sessions_active", SESSIONS),
        ("weir_sessions_established_total", SESSIONS),
        ("weir_tunnels", 2 * SESSIONS),
        (WHOLE, 2 * SESSIONS),
        ("weir_gpdu_attribution_total{kind=\"unknown\"}", 0),
        ("weir_gpdu_attribution_total{kind=\"ended\"}", 0),
        ("weir_table_evictions_total{table=\"sessions\"}", 0),
        ("weir_table_evictions_total{table=\"tunnels\"}", 0),
        ("weir_table_evictions_total{table=\"parked_tunnels\"}", 0),
    ] {
        assert_eq!(count(&body, series), expected, "{series}");
    }
    let requests = u64::from(STRANGE * BUNDLE);
    assert_eq!(sum(&body, "weir_pfcp_messages_total"), requests + 4 * SESSIONS);
    let dropped = count(&body, DROPPED);
    assert!(dropped > 0 && count(&body, NO_ROOM) > 0, "the flood was none: {dropped}");

    control.signal(Signal::SIGTERM);
    assert_eq!(control.end(), Some(0));
    let events = events(&site.file("state/eve.json")).split_off(told_before);
    // Each session is told of when it is agreed and at the end, with all its packets.
    let told = of_type(&events, "session");
    assert_eq!(told.len() as u64, 2 * SESSIONS);
    let sessions: BTreeMap<&str, &Value> =
        told.iter().map(|it| (it["weir"]["up_seid"].as_str().unwrap(), &it["weir"])).collect();
    assert_eq!(sessions.len() as u64, SESSIONS);
    let mut inspected = 0;
    for (seid, told) in sessions {
        for way in ["ul", "dl"] {
            let packets = told["packets"][way].as_u64().unwrap();
            assert!(packets <= ROUNDS, "{seid}: {told}");
            inspected += packets;
        }
    }
    assert_eq!(inspected + shed(&body), G_PDUS);
    let alerts: Vec<&Value> =
        of_type(&events, "alert").into_iter().map(|event| &event["weir"]).collect();
    let last = alerts.iter().filter(|told| told["final"] == true);
    let of_blind = last.filter(|told| told["detection"] == "OPS-BLIND");
    let told = of_blind.filter_map(|told| told["observed"].as_str()?.strip_suffix(FOUND_NO_ROOM));
    // There are two where it struck midnight.
    assert_eq!(told.map(|number| number.parse::<u64>().unwrap()).sum::<u64>(), dropped);
    let accused = |id: &str| {
        let of = |told: &&Value| told["detection"].as_str().is_some_and(|it| it.starts_with(id));
        alerts.iter().copied().find(of)
    };
    assert_eq!(accused("PFCP-PEER").unwrap()["equipment"]["id"], "upf-1");
    assert_eq!(accused("GTP-"), None, "nobody is accused of what users do");
    eprintln!(
        "{requests} requests within {took:?}; {dropped} of {STRANGE} datagrams dropped; \
         {growth} KiB on {before} KiB"
    );
}

#[test]
fn a_sensor_that_is_stopped_amid_a_flood_has_told_of_all_that_it_took_in() {
    let Some((site, _control, _)) = calm() else { return };
    let frames = write(&site.file("flood.pcap"), STRANGE);
    // How far the judge is behind differs from time to time.
    for _ in 0..3 {
        let mut sensor = site.start("weir-sensor", "flood.pcap");
        await_that("most of the flood is received", || {
            // The counts of the sensor before stay until this one is there.
            let body = site.metrics().filter(|it| metric(it, "weir_sensor_up") == Some(1.0))?;
            (sum(&body, "weir_received_packets_total") > frames / 8 * 5).then_some(())
        });
        assert_accounts(&site.stopped(&mut sensor));
    }
}
