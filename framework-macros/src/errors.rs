//! [`Errors`]: everything that is wrong with an input, told at once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Error;

/// The mistakes found so far, in the order of the input.
#[derive(Default)]
pub(crate) struct Errors(Vec<Error>);

impl Errors {
    /// Notes a mistake at `tokens`; the message says what to write instead.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    pub(crate) fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    /// Whether nothing is wrong yet. What is missing is only reported then: it may be the unreadable thing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The model, if it is there and nothing is wrong.
    pub(crate) fn finish<T>(self, model: Option<T>) -> Result<T, Rejection> {
        let mut errors = self.0.into_iter();
        match (model, errors.next()) {
            (Some(model), None) => Ok(model),
            (_, first) => {
                let first = first.unwrap_or_else(|| {
                    Error::new(Span::call_site(), "this derive cannot read its input")
                });
                let others = errors.map(Error::into_compile_error).collect();
                Err(Rejection {
                    first: first.into_compile_error(),
                    others,
                })
            }
        }
    }
}

/// Why there is no impl, as tokens; at least one error.
pub(crate) struct Rejection {
    first: TokenStream,
    others: TokenStream,
}

impl Rejection {
    /// All errors, as items.
    pub(crate) fn items(&self) -> TokenStream {
        let Self { first, others } = self;
        quote!(#first #others)
    }

    /// The errors as a type to use once, and as items to stand beside it.
    ///
    /// The array has no length, so the compiler takes the type for broken and keeps silent about every
    /// bound that it does not meet: one mistake stays one error.
    pub(crate) fn into_type(self) -> (TokenStream, TokenStream) {
        let Self { first, others } = self;
        (quote!([(); #first]), others)
    }
}
