//! Upcasting: converting the JSON of an earlier schema version to the current one, one version at a time.

use std::fmt;

use factum_core::record::RecordedEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A function that converts the JSON of one schema version to the next.
///
/// It must be pure: no clock, no I/O.
pub type Upcaster = fn(serde_json::Value) -> Result<serde_json::Value, UpcastError>;

/// A function that converts the JSON of one schema version of an event to the next.
///
/// The derive of `Event` creates it from an [`Upcaster`], or from a function with two parameters: the JSON and the
/// [`RecordedEvent`], for conversions that need the position, the time or the metadata. It must be pure.
pub type EventUpcaster =
    fn(serde_json::Value, &RecordedEvent) -> Result<serde_json::Value, UpcastError>;

/// A function that `upcast` accepts for an event.
///
/// `P` is the list of its parameters.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an upcaster",
    label = "not an upcaster",
    note = "write `fn(Value) -> Result<Value, UpcastError>`, or `fn(Value, &RecordedEvent) -> Result<Value, UpcastError>`"
)]
pub trait UpcastFunction<P> {
    /// Converts `json` of an event that is stored as `record`.
    ///
    /// # Errors
    /// Returns the error of the function.
    fn call(
        self,
        json: serde_json::Value,
        record: &RecordedEvent,
    ) -> Result<serde_json::Value, UpcastError>;
}

impl<F> UpcastFunction<(serde_json::Value,)> for F
where
    F: Fn(serde_json::Value) -> Result<serde_json::Value, UpcastError>,
{
    fn call(
        self,
        json: serde_json::Value,
        _record: &RecordedEvent,
    ) -> Result<serde_json::Value, UpcastError> {
        self(json)
    }
}

impl<F> UpcastFunction<(serde_json::Value, RecordedEvent)> for F
where
    F: Fn(serde_json::Value, &RecordedEvent) -> Result<serde_json::Value, UpcastError>,
{
    fn call(
        self,
        json: serde_json::Value,
        record: &RecordedEvent,
    ) -> Result<serde_json::Value, UpcastError> {
        self(json, record)
    }
}

/// Calls an upcaster of an event; the derive of `Event` uses it in an [`EventUpcaster`].
///
/// # Errors
/// Returns the error of the upcaster.
#[doc(hidden)]
pub fn call_upcaster<P>(
    upcaster: impl UpcastFunction<P>,
    json: serde_json::Value,
    record: &RecordedEvent,
) -> Result<serde_json::Value, UpcastError> {
    upcaster.call(json, record)
}

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
    json: serde_json::Value,
) -> Result<serde_json::Value, UpcastError> {
    upcast_with(upcasters, version, json, |upcaster, json| upcaster(json))
}

/// Converts the `json` of an event to the version that the last of `upcasters` returns.
pub fn upcast_event(
    upcasters: &[EventUpcaster],
    record: &RecordedEvent,
    json: serde_json::Value,
) -> Result<serde_json::Value, UpcastError> {
    upcast_with(upcasters, record.schema_version, json, |upcaster, json| {
        upcaster(json, record)
    })
}

fn upcast_with<U>(
    upcasters: &[U],
    version: u32,
    mut json: serde_json::Value,
    call: impl Fn(&U, serde_json::Value) -> Result<serde_json::Value, UpcastError>,
) -> Result<serde_json::Value, UpcastError> {
    let skipped = version.saturating_sub(1) as usize;
    for (index, upcaster) in upcasters.iter().enumerate().skip(skipped) {
        json = call(upcaster, json).map_err(|error| {
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
