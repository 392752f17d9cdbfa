//! Documents of a store that fails.

use async_trait::async_trait;

use super::faults::Fate;
use super::faulty::{Faulty, Kind};
use factum_core::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum_core::store::Store;
use factum_engine::error::StoreError;

#[async_trait]
impl<S: Store> DocumentStore for Faulty<S> {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        let mut call = self.call(Kind::Change);
        self.pause(&mut call).await;
        let store = self.store();
        let error = match self.faults().fate(call.dice.f64()) {
            Fate::Sound | Fate::Twice => {
                let answer = store.change_documents(changes).await;
                self.pause(&mut call).await;
                return answer;
            }
            Fate::Rejected | Fate::RolledBack => self.unavailable(&call, "turned away"),
            Fate::Unsent => self.interrupted(&call, "lost on its way"),
            Fate::Unanswered | Fate::Dropped => {
                store.change_documents(changes).await?;
                self.interrupted(&call, "the answer was lost")
            }
        };
        self.pause(&mut call).await;
        Err(error.into())
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.ask(Kind::Read, self.store().find_documents(keys))
            .await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.ask(Kind::Read, self.store().scan_documents(scan))
            .await
    }
}
