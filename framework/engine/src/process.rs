//! [`ProcessManager`]: reacts to events with commands and deadlines.

mod commands;
pub mod deadline_document;
mod inputs;
pub mod instance;
mod react_set;
mod reactions;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::Apply;
use crate::event::Event;
use crate::event_set::EventSet;
use crate::record::Recorded;
use crate::upcast::Upcaster;

pub use commands::CommandSet;
pub use commands::{Envelope, Outcome, Route};
pub use inputs::{Deadline, Rejection};
pub use react_set::{Input, ReactSet, Reaction};
pub use reactions::Order;
pub use reactions::{Reactions, When};

/// Reacts to events with commands and deadlines: keeps in mind, across streams and for as long as it takes, where one
/// case stands. Derive it, with the keys of `#[process_manager(…)]`; write [`Apply`],
/// [`React`] and [`Respond`] by hand.
///
/// Every case is an *instance*, with a state and an id of its own. An event [starts](Correlation::Starts) an instance,
/// or is for one that lives; it changes the state through [`Apply`]; then [`React`] says what follows: commands to
/// send, deadlines to set or to cancel, or that the instance is complete. What comes back to it, that a command was
/// rejected or a deadline has passed, it [responds](Respond) to.
///
/// All of it is pure, and takes effect together: the state, and what is to be done. Commands are executed by
/// `ProcessManagers`, each exactly once in effect, those of one instance in order.
///
/// ```
/// use std::time::Duration;
/// use factum::prelude::*;
///
/// # #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
/// # #[event(prefix = "order")]
/// # enum OrderEvent { Placed { order: u32, cents: u64 }, Cancelled { order: u32 } }
/// # #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
/// # #[event(prefix = "payment")]
/// # enum PaymentEvent { Received { order: u32 } }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "order", id = u32, event = OrderEvent)]
/// # struct Order;
/// # impl Apply<OrderEvent> for Order { fn apply(&mut self, _: &OrderEvent) {} }
/// # #[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
/// # #[command(on = Order)]
/// # struct RequestPayment { #[id] order: u32, cents: u64 }
/// # impl Decide for RequestPayment {
/// #     type Error = std::convert::Infallible;
/// #     fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> { Ok(Events::none()) }
/// # }
/// # #[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
/// # #[command(on = Order)]
/// # struct CancelOrder { #[id] order: u32 }
/// # impl Decide for CancelOrder {
/// #     type Error = std::convert::Infallible;
/// #     fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> { Ok(Events::none()) }
/// # }
/// /// An order is paid within thirty days, or cancelled.
/// #[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
/// #[process_manager(
///     id = u32,
///     events = (OrderEvent, PaymentEvent),
///     commands = (RequestPayment, CancelOrder),
/// )]
/// struct Fulfilment { order: u32 }
///
/// impl Apply<OrderEvent> for Fulfilment {
///     fn apply(&mut self, event: &OrderEvent) {
///         if let OrderEvent::Placed { order, .. } = event {
///             self.order = *order;
///         }
///     }
/// }
///
/// impl React<OrderEvent> for Fulfilment {
///     fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u32> {
///         match event.event {
///             OrderEvent::Placed { order, .. } => Correlation::Starts(order),
///             OrderEvent::Cancelled { order } => Correlation::Continues(order),
///         }
///     }
///
///     fn react(&self, event: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
///         match event.event {
///             OrderEvent::Placed { order, cents } => then
///                 .send(RequestPayment { order, cents })
///                 .deadline("payment", Duration::from_hours(30 * 24)),
///             OrderEvent::Cancelled { .. } => then.complete(),
///         };
///     }
/// }
///
/// # impl Apply<PaymentEvent> for Fulfilment { fn apply(&mut self, _: &PaymentEvent) {} }
/// impl React<PaymentEvent> for Fulfilment {
///     fn correlate(event: &Recorded<PaymentEvent>) -> Correlation<u32> {
///         let PaymentEvent::Received { order } = event.event;
///         Correlation::Continues(order)
///     }
///
///     fn react(&self, _: &Recorded<PaymentEvent>, then: &mut Reactions<Self>) {
///         then.complete();
///     }
/// }
///
/// impl Respond for Fulfilment {
///     fn rejected(&mut self, _: &Rejection, then: &mut Reactions<Self>) {
///         then.send(CancelOrder { order: self.order });
///     }
///
///     fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
///         then.send(CancelOrder { order: self.order });
///     }
/// }
///
/// let placed = OrderEvent::Placed { order: 7, cents: 990 };
/// factum_testkit::process::<Fulfilment>(7)
///     .when(placed.clone())
///     .then_sends([RequestPayment { order: 7, cents: 990 }])
///     .then_deadline("payment", Duration::from_hours(30 * 24));
/// factum_testkit::process::<Fulfilment>(7)
///     .given([placed])
///     .when_deadline("payment")
///     .then_sends([CancelOrder { order: 7 }]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process manager",
    label = "not a process manager",
    note = "write `#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]` and `#[process_manager(id = …, events = …, commands = …)]` on it"
)]
pub trait ProcessManager:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Its name: its instances, and the idempotency keys of its commands, go by it.
    const NAME: &'static str;
    /// The version of the state's form.
    const VERSION: u32;
    /// What it is for, in its documentation comment.
    const DOC: &'static str = "";
    /// `UPCASTERS[n - 1]` turns a state of version n into n + 1; there are `VERSION - 1`.
    const UPCASTERS: &'static [Upcaster] = &[];
    /// What tells one instance from another.
    type Id: fmt::Display + Send + Sync;
    /// The events that it takes.
    type Events: EventSet;
    /// The commands that it may send.
    type Commands: CommandSet;
}

