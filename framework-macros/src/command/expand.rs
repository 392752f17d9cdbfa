//! Generates the impl of `Command`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Type};

use super::model::CommandModel;
use super::query_expand;
use crate::container::Container;
use crate::errors::into_type_and_items;
use crate::field::fields_pattern;

/// Returns the impl of `Command`.
pub fn expand(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let private = &container.private;
    let head = container.impl_head(&quote!(#private::Command));
    let name = &model.name;
    let tags = query_expand::tags_constant(model);
    let schema_version = schema_version_constants(container, model);
    let on = on_type(container, model);
    let pattern = target_pattern(model);
    let target = target_value(container, model);
    let clause = where_clause(container, model);
    let fingerprint = model.fingerprint.expand(container);
    let tag_checks = query_expand::tag_checks(container, model);
    let event_checks = model.event_sets.iter();
    let event_checks = event_checks.map(|events| events.checks(container));
    // If a field has another type than the id, the compiler points at `on` for the expected type.
    let (span, private) = (model.on.span(), container.private_at(model.on.span()));
    let returned = quote_spanned!(span=> <#on as #private::Boundary>::Target<'_>);
    quote! {
        #head where #clause {
            const NAME: &'static str = #name;
            #tags
            #schema_version
            type On = #on;

            fn target(&self) -> #returned {
                let #pattern = self;
                #target
            }

            #fingerprint
        }

        #tag_checks
        #(#event_checks)*
    }
}

/// Returns an impl of `Command` with an invalid type for invalid input, and the compile errors.
pub fn stub(container: &Container<'_>, error: Error) -> TokenStream {
    let private = &container.private;
    let serialize = quote!(#private::serde::Serialize);
    let bounds = quote!(#serialize + ::core::marker::Send + ::core::marker::Sync + 'static);
    let head = container.stub_impl_head(&quote!(#private::Command), &bounds);
    let (invalid_type, errors) = into_type_and_items(error);
    quote! {
        #errors
        #head {
            const NAME: &'static str = "";
            type On = #invalid_type;

            fn target(&self) -> <Self::On as #private::Boundary>::Target<'_> {
                ::core::unreachable!()
            }
        }
    }
}

/// Returns the constants `VERSION` and `UPCASTERS`, unless the schema version is 1.
fn schema_version_constants(
    container: &Container<'_>,
    model: &CommandModel<'_>,
) -> Option<TokenStream> {
    let (private, version, upcasters) = (&container.private, model.version, model.upcasters);
    (version > 1).then(|| {
        quote! {
            const VERSION: u32 = #version;
            const UPCASTERS: &'static [#private::Upcaster] = &[#(#upcasters),*];
        }
    })
}

/// Returns the associated type `On`.
fn on_type(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let boundary = boundary_type(container, model);
    let (span, private) = (model.on.span(), container.private_at(model.on.span()));
    match model.has_time {
        true => quote_spanned!(span=> #private::Timed<#boundary>),
        false => boundary,
    }
}

/// Returns the boundary without the time.
fn boundary_type(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let streams = streams_type(container, model);
    let Some(queries) = query_expand::queries_type(container, model) else {
        return streams;
    };
    let private = container.private_at(model.on.span());
    quote!(#private::Queried<#streams, #queries>)
}

/// Returns the boundary without the DCB queries and the time.
fn streams_type(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let on = model.on;
    match model.find {
        None => quote!(#on),
        Some(find) => {
            let (span, private) = (find.span(), container.private_at(find.span()));
            quote_spanned!(span=> #private::Found<#on, #find>)
        }
    }
}

/// Returns the pattern that binds the fields with `#[id]` and `#[tag]` to variables.
fn target_pattern(model: &CommandModel<'_>) -> TokenStream {
    let ids = model.ids.iter().map(|id| &id.binding);
    let tags = model.queries.iter().flat_map(|query| &query.tags);
    fields_pattern(&quote!(Self), ids.chain(tags.map(|tag| &tag.binding)))
}

/// Returns the value of the function `target`: the ids, and the DCB queries if there are any.
fn target_value(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let ids = model.ids.iter().map(|id| id.binding.variable());
    let ids = if let Type::Tuple(_) = model.on {
        quote!((#(#ids),*))
    } else {
        quote!(#(#ids)*)
    };
    let ids = match model.find {
        None => ids,
        Some(find) => {
            // A missing `impl Find` is reported at the key.
            let (span, private) = (find.span(), container.private_at(find.span()));
            let finder = quote_spanned!(span=> #private::finder(self));
            quote!((#ids, #finder))
        }
    };
    match query_expand::queries_target(container, model) {
        None => ids,
        Some(queries) => quote!((#ids, #queries)),
    }
}

/// Returns bounds on the types in the attribute, so that errors point at these types.
fn where_clause(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let (on, span) = (model.on, model.on.span());
    let private = container.private_at(span);
    let boundary = quote_spanned!(span=> #on: #private::Boundary);
    let found = model.find.map(|find| {
        let (span, private) = (find.span(), container.private_at(find.span()));
        quote_spanned!(span=> , #find: #private::Aggregates)
    });
    let bounds = query_expand::bounds(container, model);
    quote!(#boundary #found #(, #bounds)*)
}
