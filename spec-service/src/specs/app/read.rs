//! The read functions of one specification: a version of its content, its versions and its history, in pages.

use factum::Recorded;

use super::view::{Change, SpecVersion, SpecView, actor};
use super::{HistoryCursor, Specs, VersionCursor};
use crate::app::{AppError, AsOf, Cursor, ItemPage, PageQuery, RequestContext};
use crate::specs::domain::{Life, Spec, SpecEvent, SpecId, SpecRejection};

/// The size of the contents after which a page ends, in bytes.
const MAX_PAGE_BYTES: usize = 1 << 20;

impl Specs {
    /// Returns a specification with one version of its content, also if it is deleted.
    ///
    /// Without `version`, the content is the published version, or the latest if none was published.
    ///
    /// # Errors
    /// Returns [`SpecRejection::NotFound`], [`SpecRejection::NoSuchVersion`], or an error of the store.
    pub async fn get(
        &self,
        id: SpecId,
        version: Option<u64>,
        context: &RequestContext,
    ) -> Result<SpecView, AppError> {
        let life = self.life(id, context).await?;
        let version = version.or(life.published).unwrap_or(life.latest());
        let added = revision_of(&life, version)?;
        let (created, shown, updated) = tokio::try_join!(
            self.event_at(id, 1),
            self.event_at(id, added),
            self.event_at(id, life.state_revision.max(added)),
        )?;
        let shown = SpecVersion::of(version, shown);
        let shown = shown.ok_or_else(|| no_version(id, version))?;
        Ok(SpecView {
            id,
            description: shown.description,
            content: shown.content,
            version,
            latest_version: life.latest(),
            published_version: life.published,
            state: life.state,
            created_at: created.record.recorded_at,
            created_by: actor(&created.record),
            updated_at: updated.record.recorded_at,
            updated_by: actor(&updated.record),
            revision: life.revision,
            namespace: life.namespace,
            name: life.name,
        })
    }

    /// Returns a page of the versions of the content, version 1 first.
    ///
    /// A page ends early if its contents exceed 1 MiB.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`], [`SpecRejection::NotFound`], or an error of the store.
    pub async fn versions(
        &self,
        id: SpecId,
        query: PageQuery<VersionCursor>,
        context: &RequestContext,
    ) -> Result<ItemPage<SpecVersion, VersionCursor>, AppError> {
        query.check()?;
        let life = self.life(id, context).await?;
        let mut version = query.after.map_or(0, |cursor| cursor.0);
        let Some(first) = life.revision_of(version.saturating_add(1)) else {
            let (items, next) = (Vec::new(), None);
            return Ok(ItemPage { items, next });
        };
        let select = |event| {
            let added = SpecVersion::of(version + 1, event)?;
            version += 1;
            Some(added)
        };
        let (items, _) = self
            .read_page(id, first - 1, life.revision, query.limit, select)
            .await?;
        let next = (version < life.latest()).then_some(Cursor(version));
        Ok(ItemPage { items, next })
    }

    /// Returns one version of the content.
    ///
    /// # Errors
    /// Returns [`SpecRejection::NotFound`], [`SpecRejection::NoSuchVersion`], or an error of the store.
    pub async fn version(
        &self,
        id: SpecId,
        version: u64,
        context: &RequestContext,
    ) -> Result<SpecVersion, AppError> {
        let life = self.life(id, context).await?;
        let event = self.event_at(id, revision_of(&life, version)?).await?;
        SpecVersion::of(version, event).ok_or_else(|| no_version(id, version))
    }

    /// Returns a page of the changes of the specification, oldest first.
    ///
    /// A page ends early if its contents exceed 1 MiB.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`], [`SpecRejection::NotFound`], or an error of the store.
    pub async fn history(
        &self,
        id: SpecId,
        query: PageQuery<HistoryCursor>,
        context: &RequestContext,
    ) -> Result<ItemPage<Change, HistoryCursor>, AppError> {
        query.check()?;
        let until = self.life(id, context).await?.revision;
        let after = query.after.map_or(0, |cursor| cursor.0);
        let select = |event| Some(Change { id, event });
        let (items, last) = self
            .read_page(id, after, until, query.limit, select)
            .await?;
        let next = (last < until).then_some(Cursor(last));
        Ok(ItemPage { items, next })
    }

    /// Returns the state of a specification of the tenant, at the point in time of this handle.
    pub(super) async fn life(
        &self,
        id: SpecId,
        context: &RequestContext,
    ) -> Result<Life, AppError> {
        let load = self.app.engine().load::<Spec>(&id);
        let spec = match self.as_of {
            AsOf::Now => load.await?,
            AsOf::Time(time) => load.at_time(time).await?,
            AsOf::Position(position) => load.at_position(position).await?,
        };
        let life = spec.life().filter(|life| life.tenant == *context.tenant());
        Ok(life.ok_or(SpecRejection::NotFound)?.clone())
    }

    /// Returns the event that created `revision`, which must exist.
    async fn event_at(&self, id: SpecId, revision: u64) -> Result<Recorded<SpecEvent>, AppError> {
        let events = self
            .app
            .engine()
            .history::<Spec>(&id)
            .after(revision - 1)
            .limit(1);
        let event = events.await?.into_iter().next();
        event.ok_or_else(|| {
            let missing = format!("missing event: version {revision} of specification {id}");
            AppError::Internal(missing.into())
        })
    }

    /// Reads the events after the revision `after`, up to `until`, and returns the selected ones.
    ///
    /// Also returns the revision of the last event that was read.
    async fn read_page<T>(
        &self,
        id: SpecId,
        after: u64,
        until: u64,
        limit: usize,
        mut select: impl FnMut(Recorded<SpecEvent>) -> Option<T>,
    ) -> Result<(Vec<T>, u64), AppError> {
        let chunk = (MAX_PAGE_BYTES / self.max_content.max(1)).max(1);
        let (mut items, mut last, mut bytes) = (Vec::new(), after, 0);
        while last < until && items.len() < limit && bytes < MAX_PAGE_BYTES {
            let left = usize::try_from(until - last).unwrap_or(usize::MAX);
            let size = (limit - items.len()).min(chunk).min(left);
            let events = self
                .app
                .engine()
                .history::<Spec>(&id)
                .after(last)
                .limit(size);
            let events = events.await?;
            if events.is_empty() {
                break;
            }
            for event in events {
                if bytes >= MAX_PAGE_BYTES {
                    break;
                }
                last = event.record.version.get();
                bytes += event.record.data.len();
                items.extend(select(event));
            }
        }
        Ok((items, last))
    }
}

/// Returns the revision that added `version`.
fn revision_of(life: &Life, version: u64) -> Result<u64, SpecRejection> {
    let latest = life.latest();
    life.revision_of(version)
        .ok_or(SpecRejection::NoSuchVersion {
            requested: version,
            latest,
        })
}

/// Creates the error for an event that should have added a version.
fn no_version(id: SpecId, version: u64) -> AppError {
    AppError::Internal(format!("missing content: version {version} of specification {id}").into())
}
