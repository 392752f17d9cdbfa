//! `derive(Id)`: attributes → validity → expansion.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, GenericParam, Lifetime, LifetimeParam, Path, Type};

use crate::attr::{Once, Place};
use crate::errors::{Errors, Rejection};
use crate::item::{Item, fields, refuse_attributes, refuse_generics};
use crate::value;

static PLACE: Place = Place {
    name: "id",
    title: "`#[id(…)]`",
    keys: &["crate"],
    example: "#[id(crate = path::to::factum)]",
};

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let mut factum = Once::<Path>::default();
    PLACE.read(&input.attrs, &mut errors, |key, input| {
        factum.equals(key, input, value::module)
    });
    let item = Item::new(input, &factum);
    let reason = "an id has no parameters: its text is the key of a stream, whatever the type";
    refuse_generics(input, reason, &mut errors);
    for field in fields(&input.data) {
        let belongs = "`#[id(…)]` belongs on the struct: its only field is the id";
        refuse_attributes(&field.attrs, &["id"], belongs, &mut errors);
    }
    let inner = inner(input, &mut errors);
    match errors.finish(inner) {
        Ok(inner) => expand(&item, inner),
        Err(rejection) => stub(&item, &rejection),
    }
}

/// The type of the only field.
fn inner<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Option<&'a Type> {
    let ident = &input.ident;
    let message = format!("an id wraps one value: write `struct {ident}(Uuid);`");
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                return fields.unnamed.first().map(|field| &field.ty);
            }
            Fields::Unit => errors.at(ident, message),
            fields => errors.at(fields, message),
        },
        Data::Enum(data) => errors.at(data.enum_token, message),
        Data::Union(data) => errors.at(data.union_token, message),
    }
    None
}

fn expand(item: &Item<'_>, inner: &Type) -> TokenStream {
    let (ident, serde) = (item.ident, serde(item));
    let span = inner.span();
    let display = item.head(&quote!(::core::fmt::Display));
    let show = quote_spanned!(span=> <#inner as ::core::fmt::Display>::fmt);
    let from_str = item.head(&quote!(::core::str::FromStr));
    let parses = quote_spanned!(span=> ::core::str::FromStr);
    let serialize = item.head(&quote!(#serde::Serialize));
    let write = quote_spanned!(span=> <#inner as #serde::Serialize>::serialize);
    let read = quote_spanned!(span=> <#inner as #serde::Deserialize<'de>>::deserialize);
    let from_inner = item.head(&quote!(::core::convert::From<#inner>));
    quote! {
        #display {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { #show(&self.0, f) }
        }

        #from_str where #inner: #parses {
            type Err = <#inner as #parses>::Err;

            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                <#inner as #parses>::from_str(text).map(Self)
            }
        }

        #serialize {
            fn serialize<S: #serde::Serializer>(&self, serializer: S)
                -> ::core::result::Result<S::Ok, S::Error> { #write(&self.0, serializer) }
        }

        #[automatically_derived]
        impl<'de> #serde::Deserialize<'de> for #ident {
            fn deserialize<D: #serde::Deserializer<'de>>(deserializer: D)
                -> ::core::result::Result<Self, D::Error> { #read(deserializer).map(Self) }
        }

        #from_inner {
            fn from(inner: #inner) -> Self { Self(inner) }
        }

        #[automatically_derived]
        impl ::core::convert::From<#ident> for #inner {
            fn from(id: #ident) -> Self { id.0 }
        }
    }
}

/// On bad input: what an id is used for, without content.
fn stub(item: &Item<'_>, rejection: &Rejection) -> TokenStream {
    let (errors, serde) = (rejection.items(), serde(item));
    let sized = quote!(::core::marker::Sized);
    let display = item.stub_head(&quote!(::core::fmt::Display), &sized);
    let from_str = item.stub_head(&quote!(::core::str::FromStr), &sized);
    let serialize = item.stub_head(&quote!(#serde::Serialize), &sized);
    let mut generics = item.generics.clone();
    let de = LifetimeParam::new(Lifetime::new("'de", Span::call_site()));
    generics.params.insert(0, GenericParam::Lifetime(de));
    let (params, _, _) = generics.split_for_impl();
    let (_, args, clause) = item.generics.split_for_impl();
    let ident = item.ident;
    quote! {
        #errors

        #display {
            fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::unreachable!()
            }
        }

        #from_str {
            type Err = ::core::convert::Infallible;

            fn from_str(_: &str) -> ::core::result::Result<Self, Self::Err> {
                ::core::unreachable!()
            }
        }

        #serialize {
            fn serialize<S: #serde::Serializer>(&self, _: S)
                -> ::core::result::Result<S::Ok, S::Error> { ::core::unreachable!() }
        }

        #[automatically_derived]
        impl #params #serde::Deserialize<'de> for #ident #args #clause {
            fn deserialize<D: #serde::Deserializer<'de>>(_: D)
                -> ::core::result::Result<Self, D::Error> { ::core::unreachable!() }
        }
    }
}

fn serde(item: &Item<'_>) -> TokenStream {
    let factum = &item.factum;
    quote!(#factum::__private::serde)
}
