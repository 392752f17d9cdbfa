//! [`Revision`]: the number of the change that wrote a document.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of the change that wrote a document.
///
/// The revision increases with every change of a store, so no two values of a document ever have the same revision.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// The revision 0 of a document that does not exist.
    pub const ABSENT: Self = Self(0);

    /// Creates a revision from its number.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
