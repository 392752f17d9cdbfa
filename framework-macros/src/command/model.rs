//! [`CommandModel`]: the consistency boundary of the command and the fields for it, validated.

use syn::ext::IdentExt;
use syn::{DeriveInput, Fields, Ident, LitStr, Path, Type};

use super::attr::CommandAttr;
use super::events::EventsArg;
use super::fingerprint::FingerprintModel;
use super::queries::QueryArg;
use super::query_tags::{QueryTag, query_tags};
use crate::attr::join_with_and;
use crate::errors::Errors;
use crate::field::{IdField, TagField, id_fields};

/// A struct that derives `Command`.
pub struct CommandModel<'a> {
    pub name: String,
    /// The aggregate, the tuple or the list that the command reads.
    pub on: &'a Type,
    pub ids: Vec<IdField>,
    /// The aggregates that the command finds in the state of `on`.
    pub find: Option<&'a Type>,
    pub queries: Vec<DcbQueryModel<'a>>,
    /// The event sets in the attribute.
    pub event_sets: Vec<&'a EventsArg>,
    /// Set if the decision receives the time.
    pub has_time: bool,
    /// The schema version.
    pub version: u32,
    pub upcasters: &'a [Path],
    pub fingerprint: FingerprintModel<'a>,
}

/// A DCB query of a command.
pub struct DcbQueryModel<'a> {
    /// The state that the query folds.
    pub state: &'a Type,
    /// The function that creates the state from the fields with the tags.
    pub constructor: Option<&'a Path>,
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
        let (ids, tags) = (id_fields(fields, errors), query_tags(fields, errors));
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
        let queries = dcb_queries(attr, on, &tags, errors);
        let own_events = attr.query.as_slice().iter();
        let own_events = own_events.filter_map(|query| query.events.value());
        let event_sets = attr.events.value().into_iter().chain(own_events).collect();
        let default_name = || input.ident.unraw().to_string();
        Some(Self {
            name: attr.name.value().map_or_else(default_name, LitStr::value),
            on,
            ids,
            find: attr.find.value(),
            queries,
            event_sets,
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

/// Returns the DCB queries with their tags.
fn dcb_queries<'a>(
    attr: &'a CommandAttr,
    on: &Type,
    tags: &[QueryTag],
    errors: &mut Errors,
) -> Vec<DcbQueryModel<'a>> {
    let queries = attr.query.as_slice();
    if queries.is_empty() {
        check_no_query_attributes(attr, tags, errors);
        return Vec::new();
    }
    check_names(queries, errors);
    check_events(attr, on, queries, errors);
    let mut models: Vec<_> = queries
        .iter()
        .map(|query| DcbQueryModel {
            state: &query.state,
            constructor: query.constructor.as_ref(),
            events: query.events.value().or(attr.events.value()),
            tags: Vec::new(),
        })
        .collect();
    for tag in tags {
        if tag.queries.is_empty() && queries.len() > 1 {
            let message = format!(
                "the command has several DCB queries; name those of this tag, for example `#[tag({})]`",
                name_of(&queries[0])
            );
            errors.push_at(&tag.field.attr, message);
        }
        for name in &tag.queries {
            if !queries
                .iter()
                .any(|query| query.name.as_ref() == Some(name))
            {
                let names: Vec<_> = queries
                    .iter()
                    .map(|query| format!("`{}`", name_of(query)))
                    .collect();
                let message = format!(
                    "`{name}` is not a DCB query of the command; `query` names {}",
                    join_with_and(&names)
                );
                errors.push_at(name, message);
            }
        }
        for (model, query) in models.iter_mut().zip(queries) {
            let is_named = query
                .name
                .as_ref()
                .is_some_and(|name| tag.queries.contains(name));
            if is_named || tag.queries.is_empty() {
                model.tags.push(tag.field.clone());
            }
        }
    }
    for (model, query) in models.iter().zip(queries) {
        if model.tags.is_empty() && errors.is_empty() {
            let attribute = match queries.len() {
                1 => "#[tag]".to_owned(),
                _ => format!("#[tag({})]", name_of(query)),
            };
            let message = format!(
                "a DCB query needs at least one tag; write `{attribute}` on the field that holds the value"
            );
            errors.push_at(&query.state, message);
        }
    }
    models
        .iter()
        .for_each(|model| check_constructor(model, errors));
    models
}

/// Checks that different values of the fields have different tags.
///
/// Commands with the same tags share the state, which depends on the values.
fn check_constructor(query: &DcbQueryModel<'_>, errors: &mut Errors) {
    if query.constructor.is_none() {
        return;
    }
    for (index, tag) in query.tags.iter().enumerate() {
        let same_key = query.tags[..index]
            .iter()
            .filter(|other| other.key == tag.key);
        if same_key
            .into_iter()
            .any(|other| tag.is_collection || other.is_collection)
        {
            let message = format!(
                "the constructor needs fields with different tags, because one of those with the tag `{}` is optional \
                 or a list; give this one another key",
                tag.key
            );
            errors.push_at(&tag.attr, message);
        }
    }
}

/// Returns the name of a query in `#[tag(…)]`.
fn name_of(query: &QueryArg) -> String {
    let name = query.name.as_ref();
    name.map_or_else(|| "…".to_owned(), Ident::to_string)
}

/// Checks that nothing configures a query that does not exist.
fn check_no_query_attributes(attr: &CommandAttr, tags: &[QueryTag], errors: &mut Errors) {
    if let Some(key) = attr.events.key() {
        let message =
            "`events` has no effect without a DCB query; add `query = …`, or remove `events`";
        errors.push_at(key, message);
    } else if let Some(tag) = tags.first() {
        let message = "`#[tag]` has no effect without a DCB query; add `query = …` to `#[command(…)]`, or \
                       remove `#[tag]`";
        errors.push_at(&tag.field.attr, message);
    }
}

/// Checks that several queries have names, and that these are distinct.
fn check_names(queries: &[QueryArg], errors: &mut Errors) {
    if queries.len() == 1 {
        return;
    }
    if let Some(extra) = queries.get(4) {
        let message = "a command has at most four DCB queries; remove this one, or fold its events into another state";
        errors.push_at(&extra.state, message);
    }
    for (index, query) in queries.iter().enumerate() {
        let Some(name) = &query.name else {
            let message = "this DCB query needs a name for `#[tag(…)]`; write `… as name`";
            errors.push_at(&query.state, message);
            continue;
        };
        if queries[..index]
            .iter()
            .any(|other| other.name.as_ref() == Some(name))
        {
            let message = format!(
                "two DCB queries have the name `{name}`; give this one another, for example `{name} as other`"
            );
            errors.push_at(name, message);
        }
    }
}

/// Checks that each query has events, and that `events` is the events of one.
fn check_events(attr: &CommandAttr, on: &Type, queries: &[QueryArg], errors: &mut Errors) {
    if let Some(key) = attr.events.key() {
        if queries.iter().all(|query| query.events.key().is_some()) {
            let message =
                "`events` has no effect, because each `query(…)` has its own; remove one of them";
            errors.push_at(key, message);
        }
    } else if let Type::Tuple(_) = on {
        for query in queries.iter().filter(|query| query.events.key().is_none()) {
            let message = "the DCB query needs its events, because `on` names several types; add `events = …`";
            errors.push_at(&query.state, message);
        }
    }
}
