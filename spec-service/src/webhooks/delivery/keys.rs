//! The key from which the secrets of webhooks are derived, a document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use factum::store::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, StoreError, encode_document,
};

use super::signature::{KEY_BYTES, SecretKey};

const KEY: &str = "webhooks/key";

/// Returns the key of this database, and creates it if there is none.
///
/// # Errors
/// Returns an error if the store fails, or if the document is not a key.
pub async fn load_key(documents: &(impl DocumentStore + ?Sized)) -> Result<SecretKey, StoreError> {
    loop {
        let found = documents.find_documents(&[KEY.to_owned()]).await?;
        if let Some(document) = found.first() {
            return decode(document);
        }
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| StoreError::Failed(error.into()))?;
        let text = encode_document(&STANDARD.encode(bytes))?;
        let changes = DocumentChanges::new().put_if(KEY, Revision::ABSENT, text);
        match documents.change_documents(changes).await {
            // Another node has created it at the same time.
            Ok(_) | Err(DocumentError::RevisionConflict { .. }) => {}
            Err(error) => return Err(error.into_store_error()),
        }
    }
}

fn decode(document: &Document) -> Result<SecretKey, StoreError> {
    let text: String = document.decode()?;
    let bytes = STANDARD.decode(text).ok();
    let bytes: Option<[u8; KEY_BYTES]> = bytes.and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or_else(|| {
        StoreError::Corrupt(format!("document {KEY:?}: expected {KEY_BYTES} bytes"))
    })?;
    Ok(SecretKey::new(bytes))
}
