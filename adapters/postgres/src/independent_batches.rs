//! Splitting of waiting appends into batches of independent appends.

use std::collections::HashSet;

use factum_core::append::Append;

use crate::document_conflicts::DocumentConflicts;
use crate::write_request::WriteRequest;

/// Splits `requests` into a batch of independent appends, which includes the first, and the others.
///
/// The database function `append_all` requires that the appends of a batch do not affect each other.
pub fn split_independent(requests: Vec<WriteRequest>) -> (Vec<WriteRequest>, Vec<WriteRequest>) {
    let mut streams = HashSet::new();
    let mut keys = HashSet::new();
    let mut documents = DocumentConflicts::default();
    let mut batch: Vec<&Append> = Vec::with_capacity(requests.len());
    let mut selected = Vec::with_capacity(requests.len());
    for WriteRequest { append, .. } in &requests {
        let key = append.key.as_ref().map(|key| &key.key);
        let mut parts = append.streams.iter().map(|part| &part.stream);
        let independent = parts.all(|stream| !streams.contains(stream))
            && key.is_none_or(|key| !keys.contains(key))
            && documents.allow(&append.changes)
            && batch
                .iter()
                .all(|other| !may_reject(append, other) && !may_reject(other, append));
        if independent {
            streams.extend(append.streams.iter().map(|part| &part.stream));
            keys.extend(key);
            documents.add(&append.changes);
            batch.push(append);
        }
        selected.push(independent);
    }
    let mut selected = selected.into_iter();
    requests
        .into_iter()
        .partition(|_| selected.next().unwrap_or_default())
}

/// Returns whether the append condition of `one` matches an event of `other`.
fn may_reject(one: &Append, other: &Append) -> bool {
    let Some(condition) = &one.condition else {
        return false;
    };
    other.events.iter().any(|event| {
        let (stream, event) = (other.stream_of(event), &event.event);
        let query = &condition.query;
        query.matches_parts(stream, &event.name, &event.tags)
    })
}
