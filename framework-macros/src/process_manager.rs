//! `derive(ProcessManager)`: attributes → validity → expansion.

mod expand;
mod keys;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Ident, LitStr, Path, Type};

use crate::errors::Errors;
use crate::item::{Item, fields, refuse_attributes, refuse_generics, refuse_union};
use crate::naming::snake_case;
use keys::Keys;

/// What the derive knows of a valid input.
struct Model<'a> {
    name: String,
    version: u32,
    upcasters: &'a [Path],
    id: &'a Type,
    events: &'a Type,
    /// As they were written.
    commands: &'a Type,
    /// One by one.
    each: Vec<&'a Type>,
}

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let instead = "derive `ProcessManager` on a struct or an enum";
    if let Some(rejection) = refuse_union(&input.data, instead) {
        return rejection;
    }
    let keys = Keys::read(&input.attrs, &mut errors);
    let item = Item::new(input, &keys.factum);
    let reason = "a process manager has no parameters: its name stands for one form of its state";
    refuse_generics(input, reason, &mut errors);
    refuse_misplaced(&input.data, &mut errors);
    keys.check(&mut errors);
    let model = model(&keys, input, &mut errors);
    match errors.finish(model) {
        Ok(model) => expand::expand(&item, &model),
        Err(rejection) => expand::stub(&item, &each(&keys), rejection),
    }
}

fn refuse_misplaced(data: &Data, errors: &mut Errors) {
    let belongs = "`#[process_manager(…)]` belongs on the type";
    if let Data::Enum(data) = data {
        for variant in &data.variants {
            refuse_attributes(&variant.attrs, &["process_manager"], belongs, errors);
        }
    }
    for field in fields(data) {
        refuse_attributes(&field.attrs, &["process_manager"], belongs, errors);
    }
}

fn model<'a>(keys: &'a Keys, input: &DeriveInput, errors: &mut Errors) -> Option<Model<'a>> {
    // What is missing may be what could not be read.
    if errors.is_empty() {
        let missing = [
            (
                keys.id.get(),
                "what tells its instances apart? Write `#[process_manager(id = …)]`, with the type of their ids",
            ),
            (
                keys.events.get(),
                "which events does it take? Write `#[process_manager(events = …)]`, with a type or a tuple of types",
            ),
            (
                keys.commands.get(),
                "which commands may it send? Write `#[process_manager(commands = …)]`, with a type, a tuple of types, or `()` for none",
            ),
        ];
        // One at a time: whoever knows none of them needs the first.
        if let Some((_, message)) = missing.into_iter().find(|(key, _)| key.is_none()) {
            errors.at(&input.ident, message);
        }
    }
    Some(Model {
        name: keys
            .name
            .get()
            .map_or_else(|| derived(&input.ident), LitStr::value),
        version: keys.version.get().map_or(1, |version| version.number),
        upcasters: keys.upcast.get().map_or(&[], Vec::as_slice),
        id: keys.id.get()?,
        events: keys.events.get()?,
        commands: keys.commands.get()?,
        each: each(keys),
    })
}

/// The commands, one by one.
fn each(keys: &Keys) -> Vec<&Type> {
    match keys.commands.get() {
        None => Vec::new(),
        Some(Type::Tuple(tuple)) => tuple.elems.iter().collect(),
        Some(one) => vec![one],
    }
}

fn derived(ident: &Ident) -> String {
    snake_case(&ident.unraw().to_string())
}
