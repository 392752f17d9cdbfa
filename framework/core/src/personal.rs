//! Personal data in events: the fields of a data subject, their encrypted form, and redaction without keys.

mod encrypted_fields;
mod encrypted_value;
mod field;
mod json_object;
mod pseudonym;
mod redact;

pub use encrypted_fields::EncryptedFields;
pub use encrypted_value::{EncryptedValue, TAG};
pub use field::{PersonalField, Subject};
pub use json_object::JsonObject;
pub use pseudonym::Pseudonym;
pub use redact::{mark_unreadable, redact};
