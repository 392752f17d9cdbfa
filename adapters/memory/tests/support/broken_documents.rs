//! Faults in the handling of documents.

use factum::store::async_trait;
use factum::store::{Append, AppendError, Appended, StoreError};
use factum::store::{
    Document, DocumentChange, DocumentChanges, DocumentEffect, DocumentError, DocumentStore,
    InvalidDocumentChanges, Revision, Scan,
};

use uuid::Uuid;

use super::{Broken, Fault};

/// Splits `changes` into single changes, without their required revisions if `ignore_revisions` is set.
fn one_by_one(
    changes: DocumentChanges,
    ignore_revisions: bool,
) -> impl Iterator<Item = DocumentChanges> {
    let changes = changes.into_vec().into_iter();
    changes.map(move |change| {
        let required = change.expected.filter(|_| !ignore_revisions);
        match (change.effect, required) {
            (DocumentEffect::Put(value), None) => DocumentChanges::new().put(change.key, value),
            (DocumentEffect::Put(value), Some(at)) => {
                DocumentChanges::new().put_if(change.key, at, value)
            }
            (DocumentEffect::Delete, None) => DocumentChanges::new().delete(change.key),
            (DocumentEffect::Delete, Some(at)) => DocumentChanges::new().delete_if(change.key, at),
            (DocumentEffect::Keep, None) => DocumentChanges::new(),
            (DocumentEffect::Keep, Some(at)) => DocumentChanges::new().require(change.key, at),
        }
    })
}

fn without_revisions(changes: DocumentChanges) -> DocumentChanges {
    one_by_one(changes, true).fold(DocumentChanges::new(), DocumentChanges::with)
}

/// Rounds large integers as an encoder does that stores all numbers as floats.
fn with_rounded_integers(json: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut written = String::new();
    let mut rest = json;
    while let Some(start) = rest.find(is_digit) {
        let (text, digits) = rest.split_at(start);
        let end = digits.find(|c| !is_digit(c)).unwrap_or(digits.len());
        let number = digits[..end].parse::<u64>();
        let number = number.ok().filter(|number| *number > 1 << 53);
        written.push_str(text);
        match number {
            Some(number) => written.push_str(&(number as f64 as u64).to_string()),
            None => written.push_str(&digits[..end]),
        }
        rest = &digits[end..];
    }
    written + rest
}

impl<const FAULT: usize> Broken<FAULT> {
    pub async fn append_with_documents(&self, mut append: Append) -> Result<Appended, AppendError> {
        let changes = append.changes.clone();
        if Self::is(Fault::IgnoresRevisions) || Self::is(Fault::IgnoresKeysAndRevisions) {
            append.changes = without_revisions(append.changes);
        }
        if Self::is(Fault::ChangesDocumentsAfterEvents) {
            append.changes = DocumentChanges::new();
        }
        let result = self.append_as_peers(append).await;
        let changes_documents = match &result {
            Ok(appended) if appended.repeated => Self::is(Fault::RepeatsDocumentChanges),
            Ok(_) => Self::is(Fault::ChangesDocumentsAfterEvents),
            Err(_) => Self::is(Fault::ChangesDocumentsDespiteConflict),
        };
        if changes_documents {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            self.correct()
                .change_documents(without_revisions(changes))
                .await?;
        }
        result
    }
}

#[async_trait]
impl<const FAULT: usize> DocumentStore for Broken<FAULT> {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        let store = self.correct();
        if Self::is(Fault::IgnoresRevisions) {
            changes.check()?;
            return store.change_documents(without_revisions(changes)).await;
        }
        let each_alone = one_by_one(changes.clone(), false);
        if Self::is(Fault::ChangesDocumentsOneByOne) {
            changes.check()?;
            let mut revision = Revision::ABSENT;
            for change in each_alone {
                revision = store.change_documents(change).await?;
            }
            return Ok(revision);
        }
        let puts = changes.as_slice().iter();
        let puts = puts.filter(|change| matches!(change.effect, DocumentEffect::Put(_)));
        if Self::is(Fault::LosesLastChange) && puts.count() > 1 {
            let all = each_alone.collect::<Vec<_>>();
            let kept = all.into_iter().rev().skip(1);
            return store
                .change_documents(kept.fold(DocumentChanges::new(), DocumentChanges::with))
                .await;
        }
        if Self::is(Fault::IgnoresDeletes) {
            let kept = each_alone.filter(|change| {
                let deletes = |change: &DocumentChange| change.effect == DocumentEffect::Delete;
                !change.as_slice().iter().any(deletes)
            });
            return store
                .change_documents(kept.fold(DocumentChanges::new(), DocumentChanges::with))
                .await;
        }
        match store.change_documents(changes).await {
            Ok(_) if Self::is(Fault::ReturnsConstantRevision) => Ok(Revision::new(1)),
            Err(DocumentError::Invalid(InvalidDocumentChanges::NoEffect { .. }))
                if Self::is(Fault::AcceptsInvalid) =>
            {
                Ok(Revision::new(1))
            }
            result => result,
        }
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        if Self::is(Fault::LosesDocumentsOnClose) && self.was_closed() {
            return Ok(Vec::new());
        }
        let mut found = self.correct().find_documents(keys).await?;
        if Self::is(Fault::LosesDigits) {
            for document in &mut found {
                document.value = with_rounded_integers(&document.value);
            }
        }
        Ok(found)
    }

    async fn scan_documents(&self, mut scan: Scan) -> Result<Vec<Document>, StoreError> {
        if Self::is(Fault::ScansIgnoreAfter) {
            scan.after.clear();
        }
        let mut found = self.correct().scan_documents(scan.clone()).await?;
        while Self::is(Fault::ReturnsWholePages)
            && let Some(next) = scan.next(&found)
            && found.len() < scan.limit
        {
            let page = self.correct().scan_documents(next).await?;
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        if Self::is(Fault::ScansInStorageOrder) {
            found.sort_by_key(|document| document.revision);
        }
        Ok(found)
    }

    fn liveness_lock(&self) -> Option<Uuid> {
        Self::is(Fault::ReleasesLivenessLocks).then(Uuid::nil)
    }

    async fn released_liveness_locks(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        Ok(ids.to_vec())
    }
}
