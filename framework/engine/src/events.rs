//! [`Events`]: what a decision gives back for one stream.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::command::Decide;
use crate::process::When;

/// The longest name of a deadline, in bytes.
const MAX_NAME: usize = 128;

/// The events that a decision gives back, in order; none is a decision too: nothing needs to happen. With them go the
/// deadlines that the decision sets and cancels: all of it takes effect together, or nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Events<E> {
    events: Vec<E>,
    /// In a box, since most decisions have none.
    deadlines: Option<Box<DeadlineOrders>>,
}

/// What a decision does to the deadlines of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadlineOrders {
    /// By name; `None`: it is cancelled.
    pub orders: BTreeMap<String, Option<DeadlineOrder>>,
    fault: Option<InvalidDeadline>,
}

/// What shall be executed, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadlineOrder {
    pub when: When,
    pub command: &'static str,
    pub version: u32,
    pub body: Value,
}

/// A decision sets a deadline that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the deadline {name:?}: {reason}")]
pub struct InvalidDeadline {
    /// Its name, cut after 80 characters.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl DeadlineOrders {
    fn order(&mut self, name: String, order: Result<Option<DeadlineOrder>, String>) {
        let is_name = (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control);
        let order = order.and_then(|order| match is_name {
            true => Ok(order),
            false => Err("a name has 1 to 128 bytes without control characters".to_owned()),
        });
        match order {
            Ok(order) => {
                self.orders.insert(name, order);
            }
            Err(reason) => {
                let name = name.chars().take(80).collect();
                self.fault.get_or_insert(InvalidDeadline { name, reason });
            }
        }
    }

    /// Whether all of it can be kept.
    pub fn check(&self) -> Result<(), InvalidDeadline> {
        self.fault.clone().map_or(Ok(()), Err)
    }
}

impl<E> Events<E> {
    /// Nothing needs to happen.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            events: Vec::new(),
            deadlines: None,
        }
    }

    /// Sets the deadline `name` of the stream of these events: `command` is executed when it is due, unless it is
    /// cancelled or moved before. If the stream has one of that name, it moves. A
    /// [`Timestamp`](factum_core::timestamp::Timestamp) is when it is due; a [`Duration`](std::time::Duration) counts from when the
    /// decision is stored, by the clock of the [engine](crate::engine::EngineBuilder::clock).
    ///
    /// The name has 1 to 128 bytes without control characters. Who executes the command:
    /// `ProcessManagersBuilder::deadlines`.
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
    #[expect(clippy::needless_pass_by_value, reason = "what is set is given away")]
    pub fn deadline<C: Decide + DeserializeOwned>(
        mut self,
        name: impl Into<String>,
        when: impl Into<When>,
        command: C,
    ) -> Self {
        let order = match serde_json::to_value(&command) {
            Ok(body) => Ok(Some(DeadlineOrder {
                when: when.into(),
                command: C::NAME,
                version: C::VERSION,
                body,
            })),
            Err(error) => Err(format!(
                "the command {} cannot be encoded: {error}",
                C::NAME
            )),
        };
        self.orders().order(name.into(), order);
        self
    }

    /// Cancels the deadline `name` of the stream of these events, if there is one.
    #[must_use]
    pub fn cancel_deadline(mut self, name: impl Into<String>) -> Self {
        self.orders().order(name.into(), Ok(None));
        self
    }

    fn orders(&mut self) -> &mut DeadlineOrders {
        self.deadlines.get_or_insert_default()
    }

    pub fn deadlines(&self) -> Option<&DeadlineOrders> {
        self.deadlines.as_deref()
    }

    /// The same events, and then `event`.
    #[must_use]
    pub fn and(mut self, event: E) -> Self {
        self.events.push(event);
        self
    }

    /// Adds `event` behind the others.
    pub fn push(&mut self, event: E) {
        self.events.push(event);
    }

    /// The events, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        &self.events
    }

    /// The events alone, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<E> {
        self.events
    }
}

impl<E: fmt::Debug> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Events");
        tuple.field(&self.events);
        if let Some(deadlines) = &self.deadlines {
            tuple.field(&deadlines.orders);
        }
        tuple.finish()
    }
}

impl<E> Default for Events<E> {
    fn default() -> Self {
        Self::none()
    }
}

impl<E> From<E> for Events<E> {
    fn from(event: E) -> Self {
        vec![event].into()
    }
}

impl<E> From<Vec<E>> for Events<E> {
    fn from(events: Vec<E>) -> Self {
        Self {
            events,
            deadlines: None,
        }
    }
}

impl<E, const N: usize> From<[E; N]> for Events<E> {
    fn from(events: [E; N]) -> Self {
        Vec::from(events).into()
    }
}

impl<E> FromIterator<E> for Events<E> {
    fn from_iter<I: IntoIterator<Item = E>>(events: I) -> Self {
        events.into_iter().collect::<Vec<_>>().into()
    }
}

impl<E> IntoIterator for Events<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.into_iter()
    }
}
