//! The task that writes: what arrives during a commit goes out with the next.

use std::sync::Arc;

use factum::{Append, AppendError, Appended, Position};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::append::{self, Answers};
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

pub(crate) struct Writer {
    pub(crate) server: PgConnectOptions,
    /// `None`: it was lost; the next batch connects again.
    pub(crate) connection: Option<PgConnection>,
    pub(crate) head: Arc<watch::Sender<Position>>,
    /// Dropped when the writer ends, which ends `listener`.
    pub(crate) alive: oneshot::Sender<()>,
    pub(crate) listener: JoinHandle<()>,
}

impl Writer {
    /// Runs until it is told to close, or nobody can give it work any more.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
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
        drop(self.alive);
        // Ends by itself, and cannot fail in a way that matters now.
        let _ = self.listener.await;
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            warn!(%error, "the connection was not closed in order");
        }
        if let Some(answer) = closing {
            let _ = answer.send(());
        }
    }

    async fn store(&mut self, jobs: Vec<(Append, Answer)>) {
        if jobs.is_empty() {
            return;
        }
        let (appends, answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        let appends: Vec<&Append> = appends.iter().collect();
        match self.try_store(&appends).await {
            Ok(done) => tell(answers, done),
            Err(fault) if fault.is_of_the_content() && appends.len() > 1 => {
                debug!(
                    appends = appends.len(),
                    "one of a batch failed, storing each alone"
                );
                for (append, answer) in appends.into_iter().zip(answers) {
                    match self.try_store(&[append]).await {
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

    async fn try_store(&mut self, appends: &[&Append]) -> Result<Answers, Fault> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect().await?,
        };
        let answers = append::store(&mut connection, appends).await;
        let usable = answers
            .as_ref()
            .err()
            .is_none_or(Fault::leaves_the_connection);
        self.connection = usable.then_some(connection);
        let answers = answers?;
        // Ahead of the answers: who is answered finds the head where it must be.
        let newest = answers
            .iter()
            .flatten()
            .filter(|appended| !appended.repeated);
        if let Some(position) = newest.map(|appended| appended.position).max() {
            crate::watch::advance(&self.head, position);
        }
        Ok(answers)
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
