//! Shipments; each order has at most one parcel.

use factum::prelude::*;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "shipment")]
pub(crate) enum ShipmentEvent {
    Dispatched { order: u32, parcel: String },
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "shipment", id = u32, event = ShipmentEvent)]
pub(crate) struct Shipment {
    dispatched: bool,
}

impl Apply<ShipmentEvent> for Shipment {
    fn apply(&mut self, _: &ShipmentEvent) {
        self.dispatched = true;
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Shipment)]
pub(crate) struct Dispatch {
    #[id]
    pub order: u32,
}

impl Decide for Dispatch {
    type Error = std::convert::Infallible;

    fn decide(&self, shipment: &Shipment) -> Result<Events<ShipmentEvent>, Self::Error> {
        if shipment.dispatched {
            return Ok(Events::none());
        }
        let (order, parcel) = (self.order, format!("P-{:04}", self.order));
        Ok(ShipmentEvent::Dispatched { order, parcel }.into())
    }
}
