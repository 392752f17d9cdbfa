//! Payments; each order has one.

use factum::prelude::*;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "payment")]
pub(crate) enum PaymentEvent {
    Requested { order: u32, cents: u64 },
    Received { order: u32 },
    Declined { order: u32 },
    Withdrawn { order: u32 },
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "payment", id = u32, event = PaymentEvent)]
pub(crate) struct Payment {
    is_due: bool,
}

impl Apply<PaymentEvent> for Payment {
    fn apply(&mut self, event: &PaymentEvent) {
        self.is_due = matches!(event, PaymentEvent::Requested { .. });
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the order has no open invoice")]
pub(crate) struct NotDue;

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Payment)]
pub(crate) struct Request {
    #[id]
    pub order: u32,
    pub cents: u64,
}

impl Decide for Request {
    type Error = NotDue;

    fn decide(&self, _: &Payment) -> Result<Events<PaymentEvent>, NotDue> {
        let (order, cents) = (self.order, self.cents);
        Ok(PaymentEvent::Requested { order, cents }.into())
    }
}

/// Records whether the bank has accepted the payment.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Payment)]
pub(crate) struct Settle {
    #[id]
    pub order: u32,
    pub paid: bool,
}

impl Decide for Settle {
    type Error = NotDue;

    fn decide(&self, payment: &Payment) -> Result<Events<PaymentEvent>, NotDue> {
        let order = self.order;
        match (payment.is_due, self.paid) {
            (false, _) => Err(NotDue),
            (true, true) => Ok(PaymentEvent::Received { order }.into()),
            (true, false) => Ok(PaymentEvent::Declined { order }.into()),
        }
    }
}

/// Withdraws the invoice if it is open.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Payment)]
pub(crate) struct Withdraw {
    #[id]
    pub order: u32,
}

impl Decide for Withdraw {
    type Error = NotDue;

    fn decide(&self, payment: &Payment) -> Result<Events<PaymentEvent>, NotDue> {
        let order = self.order;
        Ok(match payment.is_due {
            true => PaymentEvent::Withdrawn { order }.into(),
            false => Events::none(),
        })
    }
}
