//! The route of bulk changes.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderValue;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::{BulkReport, BulkRequest, ItemResult, MAX_BULK_BYTES, NewAction, NewChange};
use crate::rest::api::Api;
use crate::rest::headers::{self, CallContext};
use crate::rest::input::{Body, NoParameters};
use crate::rest::number::shortened;
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::domain::SpecId;

/// Returns the routes of bulk changes.
pub fn routes() -> OpenApiRouter<Api> {
    // A content takes at least as many bytes in JSON. Escapes can make it larger.
    let limit = DefaultBodyLimit::max(2 * MAX_BULK_BYTES);
    OpenApiRouter::default()
        .routes(routes!(change))
        .layer(limit)
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "reason": "release 7",
    "changes": [{ "action": "create", "name": "bulk-limits", "content": "limit: 250\n" }],
}))]
struct BulkBody {
    /// The changes, from 1 to 500.
    #[serde(default)]
    changes: Vec<BulkChangeBody>,
    /// Whether the changes are only checked.
    #[serde(default)]
    dry_run: bool,
    /// The reason of all changes, for the history.
    reason: Option<String>,
}

/// A change of one specification.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
enum BulkChangeBody {
    /// Creates a specification as a draft.
    Create {
        /// The namespace; `default` if absent.
        namespace: Option<String>,
        /// The name.
        name: String,
        /// Version 1 of the content, as YAML.
        content: String,
        /// The purpose.
        description: Option<String>,
    },
    /// Adds a version to the content.
    Update {
        /// The id of the specification.
        id: String,
        /// The content, as YAML.
        content: String,
        /// The new purpose. Absent keeps the current one, empty removes it.
        description: Option<String>,
        /// The revision before the request.
        expected_revision: Option<u64>,
    },
    /// Publishes a version.
    Publish {
        /// The id of the specification.
        id: String,
        /// The version. Absent means the latest.
        version: Option<u64>,
        /// The revision before the request.
        expected_revision: Option<u64>,
    },
    /// Marks a specification as deprecated.
    Deprecate {
        /// The id of the specification.
        id: String,
        /// The reason, with the replacement if there is one.
        reason: String,
        /// The revision before the request.
        expected_revision: Option<u64>,
    },
    /// Deletes a specification.
    Delete {
        /// The id of the specification.
        id: String,
        /// The revision before the request.
        expected_revision: Option<u64>,
    },
}

#[derive(Serialize, ToSchema)]
struct ReportBody {
    /// Whether the changes are stored. A dry run stores none.
    applied: bool,
    /// The number of refused changes.
    refused: usize,
    /// The results, in the order of the changes.
    items: Vec<ItemBody>,
}

/// The result of a change: the specification after it, or the reason why it is not allowed.
#[derive(Default, Serialize, ToSchema)]
struct ItemBody {
    /// The index of the change, from 0.
    index: usize,
    /// The id of the specification.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    id: Option<String>,
    /// The number of changes of the specification.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    /// The latest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_version: Option<u64>,
    /// The stable error code of a refused change.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The reason why a change is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Handles `POST /v1/bulk`: up to 500 changes, all or none.
#[utoipa::path(
    post,
    path = "/v1/bulk",
    operation_id = "change_specs",
    summary = "Change many specifications",
    tag = "bulk",
    request_body = BulkBody,
    responses((status = 200, description = "The result of each change", body = ReportBody)),
)]
async fn change(
    State(api): State<Api>,
    CallContext(context): CallContext,
    _: NoParameters,
    body: Body,
) -> ApiResult {
    let BulkBody {
        changes,
        dry_run,
        reason,
    } = body.object()?;
    let changes = changes.into_iter().enumerate();
    let request = BulkRequest {
        changes: changes
            .map(|(index, body)| new_change(index, body))
            .collect::<Result<_, _>>()?,
        dry_run,
        reason,
    };
    let report = api.bulk.change(request, &context).await?;
    let position = report.position;
    let mut response = Json(report_body(report)).into_response();
    if let Some(position) = position {
        let position = HeaderValue::from(position.get());
        response.headers_mut().insert(headers::POSITION, position);
    }
    Ok(response)
}

fn new_change(index: usize, body: BulkChangeBody) -> Result<NewChange, Problem> {
    let id = |id: String| spec_id(index, &id);
    let (action, expected_revision) = match body {
        BulkChangeBody::Create {
            namespace,
            name,
            content,
            description,
        } => {
            let content = content.into_bytes();
            let action = NewAction::Create {
                namespace,
                name,
                content,
                description,
            };
            (action, None)
        }
        BulkChangeBody::Update {
            id: spec,
            content,
            description,
            expected_revision,
        } => {
            let action = NewAction::Update {
                id: id(spec)?,
                content: content.into_bytes(),
                description,
            };
            (action, expected_revision)
        }
        BulkChangeBody::Publish {
            id: spec,
            version,
            expected_revision,
        } => {
            let id = id(spec)?;
            (NewAction::Publish { id, version }, expected_revision)
        }
        BulkChangeBody::Deprecate {
            id: spec,
            reason,
            expected_revision,
        } => {
            let id = id(spec)?;
            (NewAction::Deprecate { id, reason }, expected_revision)
        }
        BulkChangeBody::Delete {
            id: spec,
            expected_revision,
        } => (NewAction::Delete { id: id(spec)? }, expected_revision),
    };
    Ok(NewChange {
        action,
        expected_revision,
    })
}

fn spec_id(index: usize, text: &str) -> Result<SpecId, Problem> {
    let id = text.parse().map(SpecId);
    id.map_err(|_| {
        let detail = format!(
            "invalid id of change {index}: {:?}; expected a UUID",
            shortened(text)
        );
        Problem::field("invalid_field", &format!("/changes/{index}/id"), detail)
    })
}

fn report_body(report: BulkReport) -> ReportBody {
    ReportBody {
        applied: report.position.is_some(),
        refused: report.refused(),
        items: report
            .items
            .into_iter()
            .enumerate()
            .map(item_body)
            .collect(),
    }
}

fn item_body((index, item): (usize, ItemResult)) -> ItemBody {
    match item {
        Ok(changed) => ItemBody {
            index,
            id: Some(changed.id.to_string()),
            revision: Some(changed.revision),
            latest_version: Some(changed.latest_version),
            ..ItemBody::default()
        },
        Err(error) => ItemBody {
            index,
            code: Some(error.code()),
            detail: Some(error.to_string()),
            ..ItemBody::default()
        },
    }
}
