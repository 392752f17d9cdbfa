//! [`Writer`]: the task that stores appends in batches.
//!
//! Appends that arrive during a commit form the next batch.

use std::sync::Arc;

use factum_core::append::{Append, AppendError, Conflict, Violation};
use factum_core::error::StoreError;
use factum_core::metrics::{Stopwatch, StoreMetrics};
use factum_core::position::Position;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, debug, warn};
use uuid::Uuid;

use crate::cached_append::{LocalResult, WriteBatch};
use crate::error::{BackendError, MovedDocuments};
use crate::independent_batches::split_independent;
use crate::inline::{BatchFailure, Inline};
use crate::server::Server;
use crate::write_request::{AppendResult, WriteRequest, appends, batch_span};
use crate::writer_cache::WriterCache;
use crate::{database_append, event_id, recovery};

/// The maximum number of messages that wait for the writer; further callers wait for room.
pub const QUEUE_CAPACITY: usize = 1_024;
/// The maximum number of appends in a batch.
const MAX_BATCH_APPENDS: usize = 512;
/// The number of events and document changes from which on a batch is full.
const MAX_BATCH_EVENTS: usize = 4_096;
/// The size of its events and document changes from which on a batch is full, in bytes.
///
/// With the largest append, a batch stays far below the limit of the server, which is 1 GiB for a message.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// A message to the writer.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all messages are of the large variant"
)]
pub enum WriterMessage {
    Write(WriteRequest),
    Close(oneshot::Sender<()>),
}

pub struct Writer {
    pub server: Server,
    /// The connection, or `None` if it was lost; the next batch connects again.
    pub connection: Option<PgConnection>,
    pub cache: WriterCache,
    pub inline: Inline,
    pub head: Arc<watch::Sender<Position>>,
    pub metrics: StoreMetrics,
    /// Dropping it ends `listener`.
    pub keep_listening: oneshot::Sender<()>,
    pub listener: JoinHandle<()>,
}

