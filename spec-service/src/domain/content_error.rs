//! Why a text is not the content of a specification.

use std::fmt;

use thiserror::Error;

/// A place in a text. Both count from one; the column counts Unicode scalar values, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The line. Lines end at LF, CR LF or CR.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The rule that a text breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContentError {
    /// There is no document, or one with nothing in it.
    #[error("the content holds no YAML document: it is empty, or comments only")]
    Empty,

    /// The text has more bytes than allowed.
    #[error("the content has {actual} bytes, and at most {limit} are allowed")]
    TooLong {
        /// The most bytes allowed.
        limit: usize,
        /// The bytes there are.
        actual: usize,
    },

    /// The bytes are not UTF-8.
    #[error("the content is not UTF-8: {at} (byte {offset}) does not start a character")]
    NotUtf8 {
        /// Where the first bad byte stands.
        at: Place,
        /// The bytes before it.
        offset: usize,
    },

    /// A character that YAML does not allow unescaped, or that YAML readers do not agree on.
    #[error("{at}: the character U+{:04X} may stand in quotes only, escaped", u32::from(*.character))]
    Unprintable {
        /// Where it stands.
        at: Place,
        /// The character.
        character: char,
    },

    /// A directive other than `%YAML`.
    #[error("{at}: the only directive allowed is %YAML, not `{directive}`")]
    Directive {
        /// Where it stands.
        at: Place,
        /// Its line, shortened.
        directive: String,
    },

    /// The text is not YAML.
    #[error("{at}: {problem}")]
    Syntax {
        /// Where reading stopped.
        at: Place,
        /// What the reader met.
        problem: String,
    },

    /// A second document starts.
    #[error("{at}: a second document starts here, and the content is exactly one")]
    SeveralDocuments {
        /// Where the second one starts.
        at: Place,
    },

    /// A mapping has the same key twice.
    #[error("{at}: the key `{key}` is already used at {first}")]
    DuplicateKey {
        /// Where the key stands again.
        at: Place,
        /// Where it stood first.
        first: Place,
        /// The key, shortened; `[…]` or `{…}` if it is a collection.
        key: String,
    },

    /// An anchor is defined twice.
    #[error("{at}: the anchor `&{anchor}` is already defined at {first}")]
    DuplicateAnchor {
        /// Where the anchor stands again.
        at: Place,
        /// Where it stood first.
        first: Place,
        /// Its name, shortened.
        anchor: String,
    },

    /// An anchor's name has characters on which YAML readers do not agree.
    #[error("{at}: an anchor is named with ASCII letters, digits, `-` and `_`, not `&{anchor}`")]
    AnchorName {
        /// Where the anchored node starts.
        at: Place,
        /// The name, shortened.
        anchor: String,
    },

    /// An alias names no anchor before it.
    #[error("{at}: the alias `*{alias}` names no anchor defined before it")]
    UndefinedAlias {
        /// Where the alias stands.
        at: Place,
        /// Its name, shortened.
        alias: String,
    },

    /// An alias stands inside the node that it names.
    #[error("{at}: the alias `*{alias}` stands inside the node that it names")]
    RecursiveAlias {
        /// Where the alias stands.
        at: Place,
        /// Its name, shortened.
        alias: String,
    },

    /// Aliases stand for too much.
    #[error(
        "{at}: up to here aliases stand for {actual} nodes and bytes of text, and at most {limit} are allowed"
    )]
    AliasExpansion {
        /// The alias that is one too many.
        at: Place,
        /// The most that all aliases together may stand for: nodes plus bytes of scalar text.
        limit: usize,
        /// What they stand for up to and with this one.
        actual: usize,
    },

    /// Collections are nested too deeply, aliases counted as what they stand for.
    #[error("{at}: collections are nested more than {limit} deep")]
    TooDeep {
        /// Where the limit is passed.
        at: Place,
        /// The deepest nesting allowed.
        limit: usize,
    },

    /// The document has too many nodes.
    #[error("{at}: the document has more than {limit} nodes (keys, values and list items)")]
    TooManyNodes {
        /// The first node too many.
        at: Place,
        /// The most nodes allowed.
        limit: usize,
    },

    /// Too much has to be read to know what one node is, as in a huge `[…]` or `{…}`.
    #[error("{at}: more than {limit} tokens belong to one flow collection; write it as a block")]
    FlowTooLong {
        /// Where reading stopped.
        at: Place,
        /// The most tokens allowed.
        limit: usize,
    },

    /// Two YAML readers see different documents in the text.
    #[error(
        "the content is ambiguous: one YAML reader finds {expected} nodes in it, another {actual}"
    )]
    Ambiguous {
        /// The nodes that a YAML 1.2 reader finds.
        expected: usize,
        /// The nodes that a YAML 1.1 reader finds; one more than `expected` if it stopped there.
        actual: usize,
    },
}

impl ContentError {
    /// The name of the rule for programs. It stays when the message is reworded.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "yaml_empty",
            Self::TooLong { .. } => "content_too_long",
            Self::NotUtf8 { .. } => "content_not_utf8",
            Self::Unprintable { .. } => "yaml_unprintable_character",
            Self::Directive { .. } => "yaml_directive",
            Self::Syntax { .. } => "yaml_syntax",
            Self::SeveralDocuments { .. } => "yaml_several_documents",
            Self::DuplicateKey { .. } => "yaml_duplicate_key",
            Self::DuplicateAnchor { .. } => "yaml_duplicate_anchor",
            Self::AnchorName { .. } => "yaml_anchor_name",
            Self::UndefinedAlias { .. } => "yaml_undefined_alias",
            Self::RecursiveAlias { .. } => "yaml_recursive_alias",
            Self::AliasExpansion { .. } => "yaml_alias_expansion",
            Self::TooDeep { .. } => "yaml_too_deep",
            Self::TooManyNodes { .. } => "yaml_too_many_nodes",
            Self::FlowTooLong { .. } => "yaml_flow_too_long",
            Self::Ambiguous { .. } => "yaml_ambiguous",
        }
    }

    /// The place that is at fault, if it is one place.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Empty | Self::TooLong { .. } | Self::Ambiguous { .. } => None,
            Self::NotUtf8 { at, .. }
            | Self::Unprintable { at, .. }
            | Self::Directive { at, .. }
            | Self::Syntax { at, .. }
            | Self::SeveralDocuments { at }
            | Self::DuplicateKey { at, .. }
            | Self::DuplicateAnchor { at, .. }
            | Self::AnchorName { at, .. }
            | Self::UndefinedAlias { at, .. }
            | Self::RecursiveAlias { at, .. }
            | Self::AliasExpansion { at, .. }
            | Self::TooDeep { at, .. }
            | Self::TooManyNodes { at, .. }
            | Self::FlowTooLong { at, .. } => Some(*at),
        }
    }

    /// The line at fault, from one.
    pub fn line(&self) -> Option<usize> {
        self.place().map(|place| place.line)
    }

    /// The column at fault, from one, in Unicode scalar values.
    pub fn column(&self) -> Option<usize> {
        self.place().map(|place| place.column)
    }
}

/// At most 64 characters of `text`, with an ellipsis where it was cut, line breaks escaped.
pub(super) fn shorten(text: &str) -> String {
    shorten_to(64, text)
}

/// At most `most` characters of `text`, with an ellipsis where it was cut, line breaks escaped.
pub(super) fn shorten_to(most: usize, text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(most).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short.replace('\n', "\\n").replace('\r', "\\r")
}
