//! Random moments at which a test kills a process.

/// A random number generator with a seed that differs from run to run.
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

    /// Returns a number from 1 to `max`.
    pub(crate) fn next(&mut self, max: u64) -> u64 {
        // Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)) % max + 1
    }
}
