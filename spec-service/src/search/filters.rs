//! [`Filters`]: the conditions of a search beside its text.

use factum::Timestamp;
use uuid::Uuid;

use crate::access::domain::TenantId;
use crate::specs::domain::SpecState;

/// The conditions of a search beside its text. All must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// The state. `None` means any state except deleted.
    pub state: Option<SpecState>,
    /// Values that the specification must have.
    pub values: Vec<FilterValue>,
    /// The time of the last change must not be before this.
    pub changed_since: Option<Timestamp>,
}

/// A value that a specification has or has not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterValue {
    /// The namespace.
    Namespace(String),
    /// The name of the spec type.
    Type(String),
    /// A label.
    Label(String),
    /// An owner.
    Owner(String),
    /// The actor of the creation or of the last change.
    Actor(String),
}

impl Filters {
    /// Returns the tokens that a specification of `tenant` must have in the index.
    pub fn tokens(&self, tenant: &TenantId) -> Vec<String> {
        let state = match self.state {
            Some(state) => state_token(state),
            None => undeleted_token(),
        };
        let values = self.values.iter().map(FilterValue::token);
        [tenant_token(tenant), state]
            .into_iter()
            .chain(values)
            .collect()
    }
}

impl FilterValue {
    /// Returns the token of the value: letters and digits, so that it is one word for both databases.
    pub fn token(&self) -> String {
        match self {
            Self::Namespace(value) => token("namespace", value),
            Self::Type(value) => token("type", value),
            Self::Label(value) => token("label", value),
            Self::Owner(value) => token("owner", value),
            Self::Actor(value) => token("actor", value),
        }
    }
}

/// Returns the tokens of a specification in `state`.
pub fn state_tokens(state: SpecState) -> Vec<String> {
    match state {
        SpecState::Deleted => vec![state_token(state)],
        _ => vec![state_token(state), undeleted_token()],
    }
}

/// Returns the token of a tenant.
pub fn tenant_token(tenant: &TenantId) -> String {
    token("tenant", tenant.as_str())
}

fn state_token(state: SpecState) -> String {
    token("state", state.as_str())
}

fn undeleted_token() -> String {
    token("deleted", "no")
}

fn token(kind: &str, value: &str) -> String {
    let text = format!("search\n{kind}\n{value}");
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
    id.simple().to_string()
}
