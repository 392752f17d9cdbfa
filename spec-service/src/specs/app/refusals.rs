//! The refusals of this capability: kinds, codes and facts for both APIs.

use serde_json::Value;

use crate::app::{Refusal, RefusalKind};
use crate::specs::domain::{NameError, SpecRejection};

impl Refusal for NameError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_name"
    }

    fn field(&self) -> Option<&'static str> {
        Some("name")
    }
}

impl Refusal for SpecRejection {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound | Self::NoSuchVersion { .. } => RefusalKind::NotFound,
            Self::AlreadyExists | Self::NameTaken { .. } => RefusalKind::AlreadyExists,
            Self::Deleted => RefusalKind::Gone,
            Self::NotAllowed { .. } | Self::AlreadyPublished { .. } => RefusalKind::NotAllowed,
            Self::VersionMismatch { .. } => RefusalKind::Stale,
            Self::NoReason | Self::TooLong { .. } => RefusalKind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Deleted => "deleted",
            Self::NameTaken { .. } => "name_taken",
            Self::NotAllowed { .. } => "illegal_transition",
            Self::AlreadyPublished { .. } => "already_published",
            Self::NoSuchVersion { .. } => "no_such_version",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::NoReason => "reason_missing",
            Self::TooLong { .. } => "too_long",
        }
    }

    fn facts(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::NameTaken { name } => vec![("name", name.as_str().into())],
            Self::NotAllowed {
                state,
                action,
                allowed,
            } => {
                let allowed: Vec<&str> = allowed.iter().map(|action| action.as_str()).collect();
                vec![
                    ("state", state.as_str().into()),
                    ("action", action.as_str().into()),
                    ("allowed", allowed.into()),
                ]
            }
            Self::AlreadyPublished { version } => vec![("version", (*version).into())],
            Self::NoSuchVersion { latest, .. } => vec![("latest_version", (*latest).into())],
            Self::VersionMismatch { expected, latest } => vec![
                ("expected", (*expected).into()),
                ("latest_version", (*latest).into()),
            ],
            Self::NotFound
            | Self::AlreadyExists
            | Self::Deleted
            | Self::NoReason
            | Self::TooLong { .. } => Vec::new(),
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::NoReason => Some("reason"),
            Self::TooLong { field, .. } => Some(field),
            _ => None,
        }
    }
}
