//! [`ApplyPlan`]: the changes that make the specifications equal to a set of documents.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::content::Content;
use crate::specs::domain::{SpecId, SpecName};

/// The wanted latest version of a specification.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The name.
    pub name: SpecName,
    /// The content.
    pub content: Content,
    /// The purpose of the specification. `None` keeps the current one.
    pub description: Option<String>,
}

/// The latest version of an existing specification.
#[derive(Debug, Clone, PartialEq)]
pub struct Existing {
    /// The id.
    pub id: SpecId,
    /// The number of changes.
    pub revision: u64,
    /// The content.
    pub content: Content,
    /// The purpose of the specification.
    pub description: Option<String>,
}

/// The change that a plan makes to a specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// The specification is created as a draft.
    Create,
    /// The specification gets another version.
    Update,
    /// The specification is as it is wanted.
    Unchanged,
}

impl StepKind {
    /// Returns the name of the change, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A step of a plan: one specification.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanStep {
    /// The wanted version.
    pub wanted: Wanted,
    /// The change.
    pub kind: StepKind,
    /// The id and the revision of the existing specification.
    pub existing: Option<(SpecId, u64)>,
}

/// The changes that make the specifications equal to a set of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyPlan {
    /// The steps, in the order of the documents.
    pub steps: Vec<PlanStep>,
}

impl ApplyPlan {
    /// Creates the plan for documents and the specifications that have their names.
    #[must_use]
    pub fn new(documents: impl IntoIterator<Item = (Wanted, Option<Existing>)>) -> Self {
        let steps = documents.into_iter().map(|(wanted, existing)| {
            let kind = match &existing {
                None => StepKind::Create,
                Some(existing) if is_equal(&wanted, existing) => StepKind::Unchanged,
                Some(_) => StepKind::Update,
            };
            PlanStep {
                wanted,
                kind,
                existing: existing.map(|existing| (existing.id, existing.revision)),
            }
        });
        Self {
            steps: steps.collect(),
        }
    }

    /// Returns whether the plan changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps
            .iter()
            .all(|step| step.kind == StepKind::Unchanged)
    }

    /// Returns the token of the plan. Another document or another revision gives another token.
    #[must_use]
    pub fn token(&self) -> String {
        let mut hash = Sha256::new();
        for step in &self.steps {
            let (id, revision) = match step.existing {
                Some((id, revision)) => (id.to_string(), revision),
                None => (String::new(), 0),
            };
            let wanted = &step.wanted;
            let description = wanted.description.as_deref();
            // Each field has its length before it, so that no two plans have the same bytes.
            for field in [
                wanted.name.as_str(),
                wanted.content.as_str(),
                if description.is_some() {
                    "described"
                } else {
                    ""
                },
                description.unwrap_or_default(),
                &id,
                &revision.to_string(),
            ] {
                hash.update((field.len() as u64).to_be_bytes());
                hash.update(field);
            }
        }
        hash.finalize()
            .iter()
            .fold(String::new(), |mut token, byte| {
                // Writing to a string cannot fail.
                let _ = write!(token, "{byte:02x}");
                token
            })
    }
}

fn is_equal(wanted: &Wanted, existing: &Existing) -> bool {
    let description = wanted.description.as_deref().map(str::trim);
    let is_described = description
        .is_none_or(|wanted| wanted == existing.description.as_deref().unwrap_or_default());
    is_described && wanted.content == existing.content
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::content::DEFAULT_MAX_BYTES;

    fn content(text: &str) -> Content {
        Content::parse(text.as_bytes(), DEFAULT_MAX_BYTES).unwrap()
    }

    fn wanted(description: Option<&str>) -> Wanted {
        Wanted {
            name: SpecName::parse("limits").unwrap(),
            content: content("a: 1\n"),
            description: description.map(str::to_owned),
        }
    }

    fn existing(text: &str, revision: u64) -> Existing {
        Existing {
            id: SpecId(Uuid::nil()),
            revision,
            content: content(text),
            description: Some("for refunds".to_owned()),
        }
    }

    #[test]
    fn plan_creates_updates_and_keeps() {
        use StepKind::{Create, Unchanged, Update};
        for (description, existing, expected) in [
            (None, None, Create),
            (None, Some(existing("a: 1\n", 3)), Unchanged),
            (
                Some(" for refunds "),
                Some(existing("a: 1\n", 3)),
                Unchanged,
            ),
            (Some(""), Some(existing("a: 1\n", 3)), Update),
            (None, Some(existing("a: 1 # one\n", 3)), Update),
        ] {
            let plan = ApplyPlan::new([(wanted(description), existing)]);
            assert_eq!(plan.steps[0].kind, expected, "{description:?}");
            assert_eq!(plan.is_empty(), expected == Unchanged);
        }
    }

    #[test]
    fn token_depends_on_documents_and_revisions() {
        let token =
            |description, existing| ApplyPlan::new([(wanted(description), existing)]).token();
        let first = token(None, Some(existing("a: 2\n", 3)));
        assert_eq!(first.len(), 64);
        assert_eq!(token(None, Some(existing("a: 2\n", 3))), first);
        assert_ne!(token(None, Some(existing("a: 2\n", 4))), first);
        assert_ne!(token(Some(""), Some(existing("a: 2\n", 3))), first);
        assert_ne!(token(None, None), first);
        assert_ne!(ApplyPlan::new([]).token(), first);
    }
}
