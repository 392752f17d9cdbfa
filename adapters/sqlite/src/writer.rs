//! The thread that writes: what arrives during a commit goes out with the next.

use std::sync::Arc;

use factum::Position;
use factum::metrics::{Stopwatch, StoreMetrics};
use tokio::sync::{Mutex, MutexGuard, mpsc, oneshot, watch};
use tracing::{Span, debug, debug_span};

use crate::batch;
use crate::error::Fault;
use crate::inline::Inlines;
use crate::job::Job;
use crate::pair::wait;
use crate::writing::Writing;

/// Jobs that wait; more let their callers wait.
pub(crate) const QUEUE: usize = 1_024;
/// A batch is full with this many jobs, or this many events.
const MOST_JOBS: usize = 512;
const MOST_EVENTS: usize = 4_096;

/// What the writer is told.
#[expect(
    clippy::large_enum_variant,
    reason = "it is closed once, and asked all the time"
)]
pub(crate) enum Message {
    Do(Job),
    Close(oneshot::Sender<()>),
}

/// The span of a batch, which follows from what waits for it.
fn batch_span(jobs: &[Job]) -> Span {
    let appends = jobs.iter().filter(|job| matches!(job, Job::Append(..)));
    let span = debug_span!(parent: None, "batch", appends = appends.count());
    if !span.is_disabled() {
        for job in jobs {
            span.follows_from(job.span());
        }
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
    pub(crate) inlines: Inlines,
    pub(crate) head: Arc<watch::Sender<Position>>,
    pub(crate) metrics: StoreMetrics,
}

impl Writer {
    /// Runs until it is told to close, or nobody can give it work any more. Blocks.
    pub(crate) fn run(self, mut inbox: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(MOST_JOBS);
        let mut closing = None;
        while closing.is_none() && inbox.blocking_recv_many(&mut messages, MOST_JOBS) > 0 {
            let mut batch = Vec::with_capacity(messages.len());
            let mut events = 0;
            for message in messages.drain(..) {
                match message {
                    Message::Do(job) if job.is_gone() => {}
                    Message::Do(job) => {
                        events += job.events();
                        batch.push(job);
                        if events >= MOST_EVENTS {
                            self.store(std::mem::take(&mut batch));
                            events = 0;
                        }
                    }
                    Message::Close(answer) => closing = Some(answer),
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

    fn store(&self, mut jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut turn = self.turn.0.blocking_lock();
        let Some(writing) = turn.as_mut() else {
            return self.fail(jobs, Fault::Closed);
        };
        match self.try_store(writing, &mut jobs) {
            Ok(()) => jobs.into_iter().for_each(Job::tell),
            Err(fault) if fault.is_of_the_content() && jobs.len() > 1 => {
                debug!(
                    jobs = jobs.len(),
                    "one of a batch failed, storing each alone"
                );
                for job in jobs {
                    let mut alone = vec![job];
                    match self.try_store(writing, &mut alone) {
                        Ok(()) => alone.into_iter().for_each(Job::tell),
                        Err(fault) => self.fail(alone, fault),
                    }
                }
            }
            Err(fault) => self.fail(jobs, fault),
        }
    }

    fn fail(&self, mut jobs: Vec<Job>, fault: Fault) {
        let appends = jobs.iter().filter(|job| matches!(job, Job::Append(..)));
        self.metrics.failed(appends.count());
        let last = jobs.pop();
        for job in jobs {
            job.fail(fault.clone());
        }
        if let Some(last) = last {
            last.fail(fault);
        }
    }

    fn try_store(&self, writing: &mut Writing, jobs: &mut [Job]) -> Result<(), Fault> {
        let began = Stopwatch::start();
        let stored = batch_span(jobs).in_scope(|| batch::store(writing, &self.inlines, jobs));
        let head = match stored {
            Ok(head) => head,
            Err(fault) => {
                wait(writing.end_after_failure(&fault));
                return Err(fault);
            }
        };
        // Ahead of the answers: who is answered finds the head where it must be.
        crate::watch::advance(&self.head, head);
        self.metrics
            .committed(jobs.iter().filter_map(Job::appended), began);
        Ok(())
    }
}
