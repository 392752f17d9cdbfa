//! [`Lease`]: the right to process a partition, in one document with the state of the partition.
//!
//! The revision of the document is the fencing token: a node can only write it if it knows the last revision. A lease has
//! no timeout of its own: another node acquires it when the heartbeat of its holder has stopped.

use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, encode_document,
};
use factum_core::error::StoreError;
use factum_core::position::Position;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::membership::Membership;

/// The state of a partition: the content of the document of its lease.
pub trait LeaseState: Clone + Serialize + DeserializeOwned {
    /// Returns the state of a new partition, which starts after `start`.
    fn starting_after(start: Position) -> Self;

    /// Returns the node that holds the lease.
    fn holder(&self) -> Option<Uuid>;

    /// Returns the state with another holder.
    #[must_use]
    fn held_by(self, holder: Option<Uuid>) -> Self;
}

/// The lease of a partition that this node holds.
#[derive(Debug)]
pub struct Lease<S> {
    key: String,
    revision: Revision,
    state: S,
}

/// The result of an attempt to acquire a lease.
pub enum Acquisition<S> {
    /// This node holds the lease now.
    Acquired(Lease<S>),
    /// Another node holds the lease, or should acquire it.
    HeldElsewhere(S),
    /// The control document has changed: read it again.
    OutdatedControl,
}

/// The control document, as a node knows it: key and revision.
#[derive(Debug, Clone, Copy)]
pub struct KnownControl<'a> {
    /// The key.
    pub key: &'a str,
    /// The revision.
    pub revision: Revision,
}

impl KnownControl<'_> {
    fn is_current(self, found: &[Document]) -> bool {
        let control = found.iter().find(|document| document.key == self.key);
        control.map(|control| control.revision) == Some(self.revision)
    }
}

/// Returns the revision and content of the document under `key`; a new one starts after `start`.
///
/// # Errors
/// Returns [`StoreError::Corrupt`] if it cannot be decoded.
pub fn state_of<S: LeaseState>(
    found: &[Document],
    key: &str,
    start: Position,
) -> Result<(Revision, S), StoreError> {
    match found.iter().find(|document| document.key == key) {
        Some(document) => Ok((document.revision, document.decode()?)),
        None => Ok((Revision::ABSENT, S::starting_after(start))),
    }
}

impl<S: LeaseState> Lease<S> {
    /// Acquires the lease under `key`, if this node may hold it.
    ///
    /// No live node may hold the lease, and this node must have less than its share of the partitions. A new partition
    /// starts after `start`.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store fails, or contains a document that cannot be decoded.
    pub async fn acquire(
        documents: &dyn DocumentStore,
        membership: &Membership,
        key: &str,
        start: Position,
        control: KnownControl<'_>,
    ) -> Result<Acquisition<S>, StoreError> {
        let keys = [key.to_owned(), control.key.to_owned()];
        let found = documents.find_documents(&keys).await?;
        if !control.is_current(&found) {
            return Ok(Acquisition::OutdatedControl);
        }
        let (revision, state) = state_of::<S>(&found, key, start)?;
        let node = membership.node();
        let is_own = state.holder() == Some(node);
        let is_held = state
            .holder()
            .is_some_and(|holder| membership.is_alive(holder));
        if is_held {
            membership.mark_held_elsewhere(key);
        }
        if !is_own && (is_held || !membership.may_acquire(key)) {
            return Ok(Acquisition::HeldElsewhere(state));
        }
        let state = state.held_by(Some(node));
        let changes = DocumentChanges::new()
            .put_if(key, revision, encode_document(&state)?)
            .require(control.key, control.revision);
        match documents.change_documents(changes).await {
            Ok(revision) => Ok(Acquisition::Acquired(Self {
                key: key.to_owned(),
                revision,
                state,
            })),
            Err(DocumentError::RevisionConflict { .. }) => Ok(Acquisition::OutdatedControl),
            Err(error) => Err(error.into_store_error()),
        }
    }

    /// Returns the key of the document.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the revision of the document, which is the fencing token.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the last state that was read or written.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Returns the change that stores `next`, which fails if another node holds the lease.
    ///
    /// # Errors
    /// Returns [`StoreError::Failed`] if the state cannot be encoded.
    pub fn renewal_change(&self, next: &S) -> Result<DocumentChanges, StoreError> {
        Ok(DocumentChanges::new().put_if(&self.key, self.revision, encode_document(next)?))
    }

    /// Records that the change was made.
    pub fn record_renewal(&mut self, next: S, revision: Revision) {
        self.state = next;
        self.revision = revision;
    }

    /// Reads the state again, and returns whether this node still holds the lease.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store fails, or contains a document that cannot be decoded.
    pub async fn reload(&mut self, documents: &dyn DocumentStore) -> Result<bool, StoreError> {
        let found = documents.find_documents(std::slice::from_ref(&self.key));
        self.update(&found.await?)
    }

    /// Reads the state again, and returns whether this node may continue to process events.
    ///
    /// The node may continue if it still holds the lease and the control document has not changed. Use this method
    /// where appends may have moved the checkpoint.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store fails, or contains a document that cannot be decoded.
    pub async fn reload_with_control(
        &mut self,
        documents: &dyn DocumentStore,
        control: KnownControl<'_>,
    ) -> Result<bool, StoreError> {
        let keys = [self.key.clone(), control.key.to_owned()];
        let found = documents.find_documents(&keys).await?;
        Ok(control.is_current(&found) && self.update(&found)?)
    }

    fn update(&mut self, found: &[Document]) -> Result<bool, StoreError> {
        let (revision, state) = state_of::<S>(found, &self.key, Position::ZERO)?;
        let is_own = state.holder() == self.state.holder();
        if is_own {
            self.revision = revision;
            self.state = state;
        }
        Ok(is_own)
    }

    /// Releases the lease, so that others can acquire it at once.
    ///
    /// Appends and requests of users may have changed the revision since the last renewal.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store fails, or contains a document that cannot be decoded.
    pub async fn release(mut self, documents: &dyn DocumentStore) -> Result<(), StoreError> {
        loop {
            let free = self.state.clone().held_by(None);
            match documents
                .change_documents(self.renewal_change(&free)?)
                .await
            {
                Ok(_) => return Ok(()),
                Err(DocumentError::RevisionConflict { .. }) => {
                    if !self.reload(documents).await? {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error.into_store_error()),
            }
        }
    }
}
