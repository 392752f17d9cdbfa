//! The state of the pass: collections still open, anchors, and the budgets.
//!
//! Nothing is expanded. An alias adds the size of what it names, known from the first reading, so
//! a text that stands for a billion nodes costs no more than the bytes that it is written in.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, ScalarStyle, Tag};

use super::content_error::{ContentError, Place, shorten};
use super::yaml::place;
use super::yaml_names::Names;
use super::yaml_node::{NodeId, Values};

/// The deepest nesting of collections.
pub(super) const MAX_DEPTH: usize = 64;
/// The most nodes as written.
const MAX_NODES: usize = 50_000;
/// The most that all aliases may stand for: nodes plus bytes of scalar text.
const MAX_ALIASED: usize = 50_000;

pub(super) struct Guard<'a> {
    names: Names<'a>,
    values: Values,
    open: Vec<Open<'a>>,
    /// Anchored nodes by the parser's number. One that is still open is missing.
    anchored: HashMap<usize, Node>,
    written: usize,
    aliased: usize,
    root: Option<Node>,
}

/// A node read to its end.
#[derive(Debug, Clone, Copy)]
struct Node {
    id: NodeId,
    size: Size,
    /// Nothing was written for it.
    missing: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text: usize,
    height: usize,
}

/// A collection whose end has not come.
struct Open<'a> {
    anchor: usize,
    tag: Option<Cow<'a, Tag>>,
    at: Place,
    size: Size,
    parts: Parts,
}

enum Parts {
    List(Vec<NodeId>),
    Map {
        pairs: Vec<(NodeId, NodeId)>,
        key: Option<NodeId>,
        first: HashMap<NodeId, Place>,
    },
}

impl<'a> Guard<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            names: Names::new(text),
            values: Values::default(),
            open: Vec::new(),
            anchored: HashMap::new(),
            written: 0,
            aliased: 0,
            root: None,
        }
    }

    /// The nodes of the document, if there is one with something in it.
    pub(super) fn finish(self) -> Option<usize> {
        self.root
            .filter(|root| !root.missing)
            .map(|root| root.size.nodes)
    }

    /// The name of the anchor or alias at `marker`.
    pub(super) fn name_at(&mut self, marker: Marker) -> Option<&'a str> {
        self.names.at(marker)
    }

    pub(super) fn event(&mut self, event: Event<'a>, start: Marker) -> Result<(), ContentError> {
        let at = place(&start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.start(anchor, start)?;
                let missing = style == ScalarStyle::Plain && text.is_empty() && tag.is_none();
                let size = Size {
                    nodes: 1,
                    text: text.len(),
                    height: 0,
                };
                let id = self.values.scalar(text, style, tag.as_deref());
                self.end(Node { id, size, missing }, anchor, at)
            }
            Event::SequenceStart(anchor, tag) => {
                let parts = Parts::List(Vec::new());
                self.open(
                    Open {
                        anchor,
                        tag,
                        at,
                        size: Size::default(),
                        parts,
                    },
                    start,
                )
            }
            Event::MappingStart(anchor, tag) => {
                let parts = Parts::Map {
                    pairs: Vec::new(),
                    key: None,
                    first: HashMap::new(),
                };
                self.open(
                    Open {
                        anchor,
                        tag,
                        at,
                        size: Size::default(),
                        parts,
                    },
                    start,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, start),
            _ => Ok(()),
        }
    }

    fn start(&mut self, anchor: usize, start: Marker) -> Result<(), ContentError> {
        let at = place(&start);
        self.written += 1;
        if self.written > MAX_NODES {
            return Err(ContentError::TooManyNodes {
                at,
                limit: MAX_NODES,
            });
        }
        if anchor > 0 {
            self.names.define(start, at)
        } else {
            Ok(())
        }
    }

    fn open(&mut self, open: Open<'a>, start: Marker) -> Result<(), ContentError> {
        self.start(open.anchor, start)?;
        if self.open.len() == MAX_DEPTH {
            return Err(ContentError::TooDeep {
                at: open.at,
                limit: MAX_DEPTH,
            });
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), ContentError> {
        let Some(Open {
            anchor,
            tag,
            at,
            size,
            parts,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let id = match parts {
            Parts::List(items) => self.values.list(items, tag.as_deref()),
            Parts::Map { pairs, .. } => self.values.map(pairs, tag.as_deref()),
        };
        let size = Size {
            nodes: size.nodes + 1,
            text: size.text,
            height: size.height + 1,
        };
        self.end(
            Node {
                id,
                size,
                missing: false,
            },
            anchor,
            at,
        )
    }

    fn alias(&mut self, anchor: usize, start: Marker) -> Result<(), ContentError> {
        let at = place(&start);
        let Some(node) = self.anchored.get(&anchor).copied() else {
            let alias = self.names.at(start).map_or_else(String::new, shorten);
            return Err(ContentError::RecursiveAlias { at, alias });
        };
        self.aliased += node.size.nodes + node.size.text;
        if self.aliased > MAX_ALIASED {
            let (limit, actual) = (MAX_ALIASED, self.aliased);
            return Err(ContentError::AliasExpansion { at, limit, actual });
        }
        if self.open.len() + node.size.height > MAX_DEPTH {
            return Err(ContentError::TooDeep {
                at,
                limit: MAX_DEPTH,
            });
        }
        self.end(node, 0, at)
    }

    /// Puts a node that has ended, and started at `at`, into the collection around it.
    fn end(&mut self, node: Node, anchor: usize, at: Place) -> Result<(), ContentError> {
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
        match &mut parent.parts {
            Parts::List(items) => items.push(node.id),
            Parts::Map { pairs, key, first } => match key.take() {
                Some(key) => pairs.push((key, node.id)),
                None => {
                    if let Some(&first) = first.get(&node.id) {
                        let key = self.values.describe(node.id);
                        return Err(ContentError::DuplicateKey { at, first, key });
                    }
                    first.insert(node.id, at);
                    *key = Some(node.id);
                }
            },
        }
        Ok(())
    }
}
