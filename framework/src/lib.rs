//! Event sourcing with plain types, pure functions and pluggable stores.
//!
//! You write types and pure functions. The framework stores, loads and decodes events, retries after conflicts, and
//! runs projections, process managers and event handlers. A domain, and its test:
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
//! async fn house(store: impl factum::store::Store) -> Result<(), Box<dyn std::error::Error>> {
//!     let engine = Engine::new(store);
//!     let switch = Switch { lamp: 1, on: true };
//!     engine.execute(switch).by("ada").idempotency_key("request-7").await?;
//!     // The state now; earlier states with `at_version`, `at_time` or `at_position`.
//!     let lamp = engine.load::<Lamp>(&1).await?;
//!     assert!(lamp.on);
//!     Ok(())
//! }
//! ```
//!
//! A program depends on this crate, on the crate of a store, on `serde` with the feature `derive`, and on `tokio`. Tests
//! also depend on `factum-testkit`.
//!
//! # Where to find what
//!
//! [`prelude`] contains the items that applications use every day.
//!
//! | task | use | the function that you write |
//! |---|---|---|
//! | Define events | [`Event`], a derive on an enum | none |
//! | Fold events into a state | [`Aggregate`] | [`Apply::apply`] |
//! | Decide on a request: about one aggregate, several, a list, or with a DCB query | [`Command`] | [`Decide::decide`] |
//! | Find the aggregates of a request in the state of others | [`command::Find`] | [`Find::find`](command::Find::find) |
//! | Execute, load, travel in time, read a history | [`Engine`], [`engine::Receipt`], [`engine::ExecuteError`] | |
//! | Build a read model in memory | [`Projection`], [`InMemory`] | [`Project::project`] |
//! | Build one in tables | [`Projection`]; `SqlProjection` of `factum-sql`, which the adapters re-export | `SqlProject::project` |
//! | Run, watch, rebuild and fix read models | [`Runtime`], [`runtime::ProjectionHandle`], [`runtime::FailurePolicy`] | |
//! | Coordinate aggregates over time, with deadlines | [`ProcessManager`] | [`process::React`], [`process::Respond`] |
//! | Set a deadline without a process manager | [`Events::deadline`] | |
//! | Execute a command at the times of a cron expression | [`runtime::Schedule`] | |
//! | Send mails, call other systems | [`runtime::EventHandler`] | [`EventHandler::handle`](runtime::EventHandler::handle) |
//! | Read every event as it is stored | [`Engine::subscribe`], [`engine::Subscription`] | |
//! | Change the schema of events | [`event::Upcaster`], [`event::upcast_typed`], [`event::LegacyEvent`] | |
//! | Erase personal data | [`privacy`] | |
//! | Document a domain | `schema` | |
//! | Find the causes and effects of an event | [`Engine::causality`] | |
//! | Test a domain | `given`, `process`, `stored`, `VirtualClock` of the crate `factum-testkit` | |
//! | Write a store | [`store::EventStore`], [`store::DocumentStore`], [`store::SnapshotStore`]; the conformance suite of `factum-testkit` | |
//!
//! The book in the folder `docs` of the repository starts with a tutorial and lists the guarantees.
//!
//! # Features
//!
//! | feature | default | content |
//! |---|---|---|
//! | `schema` | off | `schema`: documentation of a domain from its types, and `events.lock`; adds `schemars` |
//! | `metrics` | off | records the metrics of [`metrics`] through the `metrics` facade |
//! | `privacy` | off | [`privacy`]: fields encrypted with a key for each data subject; adds `chacha20poly1305` |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod prelude;

