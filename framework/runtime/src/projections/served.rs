//! [`Served`]: what readers of a projection see, and how far that has come; for views of read models in a database.

use super::control::Control;
use super::{control_key, lease};
use factum_core::document::{Document, Revision};
use factum_core::position::Position;
use factum_engine::error::StoreError;

/// What readers of a projection see, and how far that has come. Its documents and the tables must be read in one
/// transaction: first the [control](control_key), then, if readers see a build, the [checkpoints](Self::checkpoints).
#[derive(Debug, Clone)]
pub struct Served {
    build: Option<u64>,
    checkpoints: Vec<String>,
    position: Position,
    /// No partition has come farther.
    farthest: Position,
    /// What it was learned from.
    from: Vec<(String, Revision)>,
}

impl Served {
    /// What the `control` of the projection `name` says.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be read.
    pub fn new(name: &str, control: Option<&Document>) -> Result<Self, StoreError> {
        let revision = control.map_or(Revision::ABSENT, |control| control.revision);
        let control: Option<Control> = control.map(Document::decode).transpose()?;
        let served = control.as_ref().and_then(Control::served);
        let keys = |build: &super::control::Build| {
            let partitions = 0..build.partitions.max(1);
            let keys = partitions.map(|partition| lease::key(name, build.number, partition));
            keys.collect()
        };
        Ok(Self {
            build: served.map(|build| build.number),
            checkpoints: served.map(keys).unwrap_or_default(),
            position: Position::ZERO,
            farthest: Position::ZERO,
            from: vec![(control_key(name), revision)],
        })
    }

    /// The build that readers see; `None`: there is none yet.
    #[must_use]
    pub fn build(&self) -> Option<u64> {
        self.build
    }

    /// The keys of the documents that say how far it has come, one for each partition.
    #[must_use]
    pub fn checkpoints(&self) -> &[String] {
        &self.checkpoints
    }

    /// With those of the [checkpoints](Self::checkpoints) that were found.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one cannot be read.
    pub fn at(mut self, found: &[Document]) -> Result<Self, StoreError> {
        let mut positions = Vec::with_capacity(self.checkpoints.len());
        for key in &self.checkpoints {
            let found = found.iter().find(|document| document.key == *key);
            let revision = found.map_or(Revision::ABSENT, |document| document.revision);
            self.from.push((key.clone(), revision));
            positions.push(lease::position(found)?);
        }
        self.position = positions.iter().min().copied().unwrap_or_default();
        self.farthest = positions.into_iter().max().unwrap_or_default();
        Ok(self)
    }

    /// Every event up to here has had its effect, or is parked, in each partition.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// No event behind here has had its effect in any partition.
    pub fn farthest(&self) -> Position {
        self.farthest
    }

    /// The keys of all documents that it was learned from.
    pub fn keys(&self) -> Vec<String> {
        self.from.iter().map(|(key, _)| key.clone()).collect()
    }

    /// Whether nobody has changed since what it was learned from, if those documents are now as they were `found`.
    pub fn stands(&self, found: &[Document]) -> bool {
        self.from.iter().all(|(key, revision)| {
            let found = found.iter().find(|document| document.key == *key);
            found.map_or(Revision::ABSENT, |document| document.revision) == *revision
        })
    }
}
