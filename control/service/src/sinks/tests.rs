//! Sinks against collectors of every temper.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::mpsc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use weir_engine::Nanos;
use weir_policy::{Collector, EventFormat, EventType, TlsConfig};

use super::*;
use crate::eve::{Body, HealthBody};

const PATIENCE: Duration = Duration::from_secs(20);

fn await_that<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn config(port: u16, transport: Transport) -> SyslogConfig {
    SyslogConfig {
        name: "soc".into(),
        collector: Collector { host: "127.0.0.1".into(), port },
        transport,
        format: EventFormat::Eve,
        tls: None,
        events: vec![EventType::Health],
        restricted: false,
        enterprise: 32473,
    }
}

fn started(syslog: SyslogConfig) -> Sinks {
    Sinks::start(&SinksConfig { syslog: vec![syslog], ipfix: Vec::new() }).unwrap()
}

/// Says something that is numbered.
fn say(feed: &Feed, number: usize) {
    say_at_length(feed, number, "");
}

fn say_at_length(feed: &Feed, number: usize, more: &str) {
    let body = HealthBody {
        site: "lab",
        subject: "sensor",
        state: "dead",
        observed: format!("number {number}.{more}"),
        since: None,
        lost: None,
    };
    let event = Event::bare(Nanos(0), "health", Body::Health(body));
    let mut line = Vec::new();
    event.write(&mut line);
    feed.event(&event, &line);
}

/// The numbers of the messages of a stream, until it ends; each frame has to be whole but the last.
fn numbers(stream: impl Read) -> Vec<usize> {
    let mut reader = BufReader::new(stream);
    let mut numbers = Vec::new();
    loop {
        let mut length = Vec::new();
        if reader.read_until(b' ', &mut length).is_err() || length.pop() != Some(b' ') {
            return numbers;
        }
        let length: usize = std::str::from_utf8(&length).unwrap().parse().unwrap();
        let mut message = vec![0; length];
        if reader.read_exact(&mut message).is_err() {
            return numbers;
        }
        numbers.push(number(&message));
    }
}

fn number(message: &[u8]) -> usize {
    let text = std::str::from_utf8(message).unwrap();
    let (_, rest) = text.split_once("number ").unwrap();
    rest.split_once('.').unwrap().0.parse().unwrap()
}

#[test]
fn everything_arrives_once_and_the_end_waits_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sinks = started(config(listener.local_addr().unwrap().port(), Transport::Tcp));
    let collector = thread::spawn(move || numbers(listener.accept().unwrap().0));
    let feed = sinks.open();
    (0..5_000).for_each(|number| say(&feed, number));
    assert_eq!(sinks.stop(), []);
    assert!(collector.join().unwrap().into_iter().eq(0..5_000));
    let meter = &sinks.meters()[0];
    assert_eq!((meter.counts(), meter.lost(), meter.waiting()), ([5_000, 0], 0, 0));
}

#[test]
fn a_collector_that_never_reads_costs_its_own_events_and_nobody_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sinks = started(config(listener.local_addr().unwrap().port(), Transport::Tcp));
    let feed = sinks.open();
    let meter = &sinks.meters()[0];
    await_that("a connection", || meter.is_up().then_some(()));
    let began = Instant::now();
    // More than the queue and the largest socket buffers take.
    const ALL: u64 = 40_000;
    let more = "x".repeat(2_000);
    (0..ALL as usize).for_each(|number| say_at_length(&feed, number, &more));
    // Formatting included; a single write that waited would take seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(meter.lost_by(Lost::Full) > 1_000);
    let stopping = Instant::now();
    let unsent = sinks.stop();
    assert!(stopping.elapsed() < LAST_WORDS + Duration::from_secs(1), "{:?}", stopping.elapsed());
    let sent: u64 = meter.counts().iter().sum();
    assert_eq!(sent + meter.lost_by(Lost::Full) + unsent[0].1, ALL, "each is known of");
    assert_eq!(unsent[0].0, "soc");
}

#[test]
fn a_collector_that_comes_late_or_again_is_found_and_has_what_waited() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sinks = started(config(address.port(), Transport::Tcp));
    let (feed, meter) = (sinks.open(), &sinks.meters()[0]);
    (0..10).for_each(|number| say(&feed, number));
    await_that("a refusal", || (meter.failures(Failure::Connect) > 1).then_some(()));
    assert!(!meter.is_up());
    let listener = TcpListener::bind(address).unwrap();
    let (mut first, _) = listener.accept().unwrap();
    let mut some = [0; 64];
    first.read_exact(&mut some).unwrap();
    assert!(some.windows(6).any(|window| window == b" <131>"), "a length, and a message");
    // It is away again; what comes now waits for the next connection.
    await_that("all sent", || (meter.counts()[0] == 10).then_some(()));
    drop(first);
    await_that("the end is seen", || (meter.failures(Failure::Closed) > 0).then_some(()));
    (10..20).for_each(|number| say(&feed, number));
    let collector = thread::spawn(move || numbers(listener.accept().unwrap().0));
    assert_eq!(sinks.stop(), []);
    assert!(collector.join().unwrap().into_iter().eq(10..20));
    assert_eq!(meter.lost(), 0);
}

