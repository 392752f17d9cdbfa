//! The refusal of a content: its kind, code and location for both APIs.

use serde_json::Value;

use super::{Refusal, RefusalKind};
use crate::content::ContentError;

impl Refusal for ContentError {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::TooLong { .. } => RefusalKind::TooLarge,
            _ => RefusalKind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        Self::code(self)
    }

    fn facts(&self) -> Vec<(&'static str, Value)> {
        [
            ("line", self.line()),
            ("column", self.column()),
            ("document", self.document()),
        ]
        .into_iter()
        .filter_map(|(name, number)| Some((name, number?.into())))
        .collect()
    }

    fn field(&self) -> Option<&'static str> {
        Some("content")
    }
}
