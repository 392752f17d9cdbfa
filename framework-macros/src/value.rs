//! The values behind the keys: texts, numbers, types and paths.

use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Error, Lit, LitInt, LitStr, Path, Result, Token, Type, bracketed, token};

use crate::attr::Once;
use crate::errors::Errors;

/// A type, written without quotes.
pub(crate) fn ty(input: ParseStream<'_>) -> Result<Type> {
    unquoted(input, "a type")?;
    input.parse()
}

/// A path, written without quotes.
pub(crate) fn path(input: ParseStream<'_>) -> Result<Path> {
    unquoted(input, "a path")?;
    input.parse()
}

/// A path to a module: no generics.
pub(crate) fn module(input: ParseStream<'_>) -> Result<Path> {
    unquoted(input, "a path")?;
    Path::parse_mod_style(input)
}

fn unquoted(input: ParseStream<'_>, what: &str) -> Result<()> {
    if input.peek(Lit) {
        let literal: Lit = input.parse()?;
        return Err(Error::new_spanned(
            literal,
            format!("write {what} here, without quotes"),
        ));
    }
    Ok(())
}

/// A whole number from 1.
pub(crate) struct Counted<N> {
    pub(crate) number: N,
    pub(crate) literal: LitInt,
}

/// A `u32` from 1.
pub(crate) fn version(input: ParseStream<'_>) -> Result<Counted<u32>> {
    let literal: LitInt = input.parse()?;
    match literal.base10_parse() {
        Ok(number @ 1..) => Ok(Counted { number, literal }),
        _ => Err(Error::new_spanned(
            literal,
            "a version is a whole number from 1 to 4294967295",
        )),
    }
}

/// A `u16` from 1.
pub(crate) fn partitions(input: ParseStream<'_>) -> Result<Counted<u16>> {
    let literal: LitInt = input.parse()?;
    match literal.base10_parse() {
        Ok(number @ 1..=1_000) => Ok(Counted { number, literal }),
        _ => Err(Error::new_spanned(
            literal,
            "a number of partitions is a whole number from 1 to 1000",
        )),
    }
}

/// A `u64` from 1.
pub(crate) fn count(input: ParseStream<'_>) -> Result<Counted<u64>> {
    let literal: LitInt = input.parse()?;
    match literal.base10_parse() {
        Ok(number @ 1..) => Ok(Counted { number, literal }),
        _ => Err(Error::new_spanned(
            literal,
            "a number of events is a whole number from 1",
        )),
    }
}

/// A text that breaks no rule; `what` begins the message: `a category`.
pub(crate) fn text(
    what: &'static str,
    fault: fn(&str) -> Option<&'static str>,
) -> impl FnOnce(ParseStream<'_>) -> Result<LitStr> {
    move |input| {
        let text: LitStr = input.parse()?;
        check(&text, what, fault)?;
        Ok(text)
    }
}

/// Rejects a text that breaks a rule.
pub(crate) fn check(
    text: &LitStr,
    what: &str,
    fault: fn(&str) -> Option<&'static str>,
) -> Result<()> {
    match fault(&text.value()) {
        None => Ok(()),
        Some(rule) => Err(Error::new_spanned(text, format!("{what} {rule}"))),
    }
}

/// `v1_to_v2` or `[v1_to_v2, v2_to_v3]`
pub(crate) fn paths(input: ParseStream<'_>) -> Result<Vec<Path>> {
    list(input, path)
}

/// One thing, or several in brackets.
pub(crate) fn list<T: syn::parse::Parse>(
    input: ParseStream<'_>,
    one: fn(ParseStream<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    if !input.peek(token::Bracket) {
        return one(input).map(|one| vec![one]);
    }
    let list;
    bracketed!(list in input);
    Punctuated::<T, Token![,]>::parse_terminated_with(&list, one)
        .map(|list| list.into_iter().collect())
}

/// Whether each step from an older form of `what` to the next has its upcaster.
pub(crate) fn check_upcasters(
    what: &str,
    version: &Once<Counted<u32>>,
    upcast: &Once<Vec<Path>>,
    errors: &mut Errors,
) {
    if !errors.is_empty() {
        return;
    }
    let number = version.get().map_or(1, |version| version.number);
    let (needed, given) = (number as usize - 1, upcast.get().map_or(0, Vec::len));
    if needed == given {
        return;
    }
    let message = format!(
        "version {number} of the {what} needs {needed} upcasters, one for each step up from version 1, and \
         `upcast` names {given}"
    );
    match (upcast.key(), version.get()) {
        (Some(key), _) => errors.at(key, message),
        (None, Some(version)) => errors.at(&version.literal, message),
        (None, None) => {}
    }
}
