//! `derive(Event)`: attributes → validity → expansion.

mod expand;
mod keys;
mod kinds;
mod marks;
mod personal;
mod serde_shape;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, LitStr, Path};

use crate::errors::Errors;
use crate::item::{Item, fields, refuse_attributes, refuse_generics, refuse_union};
use keys::ContainerKeys;
use kinds::Kind;

/// What the derive knows of a valid input.
struct Model<'a> {
    is_enum: bool,
    kinds: Vec<Kind<'a>>,
    legacy: Vec<Path>,
    retired: Vec<LitStr>,
}

impl Model<'_> {
    /// `Self::Variant`, or `Self` of a struct.
    fn path(&self, kind: &Kind<'_>) -> TokenStream {
        let ident = kind.ident;
        if self.is_enum {
            quote!(Self::#ident)
        } else {
            quote!(Self)
        }
    }
}

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    if let Some(rejection) = refuse_union(&input.data, "derive `Event` on an enum or a struct") {
        return rejection;
    }
    let place = if let Data::Enum(_) = input.data {
        &keys::ENUM
    } else {
        &keys::STRUCT
    };
    let keys = ContainerKeys::read(place, &input.attrs, &mut errors);
    let item = Item::new(input, &keys.factum);
    let reason = "an event has no parameters: a stored name stands for one form of its fields";
    refuse_generics(input, reason, &mut errors);
    refuse_misplaced(input, &mut errors);
    let model = model(input, &keys, &mut errors);
    match errors.finish(model) {
        Ok(model) => expand::expand(&item, &model),
        Err(rejection) => expand::stub(&item, &rejection),
    }
}

fn model<'a>(
    input: &'a DeriveInput,
    keys: &ContainerKeys,
    errors: &mut Errors,
) -> Option<Model<'a>> {
    let legacy = keys.legacy.get().cloned().unwrap_or_default();
    let retired = keys.retired.get().cloned().unwrap_or_default();
    match &input.data {
        Data::Struct(data) => {
            let kind = kinds::of_struct(&input.ident, keys, &data.fields, errors)?;
            let kinds = vec![kind];
            kinds::refuse_ambiguous(&kinds, &retired, errors);
            Some(Model {
                is_enum: false,
                kinds,
                legacy,
                retired,
            })
        }
        Data::Enum(data) => {
            serde_shape::check(input, data, errors);
            if data.variants.is_empty() {
                errors.at(
                    &input.ident,
                    "an event enum needs a variant: each is one kind of event",
                );
            }
            let prefix = keys.prefix();
            let kinds: Vec<_> = data
                .variants
                .iter()
                .filter_map(|variant| kinds::of_variant(variant, prefix.as_deref(), errors))
                .collect();
            kinds::refuse_duplicates(&kinds, errors);
            kinds::refuse_ambiguous(&kinds, &retired, errors);
            Some(Model {
                is_enum: true,
                kinds,
                legacy,
                retired,
            })
        }
        Data::Union(_) => None,
    }
}

fn refuse_misplaced(input: &DeriveInput, errors: &mut Errors) {
    let on_field = "a tag is the value of a field: write `#[tag]` on a field";
    refuse_attributes(&input.attrs, &["tag"], on_field, errors);
    let one_by_one = "personal data are single fields: write `#[personal]` on each";
    refuse_attributes(&input.attrs, &["personal"], one_by_one, errors);
    if let Data::Enum(data) = &input.data {
        for variant in &data.variants {
            refuse_attributes(&variant.attrs, &["tag"], on_field, errors);
            refuse_attributes(&variant.attrs, &["personal"], one_by_one, errors);
        }
    }
    for field in fields(&input.data) {
        let elsewhere = "`#[event(…)]` belongs on the type or on a variant; a field takes `#[tag]`";
        refuse_attributes(&field.attrs, &["event"], elsewhere, errors);
    }
}
