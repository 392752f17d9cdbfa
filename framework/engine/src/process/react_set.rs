//! [`ReactSet`]: the events that a process manager handles.

use super::process_manager::{Correlation, ProcessManager};
use super::react::React;
use super::reactions::Reactions;
use crate::error::DecodeError;
use crate::event::Event;
use crate::event_set::{EventSet, has_name};
use crate::record::DecodeEvent as _;
use crate::record::{Recorded, RecordedEvent};

/// A process manager that handles every event of a set.
///
/// The trait is implemented for types that implement [`React`] for each event of the set.
#[diagnostic::on_unimplemented(
    message = "the process manager `{Self}` does not react to every event of `{S}`",
    note = "write `impl React<…> for {Self}` for each event type of the set"
)]
pub trait ReactSet<S: EventSet>: ProcessManager {
    /// Decodes `record`, and returns the instance and the effect of each event that it represents.
    ///
    /// The effects are in the order of the events.
    ///
    /// # Errors
    /// Returns [`DecodeError`] if the record cannot be decoded.
    fn prepare(record: &RecordedEvent) -> Result<Vec<Reaction<Self>>, DecodeError>;
}

/// The effect of an event on an instance of the process manager `P`.
pub struct Reaction<P: ProcessManager> {
    /// The instance.
    pub correlation: Correlation<P::Id>,
    /// Applies the event to the state, and adds the reactions.
    pub effect: Input<P>,
}

/// A change of the state of a process manager, and its reactions.
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
