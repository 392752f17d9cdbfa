//! [`Build`]: one copy of a read model.

use serde::{Deserialize, Serialize};

/// One build of a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Its number, from 1.
    pub number: u64,
    /// The version of the code that fills it.
    pub version: u32,
    /// The number of its partitions.
    pub partitions: u16,
    /// Set if it must be dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}
