//! [`FingerprintModel`]: the fields that an idempotency key does not compare.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Fields, Ident, Member, Meta, Type};

use crate::container::Container;
use crate::errors::Errors;
use crate::field::{FieldBinding, attributes, fields_pattern};
use crate::serde_keys::{SerdeDefault, find_serde_key, serde_default};

/// The keys on the struct with which serde does not serialize its fields one by one.
const OTHER_REPRESENTATION: &[&str] = &["into", "transparent", "remote"];

/// The keys with which a field is not serialized by the impl of its type.
const OTHER_SERIALIZER: &[&str] = &["with", "serialize_with"];

/// The fields that an idempotency key does not compare.
pub struct FingerprintModel<'a> {
    /// The number of fields that serde serializes.
    serialized: usize,
    /// The indexes of the fields with `#[fingerprint(skip)]`, among those that serde serializes.
    skipped: Vec<usize>,
    /// The default of the whole struct.
    default: Option<SerdeDefault>,
    /// The fields that are left out if they have their default value.
    defaults: Vec<DefaultField<'a>>,
}

struct DefaultField<'a> {
    binding: FieldBinding,
    member: Member,
    ty: &'a Type,
    /// The index among the fields that serde serializes.
    serialized_index: usize,
    /// The default of the field; if `None`, that of the struct.
    default: Option<SerdeDefault>,
}

impl<'a> FingerprintModel<'a> {
    /// Creates the model, and adds all errors in the input to `errors`.
    pub fn new(input: &'a DeriveInput, fields: &'a Fields, errors: &mut Errors) -> Self {
        let other = find_serde_key(&input.attrs, OTHER_REPRESENTATION);
        let flatten = || {
            let mut fields = fields.iter();
            fields.find_map(|field| find_serde_key(&field.attrs, &["flatten"]))
        };
        let obstacle = other.or_else(flatten);
        let mut model = Self {
            serialized: 0,
            skipped: Vec::new(),
            default: serde_default(&input.attrs),
            defaults: Vec::new(),
        };
        for (index, (member, field)) in fields.members().zip(fields).enumerate() {
            let is_skipped = is_skipped(field, obstacle.as_ref(), errors);
            if find_serde_key(&field.attrs, &["skip", "skip_serializing"]).is_some() {
                continue;
            }
            let serialized_index = model.serialized;
            model.serialized += 1;
            let default = serde_default(&field.attrs);
            let has_default = default.is_some() || model.default.is_some();
            if is_skipped {
                model.skipped.push(serialized_index);
            } else if has_default && find_serde_key(&field.attrs, OTHER_SERIALIZER).is_none() {
                model.defaults.push(DefaultField {
                    binding: FieldBinding::new(index, member.clone(), field),
                    member,
                    ty: &field.ty,
                    serialized_index,
                    default,
                });
            }
        }
        if obstacle.is_some() {
            model.defaults.clear();
        }
        model
    }

    /// Returns the function `omitted_from_fingerprint`, if a field can be left out.
    pub fn expand(&self, container: &Container<'_>) -> Option<TokenStream> {
        if self.skipped.is_empty() && self.defaults.is_empty() {
            return None;
        }
        let private = &container.private;
        let bindings = self.defaults.iter().map(|field| &field.binding);
        let pattern = fields_pattern(&quote!(Self), bindings);
        let whole = self.whole_default();
        let (serialized, skipped) = (self.serialized, &self.skipped);
        let defaults = self.defaults.iter().map(|field| field.expand(container));
        Some(quote! {
            fn omitted_from_fingerprint(&self) -> #private::OmittedFields {
                let #pattern = self;
                #whole
                #private::omitted_fields(#serialized, &[#(#skipped),*], &[#(#defaults),*])
            }
        })
    }

    /// Returns the variable with the default of the struct, if a field uses it.
    fn whole_default(&self) -> Option<TokenStream> {
        if self.defaults.iter().all(|field| field.default.is_some()) {
            return None;
        }
        let value = default_value(self.default.as_ref()?, &quote!(Self));
        Some(quote!(let default: Self = #value;))
    }
}

impl DefaultField<'_> {
    /// Returns the index of the field, and whether it has its default value.
    fn expand(&self, container: &Container<'_>) -> TokenStream {
        let (ty, span) = (self.ty, self.ty.span());
        let private = container.private_at(span);
        let (index, variable, member) =
            (self.serialized_index, self.binding.variable(), &self.member);
        let default = match &self.default {
            Some(default) => default_value(default, &quote!(#ty)),
            None => quote!(default.#member),
        };
        quote_spanned!(span=> (#index, #private::is_default::<#ty>(#variable, &#default)))
    }
}

fn default_value(default: &SerdeDefault, ty: &TokenStream) -> TokenStream {
    match default {
        SerdeDefault::Trait => quote!(<#ty as ::core::default::Default>::default()),
        SerdeDefault::Function(function) => quote!(#function()),
    }
}

/// Returns whether the field has `#[fingerprint(skip)]`.
///
/// `obstacle` is a serde key that makes it impossible to leave out a field.
fn is_skipped(field: &Field, obstacle: Option<&Ident>, errors: &mut Errors) -> bool {
    let mut attrs = attributes(field, "fingerprint");
    let Some(attr) = attrs.next() else {
        return false;
    };
    for duplicate in attrs {
        let message = "duplicate attribute `#[fingerprint(skip)]`; remove this one";
        errors.push_at(duplicate, message);
    }
    let is_skip = match &attr.meta {
        Meta::List(list) => list
            .parse_args::<Ident>()
            .is_ok_and(|argument| argument == "skip"),
        Meta::Path(_) | Meta::NameValue(_) => false,
    };
    if !is_skip {
        errors.push_at(&attr.meta, "expected `#[fingerprint(skip)]`");
    } else if let Some(name) = ["id", "tag"]
        .into_iter()
        .find(|name| attributes(field, name).next().is_some())
    {
        let message = format!(
            "the field with `#[{name}]` decides what the command is about, so an idempotency key must compare it; \
             remove `#[fingerprint(skip)]`"
        );
        errors.push_at(attr, message);
    } else if let Some(obstacle) = obstacle {
        let message = format!(
            "a field can be left out only if serde serializes the fields of the struct one by one; remove \
             `{obstacle}`, or `#[fingerprint(skip)]`"
        );
        errors.push_at(attr, message);
    }
    is_skip
}
