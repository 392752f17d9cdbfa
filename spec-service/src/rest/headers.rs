//! The headers of requests and responses.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use factum::Position;
use uuid::Uuid;

use super::problem::Problem;
use crate::app::{RequestContext, WriteResult};

pub const ACTOR: HeaderName = HeaderName::from_static("x-actor");
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub const POSITION: HeaderName = HeaderName::from_static("x-position");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The maximum length of the actor, in bytes.
const MAX_ACTOR_BYTES: usize = 200;

/// An extractor of the caller and the conditions, without the expected revision.
pub struct Caller(pub RequestContext);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let actor = text(headers, &ACTOR)?
            .map(str::trim)
            .filter(|actor| !actor.is_empty());
        if let Some(actor) = actor.filter(|actor| actor.len() > MAX_ACTOR_BYTES) {
            let bytes = actor.len();
            let detail = format!("{ACTOR} too long: {bytes} bytes; the limit is {MAX_ACTOR_BYTES}");
            return Err(Problem::malformed(detail));
        }
        let correlation_id = text(headers, &CORRELATION_ID)?.map(str::parse).transpose();
        Ok(Self(RequestContext {
            actor: actor.map(str::to_owned),
            correlation_id: correlation_id
                .map_err(|_| invalid_header(&CORRELATION_ID, "a UUID"))?,
            trace_parent: text(headers, &TRACE_PARENT)?.map(str::to_owned),
            idempotency_key: text(headers, &IDEMPOTENCY_KEY)?.map(str::to_owned),
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
        let position = text(&parts.headers, &POSITION)?.map(str::parse).transpose();
        let position = position.map_err(|_| invalid_header(&POSITION, "a number"))?;
        Ok(Self(position.map(Position::new)))
    }
}

/// Returns the headers of the response to a write: the entity tag and the position of the write.
pub fn write_headers(written: &WriteResult) -> [(HeaderName, String); 2] {
    [
        etag(written.revision),
        (POSITION, written.position.get().to_string()),
    ]
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes());
    text.map(Some)
        .map_err(|_| invalid_header(name, "UTF-8 text"))
}

fn invalid_header(name: &HeaderName, expected: &str) -> Problem {
    Problem::malformed(format!("invalid header {name}; expected {expected}"))
}

/// The revisions in the entity tags of `If-Match` or `If-None-Match`.
#[derive(Debug, PartialEq, Eq)]
pub enum EntityTags {
    /// The header is absent.
    Absent,
    /// The header is `*`, which matches any revision.
    Any,
    /// The header is a list. Tags that are not revisions are left out.
    Some(Vec<u64>),
}

impl EntityTags {
    pub fn if_match(headers: &HeaderMap) -> Result<Self, Problem> {
        // `If-Match` uses the strong comparison (RFC 9110, 13.1.1), so weak tags never match.
        Self::read(headers, &header::IF_MATCH, |tag| {
            (!tag.starts_with("W/")).then_some(tag)
        })
    }

    pub fn if_none_match(headers: &HeaderMap) -> Result<Self, Problem> {
        Self::read(headers, &header::IF_NONE_MATCH, |tag| {
            Some(tag.strip_prefix("W/").unwrap_or(tag))
        })
    }

    fn read(
        headers: &HeaderMap,
        name: &HeaderName,
        comparable: impl Fn(&str) -> Option<&str>,
    ) -> Result<Self, Problem> {
        let mut revisions = Vec::new();
        let mut found = false;
        for value in headers.get_all(name) {
            found = true;
            let malformed = || invalid_header(name, "`*` or a list of entity tags");
            let value = value.to_str().map_err(|_| malformed())?;
            if value.trim() == "*" {
                return Ok(Self::Any);
            }
            for tag in value.split(',').map(str::trim) {
                let opaque = tag.strip_prefix("W/").unwrap_or(tag);
                if opaque.len() < 2 || !opaque.starts_with('"') || !opaque.ends_with('"') {
                    return Err(malformed());
                }
                revisions.extend(comparable(tag).and_then(revision));
            }
        }
        Ok(if found {
            Self::Some(revisions)
        } else {
            Self::Absent
        })
    }

    pub fn contain(&self, revision: u64) -> bool {
        match self {
            Self::Absent => false,
            Self::Any => true,
            Self::Some(revisions) => revisions.contains(&revision),
        }
    }
}

/// Returns the revision of an entity tag that [`etag`] or [`yaml_etag`] created.
fn revision(tag: &str) -> Option<u64> {
    let opaque = tag.trim_matches('"');
    opaque.strip_suffix("-yaml").unwrap_or(opaque).parse().ok()
}

/// Returns the entity tag of the JSON representation of a revision.
pub fn etag(revision: u64) -> (HeaderName, String) {
    (header::ETAG, format!("\"{revision}\""))
}

/// Returns the entity tag of the YAML representation of a revision.
pub fn yaml_etag(revision: u64) -> (HeaderName, String) {
    (header::ETAG, format!("\"{revision}-yaml\""))
}

/// Adds the correlation id of the request to the response. A request without one gets a new id.
pub async fn echo_correlation_id(mut request: Request, next: Next) -> Response {
    let received = request.headers().get(&CORRELATION_ID).cloned();
    let id = received.unwrap_or_else(|| {
        let new_id = Uuid::now_v7().hyphenated().to_string();
        HeaderValue::try_from(new_id).unwrap_or_else(|_| HeaderValue::from_static(""))
    });
    request.headers_mut().insert(CORRELATION_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(CORRELATION_ID, id);
    response
}
