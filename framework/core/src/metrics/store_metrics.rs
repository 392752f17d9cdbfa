//! [`StoreMetrics`]: the metrics of appends, batches and pages that a store records.

use super::stopwatch::Stopwatch;
#[cfg(feature = "metrics")]
use super::store_recorder::StoreRecorder;
use crate::append::{AppendError, Appended};
use crate::read::Page;

/// The recorder of the metrics of a store.
///
/// An adapter creates one when it opens the store. It records a result before it returns it, so that a caller that has
/// the result finds it in the metrics.
#[derive(Debug, Clone)]
pub struct StoreMetrics(#[cfg(feature = "metrics")] std::sync::Arc<StoreRecorder>);

impl StoreMetrics {
    /// Creates the recorder of a store of the kind `name`, for example `sqlite`.
    ///
    /// `name` is the value of the label `store`.
    #[must_use]
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    pub fn new(name: &'static str) -> Self {
        Self(
            #[cfg(feature = "metrics")]
            std::sync::Arc::new(StoreRecorder::new(name)),
        )
    }

    /// Records a durable commit that began at `started`, with the results of its appends.
    #[inline]
    #[cfg_attr(
        not(feature = "metrics"),
        allow(unused_variables, clippy::needless_pass_by_value)
    )]
    pub fn record_commit<'a>(
        &self,
        results: impl IntoIterator<Item = &'a Result<Appended, AppendError>>,
        started: Stopwatch,
    ) {
        #[cfg(feature = "metrics")]
        self.0.record_commit(results, started);
    }

    /// Records the results of appends that were not a part of a commit.
    #[inline]
    #[cfg_attr(
        not(feature = "metrics"),
        allow(unused_variables, clippy::needless_pass_by_value)
    )]
    pub fn record_results<'a>(
        &self,
        results: impl IntoIterator<Item = &'a Result<Appended, AppendError>>,
    ) {
        #[cfg(feature = "metrics")]
        self.0.record_results(results);
    }

    /// Records that a batch of `appends` appends failed.
    #[inline]
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    pub fn record_failures(&self, appends: usize) {
        #[cfg(feature = "metrics")]
        self.0.record_failures(appends);
    }

    /// Records that a page was read.
    #[inline]
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
    pub fn record_page(&self, page: &Page) {
        #[cfg(feature = "metrics")]
        self.0.record_page(page);
    }
}

#[cfg(all(test, not(feature = "metrics")))]
mod tests {
    use super::{Stopwatch, StoreMetrics};

    #[test]
    fn disabled_metrics_have_no_size() {
        assert_eq!((size_of::<Stopwatch>(), size_of::<StoreMetrics>()), (0, 0));
    }
}
