//! [`AccessLayer`]: recognizes the caller of each request before a service receives it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use factum_server::net::ConnectionInfo;
use factum_store_protocol::refusal::store_status;
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::authenticator::{Authenticator, ClientOrigin};
use super::permission::Permission;
use super::policy::ClientCertificate;
use super::principal::Principal;
use super::rpcs::{Need, need_of};

/// A layer that recognizes the caller of each request.
///
/// The caller becomes an extension of the request. A call ends when the credentials of its caller are revoked or expire,
/// whatever its service does.
#[derive(Clone)]
pub struct AccessLayer {
    /// `None` if the server has no access control.
    authenticator: Option<Arc<Authenticator>>,
}

impl AccessLayer {
    /// Creates the layer; without an authenticator, it passes every request.
    #[must_use]
    pub fn new(authenticator: Option<Arc<Authenticator>>) -> Self {
        Self { authenticator }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = AccessService<S>;

    fn layer(&self, inner: S) -> AccessService<S> {
        AccessService {
            inner,
            authenticator: self.authenticator.clone(),
        }
    }
}

/// The service of [`AccessLayer`].
#[derive(Clone)]
pub struct AccessService<S> {
    inner: S,
    authenticator: Option<Arc<Authenticator>>,
}

impl<S> Service<Request<Body>> for AccessService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(authenticator) = self.authenticator.clone() else {
            return Box::pin(self.inner.call(request));
        };
        // The service that is ready is the one that must be called.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let caller = match recognize(&authenticator, &head).await {
                Ok(caller) => caller,
                Err(status) => return Ok(status.into_http()),
            };
            let Some(caller) = caller else {
                return inner.call(Request::from_parts(head, body)).await;
            };
            head.extensions.insert(caller.clone());
            let response = inner.call(Request::from_parts(head, body)).await?;
            Ok(response.map(|body| Body::new(RevocableBody::new(body, caller))))
        })
    }
}

/// Returns the caller of a request; `None` if everybody may call its RPC.
async fn recognize(
    authenticator: &Authenticator,
    request: &Parts,
) -> Result<Option<Principal>, Status> {
    let path = request.uri.path();
    let need = need_of(path);
    if need == Some(Need::Nothing) {
        return Ok(None);
    }
    let peer = peer(request);
    let caller = authenticator.authenticate(&request.headers, &peer).await?;
    match need {
        Some(Need::Admin) => {
            let allowed = caller.require(Permission::Admin, path);
            allowed.map_err(|error| with_exception(store_status(&error)))?;
        }
        Some(_) => {}
        // Nobody has decided who may call it.
        None => return Err(Status::unimplemented(format!("unknown method: {path}"))),
    }
    Ok(Some(caller))
}

fn peer(request: &Parts) -> ClientOrigin {
    let connection = request.extensions.get::<ConnectionInfo>();
    ClientOrigin {
        address: connection.map(|connection| connection.peer().ip()),
        certificate: connection
            .and_then(ConnectionInfo::certificate)
            .and_then(ClientCertificate::new),
    }
}

/// Adds the trailer by which clients of KurrentDB's protocol recognize a missing permission.
fn with_exception(mut status: Status) -> Status {
    if status.code() == tonic::Code::PermissionDenied {
        let value = tonic::metadata::MetadataValue::from_static("access-denied");
        status.metadata_mut().insert("exception", value);
    }
    status
}

/// The body of a response, which ends when the credentials of the caller are revoked or expire.
struct RevocableBody {
    inner: Body,
    caller: Principal,
    /// Waits for the revocation. Created when the body is pending for the first time.
    revoked: Option<BoxFuture<'static, Status>>,
    has_ended: bool,
}

impl RevocableBody {
    fn new(inner: Body, caller: Principal) -> Self {
        Self {
            inner,
            caller,
            revoked: None,
            has_ended: false,
        }
    }
}

impl HttpBody for RevocableBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        // A body that always has data reads from the store, which checks the caller itself.
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let caller = self.caller.clone();
        let revoked = self
            .revoked
            .get_or_insert_with(|| Box::pin(async move { store_status(&caller.revoked().await) }));
        let status = std::task::ready!(revoked.as_mut().poll(context));
        self.has_ended = true;
        // Ends the work of the service.
        self.inner = Body::empty();
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(match status.add_header(&mut trailers) {
            Ok(()) => Ok(Frame::trailers(trailers)),
            Err(_) => Err(status),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.has_ended {
            true => SizeHint::with_exact(0),
            false => self.inner.size_hint(),
        }
    }
}
