//! [`Control`]: which builds of a read model there are, and what is wanted of them. One document for each
//! projection, which every instance may change.

use serde::{Deserialize, Serialize};

use super::ProjectionError;
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, encode_document,
};
use factum_core::position::Position;
use factum_engine::error::StoreError;

/// What is known of the builds of a projection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// What readers see.
    pub serving: Option<u64>,
    /// All that have not been dropped, in ascending order.
    pub builds: Vec<Build>,
    /// The number that was given out last.
    pub last: u64,
    pub paused: bool,
    /// Readers shall see the newest build even before it is filled.
    pub at_once: bool,
    /// Counts the orders to try again what is parked.
    pub retries: u64,
    /// Counts what was discarded of it, so that what waits behind goes on.
    #[serde(default)]
    pub discards: u64,
    /// Counts the orders to go on.
    pub resumed: u64,
    /// Counts the orders to hold what readers see for a moment, so that what replaces it can overtake it.
    #[serde(default)]
    pub held: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    pub number: u64,
    pub version: u32,
    pub partitions: u16,
    /// It shall be dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// A control, as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    pub revision: Revision,
    pub control: Control,
}

impl Control {
    fn build(&self, number: u64) -> Option<&Build> {
        self.builds.iter().find(|build| build.number == number)
    }

    /// Whether a build is there to be worked on.
    pub fn wants(&self, number: u64) -> bool {
        self.build(number).is_some_and(|build| !build.retired)
    }

    /// The build that readers see.
    pub fn served(&self) -> Option<&Build> {
        self.build(self.serving?)
    }

    /// Those that a code with this version fills: what readers see, and what is to replace it. Each keeps the partitions
    /// that it was begun with.
    pub fn own(&self, version: u32) -> impl Iterator<Item = &Build> {
        self.builds
            .iter()
            .filter(move |build| build.version == version)
    }

    /// What a code with this version fills to replace what readers see.
    pub fn next(&self, version: u32) -> Option<&Build> {
        let newest = self.own(version).last()?;
        (Some(newest.number) > self.serving && !newest.retired).then_some(newest)
    }

    /// One more build, to be filled.
    pub fn add(&mut self, version: u32, partitions: u16) -> u64 {
        let highest = self.builds.iter().map(|build| build.number).max();
        self.last = self.last.max(highest.unwrap_or_default()) + 1;
        self.builds.push(Build {
            number: self.last,
            version,
            partitions: partitions.max(1),
            retired: false,
        });
        self.last
    }

    /// From now on readers see `newest`.
    pub fn serve(&mut self, newest: &Build) {
        self.serving = Some(newest.number);
        self.at_once = false;
        // A build of the same version is of no use any more; that of an older one is, until somebody says.
        for build in &mut self.builds {
            build.retired |= build.number < newest.number && build.version == newest.version;
        }
    }
}

impl Read {
    /// What `document` says, if it is there.
    pub fn of(document: Option<&Document>) -> Result<Self, StoreError> {
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

/// Whether a projection's `control` says that `build` is to be there: for a read model to ask in the transaction that makes
/// it ready, about the document with the key [`control_key`], so that what was dropped is not made again by one who slept
/// meanwhile.
///
/// # Errors
/// [`StoreError::Corrupt`] if the control cannot be read.
pub fn wants(control: Option<&str>, build: u64) -> Result<bool, StoreError> {
    let Some(control) = control else {
        return Ok(false);
    };
    let control: Control = serde_json::from_str(control)
        .map_err(|error| StoreError::Corrupt(format!("the control of a projection: {error}")))?;
    Ok(control.wants(build))
}

/// The key of the document that says which builds of the projection `name` there are.
#[must_use]
pub fn control_key(name: &str) -> String {
    key(name)
}

/// The key of the document.
pub fn key(name: &str) -> String {
    format!("projection/{name}")
}

pub async fn read(documents: &dyn DocumentStore, name: &str) -> Result<Read, StoreError> {
    let found = documents.find_documents(&[key(name)]).await?;
    Read::of(found.first())
}

/// The change of the document from `read` to `control`.
pub fn change(name: &str, read: &Read, control: &Control) -> Result<DocumentChanges, StoreError> {
    let value = encode_document(control)?;
    Ok(DocumentChanges::new().put_if(key(name), read.revision, value))
}

/// Changes the control as `edit` says, which is asked again when another instance was faster; `false`: nothing is
/// to be changed.
pub async fn edit(
    documents: &dyn DocumentStore,
    name: &str,
    mut edit: impl FnMut(&mut Control) -> Result<bool, ProjectionError>,
) -> Result<(), ProjectionError> {
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

/// How far the build that readers of the projection `name` see has come, whoever works on it; 0 if there is none.
///
/// # Errors
/// [`StoreError`] if the backend fails.
pub async fn checkpoint(documents: &dyn DocumentStore, name: &str) -> Result<Position, StoreError> {
    let Some(served) = read(documents, name).await?.control.served().copied() else {
        return Ok(Position::ZERO);
    };
    let of = (served.number, served.partitions);
    Ok(super::lease::progress(documents, name, of).await?.position)
}
