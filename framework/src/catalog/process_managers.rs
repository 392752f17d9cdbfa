//! What a process manager's type tells of it.

use crate::event::{Event, EventType};
use crate::event_set::EventSet;
use crate::process::{CommandSet as _, ProcessManager};

use super::rust_name;

/// An [`EventSet`] that a catalog can show type by type. Every set of the framework is one.
#[diagnostic::on_unimplemented(
    message = "a catalog cannot show the events of `{Self}`",
    note = "name an event type, or a tuple of up to six"
)]
pub trait Listed: EventSet {
    #[doc(hidden)]
    fn list(types: &mut Vec<Taken>);
}

/// A type of events, and its events.
#[doc(hidden)]
#[derive(Debug)]
pub struct Taken {
    pub(crate) name: String,
    pub(crate) kinds: &'static [EventType],
}

#[derive(Debug)]
pub(super) struct ProcessManagerEntry {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) doc: &'static str,
    pub(super) takes: Vec<Taken>,
    pub(super) commands: Vec<&'static str>,
}

impl ProcessManagerEntry {
    pub(super) fn of<P: ProcessManager>() -> Self
    where
        P::Events: Listed,
    {
        let mut takes = Vec::new();
        P::Events::list(&mut takes);
        let routes = P::Commands::routes().into_iter();
        Self {
            name: P::NAME,
            version: P::VERSION,
            doc: P::DOC,
            takes,
            commands: routes.map(|route| route.name).collect(),
        }
    }

    /// The names of the events that it takes.
    pub(super) fn events(&self) -> impl Iterator<Item = &'static str> {
        let kinds = self.takes.iter().flat_map(|taken| taken.kinds);
        kinds.map(|kind| kind.name)
    }

    pub(super) fn takes(&self, event: &str) -> bool {
        self.events().any(|name| name == event)
    }
}

impl<E: Event> Listed for E {
    fn list(types: &mut Vec<Taken>) {
        types.push(Taken {
            name: rust_name::<E>(),
            kinds: E::TYPES,
        });
    }
}

macro_rules! listed {
    ($($event:ident),+) => {
        impl<$($event: Event),+> Listed for ($($event,)+) {
            fn list(types: &mut Vec<Taken>) {
                $($event::list(types);)+
            }
        }
    };
}

listed!(A, B);
listed!(A, B, C);
listed!(A, B, C, D);
listed!(A, B, C, D, E);
listed!(A, B, C, D, E, F);
