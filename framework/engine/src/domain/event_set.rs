//! [`EventSet`]: one event type, or a tuple of several, for projections and DCB queries.

use factum_core::record::RecordedEvent;

use crate::domain::aggregate::Apply;
use crate::domain::error::DecodeError;
use crate::domain::event::Event as _;
use crate::domain::event_form::EventForm as _;
use crate::domain::event_selection::SelectedEvent;
use crate::domain::record::DecodeEvent as _;

#[doc(hidden)]
pub use crate::domain::distinct::{distinct_commands, distinct_events, equal};
#[doc(hidden)]
pub use crate::domain::event::{StoredNames, has_name};
#[doc(hidden)]
pub use crate::domain::event_selection::{EventSelection, SelectedTypes, Variants, variant_mask};

/// An event enum, or a tuple of up to six.
///
/// Each enum stands alone, or as [`Recorded`](crate::record::Recorded) with its record.
/// The set of a DCB query can contain some variants of an enum: `events = AccountEvent::{Opened, Closed}`.
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

    /// The event types of the set, without legacy event types.
    #[doc(hidden)]
    const SELECTED: &'static [SelectedTypes];
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

impl<F: EventSelection> EventSet for F {
    type Each = (SelectedEvent<F>, ());

    const SELECTED: &'static [SelectedTypes] = &[F::SELECTION];

    fn names() -> Vec<&'static str> {
        let mut names = Vec::new();
        for selected in F::SELECTION.iter() {
            names.push(selected.name);
            names.extend(selected.aliases);
        }
        for legacy in SelectedEvent::<F>::LEGACY
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

impl<T: Apply<F::Form>, F: EventSelection> ApplySet<F> for T {
    fn apply_record(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
        let events = record.decode_all::<SelectedEvent<F>>()?;
        let selected = events.filter(|event| F::selects(event));
        selected.for_each(|event| self.apply(&F::Form::stored(event, record)));
        Ok(())
    }
}

macro_rules! each {
    () => { () };
    ($first:ident $(, $rest:ident)*) => { (SelectedEvent<$first>, each!($($rest),*)) };
}

macro_rules! event_set {
    ($first:ident $(, $rest:ident)+) => {
        impl<$first: EventSelection $(, $rest: EventSelection)+> EventSet for ($first, $($rest,)+) {
            type Each = each!($first $(, $rest)+);

            const SELECTED: &'static [SelectedTypes] = &[$first::SELECTION $(, $rest::SELECTION)+];
            const DISTINCT: () = distinct_events(&[
                SelectedEvent::<$first>::STORED_NAMES $(, SelectedEvent::<$rest>::STORED_NAMES)+
            ]);

            fn names() -> Vec<&'static str> {
                let () = Self::DISTINCT;
                let mut names = <$first as EventSet>::names();
                $(names.extend(<$rest as EventSet>::names());)+
                names
            }
        }

        impl<T, $first: EventSelection $(, $rest: EventSelection)+> ApplySet<($first, $($rest,)+)> for T
        where
            T: Apply<$first::Form> $(+ Apply<$rest::Form>)+,
        {
            fn apply_record(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
                $(if has_name::<SelectedEvent<$rest>>(&record.name) {
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
