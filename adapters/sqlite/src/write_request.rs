//! [`WriteRequest`]: a request to the writer, and the channel for its result.

use factum_core::append::{Append, AppendError, Appended};
use factum_core::document::{DocumentChanges, DocumentError, Revision};
use tokio::sync::oneshot;
use tracing::{Level, Span, debug_span, span_enabled};

use crate::error::BackendError;

/// The result of one append.
pub type AppendResult = Result<Appended, AppendError>;

/// An append or a document change that waits for the writer.
pub enum WriteRequest {
    Append(Append, Responder<Appended, AppendError>),
    ChangeDocuments(DocumentChanges, Responder<Revision, DocumentError>),
}

impl WriteRequest {
    pub fn is_append(&self) -> bool {
        matches!(self, Self::Append(..))
    }

    pub fn event_count(&self) -> usize {
        match self {
            Self::Append(append, _) => append.count(),
            Self::ChangeDocuments(..) => 0,
        }
    }

    /// Returns the approximate size of the events and documents in the file, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Append(append, _) => append.size(),
            Self::ChangeDocuments(changes, _) => changes.size(),
        }
    }

    /// Returns whether the caller has dropped its future, so that the request need not be executed.
    pub fn is_abandoned(&self) -> bool {
        match self {
            Self::Append(_, responder) => responder.sender.is_closed(),
            Self::ChangeDocuments(_, responder) => responder.sender.is_closed(),
        }
    }

    /// Returns the result of an append, once it is set.
    pub fn append_result(&self) -> Option<&AppendResult> {
        match self {
            Self::Append(_, responder) => responder.result.as_ref(),
            Self::ChangeDocuments(..) => None,
        }
    }

    /// Returns an accepted append with its result.
    pub fn stored(&self) -> Option<(&Append, &Appended)> {
        match self {
            Self::Append(append, responder) => {
                let result = responder.result.as_ref()?.as_ref();
                result.ok().map(|appended| (append, appended))
            }
            Self::ChangeDocuments(..) => None,
        }
    }

    fn span(&self) -> &Span {
        match self {
            Self::Append(_, responder) => &responder.span,
            Self::ChangeDocuments(_, responder) => &responder.span,
        }
    }

    /// Sends the result to the caller.
    pub fn respond(self) {
        match self {
            Self::Append(_, responder) => responder.respond(),
            Self::ChangeDocuments(_, responder) => responder.respond(),
        }
    }

    /// Sends `error` to the caller.
    pub fn fail(mut self, error: BackendError) {
        match &mut self {
            Self::Append(_, responder) => responder.result = Some(Err(error.into())),
            Self::ChangeDocuments(_, responder) => responder.result = Some(Err(error.into())),
        }
        self.respond();
    }
}

/// The channel for the result of a request, and the span of its caller.
pub struct Responder<T, E> {
    /// The result, which is sent once it is durable.
    pub result: Option<Result<T, E>>,
    sender: oneshot::Sender<Result<T, E>>,
    span: Span,
}

impl<T, E> Responder<T, E> {
    pub fn new() -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (sender, response) = oneshot::channel();
        let span = match span_enabled!(Level::DEBUG) {
            true => Span::current(),
            false => Span::none(),
        };
        let responder = Self {
            result: None,
            sender,
            span,
        };
        (responder, response)
    }

    /// Sends the result, unless the caller has dropped its future.
    fn respond(self) {
        if let Some(result) = self.result {
            let _ = self.sender.send(result);
        }
    }
}

/// Creates the span of a batch, which follows from the spans of its requests.
pub fn batch_span(requests: &[WriteRequest]) -> Span {
    let appends = requests.iter().filter(|request| request.is_append());
    let span = debug_span!(parent: None, "batch", appends = appends.count());
    if !span.is_disabled() {
        for request in requests {
            span.follows_from(request.span());
        }
    }
    span
}
