//! The limits on nesting, nodes and alias expansion, and the check for duplicate keys and anchors.
//!
//! No alias is expanded. An alias adds the size of its node, which is known once the node has been parsed. A text
//! that expands to a billion nodes therefore costs no more than its bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, ScalarStyle, Tag};

use super::error::{ContentError, Location, shorten};
use super::yaml_anchors::AnchorNames;
use super::yaml_node::{NodeId, NodeInterner};
use super::yaml_scalar::mismatched_type;

/// The maximum nesting depth of collections.
pub const MAX_DEPTH: usize = 64;
/// The maximum number of nodes in all documents, without alias expansion.
const MAX_NODES: usize = 50_000;
/// The maximum size of all expanded aliases: nodes plus bytes of scalar text.
const MAX_ALIAS_EXPANSION: usize = 50_000;

/// A validator of the parser events of a text.
///
/// Anchors belong to their document. The limits apply to all documents together.
pub struct YamlValidator<'a> {
    anchors: AnchorNames<'a>,
    nodes: NodeInterner,
    /// The number of nodes of each complete document, with aliases expanded.
    documents: Vec<usize>,
    /// Set if a complete document is not empty.
    has_content: bool,
    /// The collections whose end event has not arrived, outermost first.
    open: Vec<OpenCollection<'a>>,
    /// The complete anchored nodes, by the parser's anchor number.
    anchored: HashMap<usize, CompleteNode>,
    node_count: usize,
    alias_expansion: usize,
    root: Option<CompleteNode>,
}

/// A node whose end has been parsed.
#[derive(Debug, Clone, Copy)]
struct CompleteNode {
    id: NodeId,
    size: NodeSize,
    /// Set if the text has no characters for the node.
    empty: bool,
}

/// The size of a node, with aliases expanded.
#[derive(Debug, Clone, Copy, Default)]
struct NodeSize {
    nodes: usize,
    text: usize,
    height: usize,
}

/// A collection whose end event has not arrived.
struct OpenCollection<'a> {
    anchor: usize,
    tag: Option<Cow<'a, Tag>>,
    at: Location,
    size: NodeSize,
    children: Children,
}

enum Children {
    Sequence(Vec<NodeId>),
    Mapping {
        pairs: Vec<(NodeId, NodeId)>,
        /// The key whose value has not arrived.
        pending_key: Option<NodeId>,
        /// The location of each key.
        key_locations: HashMap<NodeId, Location>,
    },
}

