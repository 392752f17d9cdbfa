//! Strict extractors for request bodies, paths and query parameters.

use axum::body::Bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::content_type::{MediaType, content_type};
use super::names::{ObjectKeys, WrongName, find_wrong_name};
use super::number::{number, shortened};
use super::problem::Problem;
use crate::specs::domain::SpecId;

/// An extractor of the id in the path.
pub struct Id(pub SpecId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct IdSegment {
            id: String,
        }
        let Path(IdSegment { id }) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| path_error(&rejection))?;
        let id: Uuid = id.parse().map_err(|_| {
            let id = shortened(&id);
            Problem::malformed(format!("invalid id in the path: {id:?}; expected a UUID"))
        })?;
        Ok(Self(SpecId(id)))
    }
}

/// An extractor of the version in the path.
pub struct VersionNumber(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for VersionNumber {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct VersionSegment {
            version: String,
        }
        let Path(VersionSegment { version }) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| path_error(&rejection))?;
        number(&version).map(Self).ok_or_else(|| {
            let version = shortened(&version);
            Problem::malformed(format!(
                "invalid version in the path: {version:?}; expected a number"
            ))
        })
    }
}

/// Converts the rejection of the path. All segments are texts, so one can only be other than UTF-8.
fn path_error(rejection: &PathRejection) -> Problem {
    if let PathRejection::FailedToDeserializePathParams(failed) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = failed.kind()
    {
        let detail = format!("invalid {key} in the path: not UTF-8; send percent-encoded UTF-8");
        return Problem::malformed(detail);
    }
    Problem::internal()
}

/// An extractor of the query parameters.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| query_error(&rejection))?;
        let names = pairs.iter().map(|(name, _)| name.as_str());
        if let Some(wrong) = find_wrong_name::<T>("query parameter", names) {
            return Err(Problem::malformed(wrong.detail));
        }
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(parameters)| Self(parameters))
            .map_err(|rejection| query_error(&rejection))
    }
}

/// Converts the rejection of a query. Its source is the name and the reason.
fn query_error(rejection: &QueryRejection) -> Problem {
    let detail = match std::error::Error::source(rejection) {
        Some(reason) => format!("invalid query parameter: {reason}"),
        None => "invalid query; send `name=value`, separated by `&`".to_owned(),
    };
    Problem::malformed(detail)
}

/// An extractor for routes without query parameters.
pub struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}
        let Parameters(Empty {}) = Parameters::from_request_parts(parts, state).await?;
        Ok(Self)
    }
}

/// An extractor of a body: a JSON object, or a content as YAML.
pub enum Body {
    Json(Bytes),
    Yaml(Bytes),
    /// The body is empty. The content type is ignored.
    Empty,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = content_type(request.headers())?;
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| body_error(&rejection))?;
        match media_type {
            _ if bytes.is_empty() => Ok(Self::Empty),
            MediaType::Json => Ok(Self::Json(bytes)),
            MediaType::Yaml => Ok(Self::Yaml(bytes)),
            MediaType::Other => Err(unsupported("application/json or application/yaml")),
        }
    }
}

impl Body {
    /// Deserializes a JSON object. An empty body is an empty object, and YAML is rejected.
    pub fn object<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        match self {
            Self::Empty => Ok(T::default()),
            Self::Json(bytes) => from_json(bytes),
            Self::Yaml(_) => Err(unsupported("application/json")),
        }
    }
}

fn unsupported(supported: &str) -> Problem {
    let detail = format!("unsupported content type; send {supported}");
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        detail,
    )
}

fn body_error(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "request body too large";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        }
        _ => Problem::malformed("incomplete request body; send it again"),
    }
}

/// Deserializes a JSON object.
///
/// The error names the invalid field, or the line and column of invalid JSON.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde also reads the fields of a struct from an array.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<serde_json::Value>(bytes).map_err(|error| json_error(&error))?;
        let detail = "invalid JSON in the request body: not an object; send an object";
        return Err(Problem::field("invalid_field", "", detail));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().clone();
        let error = error.into_inner();
        match error.classify() {
            serde_json::error::Category::Data => unknown_field::<T>(bytes).unwrap_or_else(|| {
                let detail = format!("invalid field `{path}`: {error}");
                Problem::field("invalid_field", &pointer(&path), detail)
            }),
            _ => json_error(&error),
        }
    })?;
    json.end().map_err(|error| json_error(&error))?;
    Ok(value)
}

/// Returns the problem of a field of the object that is repeated, or that `T` does not have.
fn unknown_field<T: DeserializeOwned>(bytes: &[u8]) -> Option<Problem> {
    let ObjectKeys(keys) = serde_json::from_slice(bytes).ok()?;
    let keys = keys.iter().map(String::as_str);
    let WrongName { name, detail } = find_wrong_name::<T>("field", keys)?;
    let pointer = limited(format!("/{}", escaped(name)));
    Some(Problem::field("invalid_field", &pointer, detail))
}

fn json_error(error: &serde_json::Error) -> Problem {
    let problem = Problem::malformed(format!("invalid JSON in the request body: {error}"));
    problem
        .fact("line", error.line())
        .fact("column", error.column())
}

/// Returns the JSON pointer of `path` (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escaped(key)),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    });
    limited(segments.collect())
}

/// Escapes a key for a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Returns the pointer, or the pointer of the body if it is too long to repeat.
fn limited(pointer: String) -> String {
    const MAX: usize = 200;
    Some(pointer)
        .filter(|pointer| pointer.len() <= MAX)
        .unwrap_or_default()
}

/// Returns the value of a required field.
pub fn required(field: Option<String>, name: &str) -> Result<String, Problem> {
    field.ok_or_else(|| {
        Problem::field(
            "field_missing",
            &format!("/{name}"),
            format!("missing field: `{name}`"),
        )
    })
}
