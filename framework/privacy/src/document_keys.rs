//! [`DocumentKeys`]: keys kept as documents, wrapped with a master key.

use std::fmt;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::error::KeyError;
use super::key::{Key, MasterKey};
use super::key_store::{KeyState, KeyStore};
use factum_core::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use factum_core::personal::Pseudonym;
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;

/// Holds the secret of the pseudonyms. It is there before any key.
const ROOT: &str = "personal/root";
/// Changes with every subject that is forgotten.
const FORGOTTEN: &str = "personal/forgotten";
const KEY: &str = "personal/key/";
/// So many keys are made or wrapped anew together.
const BATCH: usize = 1_000;

/// Keys as documents, each wrapped with a master key. Any [`DocumentStore`] will do: the store of the events, or
/// another file, schema or server, which then has its own backups.
pub struct DocumentKeys {
    documents: Box<dyn DocumentStore>,
    master: MasterKey,
    secret: Key,
}

/// What the document of a subject holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// Sealed.
    Key(String),
    Forgotten(Timestamp),
}

impl DocumentKeys {
    /// The keys in `documents`, which were wrapped with `master`; at first there are none.
    ///
    /// # Errors
    /// [`KeyError::WrongMasterKey`] if they were wrapped with another, [`KeyError::Store`] if the backend fails.
    pub async fn open(documents: impl DocumentStore, master: MasterKey) -> Result<Self, KeyError> {
        let documents: Box<dyn DocumentStore> = Box::new(documents);
        let secret = loop {
            let found = documents.find_documents(&[ROOT.to_owned()]).await?;
            if let Some(root) = found.first() {
                break unwrap(&master, ROOT, &root.decode::<String>()?)?;
            }
            let secret = Key::random()?;
            let root = json(&wrap(&master, ROOT, &secret)?)?;
            let made = Changes::new().put_if(ROOT, Revision::ABSENT, root);
            match documents.change_documents(made).await {
                Ok(_) => break secret,
                // Another process was faster: its secret counts.
                Err(ChangeError::Moved { .. }) => {}
                Err(error) => return Err(failed(error).into()),
            }
        };
        Ok(Self {
            documents,
            master,
            secret,
        })
    }

    /// Wraps every key with `master` instead, so that copies of the database from before are worthless to who has
    /// only that: then destroy the old master key. No other process may use the keys meanwhile. If it fails half
    /// way, do it again.
    ///
    /// # Errors
    /// [`KeyError::Store`] if the backend fails.
    pub async fn rewrap(mut self, master: MasterKey) -> Result<Self, KeyError> {
        let mut after = String::new();
        loop {
            let scan = Scan::prefix(KEY).after(after).limit(BATCH);
            let page = self.documents.scan_documents(scan).await?;
            let Some(last) = page.last() else { break };
            after = last.key.clone();
            let mut changes = Changes::new();
            for document in &page {
                let Entry::Key(sealed) = document.decode()? else {
                    continue;
                };
                let key = unwrap(&self.master, &document.key, &sealed)
                    .or_else(|_| unwrap(&master, &document.key, &sealed))?;
                let entry = Entry::Key(wrap(&master, &document.key, &key)?);
                changes = changes.put_if(&document.key, document.revision, json(&entry)?);
            }
            let changed = self.documents.change_documents(changes).await;
            changed.map_err(failed)?;
        }
        // Last: what fails before that leaves the old master key in charge.
        let root = json(&wrap(&master, ROOT, &self.secret)?)?;
        let changed = self
            .documents
            .change_documents(Changes::new().put(ROOT, root));
        changed.await.map_err(failed)?;
        self.master = master;
        Ok(self)
    }

    fn state(&self, document: &Document) -> Result<(Pseudonym, KeyState), StoreError> {
        let name = document.key.strip_prefix(KEY).unwrap_or_default();
        let subject = Pseudonym::try_from(name.to_owned());
        let subject = subject.map_err(|rule| StoreError::Corrupt(format!("{name:?}: {rule}")))?;
        let state = match document.decode()? {
            Entry::Key(sealed) => KeyState::Held(unwrap(&self.master, &document.key, &sealed)?),
            Entry::Forgotten(since) => KeyState::Forgotten(since),
        };
        Ok((subject, state))
    }

