//! Events on their way into the tools that a SOC has: the real collectors of Debian take what the real
//! processes send.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use weir_tests::*;

/// Whether a program is there; if not, says that the test is skipped.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// A site whose tap is the small capture, and what it left behind.
struct Site {
    directory: tempfile::TempDir,
    address: String,
}

impl Site {
    /// With these sinks.
    fn new(sinks: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        small_site(directory.path(), &address, sinks);
        Self { directory, address }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self, what: &str, more: &[&str]) -> Running {
        let config = self.path("weir.toml");
        let mut command = weir(&[what, "--config", text(&config)]);
        command.args(more).stdout(Stdio::null()).stderr(Stdio::null());
        Running::start(&mut command)
    }

    fn events(&self) -> Vec<Value> {
        events(&self.path("state/eve.json"))
    }

    /// Plays the capture to its end; the metrics before control ended, and how long that took.
    fn play(&self) -> (String, Duration) {
        let mut control = self.start("control", &[]);
        let mut sensor = self.start("sensor", &["--speed", "max"]);
        await_that("the input ends", || {
            self.events().iter().any(|event| event["event_type"] == "stats").then_some(())
        });
        let (_, metrics) = await_that("metrics", || get(&self.address, "/metrics"));
        let ending = Instant::now();
        control.signal(Signal::SIGTERM);
        assert_eq!(control.end(), Some(0));
        let ended = ending.elapsed();
        sensor.signal(Signal::SIGTERM);
        sensor.end();
        (metrics, ended)
    }
}

const ALL: &str =
    "events = [\"alert\", \"flow\", \"session\", \"stats\", \"health\", \"policy\"]\n";

/// A certificate authority, and a certificate of 127.0.0.1 with its key, as files.
fn certificates(directory: &Path) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    for (name, content) in [
        ("ca.pem", authority.pem()),
        ("siem.pem", certificate.pem()),
        ("siem.key", key.serialize_pem()),
    ] {
        fs::write(directory.join(name), content).unwrap();
    }
}

/// rsyslogd with an input of each transport, each with a file of what came.
struct Collector {
    directory: tempfile::TempDir,
    ports: BTreeMap<&'static str, u16>,
    _process: Running,
}

const INPUTS: [&str; 4] = ["udp", "tcp", "tls", "cef"];

