//! [`Caller`]: the person or program that sends a request.

use super::TenantId;

/// The subject of a caller that names none in development mode.
const ANONYMOUS: &str = "anonymous";

/// The person or program that sends a request, as its credentials prove.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The stable name of the caller, recorded in the history.
    pub subject: String,
    /// The tenant. Things of other tenants do not exist for the caller.
    pub tenant: TenantId,
    /// The proof of the identity.
    pub kind: CallerKind,
    /// The name to show to people, if it is known.
    pub display: Option<String>,
}

/// The proof of the identity of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// None. The caller names itself, which only a service in development mode accepts.
    Development,
    /// A signed token of the issuer.
    Token,
    /// An API key.
    ApiKey,
}

impl Caller {
    /// Creates a caller that names itself, in the tenant `default`.
    #[must_use]
    pub fn development(subject: Option<&str>) -> Self {
        Self {
            subject: subject.unwrap_or(ANONYMOUS).to_owned(),
            tenant: TenantId::default(),
            kind: CallerKind::Development,
            display: None,
        }
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self::development(None)
    }
}
