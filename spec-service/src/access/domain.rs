//! Callers, tenants, namespaces and roles.

mod caller;
mod ids;

pub use caller::{Caller, CallerKind};
pub use ids::{InvalidScopeId, NamespaceId, TenantId};
