//! [`ActiveBuild`]: the active build of a projection and its checkpoint, for views.

use factum_core::document::{Document, Revision};
use factum_core::error::StoreError;
use factum_core::position::Position;

use factum_runtime::consumer::{VersionedControl, checkpoint_position, control_key, lease_keys};

/// The active build of a projection and its checkpoint.
///
/// Read its documents and the tables in one transaction: first the [control document](control_key), then, if there is
/// an active build, its [checkpoints](Self::checkpoints).
#[derive(Debug, Clone)]
pub struct ActiveBuild {
    build: Option<u64>,
    checkpoints: Vec<String>,
    position: Position,
    highest: Position,
    /// The documents that it was created from.
    sources: Vec<(String, Revision)>,
}

impl ActiveBuild {
    /// Creates it from the control document of the projection `name`.
    ///
    /// # Errors
    /// Returns [`StoreError::Corrupt`] if the document cannot be decoded.
    pub fn new(name: &str, control: Option<&Document>) -> Result<Self, StoreError> {
        let read = VersionedControl::decode(control)?;
        let active = read.control.active_build();
        let checkpoints = active.map(|it| lease_keys(name, it.number, it.partitions));
        Ok(Self {
            build: active.map(|build| build.number),
            checkpoints: checkpoints.unwrap_or_default(),
            position: Position::ZERO,
            highest: Position::ZERO,
            sources: vec![(control_key(name), read.revision)],
        })
    }

    /// Returns the number of the build; `None` without an active build.
    #[must_use]
    pub fn build(&self) -> Option<u64> {
        self.build
    }

    /// Returns the keys of its checkpoints, one for each partition.
    #[must_use]
    pub fn checkpoints(&self) -> &[String] {
        &self.checkpoints
    }

    /// Adds the [checkpoints](Self::checkpoints) that were found.
    ///
    /// # Errors
    /// Returns [`StoreError::Corrupt`] if a checkpoint cannot be decoded.
    pub fn with_checkpoints(mut self, found: &[Document]) -> Result<Self, StoreError> {
        let mut positions = Vec::with_capacity(self.checkpoints.len());
        for key in &self.checkpoints {
            let found = found.iter().find(|document| document.key == *key);
            let revision = found.map_or(Revision::ABSENT, |document| document.revision);
            self.sources.push((key.clone(), revision));
            positions.push(checkpoint_position(found)?);
        }
        self.position = positions.iter().min().copied().unwrap_or_default();
        self.highest = positions.into_iter().max().unwrap_or_default();
        Ok(self)
    }

    /// Returns the position up to which every partition has processed events.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the position after which no partition has processed events.
    pub(crate) fn highest(&self) -> Position {
        self.highest
    }

    /// Returns the keys of all documents that it was created from.
    pub(crate) fn sources(&self) -> Vec<String> {
        self.sources.iter().map(|(key, _)| key.clone()).collect()
    }

    /// Returns whether `found` are the documents that it was created from.
    pub(crate) fn is_current(&self, found: &[Document]) -> bool {
        self.sources.iter().all(|(key, revision)| {
            let found = found.iter().find(|document| document.key == *key);
            found.map_or(Revision::ABSENT, |document| document.revision) == *revision
        })
    }
}