pub use factum_core::position::{Position, Version};
pub use factum_core::stream_id::StreamId;
pub use factum_core::timestamp::Timestamp;
pub use factum_engine::aggregate::{Aggregate, Apply};
pub use factum_engine::command::{Command, Decide};
pub use factum_engine::engine::Engine;
pub use factum_engine::event::Event;
pub use factum_engine::events::Events;
pub use factum_engine::process::ProcessManager;
pub use factum_engine::projection::{Project, Projection};
pub use factum_engine::record::Recorded;
pub use factum_macros::{Aggregate, Command, Event, Id, ProcessManager, Projection};
pub use factum_runtime::projections::InMemory;
pub use factum_runtime::{Runtime, StartFrom};

#[cfg(feature = "schema")]
pub use factum_schema as schema;

/// Events: their types, schemas, encoding and evolution.
pub mod event {
    pub use factum_engine::codec::Decoded;
    pub use factum_engine::error::{DecodeError, DecodeErrorKind, EncodeError};
    pub use factum_engine::event::{Event, EventType};
    pub use factum_engine::event_form::EventForm;
    pub use factum_engine::event_set::{ApplySet, EventSet};
    pub use factum_engine::legacy::{LegacyDecoder, LegacyEvent};
    pub use factum_engine::record::{DecodeEvent, Recorded};
    pub use factum_engine::upcast::{
        EventUpcaster, UpcastError, Upcaster, upcast_legacy, upcast_typed,
    };
}

/// Commands: decisions, consistency boundaries and the deadlines that decisions set.
pub mod command {
    pub use factum_engine::aggregate::{Aggregate, Apply, SnapshotPolicy};
    pub use factum_engine::boundary::{
        Aggregates, Boundary, DcbQuery, Folded, Found, InvalidTarget, Queried, Queries, Timed,
        UnknownTag,
    };
    pub use factum_engine::command::{Command, Decide, Find};
    pub use factum_engine::events::{Events, InvalidDeadline};
}

/// The engine: executes commands, loads aggregates, reads events.
pub mod engine {
    pub use factum_engine::causality::{CausalEvent, CausalTree, Causality};
    pub use factum_engine::clock::{Clock, SystemClock};
    pub use factum_engine::engine::{
        Engine, EngineBuilder, Execute, ExecuteAndWait, ExecuteAndWaitError, ExecuteError, History,
        Load, LoadError, Loaded, Receipt, RetryPolicy, WaitForPosition,
    };
    pub use factum_engine::subscription::{LogPage, PagedLog, StoreLog, Subscription};
}

/// Process managers: react to events with commands and deadlines.
pub mod process {
    pub use factum_engine::process::{
        CommandSet, Correlation, Deadline, ProcessManager, React, ReactSet, Reactions, Rejection,
        Respond, SentBy, When,
    };
}

/// Projections: what one event does to a read model.
pub mod projection {
    pub use factum_engine::projection::{Effect, EventsOf, Project, ProjectSet, Projection};
}

/// The runtime: runs projections, process managers, schedules and event handlers.
pub mod runtime {
    pub use factum_runtime::consumer::{
        Batch, BatchError, Consumer, ConsumerError, ConsumerHandle, ConsumerState, ConsumerStatus,
        ControlError, DeadLetter, DeadLetterState, EventError, Failure, FailureAction,
        FailurePolicy, NewerEvents, ReadModel, WaitError, checkpoint,
    };
    pub use factum_runtime::process::{
        DEADLINES, DeliveryHandle, DeliveryWork, EventHandler, FailedDelivery, HandlerError,
        HandlerOptions, InvalidSchedule, MissedRuns, Orphan, PendingDelivery, ProcessHandle,
        SCHEDULES, Schedule,
    };
    pub use factum_runtime::projections::{InMemory, ProjectionHandle};
    pub use factum_runtime::{ProcessOptions, Runtime, RuntimeBuilder, StartError, StartFrom};
}

