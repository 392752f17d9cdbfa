//! The documents that an append changes: the deadlines of the decision, and those that the command consumes.

use factum_core::append::{Append, AppendEvent, ExpectedVersion};
use factum_core::document::DocumentChanges;
use factum_core::position::Version;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;

use crate::clock::{Clock, SharedClock};
use crate::domain::codec::Encoder;
use crate::domain::deadline::{DeadlineChange, DeadlineChanges};
use crate::engine::deadline_commands::DeadlineCommands;
use crate::engine::execute_error::ExecuteError;
use crate::process::deadline_document::{DeadlineContext, SettingEvent, changes};

/// The document changes for the deadlines of a decision.
#[derive(Default)]
pub struct DeadlineDocuments {
    /// The changes.
    pub changes: DocumentChanges,
    /// The time at which the first deadline that the decision sets is due.
    pub next: Option<Timestamp>,
}

/// Encodes the deadlines that a decision sets and cancels on its streams.
///
/// `encoded` contains the events of the decision, which become the cause of the deadlines.
pub fn encode_deadlines<E: std::error::Error + 'static>(
    deadlines: &[(&StreamId, &DeadlineChanges)],
    encoded: &Append,
    encoder: &mut Encoder,
    clock: &SharedClock,
    commands: &DeadlineCommands,
) -> Result<DeadlineDocuments, ExecuteError<E>> {
    let mut documents = DeadlineDocuments::default();
    if deadlines.is_empty() {
        return Ok(documents);
    }
    let now = clock.now();
    for (stream, deadlines) in deadlines {
        let validated = deadlines.validated()?;
        commands.check(validated)?;
        let mut own = encoded.events.iter().rev();
        let own = own.find(|event| encoded.stream_of(event) == *stream);
        // Without an event on its own stream, the cause is the last event of the decision.
        let event = own.or(encoded.events.last());
        let event = event.map(|event| setting_event(encoded, event));
        let context = DeadlineContext {
            stream,
            event,
            metadata: &encoder.metadata,
            now,
        };
        let changed = changes(validated, &context, || encoder.ids.next_id())?;
        documents.changes = documents.changes.with(changed);
        let due = validated.values().filter_map(|change| match change {
            DeadlineChange::Set(scheduled) => Some(scheduled.when.due(now)),
            DeadlineChange::Cancel => None,
        });
        documents.next = due.chain(documents.next).min();
    }
    Ok(documents)
}

/// Describes an event that is the last one of its stream.
fn setting_event<'a>(encoded: &'a Append, last: &AppendEvent) -> SettingEvent<'a> {
    let part = &encoded.streams[last.stream];
    let version = match part.expected {
        ExpectedVersion::Exact(version) => version,
        ExpectedVersion::NoStream | ExpectedVersion::Any | ExpectedVersion::StreamExists => {
            Version::ZERO
        }
    };
    let events = encoded.events.iter();
    let own = events.filter(|event| event.stream == last.stream);
    SettingEvent {
        id: last.event.id,
        stream: &part.stream,
        version: version.plus(own.count() as u64),
    }
}

/// Combines the changes of a decision with those that the command consumes.
///
/// If both change the same document, the decision determines its new content, and the consumed change its expected
/// revision.
pub fn merge_consumed(decided: DocumentChanges, consumed: &DocumentChanges) -> DocumentChanges {
    if consumed.is_empty() {
        return decided;
    }
    let mut merged = DocumentChanges::new();
    let mut consumed = consumed.clone().into_vec();
    for change in decided.into_vec() {
        let index = consumed.iter().position(|other| other.key == change.key);
        let expected = index.and_then(|index| consumed.swap_remove(index).expected);
        merged = merged.and(change.key, expected, change.effect);
    }
    consumed.into_iter().fold(merged, |merged, change| {
        merged.and(change.key, change.expected, change.effect)
    })
}
