//! [`Hints`]: the parts of a JSON Schema that classify changes.

use serde_json::Value as Json;

use super::class::Class;
use crate::content::TreeNode;

/// The keyword of a schema that sets the class of all changes of a value and its parts.
const CLASS_KEYWORD: &str = "x-change";
/// The maximum number of references that are followed for one value.
const MAX_REFERENCES: usize = 8;

/// The place in a JSON Schema that describes a value.
///
/// Follows `properties`, `patternProperties` are ignored, `additionalProperties`, `items`, `prefixItems`, `allOf` and
/// references inside of the schema.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'s> {
    root: Option<&'s Json>,
    schema: Option<&'s Json>,
    class: Option<Class>,
}

impl<'s> Hints<'s> {
    /// Returns the hints for the root of a document.
    #[must_use]
    pub fn new(schema: &'s Json) -> Self {
        Self {
            root: Some(schema),
            ..Self::default()
        }
        .at(Some(schema))
    }

    /// Returns the hints for the entry `key` of a mapping.
    pub(super) fn entry(self, key: &str) -> Self {
        let found = self.search(&|schema| {
            let property = schema.get("properties").and_then(|all| all.get(key));
            property.or_else(|| schema.get("additionalProperties"))
        });
        self.at(found)
    }

    /// Returns the hints for the item of a list at `index`.
    pub(super) fn item(self, index: usize) -> Self {
        let found = self.search(&|schema| {
            let prefix = schema.get("prefixItems").and_then(|all| all.get(index));
            prefix.or_else(|| schema.get("items"))
        });
        self.at(found)
    }

    /// Returns the class that the schema sets for changes of the value.
    pub(super) fn class(self) -> Option<Class> {
        self.class
    }

    /// Returns whether the order of the items has no meaning.
    pub(super) fn is_set(self) -> bool {
        let unique = self.search(&|schema| schema.get("uniqueItems"));
        unique.is_some_and(|unique| unique == &Json::Bool(true))
    }

    /// Returns whether `node` is the value that readers assume if it is missing.
    pub(super) fn is_default(self, node: &TreeNode) -> bool {
        let default = self.search(&|schema| schema.get("default"));
        default.is_some_and(|default| *default == node.to_json())
    }

    /// Returns whether readers no longer use the value.
    pub(super) fn is_deprecated(self) -> bool {
        let deprecated = self.search(&|schema| schema.get("deprecated"));
        deprecated.is_some_and(|deprecated| deprecated == &Json::Bool(true))
    }

    fn at(mut self, schema: Option<&'s Json>) -> Self {
        self.schema = schema.filter(|schema| schema.is_object());
        let class = self.search(&|schema| schema.get(CLASS_KEYWORD));
        let class = class.and_then(|class| serde_json::from_value(class.clone()).ok());
        let class = class.filter(|class| *class != Class::Identical);
        self.class = class.or(self.class);
        self
    }

    /// Returns the first part that `part` finds in the schema and in the schemas that it includes.
    fn search(self, part: &dyn Fn(&'s Json) -> Option<&'s Json>) -> Option<&'s Json> {
        let mut open = vec![self.schema?];
        let mut references = 0;
        while let Some(schema) = open.pop() {
            if let Some(found) = part(schema) {
                return Some(found);
            }
            let included = schema.get("allOf").and_then(Json::as_array);
            let target = schema.get("$ref").and_then(Json::as_str);
            let target = target.and_then(|target| target.strip_prefix('#'));
            let target = target.and_then(|pointer| self.root?.pointer(pointer));
            for next in included.into_iter().flatten().chain(target) {
                references += 1;
                if references > MAX_REFERENCES {
                    return None;
                }
                open.push(next);
            }
        }
        None
    }
}
