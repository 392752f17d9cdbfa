//! [`CommandModel`]: the consistency boundary of the command and the fields for it, validated.

use syn::ext::IdentExt;
use syn::{DeriveInput, Fields, LitStr, Path, Type};

use super::attr::CommandAttr;
use super::events::EventsArg;
use super::fingerprint::FingerprintModel;
use crate::errors::Errors;
use crate::field::{IdField, TagField, id_fields, tag_fields};

/// A struct that derives `Command`.
pub struct CommandModel<'a> {
    pub name: String,
    /// The aggregate, the tuple or the list that the command reads.
    pub on: &'a Type,
    pub ids: Vec<IdField>,
    pub query: Option<DcbQueryModel<'a>>,
    /// Set if the decision receives the time.
    pub has_time: bool,
    /// The schema version.
    pub version: u32,
    pub upcasters: &'a [Path],
    pub fingerprint: FingerprintModel<'a>,
}

/// The DCB query of a command.
pub struct DcbQueryModel<'a> {
    /// The state that the query folds.
    pub state: &'a Type,
    /// The events of the query; if `None`, those of the aggregate in `on`.
    pub events: Option<&'a EventsArg>,
    pub tags: Vec<TagField>,
}

impl<'a> CommandModel<'a> {
    /// Creates the model, and adds all errors in the input to `errors`.
    pub fn new(
        input: &'a DeriveInput,
        attr: &'a CommandAttr,
        fields: &'a Fields,
        errors: &mut Errors,
    ) -> Option<Self> {
        let (ids, tags) = (id_fields(fields, errors), tag_fields(fields, errors));
        let fingerprint = FingerprintModel::new(input, fields, errors);
        // An earlier error can be about the same key or field.
        if !errors.is_empty() {
            return None;
        }
        let Some(on) = attr.on.value() else {
            let message = "missing key `on`; write `#[command(on = …)]` with an aggregate, a tuple of two to four \
                           aggregates, or a `Vec` or `Option` of one";
            errors.push_at(&input.ident, message);
            return None;
        };
        check_ids(input, on, &ids, errors);
        let query = dcb_query(attr, on, tags, errors);
        let default_name = || input.ident.unraw().to_string();
        Some(Self {
            name: attr.name.value().map_or_else(default_name, LitStr::value),
            on,
            ids,
            query,
            has_time: attr.now.value().is_some(),
            version: attr.schema_version.version(),
            upcasters: attr.schema_version.upcasters(),
            fingerprint,
        })
    }
}

/// Checks that there is one `#[id]` for each element of a tuple, and one for any other type.
fn check_ids(input: &DeriveInput, on: &Type, ids: &[IdField], errors: &mut Errors) {
    match on {
        Type::Tuple(tuple) if !(2..=4).contains(&tuple.elems.len()) => {
            let message = format!(
                "a tuple in `on` must have two to four elements, but has {}; write one aggregate without \
                 parentheses, and more than four as a `Vec`",
                tuple.elems.len()
            );
            errors.push_at(tuple, message);
        }
        Type::Tuple(tuple) => check_tuple_ids(tuple.elems.len(), on, ids, errors),
        _ => match ids {
            [_] => {}
            [] => {
                let message = "missing attribute `#[id]`; write it on the field that holds the id of the aggregate";
                errors.push_at(&input.ident, message);
            }
            [_, second, ..] => {
                let message = "too many `#[id]` fields: `on` names one type; write `on = (A, B)` for two aggregates, \
                               or `on = Vec<A>` with one field for a list of ids";
                errors.push_at(&second.attr, message);
            }
        },
    }
}

fn check_tuple_ids(expected: usize, on: &Type, ids: &[IdField], errors: &mut Errors) {
    let found = ids.len();
    if found == expected {
        return;
    }
    let message = format!(
        "`on` names {expected} types, but the number of fields with `#[id]` is {found}; mark one field for each \
         type, in the same order"
    );
    match ids.get(expected) {
        Some(extra) => errors.push_at(&extra.attr, message),
        None => errors.push_at(on, message),
    }
}

fn dcb_query<'a>(
    attr: &'a CommandAttr,
    on: &Type,
    tags: Vec<TagField>,
    errors: &mut Errors,
) -> Option<DcbQueryModel<'a>> {
    let Some(state) = attr.query.value() else {
        if let Some(key) = attr.events.key() {
            let message =
                "`events` has no effect without a DCB query; add `query = …`, or remove `events`";
            errors.push_at(key, message);
        } else if let Some(tag) = tags.first() {
            let message = "`#[tag]` has no effect without a DCB query; add `query = …` to `#[command(…)]`, or \
                           remove `#[tag]`";
            errors.push_at(&tag.attr, message);
        }
        return None;
    };
    if tags.is_empty() {
        let message =
            "a DCB query needs at least one tag; write `#[tag]` on the field that holds the value";
        errors.push_at(state, message);
    }
    if attr.events.value().is_none()
        && let Type::Tuple(_) = on
    {
        let message =
            "the DCB query needs its events, because `on` names several types; add `events = …`";
        errors.push_at(state, message);
    }
    Some(DcbQueryModel {
        state,
        events: attr.events.value(),
        tags,
    })
}
