//! [`Projection`] and [`Project`]: read models that are built from events.

use crate::domain::error::DecodeError;
use crate::domain::event::Event;
use crate::domain::event_set::{EventSet, has_name};
use crate::domain::record::{DecodeEvent as _, Recorded, RecordedEvent};

/// Builds a read model from events.
///
/// Derive it, with the [keys of `#[projection(…)]`][keys]. Then implement [`Project`] for a read model in memory, or
/// the projection trait of an adapter for a read model in tables.
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum AccountEvent { Opened { owner: String }, Closed }
/// /// The number of open accounts.
/// #[derive(Projection, Default)]
/// #[projection(name = "open_accounts", events = AccountEvent)]
/// struct OpenAccounts { count: u64 }
///
/// impl Project<AccountEvent> for OpenAccounts {
///     fn project(&mut self, event: &Recorded<AccountEvent>) {
///         match event.event {
///             AccountEvent::Opened { .. } => self.count += 1,
///             AccountEvent::Closed => self.count -= 1,
///         }
///     }
/// }
/// ```
///
/// [keys]: https://docs.rs/factum/latest/factum/derive.Projection.html
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    label = "not a projection",
    note = "write `#[derive(Projection)]` and `#[projection(name = \"…\", events = …)]` on it"
)]
pub trait Projection: Send + Sync + 'static {
    /// The name, which identifies the checkpoint and the status.
    const NAME: &'static str;
    /// The version of the read model. If it is raised, the read model is rebuilt from the first event.
    const VERSION: u32;
    /// The documentation comment of the type.
    const DOC: &'static str = "";
    /// The number of partitions, which run in parallel and on several nodes.
    ///
    /// The events of one stream stay in order. A changed number takes effect with the next build.
    const PARTITIONS: u16 = 1;
    /// The events that the projection handles.
    type Events: EventSet;
}

/// Changes a read model in memory by one event.
///
/// It must be pure, because a rebuild projects the same events in the same order.
#[diagnostic::on_unimplemented(
    message = "the projection `{Self}` does not say what `{E}` does to it",
    label = "`impl Project<{E}> for {Self}` is missing",
    note = "write `impl Project<{E}> for {Self} {{ fn project(&mut self, event: &Recorded<{E}>) {{ … }} }}`"
)]
pub trait Project<E: Event>: Projection {
    /// Projects `event` into the read model.
    fn project(&mut self, event: &Recorded<E>);
}

/// The events of the projection `P`, as a list in the form of [`EventSet::Each`].
pub type EventsOf<P> = <<P as Projection>::Events as EventSet>::Each;

/// A projection in memory that handles every event of the list `L`.
///
/// `L` is [`EventsOf`] the projection. It is implemented for every type that implements [`Project`] for each event of
/// the list.
pub trait ProjectSet<L>: Projection {
    /// Returns whether an event of the list is stored under `name`, apart from retired event types.
    fn reads(name: &str) -> bool;

    /// Decodes `record` and returns its effect on the read model.
    ///
    /// # Errors
    /// Returns [`DecodeError`] if the record cannot be decoded.
    fn prepare(record: &RecordedEvent) -> Result<Effect<Self>, DecodeError>;
}

/// The effect of a decoded record on the read model `P`.
pub type Effect<P> = Box<dyn FnOnce(&mut P) + Send>;

impl<P: Projection> ProjectSet<()> for P {
    fn reads(_: &str) -> bool {
        false
    }

    fn prepare(record: &RecordedEvent) -> Result<Effect<P>, DecodeError> {
        Err(DecodeError::unknown(record))
    }
}

impl<P, E: Event, L> ProjectSet<(E, L)> for P
where
    P: Project<E> + ProjectSet<L>,
{
    fn reads(name: &str) -> bool {
        has_name::<E>(name) || <P as ProjectSet<L>>::reads(name)
    }

    fn prepare(record: &RecordedEvent) -> Result<Effect<P>, DecodeError> {
        // An event type that one event has retired may be in use in another.
        let is_retired = || !<P as ProjectSet<L>>::reads(&record.name) && record.is_a::<E>();
        if !has_name::<E>(&record.name) && !is_retired() {
            return <P as ProjectSet<L>>::prepare(record);
        }
        let (events, record) = (record.decode_all()?, record.clone());
        Ok(Box::new(move |projection| {
            let mut next = Some(record);
            let mut events = events.peekable();
            while let (Some(event), Some(record)) = (events.next(), next.take()) {
                // The last event, usually the only one, needs no copy of the record.
                next = events.peek().is_some().then(|| record.clone());
                projection.project(&Recorded { event, record });
            }
        }))
    }
}
