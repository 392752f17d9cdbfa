//! The gRPC service of webhooks.

use async_trait::async_trait;
use tonic::{Request, Response, Status};

use super::app::{NewWebhook, WebhookWritten, Webhooks, previous_secret_until};
use super::delivery::{DeliveryEntry, Outcome};
use super::directory::WebhookView;
use super::domain::{WebhookId, WebhookStatus};
use crate::app::PageQuery;
use crate::grpc::fields::{cursor, limit, page_token, timestamp};
use crate::grpc::generated as proto;
use crate::grpc::generated::webhook_service_server::WebhookService;
use crate::grpc::{metadata, status};

/// The time for which the previous secret stays valid, if the caller names none: one day.
const DEFAULT_OVERLAP_SECONDS: u64 = 24 * 60 * 60;

type CallResult<T> = Result<Response<T>, Status>;

/// The gRPC service on the application functions.
pub struct WebhookCalls {
    webhooks: Webhooks,
}

impl WebhookCalls {
    /// Creates the service.
    #[must_use]
    pub fn new(webhooks: Webhooks) -> Self {
        Self { webhooks }
    }
}

#[async_trait]
impl WebhookService for WebhookCalls {
    async fn create_webhook(
        &self,
        request: Request<proto::CreateWebhookRequest>,
    ) -> CallResult<proto::CreateWebhookResponse> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let new = settings(request.settings);
        let created = self
            .webhooks
            .create(new, request.reason.as_deref(), &context)
            .await?;
        let message = proto::CreateWebhookResponse {
            id: created.written.id.to_string(),
            secret: created.secret,
            revision: created.written.revision,
        };
        Ok(metadata::at_position(created.written.position, message))
    }

    async fn get_webhook(
        &self,
        request: Request<proto::GetWebhookRequest>,
    ) -> CallResult<proto::GetWebhookResponse> {
        let context = metadata::context(&request, None)?;
        let view = self.webhooks.get(id(&request.get_ref().id)?, &context)?;
        let webhook = Some(webhook(&view));
        Ok(Response::new(proto::GetWebhookResponse { webhook }))
    }

    async fn list_webhooks(
        &self,
        request: Request<proto::ListWebhooksRequest>,
    ) -> CallResult<proto::ListWebhooksResponse> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let query = PageQuery {
            limit: limit(request.page_size),
            after: cursor(&request.page_token)?,
        };
        let page = self.webhooks.list(query, &context)?;
        Ok(Response::new(proto::ListWebhooksResponse {
            webhooks: page.items.iter().map(|view| webhook(view)).collect(),
            next_page_token: page_token(page.next),
        }))
    }

    async fn change_webhook(
        &self,
        request: Request<proto::ChangeWebhookRequest>,
    ) -> CallResult<proto::ChangeWebhookResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let (id, new) = (id(&request.id)?, settings(request.settings));
        let written = self
            .webhooks
            .change(id, new, request.reason.as_deref(), &context);
        let written = written.await?;
        let revision = written.revision;
        Ok(respond(&written, proto::ChangeWebhookResponse { revision }))
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<proto::RotateWebhookSecretRequest>,
    ) -> CallResult<proto::RotateWebhookSecretResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let overlap = request.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
        let (id, reason) = (id(&request.id)?, request.reason.as_deref());
        let new = self
            .webhooks
            .rotate_secret(id, overlap, reason, &context)
            .await?;
        let message = proto::RotateWebhookSecretResponse {
            secret: new.secret,
            revision: new.written.revision,
        };
        Ok(respond(&new.written, message))
    }

    async fn disable_webhook(
        &self,
        request: Request<proto::DisableWebhookRequest>,
    ) -> CallResult<proto::DisableWebhookResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let written = self
            .webhooks
            .disable(id(&request.id)?, &request.reason, &context)
            .await?;
        let revision = written.revision;
        Ok(respond(
            &written,
            proto::DisableWebhookResponse { revision },
        ))
    }

    async fn enable_webhook(
        &self,
        request: Request<proto::EnableWebhookRequest>,
    ) -> CallResult<proto::EnableWebhookResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let (id, reason) = (id(&request.id)?, request.reason.as_deref());
        let written = self
            .webhooks
            .enable(id, request.skip_missed, reason, &context)
            .await?;
        let revision = written.revision;
        Ok(respond(&written, proto::EnableWebhookResponse { revision }))
    }

    async fn delete_webhook(
        &self,
        request: Request<proto::DeleteWebhookRequest>,
    ) -> CallResult<proto::DeleteWebhookResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let (id, reason) = (id(&request.id)?, request.reason.as_deref());
        let written = self.webhooks.delete(id, reason, &context).await?;
        let revision = written.revision;
        Ok(respond(&written, proto::DeleteWebhookResponse { revision }))
    }

    async fn list_deliveries(
        &self,
        request: Request<proto::ListDeliveriesRequest>,
    ) -> CallResult<proto::ListDeliveriesResponse> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let query = PageQuery {
            limit: limit(request.page_size),
            after: cursor(&request.page_token)?,
        };
        let page = self
            .webhooks
            .deliveries(id(&request.id)?, query, &context)
            .await?;
        Ok(Response::new(proto::ListDeliveriesResponse {
            deliveries: page.items.into_iter().map(delivery).collect(),
            next_page_token: page_token(page.next),
        }))
    }

    async fn replay_deliveries(
        &self,
        request: Request<proto::ReplayDeliveriesRequest>,
    ) -> CallResult<proto::ReplayDeliveriesResponse> {
        use proto::replay_deliveries_request::Events;
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let (id, reason) = (id(&request.id)?, request.reason.as_deref());
        let written = match request.events {
            None => return Err(status::malformed("events", "send `number` or `range`")),
            Some(Events::Number(number)) => {
                self.webhooks
                    .replay_delivery(id, number, reason, &context)
                    .await?
            }
            Some(Events::Range(range)) => {
                let (from, to) = (range.from, range.to);
                self.webhooks.replay(id, from, to, reason, &context).await?
            }
        };
        let revision = written.revision;
        Ok(respond(
            &written,
            proto::ReplayDeliveriesResponse { revision },
        ))
    }
}

