//! [`PendingDelivery`]: work of a process instance that is due now or later.

use factum_core::document::{DocumentStore, Scan};
use factum_core::error::StoreError;
use factum_core::timestamp::Timestamp;
use factum_engine::process::instance::{DueEntry, InstanceKeys};
use serde::Serialize;

use super::documents::find_instance;
use super::failed_delivery::DeliveryWork;

/// Work of a process manager, a schedule or a deadline that is due now or later.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PendingDelivery {
    /// The id of the process instance, or the name of the schedule.
    ///
    /// For a deadline of a decision, it is the stream, a `/` and the name of the deadline.
    pub instance: String,
    /// The due time.
    pub due: Timestamp,
    /// The work.
    #[serde(flatten)]
    pub work: DeliveryWork,
}

/// Returns the next work of at most `limit` instances, soonest first.
pub async fn list(
    documents: &dyn DocumentStore,
    keys: &InstanceKeys,
    limit: usize,
) -> Result<Vec<PendingDelivery>, StoreError> {
    let (mut found, mut scan) = (Vec::new(), Scan::prefix(keys.due_index()));
    loop {
        let page = documents.scan_documents(scan.clone()).await?;
        for document in &page {
            if found.len() >= limit {
                return Ok(found);
            }
            let entry: DueEntry = document.decode()?;
            let instance = find_instance(documents, keys, &entry.id).await?;
            let work = instance.and_then(|(_, instance)| instance.next_work());
            // An entry of a deadline that was moved or cancelled is obsolete.
            if let Some((due, work)) = work
                && keys.due_time(&document.key) == Some(due)
            {
                found.push(PendingDelivery {
                    instance: entry.id,
                    due,
                    work: work.into(),
                });
            }
        }
        match scan.next(&page) {
            Some(next) => scan = next,
            None => return Ok(found),
        }
    }
}
