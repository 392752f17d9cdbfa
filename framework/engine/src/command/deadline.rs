//! `Events::deadline`: decisions that schedule a command.

use serde::de::DeserializeOwned;

use crate::command::Decide;
use crate::domain::codec;
use crate::domain::deadline::{CommandType, DeadlineChange, ScheduledCommand, When};
use crate::domain::events::Events;

impl<E> Events<E> {
    /// Sets the deadline `name` of this stream: `command` is executed when the deadline is due.
    ///
    /// If the stream already has a deadline with this name, it is replaced. A [`Timestamp`] is the time at which the
    /// deadline is due. A [`Duration`] counts from the time at which the store has recorded the last event of this stream,
    /// or else of the decision, by the [clock](crate::engine::EngineBuilder::clock) of the engine. In a decision without
    /// events, it counts from the decision. The name has 1 to 128 bytes without control
    /// characters.
    ///
    /// The runtime executes the deadlines whose commands are listed in `deadlines` of its builder.
    ///
    /// [`Timestamp`]: factum_core::timestamp::Timestamp
    /// [`Duration`]: std::time::Duration
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use factum::prelude::*;
    /// # #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
    /// # enum OrderEvent { Placed, Cancelled }
    /// # #[derive(Aggregate, Default, Clone)]
    /// # #[aggregate(category = "order", id = u32, event = OrderEvent)]
    /// # struct Order;
    /// # impl Apply<OrderEvent> for Order { fn apply(&mut self, _: &OrderEvent) {} }
    /// # #[derive(Command, Serialize, Deserialize)]
    /// # #[command(on = Order)]
    /// # struct CancelOrder { #[id] order: u32 }
    /// # impl Decide for CancelOrder {
    /// #     type Error = std::convert::Infallible;
    /// #     fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> { Ok(OrderEvent::Cancelled.into()) }
    /// # }
    /// # #[derive(Command, Serialize, Deserialize)]
    /// # #[command(on = Order)]
    /// # struct PlaceOrder { #[id] order: u32 }
    /// impl Decide for PlaceOrder {
    ///     type Error = std::convert::Infallible;
    ///     fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
    ///         let three_days = Duration::from_hours(3 * 24);
    ///         let cancel = CancelOrder { order: self.order };
    ///         Ok(Events::from(OrderEvent::Placed).deadline("payment", three_days, cancel))
    ///     }
    /// }
    /// ```
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the decision takes over the command"
    )]
    pub fn deadline<C: Decide + DeserializeOwned>(
        mut self,
        name: impl Into<String>,
        when: impl Into<When>,
        command: C,
    ) -> Self {
        let change = match codec::stored_value(&command) {
            Ok(body) => Ok(DeadlineChange::Set(ScheduledCommand {
                when: when.into(),
                command: C::NAME,
                command_type: CommandType::of::<C>(),
                version: C::VERSION,
                body,
            })),
            Err(error) => Err(format!("cannot encode the command {}: {error}", C::NAME)),
        };
        self.deadlines_mut().insert(name.into(), change);
        self
    }
}
