//! [`Envelope`]: what stands in the JSON in place of a personal value.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::key::{Key, Pseudonym};
use crate::error::StoreError;

const FORM: u32 = 1;
const NAME: &str = "\"$personal\"";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    #[serde(rename = "$personal")]
    envelope: Envelope,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    /// The version of this form.
    v: u32,
    /// Whose data it is.
    pub(super) of: Pseudonym,
    /// What the field reads as once its subject was forgotten.
    #[serde(rename = "else")]
    pub(super) redacted: Box<RawValue>,
    sealed: String,
}

/// The place of a value, which it cannot be moved from.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) event: Uuid,
    pub(super) field: &'a str,
}

impl Spot<'_> {
    /// Only the last part varies in length, so that no two places give the same text.
    fn context(self, of: Pseudonym) -> Vec<u8> {
        let (event, field) = (self.event.as_bytes(), self.field.as_bytes());
        [b"factum.personal.1\0", &event[..], of.as_bytes(), field].concat()
    }
}

impl Envelope {
    /// Whether a value looks like one.
    pub(super) fn is_like(value: &RawValue) -> bool {
        let text = value.get();
        text.starts_with('{') && text.contains(NAME)
    }

    /// `None`: the value is something else.
    pub(super) fn read(value: &RawValue) -> Option<Self> {
        if !Self::is_like(value) {
            return None;
        }
        let outer: Outer = serde_json::from_str(value.get()).ok()?;
        (outer.envelope.v == FORM).then_some(outer.envelope)
    }

    /// `value` at `spot`, sealed with the key of the subject `of`.
    pub(super) fn seal(
        value: &RawValue,
        spot: Spot<'_>,
        (of, key): (Pseudonym, &Key),
        redacted: String,
    ) -> Result<Box<RawValue>, StoreError> {
        let sealed = key.seal(&spot.context(of), value.get().as_bytes())?;
        let json = |error: serde_json::Error| StoreError::Failed(error.into());
        let envelope = Self {
            v: FORM,
            of,
            redacted: RawValue::from_string(redacted).map_err(json)?,
            sealed,
        };
        serde_json::value::to_raw_value(&Outer { envelope }).map_err(json)
    }

    /// The value; `None`: it was not sealed with this key at this place, or it was changed.
    pub(super) fn open(&self, spot: Spot<'_>, key: &Key) -> Option<Box<RawValue>> {
        let plain = key.open(&spot.context(self.of), &self.sealed)?;
        let plain = String::from_utf8(plain.to_vec()).ok()?;
        RawValue::from_string(plain).ok()
    }
}