#[test]
fn a_collector_that_is_away_is_told_of_once_and_does_not_hold_up_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let sinks = started(config(port, Transport::Tcp));
    (0..10).for_each(|number| say(&sinks.open(), number));
    let notice = await_that("a notice", || sinks.notices().pop());
    assert_eq!(notice.state, "down");
    assert_eq!(notice.observed, "Events don't reach the sink soc: no connection can be made.");
    thread::sleep(Duration::from_secs(1));
    assert!(sinks.notices().is_empty(), "once");
    let began = Instant::now();
    assert_eq!(sinks.stop(), [("soc".into(), 10)]);
    assert!(began.elapsed() < LAST_WORDS);
    assert_eq!(sinks.meters()[0].lost_by(Lost::Stop), 10);
}

#[test]
fn datagrams_go_one_by_one_and_a_closed_port_is_counted() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let sinks = started(config(socket.local_addr().unwrap().port(), Transport::Udp));
    let (feed, meter) = (sinks.open(), &sinks.meters()[0]);
    (0..10).for_each(|number| say(&feed, number));
    let mut message = [0; 65_535];
    for expected in 0..10 {
        let length = socket.recv(&mut message).unwrap();
        assert_eq!(number(&message[..length]), expected);
    }
    drop(socket);
    let mut said = 10;
    await_that("the refusal is counted", || {
        say(&feed, said);
        said += 1;
        (meter.lost_by(Lost::Refused) > 0 && meter.failures(Failure::Refused) > 0).then_some(())
    });
}

#[test]
fn flows_over_a_stream_begin_with_templates_and_count_from_nought() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ipfix = IpfixConfig {
        name: "flows".into(),
        collector: Collector {
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
        },
        transport: Transport::Tcp,
        observation_domain: 7,
        enterprise: 32473,
    };
    let sinks = Sinks::start(&SinksConfig { syslog: Vec::new(), ipfix: vec![ipfix] }).unwrap();
    let meter = &sinks.meters()[0];
    let record = |number: u8| Item { is_grave: false, tag: 256, bytes: vec![number; 40] };
    for life in 0..2 {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut expected = 0;
        let mut told = false;
        (0..3).for_each(|number| meter.put(record(number)));
        while expected < 3 {
            let mut header = [0; 20];
            stream.read_exact(&mut header).unwrap();
            let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
            let (length, set) = (usize::from(word(2)), word(16));
            let mut rest = vec![0; length - header.len()];
            stream.read_exact(&mut rest).unwrap();
            assert_eq!((word(0), header[15]), (10, 7));
            assert_eq!(header[8..12], [0, 0, 0, expected], "life {life}");
            match set {
                2 => told = true,
                256 => {
                    assert!(told, "a record before its template");
                    expected += (rest.len() / 40) as u8;
                }
                other => panic!("set {other}"),
            }
        }
    }
    assert_eq!(sinks.stop(), []);
    assert_eq!((meter.counts()[0], meter.lost()), (6, 0));
}

/// What signs certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a certificate for a name, and its key.
    fn sign(&self, file: &str, name: &str, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let place = |suffix: &str| self.path(&format!("{file}.{suffix}"));
        std::fs::write(place("pem"), certificate.pem()).unwrap();
        std::fs::write(place("key"), key.serialize_pem()).unwrap();
        close(&place("key"), 0o600);
        (certificate.pem(), key.serialize_pem())
    }

    fn files(&self, client: Option<&str>) -> TlsConfig {
        let place = |name: &str, suffix: &str| self.path(&format!("{name}.{suffix}"));
        TlsConfig {
            ca: self.path("ca.pem"),
            client: client.map(|name| (place(name, "pem"), place(name, "key"))),
        }
    }
}

fn close(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A collector with TLS that takes one connection; what it read comes through the channel.
fn collector(
    (certificate, key): (String, String),
    clients: Option<&Authority>,
) -> (u16, mpsc::Receiver<Vec<usize>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            // A client that goes away in the middle of the handshake is none.
            if stream.flush().is_err() || sender.send(numbers(stream)).is_err() {
                return;
            }
        }
    });
    (port, receiver)
}

