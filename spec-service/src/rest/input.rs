//! Bodies and paths, read strictly: what is not understood is rejected, with its place.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::content_type::{Form, of_body};
use super::problem::Problem;
use crate::domain::SpecId;

/// The id in the path.
pub(super) struct Id(pub(super) SpecId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Segment {
            id: String,
        }
        let Path(Segment { id }) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection: PathRejection| Problem::malformed(rejection.body_text()))?;
        let id: Uuid = id
            .parse()
            .map_err(|_| Problem::malformed(format!("{id:.40?} in the path is no UUID")))?;
        Ok(Self(SpecId(id)))
    }
}

/// The version in the path.
pub(super) struct VersionNumber(pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for VersionNumber {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Segment {
            version: String,
        }
        let Path(Segment { version }) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection: PathRejection| Problem::malformed(rejection.body_text()))?;
        let number = version.parse();
        number
            .map(Self)
            .map_err(|_| Problem::malformed(format!("{version:.40?} in the path is no version")))
    }
}

/// The parameters behind the `?`.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(parameters)| Self(parameters))
            .map_err(|rejection: QueryRejection| Problem::malformed(rejection.body_text()))
    }
}

/// The body of a request that brings a content: as a field of a JSON object, or by itself as YAML.
pub(super) enum Body {
    Json(Bytes),
    Yaml(Bytes),
    /// Nothing, of whatever type.
    Empty,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = form(request.headers());
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        match form {
            _ if bytes.is_empty() => Ok(Self::Empty),
            Form::Json => Ok(Self::Json(bytes)),
            Form::Yaml => Ok(Self::Yaml(bytes)),
            Form::Other => Err(unsupported("application/json or application/yaml")),
        }
    }
}

impl Body {
    /// The JSON object of a request that takes nothing else; an empty body is an empty object.
    pub(super) fn object<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        match self {
            Self::Empty => Ok(T::default()),
            Self::Json(bytes) => from_json(bytes),
            Self::Yaml(_) => Err(unsupported("application/json")),
        }
    }
}

fn form(headers: &HeaderMap) -> Form {
    of_body(headers)
}

fn unsupported(supported: &str) -> Problem {
    let detail = format!("the body must be {supported}, and the content-type must say so");
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        detail,
    )
}

fn unread(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "the body of the request is too large";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        }
        _ => Problem::malformed(rejection.body_text()),
    }
}

/// Reads `bytes`; an error says whether they are no JSON at all, or which field is wrong.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().clone();
        let error = error.into_inner();
        match error.classify() {
            serde_json::error::Category::Data => {
                Problem::field("invalid_field", &pointer(&path), error.to_string())
            }
            _ => no_json(&error),
        }
    })?;
    json.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn no_json(error: &serde_json::Error) -> Problem {
    let problem = Problem::malformed(format!("the body is no JSON: {error}"));
    problem
        .fact("line", error.line())
        .fact("column", error.column())
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    });
    segments.collect()
}

/// What a field that must be there holds.
pub(super) fn required(field: Option<String>, name: &str) -> Result<String, Problem> {
    field.ok_or_else(|| {
        Problem::field(
            "field_missing",
            &format!("/{name}"),
            format!("{name} is missing"),
        )
    })
}
