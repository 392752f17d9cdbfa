//! [`Stopwatch`]: a start time that costs nothing without the feature `metrics`.

/// A start time, from which a duration is measured.
///
/// Without the feature `metrics`, it has no size and does not read the clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(#[cfg(feature = "metrics")] std::time::Instant);

impl Stopwatch {
    /// Starts the measurement.
    #[inline]
    #[must_use]
    pub fn start() -> Self {
        Self(
            #[cfg(feature = "metrics")]
            std::time::Instant::now(),
        )
    }

    /// Returns the elapsed time in seconds.
    #[cfg(feature = "metrics")]
    #[doc(hidden)]
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
