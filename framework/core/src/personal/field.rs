//! [`PersonalField`]: a field of a new event that contains personal data.

/// A field of an event that contains personal data.
///
/// The derive of `Event` finds these fields when an event is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalField {
    /// The key of the field in the stored JSON.
    pub field: &'static str,
    /// The data subject of the field.
    pub subject: Subject,
    /// The value that readers get after the subject is erased, as JSON.
    pub redacted: String,
}

/// The data subject of a personal field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The subject of the stream: its id is the key of the stream.
    Stream,
    /// The subject with this id.
    Id(String),
}
