//! Property tests of the schema lock, with random schemas and random JSON.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::compatibility::mismatches;
use super::json_shape::{
    EventSchema, ExtraFields, FieldShape, IntegerRange, JsonShape, ObjectShape,
};
use super::merge::merge;

fn schema(shape: JsonShape) -> EventSchema {
    let node = JsonShape::Object(ObjectShape {
        fields: BTreeMap::from([(
            "next".to_owned(),
            FieldShape {
                required: true,
                shape: JsonShape::one_of([JsonShape::Null, JsonShape::Named("Node".to_owned())]),
            },
        )]),
        extra: ExtraFields::Ignored,
    });
    let types = BTreeMap::from([("Node".to_owned(), node)]);
    EventSchema { shape, types }
}

fn any_shape() -> impl Strategy<Value = JsonShape> {
    let range = |min, max| JsonShape::Integer(IntegerRange { min, max });
    let leaf = prop_oneof![
        Just(JsonShape::Anything),
        Just(JsonShape::Null),
        Just(JsonShape::Boolean),
        Just(JsonShape::Text(None)),
        Just(JsonShape::Text(Some("uuid".to_owned()))),
        Just(JsonShape::Number),
        Just(JsonShape::Float),
        Just(range(Some(0), Some(255))),
        Just(range(Some(0), None)),
        Just(range(None, Some(9))),
        Just(range(None, None)),
        Just(JsonShape::Literal(json!("draft"))),
        Just(JsonShape::Literal(json!("it's"))),
        Just(JsonShape::Literal(json!(3))),
        Just(JsonShape::Named("Node".to_owned())),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let field = (any::<bool>(), inner.clone())
            .prop_map(|(required, shape)| FieldShape { required, shape });
        let name = prop::sample::select(vec!["a", "b", "c?", "d!", "..."]).prop_map(str::to_owned);
        let extra = prop_oneof![
            4 => Just(ExtraFields::Ignored),
            2 => Just(ExtraFields::Rejected),
            1 => inner.clone().prop_map(|each| ExtraFields::Each(Box::new(each))),
        ];
        let fields = prop::collection::btree_map(name, field, 0..4);
        prop_oneof![
            4 => (fields, extra)
                .prop_map(|(fields, extra)| JsonShape::Object(ObjectShape { fields, extra })),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(JsonShape::one_of),
            1 => (inner.clone(), prop::option::of(1..3_u64))
                .prop_map(|(items, len)| JsonShape::List(Box::new(items), len)),
            1 => prop::collection::vec(inner, 0..3).prop_map(JsonShape::Tuple),
        ]
    })
}

/// Returns JSON of this shape; `dice` returns random numbers.
fn sample(shape: &JsonShape, dice: &mut impl FnMut() -> usize) -> Value {
    match shape {
        JsonShape::Anything => [
            json!(null),
            json!("x"),
            json!(7),
            json!({ "a": 1 }),
            json!([]),
        ][dice() % 5]
            .clone(),
        JsonShape::Null | JsonShape::Other(_) => Value::Null,
        JsonShape::Boolean => (dice().is_multiple_of(2)).into(),
        JsonShape::Text(None) => ["", "draft", "text"][dice() % 3].into(),
        JsonShape::Text(Some(_)) => "0197a1b2-0000-7000-8000-000000000000".into(),
        JsonShape::Number | JsonShape::Float => [json!(0.5), json!(3)][dice() % 2].clone(),
        JsonShape::Integer(range) => {
            let (min, max) = (range.min.unwrap_or(-1000), range.max.unwrap_or(1000));
            let number = [min, max, min + (max - min) / 2][dice() % 3];
            i64::try_from(number).expect("a small number").into()
        }
        JsonShape::Literal(literal) => literal.clone(),
        JsonShape::List(items, len) => {
            let len = len.unwrap_or(dice() as u64 % 3);
            (0..len).map(|_| sample(items, dice)).collect()
        }
        JsonShape::Tuple(items) => items.iter().map(|item| sample(item, dice)).collect(),
        JsonShape::Object(ObjectShape { fields, extra }) => {
            let mut object = Map::new();
            if let ExtraFields::Each(each) = extra {
                for name in ["a", "b", "z"] {
                    if dice().is_multiple_of(2) {
                        object.insert(name.to_owned(), sample(each, dice));
                    }
                }
            }
            for (name, field) in fields {
                object.remove(name);
                if field.required || dice().is_multiple_of(2) {
                    object.insert(name.clone(), sample(&field.shape, dice));
                }
            }
            object.into()
        }
        JsonShape::OneOf(alternatives) => {
            let index = dice() % alternatives.len();
            sample(&alternatives[index], dice)
        }
        JsonShape::Named(_) => {
            [json!({ "next": null }), json!({ "next": { "next": null } })][dice() % 2].clone()
        }
    }
}

