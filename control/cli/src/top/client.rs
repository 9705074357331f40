//! Asks weir-control over its interface, and says in plain words what went wrong.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error, Timeout};

use super::access::Access;
use super::told::{Alert, Incident, Page, Plain, State};
use crate::text::counted;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read: 500 incidents with all their names are a tenth of it.
const LONGEST: u64 = 32 << 20;
/// Rows that are asked for: the most that control gives at once.
pub(super) const ROWS: usize = 500;
/// How long is waited before too much was asked of control, unless it says otherwise, and at most.
const PAUSE: u64 = 5;
const LONGEST_PAUSE: u64 = 60;

/// Why there is no answer. The text says what, and after a semicolon what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Trouble {
    #[error(
        "no connection to weir-control: {0}; see systemctl status weir-control, or name another with --address"
    )]
    Away(String),
    #[error(
        "the connection is not safe: {0}; name the authority of control's certificate with --ca"
    )]
    Unsafe(String),
    #[error(
        "weir-control wants a token; make one with weir control --new-token NAME, and hand it over by --token-file or WEIR_TOKEN"
    )]
    TokenWanted,
    #[error("weir-control wants a certificate that it trusts; use --certificate and --key")]
    CertificateWanted,
    #[error(
        "weir-control does not know the token, or it is over; make one with weir control --new-token NAME"
    )]
    TokenUnknown,
    #[error("the token may not look at this; use one of the role viewer or more")]
    Forbidden,
    #[error("too much was asked of weir-control; ask again in {}", counted(*.0, "second", "seconds"))]
    TooMuch(u64),
    #[error("weir-control can't answer now ({0}: {1}); try again")]
    Unable(u16, Plain),
    #[error(
        "what answers is no weir-control of this release ({0}); look at --address, and at weir control --version"
    )]
    Strange(String),
}

impl Trouble {
    /// What it is, and what to do.
    pub(super) fn parts(&self) -> (String, String) {
        let text = self.to_string();
        let (what, remedy) = text.rsplit_once("; ").unwrap_or((&text, ""));
        (what.to_owned(), remedy.to_owned())
    }
}

/// The one way to control.
pub(super) struct Client {
    agent: Agent,
    access: Access,
}

impl Client {
    pub(super) fn new(access: Access) -> Self {
        let mut tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        // The crate's own list of authorities is not built in; an empty one trusts nobody.
        tls = tls.root_certs(RootCerts::from(access.authorities.clone()));
        tls = tls.client_cert(access.client.clone());
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            // A token goes to nobody but the control that was named.
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("weir-top/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent(), access }
    }

    pub(super) fn state(&self) -> Result<State, Trouble> {
        self.ask("state")
    }

    /// The latest of the open incidents, the gravest first.
    pub(super) fn incidents(&self) -> Result<Page<Incident>, Trouble> {
        self.ask::<Page<Incident>>(&format!("incidents?status=open&limit={ROWS}")).map(Page::open)
    }

    /// The alerts of an incident, the latest first.
    pub(super) fn alerts(&self, incident: u64) -> Result<Page<Alert>, Trouble> {
        self.ask(&format!("alerts?incident={incident}&limit={ROWS}"))
    }

    fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        let Access { address, token, .. } = &self.access;
        let mut request = self.agent.get(format!("{address}/api/v1/{path}"));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut answer = request.call().map_err(|error| refused(&error))?;
        let status = answer.status();
        let pause = pause(answer.headers());
        let body = answer.body_mut().with_config().limit(LONGEST).read_to_vec();
        let body = body.map_err(|error| refused(&error))?;
        match status {
            StatusCode::OK => {
                serde_json::from_slice(&body).map_err(|why| Trouble::Strange(why.to_string()))
            }
            StatusCode::UNAUTHORIZED if token.is_some() => Err(Trouble::TokenUnknown),
            StatusCode::UNAUTHORIZED => Err(Trouble::TokenWanted),
            StatusCode::FORBIDDEN => Err(Trouble::Forbidden),
            StatusCode::TOO_MANY_REQUESTS => Err(Trouble::TooMuch(pause)),
            status if status.is_server_error() => {
                Err(Trouble::Unable(status.as_u16(), said(&body)))
            }
            status => Err(Trouble::Strange(format!("status {}", status.as_u16()))),
        }
    }
}

