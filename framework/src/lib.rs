//! Event sourcing with plain types, pure functions and pluggable stores.
//!
//! You write types and pure functions; the framework names, stores, loads and decodes, retries after conflicts, and runs
//! what reacts to events. A domain, and its test:
//!
//! ```
//! use factum::prelude::*;
//!
//! #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
//! #[event(prefix = "lamp")]
//! enum LampEvent { Switched { on: bool } }
//!
//! #[derive(Aggregate, Debug, Clone, Default)]
//! #[aggregate(category = "lamp", id = u32, event = LampEvent)]
//! struct Lamp { on: bool }
//!
//! impl Apply<LampEvent> for Lamp {
//!     fn apply(&mut self, event: &LampEvent) {
//!         let LampEvent::Switched { on } = event;
//!         self.on = *on;
//!     }
//! }
//!
//! #[derive(Command, Debug, Clone, Serialize, Deserialize)]
//! #[command(on = Lamp)]
//! struct Switch { #[id] lamp: u32, on: bool }
//!
//! impl Decide for Switch {
//!     type Error = std::convert::Infallible;
//!     fn decide(&self, lamp: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
//!         if lamp.on == self.on {
//!             return Ok(Events::none());
//!         }
//!         Ok(LampEvent::Switched { on: self.on }.into())
//!     }
//! }
//!
//! use factum_testkit::given;
//! given(()).when(Switch { lamp: 1, on: true }).then([LampEvent::Switched { on: true }]);
//!
//! /// The store is one of `factum-memory`, `factum-sqlite` or `factum-postgres`.
//! async fn house(store: impl factum::Store) -> Result<(), Box<dyn std::error::Error>> {
//!     let engine = Engine::new(store);
//!     let switch = Switch { lamp: 1, on: true };
//!     engine.execute(switch).by("ada").because("it is dark").idempotency_key("request-7").await?;
//!     let lamp = engine.load::<Lamp>(&1).await?; // and .at_version(…), .at_time(…), .at_position(…)
//!     assert!(lamp.on);
//!     Ok(())
//! }
//! ```
//!
//! # Where to find what
//!
//! Everything for every day is in [`prelude`].
//!
//! | to … | use | the function that you write |
//! |---|---|---|
//! | say what can happen | [`Event`], a derive on an enum | none |
//! | fold it into a state | [`Aggregate`] | [`Apply::apply`] |
//! | ask for something: of one aggregate, several, a list, or with a tag query | [`Command`] | [`Decide::decide`] |
//! | execute, load, travel in time, read a history | [`Engine`], [`Receipt`], [`ExecuteError`] | |
//! | keep a read model in memory | [`Projection`], [`InMemory`] | [`Project::project`] |
//! | keep one in tables | [`Projection`]; `SqliteProjection`, `PostgresProjection` of the adapters | `SqliteProject::project`, `PostgresProject::project` |
//! | run, watch and rebuild read models | [`Projections`], [`FailurePolicy`], [`ProjectionStatus`] | |
//! | lead a case through many aggregates, with deadlines | [`ProcessManager`], [`ProcessManagers`] | [`React`], [`Respond`] |
//! | set a deadline without one | [`Events::deadline`] | |
//! | do something every morning | [`Schedule`] | |
//! | send mails, call other systems | [`EventHandler`] | [`EventHandler::handle`] |
//! | read every event as it comes | [`Engine::subscribe`], [`Subscription`] | |
//! | change the form of events | [`Upcaster`], [`upcast_typed`], [`LegacyEvent`] | |
//! | forget a person | [`privacy`] | |
//! | document a domain | `schema` | |
//! | find out what led to what | [`Engine::causality`] | |
//! | test a domain | `given`, `process`, `stored`, `VirtualClock` of the crate `factum-testkit`; [`schema::events_lock`] | |
//! | write a store | [`EventStore`], [`document::DocumentStore`], [`snapshot::SnapshotStore`], tested by `conformance_suite!` of the crate `factum-testkit` | |
//!
//! The book in the folder `docs` of the repository begins with a tutorial, and tells what can be relied upon.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `schema` | off | `schema`: documentation of a domain out of its types; `schema::events_lock`: a lock on what is stored. Brings in `schemars` |
//! | `metrics` | off | what [`metrics`] names is told to the facade of that name |
//! | `privacy` | off | [`privacy`]: fields encrypted with a key for each subject, which can be forgotten. Brings in `chacha20poly1305` |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod prelude;

pub use factum_core::delegate;
pub use factum_core::{append, document, metadata, read, snapshot, store, tag};
pub use factum_engine::{
    aggregate, boundary, causality, clock, command, engine, error, event, process, record,
};
pub use factum_runtime::{process_managers, projections};
#[cfg(feature = "schema")]
pub use factum_schema as schema;

/// Personal data: fields that can be erased.
pub mod privacy {
    pub use factum_engine::personal::Redacted;
    #[cfg(feature = "privacy")]
    pub use factum_privacy::*;
}

/// The metrics that factum records.
pub mod metrics {
    pub use factum_core::metrics::*;
    #[cfg(feature = "metrics")]
    pub use factum_runtime::metrics::measure;
}

