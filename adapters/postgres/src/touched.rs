//! [`Touched`]: which appends may share a transaction, by the documents that they change.

use std::collections::HashMap;

use factum::document::{Changes, Effect};

/// The documents that appends of one transaction touch, and whether it is only required where they are.
#[derive(Default)]
pub(crate) struct Touched<'a>(HashMap<&'a str, bool>);

impl<'a> Touched<'a> {
    /// Whether `changes` may join them: what one changes, no other touches.
    pub(crate) fn allow(&self, changes: &Changes) -> bool {
        changes.as_slice().iter().all(|change| {
            let kept = self.0.get(change.key.as_str());
            kept.is_none_or(|kept| *kept && change.effect == Effect::Keep)
        })
    }

    pub(crate) fn take(&mut self, changes: &'a Changes) {
        let changes = changes.as_slice().iter();
        let kept = changes.map(|change| (change.key.as_str(), change.effect == Effect::Keep));
        self.0.extend(kept);
    }
}
