//! Parses attributes of the form `#[name(key = value, …)]`, and keeps their tokens for errors.

use proc_macro2::TokenTree;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Error, Ident, Meta, Result, Token, parenthesized, token};

use crate::errors::Errors;

/// The syntax of an attribute in one location, for example of `#[event(…)]` on a variant.
pub struct AttrSpec {
    /// The name of the attribute.
    pub name: &'static str,
    /// The subject of error messages, for example `` `#[event(…)]` on a variant ``.
    pub title: &'static str,
    /// The keys that the attribute accepts.
    pub keys: &'static [&'static str],
    /// An example of the attribute, for error messages.
    pub example: &'static str,
}

impl AttrSpec {
    /// Calls `parse_value` with each key of the attribute, to parse the rest of the argument.
    pub fn parse(
        &self,
        attrs: &[Attribute],
        errors: &mut Errors,
        mut parse_value: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) {
        let name = self.name;
        let mut attrs = attrs.iter().filter(|attr| attr.path().is_ident(name));
        let Some(attr) = attrs.next() else { return };
        let Meta::List(list) = &attr.meta else {
            errors.push_at(&attr.meta, self.missing_keys());
            return;
        };
        let errors_before = errors.len();
        let result = list.parse_args_with(|input: ParseStream<'_>| {
            self.parse_arguments(input, errors, &mut parse_value);
            Ok(())
        });
        // After an error inside nested parentheses, syn also reports the tokens that are left over.
        if let Err(error) = result
            && errors.len() == errors_before
        {
            errors.push(error);
        }
        for duplicate in attrs {
            errors.push_at(
                duplicate.path(),
                format!("duplicate attribute `#[{name}(…)]`; write all keys in the first one"),
            );
        }
    }

    /// Parses `(key = value, …)` after a key, up to the first error.
    pub fn parse_nested(
        &self,
        input: ParseStream<'_>,
        mut parse_value: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) -> Result<()> {
        if !input.peek(token::Paren) {
            let span = input
                .parse::<TokenTree>()
                .map_or_else(|error| error.span(), |token| token.span());
            return Err(Error::new(span, self.missing_keys()));
        }
        let arguments;
        parenthesized!(arguments in input);
        self.parse_rest(&arguments, &mut parse_value)
    }

    /// Parses `key = value, …` to the end of the input, up to the first error.
    pub fn parse_rest(
        &self,
        input: ParseStream<'_>,
        mut parse_value: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) -> Result<()> {
        while !input.is_empty() {
            self.parse_argument(input, &mut parse_value)?;
        }
        Ok(())
    }

    fn parse_arguments(
        &self,
        input: ParseStream<'_>,
        errors: &mut Errors,
        parse_value: &mut impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) {
        while !input.is_empty() {
            if let Err(error) = self.parse_argument(input, parse_value) {
                errors.push(error);
                skip_argument(input);
            }
        }
    }

    /// Parses one argument and the comma after it.
    fn parse_argument(
        &self,
        input: ParseStream<'_>,
        parse_value: &mut impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) -> Result<()> {
        if !input.peek(Ident::peek_any) {
            let message = format!("expected a key, for example `{}`", self.example);
            return Err(input.error(message));
        }
        let key = input.call(Ident::parse_any)?;
        if !self.keys.iter().any(|accepted| key == accepted) {
            return Err(self.unknown_key(&key));
        }
        parse_value(&key, input)?;
        if input.is_empty() {
            Ok(())
        } else {
            input.parse::<Token![,]>().map(drop)
        }
    }

    fn missing_keys(&self) -> String {
        let Self { name, example, .. } = self;
        format!("`{name}` needs keys in parentheses, for example `{example}`")
    }

    fn unknown_key(&self, key: &Ident) -> Error {
        let keys: Vec<_> = self.keys.iter().map(|key| format!("`{key}`")).collect();
        let message = format!(
            "unknown key `{key}`; {} accepts {}",
            self.title,
            join_with_and(&keys)
        );
        Error::new_spanned(key, message)
    }
}

/// Returns `a`, `a and b` or `a, b and c`.
pub fn join_with_and(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [word] => word.clone(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

/// Skips all tokens up to and including the next comma that is not inside `<…>`.
pub fn skip_argument(input: ParseStream<'_>) {
    let mut depth = 0_u32;
    while let Ok(token) = input.parse::<TokenTree>() {
        let TokenTree::Punct(punct) = token else {
            continue;
        };
        match punct.as_char() {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return,
            _ => {}
        }
    }
}

/// An argument of an attribute, which can occur once.
pub struct AttrArg<T> {
    key: Option<Ident>,
    value: Option<T>,
}

impl<T> Default for AttrArg<T> {
    fn default() -> Self {
        Self {
            key: None,
            value: None,
        }
    }
}

impl<T> AttrArg<T> {
    /// Parses `= value` after `key`.
    pub fn parse_assignment(
        &mut self,
        key: &Ident,
        input: ParseStream<'_>,
        parse_value: impl FnOnce(ParseStream<'_>) -> Result<T>,
    ) -> Result<()> {
        self.set_key(key)?;
        if !input.peek(Token![=]) {
            let message = format!("missing value of `{key}`; write `{key} = …`");
            return Err(Error::new_spanned(key, message));
        }
        input.parse::<Token![=]>()?;
        self.value = Some(parse_value(input)?);
        Ok(())
    }

    /// Parses everything after `key` with `parse_rest`.
    pub fn parse_with(
        &mut self,
        key: &Ident,
        input: ParseStream<'_>,
        parse_rest: impl FnOnce(ParseStream<'_>) -> Result<T>,
    ) -> Result<()> {
        self.set_key(key)?;
        self.value = Some(parse_rest(input)?);
        Ok(())
    }

    fn set_key(&mut self, key: &Ident) -> Result<()> {
        if self.key.is_some() {
            let message = format!("duplicate key `{key}`; keep only one");
            return Err(Error::new_spanned(key, message));
        }
        self.key = Some(key.clone());
        Ok(())
    }

    /// Returns the value, if the argument exists and is valid.
    pub fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Returns the key, if the argument exists, even if its value is not valid.
    pub fn key(&self) -> Option<&Ident> {
        self.key.as_ref()
    }

    /// Returns `true` if the argument exists but its value could not be parsed.
    pub fn is_invalid(&self) -> bool {
        self.key.is_some() && self.value.is_none()
    }
}
