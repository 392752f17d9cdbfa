//! Spreads streams over partitions.

/// FNV-1a, which is the same in every process and version.
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
pub fn hash(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    let mixed = text.bytes().fold(start, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The low bits alone depend on too little.
    mixed ^ (mixed >> 32)
}
