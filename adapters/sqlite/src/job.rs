//! [`Job`]: what the writer is asked to do, and who waits for the answer.

use factum::document::{ChangeError, Changes, Revision};
use factum::{Append, AppendError, Appended};
use tokio::sync::oneshot;
use tracing::{Level, Span, enabled};

use crate::error::Fault;

pub(crate) enum Job {
    Append(Append, Waiting<Appended, AppendError>),
    Change(Changes, Waiting<Revision, ChangeError>),
}

impl Job {
    pub(crate) fn events(&self) -> usize {
        match self {
            Self::Append(append, _) => append.count(),
            Self::Change(..) => 0,
        }
    }

    /// Who asked has gone: nothing was promised.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Append(_, waiting) => waiting.to.is_closed(),
            Self::Change(_, waiting) => waiting.to.is_closed(),
        }
    }

    /// The answer to an append.
    pub(crate) fn appended(&self) -> Option<&Result<Appended, AppendError>> {
        match self {
            Self::Append(_, waiting) => waiting.answer.as_ref(),
            Self::Change(..) => None,
        }
    }

    /// An append that was taken.
    pub(crate) fn stored(&self) -> Option<(&Append, &Appended)> {
        match self {
            Self::Append(append, waiting) => {
                let told = waiting.answer.as_ref()?.as_ref();
                told.ok().map(|appended| (append, appended))
            }
            Self::Change(..) => None,
        }
    }

    pub(crate) fn span(&self) -> &Span {
        match self {
            Self::Append(_, waiting) => &waiting.span,
            Self::Change(_, waiting) => &waiting.span,
        }
    }

    /// Gives the answer to who waits for it.
    pub(crate) fn tell(self) {
        match self {
            Self::Append(_, waiting) => waiting.tell(),
            Self::Change(_, waiting) => waiting.tell(),
        }
    }

    /// Tells that it was not done.
    pub(crate) fn fail(mut self, fault: Fault) {
        match &mut self {
            Self::Append(_, waiting) => waiting.answer = Some(Err(fault.into())),
            Self::Change(_, waiting) => waiting.answer = Some(Err(fault.into())),
        }
        self.tell();
    }
}

/// Where an answer goes, and the span of whoever waits for it.
pub(crate) struct Waiting<T, E> {
    /// Told once what it says is durable.
    pub(crate) answer: Option<Result<T, E>>,
    to: oneshot::Sender<Result<T, E>>,
    span: Span,
}

impl<T, E> Waiting<T, E> {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (to, answered) = oneshot::channel();
        let span = match enabled!(Level::DEBUG) {
            true => Span::current(),
            false => Span::none(),
        };
        let waiting = Self {
            answer: None,
            to,
            span,
        };
        (waiting, answered)
    }

    /// Whoever does not wait for it any more is told nothing.
    fn tell(self) {
        if let Some(answer) = self.answer {
            let _ = self.to.send(answer);
        }
    }
}
