//! The union of the schema that was stored so far and the schema that the code stores.

use std::collections::BTreeMap;

use super::compatibility::mismatches;
use super::json_shape::{EventSchema, ExtraFields, FieldShape, JsonShape, ObjectShape};

/// Returns a schema that accepts all JSON that either schema accepts.
///
/// A field that is missing or optional in one of the schemas is optional. A field that was removed from the code stays
/// in the schema, because old events contain it.
pub fn merge(before: &EventSchema, now: &EventSchema) -> EventSchema {
    let mut merged = merge_once(before, now);
    // Merging may make alternatives equal, which only the next pass joins. The result must be stable, so that checking
    // a file never changes it.
    for _ in 0..8 {
        let again = merge_once(&merged, now);
        if again == merged {
            break;
        }
        merged = again;
    }
    merged
}

fn merge_once(before: &EventSchema, now: &EventSchema) -> EventSchema {
    let mut types = before.types.clone();
    for (name, shape) in &now.types {
        let shape = match types.get(name) {
            Some(before) => merge_shapes(before, shape),
            None => shape.clone(),
        };
        types.insert(name.clone(), shape);
    }
    let shape = merge_shapes(&before.shape, &now.shape);
    EventSchema { shape, types }
}

fn merge_shapes(before: &JsonShape, now: &JsonShape) -> JsonShape {
    match (before, now) {
        (JsonShape::Object(before), JsonShape::Object(now)) => {
            JsonShape::Object(merge_objects(before, now))
        }
        (JsonShape::List(before, len_before), JsonShape::List(now, len_now)) => {
            let len = len_before.filter(|len| *len_now == Some(*len));
            JsonShape::List(Box::new(merge_shapes(before, now)), len)
        }
        (JsonShape::Tuple(before), JsonShape::Tuple(now)) if before.len() == now.len() => {
            let parts = before.iter().zip(now);
            JsonShape::Tuple(
                parts
                    .map(|(before, now)| merge_shapes(before, now))
                    .collect(),
            )
        }
        _ if contains(now, before) => now.clone(),
        _ if contains(before, now) => before.clone(),
        (JsonShape::OneOf(_), _) | (_, JsonShape::OneOf(_)) => merge_alternatives(before, now),
        _ => JsonShape::one_of([before.clone(), now.clone()]),
    }
}

/// Merges alternatives; equal alternatives, and those that represent the same variant, become one.
fn merge_alternatives(before: &JsonShape, now: &JsonShape) -> JsonShape {
    let (before, now) = (alternatives(before), alternatives(now));
    let is_unchanged = |shape: &&&JsonShape| before.contains(*shape);
    let mut all: Vec<JsonShape> = now
        .iter()
        .filter(is_unchanged)
        .map(|shape| (*shape).clone())
        .collect();
    let mut unmatched = before.clone();
    unmatched.retain(|shape| !now.contains(shape));
    for shape in now.iter().filter(|shape| !is_unchanged(shape)) {
        let same = unmatched
            .iter()
            .position(|before| is_same_variant(before, shape, unmatched.len()));
        match same {
            Some(same) => all.push(merge_shapes(unmatched.remove(same), shape)),
            None => all.push((*shape).clone()),
        }
    }
    JsonShape::one_of(all.into_iter().chain(unmatched.into_iter().cloned()))
}

fn alternatives(shape: &JsonShape) -> Vec<&JsonShape> {
    match shape {
        JsonShape::OneOf(alternatives) => alternatives.iter().collect(),
        other => vec![other],
    }
}

/// Returns whether two objects represent the same variant of an enum.
///
/// This is so if `before` is the only object without a match, or if both have one field of the same name.
fn is_same_variant(before: &JsonShape, now: &JsonShape, unmatched: usize) -> bool {
    let (JsonShape::Object(before), JsonShape::Object(now)) = (before, now) else {
        return false;
    };
    let (before, now) = (&before.fields, &now.fields);
    unmatched == 1 || before.len() == 1 && before.keys().eq(now.keys())
}

/// Returns whether `whole` is known to accept all JSON of `part`.
///
/// The definitions of recursive types are not considered.
fn contains(whole: &JsonShape, part: &JsonShape) -> bool {
    let alone = |shape: &JsonShape| EventSchema {
        shape: shape.clone(),
        types: BTreeMap::new(),
    };
    whole == part
        || is_scalar(whole) && is_scalar(part) && mismatches(&alone(part), &alone(whole)).is_empty()
}

fn is_scalar(shape: &JsonShape) -> bool {
    match shape {
        JsonShape::OneOf(alternatives) => alternatives.iter().all(is_scalar),
        JsonShape::Anything
        | JsonShape::Null
        | JsonShape::Boolean
        | JsonShape::Text(_)
        | JsonShape::Integer(_)
        | JsonShape::Number
        | JsonShape::Float
        | JsonShape::Literal(_) => true,
        _ => false,
    }
}

fn merge_objects(before: &ObjectShape, now: &ObjectShape) -> ObjectShape {
    // If one of the objects allows fields of any name, the field may have been one of them.
    let optional = |field: &FieldShape, other: &ExtraFields| FieldShape {
        required: false,
        shape: match other {
            ExtraFields::Each(each) => merge_shapes(each, &field.shape),
            _ => field.shape.clone(),
        },
    };
    let mut fields: BTreeMap<_, _> = before
        .fields
        .iter()
        .map(|(name, field)| (name.clone(), optional(field, &now.extra)))
        .collect();
    for (name, field) in &now.fields {
        let field = match before.fields.get(name) {
            Some(before) => FieldShape {
                required: before.required && field.required,
                shape: merge_shapes(&before.shape, &field.shape),
            },
            None => optional(field, &before.extra),
        };
        fields.insert(name.clone(), field);
    }
    let extra = merge_extra_fields(&before.extra, &now.extra);
    ObjectShape { fields, extra }
}

fn merge_extra_fields(before: &ExtraFields, now: &ExtraFields) -> ExtraFields {
    match (before, now) {
        (ExtraFields::Each(before), ExtraFields::Each(now)) => {
            ExtraFields::Each(Box::new(merge_shapes(before, now)))
        }
        (ExtraFields::Each(each), _) | (_, ExtraFields::Each(each)) => {
            ExtraFields::Each(each.clone())
        }
        _ => now.clone(),
    }
}
