//! [`TlsFiles`]: the files of a server, and the configuration that they result in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tracing::warn;

use super::certificate::{PeerCertificate, unix_time};
use super::error::TlsError;
use crate::metrics::record_certificate_expiry;

const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";
const CLIENT_CA: &str = "certificate authority of clients";

/// The files of the certificate and the key of a server, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the server, followed by those of its issuers without the root.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// The certificate authorities of clients. If set, every client must have a certificate.
    pub client_ca: Option<PathBuf>,
    /// The application protocols in order of preference, for example `h2`.
    pub protocols: Vec<&'static str>,
}

impl TlsFiles {
    /// Loads the files.
    pub(super) fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let certificates = certificates(CERTIFICATE, &self.certificate)?;
        self.check_expiry(&certificates[0]);
        let key = PrivateKeyDer::from_pem_file(&self.key);
        let key = key.map_err(|error| match error {
            pem::Error::NoItemsFound => missing(KEY, "PRIVATE KEY", &self.key),
            error => unusable(KEY, &self.key, error),
        })?;
        let provider = Arc::new(ring::default_provider());
        let rejected = |source| TlsError::Rejected {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        };
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(rejected)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in self::certificates(CLIENT_CA, path)? {
                    let added = roots.add(authority);
                    added.map_err(|source| TlsError::RejectedAuthority {
                        path: path.clone(),
                        source,
                    })?;
                }
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                let verifier = verifier.map_err(|source| TlsError::RejectedVerifier {
                    path: path.clone(),
                    source,
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(certificates, key);
        let mut config = config.map_err(rejected)?;
        let protocols = self.protocols.iter();
        config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// Warns if the certificate has expired, and records the end of its validity.
    fn check_expiry(&self, certificate: &CertificateDer<'_>) {
        let Some(certificate) = PeerCertificate::parse(certificate) else {
            return;
        };
        let not_after = certificate.not_after();
        record_certificate_expiry(not_after);
        if not_after < unix_time() {
            let path = self.certificate.display();
            warn!(%path, not_after, "the certificate has expired; clients reject it");
        }
    }
}

fn certificates(
    content: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |error| unusable(content, path, error);
    let found = CertificateDer::pem_file_iter(path).map_err(unusable)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unusable)?;
    match found.is_empty() {
        true => Err(missing(content, "CERTIFICATE", path)),
        false => Ok(found),
    }
}

fn missing(content: &'static str, section: &'static str, path: &Path) -> TlsError {
    TlsError::Missing {
        content,
        section,
        path: path.to_owned(),
    }
}

fn unusable(content: &'static str, path: &Path, error: pem::Error) -> TlsError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => TlsError::Unreadable {
            content,
            path,
            source,
        },
        source => TlsError::Malformed {
            content,
            path,
            source,
        },
    }
}
