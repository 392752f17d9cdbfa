//! Given/then scenarios for projections.

use factum_core::metadata::Metadata;
use factum_core::query::Query;
use factum_core::timestamp::Timestamp;
use factum_engine::event_set::EventSet as _;
use factum_engine::projection::{EventsOf, ProjectSet, Projection};

use crate::given_log::GivenLog;
use crate::scenario::EventLists;

/// Starts a scenario of the projection `P`, without a store.
///
/// Each [`given`](ProjectionScenario::given) projects events of one stream, and [`then`](ProjectionScenario::then)
/// checks the read model. Every event is serialized and deserialized as in a store. As in the runtime, events that the
/// projection does not list are skipped.
///
/// A projection in tables is tested with a store: see `sql_projection`.
///
/// ```
/// # use factum::prelude::*;
/// # #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
/// # enum DoorEvent { Opened, Closed }
/// #[derive(Projection, Default)]
/// #[projection(events = DoorEvent)]
/// struct OpenDoors(Vec<String>);
///
/// impl Project<DoorEvent> for OpenDoors {
///     fn project(&mut self, event: &Recorded<DoorEvent>) {
///         let door = event.record.stream.key();
///         match event.event {
///             DoorEvent::Opened => self.0.push(door.to_owned()),
///             DoorEvent::Closed => self.0.retain(|open| open != door),
///         }
///     }
/// }
///
/// factum_testkit::projection::<OpenDoors>()
///     .given("door-front", [DoorEvent::Opened])
///     .given("door-back", [DoorEvent::Opened])
///     .then(|doors| assert_eq!(doors.0, ["front", "back"]))
///     .given("door-front", [DoorEvent::Closed])
///     .then(|doors| assert_eq!(doors.0, ["back"]));
/// ```
#[must_use = "a scenario without `then` tests nothing"]
pub fn projection<P>() -> ProjectionScenario<P>
where
    P: ProjectSet<EventsOf<P>> + Default,
{
    ProjectionScenario {
        state: P::default(),
        log: GivenLog::default(),
    }
}

/// A scenario of one projection. Created by [`projection`](projection()).
pub struct ProjectionScenario<P> {
    state: P,
    log: GivenLog,
}

impl<P: Projection + ProjectSet<EventsOf<P>>> ProjectionScenario<P> {
    /// Sets the time of the following events.
    #[must_use = "a scenario without `then` tests nothing"]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.log.set_time(time);
        self
    }

    /// Sets the metadata of the following events.
    #[must_use = "a scenario without `then` tests nothing"]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.log.set_metadata(metadata);
        self
    }

    /// Projects events of `stream`, for example `account-42`.
    ///
    /// Pass a list, or a tuple of lists if the events have several types.
    ///
    /// # Panics
    /// If the id of the stream is not valid, or if an event cannot be serialized or deserialized.
    #[track_caller]
    #[must_use = "a scenario without `then` tests nothing"]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a scenario reads best with plain values"
    )]
    pub fn given(mut self, stream: &str, events: impl EventLists) -> Self {
        self.log.set_stream(stream);
        let before = self.log.records().len();
        events.append_to(&mut self.log);
        let query = Query::event_types(P::Events::names());
        for record in &self.log.records()[before..] {
            if query.matches(record) {
                match P::prepare(record) {
                    Ok(effect) => effect(&mut self.state),
                    Err(error) => {
                        let error = factum_engine::error::error_chain(&error);
                        panic!(
                            "the event {} does not survive storage: {error}",
                            record.name
                        );
                    }
                }
            }
        }
        self
    }

    /// Passes the read model to `check`, which can make assertions on it.
    ///
    /// # Panics
    /// If `check` panics.
    #[track_caller]
    pub fn then(self, check: impl FnOnce(&P)) -> Self {
        check(&self.state);
        self
    }
}
