//! The route `GET /v1/audit`.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use factum::Timestamp;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;

use super::app::{AuditQuery, AuditReport};
use super::format::Format;
use crate::access::domain::InvalidScopeId;
use crate::app::AppError;
use crate::rest::Api;
use crate::rest::headers::CallContext;
use crate::rest::input::Parameters;
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::domain::SpecId;

/// The size from which on a part of the body is sent, in bytes.
const CHUNK: usize = 32 * 1024;

/// Forbids scripts and requests, because a report contains texts of many people.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Returns the route of the audit report.
pub fn routes() -> Router<Api> {
    Router::new().route("/v1/audit", get(audit))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditParameters {
    from: Option<String>,
    to: Option<String>,
    actor: Option<String>,
    namespace: Option<String>,
    spec: Option<String>,
    format: Option<String>,
}

impl AuditParameters {
    fn query(&self) -> Result<AuditQuery, Problem> {
        let time = |name: &str, text: &Option<String>| {
            match text {
            None => Ok(None),
            Some(text) => text.parse::<Timestamp>().map(Some).map_err(|_| {
                Problem::malformed(format!(
                    "invalid query parameter: `{name}`; expected a time, such as 2026-11-30T08:00:00Z"
                ))
            }),
        }
        };
        let spec = self.spec.as_deref().map(str::parse).transpose();
        let invalid = |_| Problem::malformed("invalid query parameter: `spec`; expected a UUID");
        let namespace = self.namespace.as_deref().map(str::parse).transpose();
        let namespace =
            namespace.map_err(|error: InvalidScopeId| Problem::malformed(error.to_string()))?;
        Ok(AuditQuery {
            from: time("from", &self.from)?,
            to: time("to", &self.to)?,
            actor: self.actor.clone(),
            namespace,
            spec: spec.map_err(invalid)?.map(SpecId),
        })
    }
}

/// Handles `GET /v1/audit`: the changes with a chain of hashes.
///
/// The query parameters are `from`, `to`, `actor`, `namespace`, `spec` and `format`.
async fn audit(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Parameters(parameters): Parameters<AuditParameters>,
) -> ApiResult {
    let format = match parameters.format.as_deref() {
        None => Format::Json,
        Some(text) => Format::parse(text).ok_or_else(|| {
            Problem::malformed("invalid query parameter: `format`; expected json, csv or html")
        })?,
    };
    let report = api.audit.report(parameters.query()?, &context).await?;
    Ok(respond(report, format))
}

fn respond(report: AuditReport, format: Format) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(format.media_type()),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (headers, Body::from_stream(body(report, format))).into_response()
}

/// The part of the body that comes next.
enum BodyPart {
    Head,
    Records,
    End,
}

/// Returns the parts of the body. Each is read when the client can receive it.
fn body(report: AuditReport, format: Format) -> impl Stream<Item = Result<Bytes, AppError>> {
    unfold(
        (report, BodyPart::Head),
        move |(mut report, part)| async move {
            let (text, next) = match part {
                BodyPart::Head => (Ok(format.head(&report)), BodyPart::Records),
                BodyPart::Records => records(&mut report, format).await,
                BodyPart::End => return None,
            };
            if let Err(error) = &text {
                // The client sees a body without its end.
                tracing::error!(%error, "audit report interrupted");
            }
            Some((text.map(Bytes::from), (report, next)))
        },
    )
}

/// Returns the next records, with the end of the report after the last one.
async fn records(report: &mut AuditReport, format: Format) -> (Result<String, AppError>, BodyPart) {
    let mut text = String::new();
    while text.len() < CHUNK {
        let is_first = report.chain().count() == 0;
        match report.next().await {
            Ok(Some(record)) => text.push_str(&format.record(&record, is_first)),
            Ok(None) => {
                text.push_str(&format.tail(report));
                return (Ok(text), BodyPart::End);
            }
            Err(error) => return (Err(error), BodyPart::End),
        }
    }
    (Ok(text), BodyPart::Records)
}
