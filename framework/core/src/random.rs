//! Random numbers without a dependency: for ids and delays, not for secrets.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Returns 64 random bits.
///
/// They are the hash of an empty message under the keys of a new [`RandomState`]. The standard library seeds these keys
/// for each thread from the operating system, and changes them with each `RandomState`. The hash is SipHash, a
/// pseudorandom function, so the results do not repeat and are evenly distributed. The keys are not meant for
/// cryptography, so do not use the bits for secrets.
#[must_use]
pub fn random_bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Returns a random number from 0 up to, but not including, 1.
#[must_use]
pub fn random_unit() -> f64 {
    // A `f64` has a mantissa of 53 bits.
    (random_bits() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn random_bits_do_not_repeat_within_and_across_threads() {
        let draw = || (0..10_000).map(|_| random_bits()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(draw)).collect();
        let bits = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        assert_eq!(bits.collect::<HashSet<_>>().len(), 40_000);
    }

    #[test]
    fn random_bits_are_evenly_distributed() {
        let mut ones = [0u32; 64];
        for _ in 0..10_000 {
            let bits = random_bits();
            for (index, count) in ones.iter_mut().enumerate() {
                *count += (bits >> index & 1) as u32;
            }
        }
        // The standard deviation is 50, so ten of them.
        assert!(
            ones.iter().all(|count| (4_500..=5_500).contains(count)),
            "{ones:?}"
        );
    }

    #[test]
    fn random_unit_is_in_range_and_centred() {
        let numbers: Vec<f64> = std::iter::repeat_with(random_unit).take(10_000).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        let mean = numbers.iter().sum::<f64>() / 10_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
