//! [`DescribeEvents`]: the event types in an event set, grouped by Rust type.

use factum_engine::event::{Event, EventType};

use super::type_name::type_name;

/// The list of event types of an [`EventSet`](factum_engine::event_set::EventSet), for a catalog.
///
/// The lists of all event sets of the framework implement it.
#[diagnostic::on_unimplemented(
    message = "a catalog cannot describe the events of `{Self}`",
    note = "use an event type, or a tuple of up to six event types"
)]
pub trait DescribeEvents {
    /// Adds the event types to `groups`, one group for each Rust type.
    #[doc(hidden)]
    fn describe(groups: &mut Vec<EventGroup>);
}

/// The event types of one Rust type.
#[doc(hidden)]
#[derive(Debug)]
pub struct EventGroup {
    /// The name of the Rust type.
    pub name: String,
    /// The event types.
    pub event_types: &'static [EventType],
}

impl DescribeEvents for () {
    fn describe(_: &mut Vec<EventGroup>) {}
}

impl<E: Event, L: DescribeEvents> DescribeEvents for (E, L) {
    fn describe(groups: &mut Vec<EventGroup>) {
        groups.push(EventGroup {
            name: type_name::<E>(),
            event_types: E::TYPES,
        });
        L::describe(groups);
    }
}
