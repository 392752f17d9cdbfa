//! Whether the fields of a command fit what it looks at.

use syn::ext::IdentExt;
use syn::{DeriveInput, Fields, LitStr, Type};

use super::keys::Keys;
use super::{Model, TagQuery};
use crate::errors::Errors;
use crate::field::{Identified, Tagged, identified, tagged};

pub(super) fn model<'a>(
    input: &'a DeriveInput,
    keys: &'a Keys,
    fields: &'a Fields,
    errors: &mut Errors,
) -> Option<Model<'a>> {
    let (ids, tags) = (identified(fields, errors), tagged(fields, errors));
    // What is missing may be what could not be read.
    if !errors.is_empty() {
        return None;
    }
    let Some(on) = keys.on.get() else {
        let message = "what does it look at? Write `#[command(on = …)]`, with an aggregate, a tuple of \
                       up to four, or a `Vec` of one";
        errors.at(&input.ident, message);
        return None;
    };
    check_ids(input, on, &ids, errors);
    let query = query(keys, on, tags, errors);
    let name = || input.ident.unraw().to_string();
    Some(Model {
        name: keys.name.get().map_or_else(name, LitStr::value),
        on,
        ids,
        query,
        version: keys.version.get().map_or(1, |version| version.number),
        upcasters: keys.upcast.get().map_or(&[], Vec::as_slice),
    })
}

/// One `#[id]` for each element of a tuple, one for anything else.
fn check_ids(input: &DeriveInput, on: &Type, ids: &[Identified], errors: &mut Errors) {
    match on {
        Type::Tuple(tuple) if !(2..=4).contains(&tuple.elems.len()) => {
            let message = "a tuple names two to four: write one aggregate without parentheses, and more \
                           as a `Vec`";
            errors.at(tuple, message);
        }
        Type::Tuple(tuple) => check_tuple_ids(tuple.elems.len(), on, ids, errors),
        _ => match ids {
            [_] => {}
            [] => {
                let message =
                    "which one does it look at? Mark the field that holds the id with `#[id]`";
                errors.at(&input.ident, message);
            }
            [_, second, ..] => {
                let message = "`on` names one type, so one field has `#[id]`; for two aggregates write \
                               `on = (A, B)`, for a list of ids `on = Vec<A>`";
                errors.at(&second.attr, message);
            }
        },
    }
}

fn check_tuple_ids(needed: usize, on: &Type, ids: &[Identified], errors: &mut Errors) {
    if ids.len() == needed {
        return;
    }
    let message = format!(
        "`on` names {needed} types, so {needed} fields have `#[id]`, in the same order: there are {}",
        ids.len()
    );
    match ids.get(needed) {
        Some(extra) => errors.at(&extra.attr, message),
        None => errors.at(on, message),
    }
}

fn query<'a>(
    keys: &'a Keys,
    on: &Type,
    tags: Vec<Tagged>,
    errors: &mut Errors,
) -> Option<TagQuery<'a>> {
    let Some(state) = keys.query.get() else {
        if let Some(key) = keys.events.key() {
            let message =
                "`events` names what a tag query takes: write `query = …` as well, or remove it";
            errors.at(key, message);
        } else if let Some(tag) = tags.first() {
            let message =
                "no tag query uses this tag: write `query = …` in `#[command(…)]`, or remove it";
            errors.at(&tag.attr, message);
        }
        return None;
    };
    if tags.is_empty() {
        let message = "a tag query needs a tag: mark the field that holds its value with `#[tag]`";
        errors.at(state, message);
    }
    if keys.events.get().is_none()
        && let Type::Tuple(_) = on
    {
        let message =
            "`on` names several types, so say which events the tag query takes: `events = …`";
        errors.at(state, message);
    }
    Some(TagQuery {
        state,
        events: keys.events.get(),
        tags,
    })
}
