//! [`CommandKey`]: the idempotency key of a command, of the caller or of the framework.

use factum_core::append::{IdempotencyKey, MAX_IDEMPOTENCY_KEY};
use factum_core::json::check_finite;
use uuid::Uuid;

use crate::command::Decide;
use crate::command::fingerprint::canonical_fields;
use crate::domain::error::EncodeError;
use crate::engine::execute_error::ExecuteError;

/// The beginning of the keys that the framework makes. No key of a caller begins with it.
const RESERVED_PREFIX: &str = "factum/";

/// The idempotency key of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandKey {
    /// A key of the caller.
    Caller(String),
    /// A key of the framework, which determines the command.
    Framework(String),
}

impl CommandKey {
    /// Creates a key of the framework; a key that is too long is replaced by its hash.
    #[must_use]
    pub fn framework(key: &str) -> Self {
        let whole = format!("{RESERVED_PREFIX}{key}");
        if whole.len() <= MAX_IDEMPOTENCY_KEY {
            return Self::Framework(whole);
        }
        let namespace = Uuid::from_u128(0x6d0e_4f6c_5f0e_4b0e_9d0a_2c5a_8f1c_7e31);
        let hash = Uuid::new_v5(&namespace, key.as_bytes());
        Self::Framework(format!("{RESERVED_PREFIX}{hash}"))
    }

    /// Returns the key for the store, with a fingerprint of `command`.
    pub fn for_command<C: Decide>(
        &self,
        command: &C,
    ) -> Result<IdempotencyKey, ExecuteError<C::Error>> {
        let key = match self {
            // The work that the key names is done once, whatever the schema version of the command.
            Self::Framework(key) => return Ok(IdempotencyKey::new(key, b"")),
            Self::Caller(key) => key,
        };
        if key.starts_with(RESERVED_PREFIX) {
            return Err(ExecuteError::ReservedKey {
                key: key.clone(),
                prefix: RESERVED_PREFIX,
            });
        }
        let content = canonical_fields(command, &command.omitted_from_fingerprint());
        let content = content.map_err(|error| EncodeError {
            name: C::NAME,
            // It has the path of a number that is not finite.
            source: match check_finite(command) {
                Err(error) => error.into(),
                Ok(()) => error.into(),
            },
        })?;
        let (name, version) = (C::NAME, C::VERSION);
        Ok(IdempotencyKey::versioned(key, name, version, &content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_framework_have_a_reserved_prefix() {
        let long = "k".repeat(MAX_IDEMPOTENCY_KEY - RESERVED_PREFIX.len());
        for key in ["schedule/nightly", &long, &format!("{long}k")] {
            let CommandKey::Framework(whole) = CommandKey::framework(key) else {
                panic!("{key}");
            };
            assert!(whole.starts_with(RESERVED_PREFIX));
            assert!(whole.len() <= MAX_IDEMPOTENCY_KEY);
        }
    }
}