    async fn made(&self, missing: &[Pseudonym]) -> Result<(), StoreError> {
        let mut changes = Changes::new();
        for subject in missing {
            let name = name(*subject);
            let entry = Entry::Key(wrap(&self.master, &name, &Key::random()?)?);
            changes = changes.put_if(name, Revision::ABSENT, json(&entry)?);
        }
        match self.documents.change_documents(changes).await {
            // Others made one of them meanwhile: which, a look will tell.
            Ok(_) | Err(ChangeError::Moved { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

#[async_trait]
impl KeyStore for DocumentKeys {
    fn pseudonym(&self, id: &str) -> Pseudonym {
        // A key of any length will do, so this cannot fail.
        let hash = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).map(|hash| {
            let hash = hash.chain_update(id).finalize().into_bytes();
            hash.first_chunk().copied().unwrap_or_default()
        });
        Pseudonym::new(hash.unwrap_or_default())
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        let found = self
            .documents
            .find_documents(&[FORGOTTEN.to_owned()])
            .await?;
        Ok(found.first().map_or(Revision::ABSENT, |it| it.revision))
    }

    async fn find(&self, subjects: &[Pseudonym]) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
        let mut states = Vec::with_capacity(subjects.len());
        for batch in subjects.chunks(BATCH) {
            let names: Vec<_> = batch.iter().copied().map(name).collect();
            for document in self.documents.find_documents(&names).await? {
                states.push(self.state(&document)?);
            }
        }
        Ok(states)
    }

    async fn create(
        &self,
        subjects: &[Pseudonym],
    ) -> Result<Vec<(Pseudonym, KeyState)>, StoreError> {
        loop {
            let states = self.find(subjects).await?;
            if states.len() == subjects.len() {
                return Ok(states);
            }
            let is_missing =
                |subject: &&Pseudonym| states.iter().all(|(known, _)| known != *subject);
            let missing: Vec<_> = subjects.iter().filter(is_missing).copied().collect();
            for batch in missing.chunks(BATCH) {
                self.made(batch).await?;
            }
        }
    }

    async fn forget(&self, subject: Pseudonym) -> Result<Timestamp, StoreError> {
        let name = name(subject);
        loop {
            let found = self
                .documents
                .find_documents(std::slice::from_ref(&name))
                .await?;
            let found = found.first();
            if let Some(Entry::Forgotten(since)) = found.map(Document::decode).transpose()? {
                return Ok(since);
            }
            let now = Timestamp::now();
            let at = found.map_or(Revision::ABSENT, |it| it.revision);
            let changes = Changes::new()
                .put_if(&name, at, json(&Entry::Forgotten(now))?)
                .put(FORGOTTEN, json(&now)?);
            match self.documents.change_documents(changes).await {
                Ok(_) => return Ok(now),
                Err(ChangeError::Moved { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

impl fmt::Debug for DocumentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentKeys").finish_non_exhaustive()
    }
}

fn name(subject: Pseudonym) -> String {
    format!("{KEY}{subject}")
}

/// Bound to the name of its document, so that one cannot take the place of another.
fn wrap(master: &MasterKey, name: &str, key: &Key) -> Result<String, StoreError> {
    master.0.seal(name.as_bytes(), key.as_bytes())
}

fn unwrap(master: &MasterKey, name: &str, sealed: &str) -> Result<Key, KeyError> {
    let key = master.0.open(name.as_bytes(), sealed);
    let key = key.and_then(|key| Some(Key::new(key.as_slice().try_into().ok()?)));
    key.ok_or(KeyError::WrongMasterKey)
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed(error.into()))
}

fn failed(error: ChangeError) -> StoreError {
    match error {
        ChangeError::Store(error) => error,
        other => StoreError::Failed(other.into()),
    }
}
