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
        // One that is malformed is ignored, as its specification says.
        let context = self.trace_parent.clone();
        metadata.trace_parent = context.filter(|text| is_trace_parent(text));
        metadata
    }
}

/// Whether `text` is a `traceparent`: <https://www.w3.org/TR/trace-context/#traceparent-header>. Later versions may hold
/// more behind the four parts.
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
    fn a_trace_context_is_what_its_specification_says() {
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
