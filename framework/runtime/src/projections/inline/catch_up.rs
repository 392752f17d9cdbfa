//! How an [`Inline`] projection fills its builds, and lets readers see one.

use tracing::{debug, info};

use super::inline_projection::{Current, Extent, Held, Inline, Standing, is_shown};
use super::transaction::InlineTransaction;
use crate::consumer::{self, BatchError, VersionedControl, lease_keys};
use factum_core::document::{Changes, Revision};
use factum_core::position::Position;

impl Inline {
    /// Takes a page into each build that is wanted, as a part that is undone if it fails.
    pub async fn fill(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        control: VersionedControl,
        extent: Extent,
    ) -> Result<Standing, BatchError> {
        inside.begin_part().await?;
        let filled = self.try_fill(inside, control, extent).await;
        inside.end_part(filled.is_ok()).await?;
        filled
    }

    async fn try_fill(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        mut control: VersionedControl,
        (head, near): Extent,
    ) -> Result<Standing, BatchError> {
        if self.builds(&control.control).next().is_none() {
            let build = control.control.add_build(self.version, 1);
            control.revision = self.keep(inside, &control).await?;
            info!(name = self.name, build, "an inline projection is begun");
        }
        let (_, mut builds) = self.look(inside).await?;
        builds.retain(|held| held.is_wanted(&control.control, near));
        let mut come_to = head;
        for held in &mut builds {
            // Whoever began it may not have made its tables yet.
            if held.checkpoint.position == Position::ZERO {
                inside.prepare(held.build.number).await?;
            }
            let page = self.page(inside, held.checkpoint.position).await?;
            inside.project(held.build.number, &page.events).await?;
            let (next, changes) = held.advance(page.through())?;
            held.revision = inside.change(&changes).await?;
            held.checkpoint = next;
            come_to = come_to.min(page.through());
        }
        if come_to < head {
            debug!(name = self.name, position = %come_to, "an inline projection catches up");
            return Ok(Standing::Behind(come_to));
        }
        self.show_newest(inside, control, &builds).await?;
        Ok(Standing::Current(Current {
            head,
            control: None,
            builds,
        }))
    }

    /// Lets readers see the newest build, if it is full and they do not.
    async fn show_newest(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        mut control: VersionedControl,
        full: &[Held],
    ) -> Result<(), BatchError> {
        if is_shown(&control.control, full) {
            return Ok(());
        }
        let Some(newest) = full.last().map(|held| held.build) else {
            return Ok(());
        };
        if let Some(served) = control.control.active_build().copied() {
            // Whoever works on what readers have seen until now is made to look first.
            let keys = lease_keys(&self.name, served.number, served.partitions);
            let found = inside.find(&keys).await?;
            let ours = |key: &str| full.iter().any(|held| held.key == key);
            let others = found.iter().filter(|document| !ours(&document.key));
            let changes = others.fold(Changes::new(), |changes, document| {
                changes.put_if(&document.key, document.revision, &document.value)
            });
            if !changes.is_empty() {
                inside.change(&changes).await?;
            }
        }
        control.control.promote(&newest);
        self.keep(inside, &control).await?;
        inside.show(newest.number).await?;
        info!(
            name = self.name,
            build = newest.number,
            "readers see another build"
        );
        Ok(())
    }

    async fn keep(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        control: &VersionedControl,
    ) -> Result<Revision, BatchError> {
        let changes = consumer::change(&self.name, control, &control.control)?;
        Ok(inside.change(&changes).await?)
    }
}
