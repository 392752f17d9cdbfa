//! The bound on the cost of a JSON Schema.
//!
//! A schema can apply many schemas to one value, and references can make it recursive. The number of checks of one value
//! can therefore grow exponentially with its depth. This module counts the checks on the path from the root of a value
//! to one of its parts before the schema is used, and refuses schemas with too many.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::error::ValidatorError;
use crate::content::MAX_DEPTH;

/// The maximum number of schemas in a schema.
const MAX_SCHEMAS: usize = 5_000;
/// The maximum number of checks on the path from the root of a value to one of its parts.
const MAX_CHECKS: u64 = 10_000;
/// The weight of the parts of a schema whose parts are checked again to find unevaluated values.
const UNEVALUATED_WEIGHT: u64 = 3;

/// Keywords with one schema for the same value.
const SAME_VALUE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords with a list of schemas for the same value.
const SAME_VALUE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords with one schema for the items of a list.
const ITEMS: [&str; 3] = ["items", "contains", "unevaluatedItems"];
/// Keywords with one schema for entries with any key.
const ANY_ENTRY: [&str; 3] = [
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
];
/// Keywords that refer to other documents, or to places that depend on the value.
const UNSUPPORTED: [&str; 6] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$vocabulary",
];

/// Checks that the cost of `root` is limited, and that it refers only to parts of itself.
pub fn check(root: &Json) -> Result<(), ValidatorError> {
    let mut graph = Graph {
        root,
        ids: HashMap::new(),
        schemas: Vec::new(),
    };
    graph.add(root)?;
    let mut next = 0;
    while next < graph.schemas.len() {
        graph.read(next)?;
        next += 1;
    }
    graph.check_cost()
}

/// The part of a value that a schema is applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SchemaPart<'s> {
    /// The value itself.
    Same,
    Entry(&'s str),
    /// Entries with any key that the schema does not name.
    AnyEntry(Vec<&'s str>),
    Item,
}

struct Schema<'s> {
    json: &'s Json,
    /// The schemas that this one applies, each with its weight.
    edges: Vec<(SchemaPart<'s>, usize, u64)>,
}

struct Graph<'s> {
    root: &'s Json,
    /// The number of each schema, by its address.
    ids: HashMap<*const Json, usize>,
    schemas: Vec<Schema<'s>>,
}

impl<'s> Graph<'s> {
    fn add(&mut self, json: &'s Json) -> Result<usize, ValidatorError> {
        let next = self.schemas.len();
        let id = *self.ids.entry(std::ptr::from_ref(json)).or_insert(next);
        if id == next {
            if next == MAX_SCHEMAS {
                return Err(ValidatorError::TooLarge {
                    what: "schemas in the schema",
                    limit: MAX_SCHEMAS,
                });
            }
            self.schemas.push(Schema {
                json,
                edges: Vec::new(),
            });
        }
        Ok(id)
    }

