//! Faults of documents.

use factum::document::{
    Change, ChangeError, Changes, Document, DocumentStore, Effect, InvalidChanges, Revision, Scan,
};
use factum::{Append, AppendError, Appended, StoreError, async_trait};

use super::{Broken, Fault};

/// Each change by itself, at whatever revision where it is made blindly.
fn one_by_one(changes: Changes, blindly: bool) -> impl Iterator<Item = Changes> {
    let changes = changes.into_vec().into_iter();
    changes.map(move |change| {
        let required = change.required.filter(|_| !blindly);
        match (change.effect, required) {
            (Effect::Put(value), None) => Changes::new().put(change.key, value),
            (Effect::Put(value), Some(at)) => Changes::new().put_if(change.key, at, value),
            (Effect::Delete, None) => Changes::new().delete(change.key),
            (Effect::Delete, Some(at)) => Changes::new().delete_if(change.key, at),
            (Effect::Keep, None) => Changes::new(),
            (Effect::Keep, Some(at)) => Changes::new().require(change.key, at),
        }
    })
}

fn blind(changes: Changes) -> Changes {
    one_by_one(changes, true).fold(Changes::new(), Changes::with)
}

/// As somebody writes JSON who has no integers, but floats.
fn with_fewer_digits(json: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut written = String::new();
    let mut rest = json;
    while let Some(start) = rest.find(is_digit) {
        let (ahead, digits) = rest.split_at(start);
        let end = digits.find(|c| !is_digit(c)).unwrap_or(digits.len());
        let number = digits[..end].parse::<u64>();
        let number = number.ok().filter(|number| *number > 1 << 53);
        written.push_str(ahead);
        match number {
            Some(number) => written.push_str(&(number as f64 as u64).to_string()),
            None => written.push_str(&digits[..end]),
        }
        rest = &digits[end..];
    }
    written + rest
}

impl<const FAULT: usize> Broken<FAULT> {
    pub(super) async fn append_with_documents(
        &self,
        mut append: Append,
    ) -> Result<Appended, AppendError> {
        let changes = append.changes.clone();
        if Self::is(Fault::ChangesBlindly) || Self::is(Fault::ForgetsKeysAndRevisions) {
            append.changes = blind(append.changes);
        }
        if Self::is(Fault::ChangesBehindTheEvents) {
            append.changes = Changes::new();
        }
        let answer = self.append_as_peers_do(append).await;
        let makes = match &answer {
            Ok(appended) if appended.repeated => Self::is(Fault::ChangesAgain),
            Ok(_) => Self::is(Fault::ChangesBehindTheEvents),
            Err(_) => Self::is(Fault::ChangesDespiteConflicts),
        };
        if makes {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            self.sound().change_documents(blind(changes)).await?;
        }
        answer
    }
}

#[async_trait]
impl<const FAULT: usize> DocumentStore for Broken<FAULT> {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        let documents = self.sound();
        if Self::is(Fault::ChangesBlindly) {
            changes.check()?;
            return documents.change_documents(blind(changes)).await;
        }
        let each_alone = one_by_one(changes.clone(), false);
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
        let mut found = self.sound().find_documents(keys).await?;
        if Self::is(Fault::NumbersLoseDigits) {
            for document in &mut found {
                document.value = with_fewer_digits(&document.value);
            }
        }
        Ok(found)
    }

    async fn scan_documents(&self, mut scan: Scan) -> Result<Vec<Document>, StoreError> {
        if Self::is(Fault::ScansIgnoreWhatIsBehind) {
            scan.after.clear();
        }
        let mut found = self.sound().scan_documents(scan).await?;
        if Self::is(Fault::ScansComeAsStored) {
            found.sort_by_key(|document| document.revision);
        }
        Ok(found)
    }
}
