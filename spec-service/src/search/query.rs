//! [`TextQuery`]: the words and phrases that a search looks for.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::words::words;

/// The maximum number of characters of a query.
pub const MAX_QUERY: usize = 500;

/// The maximum number of words of a query.
pub const MAX_QUERY_WORDS: usize = 32;

/// The minimum number of characters before the `*` of a prefix.
pub const MIN_PREFIX: usize = 2;

/// The words and phrases that a search looks for.
///
/// | query | finds specifications with |
/// |---|---|
/// | `refund limit` | both words, in any order |
/// | `"refund limit"` | the words next to each other |
/// | `refund-limit` | the same: a word with punctuation is a phrase |
/// | `refund -limit` | the first word, and not the second |
/// | `ref*` | a word that begins with `ref` |
///
/// An empty text finds every specification.
///
/// # Examples
///
/// ```
/// # use spec_service::search::TextQuery;
/// let query: TextQuery = "refund \"per day\" -draft".parse()?;
/// assert_eq!(query.to_string(), "refund \"per day\" -draft");
/// # Ok::<(), spec_service::search::QueryError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextQuery {
    /// The terms that must all occur.
    pub required: Vec<Term>,
    /// The terms that must not occur.
    pub excluded: Vec<Term>,
}

/// A word or a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The words, which follow each other in the text. There is at least one.
    pub words: Vec<String>,
    /// Whether the last word can continue in the text.
    pub is_prefix: bool,
}

/// The error of parsing a [`TextQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query is too long.
    #[error("query too long: {actual} characters; the limit is {MAX_QUERY}")]
    TooLong {
        /// The number of characters.
        actual: usize,
    },
    /// The query has too many words.
    #[error("query too long: {actual} words; the limit is {MAX_QUERY_WORDS}")]
    TooManyWords {
        /// The number of words.
        actual: usize,
    },
    /// A quotation mark has no counterpart.
    #[error("missing quotation mark after {phrase:?}; put a phrase between two quotation marks")]
    OpenPhrase {
        /// The text after the quotation mark, shortened.
        phrase: String,
    },
    /// A `*` is not at the end of a word.
    #[error("misplaced `*` in {term:?}; it is allowed at the end of a word only")]
    MisplacedStar {
        /// The term, shortened.
        term: String,
    },
    /// A prefix is too short.
    #[error("prefix too short: {term:?}; write at least {MIN_PREFIX} characters before `*`")]
    ShortPrefix {
        /// The term, shortened.
        term: String,
    },
    /// The query excludes terms and requires none.
    #[error("the query only excludes words; add a word that must occur")]
    OnlyExcluded,
    /// The query has characters, but no letter or digit.
    #[error("no word in the query: {query:?}; write letters or digits")]
    NoWord {
        /// The query, shortened.
        query: String,
    },
}

impl TextQuery {
    /// Returns whether the query has no terms.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.excluded.is_empty()
    }
}

impl FromStr for TextQuery {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let actual = text.chars().count();
        if actual > MAX_QUERY {
            return Err(QueryError::TooLong { actual });
        }
        let mut query = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (raw, after) = next_term(rest)?;
            rest = after.trim_start();
            let Some(term) = raw.term()? else { continue };
            match raw.is_excluded {
                true => query.excluded.push(term),
                false => query.required.push(term),
            }
        }
        let terms = query.required.iter().chain(&query.excluded);
        let actual = terms.map(|term| term.words.len()).sum();
        match (query.required.is_empty(), query.excluded.is_empty()) {
            _ if actual > MAX_QUERY_WORDS => Err(QueryError::TooManyWords { actual }),
            (true, false) => Err(QueryError::OnlyExcluded),
            (true, true) if !text.trim().is_empty() => Err(QueryError::NoWord {
                query: shorten(text),
            }),
            _ => Ok(query),
        }
    }
}

/// A term as it is written.
struct RawTerm<'q> {
    text: &'q str,
    is_excluded: bool,
    is_phrase: bool,
}

/// Splits the first term from `text`, which does not begin with a space.
fn next_term(text: &str) -> Result<(RawTerm<'_>, &str), QueryError> {
    let (is_excluded, text) = match text.strip_prefix('-') {
        Some(term) => (true, term),
        None => (false, text),
    };
    let (text, rest, is_phrase) = match text.strip_prefix('"') {
        Some(phrase) => {
            let (phrase, rest) = phrase
                .split_once('"')
                .ok_or_else(|| QueryError::OpenPhrase {
                    phrase: shorten(phrase),
                })?;
            (phrase, rest, true)
        }
        None => {
            let end = text.find(|char: char| char.is_whitespace() || char == '"');
            let (term, rest) = text.split_at(end.unwrap_or(text.len()));
            (term, rest, false)
        }
    };
    let term = RawTerm {
        text,
        is_excluded,
        is_phrase,
    };
    Ok((term, rest))
}

