//! Where control is, and who asks: checked before anything is asked.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, parse_pem};

use super::Options;
use crate::failure::Failure;

/// Where a token is, unless a file is named.
const TOKEN: &str = "WEIR_TOKEN";
/// Characters of a token, at most; those of control have less than half.
const LONGEST_TOKEN: usize = 256;
/// Bytes of a file, at most: all that a system trusts are a quarter of it.
const LONGEST_FILE: u64 = 1 << 20;

/// How control is asked.
pub(super) struct Access {
    /// Scheme and authority, without a slash behind.
    pub(super) address: String,
    pub(super) token: Option<String>,
    /// Whose certificates are trusted.
    pub(super) authorities: Vec<Certificate<'static>>,
    /// What is shown to a control that wants a certificate.
    pub(super) client: Option<ClientCert>,
}

impl Access {
    pub(super) fn of(options: &Options) -> Result<Self, Failure> {
        let (address, is_safe) = address(&options.address)?;
        let authorities = match &options.ca {
            Some(path) => certificates("the authority", path)?,
            None if is_safe => {
                return Err(Failure::usage(format!(
                    "nothing says whose certificate to trust; --address {address}; name the authority of \
                 control's certificate with --ca, or what this machine trusts: /etc/ssl/certs/ca-certificates.crt"
                )));
            }
            None => Vec::new(),
        };
        let token = match &options.token_file {
            Some(path) => Some(token_of(path)?),
            None => env::var_os(TOKEN)
                .map(|text| {
                    let text = text.to_string_lossy();
                    token(&text).ok_or_else(|| no_token(&format!("the variable {TOKEN}")))
                })
                .transpose()?,
        };
        let client = match (&options.certificate, &options.key) {
            (Some(certificate), Some(key)) => Some(shown(certificate, key)?),
            _ => None,
        };
        Ok(Self { address, token, authorities, client })
    }
}

/// Scheme and authority, and whether nobody on the way reads along.
fn address(text: &str) -> Result<(String, bool), Failure> {
    let wrong = |what: &str| {
        Failure::usage(format!(
            "{what}; --address {}; write it as http://127.0.0.1:9810 or https://weir.example:9810",
            crate::text::plain(text)
        ))
    };
    let uri: Uri = text.parse().map_err(|_| wrong("this is no address"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("the address has no http:// or https:// before it"));
    };
    if authority.as_str().contains('@') || !matches!(uri.path(), "" | "/") || uri.query().is_some()
    {
        return Err(wrong("the address is more than a scheme, a host and a port"));
    }
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_local = host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => Ok((format!("https://{authority}"), true)),
        "http" if is_local => Ok((format!("http://{authority}"), false)),
        "http" => Err(wrong(
            "whoever is on the way to another machine would read the token and alter what is shown: it has to be https",
        )),
        _ => Err(wrong("the address is neither http nor https")),
    }
}

/// The octets of a file, of which a bounded number is read.
fn read(file: File) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    file.take(LONGEST_FILE).read_to_end(&mut octets)?;
    Ok(octets)
}

/// The same of a file that nobody else may read.
fn read_secret(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let file = File::open(path).map_err(unread(what, path))?;
    let mode = file.metadata().map_err(unread(what, path))?.permissions().mode();
    if mode & 0o077 != 0 {
        let place = path.display();
        return Err(Failure::usage(format!(
            "others may read {what}; {place}; chmod 600 {place}, and make another one if somebody did"
        )));
    }
    read(file).map_err(unread(what, path))
}

fn unread(what: &str, path: &Path) -> impl Fn(io::Error) -> Failure {
    let (what, path) = (what.to_owned(), path.display().to_string());
    move |why| Failure::usage(format!("can't read {what}: {why}; {path}; name another file"))
}

fn token_of(path: &Path) -> Result<String, Failure> {
    let octets = read_secret("the token", path)?;
    let text = String::from_utf8(octets).ok().and_then(|text| token(&text));
    text.ok_or_else(|| no_token(&path.display().to_string()))
}

/// A token without what stands around it.
fn token(text: &str) -> Option<String> {
    let token = text.trim();
    let is_one = !token.is_empty()
        && token.len() <= LONGEST_TOKEN
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_one.then(|| token.to_owned())
}

fn no_token(place: &str) -> Failure {
    Failure::usage(format!(
        "there is no token; {place}; put there what weir control --new-token NAME prints, and nothing else"
    ))
}

/// The certificates of a file: at least one.
fn certificates(what: &str, path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let pem = File::open(path).and_then(read).map_err(unread(what, path))?;
    let found = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        let place = path.display();
        return Err(Failure::usage(format!(
            "there is no certificate; {place}; name the file of {what}, as PEM"
        )));
    }
    Ok(found)
}

/// The certificate that is shown to control.
fn shown(certificate: &Path, key: &Path) -> Result<ClientCert, Failure> {
    let chain = certificates("the certificate", certificate)?;
    let pem = read_secret("the certificate's key", key)?;
    let key = PrivateKey::from_pem(&pem).map_err(|_| {
        let place = key.display();
        Failure::usage(format!("there is no key; {place}; name the certificate's, as PEM"))
    })?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn said<T>(result: Result<T, Failure>) -> String {
        match result {
            Ok(_) => "nothing was wrong".into(),
            Err(Failure::Usage(message)) => message,
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn only_an_address_that_nobody_reads_along_is_taken() {
        for (text, taken) in [
            ("http://127.0.0.1:9810", "http://127.0.0.1:9810"),
            ("http://localhost:9810/", "http://localhost:9810"),
            ("http://[::1]:9810", "http://[::1]:9810"),
            ("https://weir.example:9810", "https://weir.example:9810"),
        ] {
            assert_eq!(address(text).unwrap().0, taken);
        }
        for (text, why) in [
            ("http://weir.example:9810", "it has to be https"),
            ("http://localhost.example", "it has to be https"),
            ("http://127.0.0.1@weir.example", "more than"),
            ("https://weir.example/api", "more than"),
            ("127.0.0.1:9810", "no http://"),
            ("ftp://127.0.0.1", "neither"),
            ("\u{1b}[2J", "no address"),
        ] {
            let message = said(address(text));
            assert!(message.contains(why) && !message.contains('\u{1b}'), "{text}: {message}");
        }
    }

    #[test]
    fn a_token_that_others_may_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let with = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            token_of(&path)
        };
        assert_eq!(with("weir_ada_1\n", 0o600).unwrap(), "weir_ada_1");
        assert!(said(with("weir_ada_1\n", 0o640)).contains("chmod 600"));
        assert!(said(with("weir_ada_1\n", 0o604)).contains("chmod 600"));
        for none in ["", "\n", "two words", "a\r\nHost: b", &"x".repeat(500)] {
            assert!(said(with(none, 0o600)).contains("no token"), "{none:?}");
        }
        assert!(said(token_of(&folder.path().join("absent"))).contains("name another file"));
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        fs::write(&path, "-----BEGIN CERTIFICATE-----\nbroken\n").unwrap();
        assert!(said(certificates("the authority", &path)).contains("no certificate"));
    }
}
