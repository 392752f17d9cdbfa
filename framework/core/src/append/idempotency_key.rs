//! [`IdempotencyKey`]: the caller's id of an append.

use uuid::Uuid;

/// The maximum length of an idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 256;

/// The caller's id of an append, with a fingerprint of the requested content.
///
/// A second append with the same key and the same fingerprint stores nothing and returns the first result. The same key
/// with another fingerprint is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's key, 1 to [`MAX_IDEMPOTENCY_KEY`] bytes.
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
}
