//! [`Prefixes`]: the names that begin with one of several texts.

/// The names that begin with one of several texts.
///
/// A comparison is by bytes: case matters, and characters that look alike are different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Sorted. None of them begins with another one.
    texts: Vec<String>,
}

impl Prefixes {
    /// Creates the set of names that begin with one of `texts`.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let mut texts: Vec<_> = texts.into_iter().collect();
        texts.sort_unstable();
        // A text directly follows the texts that begin it.
        texts.dedup_by(|text, before| text.starts_with(before.as_str()));
        Self { texts }
    }

    /// Returns whether the set has no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns whether the set has every name.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.texts.first().is_some_and(String::is_empty)
    }

    /// Returns whether `name`, and every name that begins with it, is in the set.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        // Every text between a prefix of `name` and `name` begins with that prefix, and is therefore not in the list.
        let after = self.texts.partition_point(|text| text.as_str() <= name);
        let candidate = after.checked_sub(1).and_then(|at| self.texts.get(at));
        candidate.is_some_and(|text| name.starts_with(text.as_str()))
    }

    /// Returns whether the set has a name that begins with `prefix`.
    #[must_use]
    pub fn overlaps(&self, prefix: &str) -> bool {
        let mut texts = self.texts.iter();
        self.covers(prefix) || texts.any(|text| text.starts_with(prefix))
    }

    /// Returns whether the text itself is one of the prefixes.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        let found = self.texts.binary_search_by(|own| own.as_str().cmp(text));
        found.is_ok()
    }

    /// Returns the prefixes in the order of their bytes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(texts: &[&str]) -> Prefixes {
        Prefixes::new(texts.iter().map(|text| (*text).to_owned()))
    }

    #[test]
    fn set_covers_the_names_that_begin_with_a_prefix() {
        let names = ["", "a", "a-", "a-1", "a-b-2", "a.", "ab", "b", "A-1", "á-1"];
        for texts in [
            vec![],
            vec![""],
            vec!["a"],
            vec!["a-", "b"],
            vec!["a-b", "a-", "ab", "a-1"],
        ] {
            let set = prefixes(&texts);
            for name in names {
                let begins = texts.iter().any(|text| name.starts_with(text));
                assert_eq!(set.covers(name), begins, "{texts:?} and {name:?}");
                let overlaps = begins || texts.iter().any(|text| text.starts_with(name));
                assert_eq!(set.overlaps(name), overlaps, "{texts:?} and {name:?}");
            }
        }
        assert!(prefixes(&["x", ""]).is_everything());
        assert!(prefixes(&[]).is_empty());
        assert!(!prefixes(&["a-"]).is_everything());
    }
}
