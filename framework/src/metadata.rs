//! What rides along with every event: who, why, and in what connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::record::RecordedEvent;

/// Who caused an event, why, and in what connection. All events of one append share it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// Who gave the command: a user, a service, a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why, in the actor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Shared by everything that follows from one request. The engine makes one where the caller gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// The event or message that led to this one; nothing: it began here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// Whose data this is, in an application that serves several customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The W3C trace context (`traceparent`) of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    /// Everything else.
    #[serde(default, flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl Metadata {
    /// The same, in the connection of `event`, which is the cause: its correlation id, or its own id if it has none;
    /// and its tenant and its trace context, unless there are others already.
    #[must_use]
    pub fn caused_by(mut self, event: &RecordedEvent) -> Self {
        let cause = &event.metadata;
        self.correlation_id = Some(cause.correlation_id.unwrap_or(event.id));
        self.causation_id = Some(event.id);
        self.tenant = self.tenant.or_else(|| cause.tenant.clone());
        self.trace_parent = self.trace_parent.or_else(|| cause.trace_parent.clone());
        self
    }
}
