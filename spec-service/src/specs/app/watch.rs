//! [`ChangeStream`]: the live changes of all specifications.

use std::collections::{HashMap, VecDeque};

use factum::engine::{LoadError, Subscription};
use factum::event::EventSet as _;
use factum::store::{Query, RecordedEvent};
use factum::{Engine, Position};

use super::Change;
use crate::access::domain::TenantId;
use crate::app::AppError;
use crate::specs::domain::{Spec, SpecEvent, SpecId, SpecRejection};

/// The approximate maximum size of the contents that a stream buffers, in bytes.
///
/// The subscription reads one page ahead, so a stream holds up to two pages.
const MAX_BUFFER: usize = 128 * 1024;

/// The maximum number of specifications whose tenant a stream remembers.
const MAX_TENANTS: usize = 10_000;

/// The maximum number of changes in a page.
const MAX_PAGE: usize = 64;

/// A stream of the changes of all specifications of a tenant in order.
///
/// It returns first the stored changes, then new ones.
pub struct ChangeStream {
    engine: Engine,
    tenant: TenantId,
    subscription: Subscription,
    buffer: VecDeque<RecordedEvent>,
    /// The tenants of specifications that changed lately.
    tenants: HashMap<SpecId, TenantId>,
}

impl ChangeStream {
    /// Creates a stream for contents of at most `max_content` bytes.
    pub(super) fn new(
        engine: Engine,
        tenant: TenantId,
        from: Position,
        max_content: usize,
    ) -> Self {
        let after = Position::new(from.get().saturating_sub(1));
        let query = Query::event_types(SpecEvent::names());
        let page_size = (MAX_BUFFER / max_content.max(1)).clamp(1, MAX_PAGE);
        let subscription = engine.subscribe(query, after).page_size(page_size);
        Self {
            engine,
            tenant,
            subscription,
            buffer: VecDeque::new(),
            tenants: HashMap::new(),
        }
    }

    /// Waits for the next change.
    ///
    /// This method is cancel safe: dropping the future loses no change.
    ///
    /// # Errors
    /// Returns [`AppError::BeyondHead`] if the log ends before the position, for example after a restore from a backup.
    /// Returns [`AppError::Unavailable`] after the store was closed, or another error of the store. Call the method
    /// again to continue after an error.
    pub async fn next(&mut self) -> Result<Change, AppError> {
        loop {
            // Removed only after the last wait, so that a dropped future loses no change.
            while let Some(record) = self.buffer.front() {
                let change = change(record.clone())?;
                let is_visible = self.tenant_of(&change).await? == self.tenant;
                self.buffer.pop_front();
                if is_visible {
                    return Ok(change);
                }
            }
            self.buffer
                .extend(self.subscription.next_page().await?.events);
        }
    }

    /// Returns the tenant of the changed specification, which never changes.
    async fn tenant_of(&mut self, change: &Change) -> Result<TenantId, AppError> {
        if let Some(tenant) = self.tenants.get(&change.id) {
            return Ok(tenant.clone());
        }
        let tenant = match &change.event.event {
            SpecEvent::Created { path, .. } => path.tenant.clone(),
            _ => {
                let spec = self.engine.load::<Spec>(&change.id).await?;
                let life = spec.life().ok_or(SpecRejection::NotFound)?;
                life.tenant.clone()
            }
        };
        if self.tenants.len() >= MAX_TENANTS {
            self.tenants.clear();
        }
        self.tenants.insert(change.id, tenant.clone());
        Ok(tenant)
    }
}

fn change(record: RecordedEvent) -> Result<Change, AppError> {
    let id: SpecId = record.stream.key().parse().map_err(|_| {
        AppError::Internal(
            format!("invalid stream id: {}; expected spec-UUID", record.stream).into(),
        )
    })?;
    let event = record.try_into().map_err(LoadError::Decode)?;
    Ok(Change { id, event })
}
