//! The nesting of JSON: `serde_json` does not read more than a fixed number of levels.

/// The maximum number of nested arrays and objects in stored JSON.
///
/// `serde_json` writes more levels, but does not read them.
pub const MAX_JSON_DEPTH: usize = 127;

/// Returns whether `json` has more than `limit` levels of nested arrays and objects.
///
/// For most JSON, it only counts the brackets.
#[must_use]
pub fn is_too_deep(json: &[u8], limit: usize) -> bool {
    // Each level needs two brackets.
    json.len() > 2 * limit && opening_brackets(json) > limit && depth(json) > limit
}

/// Counts the bytes `[` and `{`, also those in strings.
fn opening_brackets(json: &[u8]) -> usize {
    // The sum of a short chunk fits into a byte, so that the compiler compares many bytes at once.
    let chunks = json.chunks(u8::MAX as usize).map(|chunk| {
        // The bit 0x20 is the only difference between the two.
        let is_opening = |byte: &u8| u8::from(byte | 0x20 == b'{');
        usize::from(chunk.iter().map(is_opening).sum::<u8>())
    });
    chunks.sum()
}

fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn depth_limit_is_that_of_serde_json() {
        for levels in [0, 1, 126, 127, 128, 129, 1_000] {
            for json in [
                nested(levels),
                nested(levels).replace('[', "{\"a\":").replace(']', "}"),
            ] {
                let readable = serde_json::from_str::<Value>(&json).is_ok();
                assert_eq!(
                    !is_too_deep(json.as_bytes(), MAX_JSON_DEPTH),
                    readable,
                    "{levels}"
                );
            }
        }
    }

    #[test]
    fn brackets_in_strings_and_siblings_are_not_levels() {
        let text = serde_json::to_string(&"[{\\\"".repeat(1_000)).unwrap();
        assert!(!is_too_deep(text.as_bytes(), MAX_JSON_DEPTH));
        let siblings = format!("[{}1]", "[],{},".repeat(1_000));
        assert!(!is_too_deep(siblings.as_bytes(), MAX_JSON_DEPTH));
        let after = format!("[\"]]]]\\\\\",{}]", nested(127));
        assert!(is_too_deep(after.as_bytes(), MAX_JSON_DEPTH));
    }
}
