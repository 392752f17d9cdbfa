//! [`words`]: the words of a text, which are the same in the index, in queries and in highlights.
//!
//! The databases have tokenizers of their own, and these differ: one reads `limits.v2` as a host name. So the service
//! splits every text itself, and gives both databases plain words.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The maximum number of characters of a word. The rest of a longer word is ignored.
pub const MAX_WORD: usize = 64;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The letters and digits, in lower case and without accents.
    pub text: String,
    /// The byte at which the word begins in the text.
    pub start: usize,
    /// The byte after the word.
    pub end: usize,
}

/// Returns the words of `text` in order.
///
/// A word is a run of letters and digits. Characters of scripts without spaces between words, such as Han, are words of
/// their own.
pub fn words(text: &str) -> impl Iterator<Item = Word> + '_ {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = chars.by_ref().find(|(_, char)| char.is_alphanumeric())?;
        let mut word = Word {
            text: String::new(),
            start,
            end: start + first.len_utf8(),
        };
        let mut length = push_folded(&mut word.text, first, 0);
        let is_alone = is_word_alone(first);
        while let Some((at, char)) = chars.next_if(|(_, char)| {
            is_combining_mark(*char)
                || (!is_alone && char.is_alphanumeric() && !is_word_alone(*char))
        }) {
            word.end = at + char.len_utf8();
            length = push_folded(&mut word.text, char, length);
        }
        Some(word)
    })
    .filter(|word| !word.text.is_empty())
}

/// Appends `char` in lower case and without accents, and returns the new length.
fn push_folded(word: &mut String, char: char, length: usize) -> usize {
    if length >= MAX_WORD {
        return length;
    }
    if char.is_ascii() {
        word.push(char.to_ascii_lowercase());
        return length + 1;
    }
    let lower = char.to_lowercase();
    let folded = lower.nfkd().filter(|folded| folded.is_alphanumeric());
    let folded = folded.flat_map(char::to_lowercase);
    let folded = folded.filter(|folded| !is_combining_mark(*folded));
    let before = word.len();
    word.extend(folded.take(MAX_WORD - length));
    length + word[before..].chars().count()
}

/// Returns whether the script of `char` has no spaces between words.
fn is_word_alone(char: char) -> bool {
    matches!(
        u32::from(char),
        0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).map(|word| word.text).collect()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        for (text, expected) in [
            ("refund-limits.v2", &["refund", "limits", "v2"][..]),
            (
                "  max_amount: 2'500 EUR\n",
                &["max", "amount", "2", "500", "eur"],
            ),
            ("Größe, GRÖSSE, gro\u{308}ße", &["große", "grosse", "große"]),
            ("Crème BRÛLÉE İstanbul", &["creme", "brulee", "istanbul"]),
            ("支払い limit", &["支", "払", "い", "limit"]),
            ("a\u{301}\u{301}b", &["ab"]),
            ("'; drop table x --", &["drop", "table", "x"]),
            ("\u{0}\u{1}&|!<->:*()", &[]),
            ("", &[]),
        ] {
            assert_eq!(texts(text), expected, "{text:?}");
        }
    }

    #[test]
    fn word_ends_after_the_maximum_length() {
        assert_eq!(texts(&"x".repeat(500)), ["x".repeat(MAX_WORD)]);
        assert_eq!(texts(&"é".repeat(500)), ["e".repeat(MAX_WORD)]);
    }

    proptest! {
        /// The queries of both databases quote words, and rely on this.
        #[test]
        fn words_have_letters_and_digits_only(text in any::<String>()) {
            for word in words(&text) {
                prop_assert!(word.text.chars().all(char::is_alphanumeric), "{:?}", word);
                prop_assert!(!word.text.is_empty() && word.text.chars().count() <= MAX_WORD);
                prop_assert!(text.get(word.start..word.end).is_some());
            }
        }

        #[test]
        fn folding_a_word_again_changes_nothing(text in any::<String>()) {
            for word in words(&text) {
                let again: Vec<String> = texts(&word.text);
                prop_assert_eq!(again.concat(), word.text);
            }
        }
    }
}
