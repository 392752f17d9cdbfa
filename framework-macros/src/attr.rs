//! Reading `#[name(key = value, …)]`, with the user's tokens kept for the messages.

use proc_macro2::TokenTree;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Error, Ident, Meta, Result, Token, parenthesized, token};

use crate::errors::Errors;

/// One place where an attribute stands, e.g. `#[event(…)]` on a variant.
pub(crate) struct Place {
    /// The name of the attribute.
    pub(crate) name: &'static str,
    /// What the messages call it: `` `#[event(…)]` on a variant ``.
    pub(crate) title: &'static str,
    /// The keys that it takes there.
    pub(crate) keys: &'static [&'static str],
    /// How it may look there.
    pub(crate) example: &'static str,
}

impl Place {
    /// Hands every key of the attribute to `each`, which reads the rest of the entry.
    pub(crate) fn read(
        &self,
        attrs: &[Attribute],
        errors: &mut Errors,
        mut each: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) {
        let mut attrs = attrs.iter().filter(|attr| attr.path().is_ident(self.name));
        let Some(attr) = attrs.next() else { return };
        let Meta::List(list) = &attr.meta else {
            errors.at(&attr.meta, format!("write `{}`", self.example));
            return;
        };
        let before = errors.len();
        let read = list.parse_args_with(|input: ParseStream<'_>| {
            self.entries(input, errors, &mut each);
            Ok(())
        });
        // What is left over behind a mistake inside of parentheses is no second mistake.
        if let Err(error) = read
            && errors.len() == before
        {
            errors.push(error);
        }
        for repeated in attrs {
            let name = self.name;
            errors.at(
                repeated.path(),
                format!("write all keys in one `#[{name}(…)]`"),
            );
        }
    }

    /// Reads `(key = value, …)` behind a key, up to the first mistake.
    pub(crate) fn nested(
        &self,
        input: ParseStream<'_>,
        mut each: impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) -> Result<()> {
        if !input.peek(token::Paren) {
            let span = input
                .parse::<TokenTree>()
                .map_or_else(|error| error.span(), |t| t.span());
            return Err(Error::new(span, format!("write `{}`", self.example)));
        }
        let entries;
        parenthesized!(entries in input);
        while !entries.is_empty() {
            self.entry(&entries, &mut each)?;
        }
        Ok(())
    }

    fn entries(
        &self,
        input: ParseStream<'_>,
        errors: &mut Errors,
        each: &mut impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) {
        while !input.is_empty() {
            if let Err(error) = self.entry(input, each) {
                errors.push(error);
                skip_entry(input);
            }
        }
    }

    /// One entry, and the comma behind it.
    fn entry(
        &self,
        input: ParseStream<'_>,
        each: &mut impl FnMut(&Ident, ParseStream<'_>) -> Result<()>,
    ) -> Result<()> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error(format!("write `{}`", self.example)));
        }
        let key = input.call(Ident::parse_any)?;
        if !self.keys.iter().any(|known| key == known) {
            let keys: Vec<_> = self.keys.iter().map(|key| format!("`{key}`")).collect();
            let takes = format!("{} takes {}", self.title, listed(&keys));
            return Err(Error::new_spanned(
                &key,
                format!("unknown key `{key}`: {takes}"),
            ));
        }
        each(&key, input)?;
        if input.is_empty() {
            Ok(())
        } else {
            input.parse::<Token![,]>().map(drop)
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [word] => word.clone(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

/// Goes behind the next comma that is not inside of `<…>`.
pub(crate) fn skip_entry(input: ParseStream<'_>) {
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

/// A key that may be given once.
pub(crate) struct Once<T> {
    key: Option<Ident>,
    value: Option<T>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self {
            key: None,
            value: None,
        }
    }
}

impl<T> Once<T> {
    /// Reads `= value` behind `key`.
    pub(crate) fn equals(
        &mut self,
        key: &Ident,
        input: ParseStream<'_>,
        value: impl FnOnce(ParseStream<'_>) -> Result<T>,
    ) -> Result<()> {
        self.first(key)?;
        if !input.peek(Token![=]) {
            return Err(Error::new_spanned(key, format!("write `{key} = …`")));
        }
        input.parse::<Token![=]>()?;
        self.value = Some(value(input)?);
        Ok(())
    }

    /// Reads what follows `key`, whatever its form.
    pub(crate) fn form(
        &mut self,
        key: &Ident,
        input: ParseStream<'_>,
        value: impl FnOnce(ParseStream<'_>) -> Result<T>,
    ) -> Result<()> {
        self.first(key)?;
        self.value = Some(value(input)?);
        Ok(())
    }

    fn first(&mut self, key: &Ident) -> Result<()> {
        if self.key.is_some() {
            return Err(Error::new_spanned(
                key,
                format!("`{key}` is given twice: keep one"),
            ));
        }
        self.key = Some(key.clone());
        Ok(())
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The key, if it was written, whether or not its value could be read.
    pub(crate) fn key(&self) -> Option<&Ident> {
        self.key.as_ref()
    }
}
