//! TLS: to whom control speaks, and with which certificates.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::cases::token;
use super::fake::*;

/// A site with certificates of an authority of its own.
struct Site {
    place: Place,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Site {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let site = Self { place: Place::new(""), issuer };
        fs::write(site.place.path("ca.pem"), site.issuer.pem()).unwrap();
        site.certify("weir", 3_650);
        site
    }

    /// A certificate and its key, over in so many days.
    fn certify(&self, name: &str, days: i64) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        // A minute more, so that whole days are left.
        let end = (now() / SECOND + 60).saturating_add_signed(86_400 * days);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(end);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.place.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        let path = self.place.path(&format!("{name}.key"));
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn config(&self, listen: &str, more: &str) -> PathBuf {
        let path = self.place.path("weir.toml");
        let tls = "[control.tls]\ncertificate = \"weir.pem\"\nkey = \"weir.key\"\n";
        fs::write(&path, format!("[control]\nlisten = \"{listen}\"\n{tls}{more}")).unwrap();
        path
    }

    /// The process, with the port that it serves.
    fn start(&self, listen: &str, more: &str) -> (Control, u16) {
        let mut control = self.control(listen, more);
        let line = control.says("listening on https://");
        (control, line.rsplit(':').next().unwrap().parse().unwrap())
    }

    fn control(&self, listen: &str, more: &str) -> Control {
        let config = self.config(listen, more);
        self.place.control(&["--config", config.to_str().unwrap(), "--listen", listen])
    }

    /// The head and body of an answer over TLS.
    fn fetch(&self, port: u16, path: &str, how: How<'_>) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match how.client {
            None => config.with_no_client_auth(),
            Some(name) => {
                let file = |suffix: &str| self.place.path(&format!("{name}.{suffix}"));
                let chain = CertificateDer::pem_file_iter(file("pem")).unwrap();
                let chain = chain.collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let name = "localhost".try_into().unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(client, socket);
        let token = how.token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{}Connection: close\r\n\r\n",
            token.unwrap_or_default()
        )?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(String::from_utf8(answer).unwrap()),
        }
    }
}

/// How somebody comes.
#[derive(Clone, Copy, Default)]
struct How<'a> {
    token: Option<&'a str>,
    client: Option<&'a str>,
}

#[test]
fn off_loopback_there_is_neither_an_open_door_nor_a_start_without_a_lock() {
    let site = Site::new();
    let mut bare = site.place.control(&["--listen", "0.0.0.0:0"]);
    let line = bare.says("error: HTTP off loopback needs TLS");
    assert!(line.contains("--listen 0.0.0.0:0; add [control.tls]"), "{line}");
    assert_eq!(bare.wait().code(), Some(2));
    let config = site.config("0.0.0.0:0", "");
    let mut nobody = Control::start(&site.place, &["--config", config.to_str().unwrap()]);
    let line = nobody.says("error: HTTP off loopback needs a token");
    assert!(line.contains("weir.toml:2:10; weir control --state-dir"), "{line}");
    assert_eq!(nobody.wait().code(), Some(2));

    let eve = token(&site.place, "eve", "viewer");
    let (control, port) = site.start("0.0.0.0:0", "");
    let plain = How::default();
    let ok = |path: &str, how: How<'_>| site.fetch(port, path, how).unwrap();
    let healthy = ok("/healthz", plain);
    assert!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
    assert!(healthy.to_lowercase().contains("strict-transport-security: max-age="), "{healthy}");
    assert!(ok("/metrics", plain).starts_with("HTTP/1.1 401"));
    let known = How { token: Some(&eve), client: None };
    let metrics = ok("/metrics", known);
    assert!(metrics.contains("weir_control_certificate_expiry_timestamp_seconds 2"), "{metrics}");
    // Without HTTPS there is nothing to be had.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("alive"));
    let name = "weir_control_http_refused_total{reason=\"handshake\"}";
    assert_eq!(series(&ok("/metrics", known), name), 1.0);
    // Nobody becomes a guest because the last token is taken away, whatever host they name.
    fs::remove_file(site.place.path("tokens.toml")).unwrap();
    assert!(ok("/api/v1/health", plain).starts_with("HTTP/1.1 401"));
    assert!(ok("/api/v1/health", known).starts_with("HTTP/1.1 401"));
    drop(control);
}

#[test]
fn clients_need_a_certificate_of_the_authority_that_is_not_over() {
    let site = Site::new();
    site.certify("good", 30);
    site.certify("over", -30);
    let stranger = Site::new();
    stranger.certify("stranger", 30);
    for suffix in ["pem", "key"] {
        let name = format!("stranger.{suffix}");
        fs::copy(stranger.place.path(&name), site.place.path(&name)).unwrap();
    }
    let (_control, port) = site.start("127.0.0.1:0", "client_ca = \"ca.pem\"\n");
    let came = |client: Option<&str>| {
        let answer = site.fetch(port, "/metrics", How { client, token: None });
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    };
    assert!(came(Some("good")));
    assert!(!came(None) && !came(Some("over")) && !came(Some("stranger")));
    let metrics = site.fetch(port, "/metrics", How { client: Some("good"), token: None }).unwrap();
    let name = "weir_control_http_refused_total{reason=\"client_certificate\"}";
    assert_eq!(series(&metrics, name), 3.0);
}

#[test]
fn sighup_reads_certificates_again_and_a_bad_one_leaves_the_old_in_use() {
    let site = Site::new();
    let (mut control, port) = site.start("127.0.0.1:0", "");
    let expires = || {
        let answer = site.fetch(port, "/metrics", How::default()).unwrap();
        series(&answer, "weir_control_certificate_expiry_timestamp_seconds")
    };
    let before = expires();
    site.certify("weir", 5);
    let good = fs::read(site.place.path("weir.key")).unwrap();
    fs::write(site.place.path("weir.key"), "no key").unwrap();
    control.signal(Signal::SIGHUP);
    assert!(control.says("error: TLS can't be served").contains("weir.key"));
    control.says("the old certificates stay in use");
    assert_eq!(expires(), before);
    fs::write(site.place.path("weir.key"), good).unwrap();
    control.signal(Signal::SIGHUP);
    control.says("warning: the certificate is over in 5 days");
    control.says("certificates are read again");
    assert!(expires() < before);
}

#[test]
fn what_is_over_is_said_and_a_key_that_others_may_use_is_refused() {
    let site = Site::new();
    site.certify("weir", -1);
    let mut control = site.control("127.0.0.1:0", "");
    control.says("warning: the certificate is over: clients will refuse it");
    control.says("listening on https://");
    control.kill();
    let key = site.place.path("weir.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let mut control = site.control("127.0.0.1:0", "");
    let line = control.says("mode 0644 lets others use the key");
    assert!(line.ends_with(&format!("chmod 600 {}", key.display())), "{line}");
    assert_eq!(control.wait().code(), Some(2));
}
