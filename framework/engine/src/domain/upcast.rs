//! Upcasting: converting the JSON of an earlier schema version to the current one, one version at a time.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A function that converts the JSON of one schema version to the next.
///
/// It must be pure: no clock, no I/O.
pub type Upcaster = fn(serde_json::Value) -> Result<serde_json::Value, UpcastError>;

/// The reason why an upcaster could not convert an event. Made from a `String` or `&str`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UpcastError(String);

impl From<String> for UpcastError {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

impl From<&str> for UpcastError {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// Converts `json` from `version` to the version that the last of `upcasters` returns.
#[doc(hidden)]
pub fn upcast(
    upcasters: &[Upcaster],
    version: u32,
    mut json: serde_json::Value,
) -> Result<serde_json::Value, UpcastError> {
    let skipped = version.saturating_sub(1) as usize;
    for (index, upcaster) in upcasters.iter().enumerate().skip(skipped) {
        json = upcaster(json).map_err(|error| {
            UpcastError(format!(
                "from version {} to {}: {error}",
                index + 1,
                index + 2
            ))
        })?;
    }
    Ok(json)
}

/// Converts the JSON of the Rust type `Old` to the JSON of the Rust type `New`.
///
/// Name it with both types as an [`Upcaster`].
///
/// ```
/// use factum::prelude::*;
/// use factum::event::upcast_typed;
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(prefix = "account")]
/// enum AccountEvent {
///     #[event(version = 2, upcast = upcast_typed::<OpenedV1, Opened>)]
///     Opened(Opened),
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Opened { first: String, last: String }
///
/// #[derive(Deserialize)]
/// struct OpenedV1 { name: String }
///
/// impl From<OpenedV1> for Opened {
///     fn from(old: OpenedV1) -> Self {
///         let (first, last) = old.name.split_once(' ').unwrap_or((&old.name, ""));
///         Self { first: first.to_owned(), last: last.to_owned() }
///     }
/// }
/// ```
///
/// # Errors
/// Returns [`UpcastError`] if the JSON does not fit `Old`, or `Old` cannot be converted to `New`.
pub fn upcast_typed<Old, New>(old: serde_json::Value) -> Result<serde_json::Value, UpcastError>
where
    Old: DeserializeOwned + TryInto<New, Error: fmt::Display>,
    New: Serialize,
{
    let old: Old = serde_json::from_value(old).map_err(|error| error.to_string())?;
    let new = old.try_into().map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(new).map_err(|error| error.to_string())?)
}

/// Marks a version step that a type in `legacy` converts, because one event becomes none or several.
///
/// It is never called if the legacy type is listed.
///
/// # Errors
/// Always returns [`UpcastError`]: the legacy type is missing.
pub fn upcast_legacy(_: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Err("no type in `legacy` takes this version".into())
}
