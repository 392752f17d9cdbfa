//! The derive macros of [`factum`](https://docs.rs/factum).
//!
//! `factum` re-exports each macro together with its trait.
//!
//! | derive | on | attributes |
//! |---|---|---|
//! | [`Event`](macro@Event) | an enum or a struct | `#[event(…)]`, `#[tag]`, `#[personal]` |
//! | [`Aggregate`](macro@Aggregate) | a struct or an enum | `#[aggregate(…)]` |
//! | [`Command`](macro@Command) | a struct | `#[command(…)]`, `#[id]`, `#[tag]`, `#[fingerprint(skip)]` |
//! | [`Projection`](macro@Projection) | a struct or an enum | `#[projection(…)]` |
//! | [`ProcessManager`](macro@ProcessManager) | a struct or an enum | `#[process_manager(…)]` |
//! | [`Id`](macro@Id) | a struct with one unnamed field | `#[id(crate = …)]` |
//!
//! A derive generates the impl of the trait with its name, which calls functions of the framework. A derive
//! does not support types with generic parameters.
//!
//! An attribute accepts each key once and rejects unknown keys. Every derive accepts the key `crate = path`,
//! for crates that use the framework under another name than `::factum`.

mod aggregate;
mod attr;
mod command;
mod container;
mod distinct;
mod errors;
mod event;
mod field;
mod id;
mod naming;
mod parse;
mod process_manager;
mod projection;
mod schema_version;
mod serde_keys;
mod sibling_derives;
mod stored_fields;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Event` for an enum or a struct.
///
/// Each variant of an enum is an event type. A struct is a single event type.
///
/// The keys of `#[event(…)]` are:
///
/// | key | on | meaning | default |
/// |---|---|---|---|
/// | `prefix = "account"` | the type | the prefix of event types without an explicit `name` | none |
/// | `name = "account.opened"` | a variant, a struct | the complete event type | `prefix.snake_case_of_the_rust_name` |
/// | `version = 3` | a variant, a struct | the schema version | 1 |
/// | `upcast = [v1_to_v2, v2_to_v3]` | a variant, a struct | the upcasters, one function for each step from version 1; a single one needs no brackets | none |
/// | `alias = "account.begun"` | a variant, a struct | the former event types, which are still decoded; several in brackets | none |
/// | `legacy = [OpenedV1]` | the type | the types of events that are no longer stored; each implements `LegacyEvent`, which converts it into current events | none |
/// | `retired = ["account.nudged"]` | the type | the event types that readers skip | none |
/// | `crate = path` | the type | the path to the framework | `::factum` |
///
/// `#[tag]` on a field tags the event with the value of the field. The key of the tag is the name of the field;
/// `#[tag("course")]` sets another key. The type of the field must implement `Display`. An `Option` is a tag or none; a
/// `Vec`, `HashSet`, `BTreeSet` or `IndexSet` is a tag for each value.
///
/// `#[personal(subject = customer)]` on a field marks the value as personal data. The field `customer` of the same
/// event holds the id of the data subject, and must implement `Display`. `#[personal]` without a subject uses the key
/// of the stream as the id. The type of the field must implement `factum::privacy::Redacted`. Such events can only
/// be stored in a `factum::privacy::PersonalDataStore`.
///
/// An event type is a contract with the stored events: if you rename a variant, keep the event type with
/// `name = "…"`. Fields are stored in the JSON format of serde, and can have serde attributes. Attributes that change
/// the representation of the enum, such as `tag`, `untagged`, or `skip` on a variant, are rejected.
///
/// ```
/// use factum::{Event, event::UpcastError};
/// use serde::{Deserialize, Serialize};
/// use serde_json::Value;
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(prefix = "course")]
/// enum CourseEvent {
///     Opened { #[tag] course: u32 },       // course.opened, with the tag course:…
///     #[event(version = 2, upcast = count_seats)]
///     SeatsAdded { seats: u32 },           // course.seats_added, schema version 2
///     #[event(name = "course.shut")]
///     Closed,                              // course.shut
/// }
///
/// fn count_seats(mut old: Value) -> Result<Value, UpcastError> {
///     let seats = old["names"].as_array().ok_or("no names")?.len();
///     old["seats"] = seats.into();
///     Ok(old)
/// }
///
/// let names: Vec<_> = CourseEvent::TYPES.iter().map(|event_type| event_type.name).collect();
/// assert_eq!(names, ["course.opened", "course.seats_added", "course.shut"]);
/// assert_eq!(CourseEvent::Opened { course: 7 }.tags().unwrap()[0].as_str(), "course:7");
/// ```
#[proc_macro_derive(Event, attributes(event, tag, personal, serde))]
pub fn event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    event::derive(&input).into()
}

