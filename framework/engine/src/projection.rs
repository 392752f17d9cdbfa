//! [`Projection`] and [`Project`]: read models built from events.

use crate::error::DecodeError;
use crate::event::Event;
use crate::event_set::EventSet;
use crate::record::DecodeEvent as _;
use crate::record::{Recorded, RecordedEvent};

/// Builds a read model from events.
///
/// Derive it, with the keys of `#[projection(…)]`; write [`Project`] by hand, for a read model
/// in memory (`InMemory`), or `SqliteProject`, `PostgresProject` of the adapters for one in tables.
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum AccountEvent { Opened { owner: String }, Closed }
/// /// How many accounts are open.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    label = "not a projection",
    note = "write `#[derive(Projection)]` and `#[projection(name = \"…\", events = …)]` on it"
)]
pub trait Projection: Send + Sync + 'static {
    /// Its name: one checkpoint and one status go by it.
    const NAME: &'static str;
    /// The version of the read model: raised, it is built anew from the first event.
    const VERSION: u32;
    /// What it is, in its documentation comment.
    const DOC: &'static str = "";
    /// Over how many partitions its streams are spread: they are worked on at the same time, and by several instances; the
    /// events of one stream stay in order. Another number counts from the next build on.
    const PARTITIONS: u16 = 1;
    /// The events that it takes.
    type Events: EventSet;
}

/// What one event does to a read model in memory.
///
/// Pure, like [`Apply`](crate::aggregate::Apply): a rebuild takes the same events in the same order.
#[diagnostic::on_unimplemented(
    message = "the projection `{Self}` does not say what `{E}` does to it",
    label = "`impl Project<{E}> for {Self}` is missing",
    note = "write `impl Project<{E}> for {Self} {{ fn project(&mut self, event: &Recorded<{E}>) {{ … }} }}`"
)]
pub trait Project<E: Event>: Projection {
    /// Takes `event` into the read model.
    fn project(&mut self, event: &Recorded<E>);
}

/// The event types of the projection `P`, as [`EventSet::Each`] lists them.
pub type EventsOf<P> = <<P as Projection>::Events as EventSet>::Each;

/// A read model in memory that takes each event of the list `L`, which is [`EventsOf`] it; implemented for whatever
/// implements [`Project`] for each of them.
pub trait ProjectSet<L>: Projection {
    /// Decodes `record`; what comes back takes the event into the read model.
    ///
    /// # Errors
    /// [`DecodeError`] if the record cannot be read.
    fn prepare(record: &RecordedEvent) -> Result<Effect<Self>, DecodeError>;
}

/// A decoded event, ready to be taken into the read model `P`.
pub type Effect<P> = Box<dyn FnOnce(&mut P) + Send>;

impl<P: Projection> ProjectSet<()> for P {
    fn prepare(record: &RecordedEvent) -> Result<Effect<P>, DecodeError> {
        Err(DecodeError::unknown(record))
    }
}

impl<P, E: Event, L> ProjectSet<(E, L)> for P
where
    P: Project<E> + ProjectSet<L>,
{
    fn prepare(record: &RecordedEvent) -> Result<Effect<P>, DecodeError> {
        if !record.is_a::<E>() {
            return <P as ProjectSet<L>>::prepare(record);
        }
        let (events, record) = (record.decode_all()?, record.clone());
        Ok(Box::new(move |projection| {
            let mut next = Some(record);
            let mut events = events.peekable();
            while let (Some(event), Some(record)) = (events.next(), next.take()) {
                // For the last event, which is most often the only one, nothing is copied.
                next = events.peek().is_some().then(|| record.clone());
                projection.project(&Recorded { event, record });
            }
        }))
    }
}
