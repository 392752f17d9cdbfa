//! The headers of requests and responses.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use factum::Position;
use factum_server::trace::trace_parent;
use uuid::Uuid;

use super::conditions::EntityTag;
use super::header_value::{invalid_header, single};
use super::number::number;
use super::problem::Problem;
use crate::access::domain::Caller;
use crate::app::RequestContext;

pub const ACTOR: HeaderName = HeaderName::from_static("x-actor");
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub const POSITION: HeaderName = HeaderName::from_static("x-position");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The maximum length of the actor, in bytes.
const MAX_ACTOR_BYTES: usize = 200;

/// An extractor of the caller and the conditions, without the expected revision.
pub struct CallContext(pub RequestContext);

impl<S: Sync> FromRequestParts<S> for CallContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let actor = single(headers, &ACTOR)?
            .map(str::trim)
            .filter(|actor| !actor.is_empty());
        if let Some(actor) = actor.filter(|actor| actor.len() > MAX_ACTOR_BYTES) {
            let bytes = actor.len();
            let detail = format!("{ACTOR} too long: {bytes} bytes; the limit is {MAX_ACTOR_BYTES}");
            return Err(Problem::malformed(detail));
        }
        Ok(Self(RequestContext {
            caller: Caller::development(actor),
            correlation_id: correlation_id(headers)?,
            trace_parent: trace_parent(headers).map(str::to_owned),
            idempotency_key: single(headers, &IDEMPOTENCY_KEY)?.map(str::to_owned),
            expected_revision: None,
            reason: None,
        }))
    }
}

/// An extractor of the position that a list must have reached.
pub struct MinPosition(pub Option<Position>);

impl<S: Sync> FromRequestParts<S> for MinPosition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let position = single(&parts.headers, &POSITION)?;
        let position = position.map(|text| number(text).ok_or(text)).transpose();
        let position = position.map_err(|_| invalid_header(&POSITION, "a number"))?;
        Ok(Self(position.map(Position::new)))
    }
}

/// An extractor of the id of the last server-sent event that the client has received.
pub struct LastEventId(pub Option<u64>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let last = single(&parts.headers, &LAST_EVENT_ID)?.filter(|last| !last.is_empty());
        let last = last.map(|text| number(text).ok_or(text)).transpose();
        last.map(Self)
            .map_err(|_| invalid_header(&LAST_EVENT_ID, "the id of an event"))
    }
}

/// Returns the headers of the response to a write: the entity tag of the revision, and the position.
pub fn write_headers(revision: u64, position: Position) -> [(HeaderName, String); 2] {
    [
        EntityTag::json(revision).header(),
        (POSITION, position.get().to_string()),
    ]
}

/// Rejects a request whose head is ambiguous, whatever its route.
pub async fn check_head(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    for name in [&ACTOR, &POSITION, &IDEMPOTENCY_KEY, &header::CONTENT_TYPE] {
        single(headers, name)?;
    }
    correlation_id(headers)?;
    check_host(request)
}

/// Checks `Host`, which HTTP/1.1 requires (RFC 9112, 3.2). HTTP/2 has it in `:authority` instead.
fn check_host(request: &Request) -> Result<(), Problem> {
    match single(request.headers(), &header::HOST)? {
        Some(host) if !host.is_empty() => match host.parse::<Authority>() {
            Ok(authority) if !authority.as_str().contains('@') => Ok(()),
            _ => Err(invalid_header(
                &header::HOST,
                "a host with an optional port",
            )),
        },
        None if request.version() == Version::HTTP_11 => {
            let detail = format!("missing header: {}; HTTP/1.1 requires it", header::HOST);
            Err(Problem::malformed(detail))
        }
        _ => Ok(()),
    }
}

/// Returns the correlation id of a request.
fn correlation_id(headers: &HeaderMap) -> Result<Option<Uuid>, Problem> {
    let id = single(headers, &CORRELATION_ID)?
        .map(str::parse)
        .transpose();
    id.map_err(|_| invalid_header(&CORRELATION_ID, "a UUID"))
}

/// Adds the correlation id of the request to the response. A request without a valid one gets a new id.
pub async fn echo_correlation_id(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let id = correlation_id(headers).ok().flatten();
    let id = id.unwrap_or_else(Uuid::now_v7).hyphenated().to_string();
    let id = HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static(""));
    // An invalid id is rejected later.
    headers.entry(CORRELATION_ID).or_insert_with(|| id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(CORRELATION_ID, id);
    response
}
