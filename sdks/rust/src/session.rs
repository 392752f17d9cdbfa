//! [`ClientSession`]: the connection of a client, and the repetition of its calls.

use std::fmt;
use std::sync::Arc;

use factum_store_protocol::MAX_MESSAGE_BYTES;
use factum_store_protocol::v1::consumer_group_service_client::ConsumerGroupServiceClient;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use tonic::{Response, Status};

use crate::attempts::Tries;
use crate::error::ClientError;
use crate::options::{ClientOptions, Connection};

/// The generated client for events.
pub type Calls = EventStoreServiceClient<Connection>;

/// The generated client for consumer groups.
pub type GroupCalls = ConsumerGroupServiceClient<Connection>;

/// A connection with its settings. Clones share it.
#[derive(Clone)]
pub struct ClientSession {
    calls: Calls,
    groups: GroupCalls,
    options: Arc<ClientOptions>,
}

impl ClientSession {
    pub fn new(connection: Connection, options: ClientOptions) -> Self {
        let groups = ConsumerGroupServiceClient::new(connection.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let calls = EventStoreServiceClient::new(connection)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self {
            calls,
            groups,
            options: Arc::new(options),
        }
    }

    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    pub fn groups(&self) -> GroupCalls {
        self.groups.clone()
    }

    /// Makes a call that changes nothing.
    pub async fn ask<Q, A, F>(
        &self,
        request: Q,
        call: impl Fn(Self, Q) -> F,
    ) -> Result<A, ClientError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let tries = Tries::read(&self.options.attempts, self.options.timeout);
        self.call(tries, request, call).await
    }

    /// Makes a call with one answer, and repeats it as long as `tries` allows.
    pub async fn call<Q, A, F>(
        &self,
        mut tries: Tries,
        request: Q,
        call: impl Fn(Self, Q) -> F,
    ) -> Result<A, ClientError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        loop {
            match tries.within(call(self.clone(), request.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => tries.pause_after(status).await?,
            }
        }
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
