//! [`IdempotencyKey`]: the caller's id of an append.

use uuid::Uuid;

use crate::field::{InvalidField, check_no_nul, check_size};

/// The maximum length of an idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 256;

/// The caller's id of an append, with a fingerprint of the requested content.
///
/// A second append with the same key and the same fingerprint stores nothing and returns the first result. The same key
/// with another fingerprint is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's key, 1 to [`MAX_IDEMPOTENCY_KEY`] bytes without the character U+0000.
    pub key: String,
    /// The hash of the content that the caller requested.
    pub fingerprint: Uuid,
}

impl IdempotencyKey {
    /// Creates a key whose fingerprint is the UUIDv5 ([RFC 9562], 5.5) of `content`.
    ///
    /// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
    #[must_use]
    pub fn new(key: impl Into<String>, content: &[u8]) -> Self {
        Self {
            key: key.into(),
            fingerprint: Uuid::new_v5(&Uuid::NAMESPACE_OID, content),
        }
    }

    /// Checks the length and the characters of the key; a store calls this first.
    ///
    /// # Errors
    /// Returns [`InvalidField`] if the key violates a rule.
    pub fn check(&self) -> Result<(), InvalidField> {
        const FIELD: &str = "idempotency key";
        if self.key.is_empty() {
            return Err(InvalidField::text(FIELD, "", "it must not be empty"));
        }
        check_size(FIELD, self.key.len(), MAX_IDEMPOTENCY_KEY)?;
        check_no_nul(FIELD, &self.key)
    }
}
