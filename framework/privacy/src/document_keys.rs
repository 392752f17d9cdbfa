//! [`DocumentKeys`]: a key store in documents, with keys wrapped by a master key.

use std::fmt;

use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan,
};
use factum_core::error::StoreError;
use factum_core::personal::Pseudonym;
use factum_core::timestamp::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::encryption_key::EncryptionKey;
use crate::error::KeyError;
use crate::key_store::{KeyState, KeyStore};
use crate::master_key::MasterKey;

/// The document with the secret of the pseudonyms, which exists before any key.
const SECRET_DOCUMENT: &str = "personal/root";
/// The document that changes with each erasure.
const ERASURE_DOCUMENT: &str = "personal/forgotten";
const KEY_PREFIX: &str = "personal/key/";
/// The maximum number of keys that are created or wrapped in one change.
const BATCH_SIZE: usize = 1_000;

/// A key store in the documents of any [`DocumentStore`], with each key wrapped by a master key.
///
/// The documents can be in the store of the events, or in another file, schema or server with backups of its own.
pub struct DocumentKeys {
    documents: Box<dyn DocumentStore>,
    master: MasterKey,
    secret: EncryptionKey,
}

/// The content of the document of a data subject.
#[derive(Serialize, Deserialize)]
enum KeyDocument {
    /// The wrapped key.
    #[serde(rename = "key")]
    Active(String),
    /// The time of the erasure.
    #[serde(rename = "forgotten")]
    Erased(Timestamp),
}

impl DocumentKeys {
    /// Opens the keys in `documents`, which are wrapped with `master`, or creates an empty key store.
    ///
    /// # Errors
    /// Returns [`KeyError::WrongMasterKey`] if the keys were wrapped with another master key, and
    /// [`KeyError::Store`] if the backend fails.
    pub async fn open(documents: impl DocumentStore, master: MasterKey) -> Result<Self, KeyError> {
        let documents: Box<dyn DocumentStore> = Box::new(documents);
        let secret = loop {
            let found = documents
                .find_documents(&[SECRET_DOCUMENT.to_owned()])
                .await?;
            if let Some(document) = found.first() {
                let wrapped = document.decode::<String>()?;
                break master.unwrap_key(SECRET_DOCUMENT, &wrapped)?;
            }
            let secret = EncryptionKey::random()?;
            let wrapped = encode(&master.wrap_key(SECRET_DOCUMENT, &secret)?)?;
            let create = DocumentChanges::new().put_if(SECRET_DOCUMENT, Revision::ABSENT, wrapped);
            match documents.change_documents(create).await {
                Ok(_) => break secret,
                // Another process has created the document; its secret is valid.
                Err(DocumentError::RevisionConflict { .. }) => {}
                Err(error) => return Err(store_error(error).into()),
            }
        };
        Ok(Self {
            documents,
            master,
            secret,
        })
    }

    /// Wraps every key with a new master key.
    ///
    /// Destroy the old master key afterwards. Copies of the database from before are then useless. No other process may
    /// use the keys during this call. If it fails, repeat it.
    ///
    /// # Errors
    /// Returns [`KeyError::Store`] if the backend fails.
    pub async fn rewrap(mut self, master: MasterKey) -> Result<Self, KeyError> {
        let mut after = String::new();
        loop {
            let scan = Scan::prefix(KEY_PREFIX).after(after).limit(BATCH_SIZE);
            let page = self.documents.scan_documents(scan).await?;
            let Some(last) = page.last() else { break };
            after = last.key.clone();
            let mut changes = DocumentChanges::new();
            for document in &page {
                let KeyDocument::Active(wrapped) = document.decode()? else {
                    continue;
                };
                // A previous call that failed may have wrapped this key already.
                let key = self
                    .master
                    .unwrap_key(&document.key, &wrapped)
                    .or_else(|_| master.unwrap_key(&document.key, &wrapped))?;
                let rewrapped = KeyDocument::Active(master.wrap_key(&document.key, &key)?);
                changes = changes.put_if(&document.key, document.revision, encode(&rewrapped)?);
            }
            let changed = self.documents.change_documents(changes).await;
            changed.map_err(store_error)?;
        }
        // The secret is wrapped last, so that after a failure the old master key still opens the key store.
        let wrapped = encode(&master.wrap_key(SECRET_DOCUMENT, &self.secret)?)?;
        let changed = self
            .documents
            .change_documents(DocumentChanges::new().put(SECRET_DOCUMENT, wrapped));
        changed.await.map_err(store_error)?;
        self.master = master;
        Ok(self)
    }

