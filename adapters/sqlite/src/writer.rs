//! The task that writes: what arrives during a commit goes out with the next.

use std::sync::Arc;

use factum::{Append, AppendError, Appended, Position, StoreError};
use sqlx::Connection as _;
use tokio::sync::{Mutex, MutexGuard, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::batch;
use crate::connection::Connection;
use crate::error::Fault;

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

type Answer = oneshot::Sender<Result<Appended, AppendError>>;

/// The turn to write, in order of arrival. Empty once the store is closed.
pub(crate) struct Turn(Mutex<Option<Connection>>);

impl Turn {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(Mutex::new(Some(connection)))
    }

    pub(crate) async fn take(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.lock().await
    }
}

pub(crate) struct Writer {
    pub(crate) turn: Arc<Turn>,
    pub(crate) head: Arc<watch::Sender<Position>>,
    /// Dropped when the writer ends, which ends `watcher`.
    pub(crate) alive: oneshot::Sender<()>,
    pub(crate) watcher: JoinHandle<()>,
}

impl Writer {
    /// Runs until it is told to close, or nobody can give it work any more.
    pub(crate) async fn run(self, mut inbox: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(MOST_APPENDS);
        let mut closing = None;
        while closing.is_none() && inbox.recv_many(&mut jobs, MOST_APPENDS).await > 0 {
            let mut batch = Vec::with_capacity(jobs.len());
            let mut events = 0;
            for job in jobs.drain(..) {
                match job {
                    // Who asked has gone: nothing was promised.
                    Job::Append(_, answer) if answer.is_closed() => {}
                    Job::Append(append, answer) => {
                        events += append.count();
                        batch.push((append, answer));
                        if events >= MOST_EVENTS {
                            self.store(std::mem::take(&mut batch)).await;
                            events = 0;
                        }
                    }
                    Job::Close(answer) => closing = Some(answer),
                }
            }
            self.store(batch).await;
        }
        inbox.close();
        self.close().await;
        if let Some(answer) = closing {
            let _ = answer.send(());
        }
    }

    async fn close(self) {
        drop(self.alive);
        // Ends by itself, and cannot fail in a way that matters now.
        let _ = self.watcher.await;
        if let Some(connection) = self.turn.take().await.take()
            && let Err(error) = connection.sqlite.close().await
        {
            warn!(%error, "the connection was not closed in order");
        }
    }

    async fn store(&self, jobs: Vec<(Append, Answer)>) {
        if jobs.is_empty() {
            return;
        }
        let mut turn = self.turn.take().await;
        let Some(connection) = turn.as_mut() else {
            return refuse(jobs, || StoreError::Closed.into());
        };
        let (appends, answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        let appends: Vec<&Append> = appends.iter().collect();
        match self.try_store(connection, &appends).await {
            Ok(done) => tell(answers, done),
            Err(fault) if fault.is_of_the_content() && appends.len() > 1 => {
                debug!(
                    appends = appends.len(),
                    "one of a batch failed, storing each alone"
                );
                for (append, answer) in appends.into_iter().zip(answers) {
                    match self.try_store(connection, &[append]).await {
                        Ok(done) => tell([answer], done),
                        Err(fault) => tell([answer], [Err(fault.into())]),
                    }
                }
            }
            Err(fault) => {
                let failed = std::iter::repeat_with(|| Err(AppendError::from(fault.clone())));
                tell(answers, failed);
            }
        }
    }

    async fn try_store(
        &self,
        connection: &mut Connection,
        appends: &[&Append],
    ) -> Result<batch::Answers, Fault> {
        let answers = match batch::store(connection, appends).await {
            Ok(answers) => answers,
            Err(fault) => {
                connection.end_after_failure().await;
                return Err(fault);
            }
        };
        // Ahead of the answers: who is answered finds the head where it must be.
        crate::watch::advance(&self.head, connection.known.head);
        Ok(answers)
    }
}

fn refuse(jobs: Vec<(Append, Answer)>, error: impl Fn() -> AppendError) {
    for (_, answer) in jobs {
        let _ = answer.send(Err(error()));
    }
}

/// Whoever does not wait for its answer any more is told nothing.
fn tell(
    waiting: impl IntoIterator<Item = Answer>,
    answers: impl IntoIterator<Item = Result<Appended, AppendError>>,
) {
    for (waiting, answer) in waiting.into_iter().zip(answers) {
        let _ = waiting.send(answer);
    }
}
