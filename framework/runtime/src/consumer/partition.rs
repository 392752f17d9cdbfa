//! [`Partition`]: the streams that belong to a partition.

use factum_core::stream_id::StreamId;

/// One partition of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its index, from 0.
    pub index: u16,
    /// The number of partitions of the build, at least 1.
    pub count: u16,
}

impl Partition {
    /// Returns whether `stream` belongs to the partition.
    #[must_use]
    pub fn contains(self, stream: &StreamId) -> bool {
        self.count <= 1 || hash(stream.as_str()) % u64::from(self.count) == u64::from(self.index)
    }

    /// Returns whether the build has no other partition.
    #[must_use]
    pub fn is_only(self) -> bool {
        self.count <= 1
    }
}

/// Returns the FNV-1a hash of `text`, which is the same in every process and version.
///
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
fn hash(text: &str) -> u64 {
    let offset_basis = 0xcbf2_9ce4_8422_2325;
    let mixed = text.bytes().fold(offset_basis, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The low bits alone depend on too few input bits.
    mixed ^ (mixed >> 32)
}
