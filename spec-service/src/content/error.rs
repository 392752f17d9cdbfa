//! [`ContentError`]: the reasons why a text is rejected as content.

use std::fmt;

use thiserror::Error;

/// The maximum number of directives.
pub const MAX_DIRECTIVES: usize = 16;

/// The maximum length of a directive, in characters.
pub const MAX_DIRECTIVE_CHARS: usize = 256;

/// A location in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    /// The line, from 1. Lines end with LF, CR LF or CR.
    pub line: usize,
    /// The column, from 1, in Unicode scalar values.
    pub column: usize,
    /// The number of the YAML document, from 1, or `None` if the text was not read as YAML.
    pub document: Option<usize>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(document) = self.document.filter(|document| *document > 1) {
            write!(f, "document {document}, ")?;
        }
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The error of [`Content::parse`](super::Content::parse).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The text has no document, or only empty ones.
    #[error("no YAML document: the content is empty or has only comments and markers")]
    Empty,

    /// The text has too many bytes.
    #[error("content too long: {actual} bytes; the limit is {limit}")]
    TooLong {
        /// The maximum number of bytes.
        limit: usize,
        /// The number of bytes.
        actual: usize,
    },

    /// The bytes are not UTF-8.
    #[error("{at}: invalid UTF-8 at byte offset {offset}; the content must be UTF-8")]
    NotUtf8 {
        /// The location of the first invalid byte.
        at: Location,
        /// The number of bytes before it.
        offset: usize,
    },

    /// YAML does not allow the character unescaped, or YAML parsers disagree on its meaning.
    #[error(
        "{at}: character U+{:04X} is not allowed; write an escape sequence in double quotes",
        u32::from(*.character)
    )]
    Unprintable {
        /// The location of the character.
        at: Location,
        /// The character.
        character: char,
    },

    /// The text has too many directives, or a directive is too long.
    #[error(
        "{at}: too many or too long directives; the limits are {MAX_DIRECTIVES} directives of {MAX_DIRECTIVE_CHARS} characters"
    )]
    Directives {
        /// The location of the directive that exceeds a limit.
        at: Location,
    },

    /// The value of a scalar does not have the type of its tag.
    #[error(
        "{at}: `{value}` does not have the type of its tag `!!{tag}`; change the value or the tag"
    )]
    TagMismatch {
        /// The location of the scalar.
        at: Location,
        /// The value, shortened.
        value: String,
        /// The tag in the core schema: `null`, `bool`, `int` or `float`.
        tag: String,
    },

    /// The text is not YAML.
    #[error("{at}: {problem}")]
    Syntax {
        /// The location where the parser stopped.
        at: Location,
        /// The message of the parser.
        problem: String,
    },

    /// A tab separates a key from its value, which YAML allows only for some values.
    #[error("{at}: tab after `:`; write a space")]
    TabAfterColon {
        /// The location after the tab.
        at: Location,
    },

    /// An escape sequence is not a character.
    #[error(
        "{at}: `{escape}` is not a character; write the character itself, or `\\U` and 8 hexadecimal digits"
    )]
    InvalidEscape {
        /// The start of the scalar with the escape sequence.
        at: Location,
        /// The escape sequence, for example one half of a surrogate pair of JSON.
        escape: String,
    },

    /// A mapping has the same key twice.
    #[error("{at}: duplicate key `{key}`; first used at line {}, column {}", .first.line, .first.column)]
    DuplicateKey {
        /// The location of the second use.
        at: Location,
        /// The location of the first use.
        first: Location,
        /// The key, shortened, or `[…]` or `{…}` for a collection.
        key: String,
    },

    /// Two different keys of a mapping have the same text, so that JSON cannot express the mapping.
    #[error("{at}: key `{key}` has the same text as another key; JSON cannot express both")]
    KeyCollision {
        /// The location of the second key.
        at: Location,
        /// The text of the key, shortened.
        key: String,
    },

    /// An anchor is defined twice.
    #[error("{at}: duplicate anchor `&{anchor}`; first defined at line {}, column {}", .first.line, .first.column)]
    DuplicateAnchor {
        /// The location of the second definition.
        at: Location,
        /// The location of the first definition.
        first: Location,
        /// The name of the anchor, shortened.
        anchor: String,
    },

    /// An anchor name has a character at which some YAML parsers end the name.
    #[error("{at}: invalid anchor name `&{anchor}`; a name must not contain `:` or `?`")]
    AnchorName {
        /// The start of the anchored node.
        at: Location,
        /// The name of the anchor, shortened.
        anchor: String,
    },

    /// An alias has no anchor before it.
    #[error("{at}: undefined alias `*{alias}`; its anchor must be defined before it")]
    UndefinedAlias {
        /// The location of the alias.
        at: Location,
        /// The name of the alias, shortened.
        alias: String,
    },

    /// An alias is inside the node that it refers to.
    #[error("{at}: recursive alias `*{alias}`; an alias cannot be inside its own node")]
    RecursiveAlias {
        /// The location of the alias.
        at: Location,
        /// The name of the alias, shortened.
        alias: String,
    },

    /// The aliases expand to too much.
    #[error("{at}: aliases expand to {actual} nodes and bytes of text; the limit is {limit}")]
    AliasExpansion {
        /// The location of the alias that exceeds the limit.
        at: Location,
        /// The maximum size of all expanded aliases: nodes plus bytes of scalar text.
        limit: usize,
        /// The size of all expanded aliases, this one included.
        actual: usize,
    },

    /// Collections are nested too deeply, with aliases expanded.
    #[error("{at}: collections are nested too deeply; the limit is {limit} levels")]
    TooDeep {
        /// The location where the limit is exceeded.
        at: Location,
        /// The maximum nesting depth.
        limit: usize,
    },

    /// The text has too many nodes, in all documents.
    #[error("{at}: too many nodes (keys, values and list items); the limit is {limit}")]
    TooManyNodes {
        /// The location of the node that exceeds the limit.
        at: Location,
        /// The maximum number of nodes.
        limit: usize,
    },

    /// The parser needs too much lookahead, for example for a huge `[…]` or `{…}`.
    #[error("{at}: flow collection too long; the limit is {limit} tokens, use block style")]
    FlowTooLong {
        /// The location where the parser stopped.
        at: Location,
        /// The maximum number of tokens.
        limit: usize,
    },

    /// Two YAML parsers find different documents in the text.
    #[error(
        "ambiguous content: YAML parsers disagree on the number of documents ({expected} in YAML 1.2, {actual} in YAML 1.1)"
    )]
    AmbiguousDocuments {
        /// The number of documents that a YAML 1.2 parser finds.
        expected: usize,
        /// The number of documents that a YAML 1.1 parser finds, or `expected` + 1 if it finds more.
        actual: usize,
    },

    /// Two YAML parsers find different nodes in a document.
    #[error(
        "ambiguous content: YAML parsers disagree on the number of nodes of document {document} ({expected} in YAML 1.2, {actual} in YAML 1.1)"
    )]
    Ambiguous {
        /// The number of the document, from 1.
        document: usize,
        /// The number of nodes that a YAML 1.2 parser finds.
        expected: usize,
        /// The number of nodes that a YAML 1.1 parser finds, or `expected` + 1 if it finds more.
        actual: usize,
    },
}

