//! The impl of `Event`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::Model;
use super::kinds::Kind;
use crate::errors::Refusal;
use crate::field::binding;
use crate::item::Item;

pub(super) fn expand(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let factum = &item.factum;
    let head = item.head(&quote!(#factum::Event));
    let types = model.kinds.iter().map(|kind| event_type(factum, kind));
    let arms = model.kinds.iter().enumerate().map(|(index, kind)| {
        let pattern = pattern(model, kind);
        quote!(#pattern { .. } => #index,)
    });
    let index = if model.is_enum {
        quote!(match self { #(#arms)* })
    } else {
        quote!(0)
    };
    let tags = tags(factum, model);
    let (to_json, from_json) = if model.is_enum {
        (
            quote!(variant_to_json(self)),
            quote!(variant_from_json(index, json)),
        )
    } else {
        (quote!(struct_to_json(self)), quote!(struct_from_json(json)))
    };
    let index_name = if model.is_enum {
        quote!(index)
    } else {
        quote!(_)
    };
    quote! {
        #head {
            const TYPES: &'static [#factum::EventType] = &[#(#types),*];

            fn type_index(&self) -> usize { #index }

            fn tags(&self)
                -> ::core::result::Result<::std::vec::Vec<#factum::Tag>, #factum::InvalidTag>
            { #tags }

            fn to_json(&self)
                -> ::core::result::Result<::std::vec::Vec<u8>, #factum::__private::serde_json::Error>
            { #factum::__private::#to_json }

            fn from_json(#index_name: usize, json: &[u8])
                -> ::core::result::Result<Self, #factum::__private::serde_json::Error>
            { #factum::__private::#from_json }
        }
    }
}

/// On bad input: the same impl without content.
pub(super) fn stub(item: &Item<'_>, refusal: &Refusal) -> TokenStream {
    let factum = &item.factum;
    let serde = quote!(#factum::__private::serde);
    let bounds = quote! {
        #serde::Serialize + #serde::de::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync + 'static
    };
    let head = item.stub_head(&quote!(#factum::Event), &bounds);
    let errors = refusal.items();
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
        ..
    } = kind;
    quote! {
        #factum::EventType { name: #name, version: #version, upcasters: &[#(#upcasters),*] }
    }
}

/// `Self::Variant`, or `Self` of a struct.
fn pattern(model: &Model<'_>, kind: &Kind<'_>) -> TokenStream {
    let ident = kind.ident;
    if model.is_enum {
        quote!(Self::#ident)
    } else {
        quote!(Self)
    }
}

fn tags(factum: &TokenStream, model: &Model<'_>) -> TokenStream {
    if model.kinds.iter().all(|kind| kind.tags.is_empty()) {
        return quote!(::core::result::Result::Ok(::std::vec::Vec::new()));
    }
    let arms = model.kinds.iter().map(|kind| {
        let pattern = pattern(model, kind);
        let fields = kind.tags.iter().enumerate().map(|(index, tag)| {
            let (member, name) = (&tag.place.member, binding(index, tag.place.span));
            quote!(#member: #name,)
        });
        let tags = kind.tags.iter().enumerate().map(|(index, tag)| {
            let (key, span) = (&tag.key, tag.place.span);
            let name = binding(index, span);
            quote_spanned!(span=> #factum::Tag::new(#key, #name)?)
        });
        quote!(#pattern { #(#fields)* .. } => ::std::vec![#(#tags),*],)
    });
    quote!(::core::result::Result::Ok(match self { #(#arms)* }))
}
