//! [`Fence`]: ensures that only one dispatcher executes the commands of a process manager.
//!
//! Nodes can repeat the work of a dispatcher safely, with one exception: a rejected command. Another node decides later on
//! another state, and could execute a command that this node has rejected. Therefore each dispatcher writes a fencing
//! token before it starts, and all its changes require that token.
//!
//! [`DispatchOwner`] says which nodes run a dispatcher.

use std::sync::Arc;

use factum_core::document::{DocumentChanges, DocumentStore, Revision, encode_document};
use factum_core::error::StoreError;
use factum_engine::process::instance::InstanceKeys;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::documents::{Changed, try_change};
use crate::consumer::Checkpoint;
use crate::membership::Membership;

/// The nodes that execute due work.
pub enum DispatchOwner {
    /// The node that holds the lease of the events.
    LeaseHolder {
        /// The key of the lease.
        lease: String,
        /// The nodes.
        membership: Arc<Membership>,
    },
    /// Every node.
    ///
    /// A command removes its work in its own append, and so does a rejection. So each run of a schedule, and each
    /// deadline of a decision, is executed or rejected once, also if the decisions of two nodes differ.
    EveryNode,
}

/// The fencing token of a dispatcher. Changes that require it fail once another dispatcher has started.
#[derive(Debug, Clone)]
pub struct Fence(Option<FencingToken>);

#[derive(Debug, Clone)]
struct FencingToken {
    key: String,
    revision: Revision,
}

#[derive(Serialize, Deserialize)]
struct Holder {
    holder: Uuid,
}

impl Fence {
    /// Writes a new fencing token; `None` if this node does not hold the lease of the events.
    pub async fn create(
        documents: &dyn DocumentStore,
        owner: &DispatchOwner,
        keys: &InstanceKeys,
    ) -> Result<Option<Self>, StoreError> {
        let DispatchOwner::LeaseHolder { lease, membership } = owner else {
            return Ok(Some(Self(None)));
        };
        let node = membership.node();
        loop {
            let found = documents
                .find_documents(std::slice::from_ref(lease))
                .await?;
            let Some(document) = found.first() else {
                return Ok(None);
            };
            if document.decode::<Checkpoint>()?.holder != Some(node) {
                return Ok(None);
            }
            let key = keys.dispatcher();
            let changes = DocumentChanges::new()
                .put(&key, encode_document(&Holder { holder: node })?)
                .require(lease, document.revision);
            if let Changed::Yes(revision) = try_change(documents, changes).await? {
                return Ok(Some(Self(Some(FencingToken { key, revision }))));
            }
        }
    }

    /// Adds the condition that no other dispatcher has started.
    pub fn require(&self, changes: DocumentChanges) -> DocumentChanges {
        match &self.0 {
            Some(token) => changes.require(&token.key, token.revision),
            None => changes,
        }
    }

    /// Returns whether there is a fencing token.
    pub fn has_token(&self) -> bool {
        self.0.is_some()
    }

    /// Returns whether the document with this key is the fencing token.
    pub fn is_token(&self, key: &str) -> bool {
        self.0.as_ref().is_some_and(|token| token.key == key)
    }
}
