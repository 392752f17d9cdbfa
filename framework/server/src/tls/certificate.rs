//! [`PeerCertificate`]: the verified certificate of a client.

use std::time::{SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The facts of a certificate, for example that of a client, which the server has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    subject: String,
    common_name: Option<String>,
    dns_names: Vec<String>,
    not_after: i64,
}

impl PeerCertificate {
    /// Reads the facts of a certificate in DER; returns `None` if it is not X.509.
    #[must_use]
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut common_names = certificate.subject().iter_common_name();
        let common_name = common_names.next().and_then(|name| name.as_str().ok());
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names
            .into_iter()
            .flat_map(|names| &names.value.general_names);
        let dns_names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        Some(Self {
            subject: certificate.subject().to_string(),
            common_name: common_name.map(str::to_owned),
            dns_names: dns_names.collect(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// Returns the distinguished name of the subject, for example `O=Hives, CN=ada`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the common name of the subject.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Returns the DNS names of the subject.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// Returns the end of the validity, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }
}

/// Returns the time of the system, in seconds since 1970.
pub(super) fn unix_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}