/// Implements `Aggregate` for a state that is folded from the events of a stream.
///
/// The keys of `#[aggregate(…)]` are:
///
/// | key | meaning | default |
/// |---|---|---|
/// | `category = "account"` | the category of its streams: at most 64 bytes, no `-`, no white space | required |
/// | `id = Uuid` | the type of its id, which must implement `Display` | required |
/// | `event = AccountEvent` | the type of its events; `Recorded<AccountEvent>` if `Apply` needs their records | required |
/// | `snapshot(every = 100)` | the number of events between two snapshots; the state must implement `Serialize` and `Deserialize` | no snapshots |
/// | `snapshot(every = 100, version = 2)` | the schema version of the state; increase it when the fields change | 1 |
/// | `snapshot(every = 100, max_bytes = 1_000_000)` | the maximum size of a snapshot; a larger state is not saved, and a warning is logged; at most 64 MiB | 16 MiB |
/// | `crate = path` | the path to the framework | `::factum` |
///
/// The type must implement `Default` (the state before the first event), `Clone`, and `Apply` for its events.
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum LampEvent { Switched { on: bool } }
/// #[derive(Aggregate, Default, Clone, Serialize, Deserialize)]
/// #[aggregate(category = "lamp", id = u32, event = LampEvent, snapshot(every = 100))]
/// struct Lamp { on: bool }
///
/// impl Apply<LampEvent> for Lamp {
///     fn apply(&mut self, event: &LampEvent) {
///         let LampEvent::Switched { on } = event;
///         self.on = *on;
///     }
/// }
///
/// assert_eq!(Lamp::stream(&7).unwrap().to_string(), "lamp-7");
/// ```
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    aggregate::derive(&input).into()
}

