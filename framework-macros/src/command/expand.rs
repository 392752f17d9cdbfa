//! The impl of `Command`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::{Model, TagQuery};
use crate::errors::Rejection;
use crate::field::{Tagged, pattern};
use crate::item::Item;

pub(super) fn expand(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let factum = &item.factum;
    let head = item.head(&quote!(#factum::Command));
    let name = &model.name;
    let keys = tag_keys(model);
    let form = form(item, model);
    let on = on(item, model);
    let tags = model.query.iter().flat_map(|query| &query.tags);
    let spots = model
        .ids
        .iter()
        .map(|id| &id.place)
        .chain(tags.map(|tag| &tag.place));
    let pattern = pattern(&quote!(Self), spots);
    let ids = model.ids.iter().map(|id| id.place.binding());
    let ids = if let Type::Tuple(_) = model.on {
        quote!((#(#ids),*))
    } else {
        quote!(#(#ids)*)
    };
    let target = match &model.query {
        None => ids,
        Some(query) => with_tags(item, &ids, &query.tags),
    };
    let clause = clause(item, model);
    // Where a field is of another type than the id, the compiler points at `on` for the reason.
    let (span, factum) = (model.on.span(), item.factum_at(model.on.span()));
    let returned = quote_spanned!(span=> <#on as #factum::Boundary>::Target<'_>);
    quote! {
        #head where #clause {
            const NAME: &'static str = #name;
            #keys
            #form
            type On = #on;

            fn target(&self) -> #returned {
                let #pattern = self;
                #target
            }
        }
    }
}

/// The keys that the tag query looks for, if there is one.
fn tag_keys(model: &Model<'_>) -> Option<TokenStream> {
    let query = model.query.as_ref()?;
    let keys = query.tags.iter().map(|tag| &tag.key);
    Some(quote!(const TAGS: &'static [&'static str] = &[#(#keys),*];))
}

/// The version of its form, if it is not the first.
fn form(item: &Item<'_>, model: &Model<'_>) -> Option<TokenStream> {
    let (factum, version, upcasters) = (&item.factum, model.version, model.upcasters);
    (version > 1).then(|| {
        quote! {
            const VERSION: u32 = #version;
            const UPCASTERS: &'static [#factum::Upcaster] = &[#(#upcasters),*];
        }
    })
}

/// What it looks at, or that and a tag query.
fn on(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let on = model.on;
    let Some(query) = &model.query else {
        return quote!(#on);
    };
    let state = query.state;
    let (span, factum) = (state.span(), item.factum_at(state.span()));
    let events = events_of(item, on, query);
    quote_spanned!(span=> #factum::Queried<#on, #state, #events>)
}

/// What is asked of the types in the attribute, so that each hears of it in its own words.
fn clause(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let (on, span) = (model.on, model.on.span());
    let factum = item.factum_at(span);
    let boundary = quote_spanned!(span=> #on: #factum::Boundary);
    let Some(query) = &model.query else {
        return boundary;
    };
    let (state, span, factum) = (
        query.state,
        query.state.span(),
        item.factum_at(query.state.span()),
    );
    let events = events_of(item, on, query);
    quote_spanned! {span=>
        #boundary,
        #events: #factum::EventSet,
        #state: #factum::ApplySet<#events> + ::core::default::Default
    }
}

fn events_of(item: &Item<'_>, on: &Type, query: &TagQuery<'_>) -> TokenStream {
    let factum = item.factum_at(query.state.span());
    match query.events {
        Some(events) => quote!(#events),
        None => quote_spanned!(query.state.span()=> #factum::__private::EventOf<#on>),
    }
}

fn with_tags(item: &Item<'_>, ids: &TokenStream, tags: &[Tagged]) -> TokenStream {
    let factum = &item.factum;
    let tags = tags.iter().map(|tag| {
        let (key, value, span) = (&tag.key, tag.place.binding(), tag.place.span);
        let factum = item.factum_at(span);
        quote_spanned!(span=> #factum::Tag::new(#key, #value))
    });
    quote!((#ids, #factum::__private::any_tag([#(#tags),*])))
}

/// On bad input: the same impl, with a type that the compiler knows to be broken.
pub(super) fn stub(item: &Item<'_>, rejection: Rejection) -> TokenStream {
    let factum = &item.factum;
    let serialize = quote!(#factum::__private::serde::Serialize);
    let bounds = quote!(#serialize + ::core::marker::Send + ::core::marker::Sync + 'static);
    let head = item.stub_head(&quote!(#factum::Command), &bounds);
    let (broken, others) = rejection.into_type();
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
