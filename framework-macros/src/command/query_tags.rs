//! Fields with `#[tag]` in a command, and the DCB queries that they select events for.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Fields, Ident, LitStr, Meta, Result, Token};

use crate::errors::Errors;
use crate::field::{TagField, attributes, tag_key};

/// A tag of one or several DCB queries.
pub struct QueryTag {
    pub field: TagField,
    /// The names of the queries; empty if the command has one query.
    pub queries: Vec<Ident>,
}

/// The arguments of `#[tag("key", Course, Student)]`.
#[derive(Default)]
struct TagArgs {
    key: Option<LitStr>,
    queries: Vec<Ident>,
}

impl Parse for TagArgs {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = match input.peek(LitStr) {
            true => Some(input.parse()?),
            false => None,
        };
        if key.is_some() && !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        let queries =
            Punctuated::<Ident, Token![,]>::parse_terminated_with(input, Ident::parse_any)?;
        Ok(Self {
            key,
            queries: queries.into_iter().collect(),
        })
    }
}

/// Returns the tags of the fields; a field can have several `#[tag]`.
pub fn query_tags(fields: &Fields, errors: &mut Errors) -> Vec<QueryTag> {
    let mut tags = Vec::new();
    for (index, (member, field)) in fields.members().zip(fields).enumerate() {
        let mut earlier: Vec<(String, Vec<Ident>)> = Vec::new();
        for attr in attributes(field, "tag") {
            let parsed = tag_args(attr)
                .and_then(|args| Ok((tag_key(attr, args.key.as_ref(), field)?, args.queries)));
            let (key, queries) = match parsed {
                Ok(parsed) => parsed,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let is_duplicate = |(other, others): &(String, Vec<Ident>)| {
                *other == key
                    && (queries == *others || queries.iter().any(|it| others.contains(it)))
            };
            if earlier.iter().any(is_duplicate) {
                let message = format!("duplicate tag `{key}` of this field; remove this one");
                errors.push_at(attr, message);
            }
            earlier.push((key.clone(), queries.clone()));
            tags.push(QueryTag {
                field: TagField::new(key, index, member.clone(), field, attr),
                queries,
            });
        }
    }
    tags
}

fn tag_args(attr: &Attribute) -> Result<TagArgs> {
    let syntax =
        "expected `#[tag]`, `#[tag(\"course\")]` or, with several DCB queries, `#[tag(Course)]`";
    match &attr.meta {
        Meta::Path(_) => Ok(TagArgs::default()),
        Meta::List(list) => {
            let args: TagArgs = list
                .parse_args()
                .map_err(|error| Error::new(error.span(), syntax))?;
            match (&args.key, &*args.queries) {
                (None, []) => Err(Error::new_spanned(&attr.meta, syntax)),
                _ => Ok(args),
            }
        }
        Meta::NameValue(meta) => Err(Error::new_spanned(meta, syntax)),
    }
}
