//! [`RequestContext`]: the caller and the conditions of a request.

use factum::store::Metadata;
use uuid::Uuid;

/// The actor of requests that name none.
const ANONYMOUS: &str = "anonymous";

/// The caller and the conditions of a request.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// The caller, recorded in the history.
    pub actor: Option<String>,
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
    /// Returns the actor, or `anonymous`.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.actor.as_deref().unwrap_or(ANONYMOUS)
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
        // The W3C specification requires that a malformed value is ignored.
        let context = self.trace_parent.clone();
        metadata.trace_parent = context.filter(|text| is_trace_parent(text));
        metadata
    }
}

/// Returns whether `text` is a valid `traceparent` of the W3C Trace Context.
///
/// Later versions can have more parts after the first four. See
/// <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn is_trace_parent(text: &str) -> bool {
    let is_hex = |part: &str, length| {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        part.len() == length && part.bytes().all(is_digit)
    };
    let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let [version, trace, parent, flags, more @ ..] = &parts[..] else {
        return false;
    };
    is_hex(version, 2)
        && *version != "ff"
        && is_id(trace, 32)
        && is_id(parent, 16)
        && is_hex(flags, 2)
        && (more.is_empty() || *version != "00")
}

#[cfg(test)]
mod tests {
    use super::is_trace_parent;

    #[test]
    fn trace_parent_follows_the_w3c_specification() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        for (text, expected) in [
            (format!("00-{trace}-01"), true),
            (format!("cc-{trace}-01-what-will-be"), true),
            (format!("00-{trace}-01-more"), false),
            (format!("ff-{trace}-01"), false),
            (format!("00-{}-01", trace.to_uppercase()), false),
            (format!("00-{trace}"), false),
            (format!("00-{}-01", trace.replace(|c| c != '-', "0")), false),
            ("00-0-0-0".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_trace_parent(&text), expected, "{text}");
        }
    }
}
