//! [`ChangeLog`]: the complete history of all specifications, up to the head of the log.

use std::collections::HashMap;

use factum::Position;
use factum::engine::LoadError;
use factum::event::EventSet as _;
use factum::store::{Query, Read};

use crate::access::domain::TenantId;
use crate::app::{AppError, Application};
use crate::specs::app::Change;
use crate::specs::domain::{Spec, SpecEvent, SpecId, SpecRejection};

/// The maximum number of specifications whose tenant a log remembers.
const MAX_TENANTS: usize = 10_000;

/// The number of changes in a page.
const PAGE: usize = 100;

/// The changes of all specifications of a tenant, in the order of the log.
///
/// It ends at the head of the log at the time of its creation.
pub struct ChangeLog {
    app: Application,
    tenant: TenantId,
    /// The tenants of specifications that changed lately.
    tenants: HashMap<SpecId, TenantId>,
    after: Position,
    until: Position,
    has_more: bool,
}

impl ChangeLog {
    /// Creates a log of the changes after the position `after`.
    pub(super) async fn new(
        app: Application,
        tenant: TenantId,
        after: Position,
    ) -> Result<Self, AppError> {
        let head = app.engine().head().await?;
        if after > head {
            let position = after;
            return Err(AppError::BeyondHead { position, head });
        }
        Ok(Self {
            app,
            tenant,
            tenants: HashMap::new(),
            after,
            until: head,
            has_more: true,
        })
    }

    /// Returns the next changes; `None` after the last ones.
    ///
    /// # Errors
    /// Returns an error of the store, or if a change cannot be decoded.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Change>>, AppError> {
        if !self.has_more {
            return Ok(None);
        }
        let read = Read::all(Query::event_types(SpecEvent::names()));
        let read = read.after(self.after.get()).limit(PAGE);
        let page = self.app.engine().store().read(read).await?;
        self.has_more = page.more;
        let mut changes = Vec::with_capacity(page.events.len());
        for record in page.events {
            if record.position > self.until {
                self.has_more = false;
                break;
            }
            self.after = record.position;
            let id = record.stream.key().parse::<SpecId>();
            let id = id.map_err(|_| AppError::Internal("invalid id of a stream".into()))?;
            let event = record.try_into().map_err(LoadError::Decode)?;
            let change = Change { id, event };
            if self.tenant_of(&change).await? == self.tenant {
                changes.push(change);
            }
        }
        Ok(Some(changes))
    }

    /// Returns the tenant of the changed specification, which never changes.
    async fn tenant_of(&mut self, change: &Change) -> Result<TenantId, AppError> {
        if let Some(tenant) = self.tenants.get(&change.id) {
            return Ok(tenant.clone());
        }
        let tenant = match &change.event.event {
            SpecEvent::Created { path, .. } => path.tenant.clone(),
            _ => {
                let spec = self.app.engine().load::<Spec>(&change.id).await?;
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
