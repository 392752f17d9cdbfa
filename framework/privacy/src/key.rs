//! [`Key`] and [`MasterKey`]: the keys that encrypt personal data.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::error::{InvalidMasterKey, KeyError};
use factum_engine::error::StoreError;

const NONCE: usize = 24;

/// A secret of 32 bytes, for XChaCha20-Poly1305. It is wiped from memory when dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A new one, from the system's source of randomness.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the system gives none.
    pub fn random() -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        random(&mut *key)?;
        Ok(Self(key))
    }

    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The bytes, for who keeps keys: never to be stored as they are.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `plain`, unreadable, and bound to `context`: a nonce of 24 random bytes, what is sealed, and a tag of 16, in
    /// base64 without padding.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the system gives no nonce.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<String, StoreError> {
        let mut nonce = [0; NONCE];
        random(&mut nonce)?;
        let payload = Payload {
            msg: plain,
            aad: context,
        };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        // Only more than 256 GiB would be rejected.
        let sealed = sealed.map_err(|_| StoreError::Failed(KeyError::TooLong.into()))?;
        Ok(STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// What was sealed with this key in this context; `None`: it was not, or it was changed.
    #[must_use]
    pub fn open(&self, context: &[u8], sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg, aad: context };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()?;
        Some(Zeroizing::new(plain))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

fn random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Unavailable(error.to_string().into()))
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The key that wraps the keys of the subjects. It is kept apart from the database, e.g. in an environment
/// variable, as 64 hexadecimal digits or 32 bytes of base64; `openssl rand -base64 32` makes one.
///
/// ```
/// use factum::privacy::MasterKey;
///
/// # let text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// let master: MasterKey = text.parse()?;
/// # Ok::<(), factum::privacy::InvalidMasterKey>(())
/// ```
#[derive(Debug, Clone)]
pub struct MasterKey(pub Key);

impl MasterKey {
    /// The master key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Key::new(bytes))
    }
}

impl FromStr for MasterKey {
    type Err = InvalidMasterKey;

    fn from_str(text: &str) -> Result<Self, InvalidMasterKey> {
        let text = text.trim();
        let bytes = if text.len() == 64 {
            from_hex(text).map(Zeroizing::new)
        } else {
            let text = text.trim_end_matches('=');
            STANDARD_NO_PAD.decode(text).ok().map(Zeroizing::new)
        };
        let bytes = bytes.ok_or(InvalidMasterKey)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| InvalidMasterKey)?;
        Ok(Self::new(bytes))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
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
