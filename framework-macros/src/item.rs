//! [`Item`]: what every derive asks of the type that it stands on.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Generics, Ident, Lit, Meta,
    MetaNameValue, Path,
};

use crate::attr::Once;
use crate::errors::Errors;

/// The type, and the path to the framework.
pub(crate) struct Item<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a Generics,
    /// `::factum`, or what `crate = …` says.
    pub(crate) factum: TokenStream,
    /// `const DOC`, if there is a documentation comment.
    pub(crate) doc: Option<TokenStream>,
}

impl<'a> Item<'a> {
    pub(crate) fn new(input: &'a DeriveInput, factum: &Once<Path>) -> Self {
        let factum = factum
            .get()
            .map_or_else(|| quote!(::factum), |path| quote!(#path));
        Self {
            ident: &input.ident,
            generics: &input.generics,
            factum,
            doc: doc(&input.attrs),
        }
    }

    /// The path to the framework, standing at `span`: an error about what it leads to lands there.
    pub(crate) fn factum_at(&self, span: Span) -> TokenStream {
        let tokens = self.factum.clone().into_iter();
        tokens
            .map(|mut token| {
                token.set_span(token.span().located_at(span));
                token
            })
            .collect()
    }

    /// `impl path for Type`, for a type without parameters.
    pub(crate) fn head(&self, path: &TokenStream) -> TokenStream {
        let ident = self.ident;
        quote!(#[automatically_derived] impl #path for #ident)
    }

    /// `impl path for Type` on bad input, where the type may have parameters: they are taken to meet the
    /// bounds of the trait.
    pub(crate) fn stub_head(&self, path: &TokenStream, bounds: &TokenStream) -> TokenStream {
        let ident = self.ident;
        if self.generics.params.is_empty() {
            return self.head(path);
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

/// The lines of the documentation comment; those that a macro writes (`#[doc = include_str!(…)]`) are not
/// known here.
fn doc(attrs: &[Attribute]) -> Option<TokenStream> {
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

/// Rejects parameters; `reason` says what they would break.
pub(crate) fn refuse_generics(input: &DeriveInput, reason: &str, errors: &mut Errors) {
    if !input.generics.params.is_empty() {
        errors.at(&input.generics, reason);
    }
}

/// The rejection of a union. It stands alone: what a trait asks for, a union cannot derive.
pub(crate) fn refuse_union(data: &Data, instead: &str) -> Option<TokenStream> {
    let Data::Union(data) = data else { return None };
    let message = format!("a union cannot say which of its fields is set: {instead}");
    Some(Error::new_spanned(data.union_token, message).into_compile_error())
}

/// Rejects attributes of these names in a place where nothing would read them.
pub(crate) fn refuse_attributes(
    attrs: &[Attribute],
    names: &[&str],
    belongs: &str,
    errors: &mut Errors,
) {
    for attr in attrs {
        if names.iter().any(|name| attr.path().is_ident(name)) {
            errors.at(attr, belongs);
        }
    }
}

/// Every field of the type, through all its variants.
pub(crate) fn fields(data: &Data) -> Vec<&Field> {
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
