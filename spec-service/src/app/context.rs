//! [`Context`]: what comes with a request, besides its content.

use factum::Metadata;
use uuid::Uuid;

/// Whoever does not say who they are.
const ANONYMOUS: &str = "anonymous";

/// Who asks, and on what terms.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Who asks; it is written to the history.
    pub actor: Option<String>,
    /// Ties the changes of one request together, over several services.
    pub correlation_id: Option<Uuid>,
    /// The W3C trace context of the request.
    pub trace_parent: Option<String>,
    /// The same key with the same request gives the first answer again.
    pub idempotency_key: Option<String>,
    /// Only if the specification has this revision.
    pub expected_revision: Option<u64>,
    /// Why, in the words of whoever asks; deprecations and deletions bring their own.
    pub reason: Option<String>,
}

impl Context {
    /// Who asks.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.actor.as_deref().unwrap_or(ANONYMOUS)
    }

    /// The same, for the reason that is given; white space is none.
    pub(super) fn because(&self, reason: Option<&str>) -> Self {
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
