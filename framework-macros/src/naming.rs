//! Names: how a Rust name is stored, and which texts are no names.

/// `HTTPRequested` as `http_requested`, `V2Opened` as `v2_opened`.
///
/// A word begins at a capital behind a small letter or a digit, and at the last capital of a row of them
/// if a small letter follows.
pub(crate) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| letters.get(before));
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                let after_is_small = letters.get(index + 1).is_some_and(|c| c.is_lowercase());
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && after_is_small
            });
        if begins {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The rule for names that `text` breaks.
pub(crate) fn name_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is not empty")
    } else if text.contains(char::is_whitespace) {
        Some("holds no white space")
    } else if text.contains(char::is_control) {
        Some("holds no control characters")
    } else {
        None
    }
}

/// The rule for the names of commands and projections that `text` breaks.
pub(crate) fn short_name_fault(text: &str) -> Option<&'static str> {
    if text.len() > 255 {
        Some("has at most 255 bytes")
    } else {
        name_fault(text)
    }
}

/// The rule for the names of process managers, which are parts of keys, that `text` breaks.
pub(crate) fn key_name_fault(text: &str) -> Option<&'static str> {
    if text.len() > 128 {
        Some("has at most 128 bytes")
    } else if text.contains('/') {
        Some("holds no `/`")
    } else {
        name_fault(text)
    }
}

/// The rule for categories that `text` breaks.
pub(crate) fn category_fault(text: &str) -> Option<&'static str> {
    if text.len() > 64 {
        Some("has at most 64 bytes")
    } else if text.contains('-') {
        Some("holds no `-`: a stream is `category-key`, and the first `-` ends the category")
    } else {
        name_fault(text)
    }
}

/// The rule for the keys of tags that `text` breaks.
pub(crate) fn tag_key_fault(text: &str) -> Option<&'static str> {
    if text.contains(':') {
        Some("holds no `:`: a tag is `key:value`, and the first `:` ends the key")
    } else if text.len() > 255 {
        Some("has at most 255 bytes")
    } else {
        name_fault(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_begins_where_a_reader_sees_one() {
        let cases = [
            ("Opened", "opened"),
            ("PaidIn", "paid_in"),
            ("HTTPRequested", "http_requested"),
            ("HTTP2Requested", "http2_requested"),
            ("V2Opened", "v2_opened"),
            ("OpenedV2", "opened_v2"),
            ("Iso8601Date", "iso8601_date"),
            ("ABTest", "ab_test"),
            ("A", "a"),
            ("Opened_Twice", "opened_twice"),
            ("opened", "opened"),
            ("ÜberwiesenÄ", "überwiesen_ä"),
        ];
        for (rust, stored) in cases {
            assert_eq!(snake_case(rust), stored, "{rust}");
        }
    }

    #[test]
    fn a_broken_rule_is_named() {
        assert_eq!(name_fault("account.opened"), None);
        assert_eq!(name_fault(""), Some("is not empty"));
        assert_eq!(name_fault("paid in"), Some("holds no white space"));
        assert_eq!(name_fault("paid\u{7}"), Some("holds no control characters"));
        assert_eq!(category_fault(&"a".repeat(64)), None);
        assert_eq!(
            category_fault(&"a".repeat(65)),
            Some("has at most 64 bytes")
        );
        assert_eq!(
            short_name_fault(&"a".repeat(256)),
            Some("has at most 255 bytes")
        );
    }
}
