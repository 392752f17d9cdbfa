//! The routes of webhooks, below `/v1/webhooks`.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::app::{NewSecret, NewWebhook, WebhookWritten, Webhooks, previous_secret_until};
use super::delivery::{DeliveryEntry, Outcome};
use super::directory::WebhookView;
use super::domain::{WebhookId, WebhookStatus};
use crate::app::{AppError, RequestContext};
use crate::rest::Api;
use crate::rest::conditions::{Conditions, EntityTag, ExpectedRevision};
use crate::rest::headers::{CallContext, write_headers};
use crate::rest::input::{Body, Id, NoParameters, Parameters, required};
use crate::rest::number::number;
use crate::rest::page::PageParameters;
use crate::rest::problem::{ApiResult, Problem};

/// The time for which the previous secret stays valid, if the caller names none: one day.
const DEFAULT_OVERLAP_SECONDS: u64 = 24 * 60 * 60;

/// A revision that no webhook has, so a write that expects it fails.
const NO_REVISION: u64 = 0;

/// Returns the routes of webhooks.
pub fn routes() -> Router<Api> {
    let webhooks = Router::new()
        .route("/", get(list).post(create))
        .route("/{id}", get(webhook).put(change).delete(delete))
        .route("/{id}/rotate-secret", post(rotate_secret))
        .route("/{id}/disable", post(disable))
        .route("/{id}/enable", post(enable))
        .route("/{id}/replay", post(replay))
        .route("/{id}/deliveries", get(deliveries))
        .route("/{id}/deliveries/{number}/replay", post(replay_delivery));
    Router::new().nest("/v1/webhooks", webhooks)
}

#[derive(Serialize)]
struct WebhookBody {
    id: String,
    url: String,
    description: Option<String>,
    namespaces: Vec<String>,
    events: Vec<String>,
    status: &'static str,
    disabled_reason: Option<String>,
    disabled_automatically: bool,
    previous_secret_until: Option<String>,
    created_at: String,
    created_by: String,
    updated_at: String,
    updated_by: String,
    revision: u64,
}

