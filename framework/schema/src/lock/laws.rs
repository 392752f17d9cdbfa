//! The laws of locks, over random forms and random JSON of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::fits::faults;
use super::merge::merged;
use super::shape::{Field, Form, Range, Rest, Shape};

fn form(shape: Shape) -> Form {
    let node = Shape::Object(
        BTreeMap::from([(
            "next".to_owned(),
            Field {
                always: true,
                shape: Shape::one_of([Shape::Null, Shape::Named("Node".to_owned())]),
            },
        )]),
        Rest::Ignored,
    );
    let types = BTreeMap::from([("Node".to_owned(), node)]);
    Form { shape, types }
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let range = |min, max| Shape::Integer(Range { min, max });
    let leaf = prop_oneof![
        Just(Shape::Anything),
        Just(Shape::Null),
        Just(Shape::Boolean),
        Just(Shape::Text(None)),
        Just(Shape::Text(Some("uuid".to_owned()))),
        Just(Shape::Number),
        Just(Shape::Single),
        Just(range(Some(0), Some(255))),
        Just(range(Some(0), None)),
        Just(range(None, Some(9))),
        Just(range(None, None)),
        Just(Shape::Literal(json!("draft"))),
        Just(Shape::Literal(json!("it's"))),
        Just(Shape::Literal(json!(3))),
        Just(Shape::Named("Node".to_owned())),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let field =
            (any::<bool>(), inner.clone()).prop_map(|(always, shape)| Field { always, shape });
        let name = prop::sample::select(vec!["a", "b", "c?", "d!", "..."]).prop_map(str::to_owned);
        let rest = prop_oneof![
            4 => Just(Rest::Ignored),
            2 => Just(Rest::Rejected),
            1 => inner.clone().prop_map(|each| Rest::Each(Box::new(each))),
        ];
        let fields = prop::collection::btree_map(name, field, 0..4);
        prop_oneof![
            4 => (fields, rest).prop_map(|(fields, rest)| Shape::Object(fields, rest)),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(Shape::one_of),
            1 => (inner.clone(), prop::option::of(1..3_u64))
                .prop_map(|(items, count)| Shape::List(Box::new(items), count)),
            1 => prop::collection::vec(inner, 0..3).prop_map(Shape::Tuple),
        ]
    })
}

/// JSON of this shape, as `dice` fall.
fn sample(shape: &Shape, dice: &mut impl FnMut() -> usize) -> Value {
    match shape {
        Shape::Anything => [
            json!(null),
            json!("x"),
            json!(7),
            json!({ "a": 1 }),
            json!([]),
        ][dice() % 5]
            .clone(),
        Shape::Null | Shape::Other(_) => Value::Null,
        Shape::Boolean => (dice().is_multiple_of(2)).into(),
        Shape::Text(None) => ["", "draft", "text"][dice() % 3].into(),
        Shape::Text(Some(_)) => "0197a1b2-0000-7000-8000-000000000000".into(),
        Shape::Number | Shape::Single => [json!(0.5), json!(3)][dice() % 2].clone(),
        Shape::Integer(range) => {
            let (min, max) = (range.min.unwrap_or(-1000), range.max.unwrap_or(1000));
            let number = [min, max, min + (max - min) / 2][dice() % 3];
            i64::try_from(number).expect("a small number").into()
        }
        Shape::Literal(literal) => literal.clone(),
        Shape::List(items, count) => {
            let count = count.unwrap_or(dice() as u64 % 3);
            (0..count).map(|_| sample(items, dice)).collect()
        }
        Shape::Tuple(items) => items.iter().map(|item| sample(item, dice)).collect(),
        Shape::Object(fields, rest) => {
            let mut object = Map::new();
            if let Rest::Each(each) = rest {
                for name in ["a", "b", "z"] {
                    if dice().is_multiple_of(2) {
                        object.insert(name.to_owned(), sample(each, dice));
                    }
                }
            }
            for (name, field) in fields {
                object.remove(name);
                if field.always || dice().is_multiple_of(2) {
                    object.insert(name.clone(), sample(&field.shape, dice));
                }
            }
            object.into()
        }
        Shape::OneOf(alternatives) => {
            let index = dice() % alternatives.len();
            sample(&alternatives[index], dice)
        }
        Shape::Named(_) => {
            [json!({ "next": null }), json!({ "next": { "next": null } })][dice() % 2].clone()
        }
    }
}