/// What one type of events means to a process manager.
///
/// Pure: no I/O, no clock, no store. What time it is, the event says.
#[diagnostic::on_unimplemented(
    message = "the process manager `{Self}` does not say how it reacts to `{E}`",
    label = "`impl React<{E}> for {Self}` is missing",
    note = "write `impl React<{E}> for {Self} {{ fn correlate(…) … fn react(…) … }}`"
)]
pub trait React<E: Event>: ProcessManager + Apply<E> {
    /// Which instance `event` is for: one that the event names, or whose id is the key of its stream,
    /// `event.record.stream.key()`. Where an id that must be there is not, panic: then the event is parked and can be
    /// taken later, while [`Correlation::Ignored`] lets it pass for good.
    fn correlate(event: &Recorded<E>) -> Correlation<Self::Id>;

    /// What follows from `event`, which is in the state already. Each function of `then` gives `then` back, so the arms
    /// of a `match` are of one type, and nothing is `_ => then`.
    fn react(&self, event: &Recorded<E>, then: &mut Reactions<Self>);
}

/// What comes back to a process manager.
///
/// Pure, like [`React`].
#[diagnostic::on_unimplemented(
    message = "the process manager `{Self}` does not say what it does when a command is rejected or a deadline passes",
    label = "`impl Respond for {Self}` is missing",
    note = "write `impl Respond for {Self} {{ fn rejected(…) … fn deadline(…) … }}`"
)]
pub trait Respond: ProcessManager {
    /// The domain rejected a command that this instance sent: to compensate for what cannot be had.
    fn rejected(&mut self, rejection: &Rejection, then: &mut Reactions<Self>);

    /// A deadline has passed that was neither cancelled nor moved.
    fn deadline(&mut self, deadline: &Deadline, then: &mut Reactions<Self>);
}

/// A command that the process manager `P` may send: it stands in its `commands = (…)`.
#[diagnostic::on_unimplemented(
    message = "the process manager `{P}` does not declare the command `{Self}`",
    label = "`{Self}` is not declared",
    note = "name it in `#[process_manager(commands = (…))]` on `{P}`"
)]
pub trait SentBy<P> {}

/// Which instance an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correlation<Id> {
    /// This one, which it starts if it does not live.
    Starts(Id),
    /// This one, if it lives.
    Continues(Id),
    /// None.
    Ignored,
}
