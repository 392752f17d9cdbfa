//! [`GroupDocument`]: the document of a group, and the keys of all documents of groups.

use factum::Timestamp;
use factum::store::{Document, DocumentStore, Revision, StoreError};
use serde::{Deserialize, Serialize};

use super::error::GroupError;
use super::settings::GroupSettings;
use super::stop::GroupStop;

/// The maximum number of groups.
pub const MAX_GROUPS: usize = 1_000;
/// The prefix of the documents of groups.
pub const GROUPS: &str = "$group/settings/";
/// The maximum size of the name of a group in keys of documents, in bytes.
const MAX_NAME: usize = 900;

/// The name of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(String);

impl GroupName {
    /// Checks the name of a group.
    ///
    /// # Errors
    /// Returns [`GroupError::Invalid`] with the field `field` if the name is empty, too long, or has control characters.
    pub fn new(field: &str, name: impl Into<String>) -> Result<Self, GroupError> {
        let name = Self(name.into());
        if name.0.is_empty() || name.0.contains(char::is_control) {
            let rule = "expected at least one character, and no control characters";
            return Err(GroupError::invalid(field, rule));
        }
        if name.escaped().len() > MAX_NAME {
            return Err(GroupError::invalid(field, "the name is too long"));
        }
        Ok(name)
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name without `/`, which separates the parts of a key.
    fn escaped(&self) -> String {
        self.0.replace('%', "%25").replace('/', "%2F")
    }

    /// Returns the key of the document of the group.
    pub fn key(&self) -> String {
        format!("{GROUPS}{}", self.escaped())
    }

    /// Returns the key of the document of a partition.
    pub fn partition_key(&self, partition: u16) -> String {
        format!("$group/partition/{}/{partition:05}", self.escaped())
    }

    /// Returns the prefix of the documents of the dead letters.
    pub fn dead_letters(&self) -> String {
        format!("$group/dead-letter/{}/", self.escaped())
    }

    /// Returns the key of the document of a dead letter.
    pub fn dead_letter_key(&self, position: u64) -> String {
        format!("{}{position:020}", self.dead_letters())
    }

    /// Returns the name of the group of a document.
    pub fn of_key(key: &str) -> Option<Self> {
        let escaped = key.strip_prefix(GROUPS)?;
        Some(Self(escaped.replace("%2F", "/").replace("%25", "%")))
    }
}

/// The document of a group: its settings and whether it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupDocument {
    /// The settings.
    pub settings: GroupSettings,
    /// The position after which partitions without a document start.
    pub start: u64,
    /// The number of changes of this document.
    pub generation: u64,
    /// Set if the group is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<GroupStop>,
    /// The time at which the group was created.
    pub created_at: Timestamp,
}

/// The document of a group, and its revision.
#[derive(Debug, Clone)]
pub struct VersionedGroup {
    /// The revision.
    pub revision: Revision,
    /// The document.
    pub document: GroupDocument,
}

impl VersionedGroup {
    /// Decodes a document.
    ///
    /// # Errors
    /// Returns [`StoreError::Corrupt`] if it cannot be decoded.
    pub fn decode(document: &Document) -> Result<Self, StoreError> {
        Ok(Self {
            revision: document.revision,
            document: document.decode()?,
        })
    }

    /// Reads the document of a group.
    ///
    /// # Errors
    /// Returns [`GroupError::NotFound`] if the group does not exist, and [`GroupError::Store`] if the store fails.
    pub async fn read(documents: &dyn DocumentStore, name: &GroupName) -> Result<Self, GroupError> {
        let found = documents.find_documents(&[name.key()]).await?;
        let found = found.first().map(Self::decode).transpose()?;
        found.ok_or_else(|| GroupError::NotFound {
            name: name.as_str().to_owned(),
        })
    }
}
