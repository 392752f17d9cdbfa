//! The keys of `#[command(…)]`.

use syn::{Attribute, LitStr, Path, Type};

use crate::attr::{Once, Place};
use crate::errors::Errors;
use crate::naming::short_name_fault;
use crate::value::{self, Counted};

static PLACE: Place = Place {
    name: "command",
    title: "`#[command(…)]`",
    keys: &[
        "on", "query", "events", "name", "version", "upcast", "crate",
    ],
    example: "#[command(on = Account)]",
};

#[derive(Default)]
pub(super) struct Keys {
    pub(super) factum: Once<Path>,
    pub(super) name: Once<LitStr>,
    pub(super) on: Once<Type>,
    pub(super) query: Once<Type>,
    pub(super) events: Once<Type>,
    pub(super) version: Once<Counted<u32>>,
    pub(super) upcast: Once<Vec<Path>>,
}

impl Keys {
    pub(super) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        PLACE.read(attrs, errors, |key, input| {
            if key == "crate" {
                keys.factum.equals(key, input, value::module)
            } else if key == "name" {
                keys.name.equals(
                    key,
                    input,
                    value::text("the name of a command", short_name_fault),
                )
            } else if key == "version" {
                keys.version.equals(key, input, value::version)
            } else if key == "upcast" {
                keys.upcast.equals(key, input, value::paths)
            } else if key == "on" {
                keys.on.equals(key, input, value::ty)
            } else if key == "query" {
                keys.query.equals(key, input, value::ty)
            } else {
                keys.events.equals(key, input, value::ty)
            }
        });
        keys
    }
    /// Each step from an older form of the command to the next needs its upcaster.
    pub(super) fn check(&self, errors: &mut Errors) {
        value::check_upcasters("command", &self.version, &self.upcast, errors);
    }
}
