//! [`PersonalField`]: what an event on its way into a store says of its personal data.

mod envelope;
mod json_object;
mod pseudonym;
mod redact;

pub use envelope::{EncryptedFields, Envelope, TAG};
pub use json_object::JsonObject;
pub use pseudonym::Pseudonym;
pub use redact::{mark_unreadable, redact};

/// A field of an event that is personal data, found by the derive when the event is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalField {
    /// The key of the field in the stored JSON.
    pub field: &'static str,
    /// Whose data it is.
    pub subject: Subject,
    /// What it reads as once the subject was forgotten, as JSON.
    pub redacted: String,
}

/// Whose data a personal field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Of whom the stream is about: the key of the stream is the subject's id.
    Stream,
    /// Of the subject with this id.
    Id(String),
}
