//! [`Appender`]: the appends of all clones of a store, on one stream of requests.

use std::collections::HashMap;

use factum_core::append::{Append, AppendError};
use factum_core::error::{Outage, StoreError};
use factum_store_client::Connection;
use factum_store_protocol::append as messages;
use factum_store_protocol::refusal::{append_error, status_of};
use factum_store_protocol::v1;
use factum_store_protocol::v1::append_stream_response::Result as Outcome;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// The maximum number of appends that wait for the connection.
const MAX_QUEUED: usize = 256;

type Answer = Result<v1::AppendResponse, Status>;

/// An append that waits for its answer.
struct Request {
    append: v1::AppendRequest,
    answer: oneshot::Sender<Answer>,
}

/// Sends the appends of all clones of a store without waiting for each answer.
///
/// One stream of requests avoids the cost of a call for each append, and its answers may have any size. A task owns the
/// stream, and opens another one after a failure.
pub struct Appender {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<()>,
}

impl Appender {
    /// Starts the task. The stream is opened for the first append.
    pub fn start(client: EventStoreServiceClient<Connection>) -> Self {
        let (requests, queue) = mpsc::channel(MAX_QUEUED);
        let task = tokio::spawn(run(client, queue));
        Self { requests, task }
    }

    /// Sends an append, and waits for its answer.
    pub async fn append(&self, append: &Append) -> Result<v1::AppendResponse, AppendError> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            append: messages::to_message(append),
            answer,
        };
        let ended = || StoreError::Interrupted(Outage::from("the runtime of the store has ended"));
        if self.requests.send(request).await.is_err() {
            return Err(ended().into());
        }
        match answered.await {
            Ok(Ok(appended)) => Ok(appended),
            Ok(Err(status)) => Err(append_error(status, append)),
            Err(_) => Err(ended().into()),
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens a stream for the next append, and again after each failure.
async fn run(mut client: EventStoreServiceClient<Connection>, mut queue: mpsc::Receiver<Request>) {
    while let Some(first) = queue.recv().await {
        let (sender, requests) = mpsc::channel(MAX_QUEUED);
        match client.append_stream(ReceiverStream::new(requests)).await {
            Ok(answers) => {
                let call = PendingAppends {
                    sender,
                    answers: answers.into_inner(),
                    pending: HashMap::new(),
                    next_id: 0,
                };
                call.run(first, &mut queue).await;
            }
            // The caller may be gone.
            Err(status) => drop(first.answer.send(Err(status))),
        }
    }
}

/// A stream of requests, and the appends whose answers have not arrived.
struct PendingAppends {
    sender: mpsc::Sender<v1::AppendStreamRequest>,
    answers: Streaming<v1::AppendStreamResponse>,
    pending: HashMap<u64, oneshot::Sender<Answer>>,
    next_id: u64,
}

impl PendingAppends {
    /// Sends appends and receives answers until the stream fails or the store is dropped.
    async fn run(mut self, first: Request, queue: &mut mpsc::Receiver<Request>) {
        let mut unsent = Some(first);
        let status = loop {
            let has_unsent = unsent.is_some();
            tokio::select! {
                answer = self.answers.message() => match answer {
                    Ok(Some(answer)) => self.resolve(answer),
                    Ok(None) => break Status::unavailable("the server ended the stream of appends"),
                    Err(status) => break status,
                },
                permit = self.sender.clone().reserve_owned(), if has_unsent => match (permit, unsent.take()) {
                    (Ok(permit), Some(request)) => {
                        let request_id = self.next_id;
                        self.next_id += 1;
                        self.pending.insert(request_id, request.answer);
                        let append = Some(request.append);
                        permit.send(v1::AppendStreamRequest { request_id, append });
                    }
                    (_, request) => {
                        unsent = request;
                        break Status::unavailable("the stream of appends has ended");
                    }
                },
                request = queue.recv(), if !has_unsent => match request {
                    Some(request) => unsent = Some(request),
                    // The store was dropped, and nobody waits for an answer.
                    None => return,
                },
            }
        };
        for (_, answer) in self.pending {
            // The caller may be gone.
            let _ = answer.send(Err(status.clone()));
        }
        if let Some(request) = unsent {
            let _ = request.answer.send(Err(status));
        }
    }

    fn resolve(&mut self, answer: v1::AppendStreamResponse) {
        let Some(pending) = self.pending.remove(&answer.request_id) else {
            return;
        };
        let result = match answer.result {
            Some(Outcome::Appended(appended)) => Ok(appended),
            Some(Outcome::Failed(failure)) => Err(status_of(failure)),
            None => Err(Status::unknown("the answer of the server has no result")),
        };
        // The caller may be gone.
        let _ = pending.send(result);
    }
}
