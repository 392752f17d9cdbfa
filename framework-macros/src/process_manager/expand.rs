//! The impls of `ProcessManager` and `Sends`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::Model;
use crate::errors::Rejection;
use crate::item::Item;

pub(super) fn expand(item: &Item<'_>, model: &Model<'_>) -> TokenStream {
    let (factum, ident, doc) = (&item.factum, item.ident, &item.doc);
    let head = item.head(&quote!(#factum::ProcessManager));
    let Model {
        name,
        version,
        upcasters,
        id,
        events,
        commands,
        each,
    } = model;
    let sends = sends(item, each);
    let names = each.iter().map(|command| {
        let factum = item.factum_at(command.span());
        quote_spanned!(command.span()=> <#command as #factum::Command>::NAME)
    });
    // Here, and not where the program is put together, is the place to hear of a missing impl.
    let at = events.span();
    let set = quote_spanned!(at=> #factum::__private::reacts::<#ident, #events>());
    let responds = quote_spanned!(ident.span()=> #factum::__private::responds::<#ident>());
    quote! {
        #head {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            #doc
            const UPCASTERS: &'static [#factum::Upcaster] = &[#(#upcasters),*];
            type Id = #id;
            type Events = #events;
            type Commands = #commands;
        }
        #sends
        const _: () = {
            #set;
            #responds;
            #factum::__private::distinct(&[#(#names),*]);
        };
    }
}

/// What may be sent.
fn sends(item: &Item<'_>, commands: &[&Type]) -> TokenStream {
    let ident = item.ident;
    let each = commands.iter().map(|command| {
        let factum = item.factum_at(command.span());
        quote_spanned!(command.span()=> #[automatically_derived] impl #factum::process::SentBy<#ident> for #command {})
    });
    each.collect()
}

/// On bad input: the same impl, with a type that the compiler knows to be broken.
pub(super) fn stub(item: &Item<'_>, commands: &[&Type], rejection: Rejection) -> TokenStream {
    let factum = &item.factum;
    let serde = quote!(#factum::__private::serde);
    let bounds = quote! {
        ::core::default::Default + ::core::clone::Clone + #serde::Serialize + #serde::de::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync + 'static
    };
    let head = item.stub_head(&quote!(#factum::ProcessManager), &bounds);
    let (broken, others) = rejection.into_type();
    // What is sent is no second mistake.
    let sends = match item.generics.params.is_empty() {
        true => sends(item, commands),
        false => TokenStream::new(),
    };
    quote! {
        #others
        #sends
        #head {
            const NAME: &'static str = "";
            const VERSION: u32 = 1;
            type Id = #broken;
            type Events = #broken;
            type Commands = #broken;
        }
    }
}
