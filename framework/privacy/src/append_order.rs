//! [`AppendOrder`]: passes appends to the inner store in the order in which they arrived.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot::{self, Receiver, Sender};

/// A queue of appends, which are encrypted concurrently and stored in the order of their arrival.
///
/// The engine starts an append before the previous one of the same stream has returned. If their order changed, they
/// would conflict.
#[derive(Debug, Default)]
pub struct AppendOrder {
    last: Mutex<Option<Receiver<()>>>,
}

/// The place of one append in the queue; dropping it lets the next append proceed.
pub struct AppendTicket {
    previous: Option<Receiver<()>>,
    _next: Sender<()>,
}

impl AppendOrder {
    /// Adds an append to the end of the queue.
    pub fn enter(&self) -> AppendTicket {
        let (sender, receiver) = oneshot::channel();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        AppendTicket {
            previous: last.replace(receiver),
            _next: sender,
        }
    }
}

impl AppendTicket {
    /// Waits until the previous append has dropped its ticket.
    pub async fn wait(&mut self) {
        if let Some(previous) = self.previous.take() {
            // Nothing is sent on the channel; it is closed when the previous ticket is dropped.
            let _ = previous.await;
        }
    }
}
