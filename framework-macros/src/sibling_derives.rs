//! Finds the other derives of a type, for error messages only.

use std::fs;

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token};

/// Returns the names of the known derives in the same list as the expanded derive.
///
/// The compiler passes later attributes `derive` to a derive, but not the list that contains the derive itself. That
/// list is read from the source text, which does not exist for the code of a macro.
pub fn sibling_derives(attrs: &[Attribute]) -> Vec<String> {
    let other_lists = attrs.iter().filter(|attr| attr.path().is_ident("derive"));
    let other_lists = other_lists.filter_map(|attr| match &attr.meta {
        Meta::List(list) => Some(list.tokens.to_string()),
        Meta::Path(_) | Meta::NameValue(_) => None,
    });
    let lists = other_lists.chain(own_list());
    lists.flat_map(|list| names(&list)).collect()
}

fn names(list: &str) -> Vec<String> {
    let parser = |input: syn::parse::ParseStream<'_>| {
        Punctuated::<Path, Token![,]>::parse_terminated_with(input, Path::parse_mod_style)
    };
    let paths = syn::parse::Parser::parse_str(parser, list).unwrap_or_default();
    let last = paths.iter().filter_map(|path| path.segments.last());
    last.map(|segment| segment.ident.to_string()).collect()
}

/// Returns the text between the parentheses of the attribute that contains the derive.
fn own_list() -> Option<String> {
    let span = Span::call_site().unwrap();
    let text = fs::read_to_string(span.local_file()?).ok()?;
    let before = text.split_inclusive('\n').take(span.line().checked_sub(1)?);
    let start = before.map(str::len).sum::<usize>() + span.column().checked_sub(1)?;
    let (before, after) = text.split_at_checked(start)?;
    let (_, before) = before.rsplit_once("derive(")?;
    let (after, _) = after.split_once(')')?;
    (!before.contains(')')).then(|| format!("{before}{after}"))
}
