//! The process manager that coordinates stock, payment and shipment of an order.

use std::time::Duration;

use factum::prelude::*;

use super::order::{Cancel, MarkShipped, OrderEvent};
use super::payment::{PaymentEvent, Request, Withdraw};
use super::shipment::{Dispatch, ShipmentEvent};
use super::stock::{Release, Reserve, StockEvent};

/// The fulfilment of one order: reserves its goods, requests the payment, and dispatches the parcel.
#[derive(ProcessManager, Debug, Default, Clone, Serialize, Deserialize)]
#[process_manager(
    id = u32,
    events = (OrderEvent, StockEvent, PaymentEvent, ShipmentEvent),
    commands = (Reserve, Release, Request, Withdraw, Dispatch, MarkShipped, Cancel),
)]
pub(crate) struct Fulfilment {
    order: u32,
    article: String,
    cents: u64,
    seconds_to_pay: u64,
}

impl Fulfilment {
    /// Compensates the completed steps and cancels the order.
    fn compensate(&self, reason: &str, then: &mut Reactions<Self>) {
        let (order, article) = (self.order, self.article.clone());
        let reason = reason.to_owned();
        then.cancel("payment")
            .send(Withdraw { order })
            .send(Release { article, order })
            .send(Cancel { order, reason });
    }
}

impl Apply<OrderEvent> for Fulfilment {
    fn apply(&mut self, event: &OrderEvent) {
        if let OrderEvent::Placed {
            order,
            article,
            cents,
            seconds_to_pay,
            ..
        } = event
        {
            self.order = *order;
            self.article.clone_from(article);
            self.cents = *cents;
            self.seconds_to_pay = *seconds_to_pay;
        }
    }
}

impl React<OrderEvent> for Fulfilment {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u32> {
        match event.event {
            OrderEvent::Placed { order, .. } => Correlation::Starts(order),
            OrderEvent::Shipped { order, .. } | OrderEvent::Cancelled { order, .. } => {
                Correlation::Continues(order)
            }
        }
    }

    fn react(&self, event: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        match &event.event {
            OrderEvent::Placed {
                order,
                article,
                quantity,
                ..
            } => {
                let (order, article, quantity) = (*order, article.clone(), *quantity);
                then.send(Reserve {
                    article,
                    order,
                    quantity,
                });
            }
            OrderEvent::Shipped { .. } | OrderEvent::Cancelled { .. } => {
                then.complete();
            }
        }
    }
}

impl Apply<StockEvent> for Fulfilment {
    fn apply(&mut self, _: &StockEvent) {}
}

impl React<StockEvent> for Fulfilment {
    fn correlate(event: &Recorded<StockEvent>) -> Correlation<u32> {
        match event.event {
            StockEvent::Reserved { order, .. } => Correlation::Continues(order),
            StockEvent::Delivered { .. } | StockEvent::Released { .. } => Correlation::Ignored,
        }
    }

    fn react(&self, _: &Recorded<StockEvent>, then: &mut Reactions<Self>) {
        let (order, cents) = (self.order, self.cents);
        then.send(Request { order, cents })
            .deadline("payment", Duration::from_secs(self.seconds_to_pay));
    }
}

impl Apply<PaymentEvent> for Fulfilment {
    fn apply(&mut self, _: &PaymentEvent) {}
}

impl React<PaymentEvent> for Fulfilment {
    fn correlate(event: &Recorded<PaymentEvent>) -> Correlation<u32> {
        match event.event {
            PaymentEvent::Received { order } | PaymentEvent::Declined { order } => {
                Correlation::Continues(order)
            }
            PaymentEvent::Requested { .. } | PaymentEvent::Withdrawn { .. } => Correlation::Ignored,
        }
    }

    fn react(&self, event: &Recorded<PaymentEvent>, then: &mut Reactions<Self>) {
        let order = self.order;
        match event.event {
            PaymentEvent::Received { .. } => {
                then.cancel("payment").send(Dispatch { order });
            }
            _ => self.compensate("card declined", then),
        }
    }
}

impl Apply<ShipmentEvent> for Fulfilment {
    fn apply(&mut self, _: &ShipmentEvent) {}
}

impl React<ShipmentEvent> for Fulfilment {
    fn correlate(event: &Recorded<ShipmentEvent>) -> Correlation<u32> {
        let ShipmentEvent::Dispatched { order, .. } = event.event;
        Correlation::Continues(order)
    }

    fn react(&self, event: &Recorded<ShipmentEvent>, then: &mut Reactions<Self>) {
        let ShipmentEvent::Dispatched { order, parcel } = &event.event;
        let (order, parcel) = (*order, parcel.clone());
        then.send(MarkShipped { order, parcel });
    }
}

impl Respond for Fulfilment {
    fn rejected(&mut self, rejection: &Rejection, then: &mut Reactions<Self>) {
        if rejection.of::<Reserve>().is_some() {
            let (order, reason) = (self.order, rejection.error.clone());
            then.send(Cancel { order, reason });
        }
    }

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        self.compensate("not paid in time", then);
    }
}
