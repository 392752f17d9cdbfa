//! Parsers for the values of attribute keys: types, paths, numbers and strings.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Error, Ident, Lit, LitInt, LitStr, Path, Result, Token, Type, bracketed, token};

/// Parses a key without a value.
pub fn flag(key: &Ident, input: ParseStream<'_>) -> Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(());
    }
    let message = format!("`{key}` has no value; write `{key}`");
    Err(Error::new_spanned(key, message))
}

/// Parses a type.
pub fn ty(input: ParseStream<'_>) -> Result<Type> {
    check_unquoted(input, "a type")?;
    input.parse()
}

/// Parses a path.
pub fn path(input: ParseStream<'_>) -> Result<Path> {
    check_unquoted(input, "a path")?;
    input.parse()
}

/// Parses one path, or several in brackets: `v1_to_v2` or `[v1_to_v2, v2_to_v3]`.
pub fn paths(input: ParseStream<'_>) -> Result<Vec<Path>> {
    list(input, path)
}

/// Parses the path to a module, which has no generic arguments.
pub fn module_path(input: ParseStream<'_>) -> Result<Path> {
    check_unquoted(input, "a path")?;
    Path::parse_mod_style(input)
}

/// Checks that the next token is not a literal, because `expected` is written without quotes.
pub fn check_unquoted(input: ParseStream<'_>, expected: &str) -> Result<()> {
    if !input.peek(Lit) {
        return Ok(());
    }
    let literal: Lit = input.parse()?;
    let message = match &literal {
        Lit::Str(text) => {
            let text = text.value();
            format!("expected {expected}, found a string; write `{text}` without quotes")
        }
        _ => format!("expected {expected}, found a literal"),
    };
    Err(Error::new_spanned(literal, message))
}

/// A number and the literal that it was parsed from.
pub struct Number<N> {
    pub value: N,
    pub literal: LitInt,
}

/// Parses a schema version or a projection version, from 1.
pub fn version(input: ParseStream<'_>) -> Result<Number<u32>> {
    let rule = "`version` must be a whole number from 1 to 4294967295";
    number(input, 1..=u32::MAX, rule)
}

/// Parses a number of partitions, from 1 to 1000.
pub fn partitions(input: ParseStream<'_>) -> Result<Number<u16>> {
    let rule = "`partitions` must be a whole number from 1 to 1000";
    number(input, 1..=1_000, rule)
}

/// Parses the number of events between two snapshots, from 1.
pub fn snapshot_interval(input: ParseStream<'_>) -> Result<Number<u64>> {
    let rule = "`every` must be a whole number of events, at least 1";
    number(input, 1..=u64::MAX, rule)
}

/// Parses the maximum size of a snapshot in bytes, from 1.
pub fn snapshot_size(input: ParseStream<'_>) -> Result<Number<usize>> {
    let rule =
        "`max_bytes` must be a whole number of bytes from 1 to 67108864, the limit of stores";
    number(input, 1..=64 * 1024 * 1024, rule)
}

fn number<N>(input: ParseStream<'_>, range: RangeInclusive<N>, rule: &str) -> Result<Number<N>>
where
    N: FromStr<Err: Display> + PartialOrd,
{
    let literal: LitInt = input
        .parse()
        .map_err(|error: Error| Error::new(error.span(), rule))?;
    match literal.base10_parse() {
        Ok(value) if range.contains(&value) => Ok(Number { value, literal }),
        _ => Err(Error::new_spanned(literal, rule)),
    }
}

/// Returns a parser for a string that passes `check`; `subject` names the string in error messages.
pub fn string(
    subject: &'static str,
    check: fn(&str) -> std::result::Result<(), String>,
) -> impl FnOnce(ParseStream<'_>) -> Result<LitStr> {
    move |input| {
        let literal: LitStr = input.parse()?;
        check_string(&literal, subject, check)?;
        Ok(literal)
    }
}

/// Checks that the value of `literal` passes `check`; `subject` names the string in error messages.
pub fn check_string(
    literal: &LitStr,
    subject: &str,
    check: fn(&str) -> std::result::Result<(), String>,
) -> Result<()> {
    check(&literal.value()).map_err(|rule| Error::new_spanned(literal, format!("{subject} {rule}")))
}

/// Parses one value, or several in brackets.
pub fn list<T: syn::parse::Parse>(
    input: ParseStream<'_>,
    parse_one: fn(ParseStream<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    if !input.peek(token::Bracket) {
        return parse_one(input).map(|value| vec![value]);
    }
    let values;
    bracketed!(values in input);
    Punctuated::<T, Token![,]>::parse_terminated_with(&values, parse_one)
        .map(|values| values.into_iter().collect())
}
