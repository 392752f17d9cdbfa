//! [`EncryptedFields`]: the encrypted fields of a stored event.

use super::encrypted_value::{EncryptedValue, TAG};
use super::json_object::JsonObject;
use crate::record::{ContentType, RecordedEvent};

/// The encrypted fields of one event.
pub struct EncryptedFields {
    /// All fields of the event.
    pub object: JsonObject,
    /// The index and the value of each encrypted field.
    pub values: Vec<(usize, EncryptedValue)>,
}

impl EncryptedFields {
    /// Returns the encrypted fields of `event`, or `None` if it has none.
    ///
    /// # Errors
    /// Returns the reason if a field is encrypted in an unknown format.
    pub fn of(event: &RecordedEvent) -> Result<Option<Self>, String> {
        let has_tag = event.tags.iter().any(|tag| {
            let rest = tag.as_str().strip_prefix(TAG);
            rest.is_some_and(|rest| rest.starts_with(':'))
        });
        if event.content_type != ContentType::Json || !has_tag {
            return Ok(None);
        }
        // A user may set the same tag on any event, so data that is not a JSON object is not an error.
        let Ok(object) = serde_json::from_slice::<JsonObject>(&event.data) else {
            return Ok(None);
        };
        let mut values = Vec::new();
        for (index, (field, value)) in object.0.iter().enumerate() {
            if EncryptedValue::is_candidate(value) {
                let unknown = || format!("field `{field}` is encrypted in an unknown format");
                values.push((index, EncryptedValue::parse(value).ok_or_else(unknown)?));
            }
        }
        Ok((!values.is_empty()).then_some(Self { object, values }))
    }
}
