//! The names of anchors and aliases, which the parser replaces by numbers.

use std::collections::HashMap;

use saphyr_parser::Marker;

use super::content_error::{ContentError, Place, shorten};

/// Reads names out of the text, front to back, and keeps where each anchor was defined.
pub(super) struct Names<'a> {
    rest: &'a str,
    index: usize,
    defined: HashMap<&'a str, Place>,
}

impl<'a> Names<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            index: 0,
            defined: HashMap::new(),
        }
    }

    /// Takes note of the anchor of the node that starts at `start`.
    ///
    /// Redefinition is legal YAML, but readers take an alias after it for different nodes. So are
    /// other characters than those allowed here, but readers disagree on where such a name ends.
    pub(super) fn define(&mut self, start: Marker, at: Place) -> Result<(), ContentError> {
        let name = self.at(start).unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(plain) {
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

    /// The name after the `&` or `*` at `marker`, or after the tag at `marker` if one leads.
    pub(super) fn at(&mut self, marker: Marker) -> Option<&'a str> {
        self.seek(marker.index());
        let mut text = self.rest;
        if text.starts_with('!') {
            text = text.trim_start_matches(|c: char| !c.is_ascii_whitespace());
        }
        // A tag and its anchor may stand on different lines, with comments in between.
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

    /// Moves on to the character with this index. Nodes come in the order of the text.
    fn seek(&mut self, index: usize) {
        let mut chars = self.rest.chars();
        while self.index < index && chars.next().is_some() {
            self.index += 1;
        }
        self.rest = chars.as_str();
    }
}
