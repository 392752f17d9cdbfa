//! What the headers of a request say.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use factum::Position;
use uuid::Uuid;

use super::problem::Problem;
use crate::app::{Context, Written};

pub(super) const ACTOR: HeaderName = HeaderName::from_static("x-actor");
pub(super) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub(super) const POSITION: HeaderName = HeaderName::from_static("x-position");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

const MAX_ACTOR: usize = 200;

/// Who asks, and on what terms; the expected revision comes with [`IfMatch`].
pub(super) struct Caller(pub(super) Context);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let actor = text(headers, &ACTOR)?
            .map(str::trim)
            .filter(|actor| !actor.is_empty());
        if actor.is_some_and(|actor| actor.len() > MAX_ACTOR) {
            let detail = format!("{ACTOR} has more than {MAX_ACTOR} bytes");
            return Err(Problem::malformed(detail));
        }
        let correlation_id = text(headers, &CORRELATION_ID)?.map(str::parse).transpose();
        Ok(Self(Context {
            actor: actor.map(str::to_owned),
            correlation_id: correlation_id
                .map_err(|_| Problem::malformed(format!("{CORRELATION_ID} is no UUID")))?,
            trace_parent: text(headers, &TRACE_PARENT)?.map(str::to_owned),
            idempotency_key: text(headers, &IDEMPOTENCY_KEY)?.map(str::to_owned),
            expected_revision: None,
            reason: None,
        }))
    }
}

/// The position up to which the caller knows what was written.
pub(super) struct Known(pub(super) Option<Position>);

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let position = text(&parts.headers, &POSITION)?.map(str::parse).transpose();
        let position =
            position.map_err(|_| Problem::malformed(format!("{POSITION} is no number")))?;
        Ok(Self(position.map(Position::new)))
    }
}

/// What comes with the answer to every change: the entity tag, and the position that shows it.
pub(super) fn stamps(written: &Written) -> [(HeaderName, String); 2] {
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
        .map_err(|_| Problem::malformed(format!("{name} is not UTF-8")))
}

/// The revisions that `If-Match` or `If-None-Match` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// The header is not there.
    Absent,
    /// `*`: any.
    Any,
    /// One of these. A tag that was never given out is none of them.
    Some(Vec<u64>),
}

impl Tags {
    pub(super) fn if_match(headers: &HeaderMap) -> Result<Self, Problem> {
        // Compared strongly (RFC 9110, 13.1.1): a weak tag never matches.
        Self::read(headers, &header::IF_MATCH, |tag| {
            (!tag.starts_with("W/")).then_some(tag)
        })
    }

    pub(super) fn if_none_match(headers: &HeaderMap) -> Result<Self, Problem> {
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
            let malformed = || Problem::malformed(format!("{name} holds no entity tags"));
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

    pub(super) fn contain(&self, revision: u64) -> bool {
        match self {
            Self::Absent => false,
            Self::Any => true,
            Self::Some(revisions) => revisions.contains(&revision),
        }
    }
}

/// The revision behind a tag that [`etag`] made.
fn revision(tag: &str) -> Option<u64> {
    let opaque = tag.trim_matches('"');
    opaque.strip_suffix("-yaml").unwrap_or(opaque).parse().ok()
}

/// The entity tag of a specification as JSON: its revision.
pub(super) fn etag(revision: u64) -> (HeaderName, String) {
    (header::ETAG, format!("\"{revision}\""))
}

/// The entity tag of its content as YAML: another representation, another tag.
pub(super) fn yaml_etag(revision: u64) -> (HeaderName, String) {
    (header::ETAG, format!("\"{revision}-yaml\""))
}

/// Gives the correlation id of a request back, so that whoever asked can find it in logs and histories.
pub(super) async fn echo_correlation(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(&CORRELATION_ID).cloned();
    let id = given.unwrap_or_else(|| {
        let made = Uuid::now_v7().hyphenated().to_string();
        HeaderValue::try_from(made).unwrap_or_else(|_| HeaderValue::from_static(""))
    });
    request.headers_mut().insert(CORRELATION_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(CORRELATION_ID, id);
    response
}
