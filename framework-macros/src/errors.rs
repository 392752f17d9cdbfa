//! [`Errors`]: collects the compile errors of a derive, so that all of them are reported at once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Result};

/// The compile errors found so far, in the order of the input.
#[derive(Default)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// Adds an error at the span of `tokens`.
    pub fn push_at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    /// Adds `error`.
    pub fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    /// Returns `true` without errors.
    ///
    /// Missing keys are reported only in this case, because an error may be about the same key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of errors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `model` without errors, and otherwise all errors combined into one.
    pub fn finish<T>(self, model: Option<T>) -> Result<T> {
        let combined = self.0.into_iter().reduce(|mut combined, error| {
            combined.combine(error);
            combined
        });
        match (model, combined) {
            (Some(model), None) => Ok(model),
            (_, Some(error)) => Err(error),
            (None, None) => {
                let message =
                    "the derive failed without a reason; this is a bug in `factum-macros`";
                Err(Error::new(Span::call_site(), message))
            }
        }
    }
}

/// Converts the first error into an invalid type, and the other errors into items.
///
/// The type is an array whose length is the `compile_error!`. The compiler reports that error, and does not report
/// the trait bounds that the invalid type fails to meet. In this way, one mistake causes one error. Use the type once.
pub fn into_type_and_items(error: Error) -> (TokenStream, TokenStream) {
    let mut errors = error.into_iter().map(Error::into_compile_error);
    let first = errors.next().unwrap_or_default();
    (quote!([(); #first]), errors.collect())
}
