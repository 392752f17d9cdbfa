//! Whether everything of one form can be read as another.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::{Field, Form, Range, Rest, Shape};

/// Where stored JSON could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub path: String,
    pub reason: String,
}

/// Why not all JSON of the form `stored` can be read as `read`; empty if all can.
pub fn faults(stored: &Form, read: &Form) -> Vec<Fault> {
    let mut fitting = Fitting {
        stored: &stored.types,
        read: &read.types,
        assumed: BTreeSet::new(),
    };
    fitting.faults("", &stored.shape, &read.shape)
}

struct Fitting<'a> {
    stored: &'a BTreeMap<String, Shape>,
    read: &'a BTreeMap<String, Shape>,
    /// Pairs under way: a type that holds itself fits if it fits wherever it does not.
    assumed: BTreeSet<String>,
}

impl<'a> Fitting<'a> {
    fn faults(&mut self, path: &str, stored: &'a Shape, read: &'a Shape) -> Vec<Fault> {
        if matches!(stored, Shape::Named(_)) || matches!(read, Shape::Named(_)) {
            if !self.assumed.insert(format!("{stored:?} {read:?}")) {
                return Vec::new();
            }
            let named = |shape: &'a Shape, types: &'a BTreeMap<String, Shape>| match shape {
                Shape::Named(name) => types.get(name).unwrap_or(&Shape::Anything),
                other => other,
            };
            return self.faults(path, named(stored, self.stored), named(read, self.read));
        }
        match (stored, read) {
            (_, Shape::Anything) => Vec::new(),
            (Shape::OneOf(alternatives), _) => {
                let alternatives = alternatives.iter();
                alternatives
                    .flat_map(|stored| self.faults(path, stored, read))
                    .collect()
            }
            (_, Shape::OneOf(alternatives)) => self.any(path, stored, alternatives),
            (Shape::Object(stored, more), Shape::Object(read, rest)) => {
                self.fields(path, (stored, more), (read, rest))
            }
            (Shape::List(stored, count), Shape::List(read, needed))
                if needed.is_none() || needed == count =>
            {
                self.faults(&format!("{path}[]"), stored, read)
            }
            (Shape::Tuple(stored), Shape::Tuple(read)) if stored.len() == read.len() => {
                let pairs = stored.iter().zip(read).enumerate();
                pairs
                    .flat_map(|(index, (stored, read))| {
                        self.faults(&format!("{path}[{index}]"), stored, read)
                    })
                    .collect()
            }
            (Shape::Tuple(stored), Shape::List(read, needed))
                if needed.is_none_or(|needed| needed == stored.len() as u64) =>
            {
                let items = stored.iter();
                items
                    .flat_map(|stored| self.faults(&format!("{path}[]"), stored, read))
                    .collect()
            }
            _ if is_read_as(stored, read) => Vec::new(),
            _ => vec![otherwise(path, stored, read)],
        }
    }

    /// Fits one of them. If only one comes into question, its faults are those of the whole.
    fn any(&mut self, path: &str, stored: &'a Shape, alternatives: &'a [Shape]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for read in alternatives {
            let assumed = self.assumed.clone();
            let of_this = self.faults(path, stored, read);
            if of_this.is_empty() {
                return of_this;
            }
            // What was taken for granted on a way that led nowhere counts for nothing.
            self.assumed = assumed;
            faults.push(of_this);
        }
        let mut candidates = alternatives
            .iter()
            .zip(faults)
            .filter(|(read, _)| !matches!(read, Shape::Null));
        match (candidates.next(), candidates.next()) {
            (Some((_, faults)), None) => faults,
            _ => {
                let read = Shape::OneOf(alternatives.to_vec());
                vec![otherwise(path, stored, &read)]
            }
        }
    }

