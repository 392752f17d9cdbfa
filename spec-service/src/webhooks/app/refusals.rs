//! The refusals of this capability: kinds, codes and facts for both APIs.

use serde_json::Value;

use crate::app::{Refusal, RefusalKind};
use crate::webhooks::domain::{InvalidTargetUrl, WebhookRejection};

impl Refusal for InvalidTargetUrl {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_url"
    }

    fn field(&self) -> Option<&'static str> {
        Some("url")
    }
}

impl Refusal for WebhookRejection {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound | Self::NoSuchDelivery { .. } => RefusalKind::NotFound,
            Self::AlreadyExists => RefusalKind::AlreadyExists,
            Self::Filter(_) | Self::TooLong { .. } | Self::Overlap { .. } | Self::Range { .. } => {
                RefusalKind::Invalid
            }
            Self::TooMany | Self::AlreadyDisabled | Self::AlreadyEnabled | Self::Disabled => {
                RefusalKind::NotAllowed
            }
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "webhook_not_found",
            Self::NoSuchDelivery { .. } => "no_such_delivery",
            Self::AlreadyExists => "webhook_exists",
            Self::TooMany => "too_many_webhooks",
            Self::Filter(_) => "invalid_filter",
            Self::TooLong { .. } => "too_long",
            Self::Overlap { .. } => "overlap_too_long",
            Self::AlreadyDisabled => "webhook_already_disabled",
            Self::AlreadyEnabled => "webhook_already_enabled",
            Self::Disabled => "webhook_disabled",
            Self::Range { .. } => "invalid_range",
        }
    }

    fn facts(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Range { from, to } => vec![("from", (*from).into()), ("to", (*to).into())],
            Self::NoSuchDelivery { number } => vec![("number", (*number).into())],
            _ => Vec::new(),
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::TooLong { field, .. } => Some(field),
            Self::Overlap { .. } => Some("overlap_seconds"),
            Self::Filter(error) => Some(error.field()),
            Self::Range { .. } => Some("from_position"),
            _ => None,
        }
    }
}
