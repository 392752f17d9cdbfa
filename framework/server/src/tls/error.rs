//! [`TlsError`]: a file that cannot be used.

use std::path::PathBuf;

use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem;
use tokio_rustls::rustls::server::VerifierBuilderError;

/// A file of [`TlsFiles`](super::TlsFiles) that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "cannot read the {content} from {path:?}; check that the file exists and the server may read it"
    )]
    Unreadable {
        /// The expected content.
        content: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file does not have the expected content.
    #[error("no {content} in {path:?}; expected PEM with a section {section}")]
    Missing {
        /// The expected content.
        content: &'static str,
        /// The section that the file must have.
        section: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A file is not PEM.
    #[error("the {content} in {path:?} is not valid PEM; write it again from its source")]
    Malformed {
        /// The expected content.
        content: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        source: pem::Error,
    },
    /// The certificate or the key is not valid, or they do not belong together.
    #[error(
        "cannot use the certificate {certificate:?} with the key {key:?}; the key must be that of the first certificate"
    )]
    Rejected {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The error of the TLS library.
        source: rustls::Error,
    },
    /// A certificate authority for clients is not valid.
    #[error(
        "cannot use the certificate authority of clients in {path:?}; expected X.509 certificates of authorities"
    )]
    RejectedAuthority {
        /// The file.
        path: PathBuf,
        /// The error of the TLS library.
        source: rustls::Error,
    },
    /// Certificates of clients cannot be verified.
    #[error("cannot verify clients with the certificate authority in {path:?}")]
    RejectedVerifier {
        /// The file.
        path: PathBuf,
        /// The error of the TLS library.
        source: VerifierBuilderError,
    },
}
