//! [`Sender`]: signs and sends the delivery of one event.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, header};
use bytes::Bytes;
use factum::store::{RecordedEvent, error_chain};
use factum::{Engine, Timestamp};

use super::client::DeliveryClient;
use super::cloud_event::{MEDIA_TYPE, cloud_event};
use super::signature::{SecretKey, seconds, signatures};
use crate::webhooks::directory::WebhookView;
use crate::webhooks::subject::subject_of;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Signs and sends deliveries.
pub struct Sender {
    pub engine: Engine,
    pub client: DeliveryClient,
    pub key: SecretKey,
}

/// The result of sending an event.
#[derive(Debug)]
pub enum SendResult {
    /// The webhook does not receive the event.
    Skipped,
    /// The receiver accepted the event.
    Accepted(Exchange),
    /// The receiver did not accept the event.
    Refused(Exchange),
}

/// An exchange with a receiver.
#[derive(Debug)]
pub struct Exchange {
    /// The time of its start.
    pub at: Timestamp,
    /// Its duration.
    pub duration: Duration,
    /// The status code, if there was an answer.
    pub status: Option<u16>,
    /// The reason why there was none.
    pub error: Option<String>,
    /// The pause that the receiver asked for.
    pub ask: Option<Duration>,
}

impl Exchange {
    /// Returns whether the receiver wants no further deliveries.
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }

    /// Returns the reason of the failure.
    pub fn reason(&self) -> String {
        match (self.status, &self.error) {
            (Some(status), _) => format!("the receiver returned status {status}"),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".to_owned(),
        }
    }
}

impl Sender {
    /// Sends `event` to the receiver of `webhook`, if its filter matches.
    pub async fn send(&self, webhook: &WebhookView, event: &RecordedEvent) -> SendResult {
        let started = Instant::now();
        let at = Timestamp::now();
        let failed = |error: String| {
            SendResult::Refused(Exchange {
                at,
                duration: started.elapsed(),
                status: None,
                error: Some(error),
                ask: None,
            })
        };
        let registration = &webhook.registration;
        let subject = match subject_of(&self.engine, event).await {
            Ok(Some(subject)) => subject,
            Ok(None) => return SendResult::Skipped,
            Err(error) => return failed(error_chain(&error)),
        };
        let filter = &registration.settings.filter;
        if subject.tenant != registration.tenant
            || !filter.matches(subject.namespace.as_str(), &event.name)
        {
            return SendResult::Skipped;
        }
        let body = match cloud_event(event, &subject) {
            Ok(body) => body,
            Err(error) => return failed(format!("event without JSON data: {error}")),
        };
        let headers = self.headers(webhook, event, at, &body);
        let sent = self
            .client
            .send(&registration.settings.url, headers, Bytes::from(body));
        let answer = match sent.await {
            Ok(answer) => answer,
            Err(error) => return failed(error_chain(&error)),
        };
        let exchange = Exchange {
            at,
            duration: started.elapsed(),
            status: Some(answer.status),
            error: None,
            ask: answer.retry_after,
        };
        match answer.status {
            200..=299 => SendResult::Accepted(exchange),
            _ => SendResult::Refused(exchange),
        }
    }

    fn headers(
        &self,
        webhook: &WebhookView,
        event: &RecordedEvent,
        at: Timestamp,
        body: &[u8],
    ) -> Vec<(HeaderName, HeaderValue)> {
        let id = event.id.to_string();
        let secrets = webhook.valid_secrets(at).into_iter();
        let secrets: Vec<_> = secrets
            .map(|generation| self.key.secret(webhook.id, generation))
            .collect();
        let signatures = signatures(&secrets, &id, at, body);
        let value = |text: String| HeaderValue::try_from(text).ok();
        let headers = [
            (header::CONTENT_TYPE, value(MEDIA_TYPE.to_owned())),
            (ID, value(id)),
            (TIMESTAMP, value(seconds(at).to_string())),
            (SIGNATURE, value(signatures)),
        ];
        // Ids, numbers and Base64 are valid values.
        let headers = headers.into_iter();
        headers
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}
