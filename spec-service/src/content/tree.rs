//! [`TreeNode`]: the tree of a YAML document, with the location of each value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use saphyr_parser::{Event, ScalarStyle};
use serde_json::{Number, Value as Json};

use super::error::{ContentError, Location, shorten};
use super::yaml_scalar::Scalar;

/// A value of a YAML document, as a reader sees it.
///
/// Aliases are expanded, and merge keys (`<<`) are applied.
///
/// Two nodes are equal if their values and tags are equal. Locations, comments, the order of keys and the style of
/// scalars have no meaning.
#[derive(Debug, Clone)]
pub struct TreeNode {
    value: Value,
    tag: Option<String>,
    at: Location,
    /// The hash of value and tag, so that unequal trees are detected without a comparison of their parts.
    digest: u64,
}

/// The value of a [`TreeNode`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A value without parts.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<TreeNode>),
    /// A mapping, by the text of the keys.
    Map(BTreeMap<String, TreeNode>),
}

impl PartialEq for TreeNode {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.tag == other.tag && self.value == other.value
    }
}

impl Eq for TreeNode {}

impl Hash for TreeNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

impl TreeNode {
    /// Creates a node at the location `at`.
    #[must_use]
    pub fn new(value: Value, tag: Option<String>, at: Location) -> Self {
        let mut hasher = DefaultHasher::new();
        (&value, &tag).hash(&mut hasher);
        Self {
            digest: hasher.finish(),
            value,
            tag,
            at,
        }
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the tag, unless it is of the core schema of YAML.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the location of the value in the text.
    #[must_use]
    pub fn at(&self) -> Location {
        self.at
    }

    /// Returns the name of the JSON type that the value has.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(Scalar::Null) => "null",
            Value::Scalar(Scalar::Bool(_)) => "boolean",
            Value::Scalar(Scalar::Int(_) | Scalar::Float(_)) => "number",
            Value::Scalar(Scalar::Text(_)) => "string",
            Value::List(_) => "array",
            Value::Map(_) => "object",
        }
    }

    /// Converts the value to JSON, without tags.
    ///
    /// Integers beyond 64 bits become floating-point numbers. Infinities and `.nan` become strings.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(scalar) => scalar_to_json(scalar),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let entry = |(key, value): (&String, &Self)| (key.clone(), value.to_json());
                entries.iter().map(entry).collect()
            }
        }
    }

    /// Returns the node that `steps` lead to, and the number of steps that exist.
    ///
    /// If a step does not exist, returns the last node before it.
    pub fn find<'s>(&self, steps: impl IntoIterator<Item = &'s str>) -> (&Self, usize) {
        let (mut node, mut found) = (self, 0);
        for step in steps {
            let next = match &node.value {
                Value::Scalar(_) => None,
                Value::List(items) => {
                    let index = step.parse::<usize>().ok();
                    index.and_then(|index| items.get(index))
                }
                Value::Map(entries) => entries.get(step),
            };
            let Some(next) = next else { break };
            (node, found) = (next, found + 1);
        }
        (node, found)
    }

    /// Returns the text of the node as the key of an object.
    fn key(&self) -> String {
        match &self.value {
            Value::Scalar(Scalar::Text(text)) => text.clone(),
            _ => self.to_json().to_string(),
        }
    }
}

fn scalar_to_json(scalar: &Scalar) -> Json {
    match scalar {
        Scalar::Null => Json::Null,
        Scalar::Bool(value) => Json::Bool(*value),
        Scalar::Int(value) => Number::from_i128(*value)
            .or_else(|| Number::from_f64(*value as f64))
            .map_or(Json::Null, Json::Number),
        Scalar::Float(bits) => {
            let value = f64::from_bits(*bits);
            match Number::from_f64(value) {
                Some(number) => Json::Number(number),
                None if value.is_nan() => Json::String(".nan".to_owned()),
                None if value > 0.0 => Json::String(".inf".to_owned()),
                None => Json::String("-.inf".to_owned()),
            }
        }
        Scalar::Text(text) => Json::String(text.clone()),
    }
}

/// A builder of the trees of all documents from the events of the parser.
///
/// The events must have been validated, so that the number of nodes and the expansion of aliases are limited.
#[derive(Default)]
pub struct TreeBuilder {
    documents: Vec<TreeNode>,
    open: Vec<OpenNode>,
    anchored: HashMap<usize, TreeNode>,
}

