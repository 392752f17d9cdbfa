//! Upcasting: turning an old event's stored form into today's, one version at a time.

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
pub(crate) fn upcast(
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