fn with_tls(port: u16, files: TlsConfig) -> SyslogConfig {
    SyslogConfig { tls: Some(files), ..config(port, Transport::Tls) }
}

#[test]
fn events_go_through_tls_to_whom_the_configuration_trusts() {
    let authority = Authority::new();
    let (port, arrived) = collector(authority.sign("siem", "127.0.0.1", 2100), None);
    let sinks = started(with_tls(port, authority.files(None)));
    (0..1_000).for_each(|number| say(&sinks.open(), number));
    assert_eq!(sinks.stop(), []);
    assert!(arrived.recv_timeout(PATIENCE).unwrap().into_iter().eq(0..1_000));
}

#[test]
fn a_collector_may_ask_who_sends() {
    let authority = Authority::new();
    let server = authority.sign("siem", "127.0.0.1", 2100);
    authority.sign("weir", "probe.example", 2100);
    let (port, arrived) = collector(server, Some(&authority));
    let sinks = started(with_tls(port, authority.files(Some("weir"))));
    (0..10).for_each(|number| say(&sinks.open(), number));
    assert_eq!(sinks.stop(), []);
    assert!(arrived.recv_timeout(PATIENCE).unwrap().into_iter().eq(0..10));
}

#[test]
fn certificates_that_are_over_foreign_or_anothers_are_refused_and_told_of() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let refused = [
        (authority.sign("over", "127.0.0.1", 2021), Failure::Expired),
        (stranger.sign("foreign", "127.0.0.1", 2100), Failure::Certificate),
        (authority.sign("other", "siem.example", 2100), Failure::Certificate),
    ];
    for (certificate, failure) in refused {
        let (port, arrived) = collector(certificate, None);
        let sinks = started(with_tls(port, authority.files(None)));
        say(&sinks.open(), 1);
        let meter = &sinks.meters()[0];
        await_that("a refusal", || (meter.failures(failure) > 0).then_some(()));
        let notice = await_that("a notice", || sinks.notices().pop());
        assert_eq!(notice.state, "refused");
        assert!(notice.observed.contains(failure.sentence()), "{}", notice.observed);
        assert_eq!(sinks.stop(), [("soc".into(), 1)]);
        assert!(arrived.try_iter().all(|numbers| numbers.is_empty()));
    }
}

#[test]
fn files_that_cannot_be_used_keep_the_process_from_starting() {
    let authority = Authority::new();
    authority.sign("weir", "probe.example", 2100);
    let start = |files: TlsConfig| {
        let config = SinksConfig { syslog: vec![with_tls(1, files)], ipfix: Vec::new() };
        Sinks::start(&config).map(drop).map_err(|refusal| refusal.to_string())
    };
    let files = authority.files(Some("weir"));
    assert_eq!(start(files.clone()), Ok(()));
    close(&authority.path("weir.key"), 0o644);
    assert!(start(files.clone()).unwrap_err().contains("everybody may read it"));
    let missing = TlsConfig { ca: "/no/such/ca.pem".into(), ..files.clone() };
    assert!(start(missing).unwrap_err().contains("/no/such/ca.pem"));
    std::fs::write(authority.path("ca.pem"), "no certificate\n").unwrap();
    assert!(start(files).unwrap_err().contains("there is no certificate in it"));
}

#[test]
fn restricted_events_go_where_the_configuration_lets_them_and_nowhere_else() {
    let authority = Authority::new();
    let (port, arrived) = collector(authority.sign("siem", "127.0.0.1", 2100), None);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let cleared = SyslogConfig {
        name: "cleared".into(),
        restricted: true,
        ..with_tls(port, authority.files(None))
    };
    let plain = config(socket.local_addr().unwrap().port(), Transport::Udp);
    // Whatever the configuration's check let through: never in the clear.
    let careless = SyslogConfig { name: "careless".into(), restricted: true, ..plain.clone() };
    let syslog = vec![cleared, plain, careless];
    let sinks = Sinks::start(&SinksConfig { syslog, ipfix: Vec::new() }).unwrap();
    say(&sinks.restricted(), 1);
    say(&sinks.open(), 2);
    assert_eq!(sinks.stop(), []);
    assert_eq!(arrived.recv_timeout(PATIENCE).unwrap(), [1, 2]);
    socket.set_nonblocking(true).unwrap();
    let mut message = [0; 65_535];
    let mut open = Vec::new();
    while let Ok(length) = socket.recv(&mut message) {
        open.push(number(&message[..length]));
    }
    assert_eq!(open, [2, 2], "both of those without TLS have the open one alone");
}
