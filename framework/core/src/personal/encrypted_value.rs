//! [`EncryptedValue`]: the JSON value that replaces the value of an encrypted field.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::pseudonym::Pseudonym;

/// The key of the tag that a privacy store adds to events with personal data.
///
/// The value of the tag is the pseudonym of the data subject.
pub const TAG: &str = "personal";

const FORMAT_VERSION: u32 = 1;
const MARKER: &str = "\"$personal\"";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapper {
    #[serde(rename = "$personal")]
    value: EncryptedValue,
}

/// The JSON value that replaces the value of an encrypted field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncryptedValue {
    #[serde(rename = "v")]
    format_version: u32,
    /// The data subject.
    #[serde(rename = "of")]
    pub subject: Pseudonym,
    /// The value that readers get after the subject is erased.
    #[serde(rename = "else")]
    pub redacted: Box<RawValue>,
    /// The encrypted value, as base64.
    #[serde(rename = "sealed")]
    pub ciphertext: String,
}

impl EncryptedValue {
    /// Creates the JSON value that replaces the value of a field.
    ///
    /// # Errors
    /// Returns an error if `redacted` is not valid JSON.
    pub fn wrap(
        subject: Pseudonym,
        redacted: String,
        ciphertext: String,
    ) -> Result<Box<RawValue>, serde_json::Error> {
        let value = Self {
            format_version: FORMAT_VERSION,
            subject,
            redacted: RawValue::from_string(redacted)?,
            ciphertext,
        };
        serde_json::value::to_raw_value(&Wrapper { value })
    }

    /// Returns whether `json` may be an encrypted value of any format.
    #[must_use]
    pub fn is_candidate(json: &RawValue) -> bool {
        let text = json.get();
        text.starts_with('{') && text.contains(MARKER)
    }

    /// Parses an encrypted value, or returns `None` if `json` is not one of a known format.
    #[must_use]
    pub fn parse(json: &RawValue) -> Option<Self> {
        if !Self::is_candidate(json) {
            return None;
        }
        let wrapper: Wrapper = serde_json::from_str(json.get()).ok()?;
        (wrapper.value.format_version == FORMAT_VERSION).then_some(wrapper.value)
    }
}
