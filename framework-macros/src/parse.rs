//! Parsers for the values of attribute keys: types, paths, numbers and strings.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
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

/// Parses a type or a tuple of types that derive `Event`, each with all of its variants.
///
/// `records` and `variants` say what to do instead.
pub fn whole_events(
    input: ParseStream<'_>,
    records: &'static str,
    variants: &'static str,
) -> Result<Type> {
    if let Some(braces) = selected_variants(input.fork().parse()?) {
        let message = format!("only the events of a command select variants; {variants}");
        return Err(Error::new(braces, message));
    }
    let events = ty(input)?;
    let elements = match &events {
        Type::Tuple(tuple) => tuple.elems.iter().collect(),
        event => vec![event],
    };
    match elements.into_iter().find(|event| is_recorded(event)) {
        None => Ok(events),
        Some(recorded) => {
            let message = format!("`Recorded` is not an event; {records}");
            Err(Error::new_spanned(recorded, message))
        }
    }
}

/// Returns the place of the first braces after `::`, up to the next key.
fn selected_variants(tokens: TokenStream) -> Option<Span> {
    let mut after_colons = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && after_colons => {
                return Some(group.span());
            }
            TokenTree::Group(group) => {
                if let Some(braces) = selected_variants(group.stream()) {
                    return Some(braces);
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '=' => return None,
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                after_colons = true;
                continue;
            }
            _ => {}
        }
        after_colons = false;
    }
    None
}

fn is_recorded(event: &Type) -> bool {
    let Type::Path(path) = event else {
        return false;
    };
    let last = path.path.segments.last();
    last.is_some_and(|segment| segment.ident == "Recorded")
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
