//! [`Writer`]: the thread that stores appends in batches.
//!
//! Requests that arrive during a commit form the next batch.

use std::io;
use std::sync::Arc;

use factum_core::metrics::{Stopwatch, StoreMetrics};
use factum_core::position::Position;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::debug;

use crate::batch;
use crate::error::BackendError;
use crate::inline::Inline;
use crate::write_connection::{WriteConnection, WriteLock};
use crate::write_request::{WriteRequest, batch_span};

/// The maximum number of messages that wait for the writer; further callers wait for room.
const QUEUE_CAPACITY: usize = 1_024;
/// The maximum number of requests in a batch.
const MAX_BATCH_REQUESTS: usize = 512;
/// The number of events from which on a batch is full.
const MAX_BATCH_EVENTS: usize = 4_096;
/// The size of its events and documents from which on a batch is full, in bytes.
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
    pub write_lock: WriteLock,
    pub inline: Inline,
    pub head: Arc<watch::Sender<Position>>,
    pub metrics: StoreMetrics,
}

impl Writer {
    /// Starts the thread, and returns its queue.
    pub fn start(self) -> io::Result<mpsc::Sender<WriterMessage>> {
        let (queue, inbox) = mpsc::channel(QUEUE_CAPACITY);
        std::thread::Builder::new()
            .name("factum-sqlite-writer".to_owned())
            .spawn(move || self.run(inbox))?;
        Ok(queue)
    }

    /// Runs until a message closes it or all senders are dropped; blocks the thread.
    fn run(self, mut inbox: mpsc::Receiver<WriterMessage>) {
        let mut messages = Vec::with_capacity(MAX_BATCH_REQUESTS);
        let mut closing = None;
        while closing.is_none() && inbox.blocking_recv_many(&mut messages, MAX_BATCH_REQUESTS) > 0 {
            let mut batch = Vec::with_capacity(messages.len());
            let (mut events, mut bytes) = (0, 0);
            for message in messages.drain(..) {
                match message {
                    WriterMessage::Write(request) if request.is_abandoned() => {}
                    WriterMessage::Write(request) => {
                        events += request.event_count();
                        bytes += request.size();
                        batch.push(request);
                        if events >= MAX_BATCH_EVENTS || bytes >= MAX_BATCH_BYTES {
                            self.store(std::mem::take(&mut batch));
                            (events, bytes) = (0, 0);
                        }
                    }
                    WriterMessage::Close(closed) => closing = Some(closed),
                }
            }
            self.store(batch);
        }
        inbox.close();
        drop(self);
        if let Some(closed) = closing {
            let _ = closed.send(());
        }
    }

    fn store(&self, mut requests: Vec<WriteRequest>) {
        if requests.is_empty() {
            return;
        }
        let mut guard = self.write_lock.blocking_lock();
        let Some(writer) = guard.connection() else {
            return self.fail(requests, BackendError::Closed);
        };
        match self.try_store(writer, &mut requests) {
            Ok(()) => requests.into_iter().for_each(WriteRequest::respond),
            Err(error) if error.is_data_error() && requests.len() > 1 => {
                let count = requests.len();
                debug!(%error, requests = count, "batch failed, storing each request alone");
                self.store_each_alone(writer, requests);
            }
            Err(error) => self.fail(requests, error),
        }
    }

    fn store_each_alone(&self, writer: &mut WriteConnection, requests: Vec<WriteRequest>) {
        for request in requests {
            let mut alone = vec![request];
            match self.try_store(writer, &mut alone) {
                Ok(()) => alone.into_iter().for_each(WriteRequest::respond),
                Err(error) => self.fail(alone, error),
            }
        }
    }

    fn fail(&self, mut requests: Vec<WriteRequest>, error: BackendError) {
        let appends = requests.iter().filter(|request| request.is_append());
        self.metrics.record_failures(appends.count());
        // The last one owns the error, so that a single caller gets it unshared.
        let last = requests.pop();
        for request in requests {
            request.fail(error.clone());
        }
        if let Some(last) = last {
            last.fail(error);
        }
    }

    fn try_store(
        &self,
        writer: &mut WriteConnection,
        requests: &mut [WriteRequest],
    ) -> Result<(), BackendError> {
        let started = Stopwatch::start();
        let span = batch_span(requests);
        let stored = span.in_scope(|| batch::store(writer, &self.inline, requests));
        // Events in a deleted file are not acknowledged.
        let stored = stored.and_then(|head| writer.verify_file().map(|()| head));
        let head = match stored {
            Ok(head) => head,
            Err(error) => {
                writer.reset_after(&error);
                return Err(error);
            }
        };
        // Before the responses, so that a caller with a result sees at least its position.
        crate::watch::advance(&self.head, head);
        let results = requests.iter().filter_map(WriteRequest::append_result);
        self.metrics.record_commit(results, started);
        Ok(())
    }
}
