//! What an adapter tells of appends, batches and pages.

use crate::append::{AppendError, Appended};
use crate::read::Page;

/// When something began; knows nothing, and costs nothing, without the feature `metrics`.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(#[cfg(feature = "metrics")] std::time::Instant);

impl Stopwatch {
    /// Now.
    #[inline]
    #[must_use]
    pub fn start() -> Self {
        Self(
            #[cfg(feature = "metrics")]
            std::time::Instant::now(),
        )
    }

    #[cfg(feature = "metrics")]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Tells what a store does. An adapter makes one when it opens, and tells before it answers: who has an answer finds
/// it counted.
#[derive(Debug, Clone)]
pub struct StoreMetrics(#[cfg(feature = "metrics")] std::sync::Arc<told::Keys>);

impl StoreMetrics {
    /// For a store of the kind `name`: `sqlite`, `postgres`; the value of the label `store`.
    #[must_use]
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    pub fn new(name: &'static str) -> Self {
        Self(
            #[cfg(feature = "metrics")]
            std::sync::Arc::new(told::Keys::new(name)),
        )
    }

    /// A commit that began at `began` is durable; `answers` are those of the appends that were judged in it.
    #[inline]
    #[cfg_attr(
        not(feature = "metrics"),
        allow(unused_variables, clippy::needless_pass_by_value)
    )]
    pub fn committed<'a>(
        &self,
        answers: impl IntoIterator<Item = &'a Result<Appended, AppendError>>,
        began: Stopwatch,
    ) {
        #[cfg(feature = "metrics")]
        self.0.committed(answers, began);
    }

    /// Appends were answered outside of any batch.
    #[inline]
    #[cfg_attr(
        not(feature = "metrics"),
        allow(unused_variables, clippy::needless_pass_by_value)
    )]
    pub fn answered<'a>(
        &self,
        answers: impl IntoIterator<Item = &'a Result<Appended, AppendError>>,
    ) {
        #[cfg(feature = "metrics")]
        self.0.answered(answers);
    }

    /// As many appends failed as `appends` says, with their batch.
    #[inline]
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    pub fn failed(&self, appends: usize) {
        #[cfg(feature = "metrics")]
        self.0.failed(appends);
    }

    /// A page was read.
    #[inline]
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    pub fn read(&self, page: &Page) {
        #[cfg(feature = "metrics")]
        self.0.read(page);
    }
}

#[cfg(feature = "metrics")]
mod told {
    use metrics::{Key, Label, with_recorder};

    use super::super::{
        APPENDS, BATCH_APPENDS, BATCH_DURATION, BATCH_EVENTS, EVENTS_READ, EVENTS_STORED, Metric,
        PAGES_READ, RECORDER_METADATA,
    };
    use super::Stopwatch;
    use crate::append::{AppendError, Appended};
    use crate::read::Page;

    const OUTCOMES: [&str; 4] = ["stored", "repeated", "conflict", "failed"];
    const FAILED: usize = 3;

    /// The keys, made once.
    #[derive(Debug)]
    pub struct Keys {
        appends: [Key; 4],
        events_stored: Key,
        batch_appends: Key,
        batch_events: Key,
        batch_duration: Key,
        pages_read: Key,
        events_read: Key,
    }

    impl Keys {
        pub fn new(store: &'static str) -> Self {
            let store = Label::from_static_parts("store", store);
            let key = |metric: Metric| Key::from_parts(metric.name, vec![store.clone()]);
            let of = |outcome| Label::from_static_parts("outcome", outcome);
            Self {
                appends: OUTCOMES.map(|outcome| key(APPENDS).with_extra_labels(vec![of(outcome)])),
                events_stored: key(EVENTS_STORED),
                batch_appends: key(BATCH_APPENDS),
                batch_events: key(BATCH_EVENTS),
                batch_duration: key(BATCH_DURATION),
                pages_read: key(PAGES_READ),
                events_read: key(EVENTS_READ),
            }
        }

        pub fn committed<'a>(
            &self,
            answers: impl IntoIterator<Item = &'a Result<Appended, AppendError>>,
            began: Stopwatch,
        ) {
            let (appends, events) = self.answered(answers);
            if appends == 0 {
                return;
            }
            with_recorder(|recorder| {
                let record = |key, value| {
                    recorder
                        .register_histogram(key, &RECORDER_METADATA)
                        .record(value)
                };
                record(&self.batch_appends, appends as f64);
                record(&self.batch_events, events as f64);
                record(&self.batch_duration, began.seconds());
            });
        }

        /// How many appends there were, and how many events were stored.
        pub fn answered<'a>(
            &self,
            answers: impl IntoIterator<Item = &'a Result<Appended, AppendError>>,
        ) -> (u64, u64) {
            let mut outcomes = [0; OUTCOMES.len()];
            let mut events = 0;
            for answer in answers {
                let outcome = match answer {
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
                add(key, appends);
            }
            add(&self.events_stored, events);
            (outcomes.iter().sum(), events)
        }

        pub fn failed(&self, appends: usize) {
            add(&self.appends[FAILED], appends as u64);
        }

        pub fn read(&self, page: &Page) {
            add(&self.pages_read, 1);
            add(&self.events_read, page.events.len() as u64);
        }
    }

    fn add(key: &Key, more: u64) {
        if more > 0 {
            with_recorder(|recorder| {
                recorder
                    .register_counter(key, &RECORDER_METADATA)
                    .increment(more)
            });
        }
    }
}

#[cfg(all(test, not(feature = "metrics")))]
mod tests {
    use super::{Stopwatch, StoreMetrics};

    #[test]
    fn what_tells_nothing_has_no_size() {
        assert_eq!((size_of::<Stopwatch>(), size_of::<StoreMetrics>()), (0, 0));
    }
}