impl Writer {
    /// Runs until a message closes it, the pool is closed, or all senders are dropped.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<WriterMessage>) {
        let mut messages = Vec::with_capacity(MAX_BATCH_APPENDS);
        let mut closing = None;
        while closing.is_none() {
            let received = tokio::select! {
                received = inbox.recv_many(&mut messages, MAX_BATCH_APPENDS) => received,
                // The pool was closed: no other part of the store works any more.
                _ = &mut self.listener => break,
            };
            if received == 0 {
                break;
            }
            let mut batch = Vec::with_capacity(messages.len());
            let (mut events, mut bytes) = (0, 0);
            for message in messages.drain(..) {
                match message {
                    WriterMessage::Write(request) if request.responder.is_abandoned() => {}
                    WriterMessage::Write(request) => {
                        let append = &request.append;
                        events += append.count() + append.changes.as_slice().len();
                        bytes += append.size();
                        batch.push(request);
                        if events >= MAX_BATCH_EVENTS || bytes >= MAX_BATCH_BYTES {
                            self.store(std::mem::take(&mut batch)).await;
                            (events, bytes) = (0, 0);
                        }
                    }
                    WriterMessage::Close(closed) => closing = Some(closed),
                }
            }
            self.store(batch).await;
        }
        inbox.close();
        while let Ok(message) = inbox.try_recv() {
            if let WriterMessage::Write(request) = message {
                request.responder.respond(Err(StoreError::Closed.into()));
            }
        }
        drop(self.keep_listening);
        if !self.listener.is_finished() {
            // The listener ends by itself, and its result does not matter any more.
            let _ = self.listener.await;
        }
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            warn!(%error, "cannot close the writer's connection");
        }
        if let Some(closed) = closing {
            let _ = closed.send(());
        }
    }

    /// Stores the appends that can be checked with the cache; the database checks the others.
    async fn store(&mut self, requests: Vec<WriteRequest>) {
        let use_cache = self.inline.is_empty() && self.cache.pays_for(&appends(&requests));
        let mut remaining = match use_cache && !requests.is_empty() {
            true => self.store_with_cache(requests).await,
            false => requests,
        };
        while !remaining.is_empty() {
            let (batch, later) = split_independent(remaining);
            self.store_in_database(batch).await;
            remaining = later;
        }
    }

    /// Stores appends that are checked with the cache, and returns the others.
    async fn store_with_cache(&mut self, requests: Vec<WriteRequest>) -> Vec<WriteRequest> {
        let Some(mut connection) = self.connection.take() else {
            return requests;
        };
        let started = Stopwatch::start();
        let span = batch_span(&requests);
        let waiting = appends(&requests);
        let stored = store_cached(&mut connection, &mut self.cache, &waiting);
        let results = match stored.instrument(span).await {
            Ok(results) => results,
            Err(error) if error.breaks_connection() => {
                self.handle_failure(requests, error).await;
                return Vec::new();
            }
            // A key was used before, or a table rejected data: the database finds out which append is the cause.
            Err(error) => {
                debug!(%error, "batch failed, the database will check its appends");
                if error.moved_documents().is_none() {
                    self.cache.invalidate();
                }
                None
            }
        };
        self.connection = Some(connection);
        self.advance_head();
        let Some(results) = results else {
            return requests;
        };
        let settled = results.iter().flatten();
        self.metrics.record_commit(settled, started);
        let mut remaining = Vec::new();
        for (request, result) in requests.into_iter().zip(results) {
            match result {
                Some(result) => request.responder.respond(result),
                None => remaining.push(request),
            }
        }
        remaining
    }

    /// Stores independent appends that the database checks.
    async fn store_in_database(&mut self, requests: Vec<WriteRequest>) {
        let mut requests = self.reject_without_required_event(requests).await;
        let mut rejected = Vec::new();
        while !requests.is_empty() {
            let span = batch_span(&requests);
            let stored = self.try_store(&appends(&requests)).instrument(span).await;
            let error = match stored {
                Ok(results) => {
                    for (request, result) in requests.into_iter().zip(results) {
                        request.responder.respond(result);
                    }
                    break;
                }
                Err(BatchFailure::Rejected {
                    index: Some(index), ..
                }) if requests.len() > 1 => {
                    rejected.push(requests.remove(index));
                    continue;
                }
                Err(BatchFailure::Rejected { error, .. }) => {
                    self.handle_rejection(requests, error).await;
                    break;
                }
                Err(BatchFailure::Backend(error)) => error,
            };
            if let Some(id) = error.reused_event_id()
                && requests.len() > 1
            {
                // The appends with this id are stored alone: the first one may succeed.
                let has_id = |request: &WriteRequest| has_event_id(&request.append, id);
                let (reused, others): (Vec<_>, _) = requests.into_iter().partition(has_id);
                let found = !reused.is_empty();
                rejected.extend(reused);
                requests = others;
                if found {
                    continue;
                }
            }
            let count = requests.len();
            if let Some(moved) = error.moved_documents() {
                requests = self.reject_moved(requests, &moved);
            }
            // If some were rejected, the others may succeed without them.
            if requests.len() == count {
                self.handle_failure(requests, error).await;
                break;
            }
        }
        // After the others, whose effects may be the cause of the rejection.
        self.store_each_alone(rejected).await;
    }

    /// Handles the error of an inline projection that does not say which of `requests` is the cause.
    async fn handle_rejection(&mut self, requests: Vec<WriteRequest>, error: AppendError) {
        let transient = matches!(
            error,
            AppendError::Store(StoreError::Unavailable(_) | StoreError::Closed)
        );
        if requests.len() > 1 && !transient {
            return self.store_each_alone(requests).await;
        }
        self.metrics.record_failures(requests.len());
        let text = error.to_string();
        let mut error = Some(error);
        for request in requests {
            let error = error
                .take()
                .unwrap_or_else(|| StoreError::Unavailable(text.clone().into()).into());
            request.responder.respond(Err(error));
        }
    }

    async fn store_each_alone(&mut self, requests: Vec<WriteRequest>) {
        for request in requests {
            debug!("append failed in a batch, storing it alone");
            Box::pin(self.store_in_database(vec![request])).await;
        }
    }

    async fn handle_failure(&mut self, requests: Vec<WriteRequest>, error: BackendError) {
        match error {
            error if error.is_data_error() && requests.len() > 1 => {
                self.store_each_alone(requests).await;
            }
            error if error.is_outcome_unknown() => {
                self.recover(requests, error).await;
            }
            error if error.reused_event_id().is_some() => {
                self.reject_reused_id(requests, &error).await;
            }
            error => {
                self.metrics.record_failures(requests.len());
                for request in requests {
                    request.responder.respond(Err(error.clone().into()));
                }
            }
        }
    }

    async fn try_store(&mut self, appends: &[&Append]) -> Result<Vec<AppendResult>, BatchFailure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connected = self.server.connect().await;
                connected.map_err(|error| BackendError::from(error).into_not_executed())?
            }
        };
        let started = Stopwatch::start();
        let stored = match self.inline.is_empty() {
            true => {
                let stored = database_append::store(&mut connection, appends).await;
                stored.map_err(BatchFailure::Backend)
            }
            false => self.inline.store(&mut connection, appends).await,
        };
        let broken = match &stored {
            Err(BatchFailure::Backend(error)) => error.breaks_connection(),
            Err(BatchFailure::Rejected { .. }) | Ok(_) => false,
        };
        self.connection = (!broken).then_some(connection);
        let outcome = stored?;
        self.cache.add(&outcome);
        self.advance_head();
        self.metrics.record_commit(&outcome.results, started);
        Ok(outcome.results)
    }

    /// Publishes the head.
    ///
    /// Call it before responding, so that a caller with a result sees at least its position.
    fn advance_head(&self) {
        crate::watch::advance(&self.head, self.cache.head);
    }

    /// Rejects the appends whose documents are at other revisions, and returns the others.
    ///
    /// None of them was stored. The database changes documents last, so all other expectations of the appends hold.
    fn reject_moved(
        &self,
        requests: Vec<WriteRequest>,
        moved: &MovedDocuments,
    ) -> Vec<WriteRequest> {
        let mut others = Vec::new();
        for request in requests {
            let Some(violation) = moved.violation(&request.append) else {
                others.push(request);
                continue;
            };
            let violations = vec![violation];
            let rejected = Err(Conflict { violations }.into());
            self.metrics.record_results([&rejected]);
            request.responder.respond(rejected);
        }
        others
    }

    /// Rejects the appends that require an event that is not stored, and returns the others.
    async fn reject_without_required_event(
        &mut self,
        requests: Vec<WriteRequest>,
    ) -> Vec<WriteRequest> {
        let mut others = Vec::new();
        for request in requests {
            let rejected = match self.find_missing_event(&request.append).await {
                Ok(None) => {
                    others.push(request);
                    continue;
                }
                Ok(Some(id)) => {
                    let violations = vec![Violation::MissingEvent { id }];
                    Err(Conflict { violations }.into())
                }
                // This was a read: nothing was stored.
                Err(error) => Err(error.into_not_executed().into()),
            };
            self.metrics.record_results([&rejected]);
            request.responder.respond(rejected);
        }
        others
    }

    async fn find_missing_event(&mut self, append: &Append) -> Result<Option<Uuid>, BackendError> {
        if append.requires.is_empty() {
            return Ok(None);
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect().await?,
        };
        let missing = event_id::find_missing(&mut connection, append).await;
        let is_broken = missing.as_ref().is_err_and(BackendError::breaks_connection);
        self.connection = (!is_broken).then_some(connection);
        missing
    }

    /// Rejects appends with an event id that is stored already.
    async fn reject_reused_id(&mut self, requests: Vec<WriteRequest>, error: &BackendError) {
        for request in requests {
            let rejected = match &mut self.connection {
                Some(connection) => event_id::append_error(connection, error.clone()).await,
                None => error.clone().into(),
            };
            let rejected = Err(rejected);
            self.metrics.record_results([&rejected]);
            request.responder.respond(rejected);
        }
    }

    /// Finds out which of `requests` were stored before the connection was lost.
    async fn recover(&mut self, requests: Vec<WriteRequest>, error: BackendError) {
        warn!(%error, appends = requests.len(), "connection lost during an append, recovering its result");
        let head_before = self.cache.head;
        self.cache.invalidate();
        let unknown = error.clone();
        let recovered = recovery::recover(&self.server, head_before, &appends(&requests)).await;
        let (recovered, error) = match recovered {
            Ok((connection, recovered)) => {
                self.connection = Some(connection);
                (recovered, error.into_not_executed())
            }
            Err(recovery_error) => {
                warn!(error = %recovery_error, "cannot recover the results of appends");
                (vec![None; requests.len()], error)
            }
        };
        let recovered = recovered.into_iter().zip(&requests);
        let results: Vec<_> = recovered
            .map(|(recovered, request)| match recovered {
                Some(appended) => Ok(appended),
                None if is_untraceable(&request.append) => Err(unknown.clone().into()),
                None => Err(error.clone().into()),
            })
            .collect();
        self.metrics.record_results(&results);
        for (request, result) in requests.into_iter().zip(results) {
            request.responder.respond(result);
        }
    }
}

/// Stores the appends that can be checked with `cache`; `None` if nothing was stored.
async fn store_cached(
    connection: &mut PgConnection,
    cache: &mut WriterCache,
    appends: &[&Append],
) -> Result<Option<Vec<LocalResult>>, BackendError> {
    let Some(mut batch) = WriteBatch::check(connection, cache, appends).await? else {
        return Ok(None);
    };
    if batch.insert(connection).await? {
        return Ok(Some(batch.into_results(cache)));
    }
    cache.invalidate();
    Ok(None)
}

fn has_event_id(append: &Append, id: Uuid) -> bool {
    let mut events = append.events.iter();
    events.any(|event| event.event.id == id)
}

/// Returns whether `append` writes something but has no event by which it could be found.
fn is_untraceable(append: &Append) -> bool {
    append.count() == 0 && (append.key.is_some() || !append.changes.is_empty())
}
