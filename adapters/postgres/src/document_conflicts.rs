//! [`DocumentConflicts`]: the check whether the document changes of appends are independent.

use std::collections::HashMap;

use factum_core::document::{DocumentChanges, DocumentEffect};

/// The documents that the appends of one transaction use.
///
/// The value says whether all uses are read-only, that is, only require a revision.
#[derive(Default)]
pub struct DocumentConflicts<'a>(HashMap<&'a str, bool>);

impl<'a> DocumentConflicts<'a> {
    /// Returns whether `changes` may join: a document that one append changes is not used by another.
    pub fn allow(&self, changes: &DocumentChanges) -> bool {
        changes.as_slice().iter().all(|change| {
            let read_only = self.0.get(change.key.as_str());
            read_only.is_none_or(|read_only| *read_only && change.effect == DocumentEffect::Keep)
        })
    }

    pub fn add(&mut self, changes: &'a DocumentChanges) {
        let changes = changes.as_slice().iter();
        let uses =
            changes.map(|change| (change.key.as_str(), change.effect == DocumentEffect::Keep));
        self.0.extend(uses);
    }
}
