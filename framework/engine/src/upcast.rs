//! Upcasting: turning an old event's stored form into today's, one version at a time.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Turns the stored JSON of one version into that of the next. Pure: no clock, no I/O.
pub type Upcaster = fn(serde_json::Value) -> Result<serde_json::Value, UpcastError>;

/// Why an upcaster could not turn an old form into the next.
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

/// Brings `json` from `version` up to the one behind the last of `upcasters`.
pub fn upcast(
    upcasters: &[Upcaster],
    version: u32,
    mut json: serde_json::Value,
) -> Result<serde_json::Value, UpcastError> {
    let done = version.saturating_sub(1) as usize;
    for (index, step) in upcasters.iter().enumerate().skip(done) {
        json = step(json).map_err(|error| {
            UpcastError(format!(
                "from version {} to {}: {error}",
                index + 1,
                index + 2
            ))
        })?;
    }
    Ok(json)
}

/// An upcaster between Rust types: the stored form is read as `Old`, and written as the `New` that comes of it.
///
/// ```
/// use factum::prelude::*;
/// use factum::upcast_typed;
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
/// If the stored form does not fit `Old`, or `Old` does not turn into `New`.
pub fn upcast_typed<Old, New>(old: serde_json::Value) -> Result<serde_json::Value, UpcastError>
where
    Old: DeserializeOwned + TryInto<New, Error: fmt::Display>,
    New: Serialize,
{
    let old: Old = serde_json::from_value(old).map_err(|error| error.to_string())?;
    let new = old.try_into().map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(new).map_err(|error| error.to_string())?)
}

/// Stands among the upcasters for a step that a type in `legacy` takes, because one event becomes none or several.
/// It is never called while that type is there.
///
/// # Errors
/// Always: the type is missing.
pub fn upcast_legacy(_: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Err("no type in `legacy` takes this version".into())
}
