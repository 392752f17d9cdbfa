//! Generates the impl of `Event`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Error;
use syn::spanned::Spanned as _;

use super::model::{EventModel, EventTypeModel};
use super::personal::PersonalFieldModel;
use crate::container::Container;
use crate::field::{fields_pattern, tag_values};

/// Returns the impl of `Event`.
pub fn expand(container: &Container<'_>, model: &EventModel<'_>) -> TokenStream {
    let private = &container.private;
    let head = container.impl_head(&quote!(#private::Event));
    let types = model.types.iter();
    let types = types.map(|event_type| event_type_value(container, event_type));
    let legacy = legacy_constants(container, model);
    let ident = container.ident;
    let type_index = type_index_body(model);
    let tags = tags_body(container, model);
    let personal = personal_function(container, model);
    let [to_json, from_json, index] = json_functions(model);
    let error = quote!(#private::serde_json::Error);
    // The bodies of `to_json` and `from_json` are generic functions, so that an event without `Serialize` or
    // `Deserialize` causes one error at the bound of the trait, and not another one for each call.
    quote! {
        #head {
            const TYPES: &'static [#private::EventType] = &[#(#types),*];

            #legacy

            const RUST_TYPE: &'static str =
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#ident));

            fn type_index(&self) -> usize { #type_index }

            fn tags(&self)
                -> ::core::result::Result<::std::vec::Vec<#private::Tag>, #private::InvalidTag>
            { #tags }

            #personal

            fn to_json(&self) -> ::core::result::Result<::std::vec::Vec<u8>, #error> {
                fn to_json<E: #private::Event>(event: &E)
                    -> ::core::result::Result<::std::vec::Vec<u8>, #error>
                { #private::#to_json }
                to_json(self)
            }

            fn from_json(index: usize, json: &[u8]) -> ::core::result::Result<Self, #error> {
                fn from_json<E: #private::Event>(#index: usize, json: &[u8])
                    -> ::core::result::Result<E, #error>
                { #private::#from_json }
                from_json(index, json)
            }

            fn equals(&self, other: &Self) -> ::core::option::Option<bool> {
                #[allow(unused_imports)]
                use #private::{ViaNothing as _, ViaPartialEq as _};
                (&#private::Compared(self, other)).compare()
            }
        }
    }
}

/// Returns an impl of `Event` without content for invalid input, and the compile errors.
pub fn stub(container: &Container<'_>, error: &Error) -> TokenStream {
    let private = &container.private;
    let serde = quote!(#private::serde);
    let bounds = quote! {
        #serde::Serialize + #serde::de::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync + 'static
    };
    let head = container.stub_impl_head(&quote!(#private::Event), &bounds);
    let errors = error.to_compile_error();
    quote! {
        #errors
        #head {
            const TYPES: &'static [#private::EventType] = &[];

            fn type_index(&self) -> usize { ::core::unreachable!() }

            fn tags(&self)
                -> ::core::result::Result<::std::vec::Vec<#private::Tag>, #private::InvalidTag>
            { ::core::unreachable!() }

            fn to_json(&self)
                -> ::core::result::Result<::std::vec::Vec<u8>, #private::serde_json::Error>
            { ::core::unreachable!() }

            fn from_json(_: usize, _: &[u8])
                -> ::core::result::Result<Self, #private::serde_json::Error>
            { ::core::unreachable!() }
        }
    }
}

/// Returns a value of the type `EventType`.
fn event_type_value(container: &Container<'_>, event_type: &EventTypeModel<'_>) -> TokenStream {
    let private = &container.private;
    let variant = event_type.rust_name();
    let EventTypeModel {
        name,
        version,
        upcasters,
        tags,
        personal,
        aliases,
        ..
    } = event_type;
    let tags = tags.iter().map(|tag| &tag.key);
    let personal = personal.iter().map(|field| &field.name);
    let upcasters = upcasters.iter().map(|upcaster| {
        let (span, private) = (upcaster.span(), container.private_at(upcaster.span()));
        quote_spanned!(span=> |json, record| #private::call_upcaster(#upcaster, json, record))
    });
    quote! {
        #private::EventType {
            name: #name,
            variant: #variant,
            aliases: &[#(#aliases),*],
            version: #version,
            upcasters: &[#(#upcasters),*],
            tags: &[#(#tags),*],
            personal: &[#(#personal),*],
        }
    }
}

/// Returns the constants `LEGACY`, `LEGACY_NAMES` and `RETIRED`, unless they are empty.
fn legacy_constants(container: &Container<'_>, model: &EventModel<'_>) -> TokenStream {
    let private = &container.private;
    let (legacy, retired) = (&model.legacy, &model.retired);
    let legacy = (!legacy.is_empty()).then(|| {
        let decoders = legacy.iter().map(|ty| {
            let (span, private) = (ty.span(), container.private_at(ty.span()));
            quote_spanned!(span=> #private::LegacyDecoder::<Self>::of::<#ty>())
        });
        let names = (0..legacy.len()).map(|index| quote!(Self::LEGACY[#index].stored_names));
        quote! {
            const LEGACY: &'static [#private::LegacyDecoder<Self>] = &[#(#decoders),*];
            const LEGACY_NAMES: &'static [#private::StoredNames] = &[#(#names),*];
        }
    });
    let retired = (!retired.is_empty())
        .then(|| quote!(const RETIRED: &'static [&'static str] = &[#(#retired),*];));
    quote!(#legacy #retired)
}

fn type_index_body(model: &EventModel<'_>) -> TokenStream {
    if !model.is_enum {
        return quote!(0);
    }
    let arms = model.types.iter().enumerate().map(|(index, event_type)| {
        let path = model.path(event_type);
        quote!(#path { .. } => #index,)
    });
    quote!(match self { #(#arms)* })
}

fn tags_body(container: &Container<'_>, model: &EventModel<'_>) -> TokenStream {
    let mut types = model.types.iter();
    if types.all(|event_type| event_type.tags.is_empty()) {
        return quote!(::core::result::Result::Ok(::std::vec::Vec::new()));
    }
    let arms = model.types.iter().map(|event_type| {
        let tags = &event_type.tags;
        let bindings = tags.iter().map(|tag| &tag.binding);
        let pattern = fields_pattern(&model.path(event_type), bindings);
        if tags.iter().any(|tag| tag.is_collection) {
            let tags = tag_values(container, tags);
            return quote!(#pattern => (#tags).collect::<::core::result::Result<_, _>>()?,);
        }
        let tags = tags.iter().map(|tag| {
            let (key, value, span) = (&tag.key, tag.binding.variable(), tag.binding.span());
            let private = container.private_at(span);
            quote_spanned!(span=> #private::Tag::new(#key, #value)?)
        });
        quote!(#pattern => ::std::vec![#(#tags),*],)
    });
    quote!(::core::result::Result::Ok(match self { #(#arms)* }))
}

/// Returns the function `personal`, if the event has personal data.
fn personal_function(container: &Container<'_>, model: &EventModel<'_>) -> Option<TokenStream> {
    let types = || model.types.iter();
    if types().all(|event_type| event_type.personal.is_empty()) {
        return None;
    }
    let (private, ok) = (&container.private, quote!(::core::result::Result::Ok));
    let with_personal_data = types().filter(|event_type| !event_type.personal.is_empty());
    let arms = with_personal_data.map(|event_type| {
        let fields = &event_type.personal;
        let bindings = fields
            .iter()
            .flat_map(|field| [Some(&field.binding), field.subject.as_ref()]);
        let pattern = fields_pattern(&model.path(event_type), bindings.flatten());
        let marks = fields.iter().map(|field| personal_mark(container, field));
        quote!(#pattern => ::std::vec![#(#marks),*],)
    });
    let rest = types()
        .any(|event_type| event_type.personal.is_empty())
        .then(|| quote!(_ => return #ok(::std::vec::Vec::new()),));
    let result = quote! {
        ::core::result::Result<::std::vec::Vec<#private::PersonalField>, #private::serde_json::Error>
    };
    Some(quote! {
        fn personal(&self) -> #result {
            fn personal_fields<E: #private::Event>(event: &E, fields: ::std::vec::Vec<#private::IndexedPersonalField>) -> #result {
                #private::personal_fields(event, fields)
            }
            personal_fields(self, match self { #(#arms)* #rest })
        }
    })
}

fn personal_mark(container: &Container<'_>, field: &PersonalFieldModel) -> TokenStream {
    let private = &container.private;
    let subject = match &field.subject {
        None => quote!(#private::Subject::Stream),
        Some(binding) => {
            let (id, span) = (binding.variable(), binding.span());
            let private = container.private_at(span);
            quote_spanned!(span=> #private::subject(#id))
        }
    };
    let (index, span) = (field.serialized_index, field.ty_span);
    let mut value = field.binding.variable();
    value.set_span(span.resolved_at(value.span()));
    let private = container.private_at(span);
    quote_spanned!(span=> #private::personal_field(#index, #subject, #value)?)
}

/// Returns the bodies of `to_json` and `from_json`, and the name of the parameter `index`.
fn json_functions(model: &EventModel<'_>) -> [TokenStream; 3] {
    if model.is_enum {
        let from_json = quote!(variant_from_json(index, json));
        [quote!(variant_to_json(event)), from_json, quote!(index)]
    } else {
        let from_json = quote!(struct_from_json(json));
        [quote!(struct_to_json(event)), from_json, quote!(_)]
    }
}
