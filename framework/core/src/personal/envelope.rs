//! [`Envelope`]: the JSON value that replaces an encrypted field.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json_object::JsonObject;
use super::pseudonym::Pseudonym;
use crate::record::{ContentType, RecordedEvent};

/// The key of the tag that a privacy store adds to events with personal data; the value is the pseudonym of the subject.
pub const TAG: &str = "personal";

const VERSION: u32 = 1;
const MARKER: &str = "\"$personal\"";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapper {
    #[serde(rename = "$personal")]
    envelope: Envelope,
}

/// The JSON value that replaces an encrypted field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    #[serde(rename = "v")]
    version: u32,
    /// The data subject.
    #[serde(rename = "of")]
    pub subject: Pseudonym,
    /// The value that readers get once the subject is erased.
    #[serde(rename = "else")]
    pub redacted: Box<RawValue>,
    /// The encrypted value, as base64.
    #[serde(rename = "sealed")]
    pub ciphertext: String,
}

impl Envelope {
    /// Creates the JSON value that replaces a field.
    ///
    /// # Errors
    /// Returns an error if `redacted` is not valid JSON.
    pub fn wrap(
        subject: Pseudonym,
        redacted: String,
        ciphertext: String,
    ) -> Result<Box<RawValue>, serde_json::Error> {
        let envelope = Self {
            version: VERSION,
            subject,
            redacted: RawValue::from_string(redacted)?,
            ciphertext,
        };
        serde_json::value::to_raw_value(&Wrapper { envelope })
    }

    /// Returns whether a value may be an envelope.
    #[must_use]
    pub fn is_candidate(value: &RawValue) -> bool {
        let text = value.get();
        text.starts_with('{') && text.contains(MARKER)
    }

    /// Parses an envelope; `None` if the value is not an envelope of a known version.
    #[must_use]
    pub fn parse(value: &RawValue) -> Option<Self> {
        if !Self::is_candidate(value) {
            return None;
        }
        let wrapper: Wrapper = serde_json::from_str(value.get()).ok()?;
        (wrapper.envelope.version == VERSION).then_some(wrapper.envelope)
    }
}

/// The encrypted fields of one event.
pub struct EncryptedFields {
    /// All fields of the event.
    pub object: JsonObject,
    /// The index of each encrypted field, and its envelope.
    pub envelopes: Vec<(usize, Envelope)>,
}

impl EncryptedFields {
    /// Returns the encrypted fields of `event`; `None` if it has none.
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
        // The tag may be the user's own, on any event.
        let Ok(object) = serde_json::from_slice::<JsonObject>(&event.data) else {
            return Ok(None);
        };
        let mut envelopes = Vec::new();
        for (index, (field, value)) in object.0.iter().enumerate() {
            if Envelope::is_candidate(value) {
                let unknown = || format!("field `{field}` is encrypted in an unknown format");
                envelopes.push((index, Envelope::parse(value).ok_or_else(unknown)?));
            }
        }
        Ok((!envelopes.is_empty()).then_some(Self { object, envelopes }))
    }
}
