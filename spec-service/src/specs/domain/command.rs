//! The commands on specifications, and their rules.

use factum::prelude::*;
use schemars::JsonSchema;

use super::name::QualifiedName;
use super::rejection::{Action, SpecRejection};
use super::spec::{Life, NameHolder, Spec, SpecEvent, SpecId, SpecState};
use crate::content::Content;

/// The maximum number of characters of a description or a reason.
pub const MAX_TEXT: usize = 2_000;

/// Creates a specification as a draft, with version 1 of its content.
///
/// The name must not belong to another specification that is not deleted.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec, query = NameHolder)]
pub struct CreateSpec {
    /// The id of the new specification, created by the caller.
    #[id]
    pub spec: SpecId,
    /// The tenant, the namespace and the name.
    #[tag("path")]
    pub path: QualifiedName,
    /// The caller who wrote the content.
    pub author: String,
    /// The purpose of the specification. Empty means none.
    pub description: Option<String>,
    /// Version 1 of the content.
    pub content: Content,
    /// The reason, for the history.
    pub reason: Option<String>,
}

impl Decide for CreateSpec {
    type Error = SpecRejection;

    fn decide(
        &self,
        (spec, holder): (&Spec, &NameHolder),
    ) -> Result<Events<SpecEvent>, SpecRejection> {
        if spec.life().is_some() {
            return Err(SpecRejection::AlreadyExists);
        }
        if holder.taken {
            return Err(SpecRejection::NameTaken {
                name: self.path.name.clone(),
            });
        }
        let description = trimmed_text("description", self.description.as_deref())?;
        trimmed_text("reason", self.reason.as_deref())?;
        Ok(SpecEvent::Created {
            path: self.path.clone(),
            author: self.author.clone(),
            description,
            content: self.content.clone(),
        }
        .into())
    }
}

/// Adds a version to the content of a draft or published specification.
///
/// The published version stays published. A content equal to the latest version also adds a version.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec)]
pub struct UpdateSpec {
    /// The id of the specification.
    #[id]
    pub spec: SpecId,
    /// The caller who wrote the content.
    pub author: String,
    /// The next version of the content.
    pub content: Content,
    /// The new purpose of the specification. `None` keeps the current one, empty removes it.
    pub description: Option<String>,
    /// The expected latest version. If it is another, the command is rejected.
    pub expected_version: Option<u64>,
    /// The reason, for the history.
    pub reason: Option<String>,
}

impl Decide for UpdateSpec {
    type Error = SpecRejection;

    fn decide(&self, spec: &Spec) -> Result<Events<SpecEvent>, SpecRejection> {
        let life = check_allowed(spec, Action::Update)?;
        let latest = life.latest();
        match self.expected_version {
            Some(expected) if expected != latest => {
                return Err(SpecRejection::VersionMismatch { expected, latest });
            }
            _ => {}
        }
        let description = match &self.description {
            None => life.description.clone(),
            description => trimmed_text("description", description.as_deref())?,
        };
        trimmed_text("reason", self.reason.as_deref())?;
        Ok(SpecEvent::Updated {
            author: self.author.clone(),
            description,
            content: self.content.clone(),
        }
        .into())
    }
}

/// Publishes a version of a draft or published specification.
///
/// The version can be older than the published one.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec)]
pub struct PublishSpec {
    /// The id of the specification.
    #[id]
    pub spec: SpecId,
    /// The version to publish. `None` means the latest.
    pub version: Option<u64>,
    /// The reason, for the history.
    pub reason: Option<String>,
}

impl Decide for PublishSpec {
    type Error = SpecRejection;

    fn decide(&self, spec: &Spec) -> Result<Events<SpecEvent>, SpecRejection> {
        let life = check_allowed(spec, Action::Publish)?;
        let latest = life.latest();
        let version = self.version.unwrap_or(latest);
        if life.revision_of(version).is_none() {
            return Err(SpecRejection::NoSuchVersion {
                requested: version,
                latest,
            });
        }
        if life.published == Some(version) {
            return Err(SpecRejection::AlreadyPublished { version });
        }
        trimmed_text("reason", self.reason.as_deref())?;
        Ok(SpecEvent::Published { version }.into())
    }
}

/// Marks a published specification as deprecated.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec)]
pub struct DeprecateSpec {
    /// The id of the specification.
    #[id]
    pub spec: SpecId,
    /// The reason, with the replacement if there is one. Must not be empty.
    pub reason: String,
}

impl Decide for DeprecateSpec {
    type Error = SpecRejection;

    fn decide(&self, spec: &Spec) -> Result<Events<SpecEvent>, SpecRejection> {
        check_allowed(spec, Action::Deprecate)?;
        let reason = trimmed_text("reason", Some(&self.reason))?.ok_or(SpecRejection::NoReason)?;
        Ok(SpecEvent::Deprecated { reason }.into())
    }
}

/// Deletes a specification. Its name becomes free again, and its history remains.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec)]
pub struct DeleteSpec {
    /// The id of the specification.
    #[id]
    pub spec: SpecId,
    /// The reason.
    pub reason: Option<String>,
}

impl Decide for DeleteSpec {
    type Error = SpecRejection;

    fn decide(&self, spec: &Spec) -> Result<Events<SpecEvent>, SpecRejection> {
        let life = check_allowed(spec, Action::Delete)?;
        let reason = trimmed_text("reason", self.reason.as_deref())?;
        let path = life.path();
        Ok(SpecEvent::Deleted { path, reason }.into())
    }
}

/// Checks that the specification exists and that its state allows `action`.
fn check_allowed(spec: &Spec, action: Action) -> Result<&Life, SpecRejection> {
    let life = spec.life().ok_or(SpecRejection::NotFound)?;
    if life.state == SpecState::Deleted {
        return Err(SpecRejection::Deleted);
    }
    let allowed = Action::allowed_in(life.state);
    if allowed.contains(&action) {
        return Ok(life);
    }
    Err(SpecRejection::NotAllowed {
        state: life.state,
        action,
        allowed,
    })
}

/// Trims a text and checks its length. Returns `None` if it is empty.
fn trimmed_text(field: &'static str, text: Option<&str>) -> Result<Option<String>, SpecRejection> {
    let text = text.unwrap_or_default().trim();
    let actual = text.chars().count();
    if actual > MAX_TEXT {
        return Err(SpecRejection::TooLong {
            field,
            limit: MAX_TEXT,
            actual,
        });
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
