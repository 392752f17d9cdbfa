//! What has been stored so far, together with what is stored from now on.

use std::collections::BTreeMap;

use super::fits::faults;
use super::shape::{Field, Form, Rest, Shape};

/// A form that holds all that either holds.
///
/// A field that only one of them always has is one that is not always there, and one that is gone stays known:
/// it is still in old events.
pub fn merged(before: &Form, now: &Form) -> Form {
    let mut both = once(before, now);
    // Alternatives that became alike are one only when they meet again; a file must not change by being checked.
    for _ in 0..8 {
        let again = once(&both, now);
        if again == both {
            break;
        }
        both = again;
    }
    both
}

fn once(before: &Form, now: &Form) -> Form {
    let mut types = before.types.clone();
    for (name, shape) in &now.types {
        let shape = match types.get(name) {
            Some(before) => shapes(before, shape),
            None => shape.clone(),
        };
        types.insert(name.clone(), shape);
    }
    let shape = shapes(&before.shape, &now.shape);
    Form { shape, types }
}

fn shapes(before: &Shape, now: &Shape) -> Shape {
    match (before, now) {
        (Shape::Object(before, more), Shape::Object(now, rest)) => {
            Shape::Object(fields((before, more), (now, rest)), rests(more, rest))
        }
        (Shape::List(before, known), Shape::List(now, count)) => {
            let count = known.filter(|known| *count == Some(*known));
            Shape::List(Box::new(shapes(before, now)), count)
        }
        (Shape::Tuple(before), Shape::Tuple(now)) if before.len() == now.len() => {
            let parts = before.iter().zip(now);
            Shape::Tuple(parts.map(|(before, now)| shapes(before, now)).collect())
        }
        _ if holds(now, before) => now.clone(),
        _ if holds(before, now) => before.clone(),
        (Shape::OneOf(_), _) | (_, Shape::OneOf(_)) => alternatives(before, now),
        _ => Shape::one_of([before.clone(), now.clone()]),
    }
}

/// Each alternative once; those that stand for the same thing at both times become one.
fn alternatives(before: &Shape, now: &Shape) -> Shape {
    let (before, now) = (apart(before), apart(now));
    let known = |shape: &&&Shape| before.contains(*shape);
    let mut all: Vec<Shape> = now
        .iter()
        .filter(known)
        .map(|shape| (*shape).clone())
        .collect();
    let mut left = before.clone();
    left.retain(|shape| !now.contains(shape));
    for shape in now.iter().filter(|shape| !known(shape)) {
        let same = left
            .iter()
            .position(|before| stands_for_the_same(before, shape, left.len()));
        match same {
            Some(same) => all.push(shapes(left.remove(same), shape)),
            None => all.push((*shape).clone()),
        }
    }
    Shape::one_of(all.into_iter().chain(left.into_iter().cloned()))
}

fn apart(shape: &Shape) -> Vec<&Shape> {
    match shape {
        Shape::OneOf(alternatives) => alternatives.iter().collect(),
        other => vec![other],
    }
}

/// The only object that has changed, or the same variant of an enum: an object with one field, under its name.
fn stands_for_the_same(before: &Shape, now: &Shape, left: usize) -> bool {
    let (Shape::Object(before, _), Shape::Object(now, _)) = (before, now) else {
        return false;
    };
    left == 1 || before.len() == 1 && before.keys().eq(now.keys())
}

/// Whether all of `part` is in `whole`, which can be told without the types that they name.
fn holds(whole: &Shape, part: &Shape) -> bool {
    let alone = |shape: &Shape| Form {
        shape: shape.clone(),
        types: BTreeMap::new(),
    };
    whole == part
        || is_scalar(whole) && is_scalar(part) && faults(&alone(part), &alone(whole)).is_empty()
}

fn is_scalar(shape: &Shape) -> bool {
    match shape {
        Shape::OneOf(alternatives) => alternatives.iter().all(is_scalar),
        Shape::Anything
        | Shape::Null
        | Shape::Boolean
        | Shape::Text(_)
        | Shape::Integer(_)
        | Shape::Number
        | Shape::Single
        | Shape::Literal(_) => true,
        _ => false,
    }
}

fn fields(
    (before, more): (&BTreeMap<String, Field>, &Rest),
    (now, rest): (&BTreeMap<String, Field>, &Rest),
) -> BTreeMap<String, Field> {
    // Where fields may have any name, this one may have been among them.
    let sometimes = |field: &Field, other: &Rest| Field {
        always: false,
        shape: match other {
            Rest::Each(each) => shapes(each, &field.shape),
            _ => field.shape.clone(),
        },
    };
    let mut fields: BTreeMap<_, _> = before
        .iter()
        .map(|(name, field)| (name.clone(), sometimes(field, rest)))
        .collect();
    for (name, field) in now {
        let field = match before.get(name) {
            Some(before) => Field {
                always: before.always && field.always,
                shape: shapes(&before.shape, &field.shape),
            },
            None => sometimes(field, more),
        };
        fields.insert(name.clone(), field);
    }
    fields
}

fn rests(before: &Rest, now: &Rest) -> Rest {
    match (before, now) {
        (Rest::Each(before), Rest::Each(now)) => Rest::Each(Box::new(shapes(before, now))),
        (Rest::Each(each), _) | (_, Rest::Each(each)) => Rest::Each(each.clone()),
        _ => now.clone(),
    }
}