impl ContentError {
    /// Returns the stable error code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "yaml_empty",
            Self::TooLong { .. } => "content_too_long",
            Self::NotUtf8 { .. } => "content_not_utf8",
            Self::Unprintable { .. } => "yaml_unprintable_character",
            Self::Directives { .. } => "yaml_directives",
            Self::TagMismatch { .. } => "yaml_tag_mismatch",
            Self::Syntax { .. } => "yaml_syntax",
            Self::TabAfterColon { .. } => "yaml_tab_after_colon",
            Self::InvalidEscape { .. } => "yaml_invalid_escape",
            Self::DuplicateKey { .. } => "yaml_duplicate_key",
            Self::KeyCollision { .. } => "yaml_key_collision",
            Self::DuplicateAnchor { .. } => "yaml_duplicate_anchor",
            Self::AnchorName { .. } => "yaml_anchor_name",
            Self::UndefinedAlias { .. } => "yaml_undefined_alias",
            Self::RecursiveAlias { .. } => "yaml_recursive_alias",
            Self::AliasExpansion { .. } => "yaml_alias_expansion",
            Self::TooDeep { .. } => "yaml_too_deep",
            Self::TooManyNodes { .. } => "yaml_too_many_nodes",
            Self::FlowTooLong { .. } => "yaml_flow_too_long",
            Self::AmbiguousDocuments { .. } | Self::Ambiguous { .. } => "yaml_ambiguous",
        }
    }

    /// Returns the location of the error, if it has one.
    pub fn location(&self) -> Option<Location> {
        match self {
            Self::Empty
            | Self::TooLong { .. }
            | Self::AmbiguousDocuments { .. }
            | Self::Ambiguous { .. } => None,
            Self::NotUtf8 { at, .. }
            | Self::Unprintable { at, .. }
            | Self::Directives { at }
            | Self::TagMismatch { at, .. }
            | Self::Syntax { at, .. }
            | Self::TabAfterColon { at }
            | Self::InvalidEscape { at, .. }
            | Self::DuplicateKey { at, .. }
            | Self::KeyCollision { at, .. }
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

    /// Returns the line of the error, from 1.
    pub fn line(&self) -> Option<usize> {
        self.location().map(|location| location.line)
    }

    /// Returns the number of the document with the error, from 1.
    pub fn document(&self) -> Option<usize> {
        match self {
            Self::Ambiguous { document, .. } => Some(*document),
            _ => self.location()?.document,
        }
    }

    /// Returns the column of the error, from 1, in Unicode scalar values.
    pub fn column(&self) -> Option<usize> {
        self.location().map(|location| location.column)
    }
}

/// Shortens `text` to 64 characters, as [`shorten_to`] does.
pub fn shorten(text: &str) -> String {
    shorten_to(64, text)
}

/// Shortens `text` to `limit` characters and an ellipsis, and escapes line breaks.
pub fn shorten_to(limit: usize, text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(limit).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short.replace('\n', "\\n").replace('\r', "\\r")
}
