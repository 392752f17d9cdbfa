//! [`Pseudonym`]: the id of a data subject in the store.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of a data subject in the store: a keyed hash of the real id.
///
/// It prints as 32 hexadecimal digits. Without the key of the hash, the tags and encrypted fields in a store do not
/// reveal the real id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pseudonym([u8; 16]);

impl Pseudonym {
    /// Creates a pseudonym from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the pseudonym.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonym({self})")
    }
}

impl From<Pseudonym> for String {
    fn from(pseudonym: Pseudonym) -> Self {
        pseudonym.to_string()
    }
}

impl TryFrom<String> for Pseudonym {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        const INVALID: &str = "invalid pseudonym; expected 32 hexadecimal digits";
        if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(INVALID);
        }
        let number = u128::from_str_radix(&text, 16).map_err(|_| INVALID)?;
        Ok(Self(number.to_be_bytes()))
    }
}
