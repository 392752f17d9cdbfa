//! [`RequestContext`]: the caller and the conditions of a request.

use factum::store::Metadata;
use uuid::Uuid;

use crate::access::domain::{Caller, TenantId};

/// The caller and the conditions of a request.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// The caller, recorded in the history. By default, one who names nobody in development mode.
    pub caller: Caller,
    /// The id that relates the changes of one request, across services.
    pub correlation_id: Option<Uuid>,
    /// The W3C trace context of the request.
    pub trace_parent: Option<String>,
    /// The idempotency key. The same key with the same request returns the first result.
    pub idempotency_key: Option<String>,
    /// The expected revision of the specification. If it is another, the write fails.
    pub expected_revision: Option<u64>,
    /// The reason, recorded in the history. Each write sets it.
    pub reason: Option<String>,
}

impl RequestContext {
    /// Creates the context of a request without conditions.
    #[must_use]
    pub fn of(caller: Caller) -> Self {
        Self {
            caller,
            ..Self::default()
        }
    }

    /// Returns the subject of the caller.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.caller.subject
    }

    /// Returns the tenant of the caller.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.caller.tenant
    }

    /// Returns a copy with another reason. A blank reason is ignored.
    #[must_use]
    pub fn with_reason(&self, reason: Option<&str>) -> Self {
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        Self {
            reason: reason.map(str::to_owned),
            ..self.clone()
        }
    }

    pub(super) fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.actor = Some(self.actor().to_owned());
        metadata.reason.clone_from(&self.reason);
        metadata.correlation_id = self.correlation_id;
        metadata.trace_parent.clone_from(&self.trace_parent);
        metadata
    }
}
