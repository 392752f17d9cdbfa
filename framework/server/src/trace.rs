//! The tracing span of a call, with the method, the caller and the status code.

use std::time::Duration;

use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower_http::trace::{DefaultOnResponse, OnEos, OnResponse};
use tracing::Span;
use tracing::field::{Empty, debug};

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
        trace_parent = entry("traceparent"),
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
