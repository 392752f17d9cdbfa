//! [`DeferredCheckpoint`]: many pages without events of a partition become one change of its checkpoint.

use factum_core::read::Page;
use tokio::time::Instant;

use super::context::{ConsumerContext, FAST_POLL};

/// The newest page without events of the partition whose checkpoint was not stored yet.
///
/// Each stored checkpoint is a write that competes with appends.
#[derive(Default)]
pub struct DeferredCheckpoint(Option<(Page, Instant)>);

impl DeferredCheckpoint {
    /// Returns whether a checkpoint is deferred.
    pub fn is_pending(&self) -> bool {
        self.0.is_some()
    }

    /// Discards the deferred checkpoint: the events after the stored one are read again.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Returns the deferred page.
    pub fn take(&mut self) -> Option<Page> {
        self.0.take().map(|(page, _)| page)
    }

    /// Defers `page`, or returns it if it must be processed now.
    ///
    /// A page must be processed now if it has events of the partition (`has_events`). The same applies if a caller
    /// waits, or if the last stored checkpoint is too old.
    pub fn defer(
        &mut self,
        page: Page,
        has_events: bool,
        context: &ConsumerContext,
    ) -> Option<Page> {
        let since = self.0.take().map_or_else(Instant::now, |(_, since)| since);
        if has_events || since.elapsed() >= FAST_POLL || context.waiters.any() {
            return Some(page);
        }
        self.0 = Some((page, since));
        None
    }

    /// Waits until the deferred checkpoint must be stored. Cancel safe.
    pub async fn due(&self, context: &ConsumerContext) {
        let Some((_, since)) = &self.0 else {
            return std::future::pending().await;
        };
        let arrived = context.waiters.arrived();
        tokio::pin!(arrived);
        // From here on, the notification is not missed.
        arrived.as_mut().enable();
        if context.waiters.any() {
            return;
        }
        tokio::select! {
            () = arrived => {}
            () = tokio::time::sleep_until(*since + FAST_POLL) => {}
        }
    }
}
