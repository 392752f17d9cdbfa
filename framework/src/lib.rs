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
//! use factum::testkit::given;
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
//! | run, watch, rebuild and mend read models | [`Projections`], [`FailurePolicy`], [`ProjectionStatus`] | |
//! | lead a case through many aggregates, with deadlines | [`ProcessManager`], [`ProcessManagers`] | [`React`], [`Respond`] |
//! | set a deadline without one | [`Events::deadline`] | |
//! | do something every morning | [`Schedule`] | |
//! | send mails, call other systems | [`EventHandler`] | [`Handler::handle`] |
//! | read every event as it comes | [`Engine::subscribe`], [`Subscription`] | |
//! | change the form of events | [`Upcaster`], [`upcast_typed`], [`LegacyEvent`] | |
//! | forget a person | [`personal`] | |
//! | document a domain | `catalog` | |
//! | find out what led to what | [`Engine::causality`] | |
//! | test a domain | [`testkit::given`], [`testkit::process`], [`testkit::stored`], `testkit::events_lock`, [`testkit::VirtualClock`] | |
//! | write a store | [`EventStore`], [`document::DocumentStore`], [`snapshot::SnapshotStore`], tested by [`conformance_suite!`] | |
//!
//! The book in the folder `docs` of the repository begins with a tutorial, and tells what can be relied upon.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `catalog` | off | `catalog`: documentation of a domain out of its types; `testkit::events_lock`: a lock on what is stored. Brings in `schemars` |
//! | `metrics` | off | what [`metrics`] names is told to the facade of that name |
//! | `personal` | off | [`personal`]: fields encrypted with a key for each subject, which can be forgotten. Brings in `chacha20poly1305` |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod aggregate;
pub mod append;
pub mod boundary;
#[cfg(feature = "catalog")]
pub mod catalog;
pub mod causality;
pub mod clock;
mod codec;
pub mod command;
mod delegate;
pub mod document;
pub mod engine;
pub mod error;
pub mod event;
mod event_id;
mod event_set;
mod events;
mod few;
mod legacy;
pub mod metadata;
pub mod metrics;
pub mod personal;
mod position;
pub mod prelude;
pub mod process;
pub mod process_managers;
mod projection;
pub mod projections;
mod query;
pub mod read;
pub mod record;
pub mod snapshot;
pub mod store;
mod stream;
mod subscription;
pub mod tag;
pub mod testkit;
mod timestamp;
mod upcast;

#[doc(inline)]
pub use aggregate::{Aggregate, Apply, SnapshotPolicy};
#[doc(inline)]
pub use append::{
    Append, AppendCondition, AppendError, Appended, Conflict, ExpectedVersion, IdempotencyKey,
    InvalidAppend, StreamAppend, Violation,
};
#[doc(inline)]
pub use boundary::{Boundary, InvalidTarget, Queried};
#[doc(inline)]
pub use causality::{CausalEvent, CausalTree, Causality};
#[doc(inline)]
pub use clock::{Clock, SystemClock};
pub use codec::Decoded;
#[doc(inline)]
pub use command::{Command, Decide};
#[doc(inline)]
pub use engine::{Engine, EngineBuilder, ExecuteError, LoadError, Loaded, Receipt, RetryPolicy};
#[doc(inline)]
pub use error::{DecodeError, DecodeErrorKind, EncodeError, StoreError};
#[doc(inline)]
pub use event::{Event, EventType};
pub use event_set::{ApplySet, EventSet};
pub use events::{Events, InvalidDeadline};
pub use legacy::{LegacyDecoder, LegacyEvent};
#[doc(inline)]
pub use metadata::Metadata;
pub use position::{Position, Version};
#[doc(inline)]
pub use process::{
    CommandSet, Correlation, Deadline, ProcessManager, React, ReactSet, Reactions, Rejection,
    Respond, SentBy, When,
};
#[doc(inline)]
pub use process_managers::{
    EventHandler, FailedDelivery, FailedWork, HandlerError, HandlerOptions, InvalidSchedule,
    MissedRuns, Orphan, ProcessManagers, ProcessManagersBuilder, ProcessStartError, ProcessStatus,
    Schedule, StartFrom,
};
pub use projection::{Effect, EventsOf, Project, ProjectSet, Projection};
#[doc(inline)]
pub use projections::{
    DeadLetter, DeadLetterState, EventError, FailurePolicy, InMemory, ProjectionError,
    ProjectionState, ProjectionStatus, Projections, ReadModel, StartError, Step, StepError,
    WaitError,
};
pub use query::{Query, QueryItem};
#[doc(inline)]
pub use read::{Direction, Page, Read, Scope};
#[doc(inline)]
pub use record::{ContentType, NewEvent, Recorded, RecordedEvent};
#[doc(inline)]
pub use snapshot::{Snapshot, SnapshotStore};
#[doc(inline)]
pub use store::{EventStore, Store};
pub use stream::{InvalidStreamId, StreamId};
pub use subscription::Subscription;
#[doc(inline)]
pub use tag::{InvalidTag, Tag};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use upcast::{UpcastError, Upcaster, upcast_legacy, upcast_typed};

pub use async_trait::async_trait;
pub use factum_macros::{Aggregate, Command, Event, Id, ProcessManager, Projection};

/// The items that the derives use in the code they generate; not a public API.
#[doc(hidden)]
pub mod __private {
    pub use serde;
    pub use serde_json;

    pub use crate::aggregate::{Aggregate, SnapshotPolicy};
    pub use crate::boundary::{Boundary, Queried};
    pub use crate::codec::{struct_from_json, struct_to_json, variant_from_json, variant_to_json};
    pub use crate::command::Command;
    pub use crate::event::{Event, EventType};
    pub use crate::event_set::{ApplySet, EventSet, has_name};
    pub use crate::legacy::LegacyDecoder;
    pub use crate::personal::{Mark, PersonalField, Subject, mark, marked, subject};
    pub use crate::process::{ProcessManager, SentBy};
    pub use crate::projection::Projection;
    pub use crate::tag::{InvalidTag, Tag};
    pub use crate::upcast::Upcaster;

    use crate::query::Query;

    /// Compiles if `P` reacts to every event in `S`.
    pub const fn reacts<P: crate::process::ReactSet<S>, S: crate::EventSet>() {}

    /// Compiles if `P` implements `Respond`.
    pub const fn responds<P: crate::Respond>() {}

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
    pub type EventOf<A> = <A as crate::Aggregate>::Event;

    /// Returns the query for events with any of `tags`, or the first invalid tag.
    pub fn any_tag<const N: usize>(
        tags: [Result<Tag, InvalidTag>; N],
    ) -> Result<Query, InvalidTag> {
        tags.into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map(Query::any_tag)
    }
}
