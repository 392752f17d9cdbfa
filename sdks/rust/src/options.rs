//! [`ClientOptions`]: the address, the encryption and the credentials of a connection.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

use crate::attempts::CallAttempts;

const DEFAULT_PORT: u16 = 50051;

const ADDRESS_RULE: &str = "expected factum://HOST:PORT, or factums://HOST:PORT with TLS";

/// The connection to a server, which sends the credentials with each call.
pub type Connection = InterceptedService<Channel, Authorization>;

/// The settings of a [`Client`](crate::Client).
#[derive(Debug, Clone)]
pub struct ClientOptions {
    address: String,
    credentials: Option<Credentials>,
    tls: Option<ServerTls>,
    connect_timeout: Duration,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempts: CallAttempts,
    pub(crate) reconnect: CallAttempts,
    pub(crate) silence: Duration,
}

/// The credentials of a client.
///
/// They are sent over connections with TLS, or to a server on the same machine.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// A token, which is sent as `authorization: Bearer TOKEN`.
    Token(String),
    /// A user and a password, which are sent as in RFC 7617.
    Basic {
        /// The name of the user.
        user: String,
        /// The password.
        password: String,
    },
}

/// The settings of an encrypted connection. All certificates and keys are in PEM format.
#[derive(Clone, Default)]
pub struct ServerTls {
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

/// The error for settings of a client that are not valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// The address of the server is not valid.
    #[error("invalid address: {address:?}; {rule}")]
    Address {
        /// The address; empty if it contains a password.
        address: String,
        /// The violated rule.
        rule: &'static str,
    },
    /// A token contains characters that a header cannot contain.
    #[error("invalid token; expected visible ASCII characters")]
    Token,
    /// The credentials would not be encrypted on their way to another machine.
    #[error("credentials for {host:?} would not be encrypted; use factums://HOST:PORT")]
    NotEncrypted {
        /// The host of the address.
        host: String,
    },
    /// A certificate or a key is not valid.
    #[error("invalid TLS settings; expected certificates and keys in PEM format")]
    Tls(#[source] tonic::transport::Error),
}

impl ClientOptions {
    /// Creates the settings for the server at `address`, for example `factum://127.0.0.1:50051`.
    ///
    /// The scheme `factums` means TLS. The port is 50051 if there is none.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            credentials: None,
            tls: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Some(Duration::from_secs(30)),
            attempts: CallAttempts::default(),
            reconnect: CallAttempts::unlimited(),
            silence: Duration::from_secs(15),
        }
    }

    /// Sends a token with each call.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        self.credentials(Credentials::Token(token.into()))
    }

    /// Sends a user and a password with each call.
    #[must_use]
    pub fn basic(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials(Credentials::Basic {
            user: user.into(),
            password: password.into(),
        })
    }

    /// Sends credentials with each call.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets the certificates of a connection with TLS; the default is the list of the operating system.
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the time in which a connection must be established; the default is 10 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the timeout of calls, including repetitions; the default is 30 seconds, and `None` means no limit.
    ///
    /// It does not limit reads and subscriptions. A read has a timeout if it is set for this read.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Sets the number of tries of calls, and the pauses between them.
    #[must_use]
    pub fn attempts(mut self, attempts: CallAttempts) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the number of tries of subscriptions and consumers to connect again; the default has no limit.
    #[must_use]
    pub fn reconnect(mut self, attempts: CallAttempts) -> Self {
        self.reconnect = attempts;
        self
    }

    /// Sets the time without a message after which a subscription connects again; the default is 15 seconds.
    ///
    /// The server sends a message at least every 5 seconds.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Creates a connection for the generated clients of the protocol. It connects at its first call.
    ///
    /// # Errors
    /// Returns [`InvalidOptions`] if the address, the token or a certificate is not valid, or if credentials would not be
    /// encrypted.
    pub fn connect(&self) -> Result<Connection, InvalidOptions> {
        let endpoint = self
            .endpoint()?
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        let authorization = Authorization::new(self.credentials.as_ref())?;
        Ok(InterceptedService::new(
            endpoint.connect_lazy(),
            authorization,
        ))
    }

    fn endpoint(&self) -> Result<Endpoint, InvalidOptions> {
        let invalid = |rule| InvalidOptions::Address {
            address: self.address.clone(),
            rule,
        };
        let uri: Uri = self.address.parse().map_err(|_| invalid(ADDRESS_RULE))?;
        let is_encrypted = match uri.scheme_str() {
            Some("factum" | "http") => false,
            Some("factums" | "https") => true,
            _ => return Err(invalid(ADDRESS_RULE)),
        };
        let authority = uri.authority().ok_or_else(|| invalid(ADDRESS_RULE))?;
        if authority.as_str().contains('@') {
            return Err(InvalidOptions::Address {
                address: String::new(),
                rule: "set the user and the password by `basic`",
            });
        }
        if authority.host().is_empty() || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(invalid(ADDRESS_RULE));
        }
        if self.tls.is_some() && !is_encrypted {
            return Err(invalid("TLS needs factums://HOST:PORT"));
        }
        let host = authority.host();
        if self.credentials.is_some() && !is_encrypted && !is_this_machine(host) {
            let host = host.trim_matches(['[', ']']).to_owned();
            return Err(InvalidOptions::NotEncrypted { host });
        }
        let scheme = if is_encrypted { "https" } else { "http" };
        let port = authority.port_u16().unwrap_or(DEFAULT_PORT);
        let url = format!("{scheme}://{host}:{port}");
        let endpoint = Endpoint::from_shared(url).map_err(|_| invalid(ADDRESS_RULE))?;
        if is_encrypted {
            return self.encrypted(endpoint);
        }
        Ok(endpoint)
    }

    #[cfg(feature = "tls")]
    fn encrypted(&self, endpoint: Endpoint) -> Result<Endpoint, InvalidOptions> {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};

        let tls = self.tls.clone().unwrap_or_default();
        let mut config = ClientTlsConfig::new();
        config = match tls.ca {
            Some(ca) => config.ca_certificate(Certificate::from_pem(ca)),
            None => config.with_native_roots(),
        };
        if let Some((certificate, key)) = tls.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        if let Some(name) = tls.server_name {
            config = config.domain_name(name);
        }
        endpoint.tls_config(config).map_err(InvalidOptions::Tls)
    }

    #[cfg(not(feature = "tls"))]
    fn encrypted(&self, _: Endpoint) -> Result<Endpoint, InvalidOptions> {
        Err(InvalidOptions::Address {
            address: self.address.clone(),
            rule: "TLS needs the feature `tls` of the crate",
        })
    }
}

/// Returns whether a host is `localhost` or a loopback address.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

impl ServerTls {
    /// Creates the default settings: the certificates of the operating system, and no certificate of the client.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the certificates of the trusted authorities, instead of those of the operating system.
    #[must_use]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// Sets the certificate and the private key of the client, for servers that ask for one.
    #[must_use]
    pub fn identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Sets the name in the certificate of the server, if it differs from the host of the address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish(),
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("has_ca", &self.ca.is_some())
            .field("has_identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}

/// Adds the credentials to each call.
#[derive(Debug, Clone)]
pub struct Authorization(Option<MetadataValue<Ascii>>);

impl Authorization {
    fn new(credentials: Option<&Credentials>) -> Result<Self, InvalidOptions> {
        let text = match credentials {
            None => return Ok(Self(None)),
            Some(Credentials::Token(token)) => format!("Bearer {token}"),
            Some(Credentials::Basic { user, password }) => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
        };
        let mut value: MetadataValue<Ascii> = text.parse().map_err(|_| InvalidOptions::Token)?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}
