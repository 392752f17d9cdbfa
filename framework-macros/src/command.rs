//! `derive(Command)`: attributes → validity → expansion.

mod expand;
mod keys;
mod target;

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Fields, Path, Type};

use crate::errors::Errors;
use crate::field::{Identified, Tagged};
use crate::item::{Item, fields, refuse_attributes, refuse_generics, refuse_union};
use keys::Keys;

/// What the derive knows of a valid input.
struct Model<'a> {
    name: String,
    /// The aggregate, the tuple or the list.
    on: &'a Type,
    ids: Vec<Identified>,
    query: Option<TagQuery<'a>>,
    version: u32,
    upcasters: &'a [Path],
}

/// `query = …`, and what belongs to it.
struct TagQuery<'a> {
    state: &'a Type,
    events: Option<&'a Type>,
    tags: Vec<Tagged>,
}

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    if let Some(rejection) = refuse_union(&input.data, "derive `Command` on a struct") {
        return rejection;
    }
    let keys = Keys::read(&input.attrs, &mut errors);
    let item = Item::new(input, &keys.factum);
    let Some(fields) = struct_fields(input, &mut errors) else {
        return errors
            .finish(None::<TokenStream>)
            .unwrap_or_else(|rejection| expand::stub(&item, rejection));
    };
    let reason = "a command has no parameters: its name stands for one form of its fields";
    refuse_generics(input, reason, &mut errors);
    refuse_misplaced(input, &mut errors);
    keys.check(&mut errors);
    let model = target::model(input, &keys, fields, &mut errors);
    match errors.finish(model) {
        Ok(model) => expand::expand(&item, &model),
        Err(rejection) => expand::stub(&item, rejection),
    }
}

fn struct_fields<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Option<&'a Fields> {
    match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Unit) => {
            let message = "a command without fields aims at nothing: give it a field for the id of \
                           what it looks at, with `#[id]`";
            errors.at(&input.ident, message);
            None
        }
        Data::Struct(data) => Some(&data.fields),
        Data::Enum(data) => {
            let message =
                "a command is one intention with one target: write a struct for each variant";
            errors.at(data.enum_token, message);
            None
        }
        Data::Union(_) => None,
    }
}

fn refuse_misplaced(input: &DeriveInput, errors: &mut Errors) {
    let on_field = "`#[id]` and `#[tag]` belong on the field that holds the value";
    refuse_attributes(&input.attrs, &["id", "tag"], on_field, errors);
    for field in fields(&input.data) {
        let belongs = "`#[command(…)]` belongs on the struct; a field takes `#[id]` or `#[tag]`";
        refuse_attributes(&field.attrs, &["command"], belongs, errors);
    }
}
