//! The limits of [`Metadata`], and its size.

use serde_json::Value;

use super::Metadata;
use crate::field::{InvalidField, check_name, check_no_nul, check_size, check_text};

/// The maximum size of all metadata of an event, in bytes: 256 KiB.
pub const MAX_METADATA: usize = 256 * 1024;
/// The maximum length of the actor, the tenant, the trace context and a key of `extra`, in bytes.
pub const MAX_METADATA_NAME: usize = 1_024;
/// The maximum length of the reason, in bytes: 64 KiB.
pub const MAX_REASON: usize = 64 * 1024;
/// The maximum number of nested arrays and objects in an entry of `extra`.
const MAX_EXTRA_DEPTH: usize = 100;

const EXTRA: &str = "metadata entry";

impl Metadata {
    /// Returns the approximate size of the metadata as JSON, in bytes.
    ///
    /// It counts towards the size of appends and pages.
    #[must_use]
    pub fn size(&self) -> usize {
        const ID: usize = 36;
        let names = [&self.actor, &self.reason, &self.tenant, &self.trace_parent];
        let names = names.into_iter().flatten().map(String::len);
        let ids = [self.correlation_id, self.causation_id];
        let extra = self.extra.iter();
        names.sum::<usize>()
            + ids.into_iter().flatten().count() * ID
            + extra
                .map(|(key, value)| key.len() + json_size(value))
                .sum::<usize>()
            + self.foreign.len()
    }

    /// Checks the limits of all fields.
    ///
    /// # Errors
    /// Returns [`InvalidField`], which names the first field that violates a rule.
    pub fn check(&self) -> Result<(), InvalidField> {
        let names = [
            ("metadata field `actor`", &self.actor),
            ("metadata field `tenant`", &self.tenant),
            ("metadata field `trace_parent`", &self.trace_parent),
        ];
        for (field, name) in names {
            if let Some(name) = name {
                check_text(field, name, MAX_METADATA_NAME)?;
            }
        }
        if let Some(reason) = &self.reason {
            const REASON: &str = "metadata field `reason`";
            check_size(REASON, reason.len(), MAX_REASON)?;
            check_no_nul(REASON, reason)?;
        }
        // The other fields together are smaller than the limit.
        if self.extra.is_empty() && self.foreign.is_empty() {
            return Ok(());
        }
        for (key, value) in &self.extra {
            check_name("key of a metadata entry", key, MAX_METADATA_NAME)?;
            check_value(key, value, MAX_EXTRA_DEPTH)?;
        }
        check_size("metadata", self.size(), MAX_METADATA)
    }
}

/// Returns the approximate length of the JSON of `value`, which must not be nested deeply.
fn json_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 20,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| 1 + json_size(item)).sum::<usize>(),
        Value::Object(fields) => {
            let fields = fields.iter();
            2 + fields
                .map(|(key, value)| key.len() + 4 + json_size(value))
                .sum::<usize>()
        }
    }
}

/// Checks the texts and the depth of the entry `key`.
fn check_value(key: &str, value: &Value, depth: usize) -> Result<(), InvalidField> {
    let deeper = || {
        depth.checked_sub(1).ok_or_else(|| InvalidField::TooDeep {
            field: format!("{EXTRA} {key:?}").into(),
            limit: MAX_EXTRA_DEPTH,
        })
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => check_no_nul(EXTRA, text),
        Value::Array(items) => {
            let depth = deeper()?;
            let mut items = items.iter();
            items.try_for_each(|item| check_value(key, item, depth))
        }
        Value::Object(fields) => {
            let depth = deeper()?;
            fields.iter().try_for_each(|(name, value)| {
                check_no_nul(EXTRA, name)?;
                check_value(key, value, depth)
            })
        }
    }
}
