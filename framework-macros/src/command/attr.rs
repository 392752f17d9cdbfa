//! The keys of `#[command(…)]`.

use syn::{Attribute, LitStr, Path, Type};

use super::events::EventsArg;
use super::queries::QueriesArg;
use crate::attr::{AttrArg, AttrSpec};
use crate::errors::Errors;
use crate::naming::check_command_name;
use crate::parse;
use crate::schema_version::SchemaVersionArgs;

static SPEC: AttrSpec = AttrSpec {
    name: "command",
    title: "`#[command(…)]`",
    keys: &[
        "on", "find", "query", "events", "now", "name", "version", "upcast", "crate",
    ],
    example: "#[command(on = Account)]",
};

/// The keys of the attribute on the struct.
#[derive(Default)]
pub struct CommandAttr {
    /// The path to the framework.
    pub factum: AttrArg<Path>,
    pub name: AttrArg<LitStr>,
    /// The aggregate, the tuple or the list that the command reads.
    pub on: AttrArg<Type>,
    /// The aggregates that the command finds in the state of `on`.
    pub find: AttrArg<Type>,
    /// The states that the DCB queries fold.
    pub query: QueriesArg,
    /// The events of the DCB queries without events of their own.
    pub events: AttrArg<EventsArg>,
    /// Set if the decision receives the time.
    pub now: AttrArg<()>,
    pub schema_version: SchemaVersionArgs,
}

impl CommandAttr {
    /// Parses the attribute.
    pub fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut attr = Self::default();
        SPEC.parse(attrs, errors, |key, input| {
            if key == "crate" {
                attr.factum.parse_assignment(key, input, parse::module_path)
            } else if key == "name" {
                let name = parse::string("a command name", check_command_name);
                attr.name.parse_assignment(key, input, name)
            } else if key == "version" {
                attr.schema_version.parse_version(key, input)
            } else if key == "upcast" {
                attr.schema_version.parse_upcast(key, input)
            } else if key == "on" {
                attr.on.parse_assignment(key, input, parse::ty)
            } else if key == "find" {
                attr.find.parse_assignment(key, input, parse::ty)
            } else if key == "now" {
                attr.now
                    .parse_with(key, input, |input| parse::flag(key, input))
            } else if key == "query" {
                attr.query.parse(key, input)
            } else {
                attr.events.parse_assignment(key, input, EventsArg::parse)
            }
        });
        attr
    }
}
