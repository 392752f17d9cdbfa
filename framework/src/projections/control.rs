//! [`Control`]: which builds of a read model there are, and what is wanted of them. One document for each
//! projection, which every instance may change.

use serde::{Deserialize, Serialize};

use super::{ProjectionError, ReadModel};
use crate::document::{ChangeError, Changes, DocumentStore, Revision};
use crate::error::StoreError;

/// What is known of the builds of a projection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Control {
    /// What readers see.
    pub(super) serving: Option<u64>,
    /// All that have not been dropped, in ascending order.
    pub(super) builds: Vec<Build>,
    /// The number that was given out last.
    pub(super) last: u64,
    pub(super) paused: bool,
    /// Readers shall see the newest build even before it is filled.
    pub(super) at_once: bool,
    /// Counts the orders to try again what is parked.
    pub(super) retries: u64,
    /// Counts the orders to go on.
    pub(super) resumed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Build {
    pub(super) number: u64,
    pub(super) version: u32,
    pub(super) partitions: u16,
    /// It shall be dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) retired: bool,
}

/// A control, as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) revision: Revision,
    pub(super) control: Control,
}

impl Control {
    fn build(&self, number: u64) -> Option<&Build> {
        self.builds.iter().find(|build| build.number == number)
    }

    /// Whether a build is there to be worked on.
    pub(super) fn wants(&self, number: u64) -> bool {
        self.build(number).is_some_and(|build| !build.retired)
    }

    /// The build that readers see.
    pub(super) fn served(&self) -> Option<&Build> {
        self.build(self.serving?)
    }

    /// Those that a code with this version and these partitions fills: what readers see, and what is to replace it.
    pub(super) fn own(&self, model: &dyn ReadModel) -> impl Iterator<Item = &Build> {
        let (version, partitions) = (model.version(), model.partitions().max(1));
        let own = move |build: &&Build| build.version == version && build.partitions == partitions;
        self.builds.iter().filter(own)
    }

    /// One more build, to be filled.
    pub(super) fn add(&mut self, model: &dyn ReadModel) -> u64 {
        self.last += 1;
        self.builds.push(Build {
            number: self.last,
            version: model.version(),
            partitions: model.partitions().max(1),
            retired: false,
        });
        self.last
    }
}

/// The key of the document.
pub(super) fn key(name: &str) -> String {
    format!("projection/{name}")
}

pub(super) async fn read(documents: &dyn DocumentStore, name: &str) -> Result<Read, StoreError> {
    let found = documents.find_documents(&[key(name)]).await?;
    let Some(document) = found.first() else {
        return Ok(Read::default());
    };
    Ok(Read {
        revision: document.revision,
        control: document.decode()?,
    })
}

/// The change of the document from `read` to `control`.
pub(super) fn change(name: &str, read: &Read, control: &Control) -> Result<Changes, StoreError> {
    let value = super::json(control)?;
    Ok(Changes::new().put_if(key(name), read.revision, value))
}

/// Changes the control as `edit` says, which is asked again when another instance was faster; `false`: nothing is
/// to be changed.
pub(super) async fn edit(
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
            Err(ChangeError::Moved { .. }) => {}
            Err(ChangeError::Store(error)) => return Err(error.into()),
            Err(ChangeError::Invalid(invalid)) => {
                return Err(StoreError::Failed(invalid.into()).into());
            }
        }
    }
}
