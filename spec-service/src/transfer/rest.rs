//! The routes of import and export.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use factum::Position;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::{ApplyDocument, ApplyRequest, ApplyResult, ExportedVersion, MAX_IMPORT_BYTES};
use super::archive::ArchiveFormat;
use super::change_log::ChangeLog;
use super::line::line;
use crate::app::AppError;
use crate::rest::api::Api;
use crate::rest::headers::{self, CallContext};
use crate::rest::input::{Body, NoParameters, Parameters};
use crate::rest::number::{query_number, shortened};
use crate::rest::openapi::SpecStateName;
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::domain::SpecState;

/// Returns the routes of import and export.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(export))
        .routes(routes!(apply))
        .routes(routes!(import))
        .layer(DefaultBodyLimit::max(MAX_IMPORT_BYTES))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ExportParameters {
    /// The format: `tar`, `zip` (default) or `ndjson`.
    format: Option<String>,
    /// The version of each specification in an archive: `latest` (default) or `published`.
    version: Option<String>,
    /// The namespace of an archive; `default` if absent.
    namespace: Option<String>,
    /// The state of the specifications in an archive. Without it, any state except deleted.
    #[param(value_type = Option<SpecStateName>)]
    state: Option<String>,
    /// The position after which the changes begin, for `ndjson`.
    #[serde(default, deserialize_with = "query_number")]
    after: Option<u64>,
}

/// Handles `GET /v1/export?format=`: an archive with `&version=&state=`, or all changes with `&after=`.
#[utoipa::path(
    get,
    path = "/v1/export",
    operation_id = "export_specs",
    summary = "Export specifications",
    tag = "transfer",
    params(ExportParameters),
    responses((status = 200, description = "The archive, or one change in each line", content(
        (Vec<u8> = "application/zip"),
        (Vec<u8> = "application/x-tar"),
        (String = "application/x-ndjson"),
    ))),
)]
async fn export(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Parameters(parameters): Parameters<ExportParameters>,
) -> ApiResult {
    let ExportParameters {
        format,
        version,
        namespace,
        state,
        after,
    } = parameters;
    let format = format.filter(|format| !format.is_empty());
    let format = format.unwrap_or_else(|| "zip".to_owned());
    let not_allowed = |name: &str| {
        let detail = format!("query parameter not allowed with format {format}: `{name}`");
        Problem::malformed(detail)
    };
    if format == "ndjson" {
        if let Some(name) = version
            .map(|_| "version")
            .or(namespace.map(|_| "namespace"))
            .or(state.map(|_| "state"))
        {
            return Err(not_allowed(name));
        }
        let after = Position::new(after.unwrap_or_default());
        let changes = api.transfer.changes(after, &context).await?;
        return Ok(lines(changes));
    }
    if after.is_some() {
        return Err(not_allowed("after"));
    }
    let format = archive_format(&format)?;
    let version = match version.as_deref() {
        None | Some("" | "latest") => ExportedVersion::Latest,
        Some("published") => ExportedVersion::Published,
        Some(other) => {
            let other = shortened(other);
            let detail = format!(
                "invalid query parameter: version: {other:?}; expected latest or published"
            );
            return Err(Problem::malformed(detail));
        }
    };
    let state = state
        .filter(|state| !state.is_empty())
        .map(|state| state.parse::<SpecState>());
    let state = state
        .transpose()
        .map_err(|error| Problem::malformed(error.to_string()))?;
    let archive = api
        .transfer
        .export(format, version, namespace.as_deref(), state, &context)
        .await?;
    let media_type = match format {
        ArchiveFormat::Tar => "application/x-tar",
        ArchiveFormat::Zip => "application/zip",
    };
    let file = format!("attachment; filename=\"specs.{format}\"");
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, file),
    ];
    Ok((headers, archive).into_response())
}

