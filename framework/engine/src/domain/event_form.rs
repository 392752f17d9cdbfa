//! [`EventForm`]: an event alone, or with its record.

use factum_core::personal;
use factum_core::record::RecordedEvent;

use crate::domain::event::Event;
use crate::domain::record::Recorded;

/// The form in which a function receives an event: alone, or as [`Recorded`] with its record.
///
/// It is implemented for every event `E` and for `Recorded<E>`. Name the second form where a function needs the position,
/// the time or the metadata of an event:
///
/// - `#[aggregate(event = Recorded<E>)]` with `impl Apply<Recorded<E>>`
/// - `#[command(events = Recorded<E>)]` for the state of a DCB query
/// - `#[event(legacy = [Recorded<Old>])]` with `impl LegacyEvent<E> for Recorded<Old>`
///
/// ```
/// use factum::prelude::*;
/// use factum::Timestamp;
/// use std::time::Duration;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum LoanEvent { Lent, Returned }
/// #[derive(Aggregate, Default, Clone)]
/// #[aggregate(category = "loan", id = u32, event = Recorded<LoanEvent>)]
/// struct Loan { due: Option<Timestamp> }
///
/// impl Apply<Recorded<LoanEvent>> for Loan {
///     fn apply(&mut self, event: &Recorded<LoanEvent>) {
///         self.due = match **event {
///             LoanEvent::Lent => Some(event.record.recorded_at + Duration::from_hours(14 * 24)),
///             LoanEvent::Returned => None,
///         };
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "write `#[derive(Event, Serialize, Deserialize)]` on it"
)]
pub trait EventForm: Sized + Send + Sync + 'static {
    /// The event.
    type Event: Event;
    /// Whether the form needs the record, which exists only after the event is stored.
    const NEEDS_RECORD: bool;

    /// Returns the form of an event that is stored as `record`.
    fn stored(event: Self::Event, record: &RecordedEvent) -> Self;

    /// Returns the form of an event that is not stored yet; `None` if the form needs the record.
    fn pending(event: Self::Event) -> Option<Self>;
}

impl<E: Event> EventForm for E {
    type Event = E;
    const NEEDS_RECORD: bool = false;

    fn stored(event: E, _record: &RecordedEvent) -> E {
        event
    }

    fn pending(event: E) -> Option<E> {
        Some(event)
    }
}

impl<E: Event> EventForm for Recorded<E> {
    type Event = E;
    const NEEDS_RECORD: bool = true;

    fn stored(event: E, record: &RecordedEvent) -> Self {
        let mut record = record.clone();
        // A store adds these tags when it encrypts an event, so a new event has none of them.
        record.tags.retain(|tag| {
            let rest = tag.as_str().strip_prefix(personal::TAG);
            !rest.is_some_and(|rest| rest.starts_with(':'))
        });
        Self { event, record }
    }

    fn pending(_event: E) -> Option<Self> {
        None
    }
}
