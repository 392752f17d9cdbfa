//! `derive(Event)`: parses the attributes, validates them and generates the impl.

mod attr;
mod expand;
mod model;
mod personal;
mod serde_attr;

use proc_macro2::TokenStream;
use syn::{Attribute, Data, DeriveInput};

use crate::container::{
    Container, all_fields, check_no_attributes, check_no_generics, union_error,
};
use crate::errors::Errors;
use attr::EventAttr;
use model::EventModel;

/// Returns the generated code of `derive(Event)`.
pub fn derive(input: &DeriveInput) -> TokenStream {
    if let Some(error) = union_error(&input.data, "derive `Event` on an enum or a struct") {
        return error;
    }
    let mut errors = Errors::default();
    let attr = EventAttr::parse(input, &mut errors);
    let container = Container::new(input, &attr.factum);
    let reason = "an event type has exactly one schema";
    check_no_generics(input, "an event", reason, &mut errors);
    check_attribute_positions(input, &mut errors);
    let model = EventModel::new(input, &attr, &mut errors);
    match errors.finish(model) {
        Ok(model) => expand::expand(&container, &model),
        Err(error) => expand::stub(&container, &error),
    }
}

fn check_attribute_positions(input: &DeriveInput, errors: &mut Errors) {
    check_no_field_attributes(&input.attrs, errors);
    if let Data::Enum(data) = &input.data {
        for variant in &data.variants {
            check_no_field_attributes(&variant.attrs, errors);
        }
    }
    for field in all_fields(&input.data) {
        let message =
            "`#[event(…)]` is not allowed on a field; move it to the type or to a variant";
        check_no_attributes(&field.attrs, &["event"], message, errors);
    }
}

/// Checks that a type or a variant has no attributes that belong on fields.
fn check_no_field_attributes(attrs: &[Attribute], errors: &mut Errors) {
    let tag = "`#[tag]` is not allowed here; write it on the field that holds the value of the tag";
    check_no_attributes(attrs, &["tag"], tag, errors);
    let personal =
        "`#[personal]` is not allowed here; write it on each field that holds personal data";
    check_no_attributes(attrs, &["personal"], personal, errors);
}