/// Creates a response with a line for each change. An error ends it early, without the end of the body.
fn lines(changes: ChangeLog) -> Response {
    let pages = unfold(Some(changes), |changes| async {
        let mut changes = changes?;
        let page = match changes.next_page().await {
            Ok(page) => page?,
            Err(error) => return Some((Err(error), None)),
        };
        let lines: Result<String, AppError> = page.iter().map(line).collect();
        Some((lines, Some(changes)))
    });
    let body = axum::body::Body::from_stream(pages);
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn archive_format(format: &str) -> Result<ArchiveFormat, Problem> {
    format.parse().map_err(|_| {
        let format = shortened(format);
        let detail =
            format!("invalid query parameter: format: {format:?}; expected tar, zip or ndjson");
        Problem::malformed(detail)
    })
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "documents": [{ "name": "applied-limits", "content": "limit: 250\n" }],
}))]
struct ApplyBody {
    /// The namespace of the documents; `default` if absent.
    namespace: Option<String>,
    /// The documents, from 1 to 1,000, one for each name.
    #[serde(default)]
    documents: Vec<DocumentBody>,
    /// The plan of a dry run, to carry out this plan and no other.
    plan: Option<String>,
    /// Whether the changes are only planned.
    #[serde(default)]
    dry_run: bool,
    /// The reason of all changes, for the history.
    reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DocumentBody {
    /// The name of the specification.
    name: String,
    /// The content, as YAML.
    content: String,
    /// The purpose. Absent keeps the current one, empty removes it.
    description: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct AppliedBody {
    /// Whether changes are stored.
    applied: bool,
    /// The token of the plan.
    plan: String,
    /// The steps, in the order of the documents.
    steps: Vec<StepBody>,
}

#[derive(Serialize, ToSchema)]
struct StepBody {
    /// The name of the specification.
    name: String,
    /// The change: `create`, `update` or `unchanged`.
    action: &'static str,
    /// The id of the existing specification.
    #[schema(format = Uuid)]
    id: Option<String>,
    /// The revision of the existing specification, or 0.
    revision: u64,
}

/// Handles `POST /v1/apply`: makes the latest versions equal to the documents.
#[utoipa::path(
    post,
    path = "/v1/apply",
    operation_id = "apply_specs",
    summary = "Apply documents",
    tag = "transfer",
    request_body = ApplyBody,
    responses((status = 200, description = "The plan", body = AppliedBody)),
)]
async fn apply(
    State(api): State<Api>,
    CallContext(context): CallContext,
    _: NoParameters,
    body: Body,
) -> ApiResult {
    let body: ApplyBody = body.object()?;
    let documents = body.documents.into_iter().map(|document| ApplyDocument {
        name: document.name,
        content: document.content.into_bytes(),
        description: document.description,
    });
    let request = ApplyRequest {
        namespace: body.namespace,
        documents: documents.collect(),
        plan: body.plan,
        dry_run: body.dry_run,
        reason: body.reason,
    };
    Ok(applied(&api.transfer.apply(request, &context).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ImportParameters {
    /// The format: `tar` or `zip`.
    format: Option<String>,
    /// The namespace of the files; `default` if absent.
    namespace: Option<String>,
    /// The plan of a dry run, to carry out this plan and no other.
    plan: Option<String>,
    /// Whether the changes are only planned.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
    /// The reason of all changes, for the history.
    reason: Option<String>,
}

/// Handles `POST /v1/import?format=&dry_run=&plan=&reason=`: applies the files of an archive.
#[utoipa::path(
    post,
    path = "/v1/import",
    operation_id = "import_specs",
    summary = "Import an archive",
    tag = "transfer",
    params(ImportParameters),
    request_body(content((Vec<u8> = "application/zip"), (Vec<u8> = "application/x-tar"))),
    responses((status = 200, description = "The plan", body = AppliedBody)),
)]
async fn import(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Parameters(parameters): Parameters<ImportParameters>,
    archive: Bytes,
) -> ApiResult {
    let format = archive_format(&parameters.format.unwrap_or_default())?;
    let request = ApplyRequest {
        namespace: parameters.namespace,
        documents: Vec::new(),
        plan: parameters.plan,
        dry_run: parameters.dry_run,
        reason: parameters.reason,
    };
    let imported = api
        .transfer
        .import(format, &archive, request, &context)
        .await?;
    Ok(applied(&imported))
}

fn applied(applied: &ApplyResult) -> Response {
    let steps = applied.plan.steps.iter().map(|step| StepBody {
        name: step.wanted.name.to_string(),
        action: step.kind.as_str(),
        id: step.existing.map(|(id, _)| id.to_string()),
        revision: step.existing.map_or(0, |(_, revision)| revision),
    });
    let body = AppliedBody {
        applied: applied.position.is_some(),
        plan: applied.plan.token(),
        steps: steps.collect(),
    };
    let mut response = Json(body).into_response();
    if let Some(position) = applied.position {
        let position = HeaderValue::from(position.get());
        response.headers_mut().insert(headers::POSITION, position);
    }
    response
}
