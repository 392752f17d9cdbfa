//! `derive(Projection)`: attributes → validity → expansion.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, LitStr, Path, Type};

use crate::attr::{Once, Place};
use crate::errors::{Errors, Rejection};
use crate::item::{Item, fields, refuse_attributes, refuse_generics, refuse_union};
use crate::naming::{short_name_fault, snake_case};
use crate::value::{self, Counted};

static PLACE: Place = Place {
    name: "projection",
    title: "`#[projection(…)]`",
    keys: &["name", "version", "events", "partitions", "crate"],
    example: "#[projection(events = AccountEvent)]",
};

#[derive(Default)]
struct Keys {
    factum: Once<Path>,
    name: Once<LitStr>,
    version: Once<Counted<u32>>,
    events: Once<Type>,
    partitions: Once<Counted<u16>>,
}

struct Model<'a> {
    name: String,
    version: u32,
    partitions: Option<u16>,
    events: &'a Type,
}

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    if let Some(rejection) = refuse_union(&input.data, "derive `Projection` on a struct or an enum")
    {
        return rejection;
    }
    let keys = Keys::read(&input.attrs, &mut errors);
    let item = Item::new(input, &keys.factum);
    let reason = "a projection has no parameters: its name stands for one checkpoint";
    refuse_generics(input, reason, &mut errors);
    refuse_misplaced(&input.data, &mut errors);
    let model = keys.model(&mut errors, input);
    match errors.finish(model) {
        Ok(model) => expand(&item, &model),
        Err(rejection) => stub(&item, rejection),
    }
}

impl Keys {
    fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        PLACE.read(attrs, errors, |key, input| {
            if key == "crate" {
                keys.factum.equals(key, input, value::module)
            } else if key == "name" {
                let name = value::text("the name of a projection", name_fault);
                keys.name.equals(key, input, name)
            } else if key == "version" {
                keys.version.equals(key, input, value::version)
            } else if key == "partitions" {
                keys.partitions.equals(key, input, value::partitions)
            } else {
                keys.events.equals(key, input, value::ty)
            }
        });
        keys
    }

    fn model(&self, errors: &mut Errors, input: &DeriveInput) -> Option<Model<'_>> {
        if self.events.get().is_none() && errors.is_empty() {
            let message = "which events does it take? Write `#[projection(events = …)]`, with a type \
                           or a tuple of types";
            errors.at(&input.ident, message);
        }
        let derived = || snake_case(&input.ident.unraw().to_string());
        Some(Model {
            name: self.name.get().map_or_else(derived, LitStr::value),
            version: self.version.get().map_or(1, |version| version.number),
            partitions: self.partitions.get().map(|partitions| partitions.number),
            events: self.events.get()?,
        })
    }
}

fn name_fault(name: &str) -> Option<&'static str> {
    if name.contains('/') {
        return Some("holds no `/`");
    }
    if name.len() > 200 {
        return Some("has at most 200 bytes");
    }
    short_name_fault(name)
}

fn refuse_misplaced(data: &Data, errors: &mut Errors) {
    let belongs = "`#[projection(…)]` belongs on the type";
    if let Data::Enum(data) = data {
        for variant in &data.variants {
            refuse_attributes(&variant.attrs, &["projection"], belongs, errors);
        }
    }
    for field in fields(data) {
        refuse_attributes(&field.attrs, &["projection"], belongs, errors);
    }
}

fn expand(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let factum = &item.factum;
    let head = item.head(&quote!(#factum::Projection));
    let doc = &item.doc;
    let Model {
        name,
        version,
        partitions,
        events,
    } = model;
    let partitions = partitions.map(|number| quote!(const PARTITIONS: u16 = #number;));
    quote! {
        #head {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            #doc
            #partitions
            type Events = #events;
        }
    }
}

/// On bad input: the same impl, with a type that the compiler knows to be broken.
fn stub(item: &Item<'_>, rejection: Rejection) -> TokenStream {
    let factum = &item.factum;
    let bounds = quote!(::core::marker::Send + ::core::marker::Sync + 'static);
    let head = item.stub_head(&quote!(#factum::Projection), &bounds);
    let (broken, others) = rejection.into_type();
    quote! {
        #others
        #head {
            const NAME: &'static str = "";
            const VERSION: u32 = 1;
            type Events = #broken;
        }
    }
}
