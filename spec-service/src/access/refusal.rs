//! The refusals of this capability: kinds, codes and fields for both APIs.

use super::domain::InvalidScopeId;
use crate::app::{Refusal, RefusalKind};

impl Refusal for InvalidScopeId {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_namespace"
    }

    fn field(&self) -> Option<&'static str> {
        Some(self.kind)
    }
}
