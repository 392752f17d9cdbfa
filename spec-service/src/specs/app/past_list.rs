//! The list of specifications at a point in time, from the log.

use factum::Position;
use factum::store::{Query, Read};
use futures_util::stream::{self, StreamExt as _};

use super::{ListCursor, ListQuery, SpecSummary, SpecView, Specs};
use crate::access::domain::TenantId;
use crate::app::{AppError, AsOf, Cursor, RequestContext, check_limit};
use crate::specs::domain::{SpecId, SpecRejection};

/// The number of specifications that a page examines.
const MAX_EXAMINED: usize = 1_000;

/// The number of creations that are read at once.
const CREATIONS: usize = 100;

/// The number of specifications that are loaded at the same time.
const CONCURRENT_LOADS: usize = 16;

/// A page of the specifications at a point in time.
#[derive(Debug, Clone, PartialEq)]
pub struct PastListPage {
    /// The specifications of this page. There can be fewer than the limit.
    pub specs: Vec<SpecSummary>,
    /// The cursor of the next page. `None` means that this is the last page.
    pub next: Option<ListCursor>,
}

impl Specs {
    /// Returns a page of the specifications of the tenant as they were at `as_of`.
    ///
    /// They are in the order of their creation.
    ///
    /// The page is read from the log: the creations, and the state of each specification at that time. It examines at
    /// most 1,000 specifications, so it can have fewer than the limit, even none, and a next page.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`], [`AppError::BeyondHead`] if the log does not have the position, or an error
    /// of the store.
    pub async fn list_as_of(
        &self,
        as_of: AsOf,
        query: ListQuery,
        context: &RequestContext,
    ) -> Result<PastListPage, AppError> {
        check_limit(query.limit)?;
        let head = self.app.engine().head().await?;
        let until = match as_of {
            AsOf::Position(position) if position > head => {
                return Err(AppError::BeyondHead { position, head });
            }
            AsOf::Position(position) => position,
            AsOf::Now | AsOf::Time(_) => head,
        };
        let past = self.as_of(as_of);
        let (mut specs, mut examined) = (Vec::new(), 0);
        let mut after = query
            .after
            .map_or(Position::ZERO, |cursor| Position::new(cursor.0));
        loop {
            let (creations, more) = self.creations(after, until).await?;
            let views = stream::iter(creations).map(|(position, id)| {
                let past = &past;
                async move { (position, past.get(id, None, context).await) }
            });
            let mut views = views.buffered(CONCURRENT_LOADS);
            while let Some((position, view)) = views.next().await {
                after = position;
                examined += 1;
                match view {
                    Ok(view) => {
                        let spec = summary(view, context.tenant());
                        specs.extend(
                            Some(spec).filter(|spec| query.selects(context.tenant(), spec)),
                        );
                    }
                    Err(error) if did_not_exist(&error) => {}
                    Err(error) => return Err(error),
                }
                if specs.len() == query.limit || examined == MAX_EXAMINED {
                    let next = Some(Cursor(after.get()));
                    return Ok(PastListPage { specs, next });
                }
            }
            if !more {
                return Ok(PastListPage { specs, next: None });
            }
        }
    }

    /// Returns the creations after `after` up to `until`, and whether there can be more.
    async fn creations(
        &self,
        after: Position,
        until: Position,
    ) -> Result<(Vec<(Position, SpecId)>, bool), AppError> {
        let read = Read::all(Query::event_types(["spec.created"]));
        let read = read.after(after.get()).limit(CREATIONS);
        let page = self.app.engine().store().read(read).await?;
        let mut creations = Vec::with_capacity(page.events.len());
        for event in page.events {
            if event.position > until {
                return Ok((creations, false));
            }
            let id = event.stream.key().parse();
            let id = id.map_err(|_| AppError::Internal("invalid id of a stream".into()))?;
            creations.push((event.position, id));
        }
        Ok((creations, page.more))
    }
}

/// Returns whether the specification was created later.
fn did_not_exist(error: &AppError) -> bool {
    matches!(error.refusal(), Some(SpecRejection::NotFound))
}

fn summary(view: SpecView, tenant: &TenantId) -> SpecSummary {
    SpecSummary {
        id: view.id,
        tenant: tenant.clone(),
        namespace: view.namespace,
        name: view.name,
        description: view.description,
        state: view.state,
        latest_version: view.latest_version,
        published_version: view.published_version,
        created_at: view.created_at,
        created_by: view.created_by,
        updated_at: view.updated_at,
        updated_by: view.updated_by,
        revision: view.revision,
    }
}
