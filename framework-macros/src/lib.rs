//! The derives of [`factum`](https://docs.rs/factum), which re-exports each beside its trait.
//!
//! | derive | on | attributes |
//! |---|---|---|
//! | [`Event`](macro@Event) | an enum or a struct | `#[event(…)]`, `#[tag]`, `#[personal]` |
//! | [`Aggregate`](macro@Aggregate) | a struct or an enum | `#[aggregate(…)]` |
//! | [`Command`](macro@Command) | a struct | `#[command(…)]`, `#[id]`, `#[tag]` |
//! | [`Projection`](macro@Projection) | a struct or an enum | `#[projection(…)]` |
//! | [`ProcessManager`](macro@ProcessManager) | a struct or an enum | `#[process_manager(…)]` |
//! | [`Id`](macro@Id) | a struct around one value | `#[id(crate = …)]` |
//!
//! A derive writes one impl of the trait of its name and nothing else: what the impl does, it does by
//! calling functions of the framework. An attribute takes each key once, and rejects those that it does
//! not know. No derive takes a type with parameters.
//!
//! Every derive takes `crate = path`, for where the framework goes by another name than `::factum`.

mod aggregate;
mod attr;
mod command;
mod errors;
mod event;
mod field;
mod id;
mod item;
mod naming;
mod process_manager;
mod projection;
mod value;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Names the facts of an enum, or the one fact that a struct is, and stores them under these names.
///
/// `#[event(…)]` takes
///
/// | key | on | meaning | default |
/// |---|---|---|---|
/// | `prefix = "account"` | the type | stands before the names that are not written out | none |
/// | `name = "account.opened"` | a variant, a struct | the whole stored name | `prefix.snake_case_of_its_name` |
/// | `version = 3` | a variant, a struct | the version of the stored form | 1 |
/// | `upcast = [v1_to_v2, v2_to_v3]` | a variant, a struct | the way up from older forms: one function for each version below; without brackets if it is one | none |
/// | `alias = "account.begun"` | a variant, a struct | the names under which it was stored before, which are read as ever; several in brackets | none |
/// | `legacy = [OpenedV1]` | the type | types of events that are not stored any more; each says by `LegacyEvent` which of today's events it stands for | none |
/// | `retired = ["account.nudged"]` | the type | stored names that are skipped wherever they are met | none |
/// | `crate = path` | the type | where the framework is | `::factum` |
///
/// `#[tag]` on a field tags the event with its value, under the field's name; `#[tag("course")]` under
/// another one. The type of the field is `Display`.
///
/// `#[personal(subject = customer)]` on a field says that it holds personal data of the subject whose id the field
/// `customer` of the same event holds, which is `Display`; `#[personal]` alone, that the subject is who the stream is
/// about, and its id the stream's key. The type of the field is `factum::privacy::Redacted`. Only a
/// `factum::privacy::PersonalDataStore` takes such events.
///
/// A stored name is a contract with the events already stored: keep it with `name = "…"` when the
/// Rust name changes. The fields of a variant are stored as serde writes them, so serde's attributes on
/// fields work as ever; those which change the shape of the enum (`tag`, `untagged`, `skip` on a variant
/// and their like) are rejected.
///
/// ```
/// use factum::{Event, UpcastError};
/// use serde::{Deserialize, Serialize};
/// use serde_json::Value;
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(prefix = "course")]
/// enum CourseEvent {
///     Opened { #[tag] course: u32 },       // course.opened, with the tag course:…
///     #[event(version = 2, upcast = count_seats)]
///     SeatsAdded { seats: u32 },           // course.seats_added, in its second form
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
/// let names: Vec<_> = CourseEvent::TYPES.iter().map(|kind| kind.name).collect();
/// assert_eq!(names, ["course.opened", "course.seats_added", "course.shut"]);
/// assert_eq!(CourseEvent::Opened { course: 7 }.tags().unwrap()[0].as_str(), "course:7");
/// ```
#[proc_macro_derive(Event, attributes(event, tag, personal, serde))]
pub fn event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    event::derive(&input).into()
}

