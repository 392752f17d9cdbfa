//! [`ProcessManager`]: the name, the events and the commands of a process manager.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command_set::CommandSet;
use crate::event_set::EventSet;
use crate::upcast::Upcaster;

/// Reacts to events with commands and deadlines, and keeps the state of one case across streams.
///
/// Derive it with the keys of `#[process_manager(…)]`, and implement [`Apply`], [`React`] and [`Respond`].
///
/// Each case is a *process instance* with a state and an id. An event [starts](Correlation::Starts) an instance or is
/// processed by a live one: [`Apply`] changes the state, and [`React`] returns commands to send and deadlines to set or
/// cancel, or completes the instance. [`Respond`] handles rejected commands and passed deadlines.
///
/// [`Apply`]: crate::aggregate::Apply
/// [`React`]: super::React
/// [`Respond`]: super::Respond
///
/// These functions are pure. The state and the reactions are stored in one change. The runtime executes the commands, each
/// exactly once in effect, those of one instance in order.
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
    /// The name, which identifies its instances and the idempotency keys of its commands.
    const NAME: &'static str;
    /// The schema version of the state.
    const VERSION: u32;
    /// The documentation comment.
    const DOC: &'static str = "";
    /// The upcasters of the state: `UPCASTERS[n - 1]` converts version n into n + 1.
    const UPCASTERS: &'static [Upcaster] = &[];
    /// The id of an instance.
    type Id: fmt::Display + Send + Sync;
    /// The events that it processes.
    type Events: EventSet;
    /// The commands that it may send.
    type Commands: CommandSet;
}

/// A command that the process manager `P` may send, because its `commands = (…)` declares it.
#[diagnostic::on_unimplemented(
    message = "the process manager `{P}` does not declare the command `{Self}`",
    label = "`{Self}` is not declared",
    note = "name it in `#[process_manager(commands = (…))]` on `{P}`"
)]
pub trait SentBy<P> {}

/// The instance that processes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correlation<Id> {
    /// The instance with this id; it is created if it does not exist.
    Starts(Id),
    /// The instance with this id, if it exists.
    Continues(Id),
    /// No instance.
    Ignored,
}
