//! What a process manager's type tells of it.

use factum_engine::event::{Event, EventType};
use factum_engine::event_set::EventSet;
use factum_engine::process::{CommandSet as _, ProcessManager};

use super::rust_name;

/// An [`EventSet`] that a catalog can show type by type. Every set of the framework is one.
#[diagnostic::on_unimplemented(
    message = "a catalog cannot show the events of `{Self}`",
    note = "name an event type, or a tuple of up to six"
)]
pub trait Listed {
    #[doc(hidden)]
    fn list(types: &mut Vec<Taken>);
}

/// A type of events, and its events.
#[doc(hidden)]
#[derive(Debug)]
pub struct Taken {
    pub name: String,
    pub kinds: &'static [EventType],
}

type EventsOf<P> = <<P as ProcessManager>::Events as EventSet>::Each;

#[derive(Debug)]
pub struct ProcessManagerEntry {
    pub name: &'static str,
    pub version: u32,
    pub doc: &'static str,
    pub takes: Vec<Taken>,
    pub commands: Vec<&'static str>,
}

impl ProcessManagerEntry {
    pub fn of<P: ProcessManager>() -> Self
    where
        EventsOf<P>: Listed,
    {
        let mut takes = Vec::new();
        EventsOf::<P>::list(&mut takes);
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
    pub fn events(&self) -> impl Iterator<Item = &'static str> {
        let kinds = self.takes.iter().flat_map(|taken| taken.kinds);
        kinds.map(|kind| kind.name)
    }

    pub fn takes(&self, event: &str) -> bool {
        self.events().any(|name| name == event)
    }
}

impl Listed for () {
    fn list(_: &mut Vec<Taken>) {}
}

impl<E: Event, L: Listed> Listed for (E, L) {
    fn list(types: &mut Vec<Taken>) {
        types.push(Taken {
            name: rust_name::<E>(),
            kinds: E::TYPES,
        });
        L::list(types);
    }
}
