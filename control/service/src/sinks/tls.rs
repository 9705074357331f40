//! TLS towards a collector: who signs it is said by the configuration and by nobody else, its
//! certificate is checked always, and the files are read anew for every connection, so that new
//! certificates need no restart.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use weir_policy::TlsConfig;

use super::Failure;

/// What is wrong with a file.
#[derive(Debug)]
pub(super) struct BadFile {
    pub(super) path: String,
    pub(super) reason: String,
}

fn bad(path: &Path, reason: impl ToString) -> BadFile {
    BadFile { path: path.display().to_string(), reason: reason.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| bad(path, error))?;
    let read: Result<Vec<_>, _> = read.collect();
    let read = read.map_err(|error| bad(path, error))?;
    if read.is_empty() { Err(bad(path, "there is no certificate in it")) } else { Ok(read) }
}

/// Reads the files of a sink.
pub(super) fn client(files: &TlsConfig) -> Result<Arc<ClientConfig>, BadFile> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(|error| bad(&files.ca, error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&files.ca, error))?
        .with_root_certificates(roots);
    let config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let mode = fs::metadata(key).map_err(|error| bad(key, error))?.permissions().mode();
            if mode & 0o007 != 0 {
                return Err(bad(key, "everybody may read it: chmod 600"));
            }
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error))?;
            let built = builder.with_client_auth_cert(chain, private);
            built.map_err(|error| bad(certificate, error))?
        }
    };
    Ok(Arc::new(config))
}

/// Why TLS failed, as rustls says it through the stream's error.
pub(super) fn failure(error: &io::Error) -> Failure {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>())
    else {
        return Failure::Tls;
    };
    match error {
        rustls::Error::InvalidCertificate(invalid) => match invalid {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Failure::Expired,
            _ => Failure::Certificate,
        },
        _ => Failure::Tls,
    }
}
