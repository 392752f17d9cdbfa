//! The comparison of a stored event schema with the schema that the code deserializes.

use std::collections::{BTreeMap, BTreeSet};

use super::json_shape::{EventSchema, ExtraFields, IntegerRange, JsonShape, ObjectShape};

/// A part of the stored JSON that the code cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The path of the field.
    pub path: String,
    /// The difference between the stored field and the field in the code.
    pub reason: String,
}

/// Returns the parts of the JSON of schema `stored` that cannot be read as `read`.
///
/// The list is empty if all JSON can be read.
pub fn mismatches(stored: &EventSchema, read: &EventSchema) -> Vec<Mismatch> {
    let mut comparison = Comparison {
        stored: &stored.types,
        read: &read.types,
        assumed: BTreeSet::new(),
    };
    comparison.mismatches("", &stored.shape, &read.shape)
}

struct Comparison<'a> {
    stored: &'a BTreeMap<String, JsonShape>,
    read: &'a BTreeMap<String, JsonShape>,
    /// The pairs of types in progress; a recursive type is compatible if all its other parts are.
    assumed: BTreeSet<String>,
}

impl<'a> Comparison<'a> {
    fn mismatches(
        &mut self,
        path: &str,
        stored: &'a JsonShape,
        read: &'a JsonShape,
    ) -> Vec<Mismatch> {
        if matches!(stored, JsonShape::Named(_)) || matches!(read, JsonShape::Named(_)) {
            if !self.assumed.insert(format!("{stored:?} {read:?}")) {
                return Vec::new();
            }
            let resolve = |shape: &'a JsonShape, types: &'a BTreeMap<String, JsonShape>| match shape
            {
                JsonShape::Named(name) => types.get(name).unwrap_or(&JsonShape::Anything),
                other => other,
            };
            return self.mismatches(path, resolve(stored, self.stored), resolve(read, self.read));
        }
        match (stored, read) {
            (_, JsonShape::Anything) => Vec::new(),
            (JsonShape::OneOf(alternatives), _) => {
                let alternatives = alternatives.iter();
                alternatives
                    .flat_map(|stored| self.mismatches(path, stored, read))
                    .collect()
            }
            (_, JsonShape::OneOf(alternatives)) => self.any_alternative(path, stored, alternatives),
            (JsonShape::Object(stored), JsonShape::Object(read)) => self.fields(path, stored, read),
            (JsonShape::List(stored, stored_len), JsonShape::List(read, read_len))
                if read_len.is_none() || read_len == stored_len =>
            {
                self.mismatches(&format!("{path}[]"), stored, read)
            }
            (JsonShape::Tuple(stored), JsonShape::Tuple(read)) if stored.len() == read.len() => {
                let pairs = stored.iter().zip(read).enumerate();
                pairs
                    .flat_map(|(index, (stored, read))| {
                        self.mismatches(&format!("{path}[{index}]"), stored, read)
                    })
                    .collect()
            }
            (JsonShape::Tuple(stored), JsonShape::List(read, read_len))
                if read_len.is_none_or(|len| len == stored.len() as u64) =>
            {
                let items = stored.iter();
                items
                    .flat_map(|stored| self.mismatches(&format!("{path}[]"), stored, read))
                    .collect()
            }
            _ if is_scalar_readable_as(stored, read) => Vec::new(),
            _ => vec![type_mismatch(path, stored, read)],
        }
    }

    /// Compares a stored shape with alternatives, one of which must be compatible.
    ///
    /// If there is only one alternative except null, the mismatches are those of this alternative.
    fn any_alternative(
        &mut self,
        path: &str,
        stored: &'a JsonShape,
        alternatives: &'a [JsonShape],
    ) -> Vec<Mismatch> {
        let mut rejected = Vec::new();
        for read in alternatives {
            let assumed = self.assumed.clone();
            let mismatches = self.mismatches(path, stored, read);
            if mismatches.is_empty() {
                return mismatches;
            }
            // Assumptions of a rejected alternative are not valid.
            self.assumed = assumed;
            rejected.push(mismatches);
        }
        let mut candidates = alternatives
            .iter()
            .zip(rejected)
            .filter(|(read, _)| !matches!(read, JsonShape::Null));
        match (candidates.next(), candidates.next()) {
            (Some((_, mismatches)), None) => mismatches,
            _ => {
                let read = JsonShape::OneOf(alternatives.to_vec());
                vec![type_mismatch(path, stored, &read)]
            }
        }
    }

