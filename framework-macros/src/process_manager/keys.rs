//! The keys of `#[process_manager(…)]`.

use syn::{Attribute, LitStr, Path, Type};

use crate::attr::{Once, Place};
use crate::errors::Errors;
use crate::naming::key_name_fault;
use crate::value::{self, Counted};

static PLACE: Place = Place {
    name: "process_manager",
    title: "`#[process_manager(…)]`",
    keys: &[
        "name", "version", "upcast", "id", "events", "commands", "crate",
    ],
    example: "#[process_manager(id = Uuid, events = OrderEvent, commands = (ShipOrder, CancelOrder))]",
};

#[derive(Default)]
pub(super) struct Keys {
    pub(super) factum: Once<Path>,
    pub(super) name: Once<LitStr>,
    pub(super) version: Once<Counted<u32>>,
    pub(super) upcast: Once<Vec<Path>>,
    pub(super) id: Once<Type>,
    pub(super) events: Once<Type>,
    pub(super) commands: Once<Type>,
}

impl Keys {
    pub(super) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        PLACE.read(attrs, errors, |key, input| {
            if key == "crate" {
                keys.factum.equals(key, input, value::module)
            } else if key == "name" {
                let name = value::text("the name of a process manager", key_name_fault);
                keys.name.equals(key, input, name)
            } else if key == "version" {
                keys.version.equals(key, input, value::version)
            } else if key == "upcast" {
                keys.upcast.equals(key, input, value::paths)
            } else if key == "id" {
                keys.id.equals(key, input, value::ty)
            } else if key == "events" {
                keys.events.equals(key, input, value::ty)
            } else {
                keys.commands.equals(key, input, value::ty)
            }
        });
        keys
    }

    /// Each step from an older form of the state to the next needs its upcaster.
    pub(super) fn check(&self, errors: &mut Errors) {
        value::check_upcasters("state", &self.version, &self.upcast, errors);
    }
}
