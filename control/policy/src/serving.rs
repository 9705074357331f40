//! `[control] listen`, `[control.tls]` and `[control.retention]` of `weir.toml`: where HTTP is
//! served and to whom, and how much of what was found is kept.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::diagnostic::Mistake;
use crate::nearest::quoted;
use crate::section::Section;
use crate::values::FilePath;

/// Days that anything is kept at most.
const MAX_DAYS: u64 = 3_650;
/// Gibibytes of the journal at most.
const MAX_GIB: u64 = 1 << 14;

/// Where HTTP is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Serving {
    /// The address; 127.0.0.1:9810 when not given. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where that stands, as `weir.toml:29:10`; `None` when it is not given.
    pub place: Option<String>,
    /// The certificates; `None`: no TLS, which is for loopback alone.
    pub tls: Option<ServerTls>,
}

/// The files of `[control.tls]`, resolved against the directory of `weir.toml`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerTls {
    /// The server's certificate, and those between it and its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signs clients; `None`: they need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// `[control.retention]`: how much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Gibibytes of each of the two journals; 10 when not given.
    pub journal_gib: u64,
    /// Days of the journals; 400 when not given.
    pub journal_days: u64,
    /// Days for which alerts are kept that nobody touches; 400 when not given.
    pub history_days: u64,
    /// Days for which it is kept who talked to whom, and which sessions there were; 30 when not given.
    pub site_days: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { journal_gib: 10, journal_days: 400, history_days: 400, site_days: 30 }
    }
}

/// Reads `listen` and `[control.tls]`. `name` is the file's, for findings about the address that only
/// the start can make.
pub(crate) fn serving(control: Option<&Section<'_>>, name: &str, base: &Path) -> Serving {
    let mut serving =
        Serving { listen: SocketAddr::from(([127, 0, 0, 1], 9810)), place: None, tls: None };
    let Some(control) = control else { return serving };
    if let Some(listen) = control.parsed::<Listen>("listen") {
        let (line, column) = control.findings.place(listen.span().start);
        serving.place = Some(format!("{name}:{line}:{column}"));
        serving.listen = listen.into_inner().0;
    }
    serving.tls = tls(control, base);
    if !serving.listen.ip().is_loopback() && control.place("tls").is_none() {
        let message = format!("{} is off loopback, where TLS is needed", serving.listen);
        let remedy = "add [control.tls] with `certificate` and `key`, or listen on 127.0.0.1";
        control.error("listen", Mistake::new(message, remedy));
    }
    serving
}

fn tls(control: &Section<'_>, base: &Path) -> Option<ServerTls> {
    let section = control.table("tls", "[control.tls]", &["certificate", "key", "client_ca"])?;
    let path = |key| section.parsed::<FilePath>(key).map(|path| base.join(path.into_inner().0));
    let certificate = section.required("certificate", path("certificate"));
    let key = section.required("key", path("key"));
    let client_ca = path("client_ca");
    Some(ServerTls { certificate: certificate?, key: key?, client_ca })
}

pub(crate) fn retention(control: &Section<'_>) -> Retention {
    let keys = ["journal_gib", "journal_days", "history_days", "site_days"];
    let mut retention = Retention::default();
    let Some(section) = control.table("retention", "[control.retention]", &keys) else {
        return retention;
    };
    for (key, most, value) in [
        (keys[0], MAX_GIB, &mut retention.journal_gib),
        (keys[1], MAX_DAYS, &mut retention.journal_days),
        (keys[2], MAX_DAYS, &mut retention.history_days),
        (keys[3], MAX_DAYS, &mut retention.site_days),
    ] {
        if let Some(given) = section.integer(key, 1..=most) {
            *value = given;
        }
    }
    retention
}

/// An address to serve on.
struct Listen(SocketAddr);

impl FromStr for Listen {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        text.parse().map(Self).map_err(|_| {
            let message = format!("{} is not an address with port", quoted(text));
            Mistake::new(message, "write 127.0.0.1:9810 or [::1]:9810")
        })
    }
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
    fn off_loopback_there_must_be_certificates() {
        let open = "[control]\nlisten = \"0.0.0.0:9810\"\n";
        assert_eq!(
            mistakes(open),
            ["error: 0.0.0.0:9810 is off loopback, where TLS is needed; weir.toml:2:10; \
              add [control.tls] with `certificate` and `key`, or listen on 127.0.0.1"]
        );
        let files = "[control.tls]\ncertificate = \"weir.pem\"\nkey = \"/k/weir.key\"\n";
        let serving = control(&format!("{open}{files}")).serving;
        assert_eq!(serving.place.as_deref(), Some("/etc/weir/weir.toml:2:10"));
        let tls = ServerTls {
            certificate: "/etc/weir/weir.pem".into(),
            key: "/k/weir.key".into(),
            client_ca: None,
        };
        assert_eq!(serving.tls, Some(tls));
        let asking = control(&format!("{files}client_ca = \"ca.pem\"\n")).serving.tls.unwrap();
        assert_eq!(asking.client_ca.as_deref(), Some(Path::new("/etc/weir/ca.pem")));
        assert_eq!(
            mistakes("[control.tls]\nkey = \"\"\nca = \"x\"\n"),
            [
                "error: [control.tls] has no `certificate`; weir.toml:1:1; add `certificate = …`",
                "error: `` is not a path; weir.toml:2:7; name a file, relative to weir.toml or absolute",
                "error: unknown key `ca` in [control.tls]; weir.toml:3:1; use one of: certificate, key, client_ca",
            ]
        );
    }

    #[test]
    fn what_is_kept_has_bounds_and_defaults() {
        assert_eq!(control("").retention, Retention::default());
        let some = control("[control.retention]\njournal_gib = 2\nhistory_days = 30\n").retention;
        assert_eq!((some.journal_gib, some.journal_days, some.history_days), (2, 400, 30));
        assert_eq!(control("[control.retention]\nsite_days = 7\n").retention.site_days, 7);
        let found = mistakes("[control.retention]\njournal_gib = 0\nhistory_days = 9999\n");
        assert!(found[0].contains("weir.toml:2:15; write a whole number from 1 to 16384"));
        assert!(found[1].contains("weir.toml:3:16; write a whole number from 1 to 3650"));
    }
}
