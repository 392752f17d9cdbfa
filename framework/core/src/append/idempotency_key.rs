//! [`IdempotencyKey`]: the caller's id of an append.

use uuid::Uuid;

use crate::field::{InvalidField, check_no_nul, check_size};

/// The maximum length of an idempotency key, in bytes.
pub const MAX_IDEMPOTENCY_KEY: usize = 256;

/// The bytes of a fingerprint that contain the hash of the name and the schema version.
const VERSION_BYTES: usize = 6;

/// The caller's id of an append, with a fingerprint of the requested content.
///
/// A second append with the same key and the same content stores nothing and returns the first result. The same key
/// with other content is an error. A store compares the fingerprints only, so the content must include everything that
/// distinguishes two requests, also the order of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's key, 1 to [`MAX_IDEMPOTENCY_KEY`] bytes without the character U+0000.
    pub key: String,
    /// The hash of the content that the caller requested. Compare it with [`is_for`](Self::is_for).
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

    /// Creates a key for a content called `name`, in a schema version.
    ///
    /// The fingerprint is a UUIDv8 ([RFC 9562], 5.8): a hash of the name (4 bytes), the last 16 bits of the version, and
    /// a hash of the content. Contents of the same name in different schema versions cannot be compared, so that
    /// [`is_for`](Self::is_for) accepts them.
    ///
    /// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
    #[must_use]
    pub fn versioned(
        key: impl Into<String>,
        name: &str,
        schema_version: u32,
        content: &[u8],
    ) -> Self {
        let name = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let [.., high, low] = schema_version.to_be_bytes();
        let mut bytes = *Uuid::new_v5(&Uuid::NAMESPACE_OID, content).as_bytes();
        bytes[..4].copy_from_slice(&name.as_bytes()[..4]);
        bytes[4..VERSION_BYTES].copy_from_slice(&[high, low]);
        Self {
            key: key.into(),
            fingerprint: uuid::Builder::from_custom_bytes(bytes).into_uuid(),
        }
    }

    /// Returns whether the content of this key is the content with the fingerprint `stored`.
    ///
    /// If both are versioned, have the same name and different schema versions, the answer is yes.
    #[must_use]
    pub fn is_for(&self, stored: Uuid) -> bool {
        let (own, stored) = (self.fingerprint, stored);
        own == stored
            || is_versioned(own)
                && is_versioned(stored)
                && own.as_bytes()[..4] == stored.as_bytes()[..4]
                && own.as_bytes()[4..VERSION_BYTES] != stored.as_bytes()[4..VERSION_BYTES]
    }

    /// Replaces the hash of the content by another hash of it; the name and the schema version stay.
    #[must_use]
    pub fn with_content_hash(self, hash: [u8; 16]) -> Self {
        let mut bytes = hash;
        let fingerprint = match is_versioned(self.fingerprint) {
            false => Uuid::from_bytes(bytes),
            true => {
                let own = self.fingerprint.as_bytes();
                bytes[..VERSION_BYTES].copy_from_slice(&own[..VERSION_BYTES]);
                uuid::Builder::from_custom_bytes(bytes).into_uuid()
            }
        };
        Self {
            fingerprint,
            ..self
        }
    }
}

fn is_versioned(fingerprint: Uuid) -> bool {
    fingerprint.get_version_num() == 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versioned(name: &str, version: u32, content: &[u8]) -> IdempotencyKey {
        IdempotencyKey::versioned("k", name, version, content)
    }

    #[test]
    fn contents_are_compared_within_one_schema_version() {
        let stored = versioned("Add", 1, b"5").fingerprint;
        assert!(versioned("Add", 1, b"5").is_for(stored));
        assert!(!versioned("Add", 1, b"6").is_for(stored));
        assert!(versioned("Add", 2, b"6").is_for(stored));
        assert!(!versioned("Remove", 1, b"5").is_for(stored));
        assert!(!versioned("Remove", 2, b"5").is_for(stored));
        assert!(!IdempotencyKey::new("k", b"5").is_for(stored));
    }

    #[test]
    fn other_content_hash_keeps_name_and_schema_version() {
        let hashed =
            |version, content| versioned("Add", version, content).with_content_hash([9; 16]);
        let stored = hashed(1, b"5").fingerprint;
        assert_ne!(stored, versioned("Add", 1, b"5").fingerprint);
        assert!(hashed(2, b"6").is_for(stored));
        assert!(!versioned("Add", 1, b"5").is_for(stored));
        let plain = IdempotencyKey::new("k", b"5").with_content_hash([9; 16]);
        assert_eq!(plain.fingerprint, Uuid::from_bytes([9; 16]));
    }
}
