//! `derive(Id)`: parses the attribute, validates the struct and generates the impls.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, GenericParam, Lifetime, LifetimeParam, Path, Type};

use crate::attr::{AttrArg, AttrSpec, join_with_and};
use crate::container::{Container, all_fields, check_no_attributes, check_no_generics};
use crate::errors::Errors;
use crate::parse;
use crate::sibling_derives::sibling_derives;

static SPEC: AttrSpec = AttrSpec {
    name: "id",
    title: "`#[id(…)]`",
    keys: &["crate"],
    example: "#[id(crate = path::to::factum)]",
};

/// The derives of serde, whose traits this derive implements.
const SERDE_DERIVES: [&str; 2] = ["Serialize", "Deserialize"];

/// Returns the generated code of `derive(Id)`.
pub fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let mut factum = AttrArg::<Path>::default();
    SPEC.parse(&input.attrs, &mut errors, |key, input| {
        factum.parse_assignment(key, input, parse::module_path)
    });
    let container = Container::new(input, &factum);
    let reason = "it wraps exactly one type";
    check_no_generics(input, "an id", reason, &mut errors);
    for field in all_fields(&input.data) {
        let message = "`#[id]` is not allowed on the field of an id; remove it, or write `#[id(crate = …)]` on the \
                       struct";
        check_no_attributes(&field.attrs, &["id"], message, &mut errors);
    }
    let inner = inner_type(input, &mut errors);
    let siblings = sibling_derives(&input.attrs);
    match errors.finish(inner) {
        Ok(inner) => expand(&container, inner, &siblings),
        Err(error) => stub(&container, &error),
    }
}

/// Returns an error if one of the other derives implements a trait that this derive implements, too.
///
/// Two impls cause an error for each trait, which does not say that `Id` has one.
fn sibling_error(siblings: &[String]) -> Option<Error> {
    let twice: Vec<_> = SERDE_DERIVES
        .iter()
        .filter(|name| siblings.iter().any(|sibling| sibling == *name))
        .map(|name| format!("`{name}`"))
        .collect();
    let traits = join_with_and(&twice);
    let message =
        format!("`derive(Id)` already implements {traits}; remove {traits} from the other derives");
    (!twice.is_empty()).then(|| Error::new(Span::call_site(), message))
}

/// Returns the type of the only field.
fn inner_type<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Option<&'a Type> {
    let ident = &input.ident;
    let message =
        format!("an id must be a tuple struct with one field; write `struct {ident}(Uuid);`");
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                return fields.unnamed.first().map(|field| &field.ty);
            }
            Fields::Unit => errors.push_at(ident, message),
            fields => errors.push_at(fields, message),
        },
        Data::Enum(data) => errors.push_at(data.enum_token, message),
        Data::Union(data) => errors.push_at(data.union_token, message),
    }
    None
}

fn expand(container: &Container<'_>, inner: &Type, siblings: &[String]) -> TokenStream {
    let serde_impls = match sibling_error(siblings) {
        Some(error) => error.to_compile_error(),
        None => serde_impls(container, inner),
    };
    let conversions = conversions(container, inner);
    quote!(#conversions #serde_impls)
}

/// Returns the impls of `Serialize` and `Deserialize`.
fn serde_impls(container: &Container<'_>, inner: &Type) -> TokenStream {
    let (ident, serde, span) = (container.ident, serde_path(container), inner.span());
    let serialize = container.impl_head(&quote!(#serde::Serialize));
    let serialize_inner = quote_spanned!(span=> <#inner as #serde::Serialize>::serialize);
    let deserialize_inner =
        quote_spanned!(span=> <#inner as #serde::Deserialize<'de>>::deserialize);
    quote! {
        #serialize {
            fn serialize<S: #serde::Serializer>(&self, serializer: S)
                -> ::core::result::Result<S::Ok, S::Error> { #serialize_inner(&self.0, serializer) }
        }

        #[automatically_derived]
        impl<'de> #serde::Deserialize<'de> for #ident {
            fn deserialize<D: #serde::Deserializer<'de>>(deserializer: D)
                -> ::core::result::Result<Self, D::Error> { #deserialize_inner(deserializer).map(Self) }
        }
    }
}

/// Returns the impls of `Display`, `FromStr` and `From`.
fn conversions(container: &Container<'_>, inner: &Type) -> TokenStream {
    let (ident, span) = (container.ident, inner.span());
    let display = container.impl_head(&quote!(::core::fmt::Display));
    let fmt_inner = quote_spanned!(span=> <#inner as ::core::fmt::Display>::fmt);
    let from_str = container.impl_head(&quote!(::core::str::FromStr));
    let from_str_trait = quote_spanned!(span=> ::core::str::FromStr);
    let from_inner = container.impl_head(&quote!(::core::convert::From<#inner>));
    quote! {
        #display {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { #fmt_inner(&self.0, f) }
        }

        #from_str where #inner: #from_str_trait {
            type Err = <#inner as #from_str_trait>::Err;

            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                <#inner as #from_str_trait>::from_str(text).map(Self)
            }
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

/// Returns impls without content for invalid input, and the compile errors.
fn stub(container: &Container<'_>, error: &Error) -> TokenStream {
    let (errors, serde) = (error.to_compile_error(), serde_path(container));
    let sized = quote!(::core::marker::Sized);
    let display = container.stub_impl_head(&quote!(::core::fmt::Display), &sized);
    let from_str = container.stub_impl_head(&quote!(::core::str::FromStr), &sized);
    let serialize = container.stub_impl_head(&quote!(#serde::Serialize), &sized);
    let mut generics = container.generics.clone();
    let de = LifetimeParam::new(Lifetime::new("'de", Span::call_site()));
    generics.params.insert(0, GenericParam::Lifetime(de));
    let (params, _, _) = generics.split_for_impl();
    let (_, args, clause) = container.generics.split_for_impl();
    let ident = container.ident;
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

fn serde_path(container: &Container<'_>) -> TokenStream {
    let private = &container.private;
    quote!(#private::serde)
}
