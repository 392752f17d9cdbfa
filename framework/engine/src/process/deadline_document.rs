//! The documents of deadlines that decisions set: written by the append of their events, executed when they are due.
//!
//! Each is a process instance with one command. An append writes the instance and its entry in the due index without a
//! read, whatever was there before. A deadline that is moved or cancelled therefore leaves an obsolete index entry, which is
//! removed once it is due. The command deletes its instance in its own append, so that exactly one of the command and a
//! cancellation takes effect.

use uuid::Uuid;

use super::instance::{Cause, Instance, Keys, Pending};
use crate::error::StoreError;
use crate::events::DeadlineOrders;
use factum_core::document::DocumentChanges;
use factum_core::metadata::Metadata;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;

/// Returns the document keys. No process manager can have this name.
pub fn keys() -> Keys {
    Keys::new("/deadlines")
}

/// Returns the id of the instance. It is unique: the text after the last `/` contains no `/`.
fn id(stream: &StreamId, name: &str) -> String {
    let name = name.replace('%', "%25").replace('/', "%2F");
    format!("{stream}/{name}")
}

/// The name of the deadline with this id.
pub fn name(id: &str) -> String {
    let name = id.rsplit_once('/').map_or(id, |(_, name)| name);
    name.replace("%2F", "/").replace("%25", "%")
}

/// What deadlines are set by.
pub struct Setting<'a> {
    pub stream: &'a StreamId,
    /// The event that they are set with.
    pub event: Option<Uuid>,
    pub metadata: &'a Metadata,
    pub now: Timestamp,
}

/// The changes that set and cancel what is ordered, each with an id of its own.
pub fn changes(
    orders: &DeadlineOrders,
    setting: &Setting<'_>,
    mut unique: impl FnMut() -> Uuid,
) -> Result<DocumentChanges, StoreError> {
    let keys = keys();
    let mut changes = DocumentChanges::new();
    for (name, order) in &orders.orders {
        let id = id(setting.stream, name);
        let Some(order) = order else {
            changes = changes.delete(keys.instance(&id));
            continue;
        };
        let due = order.when.due(setting.now).max(Timestamp::from_micros(0));
        let pending = Pending {
            // Without the bits that all ids share, so that any reader of JSON can take it for an integer.
            number: unique().as_u64_pair().1 & (u64::MAX >> 2),
            command: order.command.to_owned(),
            version: order.version,
            body: order.body.clone(),
            cause: Cause::ahead(setting.event, setting.metadata, due),
        };
        changes = changes.with(Instance::put(&id, pending, &keys)?);
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_deadlines_have_the_same_id() {
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
            let id = id(&stream.parse().expect("a stream id"), called);
            assert_eq!(name(&id), called);
            assert!(ids.insert(id.clone()), "{id}");
        }
    }
}
