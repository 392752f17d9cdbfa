//! [`DeliveryClient`]: sends one delivery over a connection of its own.
//!
//! The host is resolved once, every address is checked, and the connection goes to a checked address: a name that
//! resolves to another address a moment later changes nothing. Redirects are not followed, and no proxy is used.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use factum::store::BoxError;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::address::AddressRules;
use crate::webhooks::domain::TargetUrl;

/// The maximum size of the body of an answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// The maximum number of addresses of a host that are tried.
const MAX_ADDRESSES: usize = 4;

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("spec-service/", env!("CARGO_PKG_VERSION")));

/// Sends deliveries to the addresses that its rules permit.
#[derive(Clone)]
pub struct DeliveryClient {
    rules: AddressRules,
    timeout: Duration,
    tls: TlsConnector,
}

/// The answer of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverAnswer {
    /// The status code.
    pub status: u16,
    /// The pause that the receiver asks for in `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// The reason why a delivery got no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The host cannot be resolved.
    #[error("host cannot be resolved: {host}")]
    Resolve {
        /// The host.
        host: String,
        /// The reason.
        source: std::io::Error,
    },
    /// The host has no address.
    #[error("host has no address: {host}")]
    NoAddress {
        /// The host.
        host: String,
    },
    /// The rules forbid the address of the host.
    #[error("address not allowed: {address}; see WEBHOOK_ALLOWED_NETWORKS")]
    Forbidden {
        /// The address.
        address: IpAddr,
    },
    /// The URL is not encrypted, and the address is not in an allowed network.
    #[error("delivery without encryption to {address}; use https, or see WEBHOOK_ALLOWED_NETWORKS")]
    NotEncrypted {
        /// The address.
        address: IpAddr,
    },
    /// No connection can be made.
    #[error("connection failed")]
    Connect(#[source] std::io::Error),
    /// The receiver cannot prove its name.
    #[error("the TLS handshake failed")]
    Tls(#[source] BoxError),
    /// The answer is not HTTP, or the connection ended before it.
    #[error("no valid answer")]
    Answer(#[source] BoxError),
    /// The delivery took too long.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
}

impl DeliveryClient {
    /// Creates a client with the certificates of the operating system.
    #[must_use]
    pub fn new(rules: AddressRules, timeout: Duration) -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (_, ignored) = roots.add_parsable_certificates(found.certs);
        if roots.is_empty() || ignored > 0 {
            let (valid, errors) = (roots.len(), found.errors.len());
            tracing::warn!(
                valid,
                ignored,
                errors,
                "some root certificates cannot be used"
            );
        }
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            rules,
            timeout,
            tls: TlsConnector::from(Arc::new(tls)),
        }
    }

    /// Sends `body` to `url`, and returns the answer.
    ///
    /// # Errors
    /// Returns [`DeliveryError`] if there is no answer. The receiver may have got the delivery nevertheless.
    pub async fn send(
        &self,
        url: &TargetUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<ReceiverAnswer, DeliveryError> {
        let sent = self.send_without_timeout(url, headers, body);
        let timeout = self.timeout;
        tokio::time::timeout(timeout, sent)
            .await
            .unwrap_or(Err(DeliveryError::Timeout(timeout)))
    }

    async fn send_without_timeout(
        &self,
        url: &TargetUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<ReceiverAnswer, DeliveryError> {
        let stream = connect(&self.resolve(url).await?).await?;
        if !url.is_encrypted() {
            return exchange(stream, request(url, headers, body)?).await;
        }
        let name = ServerName::try_from(url.host().to_owned());
        let name = name.map_err(|error| DeliveryError::Tls(error.into()))?;
        let stream = self.tls.connect(name, stream).await;
        let stream = stream.map_err(|error| DeliveryError::Tls(error.into()))?;
        exchange(stream, request(url, headers, body)?).await
    }

    /// Resolves the host of `url`, and checks all its addresses.
    async fn resolve(&self, url: &TargetUrl) -> Result<Vec<SocketAddr>, DeliveryError> {
        let (host, port) = (url.host().to_owned(), url.port());
        let found = lookup_host((host.clone(), port)).await;
        let found: Vec<SocketAddr> = match found {
            Ok(found) => found.take(MAX_ADDRESSES).collect(),
            Err(source) => return Err(DeliveryError::Resolve { host, source }),
        };
        for address in found.iter().map(SocketAddr::ip) {
            if !self.rules.permits(address) {
                return Err(DeliveryError::Forbidden { address });
            }
            if !url.is_encrypted() && !self.rules.is_listed(address) {
                return Err(DeliveryError::NotEncrypted { address });
            }
        }
        match found.is_empty() {
            true => Err(DeliveryError::NoAddress { host }),
            false => Ok(found),
        }
    }
}

/// Connects to the first of the checked addresses that accepts.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, DeliveryError> {
    let stream = TcpStream::connect(addresses).await;
    let stream = stream.map_err(DeliveryError::Connect)?;
    stream.set_nodelay(true).map_err(DeliveryError::Connect)?;
    Ok(stream)
}

fn request(
    url: &TargetUrl,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<Request<Body>, DeliveryError> {
    let invalid = |error: axum::http::Error| DeliveryError::Answer(error.into());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(url.path())
        .header(header::HOST, url.authority())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Body::from(body))
        .map_err(invalid)?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// Sends the request, and reads the answer.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
) -> Result<ReceiverAnswer, DeliveryError> {
    let failed = |error: hyper::Error| DeliveryError::Answer(error.into());
    let opened = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(failed)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        // A part of the body is read, so that the receiver does not see a broken connection. A long one is cut off.
        let _ = to_bytes(Body::new(response.into_body()), MAX_ANSWER).await;
        Ok(ReceiverAnswer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
        })
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            // The answer may have arrived with the end of the connection.
            Ok(()) => answer.await,
            Err(error) => Err(failed(error)),
        },
    }
}
