//! The certificates that control shows, and those that it asks clients for. SIGHUP reads them again;
//! what can't be used then leaves the old ones in use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use weir_policy::ServerTls;

use crate::live::{lock, now};
use crate::refusal::Refusal;

/// A certificate that holds no longer than this is said.
const SOON: i64 = 14 * 86_400;

/// What is in use.
#[derive(Clone, Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// When the server's certificate ends, in seconds since 1970.
    expires: i64,
}

/// The certificates.
#[derive(Debug)]
pub struct Tls {
    files: ServerTls,
    current: Mutex<Current>,
}

impl Tls {
    /// Reads the files, and says if the certificate is over or soon will be.
    ///
    /// # Errors
    /// What is amiss with them.
    pub fn read(files: ServerTls) -> Result<Self, Refusal> {
        let current = read(&files)?;
        let tls = Self { files, current: Mutex::new(current) };
        tls.warn();
        Ok(tls)
    }

    /// Reads them again.
    ///
    /// # Errors
    /// What is amiss with them; those of before stay in use.
    pub fn refresh(&self) -> Result<(), Refusal> {
        let current = read(&self.files)?;
        *lock(&self.current) = current;
        self.warn();
        Ok(())
    }

    /// For the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&lock(&self.current).config)
    }

    /// When the server's certificate ends, in seconds since 1970.
    pub fn expires(&self) -> i64 {
        lock(&self.current).expires
    }

    /// Whether clients must have a certificate.
    pub fn asks_clients(&self) -> bool {
        self.files.client_ca.is_some()
    }

    fn warn(&self) {
        let left = self.expires() - (now().0 / 1_000_000_000) as i64;
        let certificate = self.files.certificate.display();
        let remedy = "put a new one there and send SIGHUP";
        match left {
            ..=0 => eprintln!(
                "warning: the certificate is over: clients will refuse it; {certificate}; {remedy}"
            ),
            1..=SOON => eprintln!(
                "warning: the certificate is over in {} days; {certificate}; {remedy}",
                left / 86_400
            ),
            _ => {}
        }
    }
}

fn bad(path: &Path, reason: impl ToString, remedy: &str) -> Refusal {
    let what = format!("TLS can't be served: {}", reason.to_string());
    Refusal::new(&what, &path.display().to_string(), remedy)
}

const PEM: &str = "name a PEM file that this process may read";

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| bad(path, error, PEM))?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| bad(path, error, PEM))?;
    if read.is_empty() {
        return Err(bad(path, "there is no certificate in it", PEM));
    }
    Ok(read)
}

fn read(files: &ServerTls) -> Result<Current, Refusal> {
    let ServerTls { certificate, key, client_ca } = files;
    let chain = certificates(certificate)?;
    let expires = match x509_parser::parse_x509_certificate(&chain[0]) {
        Ok((_, parsed)) => parsed.validity().not_after.timestamp(),
        Err(error) => return Err(bad(certificate, error, PEM)),
    };
    let mode = fs::metadata(key).map_err(|error| bad(key, error, PEM))?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = format!("mode {:04o} lets others use the key", mode & 0o777);
        return Err(bad(key, what, &format!("chmod 600 {}", key.display())));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error, PEM))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(certificate, error, "report it"))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| bad(path, error, PEM))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build().map_err(|error| bad(path, error, PEM))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, private).map_err(|error| {
        bad(certificate, error, "name the certificate and the key that belongs to it")
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if client_ca.is_some() {
        // A session that is resumed shows no certificate, which may be over by then.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Current { config: Arc::new(config), expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(directory: &Path) -> ServerTls {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let put = |name: &str, text: String, mode| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        ServerTls {
            certificate: put("weir.pem", made.cert.pem(), 0o644),
            key: put("weir.key", made.signing_key.serialize_pem(), 0o600),
            client_ca: None,
        }
    }

    #[test]
    fn what_can_not_be_served_says_which_file_and_leaves_the_old_ones_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let good = files(directory.path());
        let tls = Tls::read(good.clone()).unwrap();
        assert!(tls.expires() > 1_700_000_000);
        let before = tls.config();
        let refused = |what: &str, remedy: &str| {
            let refused = tls.refresh().unwrap_err().to_string();
            assert!(refused.contains(what) && refused.contains(remedy), "{refused}");
            assert!(Arc::ptr_eq(&tls.config(), &before));
        };
        fs::set_permissions(&good.key, fs::Permissions::from_mode(0o640)).unwrap();
        refused("mode 0640 lets others use the key", &format!("chmod 600 {}", good.key.display()));
        fs::set_permissions(&good.key, fs::Permissions::from_mode(0o600)).unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::copy(files(other.path()).key, &good.key).unwrap();
        refused("weir.pem", "the key that belongs to it");
        fs::write(&good.certificate, "nothing").unwrap();
        refused("there is no certificate in it", "weir.pem");
        fs::remove_file(&good.certificate).unwrap();
        refused("weir.pem", "PEM file");
        files(directory.path());
        tls.refresh().unwrap();
        assert!(!Arc::ptr_eq(&tls.config(), &before));
    }
}
