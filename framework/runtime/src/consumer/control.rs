//! [`Control`]: the builds of a consumer and the requests of users. Each consumer has one such document, and every node
//! may change it.

use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, encode_document,
};
use factum_core::position::Position;
use factum_engine::error::StoreError;
use serde::{Deserialize, Serialize};

use super::build::Build;
use super::lease;

/// The builds of a consumer and the requests of users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The number of the active build, which serves readers.
    pub active: Option<u64>,
    /// The builds that were not dropped, in ascending order.
    pub builds: Vec<Build>,
    /// The highest build number that was used.
    pub last_build: u64,
    /// Set if the consumer is paused.
    pub paused: bool,
    /// The number of the build that must become active before it has caught up.
    #[serde(default)]
    pub promote_now: Option<u64>,
    /// The number of requests to retry all dead letters.
    pub retries: u64,
    /// The number of requests that concern single dead letters: discards, and retries of one stream.
    #[serde(default)]
    pub dead_letter_changes: u64,
    /// The number of requests to resume.
    pub resumed: u64,
    /// The number of requests to hold the active build for a moment.
    ///
    /// The replacement of the build can overtake it in this time.
    #[serde(default)]
    pub promotion_pauses: u64,
}

/// A control document and its revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionedControl {
    /// The revision.
    pub revision: Revision,
    /// The content.
    pub control: Control,
}

impl Control {
    fn build(&self, number: u64) -> Option<&Build> {
        self.builds.iter().find(|build| build.number == number)
    }

    /// Returns whether the build exists and was not retired.
    pub fn wants(&self, number: u64) -> bool {
        self.build(number).is_some_and(|build| !build.retired)
    }

    /// Returns the active build.
    pub fn active_build(&self) -> Option<&Build> {
        self.build(self.active?)
    }

    /// Returns the builds that code of this version fills: the active build and its replacement.
    ///
    /// Each build keeps the number of partitions that it was created with.
    pub fn builds_of(&self, version: u32) -> impl Iterator<Item = &Build> {
        self.builds
            .iter()
            .filter(move |build| build.version == version)
    }

    /// Returns the build that code of this version fills to replace the active build.
    pub fn replacement(&self, version: u32) -> Option<&Build> {
        let newest = self.builds_of(version).last()?;
        (Some(newest.number) > self.active && !newest.retired).then_some(newest)
    }

    /// Adds a build, and returns its number.
    pub fn add_build(&mut self, version: u32, partitions: u16) -> u64 {
        let highest = self.builds.iter().map(|build| build.number).max();
        self.last_build = self.last_build.max(highest.unwrap_or_default()) + 1;
        self.builds.push(Build {
            number: self.last_build,
            version,
            partitions: partitions.max(1),
            retired: false,
        });
        self.last_build
    }

    /// Makes `newest` the active build, and retires older builds of its version.
    ///
    /// Builds of other versions stay until they are pruned: older code may still need them.
    pub fn promote(&mut self, newest: &Build) {
        self.active = Some(newest.number);
        self.promote_now = self.promote_now.filter(|number| *number > newest.number);
        for build in &mut self.builds {
            build.retired |= build.number < newest.number && build.version == newest.version;
        }
    }
}

impl VersionedControl {
    /// Decodes the control document, if it exists.
    ///
    /// # Errors
    /// Returns [`StoreError::Corrupt`] if it cannot be decoded.
    pub fn decode(document: Option<&Document>) -> Result<Self, StoreError> {
        let Some(document) = document else {
            return Ok(Self::default());
        };
        let mut control: Control = document.decode()?;
        for build in &mut control.builds {
            build.partitions = build.partitions.max(1);
        }
        Ok(Self {
            revision: document.revision,
            control,
        })
    }
}

/// Returns whether `build` exists and was not retired, according to the text of the control document.
///
/// A read model checks it in the transaction that prepares a build, so that a node that was suspended does not create a
/// dropped build again.
///
/// # Errors
/// Returns [`StoreError::Corrupt`] if the control document cannot be decoded.
pub fn is_build_wanted(control: Option<&str>, build: u64) -> Result<bool, StoreError> {
    let Some(control) = control else {
        return Ok(false);
    };
    let control: Control = serde_json::from_str(control)
        .map_err(|error| StoreError::Corrupt(format!("control document of a consumer: {error}")))?;
    Ok(control.wants(build))
}

/// Returns the key of the control document of the consumer `name`.
#[must_use]
pub fn control_key(name: &str) -> String {
    format!("consumer/{name}")
}

/// Reads the control document.
pub async fn read(
    documents: &dyn DocumentStore,
    name: &str,
) -> Result<VersionedControl, StoreError> {
    let found = documents.find_documents(&[control_key(name)]).await?;
    VersionedControl::decode(found.first())
}

/// Returns the change of the control document from `read` to `control`.
///
/// # Errors
/// Returns [`StoreError::Failed`] if it cannot be encoded.
pub fn change(
    name: &str,
    read: &VersionedControl,
    control: &Control,
) -> Result<DocumentChanges, StoreError> {
    let value = encode_document(control)?;
    Ok(DocumentChanges::new().put_if(control_key(name), read.revision, value))
}

/// Changes the control document with `edit`.
///
/// `edit` returns whether to store its change. It is called again after a conflict.
pub async fn edit<E: From<StoreError>>(
    documents: &dyn DocumentStore,
    name: &str,
    mut edit: impl FnMut(&mut Control) -> Result<bool, E>,
) -> Result<(), E> {
    loop {
        let read = read(documents, name).await?;
        let mut control = read.control.clone();
        if !edit(&mut control)? {
            return Ok(());
        }
        let changes = change(name, &read, &control)?;
        match documents.change_documents(changes).await {
            Ok(_) => return Ok(()),
            Err(DocumentError::RevisionConflict { .. }) => {}
            Err(error) => return Err(error.into_store_error().into()),
        }
    }
}

/// Returns the checkpoint of the active build of the consumer `name`; 0 without an active build.
///
/// Any node may process the build.
///
/// # Errors
/// Returns [`StoreError`] if the store fails.
pub async fn checkpoint(documents: &dyn DocumentStore, name: &str) -> Result<Position, StoreError> {
    let Some(active) = read(documents, name).await?.control.active_build().copied() else {
        return Ok(Position::ZERO);
    };
    let progress = lease::build_progress(documents, name, &active).await?;
    Ok(progress.position)
}