impl Collector {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| text(&directory.path().join(name)).to_owned();
        certificates(directory.path());
        let port = || free_address().rsplit_once(':').unwrap().1.parse().unwrap();
        let ports: BTreeMap<_, u16> = INPUTS.into_iter().map(|name| (name, port())).collect();
        let mut config = format!(
            "global(workDirectory=\"{}\" maxMessageSize=\"64k\" defaultNetstreamDriverCAFile=\"{}\" \
             defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\")\n\
             module(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
             template(name=\"fields\" type=\"string\" string=\"%pri%\\t%timestamp:::date-rfc3339%\\t\
             %app-name%\\t%msgid%\\t%structured-data%\\t%msg%\\n\")\n",
            text(directory.path()),
            place("ca.pem"),
            place("siem.pem"),
            place("siem.key"),
        );
        for (name, port) in &ports {
            let input = if *name == "udp" { "imudp" } else { "imtcp" };
            let driver = match *name {
                "udp" => "rcvbufSize=\"1m\"",
                "tls" => {
                    "streamDriver.name=\"gtls\" streamDriver.mode=\"1\" \
                     streamDriver.authMode=\"anon\""
                }
                _ => "",
            };
            config += &format!(
                "ruleset(name=\"{name}\") {{ action(type=\"omfile\" file=\"{}\" template=\"fields\") }}\n\
                 input(type=\"{input}\" address=\"127.0.0.1\" port=\"{port}\" ruleset=\"{name}\" {driver})\n",
                place(name)
            );
        }
        fs::write(place("rsyslog.conf"), config).unwrap();
        // Under its own path a profile of AppArmor may keep it from the files of a test.
        let program = directory.path().join("rsyslogd");
        fs::copy("/usr/sbin/rsyslogd", &program).unwrap();
        let mut command = Command::new(program);
        command.args(["-n", "-f", &place("rsyslog.conf"), "-i", &place("pid")]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = Running::start(&mut command);
        for name in ["tcp", "tls", "cef"] {
            let address = ("127.0.0.1", ports[name]);
            await_that("rsyslogd listens", || TcpStream::connect(address).ok());
        }
        Self { directory, ports, _process: process }
    }

    /// What came, once so many messages did: their fields.
    fn messages(&self, name: &str, expected: usize) -> Vec<Vec<String>> {
        let read = || {
            let text = fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
            let lines = text.lines().map(|line| line.splitn(6, '\t').map(str::to_owned).collect());
            lines.collect::<Vec<Vec<String>>>()
        };
        let began = Instant::now();
        while read().len() < expected && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Whatever came twice would come now.
        std::thread::sleep(Duration::from_millis(200));
        read()
    }
}

#[test]
fn rsyslog_takes_every_event_once_over_udp_tcp_and_tls() {
    if !is_there("rsyslogd") {
        return;
    }
    let mut libraries = fs::read_dir("/usr/lib").unwrap().flatten();
    let driver = |folder: fs::DirEntry| folder.path().join("rsyslog/lmnsd_gtls.so").exists();
    if !libraries.any(driver) {
        return eprintln!("skipped: rsyslog-gnutls is not installed");
    }
    let collector = Collector::start();
    let address = |name: &str| format!("address = \"127.0.0.1:{}\"\n", collector.ports[name]);
    let ca = collector.directory.path().join("ca.pem");
    let mut sinks = String::new();
    for transport in ["udp", "tcp"] {
        sinks +=
            &format!("[[control.syslog]]\nname = \"{transport}\"\ntransport = \"{transport}\"\n");
        sinks += &(address(transport) + ALL);
    }
    sinks += &format!("[[control.syslog]]\ntransport = \"tls\"\nca = \"{}\"\n", text(&ca));
    sinks += &(address("tls") + ALL);
    sinks += "[[control.syslog]]\ntransport = \"tcp\"\nformat = \"cef\"\n";
    sinks += &address("cef");
    let site = Site::new(&sinks);
    let (metrics, _) = site.play();
    let written = fs::read_to_string(site.path("state/eve.json")).unwrap();
    let written: Vec<&str> = written.lines().collect();
    assert!(written.len() > 20);
    for transport in ["udp", "tcp", "tls"] {
        let came = collector.messages(transport, written.len());
        let said: Vec<&str> = came.iter().map(|fields| fields[5].trim_start()).collect();
        assert!(said == written, "{transport}: {} of {}", said.len(), written.len());
        for (fields, line) in came.iter().zip(&written) {
            let event: Value = serde_json::from_str(line).unwrap();
            let time = event["timestamp"].as_str().unwrap();
            assert_eq!(fields[1][..26], time[..26], "{fields:?}");
            assert_eq!(fields[2..4], ["weir", event["event_type"].as_str().unwrap()]);
            assert!(fields[4].starts_with("[weir@32473 "), "{fields:?}");
            if let Some(detection) = event["weir"]["detection"].as_str() {
                let severity = event["alert"]["severity"].as_u64().unwrap();
                // Critical to medium are one apart; low and info share Suricata's 4.
                let severity = severity + 1 + u64::from(event["weir"]["severity"] == "info");
                assert_eq!(fields[0], (16 * 8 + severity).to_string());
                assert!(fields[4].contains(&format!("detection=\"{detection}\"")));
            }
        }
    }
    let wanted = ["alert", "health", "policy"];
    let events = site.events();
    let wanted =
        events.iter().filter(|event| wanted.iter().any(|kind| event["event_type"] == *kind));
    let wanted: Vec<_> = wanted.collect();
    let came = collector.messages("cef", wanted.len());
    assert_eq!(came.len(), wanted.len());
    for (fields, event) in came.iter().zip(wanted) {
        let cef: Vec<&str> = fields[5].trim_start().splitn(8, '|').collect();
        assert_eq!((cef.len(), cef[0], cef[1]), (8, "CEF:0", "Weir"), "{fields:?}");
        if event["event_type"] == "alert" {
            assert_eq!(cef[4], event["alert"]["signature_id"].to_string());
            let equals = format!("externalId={}", event["weir"]["dedup"].as_str().unwrap());
            assert!(cef[7].contains(&equals.replace('=', "\\=").replacen("\\=", "=", 1)));
        }
    }
    for name in ["udp", "tcp", "syslog-3", "syslog-4"] {
        let lost = format!("weir_sink_lost_total{{reason=\"full\",sink=\"{name}\"}}");
        assert_eq!(metric(&metrics, &lost), Some(0.0), "{metrics}");
        let up = format!("weir_sink_up{{sink=\"{name}\"}}");
        assert_eq!(metric(&metrics, &up), Some(1.0));
    }
}

#[test]
fn collectors_that_say_nothing_hold_up_neither_events_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let ca = directory.path().join("ca.pem");
    let calm = Site::new("");
    calm.play();
    // One takes connections and never reads; one never says hello in TLS.
    let site = Site::new(&format!(
        "[[control.syslog]]\naddress = \"127.0.0.1:{port}\"\ntransport = \"tcp\"\n{ALL}\
         [[control.syslog]]\naddress = \"127.0.0.1:{port}\"\ntransport = \"tls\"\nca = \"{}\"\n{ALL}",
        text(&ca)
    ));
    let (metrics, ended) = site.play();
    let lasting = |site: &Site| -> Vec<Value> {
        site.events().into_iter().filter(|event| event["event_type"] != "health").collect()
    };
    let (one, other) = (lasting(&calm), lasting(&site));
    assert!(one == other, "{} and {}", one.len(), other.len());
    assert!(ended < Duration::from_secs(6), "{ended:?}");
    let waiting = metric(&metrics, "weir_sink_waiting_events{sink=\"syslog-2\"}").unwrap();
    assert!(waiting > 20.0, "{waiting}");
}

