//! One pass over a YAML text's events that rejects what is dangerous or ambiguous.

use saphyr_parser::{Event, Marker, Parser, ScanError};

use super::content_error::{ContentError, Place, shorten};
use super::yaml_guard::{Guard, MAX_DEPTH};
use super::yaml_input::{BoundedInput, MAX_LOOKAHEAD, Meter};

/// Inspects `text` and returns the number of its nodes, each alias counted as what it stands for.
pub(super) fn inspect(text: &str) -> Result<usize, ContentError> {
    refuse_directives(text)?;
    let meter = Meter::default();
    let parser = Parser::new(BoundedInput::new(text, &meter));
    let mut guard = Guard::new(text);
    let mut documents = 0;
    for next in parser {
        if meter.cut() {
            let at = next.map_or_else(
                |error| place(error.marker()),
                |(_, span)| place(&span.start),
            );
            return Err(ContentError::FlowTooLong {
                at,
                limit: MAX_LOOKAHEAD,
            });
        }
        meter.event();
        let (event, span) = next.map_err(|error| rejection(&error, &mut guard))?;
        match event {
            Event::DocumentStart(_) if documents > 0 => {
                return Err(ContentError::SeveralDocuments {
                    at: place(&span.start),
                });
            }
            Event::DocumentStart(_) => documents += 1,
            event => guard.event(event, span.start)?,
        }
    }
    guard.finish().ok_or(ContentError::Empty)
}

pub(super) fn place(marker: &Marker) -> Place {
    Place {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

/// The parser's error in our words. Its two special cases are known by their texts, which the
/// tests hold.
fn rejection(error: &ScanError, guard: &mut Guard<'_>) -> ContentError {
    let at = place(error.marker());
    match error.info() {
        "while parsing node, found unknown anchor" => {
            let alias = guard
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

/// `%TAG` costs one reader quadratic time and gives a specification nothing.
fn refuse_directives(text: &str) -> Result<(), ContentError> {
    let lines = text
        .split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'));
    for (index, line) in lines.enumerate() {
        if line.starts_with('%') {
            if line.split([' ', '\t']).next() == Some("%YAML") {
                continue;
            }
            let at = Place {
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
