//! The function `personal` of the impl of `Event`: which fields are sealed, and for whom.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::Model;
use super::personal::Personal;
use crate::field::pattern;
use crate::item::Item;

/// The function, if there is any personal data.
pub(super) fn function(item: &Item<'_>, model: &Model<'_>) -> Option<TokenStream> {
    if model.kinds.iter().all(|kind| kind.personal.is_empty()) {
        return None;
    }
    let (factum, ok) = (&item.factum, quote!(::core::result::Result::Ok));
    let private = quote!(#factum::__private);
    let with = model.kinds.iter().filter(|kind| !kind.personal.is_empty());
    let arms = with.map(|kind| {
        let fields = kind.personal.iter();
        let spots = fields.flat_map(|field| [Some(&field.place), field.subject.as_ref()]);
        let pattern = pattern(&model.path(kind), spots.flatten());
        let marks = kind.personal.iter().map(|field| mark(item, field));
        quote!(#pattern => ::std::vec![#(#marks),*],)
    });
    let without = model.kinds.iter().any(|kind| kind.personal.is_empty());
    let rest = without.then(|| quote!(_ => return #ok(::std::vec::Vec::new()),));
    let result = quote! {
        ::core::result::Result<::std::vec::Vec<#private::PersonalField>, #private::serde_json::Error>
    };
    Some(quote! {
        fn personal(&self) -> #result {
            fn personal_fields<E: #factum::Event>(
                event: &E,
                fields: ::std::vec::Vec<#private::IndexedPersonalField>,
            ) -> #result {
                #private::personal_fields(event, fields)
            }
            personal_fields(self, match self { #(#arms)* #rest })
        }
    })
}

fn mark(item: &Item<'_>, field: &Personal) -> TokenStream {
    let factum = &item.factum;
    let subject = match &field.subject {
        None => quote!(#factum::__private::Subject::Stream),
        Some(spot) => {
            let (id, factum) = (spot.binding(), item.factum_at(spot.span));
            quote_spanned!(spot.span=> #factum::__private::subject(#id))
        }
    };
    let (written, span) = (field.written, field.ty);
    let mut value = field.place.binding();
    value.set_span(span.resolved_at(value.span()));
    let factum = item.factum_at(span);
    quote_spanned!(span=> #factum::__private::personal_field(#written, #subject, #value)?)
}
