//! `derive(Command)`: parses the attributes, validates them and generates the impl.

mod attr;
mod events;
mod expand;
mod fingerprint;
mod model;
mod queries;
mod query_expand;
mod query_tags;

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Fields};

use crate::container::{
    Container, all_fields, check_no_attributes, check_no_generics, union_error,
};
use crate::errors::Errors;
use attr::CommandAttr;
use model::CommandModel;

/// Returns the generated code of `derive(Command)`.
pub fn derive(input: &DeriveInput) -> TokenStream {
    if let Some(error) = union_error(&input.data, "derive `Command` on a struct") {
        return error;
    }
    let mut errors = Errors::default();
    let attr = CommandAttr::parse(&input.attrs, &mut errors);
    let container = Container::new(input, &attr.factum);
    let model = match struct_fields(input, &mut errors) {
        Some(fields) => validate(input, &attr, fields, &mut errors),
        None => None,
    };
    match errors.finish(model) {
        Ok(model) => expand::expand(&container, &model),
        Err(error) => expand::stub(&container, error),
    }
}

fn struct_fields<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Option<&'a Fields> {
    match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Unit) => {
            let message = "a command must have a field with the id of its aggregate; add the field and mark it with \
                           `#[id]`";
            errors.push_at(&input.ident, message);
            None
        }
        Data::Struct(data) => Some(&data.fields),
        Data::Enum(data) => {
            let message = "a command must be a struct; write a struct for each variant";
            errors.push_at(data.enum_token, message);
            None
        }
        Data::Union(_) => None,
    }
}

fn validate<'a>(
    input: &'a DeriveInput,
    attr: &'a CommandAttr,
    fields: &'a Fields,
    errors: &mut Errors,
) -> Option<CommandModel<'a>> {
    let reason = "a command name has exactly one schema";
    check_no_generics(input, "a command", reason, errors);
    check_attribute_positions(input, errors);
    if errors.is_empty() {
        attr.schema_version.check_upcasters(errors);
    }
    CommandModel::new(input, attr, fields, errors)
}

fn check_attribute_positions(input: &DeriveInput, errors: &mut Errors) {
    let message = "`#[id]` and `#[tag]` are not allowed on the struct; write them on the field that holds the value";
    check_no_attributes(&input.attrs, &["id", "tag"], message, errors);
    let message =
        "`#[fingerprint(skip)]` is not allowed on the struct; write it on the field to leave out";
    check_no_attributes(&input.attrs, &["fingerprint"], message, errors);
    for field in all_fields(&input.data) {
        let message = "`#[command(…)]` is not allowed on a field; move it to the struct";
        check_no_attributes(&field.attrs, &["command"], message, errors);
    }
}
