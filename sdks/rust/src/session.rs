//! [`Session`]: the connection of a client, and the repetition of its calls.

use std::fmt;
use std::sync::Arc;

use factum_store_protocol::MAX_MESSAGE_BYTES;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use tonic::{Response, Status};

use crate::attempts::Tries;
use crate::error::ClientError;
use crate::options::{ClientOptions, Connection};

/// The generated client of the protocol.
pub type Calls = EventStoreServiceClient<Connection>;

/// A connection with its settings. Clones share it.
#[derive(Clone)]
pub struct Session {
    calls: Calls,
    options: Arc<ClientOptions>,
}

impl Session {
    pub fn new(connection: Connection, options: ClientOptions) -> Self {
        let calls = EventStoreServiceClient::new(connection)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self {
            calls,
            options: Arc::new(options),
        }
    }

    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// Makes a call that changes nothing.
    pub async fn ask<Q, A, F>(
        &self,
        request: Q,
        call: impl Fn(Calls, Q) -> F,
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
        call: impl Fn(Calls, Q) -> F,
    ) -> Result<A, ClientError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        loop {
            match tries.within(call(self.calls(), request.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => tries.pause_after(status).await?,
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