/// Returns whether a value can be read as a shape.
fn is_readable(shape: &JsonShape, json: &Value) -> bool {
    match (shape, json) {
        (JsonShape::Anything, _)
        | (JsonShape::Null, Value::Null)
        | (JsonShape::Boolean, Value::Bool(_))
        | (JsonShape::Text(None), Value::String(_))
        | (JsonShape::Number | JsonShape::Float, Value::Number(_)) => true,
        (JsonShape::Text(Some(_)), Value::String(text)) => text.len() == 36,
        (JsonShape::Integer(range), Value::Number(number)) => {
            number.as_i64().is_some_and(|number| {
                range.min.is_none_or(|min| min <= number.into())
                    && range.max.is_none_or(|max| max >= number.into())
            })
        }
        (JsonShape::Literal(literal), _) => literal == json,
        (JsonShape::List(items, len), Value::Array(parts)) => {
            len.is_none_or(|len| len == parts.len() as u64)
                && parts.iter().all(|part| is_readable(items, part))
        }
        (JsonShape::Tuple(items), Value::Array(parts)) => {
            items.len() == parts.len()
                && items
                    .iter()
                    .zip(parts)
                    .all(|(item, part)| is_readable(item, part))
        }
        (JsonShape::Object(ObjectShape { fields, extra }), Value::Object(object)) => {
            let mut required = fields.iter().filter(|(_, field)| field.required);
            let all_readable = object
                .iter()
                .all(|(name, json)| match (fields.get(name), extra) {
                    (Some(field), _) => is_readable(&field.shape, json),
                    (None, ExtraFields::Each(each)) => is_readable(each, json),
                    (None, extra) => *extra == ExtraFields::Ignored,
                });
            all_readable && required.all(|(name, _)| object.contains_key(name))
        }
        (JsonShape::OneOf(alternatives), _) => {
            alternatives.iter().any(|shape| is_readable(shape, json))
        }
        (JsonShape::Named(name), _) => is_readable(&schema(JsonShape::Null).types[name], json),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn event_schema_round_trips_through_json(shape in any_shape()) {
        let schema = schema(shape);
        let text = serde_json::to_string_pretty(&schema.to_json()).unwrap();
        prop_assert_eq!(EventSchema::parse(&serde_json::from_str(&text).unwrap()).unwrap(), schema);
    }

    #[test]
    fn unchanged_schema_is_compatible(shape in any_shape()) {
        prop_assert_eq!(mismatches(&schema(shape.clone()), &schema(shape)), []);
    }

    #[test]
    fn compatible_schema_reads_all_stored_json(
        stored in any_shape(),
        read in any_shape(),
        dice in prop::collection::vec(any::<usize>(), 64),
    ) {
        // Two random schemas are rarely compatible, so a merged schema is compared, too.
        for read in [schema(read.clone()), merge(&schema(stored.clone()), &schema(read))] {
            if mismatches(&schema(stored.clone()), &read).is_empty() {
                let mut dice = dice.iter().cycle().copied();
                let json = sample(&stored, &mut || dice.next().unwrap());
                prop_assert!(is_readable(&read.shape, &json), "{json} of {stored:?} as {read:?}");
            }
        }
    }

    #[test]
    fn merged_schema_reads_json_of_both_schemas(
        before in any_shape(),
        now in any_shape(),
        dice in prop::collection::vec(any::<usize>(), 64),
    ) {
        let merged = merge(&schema(before.clone()), &schema(now.clone()));
        let mut dice = dice.iter().cycle().copied();
        for part in [&before, &now] {
            let json = sample(part, &mut || dice.next().unwrap());
            // Ignored fields are not stored, so the other schema does not have to read them.
            prop_assert!(is_readable(&merged.shape, &json), "{json} of {part:?} as {merged:?}");
        }
    }

    #[test]
    fn merge_is_idempotent(before in any_shape(), now in any_shape()) {
        let (before, now) = (schema(before), schema(now));
        let merged = merge(&before, &now);
        prop_assert_eq!(&merge(&merged, &now), &merged);
    }
}
