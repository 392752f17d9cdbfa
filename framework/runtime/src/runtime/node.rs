//! [`Node`]: this runtime among the nodes that share a store.

use std::sync::Arc;

use factum_core::document::DocumentStore;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::membership::Membership;

/// This runtime among the nodes that share a store. Dropping it ends the heartbeats.
pub struct Node {
    membership: Arc<Membership>,
    documents: Arc<dyn DocumentStore>,
    /// The task of the heartbeats; `None` if no consumer is shared with other nodes.
    heartbeats: Option<JoinHandle<()>>,
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
            heartbeats,
        }
    }

    /// Returns the id of this node.
    pub fn id(&self) -> Uuid {
        self.membership.node()
    }

    /// Ends the heartbeats, and removes this node, so that others take over at once.
    pub async fn leave(mut self) {
        if let Some(heartbeats) = self.heartbeats.take() {
            heartbeats.abort();
            self.membership.leave(&*self.documents).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(heartbeats) = &self.heartbeats {
            heartbeats.abort();
        }
    }
}
