//! [`ChangeSpecs`]: many changes in one decision, and therefore in one append.

use std::collections::{BTreeMap, BTreeSet};

use factum::prelude::*;
use schemars::JsonSchema;
use thiserror::Error;

use crate::access::domain::TenantId;
use crate::specs::domain::{
    CreateSpec, DeleteSpec, DeprecateSpec, NameHolder, PublishSpec, QualifiedName, Spec, SpecEvent,
    SpecId, SpecRejection, UpdateSpec,
};

/// The maximum number of changes of one request.
pub const MAX_CHANGES: usize = 500;

/// A change of one specification.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum SpecChange {
    /// Creates a specification as a draft.
    Create(CreateSpec),
    /// Adds a version to its content.
    Update(UpdateSpec),
    /// Publishes a version.
    Publish(PublishSpec),
    /// Marks it as deprecated.
    Deprecate(DeprecateSpec),
    /// Deletes it.
    Delete(DeleteSpec),
}

impl SpecChange {
    /// Returns the id of the specification.
    #[must_use]
    pub fn spec(&self) -> SpecId {
        match self {
            Self::Create(change) => change.spec,
            Self::Update(change) => change.spec,
            Self::Publish(change) => change.spec,
            Self::Deprecate(change) => change.spec,
            Self::Delete(change) => change.spec,
        }
    }

    /// Returns the events that the change adds, or the reason why it is not allowed.
    fn decide(&self, spec: &Spec, names: &NameHolders) -> Result<Vec<SpecEvent>, SpecRejection> {
        let events = match self {
            Self::Create(change) => {
                let taken = names.0.contains(&change.path.to_string());
                change.decide((spec, &NameHolder { taken }))?
            }
            Self::Update(change) => change.decide(spec)?,
            Self::Publish(change) => change.decide(spec)?,
            Self::Deprecate(change) => change.decide(spec)?,
            Self::Delete(change) => change.decide(spec)?,
        };
        Ok(events.into_vec())
    }
}

/// One of many changes, with its condition.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConditionalChange {
    /// The change.
    pub change: SpecChange,
    /// The revision that the specification must have before the request.
    ///
    /// `None` allows any.
    pub expected_revision: Option<u64>,
}

/// Changes many specifications: all changes are stored in one append, or none is.
///
/// The changes of one specification are applied in their order.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Vec<Spec>, query = NameHolders, events = SpecEvent)]
pub struct ChangeSpecs {
    /// The ids of the specifications, each once.
    #[id]
    pub specs: Vec<SpecId>,
    /// The complete names of the specifications to create, each once.
    #[tag("path")]
    pub paths: Vec<QualifiedName>,
    /// The tenant of the caller. Specifications of other tenants do not exist.
    pub tenant: TenantId,
    /// The changes.
    pub changes: Vec<ConditionalChange>,
    /// Whether the changes are only checked. The command is then always rejected.
    pub dry_run: bool,
}

impl ChangeSpecs {
    /// Creates the command for `changes`.
    #[must_use]
    pub fn new(tenant: TenantId, changes: Vec<ConditionalChange>, dry_run: bool) -> Self {
        let specs: BTreeSet<_> = changes.iter().map(|it| it.change.spec().0).collect();
        let paths: BTreeMap<_, _> = changes
            .iter()
            .filter_map(|it| match &it.change {
                SpecChange::Create(create) => Some((create.path.to_string(), &create.path)),
                _ => None,
            })
            .collect();
        Self {
            specs: specs.into_iter().map(SpecId).collect(),
            paths: paths.into_values().cloned().collect(),
            tenant,
            changes,
            dry_run,
        }
    }
}

/// The names of the specifications to create that others have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameHolders(BTreeSet<String>);

impl Apply<SpecEvent> for NameHolders {
    fn apply(&mut self, event: &SpecEvent) {
        match event {
            SpecEvent::Created { path, .. } => {
                self.0.insert(path.to_string());
            }
            SpecEvent::Deleted { path, .. } => {
                self.0.remove(&path.to_string());
            }
            SpecEvent::Updated { .. }
            | SpecEvent::Published { .. }
            | SpecEvent::Deprecated { .. } => {}
        }
    }
}

/// The check of one change.
pub type Checked = Result<ChangedSpec, ChangeRejection>;

/// A specification after one of many changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedSpec {
    /// The id.
    pub id: SpecId,
    /// The number of changes.
    pub revision: u64,
    /// The latest version.
    pub latest_version: u64,
}

