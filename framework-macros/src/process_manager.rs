//! `derive(ProcessManager)`: parses the attributes, validates them and generates the impls.

mod attr;
mod expand;
mod model;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::container::{Container, check_no_generics, check_only_on_type, union_error};
use crate::errors::Errors;
use crate::stored_fields::check_stored_fields;
use attr::ProcessManagerAttr;
use model::ProcessManagerModel;

/// Returns the generated code of `derive(ProcessManager)`.
pub fn derive(input: &DeriveInput) -> TokenStream {
    let next_step = "derive `ProcessManager` on a struct or an enum";
    if let Some(error) = union_error(&input.data, next_step) {
        return error;
    }
    let mut errors = Errors::default();
    let attr = ProcessManagerAttr::parse(&input.attrs, &mut errors);
    let container = Container::new(input, &attr.factum);
    let reason = "its name identifies exactly one schema of its state";
    check_no_generics(input, "a process manager", reason, &mut errors);
    check_only_on_type(&input.data, "process_manager", &mut errors);
    let loss = "the state is stored after each event, and would lose the field";
    check_stored_fields(&input.data, loss, &mut errors);
    if errors.is_empty() {
        attr.schema_version.check_upcasters(&mut errors);
    }
    let model = ProcessManagerModel::new(input, &attr, &mut errors);
    match errors.finish(model) {
        Ok(model) => expand::expand(&container, &model),
        Err(error) => expand::stub(&container, &attr.command_types(), error),
    }
}
