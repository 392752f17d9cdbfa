//! [`KeyError`]: the error of reading or changing keys.

use factum_core::error::StoreError;

/// An error of reading or changing keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The keys were wrapped with another master key; nothing was changed.
    #[error(
        "the keys of personal data were wrapped with another master key; use the master key that they were created with"
    )]
    WrongMasterKey,
    /// The encrypted events of the log belong to another key store; nothing was changed.
    #[error(
        "the personal data in the log was encrypted with the keys of another key store; \
         open the key store that the log was first opened with, or its latest backup"
    )]
    OtherKeyStore,
    /// A value is larger than the limit of the cipher, 256 GiB.
    #[error("the value is too long to be encrypted; the limit is 256 GiB")]
    TooLong,
    /// The backend of the keys failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyError> for StoreError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error,
            other => Self::Failed(other.into()),
        }
    }
}
