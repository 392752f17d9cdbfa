//! [`Pace`]: how many events go into one step, so that none takes long. Whoever else writes waits for a step.

use std::time::Duration;

use factum_core::read::MAX_PAGE;

/// About as long as a step may take, or one turn of a retry.
pub const LONGEST: Duration = Duration::from_millis(25);
/// A step of fewer events costs more than what it lets others do.
const FEWEST: usize = 64;

/// How fast events are taken, as it was seen.
#[derive(Debug)]
pub struct Pace {
    events: usize,
}

impl Pace {
    pub fn new() -> Self {
        Self { events: FEWEST }
    }

    /// How many of `events` go into the next step.
    pub fn first_of<T>(&self, events: &[T]) -> usize {
        // What is left over would make a small step of its own.
        match events.len() <= self.events + FEWEST / 2 {
            true => events.len(),
            false => self.events,
        }
    }

    /// A step of so many events took that long.
    pub fn took(&mut self, events: usize, time: Duration) {
        if events < FEWEST {
            return;
        }
        let fits = events as f64 * LONGEST.as_secs_f64() / time.as_secs_f64().max(1e-6);
        let fits = fits.clamp(FEWEST as f64, MAX_PAGE as f64) as usize;
        // One slow commit, or a quick one, says little.
        self.events = (self.events + fits) / 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_as_many_events_as_fit_into_its_time() {
        let mut pace = Pace::new();
        for _ in 0..20 {
            let events = pace.first_of(&[(); MAX_PAGE]);
            pace.took(events, Duration::from_micros(100) * events as u32);
        }
        let fits = pace.first_of(&[(); MAX_PAGE]);
        assert!((240..=260).contains(&fits), "{fits} of 100 µs each");
        for _ in 0..20 {
            let events = pace.first_of(&[(); MAX_PAGE]);
            pace.took(events, Duration::from_micros(1) * events as u32);
        }
        assert_eq!(pace.first_of(&[(); MAX_PAGE]), MAX_PAGE);
        assert_eq!(pace.first_of(&[(); 3]), 3);
        for _ in 0..20 {
            pace.took(MAX_PAGE, Duration::from_secs(10));
        }
        assert_eq!(pace.first_of(&[(); MAX_PAGE]), FEWEST);
    }
}
