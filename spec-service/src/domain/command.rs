//! What can be asked of specifications, and the rules for it.

use factum::prelude::*;
use schemars::JsonSchema;

use super::rejection::{Action, Rejection};
use super::spec::{Life, NameHolder, Spec, SpecEvent, SpecId, SpecState};
use super::{Content, SpecName};

/// The most characters of a description or a reason.
pub const MAX_TEXT: usize = 2_000;

/// A new specification, as a draft, with version 1 of its content. No other living one has its name.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec, query = NameHolder)]
pub struct CreateSpec {
    /// Its id, made by the caller.
    #[id]
    pub spec: SpecId,
    /// Its name.
    #[tag]
    pub name: SpecName,
    /// What it is for; empty means none.
    pub description: Option<String>,
    /// Version 1.
    pub content: Content,
}

impl Decide for CreateSpec {
    type Error = Rejection;

    fn decide(&self, (spec, holder): (&Spec, &NameHolder)) -> Result<Events<SpecEvent>, Rejection> {
        if spec.life().is_some() {
            return Err(Rejection::AlreadyExists);
        }
        if holder.taken {
            return Err(Rejection::NameTaken {
                name: self.name.clone(),
            });
        }
        let description = text("description", self.description.as_deref())?;
        Ok(SpecEvent::Created {
            name: self.name.clone(),
            description,
            content: self.content.clone(),
        }
        .into())
    }
}

/// A new version of the content of a draft or published specification; what is published stays so. A
/// content equal to the latest makes a new version, too: that someone set it again is a fact.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec)]
pub struct UpdateSpec {
    /// Which one.
    #[id]
    pub spec: SpecId,
    /// The next version.
    pub content: Content,
    /// What it is for from now on: `None` leaves it as it is, empty removes it.
    pub description: Option<String>,
    /// Only if this is the latest version.
    pub expected_version: Option<u64>,
}

impl Decide for UpdateSpec {
    type Error = Rejection;

    fn decide(&self, spec: &Spec) -> Result<Events<SpecEvent>, Rejection> {
        let life = allowing(spec, Action::Update)?;
        let latest = life.latest();
        match self.expected_version {
            Some(expected) if expected != latest => {
                return Err(Rejection::VersionMismatch { expected, latest });
            }
            _ => {}
        }
        let description = match &self.description {
            None => life.description.clone(),
            given => text("description", given.as_deref())?,
        };
        Ok(SpecEvent::Updated {
            description,
            content: self.content.clone(),
        }
        .into())
    }
}

/// Puts a version of a draft or published specification into force: a newer one, or an older one again.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec)]
pub struct PublishSpec {
    /// Which one.
    #[id]
    pub spec: SpecId,
    /// Which version; `None`: the latest.
    pub version: Option<u64>,
}

impl Decide for PublishSpec {
    type Error = Rejection;

    fn decide(&self, spec: &Spec) -> Result<Events<SpecEvent>, Rejection> {
        let life = allowing(spec, Action::Publish)?;
        let latest = life.latest();
        let version = self.version.unwrap_or(latest);
        if life.content(version).is_none() {
            return Err(Rejection::NoSuchVersion {
                asked: version,
                latest,
            });
        }
        if life.published == Some(version) {
            return Err(Rejection::AlreadyPublished { version });
        }
        Ok(SpecEvent::Published { version }.into())
    }
}

/// Marks a published specification as not to be used any more.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec)]
pub struct DeprecateSpec {
    /// Which one.
    #[id]
    pub spec: SpecId,
    /// Why, and what to use instead; not empty.
    pub reason: String,
}

impl Decide for DeprecateSpec {
    type Error = Rejection;

    fn decide(&self, spec: &Spec) -> Result<Events<SpecEvent>, Rejection> {
        allowing(spec, Action::Deprecate)?;
        let reason = text("reason", Some(&self.reason))?.ok_or(Rejection::NoReason)?;
        Ok(SpecEvent::Deprecated { reason }.into())
    }
}

/// Takes a living specification away; its name is free again, its history stays.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Spec)]
pub struct DeleteSpec {
    /// Which one.
    #[id]
    pub spec: SpecId,
    /// Why.
    pub reason: Option<String>,
}

impl Decide for DeleteSpec {
    type Error = Rejection;

    fn decide(&self, spec: &Spec) -> Result<Events<SpecEvent>, Rejection> {
        let life = allowing(spec, Action::Delete)?;
        let reason = text("reason", self.reason.as_deref())?;
        let name = life.name.clone();
        Ok(SpecEvent::Deleted { name, reason }.into())
    }
}

/// The specification, if it lives and its state allows `action`.
fn allowing(spec: &Spec, action: Action) -> Result<&Life, Rejection> {
    let life = spec.life().ok_or(Rejection::NotFound)?;
    if life.state == SpecState::Deleted {
        return Err(Rejection::Deleted);
    }
    let allowed = Action::allowed_in(life.state);
    if allowed.contains(&action) {
        return Ok(life);
    }
    Err(Rejection::NotAllowed {
        state: life.state,
        action,
        allowed,
    })
}

/// A text of people: without white space at its ends, `None` if nothing is left.
fn text(field: &'static str, text: Option<&str>) -> Result<Option<String>, Rejection> {
    let text = text.unwrap_or_default().trim();
    let actual = text.chars().count();
    if actual > MAX_TEXT {
        return Err(Rejection::TooLong {
            field,
            limit: MAX_TEXT,
            actual,
        });
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
