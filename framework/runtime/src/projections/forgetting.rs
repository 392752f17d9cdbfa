//! What read models still hold of a subject that was forgotten.

use std::collections::BTreeSet;

use futures_util::future::join_all;

#[cfg(doc)]
use super::ProjectionsBuilder;
use super::{ProjectionError, Projections};

impl Projections {
    /// [Rebuilds](Self::rebuild) every projection here that takes events of one of these stored names, and orders the builds
    /// of before to be dropped: once this returns, readers of these see nothing any more that was read of a
    /// forgotten subject, and a [lease](ProjectionsBuilder::lease) later the tables of before are gone,
    /// too. Gives back which these are. Every rebuild is ordered before any is waited for, and goes on if the future is
    /// dropped; one that is paused is waited for until it is resumed.
    ///
    /// # Errors
    /// [`ProjectionError`] of the first that stops, or if the store fails; the others are rebuilt all the same. Done again
    /// it does no harm.
    pub async fn forget(
        &self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Vec<String>, ProjectionError> {
        let names: BTreeSet<String> = names
            .into_iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        let models = self.running.iter().map(|running| &running.shared.model);
        let takes = models.filter(|model| model.query().may_match_event_types(&names));
        let taking: Vec<_> = takes.map(|model| model.name().to_owned()).collect();
        let each = taking.iter().map(|name| async move {
            self.rebuild(name).await?;
            self.prune_builds(name).await
        });
        let done = join_all(each).await;
        done.into_iter().collect::<Result<(), _>>()?;
        Ok(taking)
    }
}
