//! [`BatchSize`]: limits the duration of a batch, since other writers wait for its transaction.

use std::time::Duration;

use factum_core::read::MAX_PAGE;

/// The target duration of a batch, and of one turn of a retry.
pub const TARGET: Duration = Duration::from_millis(25);
/// The minimum number of events in a batch.
///
/// For fewer events, the commit costs more than the events.
const MIN: usize = 64;

/// The number of events that a batch can process within the target duration, as measured.
#[derive(Debug)]
pub struct BatchSize {
    events: usize,
}

impl BatchSize {
    /// Starts with the smallest batch.
    pub fn new() -> Self {
        Self { events: MIN }
    }

    /// Returns the number of `events` for the next batch.
    pub fn next<T>(&self, events: &[T]) -> usize {
        // A small remainder is processed in the same batch.
        match events.len() <= self.events + MIN / 2 {
            true => events.len(),
            false => self.events,
        }
    }

    /// Records that a batch of `events` events took `time`.
    pub fn record(&mut self, events: usize, time: Duration) {
        if events < MIN {
            return;
        }
        let fits = events as f64 * TARGET.as_secs_f64() / time.as_secs_f64().max(1e-6);
        let fits = fits.clamp(MIN as f64, MAX_PAGE as f64) as usize;
        // One slow or fast commit has little weight.
        self.events = (self.events + fits) / 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_size_adapts_to_target_duration() {
        let mut size = BatchSize::new();
        for _ in 0..20 {
            let events = size.next(&[(); MAX_PAGE]);
            size.record(events, Duration::from_micros(100) * events as u32);
        }
        let fits = size.next(&[(); MAX_PAGE]);
        assert!((240..=260).contains(&fits), "{fits} of 100 µs each");
        for _ in 0..20 {
            let events = size.next(&[(); MAX_PAGE]);
            size.record(events, Duration::from_micros(1) * events as u32);
        }
        assert_eq!(size.next(&[(); MAX_PAGE]), MAX_PAGE);
        assert_eq!(size.next(&[(); 3]), 3);
        for _ in 0..20 {
            size.record(MAX_PAGE, Duration::from_secs(10));
        }
        assert_eq!(size.next(&[(); MAX_PAGE]), MIN);
    }
}
