//! What a [`Dispatcher`] tells of how much there is to do.

use std::sync::atomic::Ordering::Relaxed;

use super::dispatcher::Dispatcher;
use super::failed_deliveries;
use crate::metrics::{process_has_due, process_has_parked};

impl Dispatcher {
    /// Tells how much is parked.
    pub async fn tell_parked(&self) {
        let count = async {
            let count = failed_deliveries::waiting(self.documents(), &self.keys).await?;
            self.known.parked.store(count, Relaxed);
            Ok(count)
        };
        process_has_parked(self.logic.name(), count).await;
    }

    /// Tells that one more is, without counting all.
    pub async fn tell_parked_more(&self) {
        let count = self.known.parked.fetch_add(1, Relaxed) + 1;
        process_has_parked(self.logic.name(), async { Ok(count) }).await;
    }

    /// Tells it anew, if something was: whoever lets it be tried again may do so anywhere.
    pub async fn tell_parked_anew(&self) {
        if self.known.parked.load(Relaxed) > 0 {
            self.tell_parked().await;
        }
    }

    /// Tells that others do the work.
    pub async fn tell_nothing(&self) {
        let name = self.logic.name();
        process_has_due(name, 0);
        process_has_parked(name, async { Ok(0) }).await;
    }
}
