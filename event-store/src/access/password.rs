//! Passwords and tokens: their hashes.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::policy::TokenHash;

/// The beginning of each token, by which secret scanners find it.
const TOKEN_PREFIX: &str = "factum_";

/// The number of random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// The hash of a random password, which is compared for users that do not exist.
static DECOY: LazyLock<Option<String>> = LazyLock::new(|| {
    let (token, _) = create_token().ok()?;
    hash(&token).ok()
});

/// The hash of a password cannot be computed or used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The text is not a hash of Argon2id.
    #[error("invalid hash of a password; expected one of Argon2id in the PHC format")]
    Hash,
    /// The system has no random numbers.
    #[error("the system provides no random numbers")]
    Random,
}

/// Returns the Argon2id hash of a password, in the PHC format.
///
/// # Errors
/// Returns an error if the system has no random numbers.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(|_| PasswordError::Random)
}

/// Checks that the text is a hash that [`hash`] can have returned.
///
/// # Errors
/// Returns an error if it is another text.
pub fn check_hash(text: &str) -> Result<(), PasswordError> {
    let parsed = PasswordHash::new(text).map_err(|_| PasswordError::Hash)?;
    let is_complete = parsed.salt.is_some() && parsed.hash.is_some();
    match parsed.algorithm.as_str() == "argon2id" && is_complete {
        true => Ok(()),
        false => Err(PasswordError::Hash),
    }
}

/// Returns whether the password has the hash. Without a hash, it takes the same time and returns `false`.
///
/// It takes some ten milliseconds of a processor, so call it on a thread for blocking work.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let expected = hash.or(DECOY.as_deref());
    let expected = expected.and_then(|hash| PasswordHash::new(hash).ok());
    let matches = expected.is_some_and(|expected| {
        let verified = Argon2::default().verify_password(password.as_bytes(), &expected);
        verified.is_ok()
    });
    matches && hash.is_some()
}

/// Creates a random token, and returns it with its hash.
///
/// # Errors
/// Returns an error if the system has no random numbers.
pub fn create_token() -> Result<(String, TokenHash), PasswordError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| PasswordError::Random)?;
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = token_hash(&token);
    Ok((token, hash))
}

/// Returns the SHA-256 of a token. It needs no salt, because a token is random.
#[must_use]
pub fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_has_its_hash() {
        let stored = hash("change it").expect("a hash");
        assert!(check_hash(&stored).is_ok());
        assert!(verify("change it", Some(&stored)));
        assert!(!verify("Change it", Some(&stored)));
        assert!(!verify("change it", None));
        assert_ne!(stored, hash("change it").expect("another hash"));
        for other in ["", "change it", "$argon2id$v=19$m=8,t=1,p=1", "$2b$12$abc"] {
            assert!(check_hash(other).is_err(), "{other}");
        }
    }

    #[test]
    fn tokens_are_random() {
        let (token, hash) = create_token().expect("a token");
        assert_eq!(token_hash(&token), hash);
        assert_ne!(create_token().expect("another token").0, token);
        assert_eq!(token.len(), TOKEN_PREFIX.len() + 43);
    }
}
