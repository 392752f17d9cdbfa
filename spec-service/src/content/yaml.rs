//! Validation of a YAML text in one pass over its parser events.

use saphyr_parser::{Event, Parser, ScanError};

use super::error::{ContentError, Location, MAX_DIRECTIVE_CHARS, MAX_DIRECTIVES, shorten};
use super::tree::{TreeBuilder, TreeNode};
use super::yaml_input::{BoundedInput, MAX_LOOKAHEAD, TokenCounter};
use super::yaml_validator::{MAX_DEPTH, YamlValidator};

/// Validates `text` and returns the number of nodes of each document, with aliases expanded.
pub fn validate(text: &str) -> Result<Vec<usize>, ContentError> {
    walk(text, |_, _| Ok(()))
}

/// Validates `text` and returns the trees of its documents.
pub fn trees(text: &str) -> Result<Vec<TreeNode>, ContentError> {
    let mut builder = TreeBuilder::default();
    walk(text, |event, at| builder.event(event, at))?;
    Ok(builder.finish())
}

/// Validates `text` and calls `visit` with each valid event of the parser and its location.
fn walk(
    text: &str,
    mut visit: impl FnMut(&Event<'_>, Location) -> Result<(), ContentError>,
) -> Result<Vec<usize>, ContentError> {
    limit_directives(text)?;
    let tokens = TokenCounter::default();
    let parser = Parser::new(BoundedInput::new(text, &tokens));
    let mut validator = YamlValidator::new(text);
    for next in parser {
        if tokens.limit_exceeded() {
            let marker = match &next {
                Ok((_, span)) => span.start,
                Err(error) => *error.marker(),
            };
            return Err(ContentError::FlowTooLong {
                at: validator.location(&marker),
                limit: MAX_LOOKAHEAD,
            });
        }
        tokens.reset();
        let (event, span) = next.map_err(|error| scan_error(&error, text, &mut validator))?;
        let at = validator.location(&span.start);
        validator.event(event.clone(), span.start)?;
        visit(&event, at)?;
    }
    validator.finish()
}

/// Converts the parser's error.
///
/// The parser has no error kinds, so special cases are recognized by their texts. Tests check these texts.
fn scan_error(error: &ScanError, text: &str, validator: &mut YamlValidator<'_>) -> ContentError {
    let at = validator.location(error.marker());
    match error.info() {
        "while parsing node, found unknown anchor" => {
            let alias = validator
                .name_at(*error.marker())
                .map_or_else(String::new, shorten);
            ContentError::UndefinedAlias { at, alias }
        }
        "recursion limit exceeded" => ContentError::TooDeep {
            at,
            limit: MAX_DEPTH,
        },
        // The parser also refuses valid values, such as `a:\t1`.
        "':' must be followed by a valid YAML whitespace" => ContentError::TabAfterColon { at },
        "while parsing a quoted scalar, found invalid Unicode character escape code" => {
            ContentError::InvalidEscape {
                at,
                escape: invalid_escape(text, error.marker().index()),
            }
        }
        problem => ContentError::Syntax {
            at,
            problem: problem.to_owned(),
        },
    }
}

/// Returns the first escape sequence that is not a character, from the character `start` on.
fn invalid_escape(text: &str, start: usize) -> String {
    let mut rest = text.chars().skip(start);
    while let Some(c) = rest.next() {
        let length = match (c, rest.clone().next()) {
            ('\\', Some('u')) => 4,
            ('\\', Some('U')) => 8,
            ('\\', _) => {
                rest.next();
                continue;
            }
            _ => continue,
        };
        let digits: String = rest.clone().skip(1).take(length).collect();
        if u32::from_str_radix(&digits, 16).is_ok_and(|code| char::from_u32(code).is_none()) {
            let escape = rest.take(1 + length);
            return std::iter::once(c).chain(escape).collect();
        }
    }
    String::new()
}

/// Limits the directives in the text.
///
/// A parser compares each `%TAG` with those before it, and repeats its prefix in every node with the tag. Directives are
/// possible at the start of the text and after a line `...`, which always ends a document.
fn limit_directives(text: &str) -> Result<(), ContentError> {
    let lines = text
        .split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    let (mut directives, mut between_documents) = (0, true);
    for (index, line) in lines.enumerate() {
        let content = line.trim_start_matches([' ', '\t']);
        let after_marker = line.strip_prefix("...");
        if after_marker.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
            between_documents = true;
        } else if between_documents && line.starts_with('%') {
            directives += 1;
            if directives > MAX_DIRECTIVES || line.chars().count() > MAX_DIRECTIVE_CHARS {
                let at = Location {
                    line: index + 1,
                    column: 1,
                    document: None,
                };
                return Err(ContentError::Directives { at });
            }
        } else if !content.is_empty() && !content.starts_with('#') {
            between_documents = false;
        }
    }
    Ok(())
}
