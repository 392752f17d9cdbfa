//! The lines of a content, with the parts that a page highlights.

/// A line of a content, divided into its parts in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The indentation, with the dash of a list item.
    pub indent: &'a str,
    /// The key, without the colon.
    pub key: &'a str,
    /// The other text.
    pub text: &'a str,
    /// The comment, if the whole line is one. `text` is then the indentation.
    pub comment: Option<&'a str>,
}

/// Splits a content into lines.
pub fn lines(content: &str) -> Vec<Line<'_>> {
    content.lines().map(line).collect()
}

fn line(whole: &str) -> Line<'_> {
    let text = whole.trim_start_matches([' ', '-']);
    let (indent, rest) = whole.split_at(whole.len() - text.len());
    if rest.starts_with('#') {
        return Line {
            indent: "",
            key: "",
            text: indent,
            comment: Some(rest),
        };
    }
    let end = match rest.find(": ") {
        Some(end) => end,
        None if rest.ends_with(':') => rest.len() - 1,
        None => 0,
    };
    let is_plain = |character: char| !matches!(character, '"' | '\'' | '{' | '[' | '&' | '*' | '#');
    let end = if rest[..end].chars().all(is_plain) {
        end
    } else {
        0
    };
    let (key, text) = rest.split_at(end);
    Line {
        indent,
        key,
        text,
        comment: None,
    }
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn lines_keep_the_whole_text() {
        let content = "# limits\nlimit: 250\nroutes:\n  - to: \"a: b\"\n    #note\n  - plain\n\"quoted: key\": 1\n---\n";
        let joined: Vec<String> = lines(content)
            .iter()
            .map(|line| {
                let comment = line.comment.unwrap_or_default();
                [line.indent, line.key, line.text, comment].concat()
            })
            .collect();
        assert_eq!(joined.join("\n") + "\n", content);
    }

    #[test]
    fn lines_find_keys_and_comments() {
        let found = lines("a b: 1\n  - c:\n# d\ne\n");
        assert_eq!(found[0].key, "a b");
        assert_eq!((found[1].indent, found[1].key), ("  - ", "c"));
        assert_eq!(found[2].comment, Some("# d"));
        assert_eq!(found[3].key, "");
    }
}