fn respond<T>(written: &WebhookWritten, message: T) -> Response<T> {
    metadata::at_position(written.position, message)
}

fn id(text: &str) -> Result<WebhookId, Status> {
    let id = text.parse().map(WebhookId);
    id.map_err(|_| status::malformed("id", "expected a UUID"))
}

fn settings(settings: Option<proto::WebhookSettings>) -> NewWebhook {
    // Missing settings have no URL, which is rejected.
    let settings = settings.unwrap_or_default();
    NewWebhook {
        url: settings.url,
        description: settings.description,
        namespaces: settings.namespaces,
        events: settings.events,
    }
}

fn webhook(view: &WebhookView) -> proto::Webhook {
    let registration = &view.registration;
    let (status, disabled_reason, disabled_automatically) = match &registration.status {
        WebhookStatus::Enabled => (proto::WebhookStatus::Enabled, None, false),
        WebhookStatus::Disabled { reason, automatic } => (
            proto::WebhookStatus::Disabled,
            Some(reason.clone()),
            *automatic,
        ),
        WebhookStatus::Deleted => (proto::WebhookStatus::Unspecified, None, false),
    };
    let settings = registration.settings.clone();
    proto::Webhook {
        id: view.id.to_string(),
        settings: Some(proto::WebhookSettings {
            url: settings.url.into(),
            description: settings.description,
            namespaces: settings.filter.namespaces,
            events: settings.filter.events,
        }),
        status: status.into(),
        disabled_reason,
        disabled_automatically,
        previous_secret_until: previous_secret_until(view).and_then(timestamp),
        created_at: timestamp(view.created_at),
        created_by: view.created_by.clone(),
        updated_at: timestamp(view.updated_at),
        updated_by: view.updated_by.clone(),
        revision: view.revision,
    }
}

fn delivery(entry: DeliveryEntry) -> proto::Delivery {
    let outcome = match entry.outcome {
        Outcome::Delivered => proto::DeliveryOutcome::Delivered,
        Outcome::Failed => proto::DeliveryOutcome::Failed,
        Outcome::GivenUp => proto::DeliveryOutcome::GivenUp,
    };
    proto::Delivery {
        number: entry.number,
        event_id: entry.event_id.to_string(),
        event_type: entry.event_type,
        spec_id: entry.spec_id,
        position: entry.position.get(),
        attempted_at: timestamp(entry.at),
        milliseconds: entry.milliseconds,
        status: entry.status.map(u32::from),
        error: entry.error,
        outcome: outcome.into(),
        replay: entry.replay,
    }
}
