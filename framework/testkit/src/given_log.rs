//! [`GivenLog`]: the events of a scenario, as a store would return them.

use std::sync::Arc;

use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::codec;
use factum_engine::event::Event;
use factum_engine::record::{Assigned, RecordedEvent};

/// The events of a scenario in the order of their positions, as a store would return them.
#[derive(Debug, Default)]
pub struct GivenLog(Vec<RecordedEvent>);

impl GivenLog {
    /// Appends `event` to `stream` in serialized form.
    ///
    /// # Panics
    /// If the event cannot be serialized.
    #[track_caller]
    pub fn append<E: Event>(&mut self, event: &E, stream: StreamId) {
        let encoded = match codec::encode(event, &Arc::new(Metadata::default())) {
            Ok(encoded) => encoded,
            Err(error) => panic!("{error}: {}", error.source),
        };
        let earlier = self.0.iter().filter(|record| record.stream == stream);
        let assigned = Assigned {
            position: Position::new(self.0.len() as u64 + 1),
            version: Version::new(earlier.count() as u64 + 1),
            recorded_at: Timestamp::now(),
        };
        self.0.push(RecordedEvent::new(encoded, stream, assigned));
    }

    /// Appends `event` to a stream that no aggregate of a scenario has.
    ///
    /// # Panics
    /// If the event cannot be serialized.
    #[track_caller]
    pub fn append_elsewhere<E: Event>(&mut self, event: &E) {
        let stream = StreamId::new("given", "events").unwrap_or_else(|error| panic!("{error}"));
        self.append(event, stream);
    }

    /// Returns the events.
    pub fn records(&self) -> &[RecordedEvent] {
        &self.0
    }

    /// Returns the events.
    pub fn into_records(self) -> Vec<RecordedEvent> {
        self.0
    }
}
