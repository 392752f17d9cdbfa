//! The names of anchors and aliases, which the parser replaces with numbers.

use std::collections::HashMap;

use saphyr_parser::Marker;

use super::error::{ContentError, Location, shorten};

/// A reader of anchor names in document order, with the location of each definition.
pub struct AnchorNames<'a> {
    rest: &'a str,
    index: usize,
    defined: HashMap<&'a str, Location>,
}

impl<'a> AnchorNames<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            index: 0,
            defined: HashMap::new(),
        }
    }

    /// Records the anchor of the node that starts at `start`.
    ///
    /// YAML allows an anchor to be redefined, but parsers resolve a later alias to different nodes. YAML also
    /// allows `:` and `?` in a name, but parsers disagree on whether the name ends before them. Both are rejected.
    pub fn define(&mut self, start: Marker, at: Location) -> Result<(), ContentError> {
        let name = self.name_at(start).unwrap_or_default();
        if name.is_empty() || name.contains([':', '?']) {
            return Err(ContentError::AnchorName {
                at,
                anchor: shorten(name),
            });
        }
        match self.defined.insert(name, at) {
            None => Ok(()),
            Some(first) => Err(ContentError::DuplicateAnchor {
                at,
                first,
                anchor: shorten(name),
            }),
        }
    }

    /// Forgets the anchors of the document before, because an alias cannot refer to another document.
    pub fn start_document(&mut self) {
        // `clear` takes time in proportion to the capacity, in each of many documents.
        self.defined = HashMap::new();
    }

    /// Returns the name after the `&` or `*` at `marker`, skipping a tag before it.
    pub fn name_at(&mut self, marker: Marker) -> Option<&'a str> {
        self.seek(marker.index());
        let mut text = self.rest;
        if text.starts_with('!') {
            text = text.trim_start_matches(|c: char| !c.is_ascii_whitespace());
        }
        // A tag and its anchor can be on different lines, with comments in between.
        loop {
            text = text.trim_start();
            if !text.starts_with('#') {
                break;
            }
            text = text.trim_start_matches(|c| c != '\n' && c != '\r');
        }
        let name = text.strip_prefix(['&', '*'])?;
        let end = name.find(|c: char| c.is_ascii_whitespace() || ",[]{}".contains(c));
        Some(&name[..end.unwrap_or(name.len())])
    }

    /// Advances to the character with this index. Nodes arrive in document order.
    fn seek(&mut self, index: usize) {
        let mut chars = self.rest.chars();
        while self.index < index && chars.next().is_some() {
            self.index += 1;
        }
        self.rest = chars.as_str();
    }
}
