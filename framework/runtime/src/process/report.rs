//! [`WorkReport`]: the metrics of pending and failed work of one process manager.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use factum_core::document::DocumentStore;
use factum_engine::process::instance::InstanceKeys;

use super::failed_delivery;
use crate::metrics::{set_failed_deliveries, set_process_due};

/// The metrics of pending and failed work of one process manager.
#[derive(Debug)]
pub struct WorkReport {
    process: &'static str,
    /// The last reported number of failed deliveries.
    failed: AtomicUsize,
}

impl WorkReport {
    /// Creates the report of a process manager.
    pub fn new(process: &'static str) -> Self {
        Self {
            process,
            failed: AtomicUsize::new(0),
        }
    }

    /// Reports the number of instances with work that is due.
    pub fn report_due(&self, instances: usize) {
        set_process_due(self.process, instances);
    }

    /// Counts and reports the failed deliveries.
    pub async fn report_failed(&self, documents: &dyn DocumentStore, keys: &InstanceKeys) {
        let count = async {
            let count = failed_delivery::count_waiting(documents, keys).await?;
            self.failed.store(count, Relaxed);
            Ok(count)
        };
        set_failed_deliveries(self.process, count).await;
    }

    /// Reports one more failed delivery without counting all.
    pub async fn report_one_more_failed(&self) {
        let count = self.failed.fetch_add(1, Relaxed) + 1;
        set_failed_deliveries(self.process, async { Ok(count) }).await;
    }

    /// Counts and reports the failed deliveries again, unless the last count was zero.
    ///
    /// Another node may have retried them.
    pub async fn refresh_failed(&self, documents: &dyn DocumentStore, keys: &InstanceKeys) {
        if self.failed.load(Relaxed) > 0 {
            self.report_failed(documents, keys).await;
        }
    }

    /// Reports that another node does the work.
    pub async fn report_none(&self) {
        set_process_due(self.process, 0);
        set_failed_deliveries(self.process, async { Ok(0) }).await;
    }
}
