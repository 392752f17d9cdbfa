//! Parcels.

use factum::prelude::*;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "shipment")]
pub(crate) enum ShipmentEvent {
    Dispatched { order: u32, parcel: String },
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "shipment", id = u32, event = ShipmentEvent)]
pub(crate) struct Shipment {
    is_on_its_way: bool,
}

impl Apply<ShipmentEvent> for Shipment {
    fn apply(&mut self, _: &ShipmentEvent) {
        self.is_on_its_way = true;
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
        if shipment.is_on_its_way {
            return Ok(Events::none());
        }
        let (order, parcel) = (self.order, format!("P-{:04}", self.order));
        Ok(ShipmentEvent::Dispatched { order, parcel }.into())
    }
}