    fn fields(
        &mut self,
        path: &str,
        (stored, more): (&'a BTreeMap<String, Field>, &'a Rest),
        (read, rest): (&'a BTreeMap<String, Field>, &'a Rest),
    ) -> Vec<Fault> {
        let below = |name: &str| match path {
            "" => name.to_owned(),
            _ => format!("{path}.{name}"),
        };
        let fault = |name: &str, reason: &str| Fault {
            path: below(name),
            reason: reason.to_owned(),
        };
        let mut faults = Vec::new();
        for (name, _) in read.iter().filter(|(_, field)| field.always) {
            let reason = match stored.get(name) {
                None => "is required, and what is stored does not have it",
                Some(known) if !known.always => {
                    "is required, and what is stored does not always have it"
                }
                Some(_) => continue,
            };
            faults.push(fault(name, reason));
        }
        for (name, field) in stored {
            match (read.get(name), rest) {
                (Some(read), _) => {
                    faults.extend(self.faults(&below(name), &field.shape, &read.shape));
                }
                (None, Rest::Rejected) => {
                    faults.push(fault(name, "is stored, and unknown fields are denied"));
                }
                (None, Rest::Each(each)) => {
                    faults.extend(self.faults(&below(name), &field.shape, each));
                }
                (None, Rest::Ignored) => {}
            }
        }
        if let Rest::Each(each) = more {
            faults.extend(self.more(path, (stored, each), (read, rest)));
        }
        faults
    }

    /// Fields of any name, all of one shape, as a map stores them.
    fn more(
        &mut self,
        path: &str,
        (stored_names, stored): (&BTreeMap<String, Field>, &'a Shape),
        (read, rest): (&'a BTreeMap<String, Field>, &'a Rest),
    ) -> Vec<Fault> {
        let path = format!("{path}{{}}");
        let mut faults = match rest {
            Rest::Each(each) => self.faults(&path, stored, each),
            Rest::Ignored => Vec::new(),
            Rest::Rejected => vec![Fault {
                path: path.clone(),
                reason: "is stored, and unknown fields are denied".to_owned(),
            }],
        };
        for (_, field) in read
            .iter()
            .filter(|(name, _)| !stored_names.contains_key(*name))
        {
            faults.extend(self.faults(&path, stored, &field.shape));
        }
        faults
    }
}

fn otherwise(path: &str, stored: &Shape, read: &Shape) -> Fault {
    let words = |shape: &Shape| {
        let word = shape.word();
        word.unwrap_or_else(|| shape.to_json().to_string())
    };
    Fault {
        path: path.to_owned(),
        reason: format!(
            "is stored as {}, and read as {}",
            words(stored),
            words(read)
        ),
    }
}

/// Whether everything of a shape without parts is read as another one.
fn is_read_as(stored: &Shape, read: &Shape) -> bool {
    match (stored, read) {
        (Shape::Literal(literal), Shape::Text(None)) => literal.is_string(),
        (Shape::Literal(literal), Shape::Boolean) => literal.is_boolean(),
        (Shape::Literal(literal), Shape::Number | Shape::Single) => literal.is_number(),
        (Shape::Literal(literal), Shape::Null) => literal.is_null(),
        (Shape::Literal(literal), Shape::Integer(range)) => {
            let number = literal.as_i64().map(i128::from);
            let number = number.or_else(|| literal.as_u64().map(i128::from));
            number.is_some_and(|number| {
                let point = Some(number);
                range.holds(Range {
                    min: point,
                    max: point,
                })
            })
        }
        (Shape::Text(_), Shape::Text(None)) | (Shape::Single, Shape::Number) => true,
        // What a number with a point cannot tell from its neighbour would be another one, without an error.
        (Shape::Integer(range), Shape::Number) => Range::exact(53).holds(*range),
        (Shape::Integer(range), Shape::Single) => Range::exact(24).holds(*range),
        (Shape::Integer(stored), Shape::Integer(read)) => read.holds(*stored),
        (stored, read) => stored == read,
    }
}

impl Range {
    /// The integers that a number with a mantissa of so many bits tells apart.
    fn exact(bits: u32) -> Self {
        let end = 1_i128 << bits;
        Self {
            min: Some(-end),
            max: Some(end),
        }
    }

    fn holds(self, other: Self) -> bool {
        let from = self
            .min
            .is_none_or(|min| other.min.is_some_and(|other| other >= min));
        let to = self
            .max
            .is_none_or(|max| other.max.is_some_and(|other| other <= max));
        from && to
    }
}
