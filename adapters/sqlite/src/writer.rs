//! The thread that appends: what arrives during a commit goes out with the next.

use std::sync::Arc;

use factum::metrics::{OfStore, Stopwatch};
use factum::{Append, AppendError, Appended, Position, StoreError};
use tokio::sync::{Mutex, MutexGuard, mpsc, oneshot, watch};
use tracing::{Level, Span, debug, debug_span, enabled};

use crate::batch;
use crate::error::Fault;
use crate::pair::wait;
use crate::writing::Writing;

/// Appends that wait; more let their callers wait.
pub(crate) const QUEUE: usize = 1_024;
/// A batch is full with this many appends, or this many events.
const MOST_APPENDS: usize = 512;
const MOST_EVENTS: usize = 4_096;

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

    /// Whoever does not wait for it any more is told nothing.
    fn tell(self, answer: Result<Appended, AppendError>) {
        let _ = self.to.send(answer);
    }
}

/// The span of a batch, which follows from what waits for it.
fn batch_span<'a>(waiting: impl ExactSizeIterator<Item = &'a Answer>) -> Span {
    let span = debug_span!(parent: None, "batch", appends = waiting.len());
    if !span.is_disabled() {
        waiting.for_each(|waiting| {
            span.follows_from(&waiting.span);
        });
    }
    span
}

/// The turn to write, in order of arrival. Empty once the store is closed.
pub(crate) struct Turn(Mutex<Option<Writing>>);

impl Turn {
    pub(crate) fn new(writing: Writing) -> Self {
        Self(Mutex::new(Some(writing)))
    }

    pub(crate) async fn take(&self) -> MutexGuard<'_, Option<Writing>> {
        self.0.lock().await
    }
}

pub(crate) struct Writer {
    pub(crate) turn: Arc<Turn>,
    pub(crate) head: Arc<watch::Sender<Position>>,
    pub(crate) metrics: OfStore,
}

impl Writer {
    /// Runs until it is told to close, or nobody can give it work any more. Blocks.
    pub(crate) fn run(self, mut inbox: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(MOST_APPENDS);
        let mut closing = None;
        while closing.is_none() && inbox.blocking_recv_many(&mut jobs, MOST_APPENDS) > 0 {
            let mut batch = Vec::with_capacity(jobs.len());
            let mut events = 0;
            for job in jobs.drain(..) {
                match job {
                    // Who asked has gone: nothing was promised.
                    Job::Append(_, answer) if answer.to.is_closed() => {}
                    Job::Append(append, answer) => {
                        events += append.count();
                        batch.push((append, answer));
                        if events >= MOST_EVENTS {
                            self.store(std::mem::take(&mut batch));
                            events = 0;
                        }
                    }
                    Job::Close(answer) => closing = Some(answer),
                }
            }
            self.store(batch);
        }
        inbox.close();
        drop(self);
        if let Some(answer) = closing {
            let _ = answer.send(());
        }
    }

    fn store(&self, jobs: Vec<(Append, Answer)>) {
        if jobs.is_empty() {
            return;
        }
        let mut turn = self.turn.0.blocking_lock();
        let Some(writing) = turn.as_mut() else {
            return self.refuse(jobs);
        };
        let (appends, answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        let appends: Vec<&Append> = appends.iter().collect();
        let span = batch_span(answers.iter());
        match span.in_scope(|| self.try_store(writing, &appends)) {
            Ok(done) => tell(answers, done),
            Err(fault) if fault.is_of_the_content() && appends.len() > 1 => {
                debug!(
                    appends = appends.len(),
                    "one of a batch failed, storing each alone"
                );
                for (append, answer) in appends.into_iter().zip(answers) {
                    let span = batch_span([&answer].into_iter());
                    match span.in_scope(|| self.try_store(writing, &[append])) {
                        Ok(done) => tell([answer], done),
                        Err(fault) => {
                            self.metrics.failed(1);
                            tell([answer], [Err(fault.into())]);
                        }
                    }
                }
            }
            Err(fault) => {
                self.metrics.failed(answers.len());
                let failed = std::iter::repeat_with(|| Err(AppendError::from(fault.clone())));
                tell(answers, failed);
            }
        }
    }

    fn refuse(&self, jobs: Vec<(Append, Answer)>) {
        self.metrics.failed(jobs.len());
        for (_, answer) in jobs {
            answer.tell(Err(StoreError::Closed.into()));
        }
    }

    fn try_store(
        &self,
        writing: &mut Writing,
        appends: &[&Append],
    ) -> Result<batch::Answers, Fault> {
        let began = Stopwatch::start();
        let (answers, head) = match batch::store(writing, appends) {
            Ok(stored) => stored,
            Err(fault) => {
                wait(writing.end_after_failure(&fault));
                return Err(fault);
            }
        };
        // Ahead of the answers: who is answered finds the head where it must be.
        crate::watch::advance(&self.head, head);
        self.metrics.committed(&answers, began);
        Ok(answers)
    }
}

fn tell(
    waiting: impl IntoIterator<Item = Answer>,
    answers: impl IntoIterator<Item = Result<Appended, AppendError>>,
) {
    for (waiting, answer) in waiting.into_iter().zip(answers) {
        waiting.tell(answer);
    }
}
