//! [`WriteRequest`]: a request to the writer, and the channel for its result.

use factum_core::append::{Append, AppendError, Appended};
use tokio::sync::oneshot;
use tracing::{Level, Span, debug_span, span_enabled};

/// The result of one append.
pub type AppendResult = Result<Appended, AppendError>;

/// An append that waits for the writer.
pub struct WriteRequest {
    pub append: Append,
    pub responder: Responder,
}

/// The channel for the result of a request, and the span of its caller.
pub struct Responder {
    sender: oneshot::Sender<AppendResult>,
    span: Span,
}

impl Responder {
    pub fn new() -> (Self, oneshot::Receiver<AppendResult>) {
        let (sender, response) = oneshot::channel();
        let span = match span_enabled!(Level::DEBUG) {
            true => Span::current(),
            false => Span::none(),
        };
        (Self { sender, span }, response)
    }

    /// Returns whether the caller has dropped its future, so that the request need not be executed.
    pub fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends `result`, unless the caller has dropped its future.
    pub fn respond(self, result: AppendResult) {
        let _ = self.sender.send(result);
    }
}

/// Creates the span of a batch, which follows from the spans of its requests.
pub fn batch_span(requests: &[WriteRequest]) -> Span {
    let span = debug_span!(parent: None, "batch", appends = requests.len());
    if !span.is_disabled() {
        for request in requests {
            span.follows_from(&request.responder.span);
        }
    }
    span
}

pub fn appends(requests: &[WriteRequest]) -> Vec<&Append> {
    requests.iter().map(|request| &request.append).collect()
}