/// The reason why one of many changes is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeRejection {
    /// The rules of specifications do not allow the change.
    #[error(transparent)]
    Spec(#[from] SpecRejection),
    /// The specification has another revision than expected.
    #[error(
        "revision mismatch: expected {expected}, the latest is {actual}; read the specification again"
    )]
    RevisionMismatch {
        /// The expected revision.
        expected: u64,
        /// The revision of the specification.
        actual: u64,
    },
    /// An earlier change of the same specification is not allowed, so this one was not checked.
    #[error("not checked: change {index} of the same specification was refused; correct it first")]
    NotChecked {
        /// The index of the earlier change, from 0.
        index: usize,
    },
}

/// The rejection of [`ChangeSpecs`]. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BulkRejection {
    /// Some changes are not allowed.
    #[error("{} of {} changes refused; nothing was changed, see the report", refused(.0), .0.len())]
    Refused(Vec<Checked>),
    /// All changes are allowed, but were only checked.
    #[error("dry run: nothing was changed")]
    DryRun(Vec<Checked>),
}

/// Returns the number of refused changes.
fn refused(report: &[Checked]) -> usize {
    report.iter().filter(|checked| checked.is_err()).count()
}

impl Decide for ChangeSpecs {
    type Error = BulkRejection;

    fn decide(
        &self,
        (specs, names): (Vec<&Spec>, &NameHolders),
    ) -> Result<Vec<Events<SpecEvent>>, BulkRejection> {
        let mut names = names.clone();
        let mut drafts: BTreeMap<_, Draft> = self
            .specs
            .iter()
            .zip(specs)
            .map(|(id, spec)| (id.0, Draft::new(spec, &self.tenant)))
            .collect();
        let mut report = Vec::with_capacity(self.changes.len());
        for (index, change) in self.changes.iter().enumerate() {
            let id = change.change.spec();
            let checked = match drafts.get_mut(&id.0) {
                Some(draft) => draft.apply(index, id, change, &mut names),
                None => Err(SpecRejection::NotFound.into()),
            };
            report.push(checked);
        }
        if report.iter().any(Result::is_err) {
            return Err(BulkRejection::Refused(report));
        }
        if self.dry_run {
            return Err(BulkRejection::DryRun(report));
        }
        let events = |id: &SpecId| {
            let draft = drafts.remove(&id.0);
            Events::from(draft.map(|draft| draft.events).unwrap_or_default())
        };
        Ok(self.specs.iter().map(events).collect())
    }
}

/// A specification with the changes so far.
struct Draft {
    /// Whether the specification belongs to another tenant.
    is_foreign: bool,
    spec: Spec,
    revision_before: u64,
    events: Vec<SpecEvent>,
    refused: Option<usize>,
}

impl Draft {
    fn new(spec: &Spec, tenant: &TenantId) -> Self {
        let is_foreign = spec.life().is_some_and(|life| life.tenant != *tenant);
        Self {
            is_foreign,
            spec: spec.clone(),
            revision_before: spec.life().map_or(0, |life| life.revision),
            events: Vec::new(),
            refused: None,
        }
    }

    fn apply(
        &mut self,
        index: usize,
        id: SpecId,
        change: &ConditionalChange,
        names: &mut NameHolders,
    ) -> Checked {
        if let Some(index) = self.refused {
            return Err(ChangeRejection::NotChecked { index });
        }
        let checked = self.check(id, change, names);
        if checked.is_err() {
            self.refused = Some(index);
        }
        checked
    }

    fn check(
        &mut self,
        id: SpecId,
        change: &ConditionalChange,
        names: &mut NameHolders,
    ) -> Checked {
        if self.is_foreign {
            return Err(SpecRejection::NotFound.into());
        }
        let events = change.change.decide(&self.spec, names)?;
        match change.expected_revision {
            Some(expected) if expected != self.revision_before => {
                let actual = self.revision_before;
                return Err(ChangeRejection::RevisionMismatch { expected, actual });
            }
            _ => {}
        }
        for event in events {
            self.spec.apply(&event);
            names.apply(&event);
            self.events.push(event);
        }
        let life = self.spec.life().ok_or(SpecRejection::NotFound)?;
        Ok(ChangedSpec {
            id,
            revision: life.revision,
            latest_version: life.latest(),
        })
    }
}
