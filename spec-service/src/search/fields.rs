//! [`SearchFields`]: the texts of a specification that are searched, and [`Tier`]: the order of hits.

use std::collections::BTreeMap;

use super::words::words;

/// The size up to which a content is searched, in bytes.
pub const MAX_INDEXED_BYTES: usize = 64 * 1024;

/// The number of words of a content that are searched.
///
/// PostgreSQL has 16,383 positions for the words of all texts of a specification.
pub const MAX_CONTENT_WORDS: usize = 9_000;

/// The texts of a specification that are searched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchFields<'a> {
    /// The name.
    pub name: &'a str,
    /// The description of the latest version.
    pub description: &'a str,
    /// The labels, separated by spaces.
    pub labels: &'a str,
    /// The latest content.
    pub content: &'a str,
    /// The comments, one after the other.
    pub comments: &'a str,
}

/// The quality of a hit, best first.
///
/// It depends on the specification alone, so pages stay stable while others change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// The name has all terms.
    Name,
    /// The name, the description and the labels have all terms.
    Head,
    /// All texts together have all terms.
    Text,
}

impl Tier {
    /// All tiers, best first.
    pub const ALL: [Self; 3] = [Self::Name, Self::Head, Self::Text];

    /// Returns the tier with this number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.number() == number)
    }

    /// Returns the number of the tier, from 1.
    pub fn number(self) -> u64 {
        match self {
            Self::Name => 1,
            Self::Head => 2,
            Self::Text => 3,
        }
    }

    /// Returns the number of the tier as the first character of its words in PostgreSQL.
    pub fn digit(self) -> char {
        match self {
            Self::Name => '1',
            Self::Head => '2',
            Self::Text => '3',
        }
    }

    /// Returns the tier before this one.
    pub fn better(self) -> Option<Self> {
        match self {
            Self::Name => None,
            Self::Head => Some(Self::Name),
            Self::Text => Some(Self::Head),
        }
    }
}

/// A field in the vector of PostgreSQL: its text, its place, and the tiers that its words count for.
struct Section<'a> {
    text: &'a str,
    start: usize,
    max_words: usize,
    tiers: &'static [Tier],
}

impl<'a> SearchFields<'a> {
    /// Returns the words of each field, separated by spaces, in the order of the columns of the FTS5 table.
    pub fn columns(&self) -> [String; 5] {
        self.sections().map(|section| {
            let words = words(section.text).take(section.max_words);
            words.map(|word| word.text).collect::<Vec<_>>().join(" ")
        })
    }

    /// Returns the PostgreSQL `tsvector` of the fields and of the tokens of filters.
    ///
    /// Each word begins with the digit of a tier, and each token with `f`. So the index alone answers a query for a tier.
    pub fn tsvector(&self, tokens: &[String]) -> String {
        let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for section in self.sections() {
            let words = words(section.text).take(section.max_words);
            for (index, word) in words.enumerate() {
                for tier in section.tiers {
                    let lexeme = format!("{}{}", tier.digit(), word.text);
                    places
                        .entry(lexeme)
                        .or_default()
                        .push(section.start + index);
                }
            }
        }
        let mut vector = String::new();
        for (lexeme, places) in places {
            let places = places.iter().take(255).map(usize::to_string);
            let places = places.collect::<Vec<_>>().join(",");
            vector.push_str(&format!("'{lexeme}':{places} "));
        }
        for token in tokens {
            vector.push_str(&format!("'f{token}' "));
        }
        vector
    }

    /// Returns the sections in the order of the columns. A gap between two keeps phrases inside of one.
    fn sections(&self) -> [Section<'a>; 5] {
        use Tier::{Head, Name, Text};
        let section = |text, start, max_words, tiers| Section {
            text,
            start,
            max_words,
            tiers,
        };
        [
            section(self.name, 1, 300, &[Name, Head, Text][..]),
            section(self.description, 400, 2_000, &[Head, Text]),
            section(self.labels, 2_500, 900, &[Head, Text]),
            section(indexed(self.content), 3_500, MAX_CONTENT_WORDS, &[Text]),
            section(self.comments, 12_600, 3_700, &[Text]),
        ]
    }
}

/// Returns the part of a content that is searched.
pub fn indexed(content: &str) -> &str {
    &content[..content.floor_char_boundary(MAX_INDEXED_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_has_the_words_of_each_tier() {
        let fields = SearchFields {
            name: "refund-limits",
            description: "Refund it's",
            labels: "",
            content: "max: 2\n",
            comments: "",
        };
        assert_eq!(
            fields.tsvector(&["0a".to_owned()]),
            "'1limits':2 '1refund':1 '2it':401 '2limits':2 '2refund':1,400 '2s':402 '32':3501 '3it':401 '3limits':2 \
             '3max':3500 '3refund':1,400 '3s':402 'f0a' ",
        );
        assert_eq!(
            fields.columns(),
            ["refund limits", "refund it s", "", "max 2", ""]
        );
    }

    #[test]
    fn last_place_is_within_the_limit_of_postgresql() {
        let content = "a ".repeat(40_000);
        let fields = SearchFields {
            name: &content,
            description: &content,
            labels: &content,
            content: &content,
            comments: &content,
        };
        let mut end = 0;
        for section in fields.sections() {
            assert!(section.start > end);
            end = section.start + section.max_words;
        }
        assert!(end <= 16_383);
        assert_eq!(fields.columns()[3].len(), 2 * MAX_CONTENT_WORDS - 1);
    }
}
