//! Generates the impl of `Command`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Type};

use super::model::{CommandModel, DcbQueryModel};
use crate::container::Container;
use crate::errors::into_type_and_items;
use crate::field::{fields_pattern, tag_values};

/// Returns the impl of `Command`.
pub fn expand(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let private = &container.private;
    let head = container.impl_head(&quote!(#private::Command));
    let name = &model.name;
    let tags = tags_constant(model);
    let schema_version = schema_version_constants(container, model);
    let on = on_type(container, model);
    let pattern = target_pattern(model);
    let target = target_value(container, model);
    let clause = where_clause(container, model);
    let fingerprint = model.fingerprint.expand(container);
    let tag_checks = tag_checks(container, model);
    let events = model.query.as_ref().and_then(|query| query.events);
    let event_checks = events.map(|events| events.checks(container));
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
        #event_checks
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

/// Returns the constant `TAGS` with the tag keys of the DCB query, if there is one.
fn tags_constant(model: &CommandModel<'_>) -> Option<TokenStream> {
    let query = model.query.as_ref()?;
    let keys = query.tags.iter().map(|tag| &tag.key);
    Some(quote!(const TAGS: &'static [&'static str] = &[#(#keys),*];))
}

/// Returns assertions that an event of the DCB query has each tag.
///
/// Without such an event, the query would find nothing.
fn tag_checks(container: &Container<'_>, model: &CommandModel<'_>) -> Option<TokenStream> {
    let query = model.query.as_ref()?;
    let events = query_events(container, model.on, query);
    let checks = query.tags.iter().map(|tag| {
        let (key, span) = (&tag.key, tag.attr.span());
        let private = container.private_at(span);
        let message = format!(
            "no event of the DCB query has a tag with the key `{key}`; write `#[tag]` on that field of an event, or \
             `#[tag(\"…\")]` here with the key that the events have"
        );
        quote_spanned!(span=>
            const _: () = ::core::assert!(
                #private::has_tag(<#events as #private::EventSet>::SELECTED, #key),
                #message
            );
        )
    });
    Some(quote!(#(#checks)*))
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
    let on = model.on;
    let Some(query) = &model.query else {
        return quote!(#on);
    };
    let state = query.state;
    let (span, private) = (state.span(), container.private_at(state.span()));
    let events = query_events(container, on, query);
    quote_spanned!(span=> #private::Queried<#on, #state, #events>)
}

/// Returns the pattern that binds the fields with `#[id]` and `#[tag]` to variables.
fn target_pattern(model: &CommandModel<'_>) -> TokenStream {
    let ids = model.ids.iter().map(|id| &id.binding);
    let tags = model.query.iter().flat_map(|query| &query.tags);
    fields_pattern(&quote!(Self), ids.chain(tags.map(|tag| &tag.binding)))
}

/// Returns the value of the function `target`: the ids, and the DCB query if there is one.
fn target_value(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let ids = model.ids.iter().map(|id| id.binding.variable());
    let ids = if let Type::Tuple(_) = model.on {
        quote!((#(#ids),*))
    } else {
        quote!(#(#ids)*)
    };
    match &model.query {
        None => ids,
        Some(query) => {
            let (private, tags) = (&container.private, tag_values(container, &query.tags));
            quote!((#ids, #private::any_tag(#tags)))
        }
    }
}

/// Returns bounds on the types in the attribute, so that errors point at these types.
fn where_clause(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let (on, span) = (model.on, model.on.span());
    let private = container.private_at(span);
    let boundary = quote_spanned!(span=> #on: #private::Boundary);
    let Some(query) = &model.query else {
        return boundary;
    };
    let (state, span) = (query.state, query.state.span());
    let private = container.private_at(span);
    let events = query_events(container, on, query);
    quote_spanned! {span=>
        #boundary,
        #events: #private::EventSet,
        #state: #private::ApplySet<#events> + ::core::default::Default
    }
}

fn query_events(container: &Container<'_>, on: &Type, query: &DcbQueryModel<'_>) -> TokenStream {
    match query.events {
        Some(events) => events.set(container),
        None => {
            let (span, private) = (query.state.span(), container.private_at(query.state.span()));
            quote_spanned!(span=> #private::EventOf<#on>)
        }
    }
}
