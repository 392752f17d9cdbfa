//! Faults of documents.

use factum::StoreError;
use factum::async_trait;
use factum::document::{
    Change, ChangeError, Changes, Document, DocumentStore, Effect, InvalidChanges, Revision, Scan,
};

use super::{Broken, Fault};

#[async_trait]
impl<const FAULT: usize> DocumentStore for Broken<FAULT> {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        let documents = self.sound();
        let each_alone = changes.clone().into_vec().into_iter().map(|change| {
            let required = change.required.filter(|_| !Self::is(Fault::ChangesBlindly));
            match (change.effect, required) {
                (Effect::Put(value), None) => Changes::new().put(change.key, value),
                (Effect::Put(value), Some(at)) => Changes::new().put_if(change.key, at, value),
                (Effect::Delete, None) => Changes::new().delete(change.key),
                (Effect::Delete, Some(at)) => Changes::new().delete_if(change.key, at),
                (Effect::Keep, None) => Changes::new(),
                (Effect::Keep, Some(at)) => Changes::new().require(change.key, at),
            }
        });
        if Self::is(Fault::ChangesBlindly) {
            changes.check()?;
            let all = each_alone.fold(Changes::new(), Changes::with);
            return documents.change_documents(all).await;
        }
        if Self::is(Fault::ChangesOneByOne) {
            changes.check()?;
            let mut revision = Revision::ABSENT;
            for change in each_alone {
                revision = documents.change_documents(change).await?;
            }
            return Ok(revision);
        }
        let puts = changes.as_slice().iter();
        let puts = puts.filter(|change| matches!(change.effect, Effect::Put(_)));
        if Self::is(Fault::ChangesLoseTheLast) && puts.count() > 1 {
            let all = each_alone.collect::<Vec<_>>();
            let kept = all.into_iter().rev().skip(1);
            return documents
                .change_documents(kept.fold(Changes::new(), Changes::with))
                .await;
        }
        if Self::is(Fault::KeepsWhatIsDeleted) {
            let kept = each_alone.filter(|change| {
                let deletes = |change: &Change| change.effect == Effect::Delete;
                !change.as_slice().iter().any(deletes)
            });
            return documents
                .change_documents(kept.fold(Changes::new(), Changes::with))
                .await;
        }
        match documents.change_documents(changes).await {
            Ok(_) if Self::is(Fault::RevisionsStandStill) => Ok(Revision::new(1)),
            Err(ChangeError::Invalid(InvalidChanges::Idle { .. }))
                if Self::is(Fault::TakesTheInvalid) =>
            {
                Ok(Revision::new(1))
            }
            answer => answer,
        }
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        if Self::is(Fault::ForgetsDocumentsOnClose) && self.was_closed() {
            return Ok(Vec::new());
        }
        self.sound().find_documents(keys).await
    }

    async fn scan_documents(&self, mut scan: Scan) -> Result<Vec<Document>, StoreError> {
        if Self::is(Fault::ScansIgnoreWhatIsBehind) {
            scan.after.clear();
        }
        self.sound().scan_documents(scan).await
    }
}
