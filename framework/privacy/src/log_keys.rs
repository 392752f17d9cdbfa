//! The document of a log that names the key store to which its encrypted events belong.

use factum_core::document::{Document, DocumentChanges, DocumentError, Revision};
use factum_core::error::StoreError;
use factum_core::personal::{EncryptedFields, Pseudonym};
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, Read};
use factum_core::store::Store;

use crate::error::KeyError;
use crate::key_store::SharedKeyStore;

/// The document in the log with the fingerprint of its key store.
const KEY_STORE_DOCUMENT: &str = "personal/key-store";

/// The input of the fingerprint. No data subject has this id, because it contains a control character.
const FINGERPRINT: &str = "key store of a log\0";

/// Checks that the encrypted events of `log` belong to `keys`.
///
/// A log without a key store takes this one.
///
/// # Errors
/// Returns [`KeyError::OtherKeyStore`] if they belong to another key store.
pub async fn claim_log(log: &impl Store, keys: &SharedKeyStore) -> Result<(), KeyError> {
    let own = keys.pseudonym(FINGERPRINT);
    loop {
        let found = log.find_documents(&[KEY_STORE_DOCUMENT.to_owned()]).await?;
        if let Some(document) = found.first() {
            return match decode(document)? == own {
                true => Ok(()),
                false => Err(KeyError::OtherKeyStore),
            };
        }
        check_newest_events(log, keys).await?;
        let value = serde_json::to_string(&own.to_string());
        let value = value.map_err(|error| StoreError::Failed(error.into()))?;
        let claim = DocumentChanges::new().put_if(KEY_STORE_DOCUMENT, Revision::ABSENT, value);
        match log.change_documents(claim).await {
            Ok(_) => return Ok(()),
            // Another process has claimed the log at the same time, perhaps with another key store.
            Err(DocumentError::RevisionConflict { .. }) => {}
            Err(DocumentError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(StoreError::Failed(error.into()).into()),
        }
    }
}

fn decode(document: &Document) -> Result<Pseudonym, StoreError> {
    let name = document.decode::<String>()?;
    Pseudonym::try_from(name)
        .map_err(|rule| StoreError::Corrupt(format!("document {KEY_STORE_DOCUMENT:?}: {rule}")))
}

/// Checks that the keys of the newest encrypted events exist.
///
/// This is for a log whose documents were not copied with its events.
async fn check_newest_events(log: &impl Store, keys: &SharedKeyStore) -> Result<(), KeyError> {
    let newest = Read::all(Query::all()).backward().limit(MAX_PAGE);
    let page = log.read(newest).await?;
    for event in &page.events {
        let Ok(Some(fields)) = EncryptedFields::of(event) else {
            continue;
        };
        let subjects: Vec<_> = fields
            .values
            .iter()
            .map(|(_, value)| value.subject)
            .collect();
        let known = keys.find(&subjects).await?;
        if let Some(missing) = subjects
            .iter()
            .find(|subject| known.iter().all(|(known, _)| known != *subject))
        {
            tracing::warn!(position = %event.position, subject = %missing, "encrypted event without a key");
            return Err(KeyError::OtherKeyStore);
        }
        break;
    }
    Ok(())
}