/// Whether this JSON is read as that shape.
fn reads(shape: &Shape, json: &Value) -> bool {
    match (shape, json) {
        (Shape::Anything, _)
        | (Shape::Null, Value::Null)
        | (Shape::Boolean, Value::Bool(_))
        | (Shape::Text(None), Value::String(_))
        | (Shape::Number | Shape::Single, Value::Number(_)) => true,
        (Shape::Text(Some(_)), Value::String(text)) => text.len() == 36,
        (Shape::Integer(range), Value::Number(number)) => number.as_i64().is_some_and(|number| {
            range.min.is_none_or(|min| min <= number.into())
                && range.max.is_none_or(|max| max >= number.into())
        }),
        (Shape::Literal(literal), _) => literal == json,
        (Shape::List(items, count), Value::Array(parts)) => {
            count.is_none_or(|count| count == parts.len() as u64)
                && parts.iter().all(|part| reads(items, part))
        }
        (Shape::Tuple(items), Value::Array(parts)) => {
            items.len() == parts.len()
                && items
                    .iter()
                    .zip(parts)
                    .all(|(item, part)| reads(item, part))
        }
        (Shape::Object(fields, rest), Value::Object(object)) => {
            let there = fields.iter().filter(|(_, field)| field.always);
            let known = object
                .iter()
                .all(|(name, json)| match (fields.get(name), rest) {
                    (Some(field), _) => reads(&field.shape, json),
                    (None, Rest::Each(each)) => reads(each, json),
                    (None, rest) => *rest == Rest::Ignored,
                });
            known && there.into_iter().all(|(name, _)| object.contains_key(name))
        }
        (Shape::OneOf(alternatives), _) => alternatives.iter().any(|shape| reads(shape, json)),
        (Shape::Named(name), _) => reads(&form(Shape::Null).types[name], json),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_form_is_read_back_as_it_was_written(shape in any_shape()) {
        let written = form(shape);
        let text = serde_json::to_string_pretty(&written.to_json()).unwrap();
        prop_assert_eq!(Form::parse(&serde_json::from_str(&text).unwrap()).unwrap(), written);
    }

    #[test]
    fn what_has_not_changed_can_be_read(shape in any_shape()) {
        prop_assert_eq!(faults(&form(shape.clone()), &form(shape)), []);
    }

    #[test]
    fn without_a_fault_all_that_is_stored_is_read(
        stored in any_shape(),
        read in any_shape(),
        dice in prop::collection::vec(any::<usize>(), 64),
    ) {
        // Two random forms seldom fit, so the one that is read is made to hold the other, too.
        for read in [form(read.clone()), merged(&form(stored.clone()), &form(read))] {
            if faults(&form(stored.clone()), &read).is_empty() {
                let mut dice = dice.iter().cycle().copied();
                let json = sample(&stored, &mut || dice.next().unwrap());
                prop_assert!(reads(&read.shape, &json), "{json} of {stored:?} as {read:?}");
            }
        }
    }

    #[test]
    fn what_was_stored_and_what_is_stored_are_both_kept(
        before in any_shape(),
        now in any_shape(),
        dice in prop::collection::vec(any::<usize>(), 64),
    ) {
        let both = merged(&form(before.clone()), &form(now.clone()));
        let mut dice = dice.iter().cycle().copied();
        for part in [&before, &now] {
            let json = sample(part, &mut || dice.next().unwrap());
            // What a form ignores is not stored, so it does not matter that another one would not read it.
            prop_assert!(reads(&both.shape, &json), "{json} of {part:?} as {both:?}");
        }
    }

    #[test]
    fn what_is_merged_again_stays_as_it_is(before in any_shape(), now in any_shape()) {
        let (before, now) = (form(before), form(now));
        let both = merged(&before, &now);
        prop_assert_eq!(&merged(&both, &now), &both);
    }
}