    fn fields(
        &mut self,
        path: &str,
        stored: &'a ObjectShape,
        read: &'a ObjectShape,
    ) -> Vec<Mismatch> {
        let child = |name: &str| match path {
            "" => name.to_owned(),
            _ => format!("{path}.{name}"),
        };
        let mismatch = |name: &str, reason: &str| Mismatch {
            path: child(name),
            reason: reason.to_owned(),
        };
        let mut mismatches = Vec::new();
        for (name, _) in read.fields.iter().filter(|(_, field)| field.required) {
            let reason = match stored.fields.get(name) {
                None => "is required, but stored events do not have it",
                Some(field) if !field.required => {
                    "is required, but some stored events do not have it"
                }
                Some(_) => continue,
            };
            mismatches.push(mismatch(name, reason));
        }
        for (name, field) in &stored.fields {
            match (read.fields.get(name), &read.extra) {
                (Some(read), _) => {
                    mismatches.extend(self.mismatches(&child(name), &field.shape, &read.shape));
                }
                (None, ExtraFields::Rejected) => {
                    mismatches.push(mismatch(name, UNKNOWN_FIELD_DENIED));
                }
                (None, ExtraFields::Each(each)) => {
                    mismatches.extend(self.mismatches(&child(name), &field.shape, each));
                }
                (None, ExtraFields::Ignored) => {}
            }
        }
        if let ExtraFields::Each(each) = &stored.extra {
            mismatches.extend(self.extra_fields(path, (stored, each), read));
        }
        mismatches
    }

    /// Compares the fields of a stored map, which have any name and the shape `each`.
    fn extra_fields(
        &mut self,
        path: &str,
        (stored, each): (&ObjectShape, &'a JsonShape),
        read: &'a ObjectShape,
    ) -> Vec<Mismatch> {
        let path = format!("{path}{{}}");
        let mut mismatches = match &read.extra {
            ExtraFields::Each(read) => self.mismatches(&path, each, read),
            ExtraFields::Ignored => Vec::new(),
            ExtraFields::Rejected => vec![Mismatch {
                path: path.clone(),
                reason: UNKNOWN_FIELD_DENIED.to_owned(),
            }],
        };
        let read = read.fields.iter();
        for (_, field) in read.filter(|(name, _)| !stored.fields.contains_key(*name)) {
            mismatches.extend(self.mismatches(&path, each, &field.shape));
        }
        mismatches
    }
}

const UNKNOWN_FIELD_DENIED: &str = "is stored, but the code denies unknown fields";

fn type_mismatch(path: &str, stored: &JsonShape, read: &JsonShape) -> Mismatch {
    let text = |shape: &JsonShape| {
        let word = shape.word();
        word.unwrap_or_else(|| shape.to_json().to_string())
    };
    Mismatch {
        path: path.to_owned(),
        reason: format!("is stored as {}, but read as {}", text(stored), text(read)),
    }
}

/// Returns whether all values of a shape without parts can be read as another shape, without loss.
fn is_scalar_readable_as(stored: &JsonShape, read: &JsonShape) -> bool {
    match (stored, read) {
        (JsonShape::Literal(literal), JsonShape::Text(None)) => literal.is_string(),
        (JsonShape::Literal(literal), JsonShape::Boolean) => literal.is_boolean(),
        (JsonShape::Literal(literal), JsonShape::Number | JsonShape::Float) => literal.is_number(),
        (JsonShape::Literal(literal), JsonShape::Null) => literal.is_null(),
        (JsonShape::Literal(literal), JsonShape::Integer(range)) => {
            let number = literal.as_i64().map(i128::from);
            let number = number.or_else(|| literal.as_u64().map(i128::from));
            number.is_some_and(|number| {
                let point = Some(number);
                range.contains(IntegerRange {
                    min: point,
                    max: point,
                })
            })
        }
        (JsonShape::Text(_), JsonShape::Text(None)) | (JsonShape::Float, JsonShape::Number) => true,
        // A floating-point number rounds larger integers without an error.
        (JsonShape::Integer(range), JsonShape::Number) => IntegerRange::exact(53).contains(*range),
        (JsonShape::Integer(range), JsonShape::Float) => IntegerRange::exact(24).contains(*range),
        (JsonShape::Integer(stored), JsonShape::Integer(read)) => read.contains(*stored),
        (stored, read) => stored == read,
    }
}

impl IntegerRange {
    /// Returns the range of integers that a floating-point number represents exactly.
    ///
    /// The mantissa of the number has `bits` bits.
    fn exact(bits: u32) -> Self {
        let end = 1_i128 << bits;
        Self {
            min: Some(-end),
            max: Some(end),
        }
    }

    fn contains(self, other: Self) -> bool {
        let from = self
            .min
            .is_none_or(|min| other.min.is_some_and(|other| other >= min));
        let to = self
            .max
            .is_none_or(|max| other.max.is_some_and(|other| other <= max));
        from && to
    }
}
