//! [`ProcessManagerModel`]: the keys of `#[process_manager(…)]`, validated.

use syn::ext::IdentExt;
use syn::{DeriveInput, LitStr, Path, Type};

use super::attr::ProcessManagerAttr;
use crate::errors::Errors;
use crate::naming::snake_case;

/// A type that derives `ProcessManager`.
pub struct ProcessManagerModel<'a> {
    pub name: String,
    /// The schema version of the state.
    pub version: u32,
    pub upcasters: &'a [Path],
    /// The type of the ids of the process instances.
    pub id: &'a Type,
    pub events: &'a Type,
    /// The commands as they are written in the attribute: a type or a tuple.
    pub commands: &'a Type,
    /// The type of each command.
    pub command_types: Vec<&'a Type>,
}

impl<'a> ProcessManagerModel<'a> {
    /// Creates the model, and adds all errors in the input to `errors`.
    pub fn new(
        input: &DeriveInput,
        attr: &'a ProcessManagerAttr,
        errors: &mut Errors,
    ) -> Option<Self> {
        check_required_keys(input, attr, errors);
        let default_name = || snake_case(&input.ident.unraw().to_string());
        Some(Self {
            name: attr.name.value().map_or_else(default_name, LitStr::value),
            version: attr.schema_version.version(),
            upcasters: attr.schema_version.upcasters(),
            id: attr.id.value()?,
            events: attr.events.value()?,
            commands: attr.commands.value()?,
            command_types: attr.command_types(),
        })
    }
}

/// Adds an error about the first required key that is missing.
fn check_required_keys(input: &DeriveInput, attr: &ProcessManagerAttr, errors: &mut Errors) {
    // An earlier error can be about the same key.
    if !errors.is_empty() {
        return;
    }
    let required = [
        (
            attr.id.value(),
            "missing key `id`; write `#[process_manager(id = …)]` with the type of the ids of its process instances",
        ),
        (
            attr.events.value(),
            "missing key `events`; write `#[process_manager(events = …)]` with a type that derives `Event`, or a \
             tuple of such types",
        ),
        (
            attr.commands.value(),
            "missing key `commands`; write `#[process_manager(commands = …)]` with a command, a tuple of commands, \
             or `()` for none",
        ),
    ];
    if let Some((_, message)) = required.into_iter().find(|(value, _)| value.is_none()) {
        errors.push_at(&input.ident, message);
    }
}
