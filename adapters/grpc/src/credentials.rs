//! [`AuthorizationHeader`]: the credentials of a client, which each call sends.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use factum_core::error::StoreError;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Uri};
use tonic::{Request, Status};

/// The connection to a server, which sends the credentials with each call.
pub type Connection = InterceptedService<Channel, AuthorizationHeader>;

/// The metadata entry `authorization` of each call, if the client has credentials.
#[derive(Clone, Default)]
pub struct AuthorizationHeader(Option<MetadataValue<Ascii>>);

impl AuthorizationHeader {
    /// Sends a token, as in RFC 6750.
    pub fn bearer(token: &str) -> Self {
        Self::new(&format!("Bearer {token}"))
    }

    /// Sends a user and a password, as in RFC 7617.
    pub fn basic(user: &str, password: &str) -> Self {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        Self::new(&format!("Basic {encoded}"))
    }

    /// Creates the entry; a value that a header cannot have becomes empty, and is rejected later.
    fn new(value: &str) -> Self {
        let value = value.parse().unwrap_or(MetadataValue::from_static(""));
        let mut value: MetadataValue<Ascii> = value;
        value.set_sensitive(true);
        Self(Some(value))
    }

    /// Checks that the credentials can be sent to `address`.
    ///
    /// They must be encrypted, unless the server is on this machine.
    pub fn check(&self, address: &Uri) -> Result<(), StoreError> {
        let Some(value) = &self.0 else {
            return Ok(());
        };
        if value.is_empty() {
            let rule = "invalid token; expected visible ASCII characters";
            return Err(StoreError::CannotOpen(rule.to_owned()));
        }
        let host = address.host().unwrap_or_default();
        let is_local = ["localhost", "[::1]"].contains(&host) || host.starts_with("127.");
        if address.scheme_str() == Some("https") || is_local {
            return Ok(());
        }
        Err(StoreError::CannotOpen(format!(
            "credentials for {host:?} would not be encrypted; use an address with `https://`"
        )))
    }
}

impl fmt::Debug for AuthorizationHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "AuthorizationHeader(***)",
            None => "AuthorizationHeader(none)",
        })
    }
}

impl Interceptor for AuthorizationHeader {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            let entries = request.metadata_mut();
            entries.insert("authorization", value.clone());
        }
        Ok(request)
    }
}
