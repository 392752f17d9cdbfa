//! [`EncryptionKey`]: a key that encrypts and decrypts values.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use factum_core::error::StoreError;
use zeroize::Zeroizing;

use crate::error::KeyError;

const NONCE_LENGTH: usize = 24;

/// A secret key of 32 bytes for XChaCha20-Poly1305; it is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<[u8; 32]>);

impl EncryptionKey {
    /// Creates a key from the random number generator of the operating system.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if the operating system returns no random bytes.
    pub fn random() -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        fill_random(&mut *key)?;
        Ok(Self(key))
    }

    /// Creates a key from its bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Returns the bytes of the key, for a [`KeyStore`](crate::KeyStore); never store them in plain text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Encrypts `plaintext` and binds the ciphertext to `context`.
    ///
    /// The result is the base64, without padding, of a random nonce of 24 bytes, the ciphertext, and a tag of 16 bytes.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if the operating system returns no random bytes.
    pub fn encrypt(&self, context: &[u8], plaintext: &[u8]) -> Result<String, StoreError> {
        let mut nonce = [0; NONCE_LENGTH];
        fill_random(&mut nonce)?;
        let payload = Payload {
            msg: plaintext,
            aad: context,
        };
        let ciphertext = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|_| StoreError::Failed(KeyError::TooLong.into()))?;
        Ok(STANDARD_NO_PAD.encode([&nonce[..], &ciphertext].concat()))
    }

    /// Decrypts a value that was encrypted with this key in this context.
    ///
    /// Returns `None` if it was encrypted with another key or in another context, or if it was changed.
    #[must_use]
    pub fn decrypt(&self, context: &[u8], encrypted: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = STANDARD_NO_PAD.decode(encrypted).ok()?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_LENGTH>()?;
        let payload = Payload { msg, aad: context };
        let plaintext = self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()?;
        Some(Zeroizing::new(plaintext))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

fn fill_random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Unavailable(error.to_string().into()))
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(…)")
    }
}
