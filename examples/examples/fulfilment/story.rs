//! Tells what happens, as it happens.

use factum::{DecodeEvent as _, RecordedEvent};

use super::order::OrderEvent;
use super::payment::PaymentEvent;
use super::shipment::ShipmentEvent;
use super::stock::StockEvent;

/// One line for each event.
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
                format!("  · The warehouse gets {quantity} × {article}.")
            }
            StockEvent::Reserved {
                order,
                quantity,
                article,
            } => format!("{order} ├ {quantity} × {article} put aside."),
            StockEvent::Released {
                order,
                quantity,
                article,
            } => {
                format!("{order} ├ {quantity} × {article} put back on the shelf.")
            }
        };
    }
    if let Ok(event) = event.decode::<PaymentEvent>() {
        return match event {
            PaymentEvent::Requested { order, cents } => {
                format!(
                    "{order} ├ An invoice of {}.{:02} € goes out.",
                    cents / 100,
                    cents % 100
                )
            }
            PaymentEvent::Received { order } => format!("{order} ├ Paid."),
            PaymentEvent::Declined { order } => format!("{order} ├ The bank declines the card."),
            PaymentEvent::Withdrawn { order } => format!("{order} ├ The invoice is withdrawn."),
        };
    }
    match event.decode::<ShipmentEvent>() {
        Ok(ShipmentEvent::Dispatched { order, parcel }) => {
            format!("{order} ├ The courier takes parcel {parcel}.")
        }
        Err(error) => format!("? {error}"),
    }
}
