//! Descriptions of events for the output.

use factum::event::DecodeEvent as _;
use factum::store::RecordedEvent;

use super::order::OrderEvent;
use super::payment::PaymentEvent;
use super::shipment::ShipmentEvent;
use super::stock::StockEvent;

/// Returns a line that describes an event.
pub(crate) fn line(event: &RecordedEvent) -> String {
    if let Ok(event) = event.decode::<OrderEvent>() {
        return match event {
            OrderEvent::Placed {
                order,
                customer,
                quantity,
                article,
                ..
            } => {
                format!("{order} ┬ {customer} orders {quantity} × {article}.")
            }
            OrderEvent::Shipped { order, parcel } => format!("{order} ┴ Shipped as {parcel}."),
            OrderEvent::Cancelled { order, reason } => format!("{order} ┴ Cancelled: {reason}."),
        };
    }
    if let Ok(event) = event.decode::<StockEvent>() {
        return match event {
            StockEvent::Delivered { article, quantity } => {
                format!("  · {quantity} × {article} delivered to the warehouse.")
            }
            StockEvent::Reserved {
                order,
                quantity,
                article,
            } => format!("{order} ├ {quantity} × {article} reserved."),
            StockEvent::Released {
                order,
                quantity,
                article,
            } => {
                format!("{order} ├ {quantity} × {article} released.")
            }
        };
    }
    if let Ok(event) = event.decode::<PaymentEvent>() {
        return match event {
            PaymentEvent::Requested { order, cents } => {
                format!(
                    "{order} ├ Invoice of {}.{:02} € sent.",
                    cents / 100,
                    cents % 100
                )
            }
            PaymentEvent::Received { order } => format!("{order} ├ Paid."),
            PaymentEvent::Declined { order } => format!("{order} ├ Card declined."),
            PaymentEvent::Withdrawn { order } => format!("{order} ├ Invoice withdrawn."),
        };
    }
    match event.decode::<ShipmentEvent>() {
        Ok(ShipmentEvent::Dispatched { order, parcel }) => {
            format!("{order} ├ Parcel {parcel} dispatched.")
        }
        Err(error) => format!("cannot decode event: {error}"),
    }
}