    fn decode(&self, document: &Document) -> Result<(Pseudonym, KeyState), StoreError> {
        let name = document.key.strip_prefix(KEY_PREFIX).unwrap_or_default();
        let subject = Pseudonym::try_from(name.to_owned());
        let subject = subject.map_err(|rule| StoreError::Corrupt(format!("{name:?}: {rule}")))?;
        let state = match document.decode()? {
            KeyDocument::Active(wrapped) => {
                KeyState::Active(self.master.unwrap_key(&document.key, &wrapped)?)
            }
            KeyDocument::Erased(since) => KeyState::Erased(since),
        };
        Ok((subject, state))
    }

    /// Creates keys for subjects that have none.
    async fn create(&self, subjects: &[Pseudonym]) -> Result<(), StoreError> {
        let mut changes = DocumentChanges::new();
        for subject in subjects {
            let document = document_key(*subject);
            let key = self.master.wrap_key(&document, &EncryptionKey::random()?)?;
            let value = encode(&KeyDocument::Active(key))?;
            changes = changes.put_if(document, Revision::ABSENT, value);
        }
        match self.documents.change_documents(changes).await {
            // If another process has created one of the keys, none is created here. The caller reads them again.
            Ok(_) | Err(DocumentError::RevisionConflict { .. }) => Ok(()),
            Err(error) => Err(store_error(error)),
        }
    }
}

impl KeyStore for DocumentKeys {
    fn pseudonym(&self, id: &str) -> Pseudonym {
        // HMAC accepts keys of any length, so this cannot fail.
        let hash = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).map(|hash| {
            let hash = hash.chain_update(id).finalize().into_bytes();
            hash.first_chunk().copied().unwrap_or_default()
        });
        Pseudonym::new(hash.unwrap_or_default())
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        let found = self
            .documents
            .find_documents(&[ERASURE_DOCUMENT.to_owned()])
            .await?;
        let document = found.first();
        Ok(document.map_or(Revision::ABSENT, |document| document.revision))
    }

    async fn find(&self, subjects: &[Pseudonym]) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
        let mut states = Vec::with_capacity(subjects.len());
        for batch in subjects.chunks(BATCH_SIZE) {
            let keys: Vec<_> = batch.iter().copied().map(document_key).collect();
            for document in self.documents.find_documents(&keys).await? {
                states.push(self.decode(&document)?);
            }
        }
        Ok(states)
    }

    async fn find_or_create(
        &self,
        subjects: &[Pseudonym],
    ) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
        loop {
            let states = self.find(subjects).await?;
            if states.len() == subjects.len() {
                return Ok(states);
            }
            let is_missing =
                |subject: &&Pseudonym| states.iter().all(|(found, _)| found != *subject);
            let missing: Vec<_> = subjects.iter().filter(is_missing).copied().collect();
            for batch in missing.chunks(BATCH_SIZE) {
                self.create(batch).await?;
            }
        }
    }

    async fn erase(&self, subject: Pseudonym) -> Result<Timestamp, StoreError> {
        let key = document_key(subject);
        loop {
            let found = self
                .documents
                .find_documents(std::slice::from_ref(&key))
                .await?;
            let found = found.first();
            if let Some(KeyDocument::Erased(since)) = found.map(Document::decode).transpose()? {
                return Ok(since);
            }
            let now = Timestamp::now();
            let revision = found.map_or(Revision::ABSENT, |document| document.revision);
            let changes = DocumentChanges::new()
                .put_if(&key, revision, encode(&KeyDocument::Erased(now))?)
                .put(ERASURE_DOCUMENT, encode(&now)?);
            match self.documents.change_documents(changes).await {
                Ok(_) => return Ok(now),
                Err(DocumentError::RevisionConflict { .. }) => {}
                Err(error) => return Err(store_error(error)),
            }
        }
    }
}

impl fmt::Debug for DocumentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentKeys").finish_non_exhaustive()
    }
}

fn document_key(subject: Pseudonym) -> String {
    format!("{KEY_PREFIX}{subject}")
}

fn encode(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed(error.into()))
}

fn store_error(error: DocumentError) -> StoreError {
    match error {
        DocumentError::Store(error) => error,
        other => StoreError::Failed(other.into()),
    }
}
