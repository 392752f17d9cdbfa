//! Validation of a YAML text in one pass over its parser events.

use saphyr_parser::{Event, Parser, ScanError};

use super::content_error::{ContentError, Location, MAX_DIRECTIVE_CHARS, MAX_DIRECTIVES, shorten};
use super::yaml_input::{BoundedInput, MAX_LOOKAHEAD, TokenCounter};
use super::yaml_validator::{MAX_DEPTH, Validator, location};

/// Validates `text` and returns its number of nodes, with aliases expanded.
pub fn validate(text: &str) -> Result<usize, ContentError> {
    limit_directives(text)?;
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
/// The parser has no error kinds, so special cases are recognized by their texts. Tests check these texts.
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
        // The parser also refuses valid values, such as `a:\t1`.
        "':' must be followed by a valid YAML whitespace" => ContentError::TabAfterColon { at },
        problem => ContentError::Syntax {
            at,
            problem: problem.to_owned(),
        },
    }
}

/// Limits the directives before the document.
///
/// A parser compares each `%TAG` with those before it, and repeats its prefix in every node with the tag.
fn limit_directives(text: &str) -> Result<(), ContentError> {
    let lines = text
        .split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    let mut directives = 0;
    for (index, line) in lines.enumerate() {
        let content = line.trim_start_matches([' ', '\t']);
        if line.starts_with('%') {
            directives += 1;
            if directives > MAX_DIRECTIVES || line.chars().count() > MAX_DIRECTIVE_CHARS {
                let at = Location {
                    line: index + 1,
                    column: 1,
                };
                return Err(ContentError::Directives { at });
            }
        } else if !content.is_empty() && !content.starts_with('#') && !line.starts_with("...") {
            break;
        }
    }
    Ok(())
}