pub use factum_core::append::{
    Append, AppendCondition, AppendError, Appended, Conflict, ExpectedVersion, IdempotencyKey,
    InvalidAppend, StreamAppend, Violation,
};
pub use factum_core::metadata::Metadata;
pub use factum_core::position::{Position, Version};
pub use factum_core::query::{Query, QueryItem};
pub use factum_core::read::{Direction, Page, Read, Scope};
pub use factum_core::snapshot::{Snapshot, SnapshotStore};
pub use factum_core::store::{EventStore, Store};
pub use factum_core::stream_id::{InvalidStreamId, StreamId};
pub use factum_core::tag::{InvalidTag, Tag};
pub use factum_core::timestamp::{InvalidTimestamp, Timestamp};
pub use factum_engine::aggregate::{Aggregate, Apply, SnapshotPolicy};
pub use factum_engine::boundary::{Boundary, InvalidTarget, Queried};
pub use factum_engine::causality::{CausalEvent, CausalTree, Causality};
pub use factum_engine::clock::{Clock, SystemClock};
pub use factum_engine::codec::Decoded;
pub use factum_engine::command::{Command, Decide};
pub use factum_engine::engine::{
    Engine, EngineBuilder, ExecuteError, LoadError, Loaded, Receipt, RetryPolicy,
};
pub use factum_engine::error::{DecodeError, DecodeErrorKind, EncodeError, StoreError};
pub use factum_engine::event::{Event, EventType};
pub use factum_engine::event_set::{ApplySet, EventSet};
pub use factum_engine::events::{Events, InvalidDeadline};
pub use factum_engine::legacy::{LegacyDecoder, LegacyEvent};
pub use factum_engine::process::{
    CommandSet, Correlation, Deadline, ProcessManager, React, ReactSet, Reactions, Rejection,
    Respond, SentBy, When,
};
pub use factum_engine::projection::{Effect, EventsOf, Project, ProjectSet, Projection};
pub use factum_engine::record::{ContentType, DecodeEvent, NewEvent, Recorded, RecordedEvent};
pub use factum_engine::subscription::Subscription;
pub use factum_engine::upcast::{UpcastError, Upcaster, upcast_legacy, upcast_typed};
pub use factum_runtime::process_managers::{
    EventHandler, FailedDelivery, FailedWork, HandlerError, HandlerOptions, InvalidSchedule,
    MissedRuns, Orphan, ProcessManagers, ProcessManagersBuilder, ProcessStartError, ProcessStatus,
    Schedule, StartFrom,
};
pub use factum_runtime::projections::{
    DeadLetter, DeadLetterState, EventError, FailurePolicy, InMemory, ProjectionError,
    ProjectionState, ProjectionStatus, Projections, ReadModel, StartError, Step, StepError,
    WaitError,
};

pub use factum_core::async_trait;
pub use factum_macros::{Aggregate, Command, Event, Id, ProcessManager, Projection};

/// The items that the derives use in the code they generate; not a public API.
#[doc(hidden)]
pub mod __private {
    pub use serde;
    pub use serde_json;

    pub use factum_core::tag::{InvalidTag, Tag};
    pub use factum_engine::aggregate::{Aggregate, SnapshotPolicy};
    pub use factum_engine::boundary::{Boundary, Queried};
    pub use factum_engine::codec::{
        struct_from_json, struct_to_json, variant_from_json, variant_to_json,
    };
    pub use factum_engine::command::Command;
    pub use factum_engine::event::{Event, EventType};
    pub use factum_engine::event_set::{ApplySet, EventSet, has_name};
    pub use factum_engine::legacy::LegacyDecoder;
    pub use factum_engine::personal::{
        IndexedPersonalField, PersonalField, Subject, personal_field, personal_fields, subject,
    };
    pub use factum_engine::process::{ProcessManager, SentBy};
    pub use factum_engine::projection::Projection;
    pub use factum_engine::upcast::Upcaster;

    use factum_core::query::Query;

    /// Compiles if `P` reacts to every event in `S`.
    pub const fn reacts<P: factum_engine::process::ReactSet<S>, S: EventSet>() {}

    /// Compiles if `P` implements `Respond`.
    pub const fn responds<P: factum_engine::process::Respond>() {}

    /// Checks at compile time that the names of the commands of a process manager are distinct.
    ///
    /// # Panics
    /// If two of `names` are equal.
    pub const fn distinct(names: &[&str]) {
        let mut first = 0;
        while first < names.len() {
            let mut second = first + 1;
            while second < names.len() {
                assert!(
                    !equal(names[first].as_bytes(), names[second].as_bytes()),
                    "two commands of a process manager have the same name; rename one with `#[command(name = \"…\")]`"
                );
                second += 1;
            }
            first += 1;
        }
    }

    const fn equal(left: &[u8], right: &[u8]) -> bool {
        let mut index = 0;
        while index < left.len() && index < right.len() {
            if left[index] != right[index] {
                return false;
            }
            index += 1;
        }
        left.len() == right.len()
    }

    /// The event type of an aggregate.
    pub type EventOf<A> = <A as Aggregate>::Event;

    /// Returns the query for events with any of `tags`, or the first invalid tag.
    pub fn any_tag<const N: usize>(
        tags: [Result<Tag, InvalidTag>; N],
    ) -> Result<Query, InvalidTag> {
        tags.into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map(Query::any_tag)
    }
}
