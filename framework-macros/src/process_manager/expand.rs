//! Generates the impls of `ProcessManager` and `SentBy`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Type};

use super::model::ProcessManagerModel;
use crate::container::Container;
use crate::distinct::distinct_in_tuple;
use crate::errors::into_type_and_items;

/// Returns the impl of `ProcessManager`, an impl of `SentBy` for each command, and assertions.
pub fn expand(container: &Container<'_>, model: &ProcessManagerModel<'_>) -> TokenStream {
    let (private, ident, doc) = (&container.private, container.ident, &container.doc);
    let head = container.impl_head(&quote!(#private::ProcessManager));
    let ProcessManagerModel {
        name,
        version,
        upcasters,
        id,
        events,
        commands,
        command_types,
    } = model;
    let sent_by = sent_by_impls(container, command_types);
    let names = command_types.iter().map(|command| {
        let (span, private) = (command.span(), container.private_at(command.span()));
        quote_spanned!(span=> (<#command as #private::Command>::NAME, ::core::stringify!(#command)))
    });
    // The assertions report a missing impl at the type, and not where the process manager is registered.
    let events_span = events.span();
    let reacts = quote_spanned!(events_span=> #private::reacts::<#ident, #events>());
    let distinct_events = distinct_in_tuple(container, events);
    let responds = quote_spanned!(ident.span()=> #private::responds::<#ident>());
    quote! {
        #head {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            #doc
            const UPCASTERS: &'static [#private::Upcaster] = &[#(#upcasters),*];
            type Id = #id;
            type Events = #events;
            type Commands = #commands;
        }
        #sent_by
        const _: () = {
            #reacts;
            #responds;
            #private::distinct_commands(&[#(#names),*]);
        };
        #distinct_events
    }
}

/// Returns an impl of `ProcessManager` with an invalid type for invalid input, and the compile errors.
pub fn stub(container: &Container<'_>, commands: &[&Type], error: Error) -> TokenStream {
    let private = &container.private;
    let serde = quote!(#private::serde);
    let bounds = quote! {
        ::core::default::Default + ::core::clone::Clone + #serde::Serialize + #serde::de::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync + 'static
    };
    let head = container.stub_impl_head(&quote!(#private::ProcessManager), &bounds);
    let (invalid_type, errors) = into_type_and_items(error);
    // Without these impls, each command that is sent would be another error.
    let sent_by = if container.generics.params.is_empty() {
        sent_by_impls(container, commands)
    } else {
        TokenStream::new()
    };
    quote! {
        #errors
        #sent_by
        #head {
            const NAME: &'static str = "";
            const VERSION: u32 = 1;
            type Id = #invalid_type;
            type Events = #invalid_type;
            type Commands = #invalid_type;
        }
    }
}

/// Returns an impl of `SentBy` for each command.
fn sent_by_impls(container: &Container<'_>, commands: &[&Type]) -> TokenStream {
    let ident = container.ident;
    let impls = commands.iter().map(|command| {
        let (span, private) = (command.span(), container.private_at(command.span()));
        quote_spanned!(span=> #[automatically_derived] impl #private::SentBy<#ident> for #command {})
    });
    impls.collect()
}