/// Takes datagrams, keeps them, and hands them on.
struct Tee {
    port: u16,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
}

impl Tee {
    fn towards(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let tee = Self {
            port: socket.local_addr().unwrap().port(),
            kept: Arc::default(),
            stop: Arc::default(),
        };
        let (kept, stop) = (Arc::clone(&tee.kept), Arc::clone(&tee.stop));
        std::thread::spawn(move || {
            let mut datagram = [0; 65_535];
            while !stop.load(Ordering::Relaxed) {
                if let Ok(length) = socket.recv(&mut datagram) {
                    let _ = socket.send_to(&datagram[..length], ("127.0.0.1", port));
                    kept.lock().unwrap().push(datagram[..length].to_vec());
                }
            }
        });
        tee
    }

    /// What came, as a capture of UDP to the port of IPFIX.
    fn write(&self, path: &Path) {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.extend(word.to_le_bytes());
        }
        for datagram in self.kept.lock().unwrap().iter() {
            let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
                .ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64)
                .udp(40_000, 4739);
            let mut frame = Vec::new();
            builder.write(&mut frame, datagram).unwrap();
            let length = frame.len() as u32;
            for word in [1_700_000_000, 0, length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(frame);
        }
        fs::write(path, file).unwrap();
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn number(event: &Value, key: &str) -> u64 {
    event["flow"][key].as_u64().unwrap()
}

#[test]
fn nfdump_and_tshark_read_the_flows_and_the_tunnels() {
    if !is_there("nfcapd") || !is_there("tshark") {
        return;
    }
    let flows = tempfile::tempdir().unwrap();
    let port: u16 = free_address().rsplit_once(':').unwrap().1.parse().unwrap();
    let mut command = Command::new("nfcapd");
    command.args(["-p", &port.to_string(), "-b", "127.0.0.1", "-w", text(flows.path())]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut nfcapd = Running::start(&mut command);
    // It says nothing when it listens; a port that is taken is one.
    await_that("nfcapd listens", || UdpSocket::bind(("127.0.0.1", port)).is_err().then_some(()));
    let tee = Tee::towards(port);
    let site = Site::new(&format!(
        "[[control.ipfix]]\naddress = \"127.0.0.1:{}\"\ntransport = \"udp\"\n",
        tee.port
    ));
    site.play();
    std::thread::sleep(Duration::from_millis(500));
    nfcapd.signal(Signal::SIGTERM);
    nfcapd.end();

    let events = site.events();
    let told = of_type(&events, "flow");
    assert!(told.len() > 3);
    let sum = |keys: [&str; 2]| -> u64 {
        told.iter().map(|event| number(event, keys[0]) + number(event, keys[1])).sum()
    };
    let mut command = Command::new("nfdump");
    command.args(["-R", text(flows.path()), "-I"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let shown = said(&output);
    let read = |key: &str| -> u64 {
        let line = shown.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("{key} in {shown}")).trim().parse().unwrap()
    };
    assert_eq!(read("Bytes:"), sum(["bytes_toserver", "bytes_toclient"]), "{shown}");
    assert_eq!(read("Packets:"), sum(["pkts_toserver", "pkts_toclient"]), "{shown}");
    let tunnels: Vec<_> = of_type(&events, "alert")
        .into_iter()
        .filter(|event| event["weir"]["gtpu"].is_object() && event["weir"]["update"] == 0)
        .filter(|event| event["src_port"].is_u64())
        .collect();
    assert!(!tunnels.is_empty());
    assert_eq!(read("Sequence failures:"), 0);

    let capture = site.path("ipfix.pcap");
    tee.write(&capture);
    let mut command = Command::new("tshark");
    command.args(["-r", text(&capture), "-d", "udp.port==4739,cflow", "-V"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    for wrong in ["Malformed", "No template found", "Expert Info (Error", "Expert Info (Warning"] {
        assert!(!shown.contains(wrong), "{wrong} in {shown}");
    }
    for event in told {
        let ends = [&event["src_ip"], &event["dest_ip"]].map(|ip| ip.as_str().unwrap());
        assert!(ends.iter().all(|ip| shown.contains(*ip)), "{ends:?}");
    }
    // tshark 4.0 has no names for these elements yet and shows their octets.
    let element = |number: u16, octets: &[u8]| {
        let octets: Vec<_> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let line = format!("Type {number}: Value (hex bytes): {}", octets.join(" "));
        assert!(shown.contains(&line), "{line}");
    };
    if !shown.contains("Unknown(507)") {
        return eprintln!("skipped: this tshark names the elements of GTP-U, which no test knows");
    }
    let mut kinds = 0;
    for event in tunnels {
        element(506, &[255]);
        element(507, &(event["weir"]["gtpu"]["teid"].as_u64().unwrap() as u32).to_be_bytes());
        element(1, &(event["alert"]["signature_id"].as_u64().unwrap() as u32).to_be_bytes());
        if let Some(qfi) = event["weir"]["gtpu"]["qfi"].as_u64() {
            element(509, &[qfi as u8]);
        }
        let [flags, sequence, kind] = header_of(&site, event);
        element(505, &[flags.unwrap() as u8]);
        if let Some(sequence) = sequence {
            element(508, &(sequence as u16).to_be_bytes());
        }
        if let Some(kind) = kind {
            element(510, &[kind as u8]);
        }
        kinds += usize::from(kind.is_some());
    }
    assert!(kinds > 0, "no tunnel has a PDU Session Container");
}

/// Flags, sequence number and type of PDU of the first packet of an alert's tunnel in its evidence, as
/// tshark reads them.
fn header_of(site: &Site, event: &Value) -> [Option<u64>; 3] {
    let evidence =
        site.path("state/evidence").join(event["weir"]["evidence"]["pcap"].as_str().unwrap());
    let mut command = Command::new("tshark");
    command.args(["-r", text(&evidence), "-T", "fields", "-Y"]);
    let teid = event["weir"]["gtpu"]["teid"].as_u64().unwrap();
    command.arg(format!("gtp.message == 255 && gtp.teid == {teid}"));
    for field in ["gtp.flags", "gtp.seq_number", "gtp.ext_hdr.pdu_ses_con.pdu_type"] {
        command.args(["-e", field]);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let line = shown.lines().next().unwrap_or_else(|| panic!("{}", said(&output)));
    let mut fields = line.split('\t').map(|field| {
        let digits = field.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16).ok());
        digits.unwrap_or_else(|| field.parse().ok())
    });
    std::array::from_fn(|_| fields.next().flatten())
}

/// Suricata's fields as its documentation of EVE describes them, with their types.
const SURICATA: &[(&str, &str)] = &[
    ("/timestamp", "text"),
    ("/in_iface", "text"),
    ("/event_type", "text"),
    ("/src_ip", "text"),
    ("/src_port", "number"),
    ("/dest_ip", "text"),
    ("/dest_port", "number"),
    ("/proto", "text"),
    ("/alert/action", "text"),
    ("/alert/gid", "number"),
    ("/alert/signature_id", "number"),
    ("/alert/rev", "number"),
    ("/alert/signature", "text"),
    ("/alert/category", "text"),
    ("/alert/severity", "number"),
    ("/flow/pkts_toserver", "number"),
    ("/flow/pkts_toclient", "number"),
    ("/flow/bytes_toserver", "number"),
    ("/flow/bytes_toclient", "number"),
    ("/flow/start", "text"),
    ("/flow/end", "text"),
    ("/flow/age", "number"),
    ("/flow/state", "text"),
    ("/flow/reason", "text"),
];

#[test]
fn what_suricata_has_too_has_its_names_and_types() {
    let site = Site::new("");
    site.play();
    let events = site.events();
    for (field, kind) in SURICATA {
        let found: Vec<_> = events.iter().filter_map(|event| event.pointer(field)).collect();
        assert!(!found.is_empty(), "{field}");
        let fits =
            |value: &&Value| if *kind == "text" { value.is_string() } else { value.is_u64() };
        assert!(found.iter().all(fits), "{field} is no {kind}");
    }
    // Whatever else stands beside them is ours, or is said to differ in docs/siem.md.
    let known = ["flow_id", "timestamp", "in_iface", "event_type", "alert", "flow", "weir"];
    let ends = ["src_ip", "src_port", "dest_ip", "dest_port", "proto"];
    for event in &events {
        for key in event.as_object().unwrap().keys() {
            assert!(known.contains(&key.as_str()) || ends.contains(&key.as_str()), "{key}");
        }
        let severity = event.pointer("/alert/severity").and_then(Value::as_u64);
        assert!(severity.is_none_or(|severity| (1..=4).contains(&severity)));
    }
}

#[test]
fn sigma_reads_the_rules_and_they_name_detections_that_there_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/sigma");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/detections/README.md");
    let page = fs::read_to_string(page).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let mut rules = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        rules += 1;
        let words = text.split(|character: char| character.is_whitespace());
        let shouted = |word: &&str| {
            word.len() > 3
                && word.contains('-')
                && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        };
        for word in words.filter(shouted) {
            assert!(rows.iter().any(|row| row.starts_with(&format!("| {word}"))), "{word}");
        }
    }
    assert!(rules > 5);
    // The two that are left out ask the network what MITRE has.
    let directory = tempfile::tempdir().unwrap();
    let choice = directory.path().join("validators.yml");
    fs::write(&choice, "validators:\n- all\n- -attacktag\n- -d3_fendtag\n").unwrap();
    let Some(sigma) = kept_apart("sigma-cli", "sigma") else { return };
    let mut command = Command::new(sigma);
    command.args(["check", "--fail-on-issues", "--validation-config", text(&choice)]).arg(&folder);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}
