//! [`EventSet`]: one event type, or a tuple of several, as a projection or a tag query names them.

use crate::aggregate::Apply;
use crate::error::DecodeError;
use crate::event::Event;
use crate::record::DecodeEvent as _;
use crate::record::RecordedEvent;

/// One event type, or a tuple of up to six.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an event nor a tuple of up to six events",
    label = "not a set of events",
    note = "write `#[derive(Event, Serialize, Deserialize)]` on each event type"
)]
pub trait EventSet: Send + Sync + 'static {
    /// Its event types, one in front of the rest: `(A, (B, ()))`. A trait that holds for `()`, and for `(E, L)` where
    /// something holds for `E` and the trait for `L`, holds for sets of every length.
    type Each: Send + Sync + 'static;

    /// The stored names of all events in the set, former names included.
    fn names() -> Vec<&'static str>;
}

/// A state that every event of a set can change; implemented for whatever implements [`Apply`] for each
/// of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how every event of `{S}` changes it",
    note = "write `impl Apply<…> for {Self}` for each event type of the set"
)]
pub trait ApplySet<S: EventSet> {
    /// Takes the event that `record` holds into the state.
    ///
    /// # Errors
    /// [`DecodeError`] if the record cannot be read; the state is unchanged.
    fn apply_record(&mut self, record: &RecordedEvent) -> Result<(), DecodeError>;
}

impl<E: Event> EventSet for E {
    type Each = (E, ());

    fn names() -> Vec<&'static str> {
        let types = E::TYPES.iter();
        let today =
            types.flat_map(|kind| [kind.name].into_iter().chain(kind.aliases.iter().copied()));
        let mut names: Vec<_> = today.collect();
        for legacy in E::LEGACY.iter().flat_map(|legacy| (legacy.names)()) {
            if !names.contains(&legacy) {
                names.push(legacy);
            }
        }
        names
    }
}

impl<T: Apply<E>, E: Event> ApplySet<E> for T {
    fn apply_record(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
        record.decode_all()?.for_each(|event| self.apply(&event));
        Ok(())
    }
}

/// Whether an event type has, or had, this stored name.
#[doc(hidden)]
#[must_use]
pub fn has_name<E: Event>(name: &str) -> bool {
    E::TYPES.iter().any(|kind| kind.is_stored_as(name))
        || (E::LEGACY.iter()).any(|legacy| (legacy.names)().contains(&name))
}

macro_rules! each {
    () => { () };
    ($first:ident $(, $rest:ident)*) => { ($first, each!($($rest),*)) };
}

macro_rules! event_set {
    ($first:ident $(, $rest:ident)+) => {
        impl<$first: Event $(, $rest: Event)+> EventSet for ($first, $($rest,)+) {
            type Each = each!($first $(, $rest)+);

            fn names() -> Vec<&'static str> {
                let mut names = <$first as EventSet>::names();
                $(names.extend(<$rest as EventSet>::names());)+
                names
            }
        }

        impl<T, $first: Event $(, $rest: Event)+> ApplySet<($first, $($rest,)+)> for T
        where
            T: Apply<$first> $(+ Apply<$rest>)+,
        {
            fn apply_record(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
                $(if has_name::<$rest>(&record.name) {
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
