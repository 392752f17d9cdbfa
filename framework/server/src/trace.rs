//! The tracing span of a call, and its W3C trace context.

use std::time::Duration;

use tonic::Code;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tower_http::trace::{DefaultOnResponse, OnEos, OnResponse};
use tracing::Span;
use tracing::field::{Empty, debug};

/// The header with the trace context of a request.
const TRACE_PARENT_HEADER: &str = "traceparent";

/// Returns the W3C trace context of a request.
///
/// As the specification requires, a malformed or repeated header is ignored. Later versions can have more parts after the
/// first four. See <https://www.w3.org/TR/trace-context/#traceparent-header>.
#[must_use]
pub fn trace_parent(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(TRACE_PARENT_HEADER).iter();
    let (value, repeated) = (values.next()?, values.next());
    let text = value.to_str().ok().filter(|_| repeated.is_none())?;
    is_trace_parent(text).then_some(text)
}

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

/// Replaces the trace context of a request by that of the current span, if traces are exported.
///
/// Events that the request stores then belong to this span. Without an export, the context of the caller stays.
pub fn continue_trace<B>(mut request: Request<B>) -> Request<B> {
    if let Some(context) = exported_context() {
        request.headers_mut().insert(TRACE_PARENT_HEADER, context);
    }
    request
}

#[cfg(feature = "otlp")]
fn exported_context() -> Option<HeaderValue> {
    HeaderValue::try_from(crate::otlp::current_trace_parent()?).ok()
}

#[cfg(not(feature = "otlp"))]
fn exported_context() -> Option<HeaderValue> {
    None
}

/// Creates the span of a call, with the method, and the actor, correlation id and trace context.
pub fn span<B>(request: &Request<B>) -> Span {
    let entry = |name| {
        let value = request.headers().get(name)?;
        std::str::from_utf8(value.as_bytes()).ok()
    };
    tracing::info_span!(
        "call",
        method = request.uri().path(),
        actor = entry("x-actor"),
        correlation_id = entry("x-correlation-id"),
        trace_parent = trace_parent(request.headers()),
        code = Empty,
    )
}

/// A recorder of the status code in the span of a call.
///
/// A response without messages has the code in its headers, any other response in its trailers.
#[derive(Debug, Clone, Copy)]
pub struct RecordCode;

impl<B> OnResponse<B> for RecordCode {
    fn on_response(self, response: &Response<B>, latency: Duration, span: &Span) {
        record(response.headers(), span);
        DefaultOnResponse::default().on_response(response, latency, span);
    }
}

impl OnEos for RecordCode {
    fn on_eos(self, trailers: Option<&HeaderMap>, _: Duration, span: &Span) {
        if let Some(trailers) = trailers {
            record(trailers, span);
        }
    }
}

fn record(headers: &HeaderMap, span: &Span) {
    if let Some(code) = headers.get("grpc-status") {
        span.record("code", debug(Code::from_bytes(code.as_bytes())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn repeated_trace_parent_is_ignored() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        headers.append(TRACE_PARENT_HEADER, HeaderValue::from_static(text));
        assert_eq!(trace_parent(&headers), Some(text));
        headers.append(TRACE_PARENT_HEADER, HeaderValue::from_static(text));
        assert_eq!(trace_parent(&headers), None);
    }
}
