//! Rounds: appends that are waiting, sorted into such as cannot get into each other's way.

use std::collections::HashSet;

use factum::Append;

use crate::job::Waiting;
use crate::touched::Touched;

/// Those that cannot get into each other's way, the first among them, and the others: see `append_all`.
pub(crate) fn apart(jobs: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    let mut streams = HashSet::new();
    let mut keys = HashSet::new();
    let mut documents = Touched::default();
    let mut taken: Vec<&Append> = Vec::with_capacity(jobs.len());
    let mut fits = Vec::with_capacity(jobs.len());
    for (append, _) in &jobs {
        let key = append.key.as_ref().map(|key| &key.key);
        let mut parts = append.streams.iter().map(|part| &part.stream);
        let alone = parts.all(|stream| !streams.contains(stream))
            && key.is_none_or(|key| !keys.contains(key))
            && documents.allow(&append.changes)
            && taken
                .iter()
                .all(|other| !is_against(append, other) && !is_against(other, append));
        if alone {
            streams.extend(append.streams.iter().map(|part| &part.stream));
            keys.extend(key);
            documents.take(&append.changes);
            taken.push(append);
        }
        fits.push(alone);
    }
    let (round, later): (Vec<_>, Vec<_>) = jobs.into_iter().zip(fits).partition(|(_, fits)| *fits);
    let jobs = |jobs: Vec<(Waiting, bool)>| jobs.into_iter().map(|(job, _)| job).collect();
    (jobs(round), jobs(later))
}

/// Whether the condition of `one` matches an event of `other`.
fn is_against(one: &Append, other: &Append) -> bool {
    let Some(condition) = &one.condition else {
        return false;
    };
    other.streams.iter().any(|part| {
        let mut events = part.events.iter();
        events.any(|event| {
            let query = &condition.query;
            query.matches_parts(&part.stream, &event.name, &event.tags)
        })
    })
}
