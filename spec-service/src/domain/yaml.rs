//! Validation of a YAML text in one pass over its parser events.

use saphyr_parser::{Event, Parser, ScanError};

use super::content_error::{ContentError, Location, shorten};
use super::yaml_input::{BoundedInput, MAX_LOOKAHEAD, TokenCounter};
use super::yaml_validator::{MAX_DEPTH, Validator, location};

/// Validates `text` and returns its number of nodes, with aliases expanded.
pub fn validate(text: &str) -> Result<usize, ContentError> {
    reject_directives(text)?;
    let tokens = TokenCounter::default();
    let parser = Parser::new(BoundedInput::new(text, &tokens));
    let mut validator = Validator::new(text);
    let mut documents = 0;
    for next in parser {
        if tokens.limit_exceeded() {
            let at = next.map_or_else(
                |error| location(error.marker()),
                |(_, span)| location(&span.start),
            );
            return Err(ContentError::FlowTooLong {
                at,
                limit: MAX_LOOKAHEAD,
            });
        }
        tokens.reset();
        let (event, span) = next.map_err(|error| scan_error(&error, &mut validator))?;
        match event {
            Event::DocumentStart(_) if documents > 0 => {
                return Err(ContentError::SeveralDocuments {
                    at: location(&span.start),
                });
            }
            Event::DocumentStart(_) => documents += 1,
            event => validator.event(event, span.start)?,
        }
    }
    validator.finish().ok_or(ContentError::Empty)
}

/// Converts the parser's error.
///
/// The parser has no error kinds, so two special cases are recognized by their texts. Tests check these texts.
fn scan_error(error: &ScanError, validator: &mut Validator<'_>) -> ContentError {
    let at = location(error.marker());
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
        problem => ContentError::Syntax {
            at,
            problem: problem.to_owned(),
        },
    }
}

/// Rejects directives other than `%YAML`.
///
/// A specification does not need `%TAG`, and one of the two parsers takes quadratic time for it.
fn reject_directives(text: &str) -> Result<(), ContentError> {
    let lines = text
        .split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    for (index, line) in lines.enumerate() {
        if line.starts_with('%') {
            if line.split([' ', '\t']).next() == Some("%YAML") {
                continue;
            }
            let at = Location {
                line: index + 1,
                column: 1,
            };
            return Err(ContentError::Directive {
                at,
                directive: shorten(line),
            });
        }
        let content = line.trim_start_matches([' ', '\t']);
        if !content.is_empty() && !content.starts_with('#') {
            break;
        }
    }
    Ok(())
}
