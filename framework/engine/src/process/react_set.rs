//! [`ReactSet`]: one event type, or a tuple of several, as a process manager takes them.

use super::{Correlation, ProcessManager, React, Reactions};
use crate::error::DecodeError;
use crate::event::Event;
use crate::event_set::{EventSet, has_name};
use crate::record::DecodeEvent as _;
use crate::record::{Recorded, RecordedEvent};

/// A process manager that takes every event of a set; implemented for whatever implements [`React`] for each of them.
#[diagnostic::on_unimplemented(
    message = "the process manager `{Self}` does not react to every event of `{S}`",
    note = "write `impl React<…> for {Self}` for each event type of the set"
)]
pub trait ReactSet<S: EventSet>: ProcessManager {
    /// Decodes `record`; what comes back says of each event that it stands for which instance it is for, and does it,
    /// in this order.
    ///
    /// # Errors
    /// [`DecodeError`] if the record cannot be read.
    fn prepare(record: &RecordedEvent) -> Result<Vec<Reaction<Self>>, DecodeError>;
}

/// What an event means to the process manager `P`.
pub struct Reaction<P: ProcessManager> {
    /// Which instance it is for.
    pub correlation: Correlation<P::Id>,
    /// Takes the event into the state, and reacts.
    pub effect: Input<P>,
}

/// Something that happens to a process manager.
pub type Input<P> = Box<dyn FnOnce(&mut P, &mut Reactions<P>) + Send>;

impl<P: React<E>, E: Event> ReactSet<E> for P {
    fn prepare(record: &RecordedEvent) -> Result<Vec<Reaction<P>>, DecodeError> {
        let events = record.decode_all()?;
        let reactions = events.map(|event| {
            let record = record.clone();
            let event: Recorded<E> = Recorded { event, record };
            Reaction {
                correlation: P::correlate(&event),
                effect: Box::new(move |process: &mut P, then: &mut Reactions<P>| {
                    process.apply(&event.event);
                    process.react(&event, then);
                }) as Input<P>,
            }
        });
        Ok(reactions.collect())
    }
}

macro_rules! react_set {
    ($first:ident $(, $rest:ident)+) => {
        impl<P, $first: Event $(, $rest: Event)+> ReactSet<($first, $($rest,)+)> for P
        where
            P: React<$first> $(+ React<$rest>)+,
        {
            fn prepare(record: &RecordedEvent) -> Result<Vec<Reaction<P>>, DecodeError> {
                $(if has_name::<$rest>(&record.name) {
                    return <P as ReactSet<$rest>>::prepare(record);
                })+
                <P as ReactSet<$first>>::prepare(record)
            }
        }
    };
}

react_set!(A, B);
react_set!(A, B, C);
react_set!(A, B, C, D);
react_set!(A, B, C, D, E);
react_set!(A, B, C, D, E, F);
