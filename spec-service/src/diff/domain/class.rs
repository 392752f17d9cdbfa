//! [`Class`]: the effect of a change on the readers of a content, and the proposed semantic version.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The effect of a change on the readers of a content.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The texts are equal.
    #[default]
    Identical,
    /// Readers see the same, for example because only comments or the order of keys are others.
    Cosmetic,
    /// Readers see something else that they can handle.
    Compatible,
    /// Readers can fail, because something that they read is missing or has another kind.
    Breaking,
}

impl Class {
    /// Returns the name of the class, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Cosmetic => "cosmetic",
            Self::Compatible => "compatible",
            Self::Breaking => "breaking",
        }
    }

    /// Returns the part of a semantic version that a change of this class increases.
    #[must_use]
    pub fn proposal(self) -> VersionProposal {
        match self {
            Self::Identical => VersionProposal::None,
            Self::Cosmetic => VersionProposal::Patch,
            Self::Compatible => VersionProposal::Minor,
            Self::Breaking => VersionProposal::Major,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The part of a semantic version to increase. See <https://semver.org>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionProposal {
    /// No part: the contents are identical.
    None,
    /// The patch version.
    Patch,
    /// The minor version.
    Minor,
    /// The major version.
    Major,
}

/// The error of [`VersionProposal::next`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid semantic version: {0:?}; expected three numbers, for example 1.4.2")]
pub struct UnknownVersion(String);

impl VersionProposal {
    /// Returns the name of the part, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }

    /// Returns the semantic version after `current`.
    ///
    /// # Errors
    /// Returns [`UnknownVersion`] if `current` is not three numbers with dots between them.
    ///
    /// # Examples
    /// ```
    /// # use spec_service::diff::VersionProposal;
    /// assert_eq!(VersionProposal::Minor.next("1.4.2")?, "1.5.0");
    /// # Ok::<(), spec_service::diff::UnknownVersion>(())
    /// ```
    pub fn next(self, current: &str) -> Result<String, UnknownVersion> {
        let unknown = || UnknownVersion(current.chars().take(40).collect());
        let number = |text: &str| {
            let is_canonical = text == "0" || !text.starts_with(['0', '+']);
            text.parse::<u32>().ok().filter(|_| is_canonical)
        };
        let numbers: Option<Vec<u32>> = current.split('.').map(number).collect();
        let Some([major, minor, patch]) = numbers.as_deref() else {
            return Err(unknown());
        };
        let next = match self {
            Self::None => Some((*major, *minor, *patch)),
            Self::Patch => patch.checked_add(1).map(|patch| (*major, *minor, patch)),
            Self::Minor => minor.checked_add(1).map(|minor| (*major, minor, 0)),
            Self::Major => major.checked_add(1).map(|major| (major, 0, 0)),
        };
        let (major, minor, patch) = next.ok_or_else(unknown)?;
        Ok(format!("{major}.{minor}.{patch}"))
    }
}
