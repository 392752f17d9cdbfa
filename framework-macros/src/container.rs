//! [`Container`]: the type that a derive is applied to, and the checks that all derives share.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Generics, Ident, Lit, Meta,
    MetaNameValue, Path,
};

use crate::attr::AttrArg;
use crate::errors::Errors;

/// The type that a derive is applied to.
pub struct Container<'a> {
    pub ident: &'a Ident,
    pub generics: &'a Generics,
    /// The path to the module `__private` of the framework.
    pub private: TokenStream,
    /// The associated constant `DOC`, if the type has a documentation comment.
    pub doc: Option<TokenStream>,
}

impl<'a> Container<'a> {
    /// Creates the container; `factum` is the value of the key `crate`.
    pub fn new(input: &'a DeriveInput, factum: &AttrArg<Path>) -> Self {
        let private = match factum.value() {
            Some(factum) => quote!(#factum::__private),
            None => quote!(::factum::__private),
        };
        Self {
            ident: &input.ident,
            generics: &input.generics,
            private,
            doc: doc_constant(&input.attrs),
        }
    }

    /// Returns [`Self::private`] with another span, so that errors about the items in it point there.
    pub fn private_at(&self, span: Span) -> TokenStream {
        let tokens = self.private.clone().into_iter();
        tokens
            .map(|mut token| {
                token.set_span(token.span().located_at(span));
                token
            })
            .collect()
    }

    /// Returns `impl path for Type`, for a type without generic parameters.
    pub fn impl_head(&self, path: &TokenStream) -> TokenStream {
        let ident = self.ident;
        quote!(#[automatically_derived] impl #path for #ident)
    }

    /// Returns `impl path for Type` for invalid input, where the type may have generic parameters.
    ///
    /// The where clause assumes that a generic type meets the `bounds` of the trait.
    pub fn stub_impl_head(&self, path: &TokenStream, bounds: &TokenStream) -> TokenStream {
        let ident = self.ident;
        if self.generics.params.is_empty() {
            return self.impl_head(path);
        }
        let (params, args, clause) = self.generics.split_for_impl();
        let predicates = clause
            .map(|clause| clause.predicates.iter())
            .into_iter()
            .flatten();
        quote! {
            #[automatically_derived]
            impl #params #path for #ident #args where #(#predicates,)* Self: #bounds
        }
    }
}

/// Returns the constant `DOC` with the text of the documentation comment.
///
/// Lines from a macro, such as `#[doc = include_str!(…)]`, are left out.
fn doc_constant(attrs: &[Attribute]) -> Option<TokenStream> {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(MetaNameValue {
            path,
            value:
                Expr::Lit(ExprLit {
                    lit: Lit::Str(line),
                    ..
                }),
            ..
        }) if path.is_ident("doc") => Some(line.value()),
        _ => None,
    });
    let lines: Vec<_> = lines
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect();
    let text = lines.join("\n");
    let text = text.trim();
    (!text.is_empty()).then(|| quote!(const DOC: &'static str = #text;))
}

/// Checks that the type has no generic parameters.
///
/// `subject` and `reason` are parts of the error message.
pub fn check_no_generics(input: &DeriveInput, subject: &str, reason: &str, errors: &mut Errors) {
    if !input.generics.params.is_empty() {
        let message =
            format!("{subject} cannot have generic parameters: {reason}; use concrete types");
        errors.push_at(&input.generics, message);
    }
}

/// Returns a compile error if the type is a union; `next_step` is the end of its message.
///
/// The error has no stub impl, because a union cannot derive the supertraits of the framework's traits.
pub fn union_error(data: &Data, next_step: &str) -> Option<TokenStream> {
    let Data::Union(data) = data else { return None };
    let message = format!("unions are not supported; {next_step}");
    Some(Error::new_spanned(data.union_token, message).into_compile_error())
}

/// Adds an error with `message` for each attribute in `attrs` with one of these names.
pub fn check_no_attributes(
    attrs: &[Attribute],
    names: &[&str],
    message: &str,
    errors: &mut Errors,
) {
    for attr in attrs {
        if names.iter().any(|name| attr.path().is_ident(name)) {
            errors.push_at(attr, message);
        }
    }
}

/// Checks that variants and fields do not have the attribute `name`, which is only valid on the type.
pub fn check_only_on_type(data: &Data, name: &str, errors: &mut Errors) {
    let message = format!("`#[{name}(…)]` is not allowed here; move it to the type");
    if let Data::Enum(data) = data {
        for variant in &data.variants {
            check_no_attributes(&variant.attrs, &[name], &message, errors);
        }
    }
    for field in all_fields(data) {
        check_no_attributes(&field.attrs, &[name], &message, errors);
    }
}

/// Returns the fields of the type, including those of all variants.
pub fn all_fields(data: &Data) -> Vec<&Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data
            .variants
            .iter()
            .flat_map(|variant| &variant.fields)
            .collect(),
        Data::Union(data) => data.fields.named.iter().collect(),
    }
}