/// A collection whose end event has not arrived.
struct OpenNode {
    anchor: usize,
    tag: Option<String>,
    at: Location,
    children: TreeChildren,
}

enum TreeChildren {
    List(Vec<TreeNode>),
    Map {
        entries: BTreeMap<String, TreeNode>,
        /// The key whose value has not arrived.
        pending: Option<TreeKey>,
        merged: Option<TreeNode>,
    },
}

/// A key of a mapping.
struct TreeKey {
    text: String,
    at: Location,
    is_merge: bool,
}

impl TreeBuilder {
    /// Returns the trees of all documents.
    pub fn finish(self) -> Vec<TreeNode> {
        self.documents
    }

    /// Adds the next event of the parser, which starts at `at`.
    pub fn event(&mut self, event: &Event<'_>, at: Location) -> Result<(), ContentError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref();
                let scalar = Scalar::new(Cow::Borrowed(text), *style, tag);
                let is_merge = *style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                let tag = tag.filter(|tag| !tag.is_yaml_core_schema());
                let tag = tag.map(ToString::to_string);
                let node = TreeNode::new(Value::Scalar(scalar), tag, at);
                self.add(node, *anchor, is_merge)
            }
            Event::SequenceStart(anchor, tag) => {
                let tag = tag.as_deref();
                self.open(*anchor, tag, at, TreeChildren::List(Vec::new()));
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                let children = TreeChildren::Map {
                    entries: BTreeMap::new(),
                    pending: None,
                    merged: None,
                };
                self.open(*anchor, tag.as_deref(), at, children);
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchored.get(anchor) {
                // The value of an alias is where the alias is.
                Some(node) => {
                    let node = TreeNode { at, ..node.clone() };
                    self.add(node, 0, false)
                }
                None => Ok(()),
            },
            Event::DocumentStart(_) => {
                self.anchored = HashMap::new();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn open(
        &mut self,
        anchor: usize,
        tag: Option<&saphyr_parser::Tag>,
        at: Location,
        children: TreeChildren,
    ) {
        let tag = tag.filter(|tag| !tag.is_yaml_core_schema());
        self.open.push(OpenNode {
            anchor,
            tag: tag.map(ToString::to_string),
            at,
            children,
        });
    }

    fn close(&mut self) -> Result<(), ContentError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.children {
            TreeChildren::List(items) => Value::List(items),
            TreeChildren::Map {
                mut entries,
                merged,
                ..
            } => {
                if let Some(merged) = merged {
                    merge(&mut entries, merged);
                }
                Value::Map(entries)
            }
        };
        self.add(TreeNode::new(value, open.tag, open.at), open.anchor, false)
    }

    /// Adds a complete node to the collection around it.
    fn add(&mut self, node: TreeNode, anchor: usize, is_merge: bool) -> Result<(), ContentError> {
        if anchor > 0 {
            self.anchored.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut parent.children {
            TreeChildren::List(items) => items.push(node),
            TreeChildren::Map {
                entries,
                pending,
                merged,
            } => match pending.take() {
                None => {
                    *pending = Some(TreeKey {
                        text: node.key(),
                        at: node.at,
                        is_merge,
                    });
                }
                Some(key) if key.is_merge && can_merge(&node) => *merged = Some(node),
                Some(key) => {
                    if entries.contains_key(&key.text) {
                        return Err(ContentError::KeyCollision {
                            at: key.at,
                            key: shorten(&key.text),
                        });
                    }
                    entries.insert(key.text, node);
                }
            },
        }
        Ok(())
    }
}

/// Returns whether `node` is a mapping or a sequence of mappings, so that it can be merged.
fn can_merge(node: &TreeNode) -> bool {
    match node.value() {
        Value::Map(_) => true,
        Value::List(items) => items.iter().all(|item| matches!(item.value, Value::Map(_))),
        Value::Scalar(_) => false,
    }
}

/// Adds the entries of `merged` whose keys are missing. Earlier mappings of a sequence win.
///
/// See <https://yaml.org/type/merge.html>.
fn merge(entries: &mut BTreeMap<String, TreeNode>, merged: TreeNode) {
    match merged.value {
        Value::Map(more) => {
            for (key, node) in more {
                entries.entry(key).or_insert(node);
            }
        }
        Value::List(items) => {
            for item in items {
                merge(entries, item);
            }
        }
        Value::Scalar(_) => {}
    }
}
