//! [`Refusal`]: a reason of a capability to refuse a request, which each API converts to its own format.

use std::any::Any;
use std::error::Error;

use serde_json::Value;

/// The kind of a refusal. Each API has one status for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// A field of the request is not valid.
    Invalid,
    /// The request is too large.
    TooLarge,
    /// The caller did not prove who they are.
    Unauthenticated,
    /// The caller has no permission.
    Forbidden,
    /// The thing does not exist, or the caller must not know that it exists.
    NotFound,
    /// The thing was deleted.
    Gone,
    /// A thing with this name or id already exists.
    AlreadyExists,
    /// The state of the thing does not allow the request.
    NotAllowed,
    /// The thing has changed since the caller read it.
    Stale,
    /// The caller sent too many requests.
    TooMany,
}

/// A reason to refuse a request. The caller must change the request, or has no permission.
///
/// Its text is for people: what happened, the value, and the rule or the next step.
pub trait Refusal: Error + Any + Send + Sync {
    /// Returns the kind.
    fn kind(&self) -> RefusalKind;

    /// Returns the stable error code, for programs.
    fn code(&self) -> &'static str;

    /// Returns the machine-readable details, by name.
    fn facts(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// Returns the name of the invalid request field, if the refusal is about one.
    fn field(&self) -> Option<&'static str> {
        None
    }
}
