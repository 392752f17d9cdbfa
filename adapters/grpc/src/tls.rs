//! [`ClientTls`]: the certificates of a connection.

use std::error::Error as _;

use factum_core::error::StoreError;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// The certificates of a connection, in PEM.
#[derive(Clone, Default)]
pub struct ClientTls {
    /// The certificate authorities of servers; those of the operating system if there are none.
    pub ca: Option<Vec<u8>>,
    /// The certificate of the client, and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name that the certificate of the server must have.
    pub server_name: Option<String>,
}

impl ClientTls {
    /// Adds the certificates to an endpoint with `https://`.
    pub fn configure(self, endpoint: Endpoint) -> Result<Endpoint, StoreError> {
        let is_set = self.ca.is_some() || self.identity.is_some() || self.server_name.is_some();
        if endpoint.uri().scheme_str() != Some("https") {
            return match is_set {
                true => Err(StoreError::CannotOpen(
                    "settings of TLS without TLS; use an address with `https://`".to_owned(),
                )),
                false => Ok(endpoint),
            };
        }
        let mut config = ClientTlsConfig::new();
        config = match self.ca {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_native_roots(),
        };
        if let Some((certificate, key)) = self.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        if let Some(name) = self.server_name {
            config = config.domain_name(name);
        }
        endpoint.tls_config(config).map_err(|error| {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            StoreError::CannotOpen(format!(
                "invalid certificate or key of TLS: {cause}; expected PEM"
            ))
        })
    }
}
