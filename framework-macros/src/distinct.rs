//! Compile-time checks that the events of a projection, a process manager or a DCB query have distinct stored names.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

use crate::container::Container;

/// Returns a constant that fails to compile if two events of the tuple `events` share a stored name.
///
/// Returns `None` for a type without parentheses. The framework checks the events of an alias when it reads their names.
pub fn distinct_in_tuple(container: &Container<'_>, events: &Type) -> Option<TokenStream> {
    let Type::Tuple(tuple) = events else {
        return None;
    };
    Some(distinct_events(
        container,
        events.span(),
        tuple.elems.iter(),
    ))
}

/// Returns a constant that fails to compile at `span` if two of `events` share a stored name.
pub fn distinct_events(
    container: &Container<'_>,
    span: Span,
    events: impl Iterator<Item = impl ToTokens>,
) -> TokenStream {
    let private = container.private_at(span);
    let names =
        events.map(|event| quote_spanned!(span=> <#event as #private::Event>::STORED_NAMES));
    quote_spanned!(span=> const _: () = #private::distinct_events(&[#(#names),*]);)
}
