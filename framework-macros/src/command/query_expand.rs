//! Generates the parts of the impl of `Command` for its DCB queries.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::{CommandModel, DcbQueryModel};
use crate::container::Container;
use crate::field::{FieldBinding, tag_values};

/// Returns the constants about the tag keys of the DCB queries, if there are any.
pub fn tags_constant(model: &CommandModel<'_>) -> Option<TokenStream> {
    let tags = model.queries.iter().flat_map(|query| &query.tags);
    let mut keys: Vec<&str> = Vec::new();
    for tag in tags {
        if !keys.contains(&&*tag.key) {
            keys.push(&tag.key);
        }
    }
    (!keys.is_empty()).then(|| {
        quote! {
            const TAGS: &'static [&'static str] = &[#(#keys),*];
            const HAS_CHECKED_TAGS: bool = true;
        }
    })
}

/// Returns assertions that an event of each DCB query has each of its tags.
///
/// Without such an event, the query would find nothing.
pub fn tag_checks(container: &Container<'_>, model: &CommandModel<'_>) -> TokenStream {
    let checks = model.queries.iter().flat_map(|query| {
        let events = events_type(container, model, query);
        query.tags.iter().map(move |tag| {
            let (key, span) = (&tag.key, tag.attr.span());
            let private = container.private_at(span);
            let message = format!(
                "no event of the DCB query has a tag with the key `{key}`; write `#[tag]` on that field of an \
                 event, or `#[tag(\"…\")]` here with the key that the events have"
            );
            quote_spanned!(span=>
                const _: () = ::core::assert!(
                    #private::has_tag(<#events as #private::EventSet>::SELECTED, #key),
                    #message
                );
            )
        })
    });
    quote!(#(#checks)*)
}

/// Returns the type of the DCB queries, if there are any: one, or a tuple.
pub fn queries_type(container: &Container<'_>, model: &CommandModel<'_>) -> Option<TokenStream> {
    one_or_tuple(model, |query| {
        let (state, span) = (query.state, query.state.span());
        let (private, events) = (
            container.private_at(span),
            events_type(container, model, query),
        );
        quote_spanned!(span=> #private::Folded<#state, #events>)
    })
}

/// Returns the targets of the DCB queries, if there are any: one, or a tuple.
pub fn queries_target(container: &Container<'_>, model: &CommandModel<'_>) -> Option<TokenStream> {
    let private = &container.private;
    one_or_tuple(model, |query| {
        let tags = tag_values(container, &query.tags);
        let Some(constructor) = query.constructor else {
            return quote!(#private::DcbQuery::any_tag(#tags));
        };
        let mut bindings: Vec<&FieldBinding> = Vec::new();
        for tag in &query.tags {
            if !bindings
                .iter()
                .any(|other| other.variable() == tag.binding.variable())
            {
                bindings.push(&tag.binding);
            }
        }
        let clones = bindings.iter().map(|binding| {
            let (variable, span) = (binding.variable(), binding.span());
            quote_spanned!(span=> let #variable = ::core::clone::Clone::clone(#variable);)
        });
        let values = bindings.iter().map(|binding| {
            let (variable, span) = (binding.variable(), binding.span());
            quote_spanned!(span=> &#variable)
        });
        let (state, span) = (query.state, constructor.span());
        let call = quote_spanned!(span=> constructor(#(#values),*));
        quote! {{
            let constructor = #constructor;
            let tags = #tags;
            #private::DcbQuery::construct_with(tags, constructor, {
                #(#clones)*
                move || -> #state { #call }
            })
        }}
    })
}

/// Returns bounds on the types of the DCB queries.
pub fn bounds(container: &Container<'_>, model: &CommandModel<'_>) -> Vec<TokenStream> {
    let bounds = model.queries.iter().map(|query| {
        let (state, span) = (query.state, query.state.span());
        let (private, events) = (
            container.private_at(span),
            events_type(container, model, query),
        );
        let default = match query.constructor {
            None => Some(quote_spanned!(span=> + ::core::default::Default)),
            Some(_) => None,
        };
        quote_spanned! {span=>
            #events: #private::EventSet,
            #state: #private::ApplySet<#events> #default
        }
    });
    bounds.collect()
}

/// Returns the event set of the query.
fn events_type(
    container: &Container<'_>,
    model: &CommandModel<'_>,
    query: &DcbQueryModel<'_>,
) -> TokenStream {
    match query.events {
        Some(events) => events.set(container),
        None => {
            let (on, span) = (model.on, query.state.span());
            let private = container.private_at(span);
            quote_spanned!(span=> #private::EventOf<#on>)
        }
    }
}

/// Returns the code for the only query, or a tuple of the code for each; `None` without queries.
fn one_or_tuple(
    model: &CommandModel<'_>,
    code: impl FnMut(&DcbQueryModel<'_>) -> TokenStream,
) -> Option<TokenStream> {
    let mut codes: Vec<_> = model.queries.iter().map(code).collect();
    match codes.len() {
        0 | 1 => codes.pop(),
        _ => Some(quote!((#(#codes),*))),
    }
}