fn pause(headers: &HeaderMap) -> u64 {
    let asked =
        headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    asked.unwrap_or(PAUSE).clamp(1, LONGEST_PAUSE)
}

/// What an error's body says.
fn said(body: &[u8]) -> Plain {
    #[derive(serde::Deserialize)]
    struct Said {
        error: Plain,
    }
    serde_json::from_slice::<Said>(body)
        .map_or_else(|_| Plain::of("it does not say why"), |said| said.error)
}

fn refused(error: &Error) -> Trouble {
    let away = |why: &str| Trouble::Away(why.to_owned());
    match error {
        Error::Timeout(Timeout::Resolve) | Error::HostNotFound => away("its name is unknown"),
        Error::Timeout(_) => {
            Trouble::Away(format!("it does not answer within {} s", PATIENCE.as_secs()))
        }
        Error::Io(why) => match why.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(why) => unsafe_for(why),
            None => away(io_words(why)),
        },
        Error::Rustls(why) => unsafe_for(why),
        Error::Tls(why) => Trouble::Unsafe((*why).to_owned()),
        Error::BodyExceedsLimit(_) => Trouble::Strange("its answer has no end".into()),
        other => Trouble::Strange(Plain::of(&other.to_string()).to_string()),
    }
}

/// An alert is control's complaint of us; all else is ours of it.
fn unsafe_for(why: &rustls::Error) -> Trouble {
    match why {
        rustls::Error::AlertReceived(_) => Trouble::CertificateWanted,
        other => Trouble::Unsafe(Plain::of(&other.to_string()).to_string()),
    }
}

fn io_words(error: &io::Error) -> &str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there",
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "it ended the connection",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way leads there",
        _ => "the network does not let it through",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A client, and somebody who answers it so.
    fn answered(token: Option<&str>, answer: &str) -> Result<State, Trouble> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answer = answer.to_owned();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(head).unwrap()
        });
        let access =
            Access { address, token: token.map(Into::into), authorities: Vec::new(), client: None };
        let state = Client::new(access).state();
        let head = server.join().unwrap().to_lowercase();
        assert!(head.starts_with("get /api/v1/state http/1.1\r\n"), "{head}");
        assert_eq!(
            head.contains("authorization: bearer weir_ada_1\r\n"),
            token.is_some(),
            "{head}"
        );
        state
    }

    fn trouble(token: Option<&str>, status: &str, more: &str, body: &str) -> Trouble {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        answered(token, &answer).unwrap_err()
    }

    #[test]
    fn refusals_are_told_in_plain_words_and_redirects_are_not_followed() {
        let token = Some("weir_ada_1");
        assert_eq!(trouble(None, "401", "", "{}"), Trouble::TokenWanted);
        assert_eq!(trouble(token, "401", "", "{}"), Trouble::TokenUnknown);
        assert_eq!(trouble(token, "403", "", "{}"), Trouble::Forbidden);
        assert_eq!(trouble(token, "429", "Retry-After: 7\r\n", "{}"), Trouble::TooMuch(7));
        assert_eq!(trouble(token, "429", "Retry-After: 99999\r\n", "{}"), Trouble::TooMuch(60));
        let said = trouble(token, "503", "", "{\"error\":\"the disk\u{202e} is full\"}");
        assert_eq!(said, Trouble::Unable(503, Plain::of("the disk? is full")));
        let away = "Location: http://127.0.0.1:1/\r\n";
        assert_eq!(trouble(token, "302", away, ""), Trouble::Strange("status 302".into()));
        assert!(matches!(trouble(token, "200", "", "<html>"), Trouble::Strange(_)));
        assert!(matches!(answered(token, "SSH-2.0-OpenSSH\r\n"), Err(Trouble::Strange(_))));
    }

    #[test]
    fn every_trouble_says_what_to_do() {
        for trouble in [
            Trouble::Away("nobody listens there".into()),
            Trouble::Unsafe("expired".into()),
            Trouble::CertificateWanted,
            Trouble::TokenWanted,
            Trouble::TokenUnknown,
            Trouble::Forbidden,
            Trouble::TooMuch(1),
            Trouble::Unable(503, Plain::of("it is full; ask again")),
            Trouble::Strange("status 404".into()),
        ] {
            let (what, remedy) = trouble.parts();
            assert!(!what.is_empty() && !remedy.is_empty(), "{trouble}");
        }
    }
}