impl From<&WebhookView> for WebhookBody {
    fn from(view: &WebhookView) -> Self {
        let registration = &view.registration;
        let (status, reason, automatic) = match &registration.status {
            WebhookStatus::Enabled => ("enabled", None, false),
            WebhookStatus::Disabled { reason, automatic } => {
                ("disabled", Some(reason.clone()), *automatic)
            }
            WebhookStatus::Deleted => ("deleted", None, false),
        };
        let settings = registration.settings.clone();
        Self {
            id: view.id.to_string(),
            url: settings.url.into(),
            description: settings.description,
            namespaces: settings.filter.namespaces,
            events: settings.filter.events,
            status,
            disabled_reason: reason,
            disabled_automatically: automatic,
            previous_secret_until: previous_secret_until(view).map(|until| until.to_string()),
            created_at: view.created_at.to_string(),
            created_by: view.created_by.clone(),
            updated_at: view.updated_at.to_string(),
            updated_by: view.updated_by.clone(),
            revision: view.revision,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsBody {
    url: Option<String>,
    description: Option<String>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    events: Vec<String>,
    reason: Option<String>,
}

impl SettingsBody {
    fn read(body: &Body) -> Result<(NewWebhook, Option<String>), Problem> {
        let body: Self = body.object()?;
        let new = NewWebhook {
            url: required(body.url, "url")?,
            description: body.description,
            namespaces: body.namespaces,
            events: body.events,
        };
        Ok((new, body.reason))
    }
}

#[derive(Serialize)]
struct SecretBody {
    id: String,
    secret: String,
}

/// Returns the answer with a new secret, which must not be stored by caches.
fn secret_response(status: StatusCode, new: NewSecret) -> Response {
    let written = new.written;
    let body = SecretBody {
        id: written.id.to_string(),
        secret: new.secret,
    };
    let headers = write_headers(written.revision, written.position);
    let no_store = (header::CACHE_CONTROL, "no-store");
    (status, [no_store], headers, Json(body)).into_response()
}

/// Handles `POST /v1/webhooks`.
async fn create(
    State(api): State<Api>,
    CallContext(context): CallContext,
    _: NoParameters,
    conditions: Conditions,
    body: Body,
) -> ApiResult {
    conditions.check_creation()?;
    let (new, reason) = SettingsBody::read(&body)?;
    let created = api
        .webhooks
        .create(new, reason.as_deref(), &context)
        .await?;
    let location = format!("/v1/webhooks/{}", created.written.id);
    let mut response = secret_response(StatusCode::CREATED, created);
    if let Ok(location) = location.try_into() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

#[derive(Serialize)]
struct WebhookListBody {
    webhooks: Vec<WebhookBody>,
    next_cursor: Option<String>,
}

/// Handles `GET /v1/webhooks?limit=&cursor=`: a page of webhooks in the order of creation.
async fn list(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Parameters(parameters): Parameters<PageParameters>,
) -> ApiResult {
    let page = api.webhooks.list(parameters.query()?, &context)?;
    let body = WebhookListBody {
        webhooks: page
            .items
            .iter()
            .map(|it| WebhookBody::from(&**it))
            .collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(Json(body).into_response())
}

/// Handles `GET /v1/webhooks/{id}`.
async fn webhook(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Id(id): Id,
    _: NoParameters,
    conditions: Conditions,
) -> ApiResult {
    let view = api.webhooks.get(WebhookId(id.0), &context)?;
    let tag = EntityTag::json(view.revision);
    if let Some(response) = conditions.check_read(Some(&tag))? {
        return Ok(response);
    }
    Ok(([tag.header()], Json(WebhookBody::from(&*view))).into_response())
}

/// Handles `PUT /v1/webhooks/{id}`: replaces the settings.
async fn change(target: WebhookTarget, _: NoParameters, body: Body) -> ApiResult {
    let (new, reason) = SettingsBody::read(&body)?;
    let WebhookTarget {
        webhooks,
        id,
        context,
    } = &target;
    let written = webhooks.change(*id, new, reason.as_deref(), context).await;
    target.respond(written)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    overlap_seconds: Option<u64>,
    reason: Option<String>,
}

/// Handles `POST /v1/webhooks/{id}/rotate-secret`.
async fn rotate_secret(target: WebhookTarget, _: NoParameters, body: Body) -> ApiResult {
    let body: RotateBody = body.object()?;
    let overlap = body.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
    let WebhookTarget {
        webhooks,
        id,
        context,
    } = &target;
    let rotated = webhooks.rotate_secret(*id, overlap, body.reason.as_deref(), context);
    let new = rotated.await.map_err(unmet_condition)?;
    Ok(secret_response(StatusCode::OK, new))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    reason: Option<String>,
}

/// Handles `POST /v1/webhooks/{id}/disable`.
async fn disable(target: WebhookTarget, _: NoParameters, body: Body) -> ApiResult {
    let ReasonBody { reason } = body.object()?;
    let reason = required(reason, "reason")?;
    let WebhookTarget {
        webhooks,
        id,
        context,
    } = &target;
    let written = webhooks.disable(*id, &reason, context).await;
    target.respond(written)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnableBody {
    #[serde(default)]
    skip_missed: bool,
    reason: Option<String>,
}

/// Handles `POST /v1/webhooks/{id}/enable`.
async fn enable(target: WebhookTarget, _: NoParameters, body: Body) -> ApiResult {
    let body: EnableBody = body.object()?;
    let WebhookTarget {
        webhooks,
        id,
        context,
    } = &target;
    let written = webhooks.enable(*id, body.skip_missed, body.reason.as_deref(), context);
    target.respond(written.await)
}

/// Handles `DELETE /v1/webhooks/{id}`.
async fn delete(target: WebhookTarget, _: NoParameters, body: Body) -> ApiResult {
    let ReasonBody { reason } = body.object()?;
    let WebhookTarget {
        webhooks,
        id,
        context,
    } = &target;
    let deleted = webhooks.delete(*id, reason.as_deref(), context).await;
    let written = deleted.map_err(unmet_condition)?;
    let [_, position] = write_headers(written.revision, written.position);
    Ok((StatusCode::NO_CONTENT, [position]).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    from_position: Option<u64>,
    to_position: Option<u64>,
    reason: Option<String>,
}

/// Handles `POST /v1/webhooks/{id}/replay`: delivers the events of a range once more.
async fn replay(target: WebhookTarget, _: NoParameters, body: Body) -> ApiResult {
    let body: ReplayBody = body.object()?;
    let missing = |name| {
        Problem::field(
            "field_missing",
            &format!("/{name}"),
            format!("missing field: `{name}`"),
        )
    };
    let from = body.from_position.ok_or_else(|| missing("from_position"))?;
    let to = body.to_position.ok_or_else(|| missing("to_position"))?;
    let WebhookTarget {
        webhooks,
        id,
        context,
    } = &target;
    let written = webhooks.replay(*id, from, to, body.reason.as_deref(), context);
    target.accept(written.await)
}

/// Handles `POST /v1/webhooks/{id}/deliveries/{number}/replay`: delivers one event once more.
async fn replay_delivery(
    target: WebhookTarget,
    Path((_, text)): Path<(String, String)>,
    _: NoParameters,
    body: Body,
) -> ApiResult {
    let ReasonBody { reason } = body.object()?;
    let delivery = number(&text).ok_or_else(|| {
        Problem::malformed("invalid number of the delivery in the path; expected a number")
    })?;
    let WebhookTarget {
        webhooks,
        id,
        context,
    } = &target;
    let written = webhooks.replay_delivery(*id, delivery, reason.as_deref(), context);
    target.accept(written.await)
}

#[derive(Serialize)]
struct DeliveryBody {
    number: u64,
    event_id: String,
    event_type: String,
    spec_id: String,
    position: u64,
    at: String,
    milliseconds: u64,
    status: Option<u16>,
    error: Option<String>,
    outcome: Outcome,
    replay: bool,
}

impl From<DeliveryEntry> for DeliveryBody {
    fn from(entry: DeliveryEntry) -> Self {
        Self {
            number: entry.number,
            event_id: entry.event_id.to_string(),
            event_type: entry.event_type,
            spec_id: entry.spec_id,
            position: entry.position.get(),
            at: entry.at.to_string(),
            milliseconds: entry.milliseconds,
            status: entry.status,
            error: entry.error,
            outcome: entry.outcome,
            replay: entry.replay,
        }
    }
}

#[derive(Serialize)]
struct DeliveriesBody {
    deliveries: Vec<DeliveryBody>,
    next_cursor: Option<String>,
}

/// Handles `GET /v1/webhooks/{id}/deliveries?limit=&cursor=`: a page of the delivery log, newest first.
async fn deliveries(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Id(id): Id,
    Parameters(parameters): Parameters<PageParameters>,
) -> ApiResult {
    let page = api
        .webhooks
        .deliveries(WebhookId(id.0), parameters.query()?, &context);
    let page = page.await?;
    let body = DeliveriesBody {
        deliveries: page.items.into_iter().map(DeliveryBody::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(Json(body).into_response())
}

/// An extractor of the webhook to change, the caller and the conditions.
struct WebhookTarget {
    webhooks: Webhooks,
    id: WebhookId,
    context: RequestContext,
}

impl FromRequestParts<Api> for WebhookTarget {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Id(id) = Id::from_request_parts(parts, api).await?;
        let id = WebhookId(id.0);
        let CallContext(mut context) = CallContext::from_request_parts(parts, api).await?;
        let conditions = Conditions::from_request_parts(parts, api).await?;
        let webhooks = api.webhooks.clone();
        context.expected_revision = match conditions.expected_revision() {
            ExpectedRevision::Any => None,
            ExpectedRevision::Exact(revision) => Some(revision),
            ExpectedRevision::None => Some(NO_REVISION),
            ExpectedRevision::Compare => {
                let current = Some(webhooks.get(id, &context)?.revision);
                let current = current.filter(|current| conditions.hold_for(*current));
                current.or(Some(NO_REVISION))
            }
        };
        Ok(Self {
            webhooks,
            id,
            context,
        })
    }
}

#[derive(Serialize)]
struct AcceptedBody {
    id: String,
    revision: u64,
}

impl WebhookTarget {
    /// Returns the webhook after a change.
    fn respond(&self, written: Result<WebhookWritten, AppError>) -> ApiResult {
        let written = written.map_err(unmet_condition)?;
        let view = self.webhooks.get(self.id, &self.context)?;
        let headers = write_headers(written.revision, written.position);
        Ok((headers, Json(WebhookBody::from(&*view))).into_response())
    }

    /// Returns that a request is stored, and will be carried out.
    fn accept(&self, written: Result<WebhookWritten, AppError>) -> ApiResult {
        let written = written.map_err(unmet_condition)?;
        let body = AcceptedBody {
            id: written.id.to_string(),
            revision: written.revision,
        };
        let headers = write_headers(written.revision, written.position);
        Ok((StatusCode::ACCEPTED, headers, Json(body)).into_response())
    }
}

/// Converts the error of a write. A condition that holds for no revision is not met by the actual one.
fn unmet_condition(error: AppError) -> Problem {
    match error {
        AppError::RevisionMismatch { expected, actual } if expected == NO_REVISION => {
            Problem::unmet_condition(actual)
        }
        error => error.into(),
    }
}