    /// Reads the edges of a schema.
    fn read(&mut self, id: usize) -> Result<(), ValidatorError> {
        let Json::Object(keywords) = self.schemas[id].json else {
            return Ok(());
        };
        if let Some(keyword) = UNSUPPORTED
            .iter()
            .find(|name| keywords.contains_key(**name))
        {
            return Err(ValidatorError::Unsupported { keyword });
        }
        let has_unevaluated = keywords.contains_key("unevaluatedProperties")
            || keywords.contains_key("unevaluatedItems");
        let weight = if has_unevaluated {
            UNEVALUATED_WEIGHT
        } else {
            1
        };
        let mut parts: Vec<(SchemaPart<'s>, &'s Json)> = Vec::new();
        let named = keywords.get("properties").and_then(Json::as_object);
        let names: Vec<&str> = named
            .into_iter()
            .flat_map(|all| all.keys())
            .map(String::as_str)
            .collect();
        for (keyword, json) in keywords {
            let keyword = keyword.as_str();
            if keyword == "$ref" {
                parts.push((SchemaPart::Same, self.target(json)?));
            } else if SAME_VALUE.contains(&keyword) {
                parts.push((SchemaPart::Same, json));
            } else if SAME_VALUE_LISTS.contains(&keyword) {
                let all = json.as_array().into_iter().flatten();
                parts.extend(all.map(|json| (SchemaPart::Same, json)));
            } else if ITEMS.contains(&keyword) {
                parts.push((SchemaPart::Item, json));
            } else if ANY_ENTRY.contains(&keyword) {
                parts.push((SchemaPart::AnyEntry(names.clone()), json));
            } else if keyword == "prefixItems" {
                let all = json.as_array().into_iter().flatten();
                parts.extend(all.map(|json| (SchemaPart::Item, json)));
            } else if let Some(all) = json.as_object() {
                let part = |key: &'s String| match keyword {
                    "properties" => Some(SchemaPart::Entry(key)),
                    "patternProperties" => Some(SchemaPart::AnyEntry(Vec::new())),
                    "dependentSchemas" => Some(SchemaPart::Same),
                    _ => None,
                };
                let all = all
                    .iter()
                    .filter_map(|(key, json)| Some((part(key)?, json)));
                parts.extend(all);
            }
        }
        for (part, json) in parts {
            let target = self.add(json)?;
            self.schemas[id].edges.push((part, target, weight));
        }
        Ok(())
    }

    /// Returns the target of a reference, which must be a part of the schema.
    fn target(&self, reference: &'s Json) -> Result<&'s Json, ValidatorError> {
        let text = reference.as_str().unwrap_or_default();
        let pointer = text
            .strip_prefix('#')
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let target = pointer.and_then(|pointer| self.root.pointer(pointer));
        target.ok_or_else(|| ValidatorError::Reference {
            reference: text.chars().take(80).collect(),
        })
    }

    /// Checks the number of checks of a value with the maximum depth.
    fn check_cost(&self) -> Result<(), ValidatorError> {
        let order = self.inner_first()?;
        // The edges to parts of the value, with those of the schemas for the same value included.
        let mut checks: Vec<u64> = vec![1; self.schemas.len()];
        let mut edges: Vec<Vec<(&SchemaPart<'s>, usize, u64)>> =
            vec![Vec::new(); self.schemas.len()];
        for id in order {
            let mut all: HashMap<(usize, usize), (&SchemaPart<'s>, usize, u64)> = HashMap::new();
            for (part, target, weight) in &self.schemas[id].edges {
                if *part == SchemaPart::Same {
                    checks[id] = checks[id].saturating_add(checks[*target].saturating_mul(*weight));
                    for (part, inner, count) in &edges[*target] {
                        let key = (std::ptr::from_ref(*part) as usize, *inner);
                        let entry = all.entry(key).or_insert((*part, *inner, 0));
                        entry.2 = entry.2.saturating_add(count.saturating_mul(*weight));
                    }
                } else {
                    let key = (std::ptr::from_ref(part) as usize, *target);
                    let entry = all.entry(key).or_insert((part, *target, 0));
                    entry.2 = entry.2.saturating_add(*weight);
                }
            }
            if checks[id] > MAX_CHECKS || all.len() > MAX_SCHEMAS {
                return Err(ValidatorError::TooCostly { limit: MAX_CHECKS });
            }
            edges[id] = all.into_values().collect();
        }
        let mut below = vec![0_u64; self.schemas.len()];
        for _ in 0..=MAX_DEPTH {
            let total = |id: usize| checks[id].saturating_add(most(&edges[id], &below));
            below = (0..self.schemas.len()).map(total).collect();
            if below[0] > MAX_CHECKS {
                return Err(ValidatorError::TooCostly { limit: MAX_CHECKS });
            }
            // Schemas that the root does not reach have no cost, and a sum must not overflow.
            for checks in &mut below {
                *checks = (*checks).min(MAX_CHECKS + 1);
            }
        }
        Ok(())
    }

    /// Returns the schemas in an order in which each comes after those that it applies to the same value.
    fn inner_first(&self) -> Result<Vec<usize>, ValidatorError> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.schemas.len()];
        let mut order = Vec::with_capacity(self.schemas.len());
        for start in 0..self.schemas.len() {
            let mut open = vec![(start, 0)];
            while let Some((id, next)) = open.pop() {
                if next == 0 {
                    match marks[id] {
                        Mark::Done => continue,
                        Mark::Open => return Err(ValidatorError::EndlessReference),
                        Mark::New => marks[id] = Mark::Open,
                    }
                }
                match self.schemas[id].edges.get(next) {
                    None => {
                        marks[id] = Mark::Done;
                        order.push(id);
                    }
                    Some((part, target, _)) => {
                        open.push((id, next + 1));
                        if *part == SchemaPart::Same {
                            open.push((*target, 0));
                        }
                    }
                }
            }
        }
        Ok(order)
    }
}

/// Returns the largest number of checks of one part of a value.
fn most(edges: &[(&SchemaPart<'_>, usize, u64)], below: &[u64]) -> u64 {
    let mut items = 0_u64;
    let mut any = 0_u64;
    let mut named: HashMap<&str, u64> = HashMap::new();
    for (part, target, count) in edges {
        let checks = below[*target].saturating_mul(*count);
        match part {
            SchemaPart::Same => {}
            SchemaPart::Item => items = items.saturating_add(checks),
            SchemaPart::Entry(name) => {
                let sum = named.entry(name).or_default();
                *sum = sum.saturating_add(checks);
            }
            SchemaPart::AnyEntry(_) => any = any.saturating_add(checks),
        }
    }
    // An entry with a name is also checked by the schemas for any entry, except those beside its own.
    let with_any = named.iter().map(|(name, checks)| {
        let others = edges.iter().filter(|(part, ..)| match part {
            SchemaPart::AnyEntry(except) => !except.contains(name),
            _ => false,
        });
        let others = others.map(|(_, target, count)| below[*target].saturating_mul(*count));
        others.fold(*checks, u64::saturating_add)
    });
    with_any.fold(items.max(any), u64::max)
}
