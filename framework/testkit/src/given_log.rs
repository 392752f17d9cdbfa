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
#[derive(Debug)]
pub struct GivenLog {
    records: Vec<RecordedEvent>,
    /// The stream of events for which the scenario names none.
    stream: StreamId,
    time: Option<Timestamp>,
    metadata: Arc<Metadata>,
}

impl Default for GivenLog {
    fn default() -> Self {
        let stream = StreamId::new("given", "events").unwrap_or_else(|error| panic!("{error}"));
        Self {
            records: Vec::new(),
            stream,
            time: None,
            metadata: Arc::default(),
        }
    }
}

impl GivenLog {
    /// Sets the stream of events for which the scenario names none.
    ///
    /// # Panics
    /// If `id` is not the id of a stream.
    #[track_caller]
    pub fn set_stream(&mut self, id: &str) {
        match id.parse::<StreamId>() {
            Ok(stream) => self.stream = stream,
            Err(error) => panic!("{error}"),
        }
    }

    /// Sets the time of the following events; by default, it is the current time.
    pub fn set_time(&mut self, time: Timestamp) {
        self.time = Some(time);
    }

    /// Sets the metadata of the following events.
    pub fn set_metadata(&mut self, metadata: Metadata) {
        self.metadata = Arc::new(metadata);
    }

    /// Appends `event` to `stream` in serialized form.
    ///
    /// # Panics
    /// If the event cannot be serialized.
    #[track_caller]
    pub fn append<E: Event>(&mut self, event: &E, stream: StreamId) {
        let encoded = match codec::encode(event, &self.metadata) {
            Ok(encoded) => encoded,
            Err(error) => panic!("{error}: {}", error.source),
        };
        let earlier = self.records.iter().filter(|record| record.stream == stream);
        let assigned = Assigned {
            position: Position::new(self.records.len() as u64 + 1),
            version: Version::new(earlier.count() as u64 + 1),
            recorded_at: self.time.unwrap_or_else(Timestamp::now),
        };
        let record = RecordedEvent::new(encoded, stream, assigned);
        self.records.push(record);
    }

    /// Appends `event` to the stream of events for which the scenario names none.
    ///
    /// # Panics
    /// If the event cannot be serialized.
    #[track_caller]
    pub fn append_elsewhere<E: Event>(&mut self, event: &E) {
        self.append(event, self.stream.clone());
    }

    /// Returns the events.
    pub fn records(&self) -> &[RecordedEvent] {
        &self.records
    }

    /// Returns the events.
    pub fn into_records(self) -> Vec<RecordedEvent> {
        self.records
    }
}
