//! [`StoreRecorder`]: the calls of the `metrics` facade for a store.

use metrics::{Key, Label, with_recorder};

use super::definitions::{
    APPENDS, BATCH_APPENDS, BATCH_DURATION, BATCH_EVENTS, EVENTS_READ, EVENTS_STORED, Metric,
    PAGES_READ, RECORDER_METADATA,
};
use super::stopwatch::Stopwatch;
use crate::append::{AppendError, Appended};
use crate::read::Page;

const OUTCOMES: [&str; 4] = ["stored", "repeated", "conflict", "failed"];
const FAILED: usize = 3;

/// The keys of the metrics of a store, created once.
#[derive(Debug)]
pub struct StoreRecorder {
    appends: [Key; 4],
    events_stored: Key,
    batch_appends: Key,
    batch_events: Key,
    batch_duration: Key,
    pages_read: Key,
    events_read: Key,
}

impl StoreRecorder {
    pub fn new(store: &'static str) -> Self {
        let store = Label::from_static_parts("store", store);
        let key = |metric: Metric| Key::from_parts(metric.name, vec![store.clone()]);
        let label = |outcome| Label::from_static_parts("outcome", outcome);
        Self {
            appends: OUTCOMES.map(|outcome| key(APPENDS).with_extra_labels(vec![label(outcome)])),
            events_stored: key(EVENTS_STORED),
            batch_appends: key(BATCH_APPENDS),
            batch_events: key(BATCH_EVENTS),
            batch_duration: key(BATCH_DURATION),
            pages_read: key(PAGES_READ),
            events_read: key(EVENTS_READ),
        }
    }

    pub fn record_commit<'a>(
        &self,
        results: impl IntoIterator<Item = &'a Result<Appended, AppendError>>,
        started: Stopwatch,
    ) {
        let (appends, events) = self.record_results(results);
        if appends == 0 {
            return;
        }
        with_recorder(|recorder| {
            let record = |key, value| {
                recorder
                    .register_histogram(key, &RECORDER_METADATA)
                    .record(value);
            };
            record(&self.batch_appends, appends as f64);
            record(&self.batch_events, events as f64);
            record(&self.batch_duration, started.seconds());
        });
    }

    /// Returns the number of appends and the number of stored events.
    pub fn record_results<'a>(
        &self,
        results: impl IntoIterator<Item = &'a Result<Appended, AppendError>>,
    ) -> (u64, u64) {
        let mut outcomes = [0; OUTCOMES.len()];
        let mut events = 0;
        for result in results {
            let outcome = match result {
                Ok(appended) if !appended.repeated => {
                    events += appended.count;
                    0
                }
                Ok(_) => 1,
                Err(AppendError::Conflict(_)) => 2,
                Err(_) => FAILED,
            };
            outcomes[outcome] += 1;
        }
        for (key, appends) in self.appends.iter().zip(outcomes) {
            increment(key, appends);
        }
        increment(&self.events_stored, events);
        (outcomes.iter().sum(), events)
    }

    pub fn record_failures(&self, appends: usize) {
        increment(&self.appends[FAILED], appends as u64);
    }

    pub fn record_page(&self, page: &Page) {
        increment(&self.pages_read, 1);
        increment(&self.events_read, page.events.len() as u64);
    }
}

fn increment(key: &Key, by: u64) {
    if by > 0 {
        with_recorder(|recorder| {
            recorder
                .register_counter(key, &RECORDER_METADATA)
                .increment(by);
        });
    }
}
