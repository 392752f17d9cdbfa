//! The document store of [`Faulty`].

use async_trait::async_trait;

use super::faults::InjectedFault;
use super::faulty::{Faulty, REQUEST_LOST, RESPONSE_LOST, StoreCall, UNREACHABLE};
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan,
};
use factum_core::store::Store;
use factum_engine::error::StoreError;
use uuid::Uuid;

#[async_trait]
impl<S: Store> DocumentStore for Faulty<S> {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        let mut call = self.start_call(StoreCall::Change);
        self.pause(&mut call).await;
        let store = self.store();
        let error = match self.faults().pick(call.rng.f64()) {
            InjectedFault::None | InjectedFault::Twice => {
                let result = store.change_documents(changes).await;
                self.pause(&mut call).await;
                return result;
            }
            InjectedFault::Rejected | InjectedFault::RolledBack => {
                self.unavailable(&call, UNREACHABLE)
            }
            InjectedFault::Unsent => self.interrupted(&call, REQUEST_LOST),
            InjectedFault::Unanswered | InjectedFault::Dropped => {
                store.change_documents(changes).await?;
                self.interrupted(&call, RESPONSE_LOST)
            }
        };
        self.pause(&mut call).await;
        Err(error.into())
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.call(StoreCall::Read, self.store().find_documents(keys))
            .await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.call(StoreCall::Read, self.store().scan_documents(scan))
            .await
    }

    fn liveness_lock(&self) -> Option<Uuid> {
        self.store().liveness_lock()
    }

    async fn released_liveness_locks(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let released = self.store().released_liveness_locks(ids);
        self.call(StoreCall::Read, released).await
    }
}
