//! [`Node`]: this runtime among the nodes that share a store.

use std::sync::{Arc, Mutex, PoisonError};

use factum_core::document::DocumentStore;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::membership::Membership;

/// This runtime among the nodes that share a store. If it is dropped, it leaves in the background.
pub struct Node {
    membership: Arc<Membership>,
    documents: Arc<dyn DocumentStore>,
    /// The task of the heartbeats; `None` if no consumer is shared with other nodes.
    heartbeats: Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    /// Starts the heartbeats of this node, if it shares consumers with others.
    pub fn start(
        membership: Arc<Membership>,
        documents: Arc<dyn DocumentStore>,
        is_shared: bool,
    ) -> Self {
        let heartbeats = is_shared.then(|| tokio::spawn(membership.clone().run(documents.clone())));
        Self {
            membership,
            documents,
            heartbeats: Mutex::new(heartbeats),
        }
    }

    /// Returns the id of this node.
    pub fn id(&self) -> Uuid {
        self.membership.node()
    }

    /// Ends the heartbeats, and removes this node, so that others take over at once.
    pub async fn leave(&self) {
        if let Some(heartbeats) = self.take_heartbeats() {
            heartbeats.abort();
            self.membership.leave(&*self.documents).await;
        }
    }

    fn take_heartbeats(&self) -> Option<JoinHandle<()>> {
        let mut heartbeats = self
            .heartbeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        heartbeats.take()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(heartbeats) = self.take_heartbeats() else {
            return;
        };
        heartbeats.abort();
        if let Ok(runtime) = Handle::try_current() {
            let (membership, documents) = (self.membership.clone(), self.documents.clone());
            runtime.spawn(async move { membership.leave(&*documents).await });
        }
    }
}