impl<'a> YamlValidator<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            anchors: AnchorNames::new(text),
            nodes: NodeInterner::default(),
            documents: Vec::new(),
            has_content: false,
            open: Vec::new(),
            anchored: HashMap::new(),
            node_count: 0,
            alias_expansion: 0,
            root: None,
        }
    }

    /// Returns the number of nodes of each document, with aliases expanded.
    pub fn finish(self) -> Result<Vec<usize>, ContentError> {
        if self.has_content {
            Ok(self.documents)
        } else {
            Err(ContentError::Empty)
        }
    }

    /// Converts a marker of the current document. The columns of the parser count from zero.
    pub fn location(&self, marker: &Marker) -> Location {
        Location {
            line: marker.line(),
            column: marker.col() + 1,
            document: Some(self.documents.len() + 1),
        }
    }

    /// Returns the name of the anchor or alias at `marker`.
    pub fn name_at(&mut self, marker: Marker) -> Option<&'a str> {
        self.anchors.name_at(marker)
    }

    /// Validates the next parser event, which starts at `start`.
    pub fn event(&mut self, event: Event<'a>, start: Marker) -> Result<(), ContentError> {
        let at = self.location(&start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.start_node(anchor, start)?;
                if let Some(tag) = mismatched_type(&text, tag.as_deref()) {
                    return Err(ContentError::TagMismatch {
                        at,
                        value: shorten(&text),
                        tag: tag.to_owned(),
                    });
                }
                let empty = style == ScalarStyle::Plain && text.is_empty() && tag.is_none();
                let size = NodeSize {
                    nodes: 1,
                    text: text.len(),
                    height: 0,
                };
                let id = self.nodes.scalar(text, style, tag.as_deref());
                self.end_node(CompleteNode { id, size, empty }, anchor, at)
            }
            Event::SequenceStart(anchor, tag) => {
                let children = Children::Sequence(Vec::new());
                self.open_collection(
                    OpenCollection {
                        anchor,
                        tag,
                        at,
                        size: NodeSize::default(),
                        children,
                    },
                    start,
                )
            }
            Event::MappingStart(anchor, tag) => {
                let children = Children::Mapping {
                    pairs: Vec::new(),
                    pending_key: None,
                    key_locations: HashMap::new(),
                };
                self.open_collection(
                    OpenCollection {
                        anchor,
                        tag,
                        at,
                        size: NodeSize::default(),
                        children,
                    },
                    start,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close_collection(),
            Event::Alias(anchor) => self.alias(anchor, start),
            Event::DocumentStart(_) => {
                self.anchors.start_document();
                self.anchored = HashMap::new();
                Ok(())
            }
            Event::DocumentEnd => {
                self.end_document();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end_document(&mut self) {
        if let Some(root) = self.root.take() {
            self.documents.push(root.size.nodes);
            self.has_content |= !root.empty;
        }
    }

    /// Counts a node, and records its anchor if `anchor` is not 0.
    fn start_node(&mut self, anchor: usize, start: Marker) -> Result<(), ContentError> {
        let at = self.location(&start);
        self.node_count += 1;
        if self.node_count > MAX_NODES {
            return Err(ContentError::TooManyNodes {
                at,
                limit: MAX_NODES,
            });
        }
        if anchor > 0 {
            self.anchors.define(start, at)
        } else {
            Ok(())
        }
    }

    fn open_collection(
        &mut self,
        collection: OpenCollection<'a>,
        start: Marker,
    ) -> Result<(), ContentError> {
        self.start_node(collection.anchor, start)?;
        if self.open.len() == MAX_DEPTH {
            return Err(ContentError::TooDeep {
                at: collection.at,
                limit: MAX_DEPTH,
            });
        }
        self.open.push(collection);
        Ok(())
    }

    fn close_collection(&mut self) -> Result<(), ContentError> {
        let Some(OpenCollection {
            anchor,
            tag,
            at,
            size,
            children,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let id = match children {
            Children::Sequence(items) => self.nodes.sequence(items, tag.as_deref()),
            Children::Mapping { pairs, .. } => self.nodes.mapping(pairs, tag.as_deref()),
        };
        let size = NodeSize {
            nodes: size.nodes + 1,
            text: size.text,
            height: size.height + 1,
        };
        self.end_node(
            CompleteNode {
                id,
                size,
                empty: false,
            },
            anchor,
            at,
        )
    }

    fn alias(&mut self, anchor: usize, start: Marker) -> Result<(), ContentError> {
        let at = self.location(&start);
        let Some(node) = self.anchored.get(&anchor).copied() else {
            let alias = self
                .anchors
                .name_at(start)
                .map_or_else(String::new, shorten);
            // The parser also knows the anchors of earlier documents.
            let recursive = self.open.iter().any(|open| open.anchor == anchor);
            return Err(if recursive {
                ContentError::RecursiveAlias { at, alias }
            } else {
                ContentError::UndefinedAlias { at, alias }
            });
        };
        self.alias_expansion += node.size.nodes + node.size.text;
        if self.alias_expansion > MAX_ALIAS_EXPANSION {
            let (limit, actual) = (MAX_ALIAS_EXPANSION, self.alias_expansion);
            return Err(ContentError::AliasExpansion { at, limit, actual });
        }
        if self.open.len() + node.size.height > MAX_DEPTH {
            return Err(ContentError::TooDeep {
                at,
                limit: MAX_DEPTH,
            });
        }
        self.end_node(node, 0, at)
    }

    /// Adds a complete node, which starts at `at`, to the collection around it.
    fn end_node(
        &mut self,
        node: CompleteNode,
        anchor: usize,
        at: Location,
    ) -> Result<(), ContentError> {
        if anchor > 0 {
            self.anchored.insert(anchor, node);
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.size.nodes += node.size.nodes;
        parent.size.text += node.size.text;
        parent.size.height = parent.size.height.max(node.size.height);
        match &mut parent.children {
            Children::Sequence(items) => items.push(node.id),
            Children::Mapping {
                pairs,
                pending_key,
                key_locations,
            } => match pending_key.take() {
                Some(key) => pairs.push((key, node.id)),
                None => {
                    if let Some(&first) = key_locations.get(&node.id) {
                        let key = self.nodes.describe(node.id);
                        return Err(ContentError::DuplicateKey { at, first, key });
                    }
                    key_locations.insert(node.id, at);
                    *pending_key = Some(node.id);
                }
            },
        }
        Ok(())
    }
}