/// The store contract: everything that a store author needs.
pub mod store {
    pub use factum_core::append::*;
    pub use factum_core::async_trait;
    pub use factum_core::delegate;
    pub use factum_core::document::*;
    pub use factum_core::error::{
        BoxError, Denied, Outage, StoreError, error_chain, panic_message,
    };
    pub use factum_core::event_id::new_event_id;
    pub use factum_core::event_type_list::{EventTypeList, EventTypeSummary, MAX_EVENT_TYPE_LIST};
    pub use factum_core::field::InvalidField;
    pub use factum_core::json::MAX_JSON_DEPTH;
    pub use factum_core::metadata::{MAX_METADATA, MAX_METADATA_NAME, MAX_REASON, Metadata};
    pub use factum_core::personal::{PersonalField, Subject};
    pub use factum_core::position::{Position, Version};
    pub use factum_core::query::{MAX_QUERY, Query, QueryItem};
    pub use factum_core::read::*;
    pub use factum_core::record::*;
    pub use factum_core::snapshot::{MAX_SNAPSHOT, Snapshot, SnapshotStore};
    pub use factum_core::store::{EventStore, Store, scan_event_types};
    pub use factum_core::stream_id::{InvalidStreamId, StreamId};
    pub use factum_core::stream_list::{MAX_STREAM_LIST, StreamList, StreamSummary};
    pub use factum_core::tag::{InvalidTag, Tag};
    pub use factum_core::timestamp::{InvalidTimestamp, Timestamp};
    pub use factum_engine::copy::{Copied, CopyError, CopyEvents, copy_events};
}

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

/// The items that the derives use in the code they generate; not a public API.
#[doc(hidden)]
pub mod __private {
    pub use serde;
    pub use serde_json;

    pub use factum_core::tag::{InvalidTag, Tag};
    pub use factum_engine::aggregate::{Aggregate, SnapshotPolicy};
    pub use factum_engine::boundary::{
        Aggregates, Boundary, DcbQuery, Folded, Found, Queried, Timed,
    };
    pub use factum_engine::codec::{
        Compared, ViaNothing, ViaPartialEq, struct_from_json, struct_to_json, variant_from_json,
        variant_to_json,
    };
    pub use factum_engine::command::fingerprint::{OmittedFields, is_default, omitted_fields};
    pub use factum_engine::command::{Command, finder};
    pub use factum_engine::event::{Event, EventType};
    pub use factum_engine::event_form::EventForm;
    pub use factum_engine::event_set::{
        ApplySet, EventSelection, EventSet, SelectedTypes, StoredNames, Variants,
        distinct_commands, distinct_events, has_name, variant_mask,
    };
    pub use factum_engine::legacy::LegacyDecoder;
    pub use factum_engine::personal::{
        IndexedPersonalField, PersonalField, Subject, personal_field, personal_fields, subject,
    };
    pub use factum_engine::process::{ProcessManager, SentBy};
    pub use factum_engine::projection::Projection;
    pub use factum_engine::upcast::{Upcaster, call_upcaster};

    /// Returns whether an event type of the set has a tag with this key.
    pub const fn has_tag(set: &[SelectedTypes], key: &str) -> bool {
        let mut index = 0;
        while index < set.len() {
            if set[index].has_tag(key) {
                return true;
            }
            index += 1;
        }
        false
    }

    /// Compiles if `P` reacts to every event in `S`.
    pub const fn reacts<P: factum_engine::process::ReactSet<S>, S: EventSet>() {}

    /// Compiles if `P` implements `Respond`.
    pub const fn responds<P: factum_engine::process::Respond>() {}

    /// The event type of an aggregate.
    pub type EventOf<A> = <A as Aggregate>::Event;

    /// Returns a tag for each of `values`.
    pub fn each_tag<'v, T: std::fmt::Display + ?Sized + 'v>(
        key: &'v str,
        values: impl IntoIterator<Item = &'v T, IntoIter: 'v>,
    ) -> impl Iterator<Item = Result<Tag, InvalidTag>> + 'v {
        values.into_iter().map(move |value| Tag::new(key, value))
    }
}
