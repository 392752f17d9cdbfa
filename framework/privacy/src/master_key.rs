//! [`MasterKey`]: the key that wraps the keys of the data subjects.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use factum_core::error::StoreError;
use zeroize::Zeroizing;

use crate::encryption_key::EncryptionKey;
use crate::error::KeyError;

/// The key that wraps the keys of the data subjects.
///
/// Keep it outside the database, for example in an environment variable, as 64 hexadecimal digits or as the base64 of
/// 32 bytes. `openssl rand -base64 32` creates one.
///
/// ```
/// use factum::privacy::MasterKey;
///
/// # let text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// let master: MasterKey = text.parse()?;
/// # Ok::<(), factum::privacy::InvalidMasterKey>(())
/// ```
#[derive(Debug, Clone)]
pub struct MasterKey(EncryptionKey);

impl MasterKey {
    /// Creates a master key from its bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(EncryptionKey::new(bytes))
    }

    /// Encrypts `key` and binds the result to `name`, so that it cannot replace the key of another name.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if the operating system returns no random bytes.
    pub fn wrap_key(&self, name: &str, key: &EncryptionKey) -> Result<String, StoreError> {
        self.0.encrypt(name.as_bytes(), key.as_bytes())
    }

    /// Decrypts a key that was wrapped under `name`.
    ///
    /// # Errors
    /// Returns [`KeyError::WrongMasterKey`] if it was wrapped with another master key or under another name.
    pub fn unwrap_key(&self, name: &str, wrapped: &str) -> Result<EncryptionKey, KeyError> {
        let key = self.0.decrypt(name.as_bytes(), wrapped);
        let key = key.and_then(|key| Some(EncryptionKey::new(key.as_slice().try_into().ok()?)));
        key.ok_or(KeyError::WrongMasterKey)
    }
}

impl FromStr for MasterKey {
    type Err = InvalidMasterKey;

    fn from_str(text: &str) -> Result<Self, InvalidMasterKey> {
        let text = text.trim();
        let bytes = if text.len() == 64 {
            decode_hex(text).map(Zeroizing::new)
        } else {
            let text = text.trim_end_matches('=');
            STANDARD_NO_PAD.decode(text).ok().map(Zeroizing::new)
        };
        let bytes = bytes.ok_or(InvalidMasterKey)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| InvalidMasterKey)?;
        Ok(Self::new(bytes))
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = Zeroizing::new(digits?);
    Some(
        digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect(),
    )
}

/// A text is not a valid master key; the error does not contain the text, which may be almost the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid master key; expected 64 hexadecimal digits, or the base64 of 32 bytes")]
pub struct InvalidMasterKey;
