//! The documents of deadlines that decisions set: written by the append of their events, executed when they are due.
//!
//! Each one is a process instance with one command. An append writes the instance and its entry in the due index
//! without a read, and replaces an earlier instance. A deadline that is moved or cancelled therefore leaves an obsolete
//! index entry, which is removed when it is due. The command deletes its instance in its own append, so that exactly
//! one of the command and a cancellation takes effect.

use std::collections::BTreeMap;

use factum_core::document::DocumentChanges;
use factum_core::metadata::Metadata;
use factum_core::position::Version;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use uuid::Uuid;

use super::instance::{Cause, CountsFrom, InstanceKeys, PendingCommand, ProcessInstance};
use crate::domain::deadline::{DeadlineChange, When};
use crate::error::StoreError;

/// Returns the keys of these documents. No process manager has such a name.
#[must_use]
pub fn keys() -> InstanceKeys {
    InstanceKeys::new("/deadlines")
}

/// Returns the id of the instance. It is unique, since the text after the last `/` contains none.
fn instance_id(stream: &StreamId, name: &str) -> String {
    let name = name.replace('%', "%25").replace('/', "%2F");
    format!("{stream}/{name}")
}

/// Returns the name of the deadline whose instance has this id.
#[must_use]
pub fn deadline_name(id: &str) -> String {
    let name = id.rsplit_once('/').map_or(id, |(_, name)| name);
    name.replace("%2F", "/").replace("%25", "%")
}

/// The append that sets deadlines.
pub struct DeadlineContext<'a> {
    /// The stream of the deadlines.
    pub stream: &'a StreamId,
    /// The event that sets them.
    pub event: Option<SettingEvent<'a>>,
    /// The metadata of the append.
    pub metadata: &'a Metadata,
    /// The current time.
    pub now: Timestamp,
}

/// The event that sets deadlines.
#[derive(Debug, Clone, Copy)]
pub struct SettingEvent<'a> {
    /// The id of the event.
    pub id: Uuid,
    /// The stream of the event.
    pub stream: &'a StreamId,
    /// The version that the event will have in its stream.
    pub version: Version,
}

/// Returns the changes that set and cancel deadlines; `new_id` returns a unique id for each.
///
/// # Errors
/// Returns [`StoreError::Failed`] if a deadline cannot be encoded.
pub fn changes(
    deadlines: &BTreeMap<String, DeadlineChange>,
    context: &DeadlineContext<'_>,
    mut new_id: impl FnMut() -> Uuid,
) -> Result<DocumentChanges, StoreError> {
    let keys = keys();
    let mut changes = DocumentChanges::new();
    for (name, change) in deadlines {
        let id = instance_id(context.stream, name);
        let DeadlineChange::Set(deadline) = change else {
            changes = changes.delete(keys.instance(&id));
            continue;
        };
        let due = deadline
            .when
            .due(context.now)
            .max(Timestamp::from_micros(0));
        let pending = PendingCommand {
            // Without the bits that all ids share, so that every JSON reader can represent it as an integer.
            number: new_id().as_u64_pair().1 & (u64::MAX >> 2),
            command: deadline.command.to_owned(),
            version: deadline.version,
            body: deadline.body.clone(),
            cause: Cause::new_event(context.event.map(|it| it.id), context.metadata, due),
            counts_from: counts_from(deadline.when, context.event),
        };
        changes = changes.with(ProcessInstance::replace_with(&id, pending, &keys)?);
    }
    Ok(changes)
}

fn counts_from(when: When, event: Option<SettingEvent<'_>>) -> Option<CountsFrom> {
    let (When::After(after), Some(event)) = (when, event) else {
        return None;
    };
    Some(CountsFrom {
        stream: event.stream.clone(),
        version: event.version,
        after,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn deadline_ids_are_unique() {
        let parts = [
            ("a-b", "c/d"),
            ("a-b/c", "d"),
            ("a-b", "c%2Fd"),
            ("a-b", "c%252Fd"),
            ("a-b", "c"),
            ("a-b/c", "%"),
        ];
        let mut ids = HashSet::new();
        for (stream, called) in parts {
            let id = instance_id(&stream.parse().expect("a stream id"), called);
            assert_eq!(deadline_name(&id), called);
            assert!(ids.insert(id.clone()), "{id}");
        }
    }
}
