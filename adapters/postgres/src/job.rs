//! [`Job`]: what the writer is asked to do, and who waits for the answer.

use factum::{Append, AppendError, Appended};
use tokio::sync::oneshot;
use tracing::{Level, Span, debug_span, enabled};

/// What the writer is asked to do.
pub(crate) enum Job {
    Append(Append, Answer),
    Close(oneshot::Sender<()>),
}

/// Where an answer goes, and the span of whoever waits for it.
pub(crate) struct Answer {
    to: oneshot::Sender<Result<Appended, AppendError>>,
    span: Span,
}

impl Answer {
    pub(crate) fn new(to: oneshot::Sender<Result<Appended, AppendError>>) -> Self {
        let span = match enabled!(Level::DEBUG) {
            true => Span::current(),
            false => Span::none(),
        };
        Self { to, span }
    }

    /// Who asked has gone: nothing was promised.
    pub(crate) fn is_gone(&self) -> bool {
        self.to.is_closed()
    }

    /// Whoever does not wait for it any more is told nothing.
    pub(crate) fn tell(self, answer: Result<Appended, AppendError>) {
        let _ = self.to.send(answer);
    }
}

/// An append, and where its answer goes.
pub(crate) type Waiting = (Append, Answer);

/// The span of a batch, which follows from what waits for it.
pub(crate) fn batch_span(jobs: &[Waiting]) -> Span {
    let span = debug_span!(parent: None, "batch", appends = jobs.len());
    if !span.is_disabled() {
        for (_, answer) in jobs {
            span.follows_from(&answer.span);
        }
    }
    span
}

pub(crate) fn appends(jobs: &[Waiting]) -> Vec<&Append> {
    jobs.iter().map(|(append, _)| append).collect()
}
