//! The value of the key `events`: a set of event types, each with or without braces that select its variants.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Ident, Result, Token, Type, parenthesized, token};

use crate::container::Container;
use crate::distinct::distinct_events;
use crate::parse;

/// The events of a DCB query: one element, or a tuple.
pub struct EventsArg {
    elements: Vec<EventsElement>,
    /// Set if the elements are in parentheses.
    tuple: Option<token::Paren>,
}

/// A type, or some variants: `AccountEvent::{Opened, Closed}`, `Recorded<AccountEvent::{Opened}>`.
struct EventsElement {
    /// The type, with its form and without the braces.
    ty: Type,
    selected: Option<SelectedVariants>,
}

/// The type before the braces, and the variants in them.
struct SelectedVariants {
    event: Type,
    variants: Vec<Ident>,
}

impl EventsArg {
    /// Parses a type or a tuple of types, each with or without variants in braces.
    pub fn parse(input: ParseStream<'_>) -> Result<Self> {
        if !input.peek(token::Paren) {
            return Ok(Self {
                elements: vec![EventsElement::parse(input)?],
                tuple: None,
            });
        }
        let content;
        let paren = parenthesized!(content in input);
        let elements =
            Punctuated::<_, Token![,]>::parse_terminated_with(&content, EventsElement::parse)?;
        let is_tuple = elements.len() != 1 || elements.trailing_punct();
        Ok(Self {
            elements: elements.into_iter().collect(),
            tuple: is_tuple.then_some(paren),
        })
    }

    /// Returns the type of the event set.
    pub fn set(&self, container: &Container<'_>) -> TokenStream {
        let elements = self
            .elements
            .iter()
            .map(|element| element.selection(container));
        match self.tuple {
            None => quote!(#(#elements)*),
            Some(paren) => quote_spanned!(paren.span.join()=> (#(#elements),*)),
        }
    }

    /// Returns checks that the events have distinct names, and that the variants exist.
    pub fn checks(&self, container: &Container<'_>) -> TokenStream {
        let variants = self.elements.iter().map(EventsElement::variant_check);
        let distinct = self.tuple.map(|paren| {
            let types = self.elements.iter().map(|element| element.event(container));
            distinct_events(container, paren.span.join(), types)
        });
        quote!(#(#variants)* #distinct)
    }
}

impl EventsElement {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if let Some(found) = type_with_braces(input)? {
            let braces = found.variants.delim_span().join();
            let expected_type = |_| Error::new(braces, "expected a type before `::{`");
            return Ok(Self {
                ty: syn::parse2(found.ty).map_err(expected_type)?,
                selected: Some(SelectedVariants {
                    event: syn::parse2(found.event).map_err(expected_type)?,
                    variants: variants(found.variants.stream(), braces)?,
                }),
            });
        }
        let ty = parse::ty(input)?;
        Ok(Self { ty, selected: None })
    }

    /// Returns the type of the events, without their form.
    fn event(&self, container: &Container<'_>) -> TokenStream {
        let (ty, span) = (&self.ty, self.ty.span());
        let private = container.private_at(span);
        quote_spanned!(span=> <#ty as #private::EventForm>::Event)
    }

    /// Returns the type that selects the events.
    fn selection(&self, container: &Container<'_>) -> TokenStream {
        let (ty, span) = (&self.ty, self.ty.span());
        let Some(selected) = &self.selected else {
            return quote!(#ty);
        };
        let (event, private) = (self.event(container), container.private_at(span));
        let names = (selected.variants.iter()).map(|variant| variant.unraw().to_string());
        quote_spanned! {span=>
            #private::Variants<
                #ty,
                { #private::variant_mask(<#event as #private::Event>::TYPES, &[#(#names),*]) },
            >
        }
    }

    /// Returns a pattern with each variant, so that the compiler reports an unknown one.
    fn variant_check(&self) -> Option<TokenStream> {
        let SelectedVariants { event, variants } = self.selected.as_ref()?;
        let patterns = variants.iter().map(|variant| {
            let path = quote_spanned!(variant.span()=> Event::#variant);
            quote!(#path { .. })
        });
        Some(quote! {
            const _: () = {
                type Event = #event;
                #[allow(dead_code, unreachable_patterns)]
                const fn check(event: &Event) {
                    match event {
                        #(#patterns)|* => {}
                        _ => {}
                    }
                }
            };
        })
    }
}

/// The tokens of a type around `::{…}`.
struct TypeWithBraces {
    /// The type without the braces.
    ty: TokenStream,
    /// The type directly before the braces.
    event: TokenStream,
    /// The content of the braces.
    variants: Group,
}

/// Parses a type with `::{…}` after it, or after its last generic argument.
///
/// Returns `None` and parses nothing if there are no such braces before the next comma.
fn type_with_braces(input: ParseStream<'_>) -> Result<Option<TypeWithBraces>> {
    let ahead = input.fork();
    let mut tokens = Vec::new();
    // For each open `<`, the index of the token after it.
    let mut opened = Vec::new();
    while !(ahead.peek(Token![::]) && ahead.peek3(token::Brace)) {
        let at_end = ahead.is_empty() || (ahead.peek(Token![,]) && opened.is_empty());
        if at_end {
            return Ok(None);
        }
        let token = ahead.parse()?;
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => opened.push(tokens.len() + 1),
            TokenTree::Punct(punct) if punct.as_char() == '>' => drop(opened.pop()),
            _ => {}
        }
        tokens.push(token);
    }
    let start = opened.last().copied().unwrap_or_default();
    let event = tokens.iter().skip(start).cloned().collect();
    ahead.parse::<Token![::]>()?;
    let variants = ahead.parse()?;
    while ahead.peek(Token![>]) {
        tokens.push(ahead.parse()?);
    }
    input.advance_to(&ahead);
    let ty = tokens.into_iter().collect();
    Ok(Some(TypeWithBraces {
        ty,
        event,
        variants,
    }))
}

/// Parses the content of the braces at `span`: the names of variants.
fn variants(content: TokenStream, span: Span) -> Result<Vec<Ident>> {
    let name = |input: ParseStream<'_>| {
        let syntax = "expected the name of a variant, as in `AccountEvent::{Opened, Closed}`";
        Ident::parse_any(input).map_err(|error| Error::new(error.span(), syntax))
    };
    let parser =
        |input: ParseStream<'_>| Punctuated::<_, Token![,]>::parse_terminated_with(input, name);
    let variants: Vec<Ident> = parser.parse2(content)?.into_iter().collect();
    if variants.is_empty() {
        let message =
            "expected at least one variant; to read all events, write the type without braces";
        return Err(Error::new(span, message));
    }
    for (index, variant) in variants.iter().enumerate() {
        if variants[..index].contains(variant) {
            let message = format!("duplicate variant `{variant}`; remove this one");
            return Err(Error::new_spanned(variant, message));
        }
    }
    Ok(variants)
}
