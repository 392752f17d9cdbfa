//! When to kill.

/// Moments that differ from run to run.
pub(crate) struct Moments(u64);

impl Moments {
    pub(crate) fn new() -> Self {
        Self(
            std::time::UNIX_EPOCH
                .elapsed()
                .unwrap()
                .subsec_nanos()
                .into(),
        )
    }

    /// 1 to `most`.
    pub(crate) fn next(&mut self, most: u64) -> u64 {
        // Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)) % most + 1
    }
}
