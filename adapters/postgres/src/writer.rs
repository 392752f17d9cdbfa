//! The task that writes: what arrives during a commit goes out with the next.

use std::sync::Arc;

use factum::metrics::{Stopwatch, StoreMetrics};
use factum::{Append, AppendError, Conflict, Position, StoreError};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, debug, warn};

use crate::error::{Fault, Moved};
use crate::inline::{Failure, Inlines};
use crate::job::{Job, Waiting, appends, batch_span};
use crate::known::Known;
use crate::rounds::apart;
use crate::{append, lost};

/// Appends that wait; more let their callers wait.
pub(crate) const QUEUE: usize = 1_024;
/// A batch is full with this many appends, or this many events and changes of documents.
const MOST_APPENDS: usize = 512;
const MOST_EVENTS: usize = 4_096;

pub(crate) struct Writer {
    pub(crate) server: PgConnectOptions,
    /// `None`: it was lost; the next batch connects again.
    pub(crate) connection: Option<PgConnection>,
    pub(crate) known: Known,
    pub(crate) inlines: Inlines,
    pub(crate) head: Arc<watch::Sender<Position>>,
    pub(crate) metrics: StoreMetrics,
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
                    Job::Append(_, answer) if answer.is_gone() => {}
                    Job::Append(append, answer) => {
                        events += append.count() + append.changes.as_slice().len();
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

    /// What can be judged here goes first; the database judges the rest.
    async fn store(&mut self, jobs: Vec<Waiting>) {
        // Where inline projections take their part, the other way has many more steps.
        let here = match self.inlines.is_empty() {
            true => self.known.is_worth_it(&appends(&jobs)),
            false => self.known.is_alone(),
        };
        let mut left = match here && !jobs.is_empty() {
            true => self.store_known(jobs).await,
            false => jobs,
        };
        while !left.is_empty() {
            let (round, later) = apart(left);
            self.store_judged(round).await;
            left = later;
        }
    }

    /// Gives back what only the database can judge.
    async fn store_known(&mut self, jobs: Vec<Waiting>) -> Vec<Waiting> {
        let Some(mut connection) = self.connection.take() else {
            return jobs;
        };
        let began = Stopwatch::start();
        let span = batch_span(&jobs);
        let waiting = appends(&jobs);
        let known = (&mut connection, &mut self.known);
        let stored = self.inlines.store_known(known, &waiting);
        let stored = stored.instrument(span).await;
        let verdicts = match stored {
            Ok(verdicts) => verdicts,
            Err(Failure::Fault(fault)) if !fault.leaves_the_connection() => {
                self.failed(jobs, fault).await;
                return Vec::new();
            }
            // A key that was used, or data that no table takes: the database tells whose.
            Err(Failure::Fault(fault)) => {
                debug!(%fault, "a batch failed, the database judges it");
                if fault.moved().is_none() {
                    self.known.forget();
                }
                None
            }
            Err(Failure::Rejected { error, .. }) => {
                debug!(%error, "an inline projection rejects a batch");
                None
            }
        };
        self.connection = Some(connection);
        self.advance();
        let Some(verdicts) = verdicts else {
            return jobs;
        };
        let settled = verdicts.iter().flatten();
        self.metrics.committed(settled, began);
        let mut left = Vec::new();
        for ((append, answer), verdict) in jobs.into_iter().zip(verdicts) {
            match verdict {
                Some(verdict) => answer.tell(verdict),
                None => left.push((append, answer)),
            }
        }
        left
    }

    async fn store_judged(&mut self, mut jobs: Vec<Waiting>) {
        let mut alone = Vec::new();
        while !jobs.is_empty() {
            let span = batch_span(&jobs);
            let fault = match self.try_judged(&appends(&jobs)).instrument(span).await {
                Ok(verdicts) => {
                    for ((_, answer), verdict) in jobs.into_iter().zip(verdicts) {
                        answer.tell(verdict);
                    }
                    break;
                }
                Err(Failure::Rejected { place, .. }) if place < jobs.len() && jobs.len() > 1 => {
                    alone.push(jobs.remove(place));
                    continue;
                }
                Err(Failure::Rejected { error, .. }) => {
                    self.rejected(jobs, error).await;
                    break;
                }
                Err(Failure::Fault(fault)) => fault,
            };
            let waiting = jobs.len();
            if let Some(moved) = fault.moved() {
                jobs = self.reject(jobs, &moved);
            }
            // Those that are left have a chance without the others.
            if jobs.len() == waiting {
                self.failed(jobs, fault).await;
                break;
            }
        }
        // Behind the others: what they did may be the reason.
        self.store_alone(alone).await;
    }

    /// An inline projection is the reason: one of `jobs` alone, if it says so.
    async fn rejected(&mut self, jobs: Vec<Waiting>, error: AppendError) {
        let passes = matches!(
            error,
            AppendError::Store(StoreError::Unavailable(_) | StoreError::Closed)
        );
        if jobs.len() > 1 && !passes {
            return self.store_alone(jobs).await;
        }
        self.metrics.failed(jobs.len());
        let text = error.to_string();
        let mut error = Some(error);
        for (_, answer) in jobs {
            let error = error
                .take()
                .unwrap_or_else(|| StoreError::Unavailable(text.clone().into()).into());
            answer.tell(Err(error));
        }
    }

    async fn store_alone(&mut self, jobs: Vec<Waiting>) {
        for job in jobs {
            debug!("it failed in a batch, storing it alone");
            Box::pin(self.store_judged(vec![job])).await;
        }
    }

    async fn failed(&mut self, jobs: Vec<Waiting>, fault: Fault) {
        match fault {
            fault if fault.is_of_the_content() && jobs.len() > 1 => self.store_alone(jobs).await,
            fault @ Fault::Sql(_) if !fault.leaves_the_connection() => {
                self.lost(jobs, fault).await;
            }
            fault => {
                self.metrics.failed(jobs.len());
                for (_, answer) in jobs {
                    answer.tell(Err(fault.clone().into()));
                }
            }
        }
    }

    async fn try_judged(&mut self, appends: &[&Append]) -> Result<append::Verdicts, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connected = self.server.connect().await;
                connected.map_err(|error| Fault::from(error).in_vain())?
            }
        };
        let began = Stopwatch::start();
        let judged = match self.inlines.is_empty() {
            true => {
                let judged = append::store(&mut connection, appends).await;
                judged.map_err(Failure::Fault)
            }
            false => self.inlines.store(&mut connection, appends).await,
        };
        let usable = match &judged {
            Err(Failure::Fault(fault)) => fault.leaves_the_connection(),
            Err(Failure::Rejected { .. }) | Ok(_) => true,
        };
        self.connection = usable.then_some(connection);
        let judged = judged?;
        self.known.take(&judged);
        self.advance();
        self.metrics.committed(&judged.verdicts, began);
        Ok(judged.verdicts)
    }

    /// Ahead of the answers: who is answered finds the head where it must be.
    fn advance(&self) {
        crate::watch::advance(&self.head, self.known.head);
    }

    /// All else held where a document has moved; gives back the others, which were not stored either.
    fn reject(&self, jobs: Vec<Waiting>, moved: &Moved) -> Vec<Waiting> {
        let mut others = Vec::new();
        for (append, answer) in jobs {
            let Some(violation) = moved.rejection(&append) else {
                others.push((append, answer));
                continue;
            };
            let violations = vec![violation];
            let rejected = Err(Conflict { violations }.into());
            self.metrics.answered([&rejected]);
            answer.tell(rejected);
        }
        others
    }

    /// Finds out what became of `jobs` when the connection was lost.
    async fn lost(&mut self, jobs: Vec<Waiting>, fault: Fault) {
        warn!(%fault, appends = jobs.len(), "the connection was lost");
        let before = self.known.head;
        self.known.forget();
        let unknown = fault.clone();
        let (found, fault) = match lost::found(&self.server, before, &appends(&jobs)).await {
            Ok((connection, found)) => {
                self.connection = Some(connection);
                (found, fault.in_vain())
            }
            Err(error) => {
                warn!(%error, "what became of the appends is not known");
                (vec![None; jobs.len()], fault)
            }
        };
        let found = found.into_iter().zip(&jobs);
        let verdicts: Vec<_> = found
            .map(|(found, (append, _))| match found {
                Some(appended) => Ok(appended),
                // It has left nothing by which it could be found.
                None if leaves_no_event(append) => Err(unknown.clone().into()),
                None => Err(fault.clone().into()),
            })
            .collect();
        self.metrics.answered(&verdicts);
        for ((_, answer), verdict) in jobs.into_iter().zip(verdicts) {
            answer.tell(verdict);
        }
    }
}

fn leaves_no_event(append: &Append) -> bool {
    append.count() == 0 && (append.key.is_some() || !append.changes.is_empty())
}
