//! [`highlight`]: the part of a text that shows why a search found it.

use std::ops::Range;

use super::query::TextQuery;
use super::words::{Word, words};

/// The maximum number of characters of a highlighted text.
const MAX_CHARS: usize = 200;

/// The number of characters before the first match, if the text is cut.
const CHARS_BEFORE: usize = 40;

/// A line of a text with matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Highlight {
    /// The number of the line, from 1.
    pub line: u64,
    /// The text of the line, shortened if it is long, in parts that match and parts that do not.
    pub parts: Vec<HighlightPart>,
}

/// A part of a highlighted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HighlightPart {
    /// The text.
    pub text: String,
    /// Whether the query looks for this part.
    pub is_match: bool,
}

/// Returns the line of `text` with the most terms of `query`, or `None` if no term occurs.
///
/// Of several such lines, it is the first.
pub fn highlight(query: &TextQuery, text: &str) -> Option<Highlight> {
    let words: Vec<Word> = words(text).collect();
    let mut matches: Vec<(usize, Range<usize>)> = Vec::new();
    for (term, wanted) in query.required.iter().enumerate() {
        let length = wanted.words.len();
        let places = words.windows(length).filter(|window| {
            let mut pairs = window.iter().zip(&wanted.words).enumerate();
            pairs.all(|(index, (word, wanted_word))| {
                match wanted.is_prefix && index + 1 == length {
                    true => word.text.starts_with(wanted_word.as_str()),
                    false => word.text == *wanted_word,
                }
            })
        });
        matches.extend(places.map(|window| (term, window[0].start..window[length - 1].end)));
    }
    matches.sort_by_key(|(_, range)| range.start);
    let mut best: Option<(usize, Range<usize>)> = None;
    let mut rest = &matches[..];
    while let Some((_, first)) = rest.first() {
        let line = line_around(text, first.start);
        let count = rest
            .iter()
            .take_while(|(_, range)| range.start < line.end)
            .count();
        let (here, later) = rest.split_at(count);
        let mut terms: Vec<usize> = here.iter().map(|(term, _)| *term).collect();
        terms.sort_unstable();
        terms.dedup();
        if best.as_ref().is_none_or(|(most, _)| terms.len() > *most) {
            best = Some((terms.len(), line));
        }
        rest = later;
    }
    let (_, line) = best?;
    let number = text[..line.start].matches('\n').count() as u64 + 1;
    let ranges = matches.into_iter().map(|(_, range)| range);
    let ranges = ranges.filter(|range| line.contains(&range.start));
    let ranges: Vec<Range<usize>> = ranges
        .map(|range| range.start..range.end.min(line.end))
        .collect();
    Some(Highlight {
        line: number,
        parts: parts(text, &line, &ranges),
    })
}

/// Returns the line of `text` that has the byte `at`, without its end.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..]
        .find('\n')
        .map_or(text.len(), |length| at + length);
    // A match never begins in the spaces at the end.
    let end = start + text[start..end].trim_end().len();
    start..end
}

/// Splits a line at the matches, which are in order and can overlap.
fn parts(text: &str, line: &Range<usize>, matches: &[Range<usize>]) -> Vec<HighlightPart> {
    let first = matches.first().map_or(line.start, |first| first.start);
    // Spaces at the start of a line are indentation.
    let indented = line.end - text[line.clone()].trim_start().len();
    let line = indented.min(first)..line.end;
    let shown = shown_part(text, &line, first);
    let mut parts: Vec<HighlightPart> = Vec::new();
    let mut push = |text: &str, is_match| match parts.last_mut() {
        _ if text.is_empty() => {}
        // Two matches without a gap, for example of Han characters, are one part.
        Some(last) if last.is_match == is_match => last.text.push_str(text),
        _ => parts.push(HighlightPart {
            text: text.to_owned(),
            is_match,
        }),
    };
    if shown.start > line.start {
        push("…", false);
    }
    let mut at = shown.start;
    for range in matches {
        let (start, end) = (range.start.max(at), range.end.min(shown.end));
        if start < end {
            push(&text[at..start], false);
            push(&text[start..end], true);
            at = end;
        }
    }
    push(&text[at..shown.end], false);
    if shown.end < line.end {
        push("…", false);
    }
    parts
}

/// Returns the part of a line that is shown, with the match that begins at `first`.
fn shown_part(text: &str, line: &Range<usize>, first: usize) -> Range<usize> {
    let char_starts = |range: Range<usize>| {
        let start = range.start;
        text[range].char_indices().map(move |(at, _)| start + at)
    };
    let mut start = line.start;
    if text[start..line.end].chars().count() > MAX_CHARS {
        let before = char_starts(start..first).rev().nth(CHARS_BEFORE - 1);
        start = before.unwrap_or(start);
    }
    let end = char_starts(start..line.end).nth(MAX_CHARS);
    start..end.unwrap_or(line.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the line number and the text, with the matches in brackets.
    fn shown(query: &str, text: &str) -> Option<(u64, String)> {
        let found = highlight(&query.parse().unwrap(), text)?;
        let parts = found.parts.iter().map(|part| match part.is_match {
            true => format!("[{}]", part.text),
            false => part.text.clone(),
        });
        Some((found.line, parts.collect()))
    }

    #[test]
    fn highlight_shows_the_line_with_the_most_terms() {
        let text = "refund:\n  per: day\n  # the refund limit per day  \nlimit: 2\n";
        for (query, expected) in [
            ("refund", Some((1, "[refund]:"))),
            ("limit refund", Some((3, "# the [refund] [limit] per day"))),
            ("\"per day\"", Some((2, "[per: day]"))),
            ("lim*", Some((3, "# the refund [limit] per day"))),
            ("LIMIT 2", Some((4, "[limit]: [2]"))),
            ("other", None),
            ("", None),
        ] {
            let expected = expected.map(|(line, text)| (line, text.to_owned()));
            assert_eq!(shown(query, text), expected, "{query}");
        }
        assert_eq!(shown("日本", "a: 日本語\n").unwrap().1, "a: [日本]語");
        assert_eq!(
            shown("day refund", "\"refund\nday\"").unwrap(),
            (1, "\"[refund]".to_owned())
        );
    }

    #[test]
    fn long_line_is_cut_around_the_first_match() {
        let text = format!("{} limit {}", "é ".repeat(300), "ö ".repeat(300));
        let (_, cut) = shown("limit", &text).unwrap();
        assert_eq!(cut.chars().count(), MAX_CHARS + 4, "{cut}");
        assert!(cut.starts_with('…') && cut.ends_with('…'), "{cut}");
        assert!(cut.contains(" é  [limit] ö"), "{cut}");
    }

    proptest! {
        #[test]
        fn parts_are_a_piece_of_one_line(
            query in "[a-c]{1,2}\\*?|[a-c] [a-c]{2}\\*|\"[a-c] [a-c]\"",
            text in "[a-cé\n .]{0,60}",
        ) {
            let Ok(query) = query.parse() else { return Ok(()) };
            if let Some(found) = highlight(&query, &text) {
                let whole: String = found.parts.iter().map(|part| part.text.as_str()).collect();
                let line = text.split('\n').nth(found.line as usize - 1).unwrap();
                prop_assert_eq!(whole, line.trim());
                prop_assert!(found.parts.iter().any(|part| part.is_match));
                prop_assert!(found.parts.windows(2).all(|pair| pair[0].is_match != pair[1].is_match));
            }
        }
    }
}
