//! The keys of `#[event(…)]`.

use syn::parse::ParseStream;
use syn::{Attribute, Data, DeriveInput, Ident, LitStr, Path, Result};

use crate::attr::{AttrArg, AttrSpec};
use crate::errors::Errors;
use crate::naming::check_name;
use crate::parse;
use crate::schema_version::SchemaVersionArgs;

static ON_ENUM: AttrSpec = AttrSpec {
    name: "event",
    title: "`#[event(…)]` on an enum",
    keys: &["prefix", "legacy", "retired", "crate"],
    example: "#[event(prefix = \"account\")]",
};

static ON_STRUCT: AttrSpec = AttrSpec {
    name: "event",
    title: "`#[event(…)]` on a struct",
    keys: &[
        "prefix", "name", "alias", "version", "upcast", "legacy", "retired", "crate",
    ],
    example: "#[event(prefix = \"account\")]",
};

static ON_VARIANT: AttrSpec = AttrSpec {
    name: "event",
    title: "`#[event(…)]` on a variant",
    keys: &["name", "alias", "version", "upcast"],
    example: "#[event(name = \"account.opened\")]",
};

/// The keys on the type.
#[derive(Default)]
pub struct EventAttr {
    /// The path to the framework.
    pub factum: AttrArg<Path>,
    prefix: AttrArg<LitStr>,
    legacy: AttrArg<Vec<Path>>,
    retired: AttrArg<Vec<LitStr>>,
    /// The keys of the event type, if the type is a struct.
    pub event_type: EventTypeAttr,
}

impl EventAttr {
    /// Parses the attribute on an enum or a struct.
    pub fn parse(input: &DeriveInput, errors: &mut Errors) -> Self {
        let spec = match input.data {
            Data::Enum(_) => &ON_ENUM,
            Data::Struct(_) | Data::Union(_) => &ON_STRUCT,
        };
        let mut attr = Self::default();
        spec.parse(&input.attrs, errors, |key, input| {
            if key == "crate" {
                attr.factum.parse_assignment(key, input, parse::module_path)
            } else if key == "prefix" {
                let prefix = parse::string("a prefix", check_name);
                attr.prefix.parse_assignment(key, input, prefix)
            } else if key == "legacy" {
                attr.legacy.parse_assignment(key, input, parse::paths)
            } else if key == "retired" {
                attr.retired.parse_assignment(key, input, event_types)
            } else {
                attr.event_type.parse_key(key, input)
            }
        });
        attr
    }

    /// Returns the prefix of event types without an explicit name.
    pub fn prefix(&self) -> Option<String> {
        self.prefix.value().map(LitStr::value)
    }

    /// Returns the types of legacy events.
    pub fn legacy(&self) -> Vec<Path> {
        self.legacy.value().cloned().unwrap_or_default()
    }

    /// Returns the event types that readers skip.
    pub fn retired(&self) -> Vec<LitStr> {
        self.retired.value().cloned().unwrap_or_default()
    }
}

/// The keys of one event type, on a variant or on a struct.
#[derive(Default)]
pub struct EventTypeAttr {
    /// The explicit event type.
    pub name: AttrArg<LitStr>,
    aliases: AttrArg<Vec<LitStr>>,
    pub schema_version: SchemaVersionArgs,
}

impl EventTypeAttr {
    /// Parses the attribute on a variant.
    pub fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut attr = Self::default();
        ON_VARIANT.parse(attrs, errors, |key, input| attr.parse_key(key, input));
        attr
    }

    fn parse_key(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        if key == "name" {
            let name = parse::string("an event type", check_name);
            self.name.parse_assignment(key, input, name)
        } else if key == "alias" {
            self.aliases.parse_assignment(key, input, event_types)
        } else if key == "version" {
            self.schema_version.parse_version(key, input)
        } else {
            self.schema_version.parse_upcast(key, input)
        }
    }

    /// Returns the former event types.
    pub fn aliases(&self) -> Vec<LitStr> {
        self.aliases.value().cloned().unwrap_or_default()
    }
}

/// Parses one event type, or several in brackets.
fn event_types(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    parse::list(input, |input| {
        parse::string("an event type", check_name)(input)
    })
}
