//! Converts Rust names to stored names, and checks the rules for names.

/// Converts a Rust name to snake case: `HTTPRequested` to `http_requested`, `V2Opened` to `v2_opened`.
///
/// A word starts at an uppercase letter that follows a lowercase letter or a digit, and at the last of several
/// uppercase letters if a lowercase letter follows.
pub fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|index| letters.get(index));
        let starts_word = letter.is_uppercase()
            && previous.is_some_and(|previous| {
                let next_is_lowercase = letters.get(index + 1).is_some_and(|c| c.is_lowercase());
                previous.is_lowercase()
                    || previous.is_numeric()
                    || previous.is_uppercase() && next_is_lowercase
            });
        if starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Checks the rules for all names, including event types; the error is the rule that `name` breaks.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err("must not be empty".to_owned())
    } else if name.contains(char::is_whitespace) {
        Err("must not contain white space".to_owned())
    } else if name.contains(char::is_control) {
        Err("must not contain control characters".to_owned())
    } else {
        Ok(())
    }
}

/// Checks the name of a command; the error is the rule that `name` breaks.
pub fn check_command_name(name: &str) -> Result<(), String> {
    check_length(name, 255)?;
    check_name(name)
}

/// Checks the name of a projection; the error is the rule that `name` breaks.
pub fn check_projection_name(name: &str) -> Result<(), String> {
    check_without_slash(name)?;
    check_length(name, 200)?;
    check_name(name)
}

/// Checks the name of a process manager; the error is the rule that `name` breaks.
pub fn check_process_manager_name(name: &str) -> Result<(), String> {
    check_length(name, 128)?;
    check_without_slash(name)?;
    check_name(name)
}

/// Checks the category of an aggregate; the error is the rule that `category` breaks.
pub fn check_category(category: &str) -> Result<(), String> {
    check_length(category, 64)?;
    if category.contains('-') {
        let rule = "must not contain `-`: a stream id is `category-key`, and the first `-` ends the category";
        return Err(rule.to_owned());
    }
    check_name(category)
}

/// Checks the key of a tag; the error is the rule that `key` breaks.
pub fn check_tag_key(key: &str) -> Result<(), String> {
    if key.contains(':') {
        let rule = "must not contain `:`: a tag is `key:value`, and the first `:` ends the key";
        return Err(rule.to_owned());
    }
    check_length(key, 255)?;
    check_name(key)
}

fn check_length(name: &str, max: usize) -> Result<(), String> {
    let length = name.len();
    if length > max {
        return Err(format!("must have at most {max} bytes, but has {length}"));
    }
    Ok(())
}

fn check_without_slash(name: &str) -> Result<(), String> {
    if name.contains('/') {
        return Err("must not contain `/`".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_splits_words_at_uppercase_letters() {
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
    fn checks_return_the_broken_rule() {
        let rule = |rule: &str| Err(rule.to_owned());
        assert_eq!(check_name("account.opened"), Ok(()));
        assert_eq!(check_name(""), rule("must not be empty"));
        assert_eq!(check_name("paid in"), rule("must not contain white space"));
        assert_eq!(
            check_name("paid\u{7}"),
            rule("must not contain control characters")
        );
        assert_eq!(check_category(&"a".repeat(64)), Ok(()));
        assert_eq!(
            check_category(&"a".repeat(65)),
            rule("must have at most 64 bytes, but has 65")
        );
        assert_eq!(
            check_command_name(&"a".repeat(256)),
            rule("must have at most 255 bytes, but has 256")
        );
    }
}
