//! [`EventSet`]: one event type, or a tuple of several, for projections and DCB queries.

use factum_core::record::RecordedEvent;

use crate::domain::aggregate::Apply;
use crate::domain::error::DecodeError;
use crate::domain::event::{Event, EventType};
use crate::domain::event_form::EventForm;
use crate::domain::record::DecodeEvent as _;

#[doc(hidden)]
pub use crate::domain::distinct::{distinct_commands, distinct_events, equal};
#[doc(hidden)]
pub use crate::domain::event::{StoredNames, has_name};

/// An event enum, or a tuple of up to six; each alone, or as [`Recorded`](EventForm) with its record.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an event nor a tuple of up to six events",
    label = "not a set of events",
    note = "write `#[derive(Event, Serialize, Deserialize)]` on each event type"
)]
pub trait EventSet: Send + Sync + 'static {
    /// The events of the set as a nested list, for example `(A, (B, ()))`.
    ///
    /// A trait that is implemented for `()`, and for `(E, L)` if `L` implements it, covers sets of every length.
    type Each: Send + Sync + 'static;

    /// The event types of each event of the set, without aliases and legacy event types.
    const EVENT_TYPES: &'static [&'static [EventType]];
    /// Fails to compile if two events of the set share a stored name, because the wrong one would read it.
    #[doc(hidden)]
    const DISTINCT: () = ();

    /// Returns all event types in the set, with aliases and legacy event types.
    fn names() -> Vec<&'static str>;
}

/// A state that every event of a set changes.
///
/// It is implemented for every type that implements [`Apply`] for each event of the set.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how every event of `{S}` changes it",
    note = "write `impl Apply<…> for {Self}` for each event type of the set"
)]
pub trait ApplySet<S: EventSet> {
    /// Applies the event in `record` to the state.
    ///
    /// # Errors
    /// Returns [`DecodeError`] if the record cannot be decoded. The state is then unchanged.
    fn apply_record(&mut self, record: &RecordedEvent) -> Result<(), DecodeError>;
}

impl<F: EventForm> EventSet for F {
    type Each = (F::Event, ());

    const EVENT_TYPES: &'static [&'static [EventType]] = &[<F::Event as Event>::TYPES];

    fn names() -> Vec<&'static str> {
        let types = <F::Event as Event>::TYPES.iter();
        let current =
            types.flat_map(|kind| [kind.name].into_iter().chain(kind.aliases.iter().copied()));
        let mut names: Vec<_> = current.collect();
        for legacy in <F::Event as Event>::LEGACY
            .iter()
            .flat_map(|legacy| (legacy.names)())
        {
            if !names.contains(&legacy) {
                names.push(legacy);
            }
        }
        names
    }
}

impl<T: Apply<F>, F: EventForm> ApplySet<F> for T {
    fn apply_record(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
        let events = record.decode_all()?;
        events.for_each(|event| self.apply(&F::stored(event, record)));
        Ok(())
    }
}

macro_rules! each {
    () => { () };
    ($first:ident $(, $rest:ident)*) => { ($first::Event, each!($($rest),*)) };
}

macro_rules! event_set {
    ($first:ident $(, $rest:ident)+) => {
        impl<$first: EventForm $(, $rest: EventForm)+> EventSet for ($first, $($rest,)+) {
            type Each = each!($first $(, $rest)+);

            const EVENT_TYPES: &'static [&'static [EventType]] = &[
                <$first::Event as Event>::TYPES $(, <$rest::Event as Event>::TYPES)+
            ];
            const DISTINCT: () = distinct_events(&[
                <$first::Event as Event>::STORED_NAMES $(, <$rest::Event as Event>::STORED_NAMES)+
            ]);

            fn names() -> Vec<&'static str> {
                let () = Self::DISTINCT;
                let mut names = <$first as EventSet>::names();
                $(names.extend(<$rest as EventSet>::names());)+
                names
            }
        }

        impl<T, $first: EventForm $(, $rest: EventForm)+> ApplySet<($first, $($rest,)+)> for T
        where
            T: Apply<$first> $(+ Apply<$rest>)+,
        {
            fn apply_record(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
                $(if has_name::<$rest::Event>(&record.name) {
                    return <T as ApplySet<$rest>>::apply_record(self, record);
                })+
                <T as ApplySet<$first>>::apply_record(self, record)
            }
        }
    };
}

event_set!(A, B);
event_set!(A, B, C);
event_set!(A, B, C, D);
event_set!(A, B, C, D, E);
event_set!(A, B, C, D, E, F);
