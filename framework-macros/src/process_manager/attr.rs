//! The keys of `#[process_manager(…)]`.

use syn::{Attribute, LitStr, Path, Type};

use crate::attr::{AttrArg, AttrSpec};
use crate::errors::Errors;
use crate::naming::check_process_manager_name;
use crate::parse;
use crate::schema_version::SchemaVersionArgs;

static SPEC: AttrSpec = AttrSpec {
    name: "process_manager",
    title: "`#[process_manager(…)]`",
    keys: &[
        "name", "version", "upcast", "id", "events", "commands", "crate",
    ],
    example: "#[process_manager(id = Uuid, events = OrderEvent, commands = (ShipOrder, CancelOrder))]",
};

/// The keys of the attribute on the type.
#[derive(Default)]
pub struct ProcessManagerAttr {
    /// The path to the framework.
    pub factum: AttrArg<Path>,
    pub name: AttrArg<LitStr>,
    /// The schema version of the state.
    pub schema_version: SchemaVersionArgs,
    /// The type of the ids of the process instances.
    pub id: AttrArg<Type>,
    pub events: AttrArg<Type>,
    pub commands: AttrArg<Type>,
}

impl ProcessManagerAttr {
    /// Parses the attribute.
    pub fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut attr = Self::default();
        SPEC.parse(attrs, errors, |key, input| {
            if key == "crate" {
                attr.factum.parse_assignment(key, input, parse::module_path)
            } else if key == "name" {
                let name = parse::string("a process manager name", check_process_manager_name);
                attr.name.parse_assignment(key, input, name)
            } else if key == "version" {
                attr.schema_version.parse_version(key, input)
            } else if key == "upcast" {
                attr.schema_version.parse_upcast(key, input)
            } else if key == "id" {
                attr.id.parse_assignment(key, input, parse::ty)
            } else if key == "events" {
                attr.events.parse_assignment(key, input, |input| {
                    parse::whole_events(
                        input,
                        "name the event type: `correlate` and `react` receive its record, and `apply` only the event",
                        "name the event type, and ignore the other variants in `apply` and `react`",
                    )
                })
            } else {
                attr.commands.parse_assignment(key, input, parse::ty)
            }
        });
        attr
    }

    /// Returns the type of each command in `commands`.
    pub fn command_types(&self) -> Vec<&Type> {
        match self.commands.value() {
            None => Vec::new(),
            Some(Type::Tuple(tuple)) => tuple.elems.iter().collect(),
            Some(command) => vec![command],
        }
    }
}
