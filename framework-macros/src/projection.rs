//! `derive(Projection)`: parses the attributes, validates them and generates the impl.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, DeriveInput, Error, LitStr, Path, Type};

use crate::attr::{AttrArg, AttrSpec};
use crate::container::{Container, check_no_generics, check_only_on_type, union_error};
use crate::distinct::distinct_in_tuple;
use crate::errors::{Errors, into_type_and_items};
use crate::naming::{check_projection_name, snake_case};
use crate::parse::{self, Number};

static SPEC: AttrSpec = AttrSpec {
    name: "projection",
    title: "`#[projection(…)]`",
    keys: &["name", "version", "events", "partitions", "crate"],
    example: "#[projection(events = AccountEvent)]",
};

/// The keys of `#[projection(…)]`.
#[derive(Default)]
struct ProjectionAttr {
    factum: AttrArg<Path>,
    name: AttrArg<LitStr>,
    version: AttrArg<Number<u32>>,
    events: AttrArg<Type>,
    partitions: AttrArg<Number<u16>>,
}

/// A type that derives `Projection`, with its keys validated.
struct ProjectionModel<'a> {
    name: String,
    version: u32,
    partitions: Option<u16>,
    events: &'a Type,
}

/// Returns the generated code of `derive(Projection)`.
pub fn derive(input: &DeriveInput) -> TokenStream {
    let next_step = "derive `Projection` on a struct or an enum";
    if let Some(error) = union_error(&input.data, next_step) {
        return error;
    }
    let mut errors = Errors::default();
    let attr = ProjectionAttr::parse(&input.attrs, &mut errors);
    let container = Container::new(input, &attr.factum);
    let reason = "its name identifies exactly one checkpoint";
    check_no_generics(input, "a projection", reason, &mut errors);
    check_only_on_type(&input.data, "projection", &mut errors);
    let model = ProjectionModel::new(input, &attr, &mut errors);
    match errors.finish(model) {
        Ok(model) => expand(&container, &model),
        Err(error) => stub(&container, error),
    }
}

impl ProjectionAttr {
    fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut attr = Self::default();
        SPEC.parse(attrs, errors, |key, input| {
            if key == "crate" {
                attr.factum.parse_assignment(key, input, parse::module_path)
            } else if key == "name" {
                let name = parse::string("a projection name", check_projection_name);
                attr.name.parse_assignment(key, input, name)
            } else if key == "version" {
                attr.version.parse_assignment(key, input, parse::version)
            } else if key == "partitions" {
                attr.partitions
                    .parse_assignment(key, input, parse::partitions)
            } else {
                attr.events.parse_assignment(key, input, |input| {
                    parse::whole_events(
                        input,
                        "name the event type: `project` receives its record, too",
                        "name the event type, and ignore the other variants in `project`",
                    )
                })
            }
        });
        attr
    }
}

impl<'a> ProjectionModel<'a> {
    fn new(input: &DeriveInput, attr: &'a ProjectionAttr, errors: &mut Errors) -> Option<Self> {
        // An earlier error can be about the same key.
        if attr.events.value().is_none() && errors.is_empty() {
            let message = "missing key `events`; write `#[projection(events = …)]` with a type that derives `Event`, \
                           or a tuple of such types";
            errors.push_at(&input.ident, message);
        }
        let default_name = || snake_case(&input.ident.unraw().to_string());
        Some(Self {
            name: attr.name.value().map_or_else(default_name, LitStr::value),
            version: attr.version.value().map_or(1, |version| version.value),
            partitions: attr.partitions.value().map(|partitions| partitions.value),
            events: attr.events.value()?,
        })
    }
}

fn expand(container: &Container<'_>, model: &ProjectionModel<'_>) -> TokenStream {
    let private = &container.private;
    let head = container.impl_head(&quote!(#private::Projection));
    let doc = &container.doc;
    let ProjectionModel {
        name,
        version,
        partitions,
        events,
    } = model;
    let distinct_events = distinct_in_tuple(container, events);
    let partitions = partitions.map(|partitions| quote!(const PARTITIONS: u16 = #partitions;));
    quote! {
        #head {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            #doc
            #partitions
            type Events = #events;
        }
        #distinct_events
    }
}

/// Returns an impl of `Projection` with an invalid type for invalid input, and the compile errors.
fn stub(container: &Container<'_>, error: Error) -> TokenStream {
    let private = &container.private;
    let bounds = quote!(::core::marker::Send + ::core::marker::Sync + 'static);
    let head = container.stub_impl_head(&quote!(#private::Projection), &bounds);
    let (invalid_type, errors) = into_type_and_items(error);
    quote! {
        #errors
        #head {
            const NAME: &'static str = "";
            const VERSION: u32 = 1;
            type Events = #invalid_type;
        }
    }
}
