//! The impl of `Command`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;

use super::{Model, TagQuery};
use crate::errors::Refusal;
use crate::field::Tagged;
use crate::item::Item;

pub(super) fn expand(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let factum = &item.factum;
    let head = item.head(&quote!(#factum::Command));
    let name = &model.name;
    let ids = model.ids.iter().map(|id| id.place.borrowed());
    let ids = if let Type::Tuple(_) = model.on {
        quote!((#(#ids),*))
    } else {
        quote!(#(#ids)*)
    };
    let (on, target) = match &model.query {
        None => {
            let on = model.on;
            (quote!(#on), ids)
        }
        Some(query) => (
            queried(factum, model.on, query),
            with_tags(factum, &ids, &query.tags),
        ),
    };
    quote! {
        #head {
            const NAME: &'static str = #name;
            type On = #on;

            fn target(&self) -> <Self::On as #factum::Boundary>::Target<'_> { #target }
        }
    }
}

fn queried(factum: &TokenStream, on: &Type, query: &TagQuery<'_>) -> TokenStream {
    let state = query.state;
    let events = match query.events {
        Some(events) => quote!(#events),
        None => quote!(#factum::__private::EventOf<#on>),
    };
    quote!(#factum::Queried<#on, #state, #events>)
}

fn with_tags(factum: &TokenStream, ids: &TokenStream, tags: &[Tagged]) -> TokenStream {
    let tags = tags.iter().map(|tag| {
        let (key, value) = (&tag.key, tag.place.borrowed());
        quote_spanned!(tag.place.span=> #factum::Tag::new(#key, #value))
    });
    quote!((#ids, #factum::__private::any_tag([#(#tags),*])))
}

/// On bad input: the same impl, with a type that the compiler knows to be broken.
pub(super) fn stub(item: &Item<'_>, refusal: Refusal) -> TokenStream {
    let factum = &item.factum;
    let serialize = quote!(#factum::__private::serde::Serialize);
    let bounds = quote!(#serialize + ::core::marker::Send + ::core::marker::Sync + 'static);
    let head = item.stub_head(&quote!(#factum::Command), &bounds);
    let (broken, others) = refusal.into_type();
    quote! {
        #others
        #head {
            const NAME: &'static str = "";
            type On = #broken;

            fn target(&self) -> <Self::On as #factum::Boundary>::Target<'_> {
                ::core::unreachable!()
            }
        }
    }
}
