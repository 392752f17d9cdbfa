//! What goes wrong with keys.

use factum_engine::error::StoreError;

/// Keys could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The keys were wrapped with another master key. Nothing was changed.
    #[error(
        "the keys of personal data were wrapped with another master key: give the one that they were made with"
    )]
    WrongMasterKey,
    /// More than the cipher takes.
    #[error("this is too long to be sealed")]
    TooLong,
    /// Where the keys are kept failed.
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

/// A text that is no master key. It is not told, for it may be nearly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits, or the base64 of 32 bytes")]
pub struct InvalidMasterKey;
