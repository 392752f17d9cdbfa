//! The impl of `Event`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::kinds::Kind;
use super::{Model, marks};
use crate::errors::Rejection;
use crate::field::pattern;
use crate::item::Item;

pub(super) fn expand(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let factum = &item.factum;
    let head = item.head(&quote!(#factum::Event));
    let types = model.kinds.iter().map(|kind| event_type(factum, kind));
    let arms = model.kinds.iter().enumerate().map(|(index, kind)| {
        let path = model.path(kind);
        quote!(#path { .. } => #index,)
    });
    let index = if model.is_enum {
        quote!(match self { #(#arms)* })
    } else {
        quote!(0)
    };
    let (tags, personal) = (tags(item, model), marks::function(item, model));
    let legacy = legacy(item, model);
    let [to_json, from_json, index_name] = codec(model);
    let error = quote!(#factum::__private::serde_json::Error);
    // The inner functions know that an event is `Serialize` and `Deserialize`. Where it is not, only the
    // bound of the trait says so, and not each call as well.
    quote! {
        #head {
            const TYPES: &'static [#factum::EventType] = &[#(#types),*];

            #legacy

            fn type_index(&self) -> usize { #index }

            fn tags(&self)
                -> ::core::result::Result<::std::vec::Vec<#factum::Tag>, #factum::InvalidTag>
            { #tags }

            #personal

            fn to_json(&self) -> ::core::result::Result<::std::vec::Vec<u8>, #error> {
                fn to_json<E: #factum::Event>(event: &E)
                    -> ::core::result::Result<::std::vec::Vec<u8>, #error>
                { #factum::__private::#to_json }
                to_json(self)
            }

            fn from_json(index: usize, json: &[u8]) -> ::core::result::Result<Self, #error> {
                fn from_json<E: #factum::Event>(#index_name: usize, json: &[u8])
                    -> ::core::result::Result<E, #error>
                { #factum::__private::#from_json }
                from_json(index, json)
            }
        }
    }
}

/// How the fields are written and read, and the name of the index where it is needed for that.
fn codec(model: &Model<'_>) -> [TokenStream; 3] {
    if model.is_enum {
        let from_json = quote!(variant_from_json(index, json));
        [quote!(variant_to_json(event)), from_json, quote!(index)]
    } else {
        let from_json = quote!(struct_from_json(json));
        [quote!(struct_to_json(event)), from_json, quote!(_)]
    }
}

/// What was stored once: the constants that are not as by default.
fn legacy(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let factum = &item.factum;
    let (legacy, retired) = (&model.legacy, &model.retired);
    let legacy = (!legacy.is_empty()).then(|| {
        let each = legacy.iter().map(|old| {
            let (span, factum) = (old.span(), item.factum_at(old.span()));
            quote_spanned!(span=> #factum::LegacyDecoder::<Self>::of::<#old>())
        });
        quote!(const LEGACY: &'static [#factum::LegacyDecoder<Self>] = &[#(#each),*];)
    });
    let retired = (!retired.is_empty())
        .then(|| quote!(const RETIRED: &'static [&'static str] = &[#(#retired),*];));
    quote!(#legacy #retired)
}

/// On bad input: the same impl without content.
pub(super) fn stub(item: &Item<'_>, rejection: &Rejection) -> TokenStream {
    let factum = &item.factum;
    let serde = quote!(#factum::__private::serde);
    let bounds = quote! {
        #serde::Serialize + #serde::de::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync + 'static
    };
    let head = item.stub_head(&quote!(#factum::Event), &bounds);
    let errors = rejection.items();
    quote! {
        #errors
        #head {
            const TYPES: &'static [#factum::EventType] = &[];

            fn type_index(&self) -> usize { ::core::unreachable!() }

            fn tags(&self)
                -> ::core::result::Result<::std::vec::Vec<#factum::Tag>, #factum::InvalidTag>
            { ::core::unreachable!() }

            fn to_json(&self)
                -> ::core::result::Result<::std::vec::Vec<u8>, #factum::__private::serde_json::Error>
            { ::core::unreachable!() }

            fn from_json(_: usize, _: &[u8])
                -> ::core::result::Result<Self, #factum::__private::serde_json::Error>
            { ::core::unreachable!() }
        }
    }
}

fn event_type(factum: &TokenStream, kind: &Kind<'_>) -> TokenStream {
    let Kind {
        name,
        version,
        upcasters,
        tags,
        personal,
        aliases,
        ..
    } = kind;
    let tags = tags.iter().map(|tag| &tag.key);
    let personal = personal.iter().map(|field| &field.name);
    quote! {
        #factum::EventType {
            name: #name,
            aliases: &[#(#aliases),*],
            version: #version,
            upcasters: &[#(#upcasters),*],
            tags: &[#(#tags),*],
            personal: &[#(#personal),*],
        }
    }
}

fn tags(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    if model.kinds.iter().all(|kind| kind.tags.is_empty()) {
        return quote!(::core::result::Result::Ok(::std::vec::Vec::new()));
    }
    let arms = model.kinds.iter().map(|kind| {
        let pattern = pattern(&model.path(kind), kind.tags.iter().map(|tag| &tag.place));
        let tags = kind.tags.iter().map(|tag| {
            let (key, span) = (&tag.key, tag.place.span);
            let (value, factum) = (tag.place.binding(), item.factum_at(span));
            quote_spanned!(span=> #factum::Tag::new(#key, #value)?)
        });
        quote!(#pattern => ::std::vec![#(#tags),*],)
    });
    quote!(::core::result::Result::Ok(match self { #(#arms)* }))
}