impl RawTerm<'_> {
    /// Returns the words of the term, or `None` if it has none.
    fn term(&self) -> Result<Option<Term>, QueryError> {
        let stem = match self.is_phrase {
            true => None,
            false => self.text.strip_suffix('*'),
        };
        let text = stem.unwrap_or(self.text);
        let found: Vec<String> = words(text).map(|word| word.text).collect();
        if !self.is_phrase && self.text.contains('*') {
            let term = || shorten(self.text);
            match (stem, found.last()) {
                (Some(stem), Some(last)) if !stem.contains('*') => {
                    let is_alone = stem
                        .chars()
                        .next_back()
                        .is_some_and(|char| !char.is_alphanumeric());
                    if is_alone {
                        return Err(QueryError::MisplacedStar { term: term() });
                    }
                    if last.chars().count() < MIN_PREFIX {
                        return Err(QueryError::ShortPrefix { term: term() });
                    }
                }
                _ => return Err(QueryError::MisplacedStar { term: term() }),
            }
        }
        Ok((!found.is_empty()).then_some(Term {
            words: found,
            is_prefix: stem.is_some(),
        }))
    }
}

/// Returns the first 40 characters of `text`.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

impl fmt::Display for TextQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let required = self.required.iter().map(|term| ("", term));
        let excluded = self.excluded.iter().map(|term| ("-", term));
        for (index, (sign, term)) in required.chain(excluded).enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{sign}{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.words[..], self.is_prefix) {
            ([word], false) => f.write_str(word),
            (words, true) => write!(f, "{}*", words.join("-")),
            (words, false) => write!(f, "\"{}\"", words.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn query_has_words_phrases_exclusions_and_prefixes() {
        for (text, expected) in [
            ("", ""),
            (" \t\n", ""),
            ("Refund  LIMITS", "refund limits"),
            ("\"per day\" -draft", "\"per day\" -draft"),
            ("-\"per day\" limit", "limit -\"per day\""),
            ("refund-limits.v2", "\"refund limits v2\""),
            ("ref* max_am*", "ref* max-am*"),
            ("a & b | !c", "a b c"),
            ("\"a*b\"", "\"a b\""),
            ("one\"two three\"four", "one \"two three\" four"),
            ("x OR y NOT z", "x or y not z"),
            ("\"\" x", "x"),
            ("x - y", "x y"),
            ("name:x ^y {z}", "\"name x\" y z"),
        ] {
            let query: TextQuery = text.parse().unwrap();
            assert_eq!(query.to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn query_error_says_how_to_continue() {
        for (text, expected) in [
            (
                "\"per day",
                "missing quotation mark after \"per day\"; put a phrase between two quotation marks",
            ),
            (
                "*",
                "misplaced `*` in \"*\"; it is allowed at the end of a word only",
            ),
            (
                "*day",
                "misplaced `*` in \"*day\"; it is allowed at the end of a word only",
            ),
            (
                "d*y",
                "misplaced `*` in \"d*y\"; it is allowed at the end of a word only",
            ),
            (
                "day.*",
                "misplaced `*` in \"day.*\"; it is allowed at the end of a word only",
            ),
            (
                "d*",
                "prefix too short: \"d*\"; write at least 2 characters before `*`",
            ),
            (
                "-draft",
                "the query only excludes words; add a word that must occur",
            ),
            (
                "&& ||",
                "no word in the query: \"&& ||\"; write letters or digits",
            ),
        ] {
            let error = text.parse::<TextQuery>().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(
            "a ".repeat(MAX_QUERY_WORDS + 1).parse::<TextQuery>(),
            Err(QueryError::TooManyWords { actual: 33 })
        );
        assert_eq!(
            "é".repeat(MAX_QUERY + 1).parse::<TextQuery>(),
            Err(QueryError::TooLong { actual: 501 })
        );
    }

    proptest! {
        #[test]
        fn displayed_query_means_the_same(text in "[ a-zé\"*.'(-]{0,40}") {
            if let Ok(query) = text.parse::<TextQuery>() {
                prop_assert_eq!(&query.to_string().parse::<TextQuery>().unwrap(), &query);
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>()) {
            let _ = text.parse::<TextQuery>();
        }
    }
}