/// Implements `Command`: sets the consistency boundary, and the fields with its ids and tags.
///
/// The keys of `#[command(…)]` are:
///
/// | key | meaning | default |
/// |---|---|---|
/// | `on = Account` | an aggregate, a tuple of two to four, or a `Vec` or `Option` of one | required |
/// | `find = Member` | aggregates that the command finds in the state of `on`: the same types as for `on`; the command implements `Find` | none |
/// | `query = Seats`, `query = (Course, Student)` | a state that is folded from a DCB query, in addition to `on`; a tuple of two to four for several | none |
/// | `query = Balance::of` | a state that begins as the result of this function, which receives references to the `#[tag]` fields in order; their types must implement `Clone` | its `Default` |
/// | `query(Seats, events = A)` | a DCB query with events of its own; repeat the key for several | none |
/// | `events = (A, B)` | the events of the DCB queries without their own: a type or a tuple of types | the events of the aggregate in `on` |
/// | `events = A::{Opened, Closed}` | some variants of an event only, also in a tuple: `(A::{Opened}, B)` | all variants |
/// | `now` | the decision also receives the time, by the clock of the engine | no time |
/// | `name = "withdraw"` | the name in traces, and in commands that a process manager or a deadline stores | the name of the struct |
/// | `version = 2` | the schema version, for stored commands; increase it when the fields change | 1 |
/// | `upcast = [v1_to_v2]` | the upcasters, one function for each step from version 1 | none |
/// | `crate = path` | the path to the framework | `::factum` |
///
/// The attributes of fields are:
///
/// | attribute | meaning |
/// |---|---|
/// | `#[id]` | the id of the aggregate. A tuple needs one field for each element, in the same order. For a `Vec`, one field holds the list of ids; for an `Option`, an `Option` of the id |
/// | `#[tag]`, `#[tag("course")]` | a tag of the DCB query; a field can have several; its key is the name of the field or the given text, and an event of the query must have it. At least one; events with any of the tags match. An `Option` is a tag or none, a list is a tag for each value; without any value, no event matches |
/// | `#[tag(Course)]`, `#[tag("course", Course, Student)]` | a tag of the named DCB queries, for a command with several |
/// | `#[fingerprint(skip)]` | an [idempotency key] does not compare the field: a time or an id that a retry creates again |
///
/// An idempotency key identifies a command by its content: the fields that serde serializes. It leaves out a field with
/// `#[serde(default)]` that has its default value. So a field with a default can be added to a command, and a retry
/// after the update is still the same command. This needs the `Serialize` of serde's derive, without
/// `#[serde(flatten)]`.
///
/// [idempotency key]: https://docs.rs/factum/latest/factum/engine/struct.Execute.html#method.idempotency_key
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum LampEvent { Switched, Broken { #[tag] house: u32 }, Repaired { #[tag] house: u32 } }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "lamp", id = u32, event = LampEvent)]
/// # struct Lamp;
/// # impl Apply<LampEvent> for Lamp { fn apply(&mut self, _: &LampEvent) {} }
/// #[derive(Command, Serialize)]
/// #[command(on = Lamp)]
/// struct Switch { #[id] lamp: u32, on: bool }
///
/// #[derive(Command, Serialize)]
/// #[command(on = (Lamp, Lamp))]
/// struct Swap { #[id] left: u32, #[id] right: u32 }
///
/// #[derive(Command, Serialize)]
/// #[command(on = Vec<Lamp>)]
/// struct SwitchAll(#[id] Vec<u32>);
///
/// #[derive(Command, Serialize)]
/// #[command(on = Lamp, query = BrokenLamps, events = LampEvent::{Broken, Repaired})]
/// struct Replace { #[id] lamp: u32, #[tag] house: u32 }
///
/// #[derive(Command, Serialize)]
/// #[command(on = Lamp, query = (BrokenLamps as here, BrokenLamps as there), events = LampEvent::{Broken, Repaired})]
/// struct Lend {
///     #[id] lamp: u32,
///     #[tag("house", here)] from: u32,
///     #[tag("house", there)] to: u32,
/// }
///
/// #[derive(Default)]
/// struct BrokenLamps(u32);
///
/// impl Apply<LampEvent> for BrokenLamps {
///     fn apply(&mut self, event: &LampEvent) {
///         match event {
///             LampEvent::Broken { .. } => self.0 += 1,
///             LampEvent::Repaired { .. } => self.0 -= 1,
///             LampEvent::Switched => unreachable!("not in `events`"),
///         }
///     }
/// }
///
/// assert_eq!(Switch::NAME, "Switch");
/// assert_eq!(Swap { left: 1, right: 2 }.target(), (&1, &2));
/// assert_eq!(SwitchAll(vec![1, 2]).target(), &[1, 2]);
/// ```
#[proc_macro_derive(Command, attributes(command, id, tag, fingerprint, serde))]
pub fn command(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    command::derive(&input).into()
}

/// Implements `Projection`: sets the events and the name of a projection.
///
/// The keys of `#[projection(…)]` are:
///
/// | key | meaning | default |
/// |---|---|---|
/// | `events = (A, B)` | the events: a type or a tuple of types | required |
/// | `name = "open_accounts"` | the name of the projection and its checkpoint: at most 200 bytes, no white space, no `/` | the name of the type in snake case |
/// | `version = 2` | the projection version; a higher one builds the read model again from the first event | 1 |
/// | `partitions = 4` | the number of partitions for its streams, from 1 to 1000 | 1 |
/// | `crate = path` | the path to the framework | `::factum` |
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum AccountEvent { Opened }
/// #[derive(Projection)]
/// #[projection(events = AccountEvent, version = 2)]
/// struct OpenAccounts { count: u64 }
///
/// assert_eq!((OpenAccounts::NAME, OpenAccounts::VERSION), ("open_accounts", 2));
/// ```
#[proc_macro_derive(Projection, attributes(projection))]
pub fn projection(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    projection::derive(&input).into()
}

/// Implements `ProcessManager`: sets the events, the commands and the ids of its process instances.
///
/// The keys of `#[process_manager(…)]` are:
///
/// | key | meaning | default |
/// |---|---|---|
/// | `id = Uuid` | the type of the ids of its process instances, which must implement `Display` | required |
/// | `events = (A, B)` | the events: a type or a tuple of types | required |
/// | `commands = (C, D)` | the commands that it may send: a type, a tuple of types, or `()` | required |
/// | `name = "fulfilment"` | the name: at most 128 bytes, no white space, no `/` | the name of the type in snake case |
/// | `version = 2` | the schema version of the state; increase it when the fields change | 1 |
/// | `upcast = [v1_to_v2]` | the upcasters of the state, one function for each step from version 1 | none |
/// | `crate = path` | the path to the framework | `::factum` |
///
/// The type must implement `Default` (the state of a new process instance), `Clone`, `Serialize` and `Deserialize`,
/// `Apply` and `React` for each type of events, and `Respond`. The commands must implement `Serialize` and
/// `Deserialize`.
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum LampEvent { Lit { lamp: u32 } }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "lamp", id = u32, event = LampEvent)]
/// # struct Lamp;
/// # impl Apply<LampEvent> for Lamp { fn apply(&mut self, _: &LampEvent) {} }
/// # #[derive(Command, Serialize, Deserialize)]
/// # #[command(on = Lamp)]
/// # struct PutOut { #[id] lamp: u32 }
/// # impl Decide for PutOut {
/// #     type Error = std::convert::Infallible;
/// #     fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> { Ok(Events::none()) }
/// # }
/// #[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
/// #[process_manager(id = u32, events = LampEvent, commands = PutOut)]
/// struct NightWatch;
///
/// # impl Apply<LampEvent> for NightWatch { fn apply(&mut self, _: &LampEvent) {} }
/// # impl React<LampEvent> for NightWatch {
/// #     fn correlate(event: &Recorded<LampEvent>) -> Correlation<u32> {
/// #         let LampEvent::Lit { lamp } = event.event;
/// #         Correlation::Starts(lamp)
/// #     }
/// #     fn react(&self, event: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
/// #         let LampEvent::Lit { lamp } = event.event;
/// #         then.send(PutOut { lamp }).complete();
/// #     }
/// # }
/// # impl Respond for NightWatch {
/// #     fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}
/// #     fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
/// # }
/// assert_eq!((NightWatch::NAME, NightWatch::VERSION), ("night_watch", 1));
/// ```
#[proc_macro_derive(ProcessManager, attributes(process_manager))]
pub fn process_manager(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    process_manager::derive(&input).into()
}

/// Implements the traits of an id for a struct with one unnamed field.
///
/// The traits are `Display`, `FromStr`, `Serialize` and `Deserialize`, which use the impls of the inner type, and
/// `From` in both directions. Do not derive `Serialize` or `Deserialize` as well.
///
/// `#[id(crate = path)]` sets the path to the framework; the default is `::factum`.
///
/// ```
/// use factum::Id;
///
/// #[derive(Id, Debug, Clone, PartialEq)]
/// struct LampId(u32);
///
/// assert_eq!("7".parse::<LampId>().unwrap(), LampId(7));
/// assert_eq!(LampId::from(7).to_string(), "7");
/// ```
#[proc_macro_derive(Id, attributes(id))]
pub fn id(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    id::derive(&input).into()
}