/// Says which streams a state is folded from.
///
/// `#[aggregate(…)]` takes
///
/// | key | meaning | default |
/// |---|---|---|
/// | `category = "account"` | the category of its streams: at most 64 bytes, no `-`, no white space | required |
/// | `id = Uuid` | the type of its id, which is `Display` | required |
/// | `event = AccountEvent` | the type of its events | required |
/// | `snapshot(every = 100)` | a snapshot every so many events; the state is `Serialize` and `Deserialize` | none |
/// | `snapshot(every = 100, version = 2)` | … in this version of the state's form: raise it when the fields change | 1 |
/// | `crate = path` | where the framework is | `::factum` |
///
/// The type is `Default` (the state before the first event) and `Clone`, and implements `Apply` for its
/// events.
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

/// Says what a command looks at: which fields hold the ids and the tags of it.
///
/// `#[command(…)]` takes
///
/// | key | meaning | default |
/// |---|---|---|
/// | `on = Account` | what it looks at: an aggregate, a tuple of two to four, or a `Vec` of one | required |
/// | `query = Seats` | a state that a tag query folds, beside | none |
/// | `events = (A, B)` | the events that the tag query takes: a type or a tuple of types | those of the one aggregate in `on` |
/// | `name = "withdraw"` | its name in traces, and where a process manager or a deadline keeps it | the name of the struct |
/// | `version = 2` | the version of its form: raise it when the fields change, where it is kept until it is executed | 1 |
/// | `upcast = [v1_to_v2]` | the way up from older forms: one function for each version below | none |
/// | `crate = path` | where the framework is | `::factum` |
///
/// and the fields take
///
/// | attribute | meaning |
/// |---|---|
/// | `#[id]` | which aggregate: one field for each element of a tuple, in its order; one field otherwise, which holds the list of ids for a `Vec` |
/// | `#[tag]`, `#[tag("course")]` | with `query`: the query finds the events with this tag, named by the field or by the text. At least one; several widen it |
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum LampEvent { Switched }
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
/// assert_eq!(Switch::NAME, "Switch");
/// assert_eq!(Swap { left: 1, right: 2 }.target(), (&1, &2));
/// assert_eq!(SwitchAll(vec![1, 2]).target(), &[1, 2]);
/// ```
#[proc_macro_derive(Command, attributes(command, id, tag))]
pub fn command(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    command::derive(&input).into()
}

/// Says which events a read model takes, and the name that its checkpoint goes by.
///
/// `#[projection(…)]` takes
///
/// | key | meaning | default |
/// |---|---|---|
/// | `events = (A, B)` | the events that it takes: a type or a tuple of types | required |
/// | `name = "open_accounts"` | its name: at most 200 bytes, no white space, no `/` | the type's name in snake case |
/// | `version = 2` | the version of the read model: raised, it is built anew | 1 |
/// | `partitions = 4` | over how many partitions its streams are spread, 1 to 1000 | 1 |
/// | `crate = path` | where the framework is | `::factum` |
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

/// Says which events a process manager takes, which commands it may send, and what tells its instances apart.
///
/// `#[process_manager(…)]` takes
///
/// | key | meaning | default |
/// |---|---|---|
/// | `id = Uuid` | the type of the ids of its instances, which is `Display` | required |
/// | `events = (A, B)` | the events that it takes: a type or a tuple of types | required |
/// | `commands = (C, D)` | the commands that it may send: a type, a tuple of types, or `()` | required |
/// | `name = "fulfilment"` | its name: at most 128 bytes, no white space, no `/` | the type's name in snake case |
/// | `version = 2` | the version of the state's form: raise it when the fields change | 1 |
/// | `upcast = [v1_to_v2]` | the way up from older forms: one function for each version below | none |
/// | `crate = path` | where the framework is | `::factum` |
///
/// The type is `Default` (the state of an instance that begins), `Clone`, `Serialize` and `Deserialize`. It implements
/// `Apply` and `React` for each type of events, and `Respond`. The commands derive `Serialize` and `Deserialize`.
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

/// Makes an id of its own of a struct around one value: `Display`, `FromStr`, `Serialize` and
/// `Deserialize` as that value, and `From` in both directions.
///
/// `#[id(crate = path)]` says where the framework is, if not at `::factum`. `Serialize` and
/// `Deserialize` are not to be derived beside it.
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
