//! [`Words`]: the words that are spelled correctly.

use std::collections::{BTreeSet, HashSet};

/// The words that are spelled correctly, in lower case.
#[derive(Debug, Default)]
pub struct Words(HashSet<String>);

impl Words {
    /// Reads lists with one word in each line. Lines that start with `#` are comments.
    #[must_use]
    pub fn new<'t>(lists: impl IntoIterator<Item = &'t String>) -> Self {
        let lines = lists.into_iter().flat_map(|list| list.lines());
        let words = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
        Self(words.map(str::to_owned).collect())
    }

    /// Returns the unknown words in `texts`, in lower case.
    #[must_use]
    pub fn unknown<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
        let words = texts.into_iter().flat_map(words);
        words.filter(|word| !self.0.contains(word)).collect()
    }
}

/// Returns the words of `text` in lower case. Addresses, and names such as `HashMap`, `a_b` and `utf8`, are not words.
fn words(text: &str) -> impl Iterator<Item = String> {
    let is_address = |part: &&str| part.contains("://") || part.contains('@');
    let parts = text
        .split_whitespace()
        .filter(move |part| !is_address(part));
    let is_letter = |c: char| c.is_alphanumeric() || "'’_".contains(c);
    let words = parts.flat_map(move |part| part.split(move |c| !is_letter(c)));
    words.filter(|word| !is_name(word)).filter_map(|word| {
        let word = word.replace('’', "'").to_lowercase();
        let word = word.trim_matches('\'');
        let word = word.strip_suffix("'s").unwrap_or(word);
        (word.chars().count() > 1).then(|| word.to_owned())
    })
}

/// Returns whether a word is the name of something in code.
fn is_name(word: &str) -> bool {
    let mut neighbours = word.chars().zip(word.chars().skip(1));
    let is_camel_case = neighbours.any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    is_camel_case || word.contains(|c: char| c.is_numeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case_and_possessive() {
        let list = "# a comment\nstore\nread\nmodel\ndon't\n".to_owned();
        let words = Words::new([&list]);
        let text = "The Store’s read-model don't, 'store' HashMap x2 a_b https://example.org/wrng";
        assert_eq!(words.unknown([text]), BTreeSet::from(["the".to_owned()]));
    }
}
